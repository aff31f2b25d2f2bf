"""Cells of text that may be numbers: which are, which almost are, and how to say so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from descentlab.messages import Message, message

NUMBER_PATTERN = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
NUMBER_OR_INFINITY_PATTERN = rf"^({NUMBER_PATTERN}|[-+]?(?i:inf|infinity))$"
# What pyarrow takes for an empty cell; listed here, so that one with spaces around it counts as well.
MISSING_CELLS: tuple[str, ...] = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
)
MISSING_CELLS += ("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null")
SNIFF_CELLS = 1000  # cells at the start of a column that decide whether the rest is worth reading as numbers


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is written as a finite number with this decimal mark."""
    return re.fullmatch(NUMBER_PATTERN.replace(r"\.", re.escape(decimal)), cell.strip()) is not None


def as_numbers(column: Any, decimal: str, *, begins_with_number: bool = False) -> Any:
    """A column of text as float64 where every cell is a number or missing; None where one is not.

    ``begins_with_number``: whether it is known to begin with numbers.

    pyarrow reads cells to the letter: a blank cell, `` NA`` or ``+2`` turns its whole column to text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not begins_with_number and not _begins_with_number(column, decimal):
        return None
    normalized = _strip_and_normalize(column, decimal)
    if not pc.all(_match_numbers(normalized), min_count=0).as_py():
        return None
    return pc.replace_substring_regex(normalized, r"^\+", "").cast(pa.float64())


def first_non_number(column: Any, decimal: str) -> int | None:
    """Where a column of text first holds what is neither a number nor missing; None where it never does."""
    import pyarrow.compute as pc

    other = pc.fill_null(pc.invert(_match_numbers(_strip_and_normalize(column, decimal))), False)
    row: int = pc.index(other, True).as_py()
    return row if row >= 0 else None


def first_non_missing(column: Any) -> int | None:
    """Where a column of text first holds what is not missing; None where it never does."""
    import pyarrow.compute as pc

    row: int = pc.index(pc.is_valid(_strip_and_normalize(column, ".")), True).as_py()
    return row if row >= 0 else None


def as_booleans(column: Any) -> tuple[Any, int | None]:
    """A column of text as true and false, missing where a cell is blank; and where it first holds anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as reading

    options = reading.ConvertOptions()
    true, false = (
        pc.is_in(column, pa.array(spellings, pa.string())) for spellings in (options.true_values, options.false_values)
    )
    present = pc.is_valid(_strip_and_normalize(column, "."))
    row: int = pc.index(pc.and_(present, pc.invert(pc.or_(true, false))), True).as_py()
    return pc.if_else(present, true, None), row if row >= 0 else None


def not_numeric_reason(chunks: Iterable[Any], *, inferred: bool) -> Message:
    """Why a column of text is not numeric, with a cell that shows it.

    Args:
        chunks: the column, piece by piece.
        inferred: whether a reader guessed the type from the cells. A column that is mostly numbers is then said
            to be damaged, with the first cell that is none and its row; otherwise text is text.
    """
    import pyarrow.compute as pc

    rows = numbers = others = 0
    first: tuple[str, int] | None = None
    for chunk in chunks:
        if not rows:
            inferred = inferred and _begins_with_number(chunk, ".")
        normalized = _strip_and_normalize(chunk, ".")
        number_mask = pc.and_(_match_numbers(normalized), inferred)
        other_mask = pc.fill_null(pc.invert(number_mask), False)
        if first is None and pc.any(other_mask, min_count=0).as_py():
            index = pc.index(other_mask, True).as_py()
            first = repr(chunk[index].as_py())[:40], rows + index + 1
        if first and not inferred:
            break
        numbers += pc.sum(number_mask, min_count=0).as_py()
        others += pc.sum(other_mask, min_count=0).as_py()
        rows += len(chunk)
    if first is None:
        return message("left_out.empty")
    if numbers <= others:
        return message("left_out.text", example=first[0])
    return message("left_out.mixed", count=others, total=numbers + others, example=first[0], row=first[1])


def _begins_with_number(column: Any, decimal: str) -> bool:
    import pyarrow.compute as pc

    return bool(
        pc.any(_match_numbers(_strip_and_normalize(column.slice(0, SNIFF_CELLS), decimal)), min_count=0).as_py()
    )


def _strip_and_normalize(column: Any, decimal: str) -> Any:
    """The cells without spaces around them and with a decimal point; null where one is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    normalized = pc.if_else(pc.is_in(trimmed, value_set=pa.array(MISSING_CELLS, pa.large_string())), None, trimmed)
    if decimal == ".":
        return normalized
    # With another decimal mark, a point is no part of a number: it becomes something that is none either.
    return pc.replace_substring(pc.replace_substring(normalized, ".", "?"), decimal, ".")


def _match_numbers(normalized: Any) -> Any:
    import pyarrow.compute as pc

    return pc.match_substring_regex(normalized, NUMBER_OR_INFINITY_PATTERN)
