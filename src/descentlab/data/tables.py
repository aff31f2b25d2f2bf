"""Rows from anything that exports an Arrow C stream: pandas, polars, pyarrow, duckdb, and files of tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data.arrays import EXACT_INTEGER
from descentlab.data.source import BLOCK_ROWS, Array
from descentlab.errors import DataError, require
from descentlab.text import Sentence, sentence


class BatchSource:
    """Columns of Arrow record batches that can be read again and again."""

    def __init__(self, schema: Any, batches: Any, *, index: Sequence[str] = (), notices: Sequence[Sentence] = ()) -> None:
        """Args:
        schema: the pyarrow schema.
        batches: a function of column names that yields record batches (or tables) of those columns.
        index: columns that hold a row label, left out with a reason.
        notices: what to tell about how the data was read.
        """
        pa = require("pyarrow", "pyarrow", None, "tables")
        self._batches = batches
        names = [str(name) for name in schema.names]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError("duplicate_columns", names=repeated)
        reasons = {
            name: sentence("left_out.index") if name in index else _why_not_numeric(pa, kind)
            for name, kind in zip(names, schema.types, strict=True)
        }
        self.names = tuple(name for name, reason in reasons.items() if reason is None)
        self._reasons = {name: reason for name, reason in reasons.items() if reason is not None}
        self._large = [
            name for name, kind in zip(names, schema.types, strict=True) if pa.types.is_integer(kind) and kind.bit_width == 64
        ]
        self._notices = tuple(notices)
        self._rounded: dict[str, None] = {}

    @property
    def left_out(self) -> Mapping[str, Sentence]:
        """Why each other column is not a number, with a value of it where that helps."""
        return {name: self._with_example(name, reason) for name, reason in self._reasons.items()}

    def _with_example(self, name: str, reason: Sentence) -> Sentence:
        if reason.key != "left_out.text":
            return reason
        for batch in self._batches([name]):
            for value in batch.column(0).slice(0, 1000):
                if value.is_valid and str(value.as_py()).strip():
                    return sentence("left_out.text", example=repr(value.as_py())[:40])
        return sentence("left_out.empty")

    @property
    def notices(self) -> tuple[Sentence, ...]:
        """How the data was read, and which whole numbers lost digits in the blocks read so far."""
        rounded = (sentence("notice.large_integers", names=list(self._rounded)),) if self._rounded else ()
        return self._notices + rounded

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        for batch in self._batches(list(columns)):
            for start in range(0, batch.num_rows, BLOCK_ROWS):
                part = batch.slice(start, BLOCK_ROWS)
                block = np.empty((part.num_rows, len(columns)), order="F")
                for j, name in enumerate(columns):
                    block[:, j] = self._as_float64(part.column(j), name)
                yield block

    def _as_float64(self, column: Any, name: str) -> Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name in self._large and len(column):
            extremes = pc.min_max(column).as_py()
            if max(abs(extremes["min"] or 0), abs(extremes["max"] or 0)) > EXACT_INTEGER:
                self._rounded[name] = None
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        values: Array = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return values


def open_table(data: Any) -> BatchSource:
    """The source of a data frame or Arrow table; a stream that can be read only once is kept in memory."""
    pa = require("pyarrow", "pyarrow", None, "tables")
    if type(data).__module__.startswith("pandas."):
        # The index labels rows; from_pandas would otherwise turn it into a column like any other.
        frame = data.to_frame() if data.ndim == 1 else data
        table = pa.Table.from_pandas(frame, preserve_index=False)
    else:
        table = pa.table(data)
    return table_source(table)


def table_source(table: Any, notices: Sequence[Sentence] = ()) -> BatchSource:
    """The source of a pyarrow table in memory."""
    return BatchSource(table.schema, lambda columns: _of_table(table, columns), index=index_columns(table.schema), notices=notices)


def _of_table(table: Any, columns: list[str]) -> Iterable[Any]:
    # Row counts of a table without columns are lost in batches, so slices of the table are used.
    return table.select(columns).to_batches(max_chunksize=BLOCK_ROWS)  # type: ignore[no-any-return]


def index_columns(schema: Any) -> list[str]:
    """The columns that pandas wrote only to keep a frame's index."""
    import json

    described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return [name for name in described.get("index_columns", []) if isinstance(name, str)]


def _why_not_numeric(pa: Any, kind: Any) -> Sentence | None:
    """Why a column of this Arrow type is not a number; None where it is one."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return None
    if pa.types.is_null(kind):
        return sentence("left_out.empty")
    if pa.types.is_temporal(kind):
        return sentence("left_out.time")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return sentence("left_out.text")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return sentence("left_out.binary")
    return sentence("left_out.other", type=str(kind))
