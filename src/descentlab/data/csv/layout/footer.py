"""Where the rows of a CSV file end: above totals, notes and empty rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from descentlab.data.csv.layout.totals import is_sum_or_mean, is_total_word
from descentlab.data.csv.number_format import is_number_like
from descentlab.data.csv.words import MISSING_CELLS, MISSING_MARKS
from descentlab.errors import SettingError

TAIL_BYTES = 1 << 14  # a footer is looked for in these
MAX_TAIL_BYTES = 1 << 20  # a footer of a known number of lines is in these
SENTENCE_OR_RULE = re.compile(r"[^\W\d_]|^[-_=*]{3,}$")  # a letter, or a line that is drawn
END_OF_FILE = "\x1a"  # Ctrl-Z, with which DOS ended files


@dataclass(frozen=True)
class Footer:
    """The lines below the last row that has a value.

    Attributes:
        start: the byte of the text at which they begin, or empty rows above them.
        lines, empty_rows: how many of them are not empty; how many have delimiters only.
        first: the first of these; empty if there is none.
        is_total: whether it sums up the rows above it.
    """

    start: int
    lines: int
    empty_rows: int
    first: str
    is_total: bool


def find_footer(
    tail: bytes,
    offset: int,
    delimiter: str,
    width: int,
    *,
    lines: int | None,
    has_blanks: bool,
    has_all_rows: bool = False,
) -> Footer | None:
    """The footer in the last bytes of the text, which begin with a line; None if there is none.

    Args:
        tail: whole lines of rows and what is below them.
        offset: the byte of the text at which they begin.
        delimiter: the character between cells.
        width: the number of cells of a row.
        lines: the number of lines of the footer that are not empty, if it is known.
        has_blanks: whether cells have spaces between them.
        has_all_rows: whether ``tail`` has every row, so that totals can be compared with their sums.

    Raises:
        SettingError: there are fewer than ``lines`` lines.
    """
    found: list[str] = []
    stop, empty_rows = None, 0
    is_total, remaining = False, lines
    for start, line in _lines_from_end(tail):
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        filled = [cell for cell in cells if cell]
        if lines is not None:
            if filled and not remaining:
                break
            remaining = (remaining or 0) - bool(filled)
        elif filled:
            above = tail[:start] if has_all_rows else None
            is_row_total = _is_total(filled, width) and _sums_up(cells, above, delimiter)
            if not is_row_total and not _is_note(
                cells, filled, width, has_blanks, is_cut=not found and not _ends(tail)
            ):
                break
            is_total |= is_row_total
        elif len(cells) > 1 and width == 1:
            break
        stop = start
        found += [line.strip()] if filled else []
        empty_rows += not filled and len(cells) > 1
    if remaining:
        raise SettingError("skip_footer_all", given=lines, lines=len(found))
    if stop is None or not (found or empty_rows):
        return None
    return Footer(offset + stop, len(found), empty_rows, found[-1] if found else "", is_total)


def _ends(text: bytes) -> bool:
    return text.endswith((b"\n", b"\r"))


def _lines_from_end(tail: bytes) -> Iterator[tuple[int, str]]:
    """Each line from the last one up, with the byte at which it begins; ends at a line that may be part of a cell."""
    lines = tail.splitlines(keepends=True)
    start = len(tail)
    for line in reversed(lines):
        start -= len(line)
        if line.count(b'"') % 2:
            return
        yield start, line.decode("utf-8", "replace").rstrip("\r\n")


def _is_total(filled: list[str], width: int) -> bool:
    """Whether the cells are those of a row that sums up others."""
    return width > 1 and len(filled) > 1 and is_total_word(filled[0])


def _sums_up(cells: list[str], above: bytes | None, delimiter: str) -> bool:
    """Whether a total sums up the lines above it, if they are known: a row may have the name ``Total``."""
    if above is None:
        return True
    lines = io.StringIO(above.decode("utf-8", "replace"), newline="")
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row and not is_total_word(row[0])]
    return is_sum_or_mean(cells, rows)


def _is_note(cells: list[str], filled: list[str], width: int, has_blanks: bool, is_cut: bool) -> bool:
    """Whether a line is a sentence and not a row: narrower than a row, and not the row at which a file was cut."""
    text = " ".join(filled)
    if text == END_OF_FILE:
        return True
    if len(cells) >= width or is_cut or any(map(is_number_like, filled)):
        return False
    is_missing = text in MISSING_CELLS or text.lower() in MISSING_MARKS
    return (len(cells) == 1 or has_blanks) and not is_missing and SENTENCE_OR_RULE.search(text) is not None
