"""The command line ``descentlab``: one file for each command. Every call enters and leaves through :func:`main`.

Until :func:`main` has seen to Ctrl-C, nothing that takes time is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from descentlab.cli.terminal.exit_codes import ExitCode


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    from descentlab.cli.terminal.interrupts import interruptible

    with interruptible():
        try:
            code = run_command(sys.argv[1:] if arguments is None else list(arguments))
        except KeyboardInterrupt:  # outside of the command itself, or a second one
            code = ExitCode.INTERRUPTED
    sys.exit(code)


def run_command(arguments: list[str]) -> int:
    """Run one command and print its error, if any, without a traceback.

    Returns:
        The exit code.
    """
    from descentlab.cli.terminal.localized_click import requested_language
    from descentlab.cli.terminal.output import tolerate_missing_characters
    from descentlab.messages import use_language

    tolerate_missing_characters(as_json="--json" in arguments)
    with use_language(requested_language(arguments), keep=True):
        return _run_command(arguments)


def _run_command(arguments: list[str]) -> int:
    import click

    from descentlab.cli.app import build_cli
    from descentlab.cli.terminal.localized_click import translate_click_error
    from descentlab.cli.terminal.output import discard_further_output
    from descentlab.errors import DescentlabError
    from descentlab.messages import message

    as_json = "--json" in arguments
    try:
        color = False if os.environ.get("NO_COLOR") else None  # None: on a terminal
        code = build_cli().main(arguments, "descentlab", standalone_mode=False, color=color)
        sys.stdout.flush()  # or a failure of the output would be noticed after the exit code was chosen
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        return print_error(translate_click_error(error), as_json)
    except DescentlabError as error:
        return print_error(str(error), as_json)
    except (KeyboardInterrupt, click.Abort):
        click.echo(str(message("cli.interrupted")), err=True)
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit):  # the reader, such as `head`, has seen enough; click exits then
        discard_further_output()
        return 0
    except MemoryError:
        return print_error(str(message("cli.memory")), as_json)
    except OSError as error:  # an output that cannot be written: readers raise errors of their own
        if error.filename is None:
            discard_further_output()
        path = error.filename or message("cli.standard_output").text()
        text = str(message("error.unwritable", path=path, cause=error.strerror or str(error)))
        return print_error(text, as_json and error.filename is not None)


def print_error(text: str, as_json: bool) -> int:
    """Say what went wrong: in words on standard error, or as JSON on standard output if that was asked for."""
    import json

    import click

    from descentlab.messages import message

    if as_json:
        click.echo(json.dumps({"schema": "descentlab.error/1", "error": text}, ensure_ascii=False))
    else:
        click.echo(click.style(f"{message('cli.error')} ", fg="red", bold=True) + text, err=True)
    return ExitCode.USAGE
