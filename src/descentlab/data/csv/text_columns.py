"""Cells of text that may be numbers: which are, which almost are, and how to say so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from descentlab.messages import Sentence, sentence

NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
NUMBER_OR_INFINITE = rf"^({NUMBER}|[-+]?(?i:inf|infinity))$"
# What pyarrow takes for an empty cell; listed here, so that one with spaces around it counts as well.
MISSING: tuple[str, ...] = ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN")
MISSING += ("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null")
LOOKED_AT = 1000  # cells at the start of a column that decide whether the rest is worth reading as numbers


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is written as a finite number with this decimal mark."""
    return re.fullmatch(NUMBER.replace(r"\.", re.escape(decimal)), cell.strip()) is not None


def as_numbers(column: Any, decimal: str, *, begun: bool = False) -> Any:
    """A column of text as float64 where every cell is a number or missing; None where one is not.

    ``begun``: whether it is known to begin with numbers.

    pyarrow reads cells to the letter: a blank cell, `` NA`` or ``+2`` turns its whole column to text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not begun and not _begins_with_a_number(column, decimal):
        return None
    plain = _plain(column, decimal)
    if not pc.all(_numbers(plain), min_count=0).as_py():
        return None
    return pc.replace_substring_regex(plain, r"^\+", "").cast(pa.float64())


def first_other(column: Any, decimal: str) -> int | None:
    """Where a column of text first holds what is neither a number nor missing; None where it never does."""
    import pyarrow.compute as pc

    other = pc.fill_null(pc.invert(_numbers(_plain(column, decimal))), False)
    at: int = pc.index(other, True).as_py()
    return at if at >= 0 else None


def first_present(column: Any) -> int | None:
    """Where a column of text first holds what is not missing; None where it never does."""
    import pyarrow.compute as pc

    at: int = pc.index(pc.is_valid(_plain(column, ".")), True).as_py()
    return at if at >= 0 else None


def as_flags(column: Any) -> tuple[Any, int | None]:
    """A column of text as true and false, missing where a cell is blank; and where it first holds anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as reading

    known = reading.ConvertOptions()
    true, false = (pc.is_in(column, pa.array(each, pa.string())) for each in (known.true_values, known.false_values))
    present = pc.is_valid(_plain(column, "."))
    at: int = pc.index(pc.and_(present, pc.invert(pc.or_(true, false))), True).as_py()
    return pc.if_else(present, true, None), at if at >= 0 else None


def why_text(pieces: Iterable[Any], *, guessed: bool) -> Sentence:
    """Why a column of text is not numeric, with a cell that shows it.

    Args:
        pieces: the column, piece by piece.
        guessed: whether a reader guessed the type from the cells. A column that is mostly numbers is then said
            to be damaged, with the first cell that is none and its row; otherwise text is text.
    """
    import pyarrow.compute as pc

    rows = numbers = others = 0
    first: tuple[str, int] | None = None
    for piece in pieces:
        if not rows:
            guessed = guessed and _begins_with_a_number(piece, ".")
        plain = _plain(piece, ".")
        number = pc.and_(_numbers(plain), guessed)
        other = pc.fill_null(pc.invert(number), False)
        if first is None and pc.any(other, min_count=0).as_py():
            at = pc.index(other, True).as_py()
            first = repr(piece[at].as_py())[:40], rows + at + 1
        if first and not guessed:
            break
        numbers += pc.sum(number, min_count=0).as_py()
        others += pc.sum(other, min_count=0).as_py()
        rows += len(piece)
    if first is None:
        return sentence("left_out.empty")
    if numbers <= others:
        return sentence("left_out.text", example=first[0])
    return sentence("left_out.mixed", count=others, total=numbers + others, example=first[0], row=first[1])


def _begins_with_a_number(column: Any, decimal: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(_numbers(_plain(column.slice(0, LOOKED_AT), decimal)), min_count=0).as_py())


def _plain(column: Any, decimal: str) -> Any:
    """The cells without spaces around them and with a decimal point; null where one is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    plain = pc.if_else(pc.is_in(trimmed, value_set=pa.array(MISSING, pa.large_string())), None, trimmed)
    if decimal == ".":
        return plain
    # With another decimal mark, a point is no part of a number: it becomes something that is none either.
    return pc.replace_substring(pc.replace_substring(plain, ".", "?"), decimal, ".")


def _numbers(plain: Any) -> Any:
    import pyarrow.compute as pc

    return pc.match_substring_regex(plain, NUMBER_OR_INFINITE)
