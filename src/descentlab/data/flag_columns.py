"""Columns of two words such as yes and no in tables: 1 and 0, by the rule of CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from descentlab.data.csv.number_format import LEADING_CELLS
from descentlab.data.csv.text_columns import (
    FlagFormat,
    detect_flags,
    first_equal,
    first_row,
    has_flags,
    strip_cells,
)
from descentlab.data.source import PIECE_ROWS
from descentlab.errors import DataError
from descentlab.messages import Message, message

FlagColumn = tuple[FlagFormat, tuple[str, str]]  # the words in lower case, and as they are written


def detect_flag_columns(batches: Iterable[Any], names: Sequence[str]) -> dict[str, FlagColumn]:
    """The columns of text that hold one pair of words in their first rows, which decide how the others are read.

    Args:
        batches: record batches of these columns.
        names: the names of the columns.
    """
    import pyarrow as pa

    first: list[Any] = []
    for batch in batches:
        first.append(batch)
        if sum(each.num_rows for each in first) >= PIECE_ROWS:
            break
    found = {}
    for j, name in enumerate(names if first else ()):
        try:
            words = _find_words(pa.chunked_array([batch.column(j) for batch in first]))
        except pa.ArrowInvalid:  # in a damaged file, the bytes may not be text
            continue
        if words is not None:
            found[name] = words
    return found


def _find_words(column: Any) -> FlagColumn | None:
    if not has_flags(strip_cells(column.slice(0, LEADING_CELLS))):
        return None
    cells = strip_cells(column)
    flag_format = detect_flags(cells)
    if flag_format is None:
        return None
    return flag_format, (first_equal(cells, flag_format.true), first_equal(cells, flag_format.false))


def flags_to_float64(column: Any, name: str, flag_format: FlagFormat) -> Any:
    """A column of two words as 1 and 0; raises DataError if a cell is neither."""
    import pyarrow.compute as pc

    cells = strip_cells(column)
    row = first_row(pc.invert(flag_format.match(cells)))
    if row is not None:
        raise DataError("flags_break", name=name, held=flag_format.message, cell=repr(column[row].as_py())[:60])
    return flag_format.to_floats(cells)


def flag_notices(columns: Mapping[str, FlagColumn]) -> list[Message]:
    """Which words of these columns were read as 1 and 0."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, (_, words) in columns.items():
        grouped.setdefault(words, []).append(f"`{name}`")
    return [
        message("notice.table_flags", names=names, true=repr(true), false=repr(false))
        for (true, false), names in grouped.items()
    ]
