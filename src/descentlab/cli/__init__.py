"""The command line: ``descentlab``. One file a command; :func:`main` is the only way in and out.

Exit codes: 0 fine, 1 a finding such as divergence, 2 bad use or unusable data, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

FINDING, BAD_USE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(invoke(sys.argv[1:] if arguments is None else list(arguments)))


def invoke(arguments: list[str]) -> int:
    """Run one command; no error leaves as a traceback.

    Returns:
        The exit code.
    """
    import click

    from descentlab.cli.app import build
    from descentlab.cli.words import asked_language, explain
    from descentlab.errors import DescentlabError
    from descentlab.text import sentence

    lang = asked_language(arguments)
    # The language asked for here holds for every sentence, those of errors raised deep inside too.
    os.environ["DESCENTLAB_LANG"] = lang
    try:
        code = build(lang).main(arguments, "descentlab", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return fail(explain(error, lang), "--json" in arguments)
    except DescentlabError as error:
        return fail(error.sentence.text(lang), "--json" in arguments)
    except (KeyboardInterrupt, click.Abort):
        click.echo(sentence("cli.interrupted").text(lang), err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return fail(sentence("cli.memory").text(lang), "--json" in arguments)


def fail(message: str, as_json: bool) -> int:
    """Say what went wrong: in words on standard error, or as JSON on standard output if that was asked for."""
    import json

    import click

    if as_json:
        click.echo(json.dumps({"schema": "descentlab.error/1", "error": message}, ensure_ascii=False))
    else:
        click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
    return BAD_USE
