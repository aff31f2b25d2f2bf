"""``descentlab lesson``: the course in a terminal, its questions asked, and how far one has come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from descentlab.cli import INTERRUPTED
from descentlab.cli.localized_click import Localised, Number, language_option
from descentlab.errors import SettingError, whole_number
from descentlab.lessons import progress
from descentlab.lessons.course import Lesson, QuestionBlock, lesson, lessons, outline
from descentlab.lessons.render.notebook import notebook as notebook_of
from descentlab.lessons.render.terminal import Styles, answered, asked, rendered, solved
from descentlab.messages import language, sentence

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


def run(*, number: Any, ask: bool | None, answers: bool, notebook: str | None, forget: bool) -> int | None:
    """The list, or one lesson from top to bottom."""
    if forget:
        progress.forget(None if number is None else lesson(whole_number("number", number, 1), language()).slug)
        click.echo(sentence("lesson.forgotten").text())
    elif number is None:
        if notebook is not None:
            raise click.MissingParameter(param=click.Argument(["number"]))
        _list()
    else:
        opened = lesson(whole_number("number", number, 1), language())
        if notebook is not None:
            _write(opened, notebook)
        elif answers:
            click.echo("\n\n".join(solved(opened, STYLES)))
        else:
            return _told(opened, sys.stdin.isatty() if ask is None else ask)
    return None


def _write(opened: Lesson, path: str) -> None:
    """The lesson as a notebook, which is not written over one that may hold answers."""
    if Path(path).suffix != ".ipynb":
        raise SettingError("notebook_format", path=path)
    text = notebook_of(opened)
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as cause:
        raise SettingError("notebook_exists", path=path) from cause
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


def _told(opened: Lesson, ask: bool) -> int | None:
    """The exit code of a lesson that may be left half-way: an answer is kept as soon as it is right."""
    try:
        _tell(opened, ask)
    except (KeyboardInterrupt, click.Abort):
        click.echo()
        click.echo(sentence("lesson.interrupted").text(), err=True)
        return INTERRUPTED
    return None


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
            return _keep(opened, question)
    return None


def _keep(opened: Lesson, question: QuestionBlock) -> None:
    """Where nothing can be written, the lesson goes on all the same."""
    try:
        progress.keep(opened.slug, question.name)
    except OSError as cause:
        path, why = cause.filename or progress.place(), cause.strerror or str(cause)
        click.echo(sentence("error.unwritable", path=path, cause=why).text(), err=True)
