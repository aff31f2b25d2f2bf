"""click's help pages and errors in the reader's language."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from descentlab.errors import check_choice, did_you_mean
from descentlab.messages import LANGUAGES, current_language, message


def requested_language(arguments: list[str]) -> str:
    """The language of ``--lang``, wherever it stands, else that of the environment.

    Read before click parses, since click needs the language for its own messages.
    """
    for i, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang" and i + 1 < len(arguments):
            return arguments[i + 1] if arguments[i + 1] in LANGUAGES else current_language()
        if argument.startswith("--lang="):
            code = argument.removeprefix("--lang=")
            return code if code in LANGUAGES else current_language()
    return current_language()


def translate_click_error(error: click.ClickException) -> str:
    """The catalog's message for one of click's errors."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "descentlab"
    if isinstance(error, click.NoSuchOption):
        known = [name for option in (context.command.params if context else []) for name in option.opts]
        hint = did_you_mean(error.option_name, known)
        complaint = message("cli.no_such_option", name=error.option_name, near=hint)
    elif isinstance(error, click.BadOptionUsage):
        complaint = message("cli.needs_value", name=error.option_name)
    elif isinstance(error, click.MissingParameter):
        complaint = message("cli.missing", name=error.param.name if error.param else "")
    elif type(error).__name__ == "NoSuchCommand" or "No such command" in error.message:
        commands = context.command.commands if context and isinstance(context.command, click.Group) else {}
        name = error.message.split("'")[1] if "'" in error.message else error.message
        complaint = message(
            "cli.no_such_command", name=name, commands=list(commands), near=did_you_mean(name, commands)
        )
    elif isinstance(error, click.FileError):
        complaint = message("error.unreadable", path=error.ui_filename, cause=error.message)
    else:
        complaint = message("cli.other", message=error.format_message())
    return message("error.usage", message=complaint, command=command).text()


class LocalizedCommand(click.Command):
    """A command whose help page has the catalog's headings."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix=message("cli.usage").text() + " ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = [record for option in options if (record := option.get_help_record(ctx))]
        with formatter.section(message("cli.options").text()):
            formatter.write_dl(records)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = message("help.help").text()
        return option

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        arguments = [param.make_metavar(ctx) for param in self.params if isinstance(param, click.Argument)]
        return [message("cli.options_metavar").text(), *arguments]


class LocalizedGroup(LocalizedCommand, click.Group):
    """A group whose list of commands has the catalog's heading."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        LocalizedCommand.format_options(self, ctx, formatter)
        rows = [(name, command.get_short_help_str(100)) for name, command in self.commands.items()]
        with formatter.section(message("cli.commands").text()):
            formatter.write_dl(rows)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [message("cli.command_metavar").text()]


class NumberOrText(click.ParamType[Any]):
    """A number, or the text as given: the settings check their values themselves."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        for kind in (int, float) if isinstance(value, str) else ():
            with suppress(ValueError):
                return kind(value)
        return value


def check_language(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Refuse a language without a catalog."""
    if value is not None:
        check_choice("lang", value, LANGUAGES)


def language_option() -> click.Option:
    """``--lang``, which every command takes."""
    return click.Option(
        ["--lang"],
        metavar="[en|ko]",
        help=message("help.lang").text(),
        expose_value=False,
        callback=check_language,
    )
