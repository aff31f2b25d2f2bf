"""``descentlab lesson``: the course in a terminal, its questions asked, and how far one has come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from descentlab.cli.words import Localised, Number, language_option
from descentlab.errors import SettingError, whole_number
from descentlab.lessons import progress
from descentlab.lessons.course import Lesson, QuestionBlock, lesson, lessons, outline
from descentlab.lessons.notebook import notebook as notebook_of
from descentlab.lessons.terminal import Styles, answered, asked, rendered, solved
from descentlab.text import language, sentence

STYLES = Styles(bold=lambda text: click.style(text, bold=True), code=lambda text: click.style(text, fg="cyan"))


def command() -> click.Command:
    """The command."""
    return Localised(
        "lesson",
        callback=run,
        help=sentence("help.lesson").text(),
        params=[
            click.Argument(["number"], type=Number(), required=False),
            click.Option(["--ask/--no-ask"], default=None, help=sentence("help.lesson.ask").text()),
            click.Option(["--answers"], is_flag=True, help=sentence("help.lesson.answers").text()),
            click.Option(["--notebook"], metavar="FILE", help=sentence("help.lesson.notebook").text()),
            click.Option(["--forget"], is_flag=True, help=sentence("help.lesson.forget").text()),
            language_option(),
        ],
    )


def run(*, number: Any, ask: bool | None, answers: bool, notebook: str | None, forget: bool) -> None:
    """The list, or one lesson from top to bottom."""
    if forget:
        progress.forget()
        click.echo(sentence("lesson.forgotten").text())
    elif number is None:
        _list()
    else:
        opened = lesson(whole_number("number", number, 1), language())
        if notebook is not None:
            _write(opened, notebook)
        elif answers:
            click.echo("\n\n".join(solved(opened, STYLES)))
        else:
            _tell(opened, sys.stdin.isatty() if ask is None else ask)


def _write(opened: Lesson, path: str) -> None:
    """The lesson as a notebook."""
    if Path(path).suffix != ".ipynb":
        raise SettingError("notebook_format", path=path)
    try:
        Path(path).write_text(notebook_of(opened), "utf-8")
    except OSError as cause:
        raise SettingError("unwritable", path=path, cause=cause.strerror or str(cause)) from cause
    click.echo(sentence("lesson.written", path=path).text())


def _list() -> None:
    for place, slug in lessons().items():
        title, questions = outline(place, language())
        done = _done(slug, questions)
        values = {"number": place, "title": title, "done": done, "questions": len(questions)}
        click.echo(("✓ " if done == len(questions) else "  ") + sentence("lesson.listed", **values).text())
    click.echo("\n" + sentence("lesson.open").text())


def _tell(opened: Lesson, ask: bool) -> None:
    for part in rendered(opened, STYLES):
        if isinstance(part, str):
            click.echo(part + "\n")
        else:
            click.echo(asked(part, STYLES))
            if ask:
                _ask(opened, part)
            click.echo()
    done = _done(opened.slug, opened.questions)
    click.echo(sentence("lesson.kept", done=done, questions=len(opened.questions)).text())


def _done(slug: str, questions: list[str]) -> int:
    """How many of a lesson's questions are answered."""
    return len(set(progress.done().get(slug, ())) & set(questions))


def _ask(opened: Lesson, question: QuestionBlock) -> None:
    """Until it is right, or left."""
    while answer := click.prompt(sentence("lesson.answer").text(), default="", show_default=False).strip():
        right, said = answered(opened, question, answer, STYLES)
        click.echo(said)
        if right:
            return progress.keep(opened.slug, question.name)
    return None
