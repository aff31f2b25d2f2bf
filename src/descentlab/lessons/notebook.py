"""A lesson as a Jupyter notebook that runs from top to bottom: its prose, its programs, live figures, its questions.

The format is nbformat 4.5's, which is JSON; see https://nbformat.readthedocs.io.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from descentlab.lessons.course import Block, CodeBlock, FigureBlock, Lesson, Prose, QuestionBlock, TableBlock
from descentlab.lessons.markdown import prose, table
from descentlab.text import sentence

Cell = tuple[str, str]  # its kind, its text


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
    for block in lesson.blocks:
        yield from _of(block, lesson)


def _of(block: Block, lesson: Lesson) -> Iterator[Cell]:
    if isinstance(block, Prose):
        yield "markdown", prose(block.text)
    elif isinstance(block, TableBlock):
        yield "markdown", table(lesson.facts.tables[block.name], block.headings)
    elif isinstance(block, FigureBlock):
        yield "markdown", prose(block.caption)
        yield "code", f'lesson.figure("{block.name}")'
    elif isinstance(block, QuestionBlock):
        options = "".join(f"\n- `{key}`: {text}" for key, text in block.options.items())
        yield "markdown", prose(f"**{block.prompt}**\n{options}")
        hint = sentence("lesson.write_here").text(lesson.lang)
        yield "code", f'answer = None  # {hint}\nlesson.check("{block.name}", answer)'
    elif isinstance(block, CodeBlock):
        yield "code", block.text.rstrip()
