"""A lesson as a page: prose on the left, live figures on the right, formulas as MathML, questions that are graded.

It is the lab's page with other contents: one file that loads nothing else, in one language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from html import escape
from typing import Any

from descentlab.dependencies import require
from descentlab.lab.page import PageTemplate
from descentlab.lab.spec import make_spec
from descentlab.lessons.course import (
    Block,
    CodeBlock,
    FigureBlock,
    Lesson,
    ProseBlock,
    QuestionBlock,
    TableBlock,
    lesson_slugs,
    outline,
    split_sections,
)
from descentlab.lessons.facts.shared import lesson_problem
from descentlab.lessons.facts.types import LessonFigure, LessonTable
from descentlab.lessons.formulas import FORMULAS, replace_formulas
from descentlab.lessons.render import terminal
from descentlab.lessons.render.svg_plot import render_svg_plot
from descentlab.messages import LANGUAGES, message
from descentlab.messages.html import insert_no_break_spaces

LANGUAGE_NAMES = {"en": "English", "ko": "한국어"}
LESSON_PAGE = PageTemplate("lesson.js", ("lab.css", "lesson.css"))


def lesson_address(number: int, lang: str) -> str:
    """The relative address of a served lesson."""
    return f"{number}-{lang}"


def render_lesson_page(lesson: Lesson, answered: Mapping[str, Collection[str]] | None = None) -> str:
    """The whole page.

    Args:
        lesson: its contents.
        answered: the questions answered before, by lesson, if a server stores them and has the other lessons; None for
            a page without a server, which stores them in the browser.

    Raises:
        MissingDependencyError: what turns Markdown or formulas into HTML is not installed.
    """
    number = message("lesson.number", number=lesson.number).text(lesson.lang)
    content = "\n".join(_section_to_html(section, lesson) for section in split_sections(lesson.blocks))
    header, footer = ("", "") if answered is None else (_lesson_list(lesson, answered), _previous_next(lesson))
    body = (
        f'<main class="lesson">{header}<p class="number">{escape(number)}</p><h1>{inline_to_html(lesson.title)}</h1>\n'
        f"<noscript><p>{escape(message('lesson.without_script').text(lesson.lang))}</p></noscript>{content}\n{footer}</main>"
    )
    answered_here = None if answered is None else list(answered.get(lesson.slug, ()))
    data = {
        "spec": make_spec(lesson_problem(), None, "lesson"),
        "lesson": _script_data(lesson) | {"done": answered_here},
    }
    return LESSON_PAGE.render(f"{lesson.title} - descentlab", body, data, lesson.lang, served=answered is not None)


def _lesson_list(lesson: Lesson, answered: Mapping[str, Collection[str]]) -> str:
    """All lessons, folded, with what is done; and this one in the other language."""
    entries = ""
    for number in lesson_slugs():
        title, questions = outline(number, lesson.lang)
        mark = " \u2713" if set(questions) <= set(answered.get(lesson_slugs()[number], ())) else ""
        here = ' aria-current="page"' if number == lesson.number else ""
        entries += f'<li><a href="{lesson_address(number, lesson.lang)}"{here}>{inline_to_html(title)}</a>{mark}</li>'
    other_languages = "".join(
        f'<a href="{lesson_address(lesson.number, lang)}" lang="{lang}" hreflang="{lang}">{LANGUAGE_NAMES[lang]}</a>'
        for lang in LANGUAGES
        if lang != lesson.lang
    )
    label = escape(message("lesson.all").text(lesson.lang))
    lessons = f"<details><summary>{label}</summary><ol>{entries}</ol></details>"
    return f'<nav aria-label="{label}">{lessons}{other_languages}</nav>'


def _previous_next(lesson: Lesson) -> str:
    """The lesson before and the one after."""
    links = ""
    for number, rel, arrow in ((lesson.number - 1, "prev", "\u2190 {}"), (lesson.number + 1, "next", "{} \u2192")):
        if number in lesson_slugs():
            title, _ = outline(number, lesson.lang)
            heading = message("lesson.heading", number=number, title=title).text(lesson.lang)
            link_text = arrow.format(inline_to_html(heading))
            links += f'<a rel="{rel}" href="{lesson_address(number, lesson.lang)}">{link_text}</a>'
    label = escape(message("lesson.others").text(lesson.lang))
    return f'<nav aria-label="{label}">{links}</nav>'


def _script_data(lesson: Lesson) -> dict[str, Any]:
    """The data of the page's script: states and views of figures, answers and reasons of questions."""
    figures = {name: {"state": each.state, "views": each.views} for name, each in lesson.facts.figures.items()}
    questions = {}
    for block in lesson.blocks:
        if isinstance(block, QuestionBlock):
            notes = {key: terminal.inline_to_text(text, terminal.PLAIN_STYLES) for key, text in block.notes.items()}
            unread = (
                message("lesson.unchosen").text(lesson.lang)
                if block.options
                else terminal.format_unreadable(block, lesson.lang)
            )
            feedback = {"notes": notes, "unread": unread}
            questions[block.name] = vars(lesson.facts.questions[block.name]) | feedback
    unkept = message("lesson.unkept").text(lesson.lang)
    return {"slug": lesson.slug, "lang": lesson.lang, "figures": figures, "questions": questions, "unkept": unkept}


def _section_to_html(blocks: list[Block], lesson: Lesson) -> str:
    """The prose next to its live figures; below them, programs and questions."""
    prose = "\n".join(
        _block_to_html(block, lesson) for block in blocks if not isinstance(block, CodeBlock | QuestionBlock)
    )
    figures = "".join(
        f'<div class="figure" id="figure-{each.name}"></div>' for each in blocks if isinstance(each, FigureBlock)
    )
    tasks = "\n".join(_block_to_html(block, lesson) for block in blocks if isinstance(block, CodeBlock | QuestionBlock))
    kind = "section with-figure" if figures else "section"
    return f'<section class="{kind}"><div class="told">{prose}</div>{figures}<div class="apart">{tasks}</div></section>'


def _block_to_html(block: Block, lesson: Lesson) -> str:
    if isinstance(block, ProseBlock):
        return markdown_to_html(block.text)
    if isinstance(block, TableBlock):
        return _table_to_html(lesson.facts.tables[block.name], block.headings)
    if isinstance(block, FigureBlock):
        return _figure_to_html(lesson.facts.figures[block.name], block.caption, lesson.lang)
    if isinstance(block, CodeBlock):
        return f'<pre tabindex="0"><code>{escape(block.text.rstrip())}</code></pre>'
    return _question_to_html(block, lesson)


def _figure_to_html(figure: LessonFigure, caption: str, lang: str) -> str:
    """A plot of several runs; empty for a figure with one run."""
    if not figure.has_several_runs:
        return ""
    svg = render_svg_plot(figure, terminal.inline_to_text(caption, terminal.PLAIN_STYLES), lang)
    return f'<figure class="drawing">{svg}<figcaption>{inline_to_html(caption)}</figcaption></figure>'


def _table_to_html(table: LessonTable, headings: tuple[str, ...]) -> str:
    head = "".join(f'<th scope="col">{inline_to_html(each)}</th>' for each in headings)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.formatted_rows())
    return (
        f'<div class="scroll" tabindex="0"><table class="facts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _question_to_html(block: QuestionBlock, lesson: Lesson) -> str:
    check, write = (message(f"lesson.{key}").text(lesson.lang) for key in ("check", "your_answer"))
    if block.options:
        inputs = "".join(
            f'<label><input type="radio" name="answer" value="{key}"><span>{inline_to_html(text)}</span></label>'
            for key, text in block.options.items()
        )
        inputs += f'<div class="row"><button>{escape(check)}</button></div>'
    else:
        inputs = (
            f'<div class="row"><input type="text" name="answer" inputmode="text" autocomplete="off" '
            f'aria-label="{escape(write)}"><button>{escape(check)}</button></div>'
        )
    legend = f"<legend>{inline_to_html(' '.join(block.prompt.split()))}</legend>"
    return f'<form id="question-{block.name}"><fieldset>{legend}{inputs}</fieldset><p role="status"></p></form>'


@cache
def _markdown_renderer() -> Any:
    return require("markdown_it", "markdown-it-py", "lessons", "lessons").MarkdownIt("commonmark", {"html": False})


@cache
def formula_to_mathml(name: str, display: bool = False) -> str:
    """A formula as MathML, which browsers draw and screen readers read."""
    converter = require("latex2mathml.converter", "latex2mathml", "lessons", "lessons")
    converted: str = converter.convert(FORMULAS[name].latex, display="block" if display else "inline")
    return converted


def markdown_to_html(text: str) -> str:
    """Prose as HTML, its formulas as MathML."""
    rendered: str = _markdown_renderer().render(insert_no_break_spaces(text))
    with_displayed = re.sub(r"<p>\$(\w+)\$</p>", lambda match: formula_to_mathml(match[1], True), rendered)
    return replace_formulas(with_displayed, formula_to_mathml)


def inline_to_html(text: str) -> str:
    """A few words as HTML."""
    rendered: str = _markdown_renderer().renderInline(insert_no_break_spaces(text))
    return replace_formulas(rendered, formula_to_mathml)
