"""``descentlab lesson``: the course in a terminal, with its questions and the answers given so far."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from descentlab.cli.terminal.exit_codes import ExitCode
from descentlab.cli.terminal.localized_click import LocalizedCommand, LocalizedOption, NumberOrText, language_option
from descentlab.errors import SettingError, check_int
from descentlab.lessons import progress
from descentlab.lessons.course import Lesson, QuestionBlock, lesson_slugs, load_lesson, outline
from descentlab.lessons.render.notebook import render_notebook
from descentlab.lessons.render.terminal import Styles, format_question, format_solutions, grade_answer, render_lesson
from descentlab.messages import current_language, message

TERMINAL_STYLES = Styles(bold=lambda text: click.style(text, bold=True), code=lambda text: click.style(text, fg="cyan"))


def command() -> click.Command:
    """The command."""
    return LocalizedCommand(
        "lesson",
        callback=run,
        help=message("help.lesson").text(),
        params=[
            click.Argument(["number"], type=NumberOrText(), required=False),
            LocalizedOption(["--ask/--no-ask"], default=None, help=message("help.lesson.ask").text()),
            LocalizedOption(["--answers"], is_flag=True, help=message("help.lesson.answers").text()),
            LocalizedOption(["--notebook"], metavar="FILE", help=message("help.lesson.notebook").text()),
            LocalizedOption(["--forget"], is_flag=True, help=message("help.lesson.forget").text()),
            language_option(),
        ],
    )


def run(*, number: Any, ask: bool | None, answers: bool, notebook: str | None, forget: bool) -> int | None:
    """The list, or one lesson from top to bottom."""
    if forget:
        progress.reset_progress(
            None if number is None else load_lesson(check_int("number", number, 1), current_language()).slug
        )
        click.echo(message("lesson.forgotten").text())
    elif number is None:
        if notebook is not None:
            raise click.MissingParameter(param=click.Argument(["number"]))
        _print_lesson_list()
    else:
        selected_lesson = load_lesson(check_int("number", number, 1), current_language())
        if notebook is not None:
            _write_notebook(selected_lesson, notebook)
        elif answers:
            click.echo("\n\n".join(format_solutions(selected_lesson, TERMINAL_STYLES)))
        else:
            return _run_lesson(selected_lesson, sys.stdin.isatty() if ask is None else ask)
    return None


def _write_notebook(lesson: Lesson, path: str) -> None:
    """Write the lesson as a notebook; an existing one, which may contain answers, is kept."""
    if Path(path).suffix != ".ipynb":
        raise SettingError("notebook_format", path=path)
    text = render_notebook(lesson)
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as cause:
        raise SettingError("notebook_exists", path=path) from cause
    except OSError as cause:
        raise SettingError("unwritable", path=path, cause=cause.strerror or str(cause)) from cause
    click.echo(message("lesson.written", path=path, argument=shlex.quote(path), python=sys.executable).text())


def _print_lesson_list() -> None:
    for number, slug in lesson_slugs().items():
        title, questions = outline(number, current_language())
        n_answered = _count_answered(slug, questions)
        values = {"number": number, "title": title, "done": n_answered, "questions": len(questions)}
        click.echo(("✓ " if n_answered == len(questions) else "  ") + message("lesson.listed", **values).text())
    click.echo("\n" + message("lesson.open").text())


def _run_lesson(lesson: Lesson, ask: bool) -> int | None:
    """Run a lesson, which one may interrupt: a right answer is stored at once."""
    try:
        _print_lesson(lesson, ask)
    except (KeyboardInterrupt, click.Abort):
        click.echo()
        click.echo(message("lesson.interrupted").text(), err=True)
        return ExitCode.INTERRUPTED
    return None


def _print_lesson(lesson: Lesson, ask: bool) -> None:
    for item in render_lesson(lesson, TERMINAL_STYLES):
        if isinstance(item, str):
            click.echo(item + "\n")
        else:
            click.echo(format_question(item, TERMINAL_STYLES))
            if ask:
                _ask_until_right(lesson, item)
            click.echo()
    n_answered = _count_answered(lesson.slug, lesson.question_names)
    click.echo(message("lesson.kept", done=n_answered, questions=len(lesson.question_names)).text())


def _count_answered(slug: str, questions: list[str]) -> int:
    """The number of a lesson's questions that are answered."""
    return len(set(progress.load_answered().get(slug, ())) & set(questions))


def _ask_until_right(lesson: Lesson, question: QuestionBlock) -> None:
    """Ask until the answer is right or empty."""
    while answer := click.prompt(message("lesson.answer").text(), default="", show_default=False).strip():
        is_right, note = grade_answer(lesson, question, answer, TERMINAL_STYLES)
        click.echo(note)
        if is_right:
            return _save_answered(lesson, question)
    return None


def _save_answered(lesson: Lesson, question: QuestionBlock) -> None:
    """If the answer cannot be stored, the lesson continues."""
    try:
        progress.mark_answered(lesson.slug, question.name)
    except OSError as cause:
        path, reason = cause.filename or progress.progress_path(), cause.strerror or str(cause)
        click.echo(message("error.unwritable", path=path, cause=reason).text(), err=True)
