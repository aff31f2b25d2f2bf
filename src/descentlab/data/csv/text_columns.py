"""Columns of text that pyarrow did not read as numbers: parse them, or find the cells that are not numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from descentlab.messages import Message, message

NUMBER_PATTERN = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
NUMBER_OR_INFINITY_PATTERN = rf"^({NUMBER_PATTERN}|[-+]?(?i:inf|infinity))$"
# pyarrow's texts for a missing value, listed here to recognize them with spaces around them too.
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
SNIFF_CELLS = 1000  # a column without a number among its first cells is text


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is written as a finite number with this decimal mark."""
    return re.fullmatch(NUMBER_PATTERN.replace(r"\.", re.escape(decimal)), cell.strip()) is not None


def as_numbers(column: Any, decimal: str, *, begins_with_number: bool = False) -> Any:
    """A column of text as float64; None if a cell is neither a number nor missing.

    This reads columns that a blank cell, `` NA`` or ``+2`` made text for pyarrow. ``begins_with_number`` skips the test
    of the first cells.
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
    """The first row that is neither a number nor missing; None if there is none."""
    import pyarrow.compute as pc

    other = pc.fill_null(pc.invert(_match_numbers(_strip_and_normalize(column, decimal))), False)
    row: int = pc.index(other, True).as_py()
    return row if row >= 0 else None


def first_non_missing(column: Any) -> int | None:
    """The first row that is not missing; None if there is none."""
    import pyarrow.compute as pc

    row: int = pc.index(pc.is_valid(_strip_and_normalize(column, ".")), True).as_py()
    return row if row >= 0 else None


def as_booleans(column: Any) -> tuple[Any, int | None]:
    """A column of text as booleans (a blank cell is missing), and the first row that is neither; None if none is."""
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


def not_numeric_reason(
    chunks: Iterable[Any], *, inferred: bool, line_of_row: Callable[[int], int] | None = None
) -> Message:
    """Why a column of text is not numeric, with one of its cells as an example.

    Args:
        chunks: the chunks of the column, in order.
        inferred: whether a reader inferred the type from the cells. Then a column with more numbers than other text is
            damaged, and the reason names the first bad cell and its place.
        line_of_row: the line of the file on which a row, counted from 0, begins; None where rows have no lines.
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
            first = repr(chunk[index].as_py())[:40], rows + index
        if first and not inferred:
            break
        numbers += pc.sum(number_mask, min_count=0).as_py()
        others += pc.sum(other_mask, min_count=0).as_py()
        rows += len(chunk)
    if first is None:
        return message("left_out.empty")
    if numbers <= others:
        return message("left_out.text", example=first[0])
    example, row = first
    place = message("left_out.line", line=line_of_row(row)) if line_of_row else message("left_out.row", row=row + 1)
    values = {"total": numbers + others, "example": example, "place": place}
    return message("left_out.mixed_one", **values) if others == 1 else message("left_out.mixed", count=others, **values)


def _begins_with_number(column: Any, decimal: str) -> bool:
    import pyarrow.compute as pc

    return bool(
        pc.any(_match_numbers(_strip_and_normalize(column.slice(0, SNIFF_CELLS), decimal)), min_count=0).as_py()
    )


def _strip_and_normalize(column: Any, decimal: str) -> Any:
    """The cells without surrounding spaces and with a decimal point; null if missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    normalized = pc.if_else(pc.is_in(trimmed, value_set=pa.array(MISSING_CELLS, pa.large_string())), None, trimmed)
    if decimal == ".":
        return normalized
    # With a decimal comma, a cell with a point is not a number, and must not become one.
    return pc.replace_substring(pc.replace_substring(normalized, ".", "?"), decimal, ".")


def _match_numbers(normalized: Any) -> Any:
    import pyarrow.compute as pc

    return pc.match_substring_regex(normalized, NUMBER_OR_INFINITY_PATTERN)
