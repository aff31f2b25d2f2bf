"""Stream rows from CSV, Parquet and Arrow files; the first bytes of a file decide its format."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from descentlab.data.combined import ConcatSource
from descentlab.data.csv.number_format import is_number
from descentlab.data.csv.text_filter import UTF8_BOM
from descentlab.data.paths import FileLocation, resolve_locations, unreadable_error
from descentlab.data.source import (
    BLOCK_ROWS,
    NO_SHIFTS,
    PIECE_ROWS,
    BaseSource,
    MixedBlock,
    Piece,
    Source,
    place_of_row,
)
from descentlab.data.tables import ArrowSource, RecordBatchPiece, index_columns
from descentlab.dependencies import require
from descentlab.errors import DataError, DescentlabError, find_duplicates
from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray

ARROW_FILE_MAGIC = b"ARROW1"
ARROW_STREAM_MAGIC = b"\xff\xff\xff\xff"
ARROW_STREAM_END = ARROW_STREAM_MAGIC + bytes(4)
FORMAT_BYTES = 512
ZIP_MAGIC, GZIP_MAGIC, OLD_EXCEL_MAGIC = b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0"
HTML_STARTS = (b"<!doctype", b"<html", b"<head", b"<body", b"<table", b"<div", b"<?xml", b"<!--", b"<script")
JSON_START = re.compile(rb'\{\s*("|\}|$)|\[\s*(\{|\[|\]|$|"[^"]*"\s*,\s*["\d]|-?\d+(\.\d+)?\s*[,\]])')
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"  # the folder of rows without a value, in Hive, Spark and pyarrow
PARQUET_BATCH_ROWS = 8 * BLOCK_ROWS


def open_files(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], csv_options: Mapping[str, Any]
) -> Source:
    """Open files as one source; ``paths`` can be paths, patterns such as ``data/*.parquet``, folders and URIs.

    Raises:
        DataError: a file does not exist, is empty, or cannot be read as a table.
    """
    require("pyarrow", "pyarrow", None, "tables")
    locations = resolve_locations(paths)
    labeled_sources: list[tuple[str, Source]] = [
        (str(place), _with_partition_columns(open_file(place, csv_options), place)) for place in locations
    ]
    if len(labeled_sources) == 1:
        return labeled_sources[0][1]
    repeated = find_duplicates(map(str, locations))
    return ConcatSource(labeled_sources, [message("notice.file_twice", paths=repeated)] if repeated else [])


def open_file(location: FileLocation, csv_options: Mapping[str, Any]) -> Source:
    """Open one file in the format of its first bytes."""
    import pyarrow as pa

    try:
        with location.open() as file:
            signature = file.read(FORMAT_BYTES)
        if signature.startswith(b"PAR1"):
            return ParquetSource(location)
        if signature.startswith((ARROW_FILE_MAGIC, ARROW_STREAM_MAGIC)) or location.suffix in {
            ".arrow",
            ".arrows",
            ".feather",
            ".ipc",
        }:
            return ArrowFileSource(location) if signature.startswith(ARROW_FILE_MAGIC) else ArrowStreamSource(location)
        if location.suffix in {".parquet", ".pq"}:
            raise DataError("not_parquet", path=str(location))
        if error := other_format_error(location, signature):
            raise error
        from descentlab.data.csv.source import open_csv

        return open_csv(location, **csv_options)
    except DescentlabError:
        raise
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise unreadable_error(location, cause) from cause


def other_format_error(location: FileLocation, signature: bytes) -> DataError | None:
    """The error for a file whose first bytes are those of a spreadsheet, a page, JSON or an archive; else None."""
    start, path = signature.removeprefix(UTF8_BOM).lstrip().lower(), str(location)
    if signature.startswith((ZIP_MAGIC, OLD_EXCEL_MAGIC)):
        return DataError("format_excel" if _is_spreadsheet(location, signature) else "format_zip", path=path)
    if signature.startswith(GZIP_MAGIC) and not location.is_compressed:
        return DataError("format_gzip", path=path)
    if start.startswith(HTML_STARTS):
        return DataError("format_html", path=path)
    return DataError("format_json", path=path) if JSON_START.match(start) else None


def _is_spreadsheet(location: FileLocation, signature: bytes) -> bool:
    is_named_so = location.suffix.lower().startswith((".xls", ".ods"))
    return is_named_so or signature.startswith(OLD_EXCEL_MAGIC) or b"[Content_Types].xml" in signature


class ParquetSource(ArrowSource):
    """A Parquet file; its row groups, small ones together, are its pieces."""

    random_access = True

    def __init__(self, location: FileLocation) -> None:
        import pyarrow.parquet as pq

        self.location = location
        with pq.ParquetFile(location.open_arrow()) as file:
            schema, metadata = file.schema_arrow, file.metadata
            self.group_rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        super().__init__(schema, index=index_columns(schema))
        self.size = sum(self.group_rows)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        return _parquet_batches(self.location, range(len(self.group_rows)), list(columns))

    def cut_pieces(self, columns: Sequence[str], offset: Any) -> Iterator[Piece]:
        first = offset or 0
        while first < len(self.group_rows):
            last, rows = first + 1, self.group_rows[first]
            while last < len(self.group_rows) and rows + self.group_rows[last] <= PIECE_ROWS:
                rows += self.group_rows[last]
                last += 1
            read_batches = partial(_parquet_batches, self.location, range(first, last))
            first_row = sum(self.group_rows[:first])
            yield RecordBatchPiece(read_batches, self.converter, rows, last, first_row)
            first = last


def _parquet_batches(location: FileLocation, groups: range, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(location.open_arrow(), page_checksum_verification=True) as file:
            batches = file.iter_batches(PARQUET_BATCH_ROWS, row_groups=list(groups), columns=columns, use_threads=False)
            for batch in batches:
                yield batch.select(columns)  # iter_batches keeps the file's order, not ours
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise unreadable_error(location, cause) from cause


class ArrowFileSource(ArrowSource):
    """An Arrow IPC file; its record batches, small ones together, are its pieces."""

    random_access = True

    def __init__(self, location: FileLocation) -> None:
        import pyarrow as pa

        self.location = location
        with location.open_arrow() as file, pa.ipc.open_file(file) as reader:
            schema, self.n_batches = reader.schema, reader.num_record_batches
        super().__init__(schema, index=index_columns(schema))
        self.size = self.n_batches

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        return _ipc_batches(self.location, range(self.n_batches), list(columns))

    def cut_pieces(self, columns: Sequence[str], offset: Any) -> Iterator[Piece]:
        for i in range(offset or 0, self.n_batches):
            read_batches = partial(_ipc_batches, self.location, range(i, i + 1))
            yield RecordBatchPiece(read_batches, self.converter, 1, i + 1)


def _ipc_batches(location: FileLocation, indices: range, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa

    try:
        with location.open_arrow() as file, pa.ipc.open_file(file) as reader:
            for i in indices:
                yield _validate_batch(reader.get_batch(i)).select(columns)
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise unreadable_error(location, cause) from cause


class ArrowStreamSource(ArrowSource):
    """An Arrow IPC stream; its batches, which can only be read in order, are its pieces."""

    def __init__(self, location: FileLocation) -> None:
        import pyarrow as pa

        self.location = location
        with location.open_arrow() as file, pa.ipc.open_stream(file) as reader:
            schema = reader.schema
        super().__init__(schema, index=index_columns(schema))

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        for batch in self._iterate_batches():
            yield batch.select(columns)

    def _iterate_batches(self) -> Iterator[Any]:
        import pyarrow as pa

        rows = 0
        try:
            with self.location.open_arrow() as file:
                for batch in pa.ipc.open_stream(file):
                    rows += batch.num_rows
                    yield _validate_batch(batch)
                end = file.tell()
                file.seek(max(end - len(ARROW_STREAM_END), 0))
                has_end_mark = file.read(len(ARROW_STREAM_END)) == ARROW_STREAM_END
        except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
            raise unreadable_error(self.location, cause) from cause
        # A stream without an end mark is valid, and looks like one that was cut between two batches.
        notice = message("notice.no_end_mark", path=self.location.name, rows=pluralize(rows, "row"))
        if not has_end_mark and notice not in self.reading_notices:
            self.reading_notices.append(notice)

    def cut_pieces(self, columns: Sequence[str], offset: Any) -> Iterator[Piece]:
        for i, batch in enumerate(self._iterate_batches()):
            if i >= (offset or 0):
                yield RecordBatchPiece(partial(_select_columns, batch.select(list(columns))), self.converter, 1, i + 1)


def _select_columns(batch: Any, columns: list[str]) -> list[Any]:
    return [batch.select(columns)]


def _validate_batch(batch: Any) -> Any:
    batch.validate(full=True)  # damaged offsets would read outside of the file's memory
    return batch


class PartitionedSource(BaseSource):
    """A file with one more column for each ``name=value`` folder on its path."""

    def __init__(self, source: Source, partition: Mapping[str, str]) -> None:
        super().__init__()
        self.source, self.size, self.random_access = source, source.size, source.random_access
        numbers = {name: float(value) for name, value in partition.items() if is_number(value)}
        self.names = (*source.names, *numbers)
        self.partition = partition
        self.partition_values = numbers | {
            name: float("nan") for name, value in partition.items() if value == HIVE_NULL
        }
        reasons = {
            name: message("left_out.empty")
            if value == HIVE_NULL
            else message("left_out.text", example=repr(value)[:40])
            for name, value in partition.items()
            if name not in numbers
        }
        self.excluded_columns = {**source.excluded_columns, **reasons}

    @property
    def notices(self) -> tuple[Message, ...]:
        return self.source.notices

    @property
    def all_names(self) -> tuple[str, ...]:
        return (*self.source.all_names, *self.partition)

    @property
    def column_formats(self) -> Mapping[str, Any]:
        return self.source.column_formats

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        file_columns = [name for name in columns if name not in self.partition]
        for piece in self.source.pieces(file_columns, offset):
            yield PartitionedPiece(piece, self.partition_values, self.partition)

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        return self.source.integer_shifts([name for name in columns if name not in self.partition_values])


class PartitionedPiece:
    """A piece with columns whose value is the same in every row."""

    def __init__(self, piece: Piece, partition_values: Mapping[str, float], partition: Mapping[str, str]) -> None:
        self.piece, self.partition_values, self.partition = piece, partition_values, partition
        self.size, self.next_offset = piece.size, piece.next_offset

    @property
    def inexact_columns(self) -> set[str]:
        return self.piece.inexact_columns

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        file_columns = [name for name in columns if name not in self.partition_values]
        for block in self.piece.blocks(file_columns, shifts):
            yield self._with_constants(block, file_columns, columns)

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        file_numbers = [name for name in numbers if name not in self.partition_values]
        file_others = [name for name in others if name not in self.partition]
        constants = {name: self._label(name) for name in others if name in self.partition}
        for block, arrays in self.piece.mixed_blocks(file_numbers, file_others, shifts):
            labels = {name: _repeat(value, len(block)) for name, value in constants.items()}
            yield self._with_constants(block, file_numbers, numbers), arrays | labels

    def place_of_row(self, row: int) -> Message | str:
        return place_of_row(self.piece, row)

    def _label(self, name: str) -> float | str | None:
        value = self.partition[name]
        return None if value == HIVE_NULL else self.partition_values.get(name, value)

    def _with_constants(self, block: FloatArray, file_columns: Sequence[str], columns: Sequence[str]) -> FloatArray:
        """(m, k) the columns in order, of which the block has those that the file holds."""
        values = np.empty((len(block), len(columns)), order="F")
        values[:, [columns.index(name) for name in file_columns]] = block
        for name in columns:
            if name in self.partition_values:
                values[:, columns.index(name)] = self.partition_values[name]
        return values


def _repeat(value: float | str | None, rows: int) -> Any:
    """An Arrow array of one value."""
    import pyarrow as pa

    return pa.repeat(pa.scalar(value), rows)


def _with_partition_columns(source: Source, location: FileLocation) -> Source:
    """The source with the columns of its folders, except those that the file has itself."""
    partition = {
        name: value for name, value in location.partition if name not in (*source.names, *source.excluded_columns)
    }
    return PartitionedSource(source, partition) if partition else source
