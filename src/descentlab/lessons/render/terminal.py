"""A lesson in a terminal of 80 columns: prose, tables, sketches, programs, and its questions, asked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from descentlab.lessons.course import Block, CodeBlock, FigureBlock, Lesson, Prose, QuestionBlock, TableBlock
from descentlab.lessons.facts.types import Choice, Table
from descentlab.lessons.formulas import as_text, placed
from descentlab.lessons.grading import LETTERS, OTHER, RIGHT, graded
from descentlab.lessons.render.text_plot import sketch
from descentlab.messages import padded, sentence, width, wrapped

WIDTH = 80

_MARKS = re.compile(r"\*\*(.+?)\*\*|(?<!\*)\*([^*\s][^*]*?)\*(?!\*)|`([^`]+)`", re.DOTALL)


@dataclass(frozen=True)
class Styles:
    """How a terminal shows what matters: functions from text to text."""

    bold: Callable[[str], str]
    code: Callable[[str], str]


PLAIN = Styles(bold=str, code=str)


def rendered(lesson: Lesson, styles: Styles = PLAIN) -> Iterator[QuestionBlock | str]:
    """The lesson from top to bottom: text to print, and between it the questions, to be asked by the caller."""
    yield styles.bold(sentence("lesson.heading", number=lesson.number, title=lesson.title).text(lesson.lang))
    for block in lesson.blocks:
        if isinstance(block, QuestionBlock):
            yield block
        else:
            yield _text(block, lesson, styles)


def _text(block: Block, lesson: Lesson, styles: Styles) -> str:
    if isinstance(block, Prose):
        return "\n\n".join(paragraph(each, styles) for each in re.split(r"\n\s*\n", block.text))
    if isinstance(block, TableBlock):
        return table(lesson.facts.tables[block.name], block.headings)
    if isinstance(block, FigureBlock):
        live = sentence("lesson.live", number=lesson.number).text(lesson.lang)
        captions = [wrapped(inline(text, styles), WIDTH) for text in (block.caption, live)]
        return "\n".join([sketch(lesson.facts.figures[block.name], lesson.lang), *captions])
    if isinstance(block, CodeBlock):
        return "\n".join(styles.code(line) if line else "" for line in block.text.splitlines())  # to be copied as it is
    return asked(block, styles)


def paragraph(text: str, styles: Styles) -> str:
    """One paragraph, heading, list or formula of the prose."""
    if text.startswith("## "):
        return styles.bold(text.removeprefix("## "))
    if re.fullmatch(r"\$\w+\$", text.strip()):
        return f"    {placed(text.strip(), as_text)}"
    if text.startswith("- "):
        items = re.split(r"\n(?=- )", text)
        return "\n".join(
            wrapped(inline(" ".join(each.removeprefix("- ").split()), styles), WIDTH - 2, first="- ", rest="  ")
            for each in items
        )
    return wrapped(inline(" ".join(text.split()), styles), WIDTH)


def inline(text: str, styles: Styles) -> str:
    """Emphasis as the terminal has it, code without its backticks, formulas as text."""
    said = placed(text, as_text)
    return _MARKS.sub(lambda found: styles.bold(found[1] or found[2]) if not found[3] else styles.code(found[3]), said)


def table(facts: Table, headings: tuple[str, ...]) -> str:
    """Cells under their headings, numbers to the right."""
    rows = [headings, *facts.texts()]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join(padded(cell, columns, right=True) for cell, columns in zip(row, widths, strict=True))
        for row in rows
    )


def asked(block: QuestionBlock, styles: Styles) -> str:
    """A question in words, with its options."""
    prompt = wrapped(inline(" ".join(block.prompt.split()), styles), WIDTH - 2, first="? ", rest="  ")
    options = (
        wrapped(inline(text, styles), WIDTH, first=f"  {letter})  ")
        for letter, text in zip(LETTERS, block.options.values(), strict=False)
    )
    return "\n".join([prompt, *options])


def unread(block: QuestionBlock, lang: str) -> str:
    """What is said of an answer that cannot be read."""
    key = "lesson.unread_choice" if block.options else "lesson.unread"
    return sentence(key, options=list(LETTERS[: len(block.options)])).text(lang)


def answered(lesson: Lesson, block: QuestionBlock, answer: str, styles: Styles = PLAIN) -> tuple[bool, str]:
    """Whether an answer is right, and what is said of it."""
    question = lesson.facts.questions[block.name]
    verdict = graded(question, answer)
    if verdict is None:
        return False, unread(block, lesson.lang)
    note = block.notes.get(verdict, block.notes[OTHER])
    return verdict == RIGHT, wrapped(inline(note, styles), WIDTH - 2, first="  ", rest="  ")


def solved(lesson: Lesson, styles: Styles = PLAIN) -> Iterator[str]:
    """For who teaches: every question with the right answer, and what is said of each common slip."""
    for block in lesson.blocks:
        if isinstance(block, QuestionBlock):
            question = lesson.facts.questions[block.name]
            if isinstance(question, Choice):
                letters = dict(zip(question.options, LETTERS, strict=False))
                answers = {RIGHT: letters[question.answer]} | {
                    key: letters[key] for key in letters if key in block.notes
                }
            else:
                answers = {
                    name: f"{value:.10g}" for name, value in [(RIGHT, question.answer), *question.mistakes.items()]
                }
            told = (
                wrapped(inline(block.notes[name], styles), WIDTH, first=f"  {answer}: ", rest="    ")
                for name, answer in answers.items()
            )
            yield "\n".join([asked(block, styles), "", *told])
