"""A lesson as a Jupyter notebook that runs from top to bottom: its prose, its programs, live figures, its questions.

The format is nbformat 4.5's, which is JSON; see https://nbformat.readthedocs.io.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from descentlab.errors import one_of
from descentlab.lab.lab import Lab
from descentlab.lab.spec import spec
from descentlab.lessons import progress
from descentlab.lessons.course import (
    Block,
    CodeBlock,
    FigureBlock,
    Lesson,
    Prose,
    QuestionBlock,
    TableBlock,
    lesson,
    sections,
)
from descentlab.lessons.facts.shared import lesson as lesson_problem
from descentlab.lessons.grading import LETTERS
from descentlab.lessons.render.markdown import prose, table
from descentlab.lessons.render.svg_plot import drawing
from descentlab.lessons.render.terminal import PLAIN, answered, inline
from descentlab.messages import language, sentence

Cell = tuple[str, str]  # its kind, its text


@dataclass(frozen=True)
class Drawn:
    """A picture that a notebook shows, and what it shows in words."""

    svg: str
    caption: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return self.caption


@dataclass(frozen=True)
class Opened:
    """A lesson in a notebook: its live figures, and answers to its questions."""

    lesson: Lesson

    def figure(self, name: str) -> Lab:
        """A figure of the lesson as a lab.

        Raises:
            SettingError: the lesson has no such figure.
        """
        one_of("figure", name, self.lesson.facts.figures)
        figure = self.lesson.facts.figures[name]
        opening = f"#v=1&l={self.lesson.lang}&{figure.state}"
        return Lab({**spec(lesson_problem(), None, "lesson"), "opening": opening, "views": figure.views})

    def drawing(self, name: str) -> Drawn:
        """A figure's runs side by side.

        Raises:
            SettingError: the lesson has no such figure.
        """
        one_of("figure", name, self.lesson.facts.figures)
        block = next(each for each in self.lesson.blocks if isinstance(each, FigureBlock) and each.name == name)
        caption = inline(block.caption, PLAIN)
        return Drawn(drawing(self.lesson.facts.figures[name], caption, self.lesson.lang), caption)

    def check(self, name: str, answer: object) -> None:
        """Say whether an answer is right, and why; None is no answer yet.

        Raises:
            SettingError: the lesson has no such question.
        """
        one_of("question", name, self.lesson.questions)
        if answer is None:
            print(sentence("lesson.no_answer").text(self.lesson.lang))
            return
        block = next(each for each in self.lesson.blocks if isinstance(each, QuestionBlock) and each.name == name)
        right, said = answered(self.lesson, block, str(answer))
        if right:
            progress.keep(self.lesson.slug, name)
        print(said)

    def __repr__(self) -> str:
        return sentence("lesson.heading", number=self.lesson.number, title=self.lesson.title).text(self.lesson.lang)


def opened(number: int, lang: str | None = None) -> Opened:
    """Lesson ``number``, counted from 1, for a notebook.

    Raises:
        SettingError: there is no such lesson.
    """
    return Opened(lesson(number, lang or language()))


def notebook(lesson: Lesson) -> str:
    """The notebook's file."""
    made = [_cell(f"cell-{i}", kind, text) for i, (kind, text) in enumerate(_cells(lesson))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _cell(name: str, kind: str, text: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _cells(lesson: Lesson) -> Iterator[Cell]:
    heading = sentence("lesson.heading", number=lesson.number, title=lesson.title).text(lesson.lang)
    yield "markdown", f"# {heading}"
    yield "code", f'from descentlab.lessons import opened\n\nlesson = opened({lesson.number}, lang="{lesson.lang}")'
    for section in sections(lesson.blocks):
        for block in section:
            yield from _of(block, lesson)
        for block in section:  # what to do in a live figure stands above it
            if isinstance(block, FigureBlock):
                yield "code", f'lesson.figure("{block.name}")'


def _of(block: Block, lesson: Lesson) -> Iterator[Cell]:
    if isinstance(block, Prose):
        yield "markdown", prose(block.text)
    elif isinstance(block, TableBlock):
        yield "markdown", table(lesson.facts.tables[block.name], block.headings)
    elif isinstance(block, FigureBlock):
        if lesson.facts.figures[block.name].compares:
            yield "code", f'lesson.drawing("{block.name}")'
            yield "markdown", prose(block.caption)
    elif isinstance(block, QuestionBlock):
        options = "".join(
            f"\n- {letter}) {text}" for letter, text in zip(LETTERS, block.options.values(), strict=False)
        )
        yield "markdown", prose(f"**{block.prompt}**\n{options}")
        hint = sentence("lesson.write_letter" if options else "lesson.write_here").text(lesson.lang)
        yield "code", f'answer = None  # {hint}\nlesson.check("{block.name}", answer)'
    elif isinstance(block, CodeBlock):
        yield "code", block.text.rstrip()
