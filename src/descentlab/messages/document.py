"""A small document model: headings, paragraphs, bullets and tables, as text for a terminal and as HTML.

A result class derives from :class:`Presentable`, and the module that knows how to present it registers a renderer, so
that no class imports its renderer:

    @make_blocks.register
    def _(result: Sweep) -> list[Block]:
        return [...]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from itertools import groupby
from typing import Any, NamedTuple

from descentlab.messages.catalog import LANGUAGES, Message, use_language
from descentlab.messages.html import (
    html_bullet_list,
    html_fragment,
    html_heading,
    html_paragraph,
    html_preformatted,
    html_table,
)
from descentlab.messages.terminal import LINE_WIDTH, Table, wrap


class Heading(NamedTuple):
    """The title of what follows."""

    text: str


class Paragraph(NamedTuple):
    """One or more sentences; ``strong`` is bold in HTML."""

    text: str
    strong: bool = False


class Bullet(NamedTuple):
    """A paragraph with a mark.

    Attributes:
        mark: the mark, one character.
        meaning: the mark in a word, for screen readers.
        css_class: the class of the mark's style.
        text: the paragraph.
    """

    mark: str
    meaning: str
    css_class: str
    text: str


class Preformatted(NamedTuple):
    """Lines that keep their spaces."""

    text: str


Block = Heading | Paragraph | Bullet | Preformatted | Table


@singledispatch
def make_blocks(result: object, name: str = "", **choices: Any) -> list[Block]:
    """The document that presents a result, in the current language; ``name`` is what to call its data, and ``choices``
    are those of the result's class.
    """
    raise TypeError(f"no renderer is registered for {type(result).__name__}")


class Presentable:
    """A result that prints as text, and renders as HTML in a notebook; :func:`make_blocks` has its document."""

    def text(self, lang: str | None = None) -> str:
        """The result in words, at most 80 columns wide."""
        with use_language(lang if lang in LANGUAGES else None):
            return to_text(make_blocks(self))

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return to_html(make_blocks(self))


def message_blocks(messages: Iterable[Message], tables: Iterable[Table] = ()) -> list[Block]:
    """A paragraph for each message, then the tables."""
    return [*(Paragraph(each.text()) for each in messages), *tables]


def to_text(blocks: Iterable[Block], style: Callable[[Block, str], str] | None = None) -> str:
    """The blocks in lines of at most 80 columns; ``style`` gives a line of a block its color.

    A blank line is before each heading and table, and between bullets or a table and a paragraph.

    >>> print(to_text([Paragraph("It converges."), Heading("Why"), Bullet("!", "caution", "caution", "One reason.")]))
    It converges.
    <BLANKLINE>
    Why
    ! One reason.
    """
    lines: list[str] = []
    previous: Block | None = None
    for block in blocks:
        follows_list = isinstance(block, Paragraph) and isinstance(previous, Bullet | Table)
        if previous is not None and (follows_list or isinstance(block, Heading | Table)):
            lines.append("")
        lines += [line if style is None else style(block, line) for line in _block_lines(block)]
        previous = block
    return "\n".join(lines)


def _block_lines(block: Block) -> list[str]:
    if isinstance(block, Table):
        return block.to_lines()
    if isinstance(block, Preformatted):
        return block.text.split("\n")
    return wrap(block.text, LINE_WIDTH, f"{block.mark} " if isinstance(block, Bullet) else "").split("\n")


def to_html(blocks: Iterable[Block]) -> str:
    """The blocks as one piece of HTML for a notebook: no script, nothing loaded, every name escaped.

    >>> "<p>2 &gt; 1 in <code>x</code>.</p>" in to_html([Paragraph("2 > 1 in `x`.")])
    True
    """
    return html_fragment(*_html_parts(blocks))


def _html_parts(blocks: Iterable[Block]) -> Iterator[str]:
    for kind, group in groupby(blocks, type):
        if kind is Bullet:  # one list for all that follow each other
            yield html_bullet_list(block for block in group if isinstance(block, Bullet))
            continue
        for block in group:
            if isinstance(block, Table):
                yield html_table(*block)
            elif isinstance(block, Paragraph):
                yield html_paragraph(block.text, strong=block.strong)
            elif isinstance(block, Preformatted):
                yield html_preformatted(block.text)
            else:
                yield html_heading(block.text)
