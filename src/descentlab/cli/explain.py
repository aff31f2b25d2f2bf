"""``descentlab explain``: the page of a finding in the terminal, or the list of all pages."""

from __future__ import annotations

import re

import click
from click.shell_completion import CompletionItem

from descentlab.cli.lesson import TERMINAL_STYLES
from descentlab.cli.terminal.localized_click import LocalizedCommand, language_option
from descentlab.doctor.finding_pages import finding_titles, read_finding_page
from descentlab.errors import SettingError, did_you_mean
from descentlab.lessons.render.terminal import paragraph_to_text
from descentlab.messages import current_language, message, pad

NAME_WIDTH = 24
_CODE = re.compile(r"^```\w*\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


def command() -> click.Command:
    """The command."""
    name = click.Argument(["name"], required=False, shell_complete=_complete_name)
    return LocalizedCommand(
        "explain", callback=run, help=message("help.explain").text(), params=[name, language_option()]
    )


def run(*, name: str | None) -> None:
    """Print the list, or one page."""
    lang = current_language()
    titles = finding_titles(lang)
    if name is None:
        for topic, titles_by_name in titles.items():
            click.echo(TERMINAL_STYLES.bold(topic.replace("`", "")))
            click.echo("".join(f"  {pad(each, NAME_WIDTH)}  {title}\n" for each, title in titles_by_name.items()))
        click.echo(message("explain.open").text())
    else:
        page = read_finding_page(find_name(name, {k: v for topic in titles.values() for k, v in topic.items()}), lang)
        click.echo(page_to_text(page))


def find_name(given: str, titles: dict[str, str]) -> str:
    """The name of the finding that was meant; raises SettingError, with names that are close, if there is none."""
    name = given.strip("`'\"").lower().replace("-", "_").replace(" ", "_")
    if name in titles:
        return name
    related = [f"`{each}`" for each, title in titles.items() if name in each or given.lower() in title.lower()]
    near = message("explain.related", names=related) if name and related else did_you_mean(name, titles)
    raise SettingError("no_such_finding", given=given, near=near)


def page_to_text(markdown: str) -> str:
    """A page for a terminal of 80 columns: prose wrapped, code indented, links by their words."""
    pieces = _CODE.split(markdown.strip())
    paragraphs = []
    for prose, code in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        paragraphs += [_prose_to_text(each) for each in re.split(r"\n\s*\n", prose.strip()) if each]
        paragraphs += ["\n".join(TERMINAL_STYLES.code(f"    {line}") for line in code.rstrip().splitlines())] * bool(
            code
        )
    return "\n\n".join(paragraphs)


def _prose_to_text(paragraph: str) -> str:
    heading = re.fullmatch(r"#+ (.+)", paragraph)
    text = _LINK.sub(r"\1", paragraph)
    return TERMINAL_STYLES.bold(heading[1]) if heading else paragraph_to_text(text, TERMINAL_STYLES)


def _complete_name(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = (name for titles in finding_titles().values() for name in titles)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
