"""A lesson in a terminal of 80 columns: prose, tables, sketches, programs, and its questions, asked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from descentlab.lessons.course import Block, CodeBlock, FigureBlock, Lesson, ProseBlock, QuestionBlock, TableBlock
from descentlab.lessons.facts.types import ChoiceQuestion, LessonTable
from descentlab.lessons.formulas import formula_to_text, replace_formulas
from descentlab.lessons.grading import OPTION_LETTERS, OTHER_KEY, RIGHT_KEY, grade
from descentlab.lessons.render.text_plot import render_text_plot
from descentlab.messages import display_width, message, pad, wrap

TERMINAL_WIDTH = 80

_INLINE_MARKUP = re.compile(r"\*\*(.+?)\*\*|(?<!\*)\*([^*\s][^*]*?)\*(?!\*)|`([^`]+)`", re.DOTALL)


@dataclass(frozen=True)
class Styles:
    """How a terminal shows what matters: functions from text to text."""

    bold: Callable[[str], str]
    code: Callable[[str], str]


PLAIN_STYLES = Styles(bold=str, code=str)


def render_lesson(lesson: Lesson, styles: Styles = PLAIN_STYLES) -> Iterator[QuestionBlock | str]:
    """The lesson from top to bottom: text to print, and between it the questions, to be asked by the caller."""
    yield styles.bold(message("lesson.heading", number=lesson.number, title=lesson.title).text(lesson.lang))
    for block in lesson.blocks:
        if isinstance(block, QuestionBlock):
            yield block
        else:
            yield _block_to_text(block, lesson, styles)


def _block_to_text(block: Block, lesson: Lesson, styles: Styles) -> str:
    if isinstance(block, ProseBlock):
        return "\n\n".join(paragraph_to_text(each, styles) for each in re.split(r"\n\s*\n", block.text))
    if isinstance(block, TableBlock):
        return table_to_text(lesson.facts.tables[block.name], block.headings)
    if isinstance(block, FigureBlock):
        live = message("lesson.live", number=lesson.number).text(lesson.lang)
        captions = [wrap(inline_to_text(text, styles), TERMINAL_WIDTH) for text in (block.caption, live)]
        return "\n".join([render_text_plot(lesson.facts.figures[block.name], lesson.lang), *captions])
    if isinstance(block, CodeBlock):
        return "\n".join(styles.code(line) if line else "" for line in block.text.splitlines())  # to be copied as it is
    return format_question(block, styles)


def paragraph_to_text(text: str, styles: Styles) -> str:
    """One paragraph, heading, list or formula of the prose."""
    if text.startswith("## "):
        return styles.bold(text.removeprefix("## "))
    if re.fullmatch(r"\$\w+\$", text.strip()):
        return f"    {replace_formulas(text.strip(), formula_to_text)}"
    if text.startswith("- "):
        items = re.split(r"\n(?=- )", text)
        return "\n".join(
            wrap(
                inline_to_text(" ".join(each.removeprefix("- ").split()), styles),
                TERMINAL_WIDTH - 2,
                initial_indent="- ",
                subsequent_indent="  ",
            )
            for each in items
        )
    return wrap(inline_to_text(" ".join(text.split()), styles), TERMINAL_WIDTH)


def inline_to_text(text: str, styles: Styles) -> str:
    """Emphasis as the terminal has it, code without its backticks, formulas as text."""
    with_formulas = replace_formulas(text, formula_to_text)
    return _INLINE_MARKUP.sub(
        lambda match: styles.bold(match[1] or match[2]) if not match[3] else styles.code(match[3]), with_formulas
    )


def table_to_text(table: LessonTable, headings: tuple[str, ...]) -> str:
    """Cells under their headings, numbers to the right."""
    rows = [headings, *table.formatted_rows()]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join(pad(cell, columns, align_right=True) for cell, columns in zip(row, widths, strict=True))
        for row in rows
    )


def format_question(block: QuestionBlock, styles: Styles) -> str:
    """A question in words, with its options."""
    prompt = wrap(
        inline_to_text(" ".join(block.prompt.split()), styles),
        TERMINAL_WIDTH - 2,
        initial_indent="? ",
        subsequent_indent="  ",
    )
    options = (
        wrap(inline_to_text(text, styles), TERMINAL_WIDTH, initial_indent=f"  {letter})  ")
        for letter, text in zip(OPTION_LETTERS, block.options.values(), strict=False)
    )
    return "\n".join([prompt, *options])


def format_unreadable(block: QuestionBlock, lang: str) -> str:
    """The reply to an answer that cannot be read."""
    key = "lesson.unread_choice" if block.options else "lesson.unread"
    return message(key, options=list(OPTION_LETTERS[: len(block.options)])).text(lang)


def grade_answer(lesson: Lesson, block: QuestionBlock, answer: str, styles: Styles = PLAIN_STYLES) -> tuple[bool, str]:
    """Whether an answer is right, and the reply."""
    question = lesson.facts.questions[block.name]
    note_key = grade(question, answer)
    if note_key is None:
        return False, format_unreadable(block, lesson.lang)
    note = block.notes.get(note_key, block.notes[OTHER_KEY])
    return note_key == RIGHT_KEY, wrap(
        inline_to_text(note, styles), TERMINAL_WIDTH - 2, initial_indent="  ", subsequent_indent="  "
    )


def format_solutions(lesson: Lesson, styles: Styles = PLAIN_STYLES) -> Iterator[str]:
    """For teachers: every question with its answer and the reply to each common mistake."""
    for block in lesson.blocks:
        if isinstance(block, QuestionBlock):
            question = lesson.facts.questions[block.name]
            if isinstance(question, ChoiceQuestion):
                letters = dict(zip(question.options, OPTION_LETTERS, strict=False))
                answers = {RIGHT_KEY: letters[question.answer]} | {
                    key: letters[key] for key in letters if key in block.notes
                }
            else:
                answers = {
                    name: f"{value:.10g}" for name, value in [(RIGHT_KEY, question.answer), *question.mistakes.items()]
                }
            notes = (
                wrap(
                    inline_to_text(block.notes[name], styles),
                    TERMINAL_WIDTH,
                    initial_indent=f"  {answer}: ",
                    subsequent_indent="    ",
                )
                for name, answer in answers.items()
            )
            yield "\n".join([format_question(block, styles), "", *notes])
