"""HTML for notebooks, in pieces: no script, nothing loaded, every name escaped, names in backticks as code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from descentlab.messages import language

# Under one class, so that nothing outside it changes; the colours are the notebook's own but for the marks.
STYLE = """
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
_QUOTED = re.compile(r"`([^`]+)`")


def page(*parts: str) -> str:
    """The parts as one piece of HTML, in the language that is spoken."""
    return f'<div class="descentlab" lang="{language()}"><style>{STYLE}</style>{"".join(parts)}</div>'


def prose(text: str) -> str:
    """Text, escaped, with its names in backticks as code.

    >>> prose("Column `<b>` is 2 > 1.")
    'Column <code>&lt;b&gt;</code> is 2 &gt; 1.'
    """
    return _QUOTED.sub(r"<code>\1</code>", escape(text))


def paragraph(text: object, strong: bool = False) -> str:
    """A sentence, or a few, as a paragraph."""
    said = prose(str(text))
    return f"<p><strong>{said}</strong></p>" if strong else f"<p>{said}</p>"


def heading(text: str) -> str:
    """The title of what follows."""
    return f"<h4>{prose(text)}</h4>"


def listed(items: Iterable[tuple[str, str, str, str]]) -> str:
    """Paragraphs with a mark each.

    Args:
        items: the mark, what it means in a word, the class of its style, and the paragraph's text.
    """
    rows = (
        f'<li><span class="{escape(kind)}" role="img" aria-label="{escape(meaning)}">{escape(mark)}</span>'
        f"{prose(text)}</li>"
        for mark, meaning, kind, text in items
    )
    return f"<ul>{''.join(rows)}</ul>"


def printed(text: str) -> str:
    """Lines as a terminal has them."""
    return f"<pre>{escape(text)}</pre>"


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table under its title; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{prose(cell)}</th>' for cell in headings)
    body = "".join(
        f'<tr><th scope="row">{prose(first)}</th>{"".join(f"<td>{prose(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return f"{heading(title)}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
