"""HTML for notebooks, in pieces: no script, nothing loaded, every name escaped, names in backticks as code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from descentlab.messages.catalog import current_language

# Under one class, so that nothing outside it changes; the colors are the notebook's own but for the marks.
NOTEBOOK_CSS = """
.descentlab { max-width: 46rem; line-height: 1.5; word-break: keep-all; overflow-wrap: anywhere; }
.descentlab h4 { margin: 1em 0 .3em; }
.descentlab p { margin: .35em 0; }
.descentlab ul { list-style: none; margin: 0; padding: 0; }
.descentlab li { margin: .35em 0; padding-left: 1.4em; text-indent: -1.4em; }
.descentlab li > span { display: inline-block; width: 1.4em; text-indent: 0; font-weight: bold; }
.descentlab li > span.problem { color: #d55e00; }
.descentlab code { font-size: .95em; text-indent: 0; background: none; padding: 0; color: inherit; }
.descentlab pre { margin: .6em 0; font-size: .9em; line-height: 1.4; overflow-x: auto; white-space: pre; }
.descentlab table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.descentlab th, .descentlab td { text-align: right; padding: .15em .6em; }
.descentlab th:first-child, .descentlab td:first-child { text-align: left; padding-left: 0; }
.descentlab th { font-weight: normal; }
.descentlab thead th { border-bottom: 1px solid currentColor; }
"""
_BACKTICKED = re.compile(r"`([^`]+)`")
# The space between a name and its number, and between a number and its unit.
_KEPT_TOGETHER = re.compile(r"(?<=\w) = (?=[-\w])|(?<=\d) (?=%|에포크|걸음|스텝)")


def html_fragment(*parts: str) -> str:
    """The parts as one piece of HTML, in the language that is spoken."""
    return f'<div class="descentlab" lang="{current_language()}"><style>{NOTEBOOK_CSS}</style>{"".join(parts)}</div>'


def insert_no_break_spaces(text: str) -> str:
    """The text with no line break between a name and its number, or a number and its unit; code stays as it is.

    >>> insert_no_break_spaces("lr = 0.1, 100 에포크, `a = 1`").replace("\u00a0", "_")
    'lr_=_0.1, 100_에포크, `a = 1`'
    """
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [_KEPT_TOGETHER.sub(lambda match: match[0].replace(" ", "\u00a0"), piece) for piece in pieces[::2]]
    return "".join(pieces)


def html_text(text: str) -> str:
    """Text, escaped, with its names in backticks as code.

    >>> html_text("Column `<b>` is 2 > 1.")
    'Column <code>&lt;b&gt;</code> is 2 &gt; 1.'
    """
    return _BACKTICKED.sub(r"<code>\1</code>", escape(insert_no_break_spaces(text)))


def html_paragraph(text: object, strong: bool = False) -> str:
    """A sentence, or a few, as a paragraph."""
    content = html_text(str(text))
    return f"<p><strong>{content}</strong></p>" if strong else f"<p>{content}</p>"


def html_heading(text: str) -> str:
    """The title of what follows."""
    return f"<h4>{html_text(text)}</h4>"


def html_bullet_list(items: Iterable[tuple[str, str, str, str]]) -> str:
    """Paragraphs with a mark each.

    Args:
        items: the mark, what it means in a word, the class of its style, and the paragraph's text.
    """
    rows = (
        f'<li><span class="{escape(css_class)}" role="img" aria-label="{escape(meaning)}">{escape(mark)}</span>'
        f"{html_text(text)}</li>"
        for mark, meaning, css_class, text in items
    )
    return f"<ul>{''.join(rows)}</ul>"


def html_preformatted(text: str) -> str:
    """Lines as a terminal has them."""
    return f"<pre>{escape(text)}</pre>"


def html_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table under its title; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{html_text(cell)}</th>' for cell in headings)
    body = "".join(
        f'<tr><th scope="row">{html_text(first)}</th>{"".join(f"<td>{html_text(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return f"{html_heading(title)}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
