"""Predictions as a file: CSV, Parquet or Arrow, written block by block and in one step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.source import PIECE_ROWS
from descentlab.data.tables import max_magnitude
from descentlab.dependencies import require
from descentlab.errors import DataError, SettingError
from descentlab.model.prediction_stream import PredictedBlock, PredictionStream, ProgressCallback
from descentlab.storage import open_atomically

OpenWriter = Callable[[IO[bytes], Any], AbstractContextManager[Any]]


def write_predictions(
    stream: PredictionStream, output: str | os.PathLike[str], progress: ProgressCallback | None = None
) -> None:
    """Write all rows of a stream to a file whose suffix is its format.

    Raises:
        SettingError: there is no format for the suffix.
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    open_writer = choose_writer(output)
    with open_atomically(output) as file:
        write_to(stream, file, open_writer, progress)


def choose_writer(output: str | os.PathLike[str]) -> OpenWriter:
    """What opens a writer for the format of a file's suffix; raises SettingError if there is none."""
    require("pyarrow", "pyarrow", None, "tables")
    suffix = Path(output).suffix.lower()
    if suffix not in WRITERS:
        raise SettingError("prediction_format", path=os.fspath(output))
    return WRITERS[suffix]


def open_csv_writer(file: IO[bytes], schema: Any) -> AbstractContextManager[Any]:
    """A writer of CSV files, with a line of names; a missing value is an empty cell, or nan if a line has no other."""
    from pyarrow import csv

    writer: Any = csv.CSVWriter(file, schema)
    return _OneColumnWriter(writer) if len(schema.names) == 1 else writer


class _OneColumnWriter:
    """Writes nan instead of an empty line, which most readers skip, so that the rows after it would move up."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def __enter__(self) -> _OneColumnWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.writer.close()

    def write_table(self, table: Any) -> None:
        self.writer.write_table(table.set_column(0, table.column_names[0], table.column(0).fill_null(float("nan"))))


def _open_parquet_writer(file: IO[bytes], schema: Any) -> AbstractContextManager[Any]:
    from pyarrow import parquet

    writer: AbstractContextManager[Any] = parquet.ParquetWriter(file, schema)
    return writer


def _open_arrow_writer(file: IO[bytes], schema: Any) -> AbstractContextManager[Any]:
    import pyarrow as pa

    writer: AbstractContextManager[Any] = pa.ipc.new_file(file, schema)
    return writer


WRITERS: dict[str, OpenWriter] = {
    ".csv": open_csv_writer,
    ".parquet": _open_parquet_writer,
    ".pq": _open_parquet_writer,
    ".arrow": _open_arrow_writer,
    ".feather": _open_arrow_writer,
    ".ipc": _open_arrow_writer,
}


def write_to(
    stream: PredictionStream, file: IO[bytes], open_writer: OpenWriter, progress: ProgressCallback | None = None
) -> None:
    """Write all rows to an open file, in tables large enough for row groups."""
    tables = iterate_tables(stream, progress)
    first = next(tables)
    with open_writer(file, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(_cast_like(table, first.schema))


def iterate_tables(stream: PredictionStream, progress: ProgressCallback | None = None) -> Iterator[Any]:
    """Tables of the columns kept and the predictions; at least one, which may have no row."""
    import pyarrow as pa

    batches: list[Any] = []
    rows = written = 0
    for block in stream.blocks(progress):
        batches.append(_to_batch(stream, block))
        rows += batches[-1].num_rows
        if rows >= PIECE_ROWS:
            yield _to_table(batches)
            batches, rows, written = [], 0, written + 1
    if batches:
        yield _to_table(batches)
    elif not written:
        yield pa.table({name: pa.array([], pa.float64()) for name in stream.value_names})


def _to_table(batches: list[Any]) -> Any:
    import pyarrow as pa

    first, *others = batches
    tables = [pa.Table.from_batches([each]) for each in others]
    return pa.concat_tables([pa.Table.from_batches([first]), *(_cast_like(each, first.schema) for each in tables)])


def _to_batch(stream: PredictionStream, block: PredictedBlock) -> Any:
    import pyarrow as pa

    kept = {name: _plain_array(block.kept[name]) for name in stream.kept_columns}
    predicted = zip(stream.value_names, block.values.T, strict=True)
    return pa.record_batch(kept | {name: pa.array(column, from_pandas=True) for name, column in predicted})


def _plain_array(column: Any) -> Any:
    """A column without a dictionary, whose words may differ from block to block."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _cast_like(table: Any, schema: Any) -> Any:
    """A table in the types of the first one; raises DataError where that would lose digits."""
    import pyarrow as pa

    if table.schema.equals(schema):
        return table
    columns = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        column = table.column(name)
        loses_digits = pa.types.is_decimal(column.type) and pa.types.is_floating(kind)
        if loses_digits and max_magnitude(column) > MAX_EXACT_INTEGER:
            raise DataError("keep_changes", name=name, before=str(kind), now=str(column.type))
        try:
            columns.append(column.cast(kind))
        except pa.ArrowInvalid as cause:
            raise DataError("keep_changes", name=name, before=str(kind), now=str(column.type)) from cause
    return pa.table(columns, schema=schema)
