"""Text in columns of a terminal: widths of Korean letters, wrapping, padding, tables."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

LINE_WIDTH = 80
STATUS_INTERVAL = 0.2  # seconds between two texts of a status line
_WORD = re.compile(r"\S*?\blr = \S+|\S*\d (?:에포크|걸음|스텝)\S*|\S+")  # a number stays with its name or unit
_ANSI_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def display_width(text: str) -> int:
    r"""How many columns of a terminal this takes: a Korean letter takes two, what only styles takes none.

    >>> display_width("epoch"), display_width("에포크"), display_width("\x1b[1mbold\x1b[0m")
    (5, 6, 4)
    """
    text = _ANSI_STYLE.sub("", text)
    double_width = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    zero_width = sum(unicodedata.combining(letter) > 0 for letter in text)
    return len(text) + double_width - zero_width


def wrap(text: str, columns: int = 80, initial_indent: str = "", subsequent_indent: str | None = None) -> str:
    """Break text at spaces into lines of at most ``columns``, indented like those of :func:`textwrap.wrap`.

    >>> print(wrap("Use the rate lr = 0.1 here.", columns=18))
    Use the rate
    lr = 0.1 here.
    >>> print(wrap("이 학습률로 100 에포크", columns=16))
    이 학습률로
    100 에포크
    """
    subsequent_indent = " " * display_width(initial_indent) if subsequent_indent is None else subsequent_indent
    lines, line = [], initial_indent
    empty = True
    for word in _WORD.findall(text):
        if not empty and display_width(line) + 1 + display_width(word) > columns:
            lines.append(line)
            line, empty = subsequent_indent, True
        line, empty = line + ("" if empty else " ") + word, False
    return "\n".join([*lines, line])


def pad(text: str, columns: int, align_right: bool = False) -> str:
    """Text filled with spaces to a column's width, cut with an ellipsis where it is wider."""
    while display_width(text) > columns:
        text = text.removesuffix("…")[:-1] + "…"
    space = " " * (columns - display_width(text))
    return space + text if align_right else text + space


class Table(NamedTuple):
    """A table as a person reads it: a title, the headings of its columns, and rows of cells."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def to_lines(self) -> list[str]:
        """Its lines: the first column takes what the others leave of 80."""
        other_widths = [
            max(display_width(row[i]) for row in [self.headings, *self.rows]) for i in range(1, len(self.headings))
        ]
        first_width = min(
            max(display_width(row[0]) for row in [self.headings, *self.rows]),
            LINE_WIDTH - 2 - sum(other_widths) - 2 * len(other_widths),
        )

        def line(cells: Sequence[str]) -> str:
            other_cells = (
                pad(cell, columns, align_right=True) for cell, columns in zip(cells[1:], other_widths, strict=True)
            )
            return "  " + "  ".join([pad(cells[0], first_width), *other_cells])

        return [self.title, line(self.headings), *(line(row) for row in self.rows)]


class StatusLine:
    """One line on the standard error, written over itself, on a terminal only.

    Args:
        delay: seconds before the first text.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self._next_update = time.monotonic() + delay
        self._shown_width = 0

    def is_due(self) -> bool:
        """Whether somebody looks, and the text that stands there is old enough to be replaced."""
        return time.monotonic() >= self._next_update and bool(getattr(sys.stderr, "isatty", bool)())

    def write(self, text: str) -> None:
        """Replace the text by this one, cut to the line."""
        text = pad(text, LINE_WIDTH - 1) if display_width(text) >= LINE_WIDTH else text
        self._write_padded(text)
        self._next_update = time.monotonic() + STATUS_INTERVAL

    def clear(self) -> None:
        """Leave the terminal as it was."""
        if self._shown_width:
            self._write_padded("")
            sys.stderr.write("\r")

    def _write_padded(self, text: str) -> None:
        sys.stderr.write("\r" + text + " " * max(0, self._shown_width - display_width(text)))
        sys.stderr.flush()
        self._shown_width = display_width(text)
