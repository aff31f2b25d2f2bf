"""A lesson as a page: prose on the left, live figures on the right, formulas as MathML, questions that are graded.

It is the lab's page with other contents: one file that asks for nothing, in one language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from html import escape
from typing import Any

from descentlab.errors import require
from descentlab.lab.page import Shell
from descentlab.lab.spec import spec
from descentlab.lessons.course import (
    Block,
    CodeBlock,
    FigureBlock,
    Lesson,
    Prose,
    QuestionBlock,
    TableBlock,
    lessons,
    outline,
    sections,
)
from descentlab.lessons.facts.shared import lesson as lesson_problem
from descentlab.lessons.facts.types import Figure, Table
from descentlab.lessons.formulas import FORMULAS, placed
from descentlab.lessons.render import terminal
from descentlab.lessons.render.svg_plot import drawing
from descentlab.messages import LANGUAGES, sentence

LANGUAGE_NAMES = {"en": "English", "ko": "한국어"}
SHELL = Shell("lesson.js", ("lab.css", "lesson.css"))


def address(number: int, lang: str) -> str:
    """Where a served lesson is, beside the others."""
    return f"{number}-{lang}"


def page(lesson: Lesson, done: Mapping[str, Collection[str]] | None = None) -> str:
    """The whole page.

    Args:
        lesson: what it tells.
        done: the questions answered before, by lesson, where a server is behind the page that keeps them and has the
            other lessons; None: the page is alone, and keeps them itself.

    Raises:
        MissingDependencyError: what turns Markdown or formulas into HTML is not installed.
    """
    number = sentence("lesson.number", number=lesson.number).text(lesson.lang)
    inside = "\n".join(_section(each, lesson) for each in sections(lesson.blocks))
    above, below = ("", "") if done is None else (_contents(lesson, done), _neighbours(lesson))
    body = (
        f'<main class="lesson">{above}<p class="number">{escape(number)}</p><h1>{inline(lesson.title)}</h1>\n'
        f"<noscript><p>{escape(sentence('lesson.without_script').text(lesson.lang))}</p></noscript>{inside}\n{below}</main>"
    )
    known = None if done is None else list(done.get(lesson.slug, ()))
    data = {"spec": spec(lesson_problem(), None, "lesson"), "lesson": _for_script(lesson) | {"done": known}}
    return SHELL.html(f"{lesson.title} - descentlab", body, data, lesson.lang, served=done is not None)


def _contents(lesson: Lesson, done: Mapping[str, Collection[str]]) -> str:
    """All lessons, folded, with what is done; and this one in the other language."""
    entries = ""
    for number in lessons():
        title, questions = outline(number, lesson.lang)
        mark = " \u2713" if set(questions) <= set(done.get(lessons()[number], ())) else ""
        here = ' aria-current="page"' if number == lesson.number else ""
        entries += f'<li><a href="{address(number, lesson.lang)}"{here}>{inline(title)}</a>{mark}</li>'
    others = "".join(
        f'<a href="{address(lesson.number, lang)}" lang="{lang}" hreflang="{lang}">{LANGUAGE_NAMES[lang]}</a>'
        for lang in LANGUAGES
        if lang != lesson.lang
    )
    listed = escape(sentence("lesson.all").text(lesson.lang))
    return f'<nav aria-label="{listed}"><details><summary>{listed}</summary><ol>{entries}</ol></details>{others}</nav>'


def _neighbours(lesson: Lesson) -> str:
    """The lesson before and the one after."""
    links = ""
    for number, rel, arrow in ((lesson.number - 1, "prev", "\u2190 {}"), (lesson.number + 1, "next", "{} \u2192")):
        if number in lessons():
            title, _ = outline(number, lesson.lang)
            heading = sentence("lesson.heading", number=number, title=title).text(lesson.lang)
            links += f'<a rel="{rel}" href="{address(number, lesson.lang)}">{arrow.format(inline(heading))}</a>'
    label = escape(sentence("lesson.others").text(lesson.lang))
    return f'<nav aria-label="{label}">{links}</nav>'


def _for_script(lesson: Lesson) -> dict[str, Any]:
    """What the page's script needs: each figure's state and views, each question with its answer and its reasons."""
    figures = {name: {"state": each.state, "views": each.views} for name, each in lesson.facts.figures.items()}
    questions = {}
    for block in lesson.blocks:
        if isinstance(block, QuestionBlock):
            notes = {key: terminal.inline(text, terminal.PLAIN) for key, text in block.notes.items()}
            unread = (
                sentence("lesson.unchosen").text(lesson.lang) if block.options else terminal.unread(block, lesson.lang)
            )
            told = {"notes": notes, "unread": unread}
            questions[block.name] = vars(lesson.facts.questions[block.name]) | told
    unkept = sentence("lesson.unkept").text(lesson.lang)
    return {"slug": lesson.slug, "lang": lesson.lang, "figures": figures, "questions": questions, "unkept": unkept}


def _section(blocks: list[Block], lesson: Lesson) -> str:
    """What is told, with live figures beside it; below, programs and questions, next to one another."""
    told = "\n".join(_html(block, lesson) for block in blocks if not isinstance(block, CodeBlock | QuestionBlock))
    live = "".join(
        f'<div class="figure" id="figure-{each.name}"></div>' for each in blocks if isinstance(each, FigureBlock)
    )
    apart = "\n".join(_html(block, lesson) for block in blocks if isinstance(block, CodeBlock | QuestionBlock))
    kind = "section with-figure" if live else "section"
    return f'<section class="{kind}"><div class="told">{told}</div>{live}<div class="apart">{apart}</div></section>'


def _html(block: Block, lesson: Lesson) -> str:
    if isinstance(block, Prose):
        return markdown(block.text)
    if isinstance(block, TableBlock):
        return _table(lesson.facts.tables[block.name], block.headings)
    if isinstance(block, FigureBlock):
        return _drawing(lesson.facts.figures[block.name], block.caption, lesson.lang)
    if isinstance(block, CodeBlock):
        return f'<pre tabindex="0"><code>{escape(block.text.rstrip())}</code></pre>'
    return _question(block, lesson)


def _drawing(facts: Figure, caption: str, lang: str) -> str:
    """Runs side by side, which the live figure beside it does not have."""
    if not facts.compares:
        return ""
    drawn = drawing(facts, terminal.inline(caption, terminal.PLAIN), lang)
    return f'<figure class="drawing">{drawn}<figcaption>{inline(caption)}</figcaption></figure>'


def _table(facts: Table, headings: tuple[str, ...]) -> str:
    head = "".join(f'<th scope="col">{inline(each)}</th>' for each in headings)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in facts.texts())
    return (
        f'<div class="scroll" tabindex="0"><table class="facts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _question(block: QuestionBlock, lesson: Lesson) -> str:
    check, write = (sentence(f"lesson.{key}").text(lesson.lang) for key in ("check", "your_answer"))
    if block.options:
        asked = "".join(
            f'<label><input type="radio" name="answer" value="{key}"><span>{inline(text)}</span></label>'
            for key, text in block.options.items()
        )
        asked += f'<div class="row"><button>{escape(check)}</button></div>'
    else:
        asked = (
            f'<div class="row"><input type="text" name="answer" inputmode="text" autocomplete="off" '
            f'aria-label="{escape(write)}"><button>{escape(check)}</button></div>'
        )
    legend = f"<legend>{inline(' '.join(block.prompt.split()))}</legend>"
    return f'<form id="question-{block.name}"><fieldset>{legend}{asked}</fieldset><p role="status"></p></form>'


def _unbroken(text: str) -> str:
    """The text with no line break between a name and its number, or a number and its per cent; programs as they are."""
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [
        re.sub(r"(?<=\w) = (?=[-\w])|(?<=\d) (?=%)", lambda found: found[0].replace(" ", "\u00a0"), piece)
        for piece in pieces[::2]
    ]
    return "".join(pieces)


@cache
def _renderer() -> Any:
    return require("markdown_it", "markdown-it-py", "lessons", "lessons").MarkdownIt("commonmark", {"html": False})


@cache
def mathml(name: str, apart: bool = False) -> str:
    """A formula as MathML, which browsers draw and screen readers read."""
    converter = require("latex2mathml.converter", "latex2mathml", "lessons", "lessons")
    made: str = converter.convert(FORMULAS[name].latex, display="block" if apart else "inline")
    return made


def markdown(text: str) -> str:
    """Prose as HTML, its formulas as MathML."""
    rendered: str = _renderer().render(_unbroken(text))
    apart = re.sub(r"<p>\$(\w+)\$</p>", lambda found: mathml(found[1], True), rendered)
    return placed(apart, mathml)


def inline(text: str) -> str:
    """A few words as HTML."""
    rendered: str = _renderer().renderInline(_unbroken(text))
    return placed(rendered, mathml)
