"""click's help pages and errors in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from descentlab.cli.terminal.examples import EXAMPLES
from descentlab.errors import check_choice, did_you_mean
from descentlab.messages import LANGUAGES, Message, display_width, kept_language, message, pad, wrap

HEADINGS = ("data", "model", "descent", "diagnosis", "output")  # of options, in the order of the help page
FILE_METAVARS = ("FILE", "FACTOR")  # ends of metavars: options that a shell completes with the names of files
# Commands that other programs have, and what the catalog's ``habit.NAME`` says there is instead.
HABITS = (
    dict.fromkeys(("fit", "train", "learn", "regress"), "fit")
    | dict.fromkeys(("infer", "apply"), "predict")
    | dict.fromkeys(("plot", "show", "draw", "visualize"), "plot")
    | dict.fromkeys(("check", "debug", "doctor", "watch", "test"), "check")
    | dict.fromkeys(("validate", "evaluate", "score", "split"), "validate")
    | {"help": "help", "version": "version"}
)


def requested_language(arguments: list[str]) -> str | None:
    """The language of ``--lang``, wherever it stands; None where none was given that there is.

    Read before click parses, since click needs the language for its own messages.
    """
    for i, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang" or argument.startswith("--lang="):
            code = argument.removeprefix("--lang=") if "=" in argument else "".join(arguments[i + 1 : i + 2])
            return code if code in LANGUAGES else None
    return None


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
        complaint = _no_such_command(name, commands)
    elif isinstance(error, click.FileError):
        complaint = message("error.unreadable", path=error.ui_filename, cause=error.message)
    else:
        complaint = message("cli.other", message=error.format_message())
    return message("error.usage", message=complaint, command=command).text()


def _no_such_command(name: str, commands: Mapping[str, click.Command]) -> Message:
    if name in HABITS:
        return message("cli.other_command", name=name, instead=message(f"habit.{HABITS[name]}"))
    return message("cli.no_such_command", name=name, commands=list(commands), near=did_you_mean(name, commands))


class LocalizedOption(click.Option):
    """An option that stands under a heading of the help page, and whose value a shell can complete.

    Attributes:
        heading: one of :data:`HEADINGS`, or None, which is the last of them.
    """

    def __init__(self, names: list[str], heading: str | None = None, **settings: Any) -> None:
        super().__init__(names, **settings)
        self.heading = heading

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        metavar = self.metavar or ""
        if metavar.endswith(FILE_METAVARS):
            return [CompletionItem(incomplete, type="file")]
        if metavar.startswith("["):
            return [CompletionItem(each) for each in metavar.strip("[]").split("|") if each.startswith(incomplete)]
        return super().shell_complete(ctx, incomplete)


class WideLetterFormatter(click.HelpFormatter):
    """A help page whose lines fit the terminal also where letters take two columns, as in Korean."""

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        self.write(wrap(text, self.width, indent, indent) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        first_width = min(max(display_width(name) for name, _ in rows), col_max) + col_spacing
        indent = " " * (self.current_indent + first_width)
        for name, text in rows:
            start = " " * self.current_indent + name
            if display_width(start) + col_spacing > len(indent):
                self.write(f"{start}\n")
                start = ""
            self.write(wrap(text, self.width, pad(start, len(indent)), indent) + "\n")


class LocalizedContext(click.Context):
    """A context whose help pages are written by that formatter."""

    formatter_class = WideLetterFormatter


class LocalizedCommand(click.Command):
    """A command whose help page has examples and the catalog's headings."""

    context_class = LocalizedContext

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence of the help, whole."""
        return re.split(r"(?<=\.)\s", self.help or "", maxsplit=1)[0]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        with formatter.section(message("cli.examples").text()):
            for key, example in EXAMPLES.get(self.name or "", {}).items():
                end = "" if "--lang" in example else kept_language()
                formatter.write(f"  # {message(f'example.{key}')}\n  {example}{end}\n")

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix=message("cli.usage").text() + " ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        by_heading: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for option in options:
            if record := option.get_help_record(ctx):
                by_heading[getattr(option, "heading", None) or HEADINGS[-1]].append(record)
        headings = [heading for heading in HEADINGS if by_heading[heading]]
        for heading in headings:
            title = message(f"cli.{heading}_options" if len(headings) > 1 else "cli.options")
            with formatter.section(title.text()):
                formatter.write_dl(by_heading[heading])

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
        rows = [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        with formatter.section(message("cli.commands").text()):
            formatter.write_dl(rows)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [message("cli.command_metavar").text()]


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]  # generic from click 8.4 on
else:
    _ParamType = click.ParamType


class NumberOrText(_ParamType):
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
    return LocalizedOption(
        ["--lang"],
        metavar="[en|ko]",
        help=message("help.lang").text(),
        expose_value=False,
        callback=check_language,
    )
