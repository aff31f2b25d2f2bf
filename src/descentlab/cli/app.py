"""The group of commands, built in the language spoken."""

from __future__ import annotations

import click

from descentlab.cli.terminal.localized_click import LocalizedGroup, LocalizedOption, language_option
from descentlab.messages import message


def build_cli() -> click.Group:
    """The command line, with its help in the language spoken."""
    from descentlab.cli import compare, compress, cv, demo, diagnose, explain, lab, lesson, predict, run, solve

    commands = [
        run.command(),
        diagnose.command(),
        cv.command(),
        explain.command(),
        solve.command(),
        predict.command(),
        compare.command(),
        lab.command(),
        lesson.command(),
        compress.command(),
        demo.command(),
    ]
    return LocalizedGroup(
        name="descentlab",
        help=message("help.descentlab").text(),
        commands={command.name or "": command for command in commands},
        params=[
            LocalizedOption(
                ["-V", "--version"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                help=message("help.version").text(),
                callback=_print_version,
            ),
            language_option(),
        ],
        invoke_without_command=True,
        callback=_require_command,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


@click.pass_context
def _require_command(ctx: click.Context) -> None:
    """Without a command, with options or not, the help page is printed."""
    if ctx.invoked_subcommand is None:
        raise click.exceptions.NoArgsIsHelpError(ctx)


def _print_version(ctx: click.Context, _param: click.Parameter, requested: bool) -> None:
    if requested:
        from descentlab import __version__

        click.echo(f"descentlab {__version__}")
        ctx.exit()
