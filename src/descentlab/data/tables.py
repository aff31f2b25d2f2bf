"""Rows from anything that exports Arrow data: pandas, polars, pyarrow, duckdb, and files of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, partial
from typing import Any

import numpy as np

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.csv.text_columns import BOOLEANS, FlagFormat, not_numeric_reason
from descentlab.data.flag_columns import detect_flag_columns, flag_notices, flags_to_float64
from descentlab.data.source import BLOCK_ROWS, NO_SHIFTS, PIECE_ROWS, BaseSource, MixedBlock, Piece, is_from_package
from descentlab.dependencies import require
from descentlab.errors import DataError, find_duplicates
from descentlab.messages import Message, message
from descentlab.typing import FloatArray


@dataclass(frozen=True)
class ArrowToFloat64:
    """Converts Arrow columns to float64.

    Attributes:
        empty_columns: columns without any value, which are numeric in another file.
        large_integer_columns: columns of a type whose integers float64 may not hold exactly.
        flag_formats: the two words of columns of text that are read as 1 and 0.
    """

    empty_columns: frozenset[str]
    large_integer_columns: frozenset[str]
    flag_formats: Mapping[str, FlagFormat] = field(default_factory=dict)

    def block(
        self, batch: Any, columns: Sequence[str], inexact_columns: set[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> FloatArray:
        """(m, k) values of a batch; missing ones are NaN. Adds columns that lose digits to ``inexact_columns``."""
        values = np.empty((batch.num_rows, len(columns)), order="F")
        for j, name in enumerate(columns):
            values[:, j] = self._column(batch.column(j), name, inexact_columns, shifts.get(name, 0))
        return values

    def _column(self, column: Any, name: str, inexact_columns: set[str], shift: int) -> FloatArray:
        import pyarrow as pa

        if name in self.empty_columns:
            return np.full(len(column), np.nan)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name in self.flag_formats:
            column = flags_to_float64(column, name, self.flag_formats[name])
        if name in self.large_integer_columns and len(column):
            if shift:
                column = subtract_exactly(column, shift)
            if max_magnitude(column) > MAX_EXACT_INTEGER:
                inexact_columns.add(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        if pa.types.is_decimal(column.type):
            column = decimals_to_float64(column)
        if not pa.types.is_float64(column.type):
            column = column.cast(pa.float64(), safe=False)
        values: FloatArray = column.to_numpy(zero_copy_only=False)
        return values


def subtract_exactly(column: Any, shift: int) -> Any:
    """A column of integers or decimals minus a whole number, without rounding: a column of decimals."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scale = column.type.scale if pa.types.is_decimal(column.type) else 0
    return pc.subtract(column.cast(pa.decimal256(60, scale)), pa.scalar(Decimal(shift), pa.decimal256(60, scale)))


def decimals_to_float64(column: Any) -> Any:
    """The nearest float64 of each decimal; Arrow's own cast is off by a unit in the last place."""
    import pyarrow as pa

    return column.cast(pa.string()).cast(pa.float64())


def find_shift(column: Any) -> int:
    """A float64 near whole numbers that no float64 can hold: near the first of them; 0 if the first is small."""
    present = column.drop_null()
    first = int(present[0].as_py()) if len(present) else 0
    return int(float(first)) if abs(first) > MAX_EXACT_INTEGER else 0


def max_magnitude(column: Any) -> int:
    """The largest magnitude in a column of integers or decimals; 0 if it has no value."""
    import pyarrow.compute as pc

    extremes = pc.min_max(column).as_py()
    return 0 if extremes["min"] is None else int(max(-extremes["min"], extremes["max"]))


class RecordBatchPiece:
    """A piece whose record batches are read when its blocks are."""

    def __init__(
        self, read_batches: Any, converter: ArrowToFloat64, size: int, next_offset: Any, first_row: int | None = None
    ) -> None:
        """Args:
        read_batches: a function of column names that yields record batches of those columns, in that order.
        first_row: the number of rows before the piece, where it is known.
        """
        self.read_batches, self.converter, self.size, self.next_offset = read_batches, converter, size, next_offset
        self.first_row = first_row
        self.inexact_columns: set[str] = set()

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        for batch in self.read_batches(list(columns)):
            for start in range(0, batch.num_rows, BLOCK_ROWS):
                yield self.converter.block(batch.slice(start, BLOCK_ROWS), columns, self.inexact_columns, shifts)

    def place_of_row(self, row: int) -> Message | str:
        """The number of a row of the piece in its file or table; empty if it is unknown."""
        return "" if self.first_row is None else message("left_out.row", row=self.first_row + row + 1)

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        names = list(dict.fromkeys((*numbers, *others)))
        for batch in self.read_batches(names):
            for start in range(0, batch.num_rows, BLOCK_ROWS):
                rows = batch.slice(start, BLOCK_ROWS)
                columns = dict(zip(names, rows.columns, strict=True))
                values = self.converter.block(rows.select(list(numbers)), numbers, self.inexact_columns, shifts)
                yield values, {name: columns[name] for name in others}


class ArrowSource(BaseSource):
    """The columns of an Arrow schema; subclasses read its record batches and cut it into pieces."""

    def __init__(self, schema: Any, *, index: Sequence[str] = (), notices: Sequence[Message] = ()) -> None:
        """Args:
        schema: the pyarrow schema.
        index: columns with row labels, which are excluded.
        notices: notices about how the data was read.
        """
        super().__init__(notices)
        pa = require("pyarrow", "pyarrow", None, "tables")
        names = [str(name) for name in schema.names]
        repeated = find_duplicates(names)
        if repeated:
            raise DataError("duplicate_columns", names=repeated)
        value_types = {name: _value_type(pa, kind) for name, kind in zip(names, schema.types, strict=True)}
        reasons = {
            name: message("left_out.index") if name in index else not_numeric_type_reason(pa, kind)
            for name, kind in value_types.items()
        }
        text = [name for name, reason in reasons.items() if reason is not None and reason.key == "left_out.text"]
        self._flag_columns = detect_flag_columns(self.batches(text), text) if text else {}
        flag_formats = {name: flag_format for name, (flag_format, _) in self._flag_columns.items()}
        self._booleans = {name: BOOLEANS for name, kind in value_types.items() if pa.types.is_boolean(kind)}
        self._reasons = {n: reason for n, reason in reasons.items() if reason is not None and n not in flag_formats}
        self.names = tuple(name for name in names if name not in self._reasons)
        self._all_names = tuple(names)
        large = frozenset(name for name in self.names if _can_exceed_float64(pa, value_types[name]))
        self.converter = ArrowToFloat64(frozenset(self._reasons), large, flag_formats)
        self._columns_read: set[str] = set()

    @property
    def notices(self) -> tuple[Message, ...]:
        """How the data was read, with the words of the columns read so far."""
        read = {name: words for name, words in self._flag_columns.items() if name in self._columns_read}
        return (*super().notices, *flag_notices(read))

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        self._columns_read |= set(columns)
        return self.cut_pieces(columns, offset)

    def cut_pieces(self, columns: Sequence[str], offset: Any) -> Iterator[Piece]:
        """The pieces, as :meth:`pieces` returns them."""
        raise NotImplementedError

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """The record batches of these columns of any type, in that order."""
        raise NotImplementedError

    @property
    def all_names(self) -> tuple[str, ...]:
        return self._all_names

    @property
    def column_formats(self) -> Mapping[str, Any]:
        return {**self._booleans, **self.converter.flag_formats}

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        large = [name for name in columns if name in self.converter.large_integer_columns]
        first = next((batch for batch in self.batches(large) if batch.num_rows), None) if large else None
        if first is None:
            return {}
        shifts = {name: find_shift(first.column(j)) for j, name in enumerate(large)}
        return {name: shift for name, shift in shifts.items() if shift}

    @cached_property
    def excluded_columns(self) -> Mapping[str, Message]:  # type: ignore[override]
        """Why each other column is not numeric, with one of its values for columns of text."""
        return {
            name: self._text_reason(name) if reason.key == "left_out.text" else reason
            for name, reason in self._reasons.items()
        }

    def _text_reason(self, name: str) -> Message:
        import pyarrow as pa

        try:
            return not_numeric_reason(batch.column(0) for batch in self.batches([name]))
        except pa.ArrowInvalid:  # in a damaged file, the bytes may not be text
            return message("left_out.binary")


class TableSource(ArrowSource):
    """The columns of a pyarrow table in memory."""

    def __init__(self, table: Any, notices: Sequence[Message] = ()) -> None:
        self.table, self.size = table, table.num_rows
        super().__init__(table.schema, index=index_columns(table.schema), notices=notices)

    def slice_rows(self, start: int, stop: int) -> TableSource:
        sliced = object.__new__(TableSource)
        sliced.__dict__ |= self.__dict__ | {
            "table": self.table.slice(start, stop - start),
            "inexact_columns": set(),
            "reading_notices": [],
        }
        sliced.size = stop - start
        return sliced

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        # Batches follow the table's own chunks, since joining chunks would copy them.
        yield from self.table.select(columns).to_batches(max_chunksize=BLOCK_ROWS)

    def cut_pieces(self, columns: Sequence[str], offset: Any) -> Iterator[Piece]:
        for start in range(offset or 0, self.table.num_rows, PIECE_ROWS):
            rows = self.table.slice(start, PIECE_ROWS)
            read_batches, n = partial(_table_batches, rows), rows.num_rows
            yield RecordBatchPiece(read_batches, self.converter, n, start + n, first_row=start)


def _table_batches(table: Any, columns: list[str]) -> list[Any]:
    return list(table.select(columns).to_batches(max_chunksize=BLOCK_ROWS))


def open_table(data: Any, name: str | None = None) -> TableSource:
    """Open a data frame or Arrow table; a stream that can be read only once is kept in memory.

    Args:
        data: the table, or a single column such as a series.
        name: the name of a single column (default: its own name, or ``x``).

    Raises:
        DataError: the table cannot be exported, or pyarrow does not know one of its types.
    """
    pa = require("pyarrow", "pyarrow", None, "tables")
    try:
        if is_from_package(data, "pandas"):
            # The index is not a column.
            columns = [data] if is_column(data) else [data.iloc[:, j] for j in range(data.shape[1])]
            names = [name or column_name(data) or "x"] if is_column(data) else [str(label) for label in data.columns]
            table = pa.Table.from_arrays([_series_to_array(column) for column in columns], names)
        elif is_column(data):
            column = pa.chunked_array(data) if hasattr(data, "__arrow_c_stream__") else pa.array(data)
            table = pa.Table.from_arrays([column], [name or column_name(data) or "x"])
        else:
            table = pa.table(data)
    except DataError:
        raise
    except Exception as cause:  # every exporter raises its own errors; duckdb runs its query here
        first_line = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise DataError("table_unreadable", type=type(data).__name__, cause=first_line[:200]) from cause
    return TableSource(table)


def is_column(data: Any) -> bool:
    """Whether this is one column rather than a table."""
    if is_from_package(data, "pandas", "polars"):
        return len(data.shape) == 1
    return is_from_package(data, "pyarrow") and hasattr(data, "type") and hasattr(data, "null_count")


def column_name(data: Any) -> str | None:
    """The name of a series; None if it has none."""
    name = getattr(data, "name", None)
    return str(name) if name is not None and is_from_package(data, "pandas", "polars") and str(name) else None


def index_columns(schema: Any) -> list[str]:
    """The columns that pandas wrote to keep the index of a frame."""
    try:
        pandas_metadata = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return [name for name in pandas_metadata["index_columns"] if isinstance(name, str)]
    except (ValueError, KeyError, TypeError):  # metadata that pandas did not write
        return []


def _series_to_array(series: Any) -> Any:
    import pyarrow as pa

    if str(series.dtype).startswith("Sparse"):
        series = series.sparse.to_dense()
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as cause:
        if series.dtype != object:
            reason = message("left_out.other", type=str(series.dtype))
            raise DataError("not_numeric", name=column_name(series) or "x", reason=reason) from cause
    # Values of several types, such as 1 and "n/a", are read like the same values in a CSV file.
    missing = series.isna()
    return pa.array(
        [None if is_missing else str(value) for value, is_missing in zip(series, missing, strict=True)], pa.string()
    )


def _value_type(pa: Any, arrow_type: Any) -> Any:
    return arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type


def _can_exceed_float64(pa: Any, arrow_type: Any) -> bool:
    """Whether float64 cannot hold every integer of this type."""
    if pa.types.is_decimal(arrow_type):
        return bool(arrow_type.scale == 0)
    return bool(pa.types.is_integer(arrow_type) and arrow_type.bit_width == 64)


def not_numeric_type_reason(pa: Any, arrow_type: Any) -> Message | None:
    """Why a column of this Arrow type is not numeric; None if it is."""
    if (
        pa.types.is_integer(arrow_type)
        or pa.types.is_floating(arrow_type)
        or pa.types.is_decimal(arrow_type)
        or pa.types.is_boolean(arrow_type)
    ):
        return None
    if pa.types.is_null(arrow_type):
        return message("left_out.empty")
    if pa.types.is_temporal(arrow_type):
        return message("left_out.time")
    if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type) or pa.types.is_string_view(arrow_type):
        return message("left_out.text")
    if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
        return message("left_out.binary")
    return message("left_out.other", type=str(arrow_type))
