"""A lesson as a Jupyter notebook that runs from top to bottom: its prose, its programs, live figures, its questions.

The format is nbformat 4.5's, which is JSON; see https://nbformat.readthedocs.io.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from descentlab.errors import check_choice
from descentlab.lab.lab import Lab
from descentlab.lab.spec import make_spec
from descentlab.lessons import progress
from descentlab.lessons.course import (
    Block,
    CodeBlock,
    FigureBlock,
    Lesson,
    ProseBlock,
    QuestionBlock,
    TableBlock,
    load_lesson,
    split_sections,
)
from descentlab.lessons.facts.shared import lesson_problem
from descentlab.lessons.grading import OPTION_LETTERS
from descentlab.lessons.render.markdown import prose_to_markdown, table_to_markdown
from descentlab.lessons.render.svg_plot import render_svg_plot
from descentlab.lessons.render.terminal import PLAIN_STYLES, grade_answer, inline_to_text
from descentlab.messages import current_language, message

NotebookCell = tuple[str, str]  # its kind, its text


@dataclass(frozen=True)
class SvgFigure:
    """An SVG plot for a notebook, and its caption."""

    svg: str
    caption: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return self.caption


@dataclass(frozen=True)
class NotebookLesson:
    """A lesson in a notebook: its live figures, and answers to its questions."""

    lesson: Lesson

    def figure(self, name: str) -> Lab:
        """A figure of the lesson as a lab.

        Raises:
            SettingError: the lesson has no such figure.
        """
        check_choice("figure", name, self.lesson.facts.figures)
        figure = self.lesson.facts.figures[name]
        opening = f"#v=1&l={self.lesson.lang}&{figure.state}"
        return Lab({**make_spec(lesson_problem(), None, "lesson"), "opening": opening, "views": figure.views})

    def drawing(self, name: str) -> SvgFigure:
        """A figure's runs side by side.

        Raises:
            SettingError: the lesson has no such figure.
        """
        check_choice("figure", name, self.lesson.facts.figures)
        block = self.lesson.find(FigureBlock, name)
        caption = inline_to_text(block.caption, PLAIN_STYLES)
        return SvgFigure(render_svg_plot(self.lesson.facts.figures[name], caption, self.lesson.lang), caption)

    def check(self, name: str, answer: object) -> None:
        """Say whether an answer is right, and why; None means no answer yet.

        Raises:
            SettingError: the lesson has no such question.
        """
        check_choice("question", name, self.lesson.question_names)
        if answer is None:
            print(message("lesson.no_answer").text(self.lesson.lang))
            return
        block = self.lesson.find(QuestionBlock, name)
        is_right, note = grade_answer(self.lesson, block, str(answer))
        if is_right:
            progress.mark_answered(self.lesson.slug, name)
        print(note)

    def __repr__(self) -> str:
        return message("lesson.heading", number=self.lesson.number, title=self.lesson.title).text(self.lesson.lang)


def open_lesson(number: int, lang: str | None = None) -> NotebookLesson:
    """Lesson ``number``, counted from 1, for a notebook.

    Raises:
        SettingError: there is no such lesson.
    """
    return NotebookLesson(load_lesson(number, lang or current_language()))


def render_notebook(lesson: Lesson) -> str:
    """The notebook's file."""
    cells = [_make_cell(f"cell-{i}", kind, text) for i, (kind, text) in enumerate(_notebook_cells(lesson))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _make_cell(name: str, cell_type: str, text: str) -> dict[str, Any]:
    cell = {"cell_type": cell_type, "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if cell_type == "code" else {})


def _notebook_cells(lesson: Lesson) -> Iterator[NotebookCell]:
    heading = message("lesson.heading", number=lesson.number, title=lesson.title).text(lesson.lang)
    yield "markdown", f"# {heading}"
    yield (
        "code",
        f'from descentlab.lessons import open_lesson\n\nlesson = open_lesson({lesson.number}, lang="{lesson.lang}")',
    )
    for section in split_sections(lesson.blocks):
        for block in section:
            yield from _block_cells(block, lesson)
        for block in section:  # what to do in a live figure stands above it
            if isinstance(block, FigureBlock):
                yield "code", f'lesson.figure("{block.name}")'


def _block_cells(block: Block, lesson: Lesson) -> Iterator[NotebookCell]:
    if isinstance(block, ProseBlock):
        yield "markdown", prose_to_markdown(block.text)
    elif isinstance(block, TableBlock):
        yield "markdown", table_to_markdown(lesson.facts.tables[block.name], block.headings)
    elif isinstance(block, FigureBlock):
        if lesson.facts.figures[block.name].has_several_runs:
            yield "code", f'lesson.drawing("{block.name}")'
            yield "markdown", prose_to_markdown(block.caption)
    elif isinstance(block, QuestionBlock):
        options = "".join(
            f"\n- {letter}) {text}" for letter, text in zip(OPTION_LETTERS, block.options.values(), strict=False)
        )
        yield "markdown", prose_to_markdown(f"**{block.prompt}**\n{options}")
        hint = message("lesson.write_letter" if options else "lesson.write_here").text(lesson.lang)
        yield "code", f'answer = None  # {hint}\nlesson.check("{block.name}", answer)'
    elif isinstance(block, CodeBlock):
        yield "code", block.text.rstrip()
