"""Rows from CSV, Parquet and Arrow files, one or many, streamed: the content decides what a file is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from descentlab.data.csv.text_columns import is_number
from descentlab.data.paths import Place, find, unreadable
from descentlab.data.source import BLOCK_ROWS, PIECE_ROWS, Chained, Piece, Pieced, Source
from descentlab.data.tables import ArrowSource, BatchPiece, index_columns
from descentlab.errors import DataError, DescentlabError, require
from descentlab.messages import Sentence, counted, sentence
from descentlab.typing import Array

ARROW_FILE = b"ARROW1"
ARROW_STREAM = b"\xff\xff\xff\xff"
END_OF_STREAM = ARROW_STREAM + bytes(4)
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # how Hive, Spark and pyarrow name the folder of rows without a value
AT_A_TIME = 8 * BLOCK_ROWS  # rows that Parquet is decoded by


def open_files(where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], reading: Mapping[str, Any]) -> Source:
    """The source of every file that ``where`` names: paths, patterns such as ``data/*.parquet``, folders, URIs.

    Raises:
        DataError: no such file, nothing in it, or not a table.
    """
    require("pyarrow", "pyarrow", None, "tables")
    places = find(where)
    parts: list[tuple[str, Source]] = [(str(place), _keyed(open_file(place, reading), place)) for place in places]
    if len(parts) == 1:
        return parts[0][1]
    twice = sorted({str(place) for place in places if places.count(place) > 1})
    return Chained(parts, [sentence("notice.file_twice", paths=twice)] if twice else [])


def open_file(place: Place, reading: Mapping[str, Any]) -> Source:
    """The source of one file."""
    import pyarrow as pa

    try:
        with place.open() as file:
            start = file.read(8)
        if start.startswith(b"PAR1"):
            return ParquetSource(place)
        if start.startswith((ARROW_FILE, ARROW_STREAM)) or place.suffix in {".arrow", ".arrows", ".feather", ".ipc"}:
            return ArrowFile(place) if start.startswith(ARROW_FILE) else ArrowStream(place)
        if place.suffix in {".parquet", ".pq"}:
            raise DataError("not_parquet", path=str(place))
        from descentlab.data.csv.source import open_csv

        return open_csv(place, **reading)
    except DescentlabError:
        raise
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise unreadable(place, cause) from cause


class ParquetSource(ArrowSource):
    """A Parquet file; its row groups, small ones together, are its pieces."""

    reachable = True

    def __init__(self, place: Place) -> None:
        import pyarrow.parquet as pq

        self.place = place
        with pq.ParquetFile(place.arrow()) as file:
            schema, about = file.schema_arrow, file.metadata
            self.rows = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        super().__init__(schema, index=index_columns(schema))
        self.size = sum(self.rows)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        return _parquet_batches(self.place, range(len(self.rows)), list(columns))

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        first = after or 0
        while first < len(self.rows):
            last, rows = first + 1, self.rows[first]
            while last < len(self.rows) and rows + self.rows[last] <= PIECE_ROWS:
                rows += self.rows[last]
                last += 1
            read = partial(_parquet_batches, self.place, range(first, last))
            yield BatchPiece(read, self.numbers, rows, last)
            first = last


def _parquet_batches(place: Place, groups: range, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(place.arrow(), page_checksum_verification=True) as file:
            found = file.iter_batches(AT_A_TIME, row_groups=list(groups), columns=columns, use_threads=False)
            for batch in found:
                yield batch.select(columns)  # iter_batches keeps the file's order, not ours
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise unreadable(place, cause) from cause


class ArrowFile(ArrowSource):
    """An Arrow IPC file; its record batches, small ones together, are its pieces."""

    reachable = True

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self.place = place
        with place.arrow() as file, pa.ipc.open_file(file) as reader:
            schema, self.count = reader.schema, reader.num_record_batches
        super().__init__(schema, index=index_columns(schema))
        self.size = self.count

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        return _ipc_batches(self.place, range(self.count), list(columns))

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        for i in range(after or 0, self.count):
            read = partial(_ipc_batches, self.place, range(i, i + 1))
            yield BatchPiece(read, self.numbers, 1, i + 1)


def _ipc_batches(place: Place, which: range, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa

    try:
        with place.arrow() as file, pa.ipc.open_file(file) as reader:
            for i in which:
                yield _validated(reader.get_batch(i)).select(columns)
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise unreadable(place, cause) from cause


class ArrowStream(ArrowSource):
    """An Arrow IPC stream: its batches can only be reached one after the other, and a piece is one of them."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self.place = place
        with place.arrow() as file, pa.ipc.open_stream(file) as reader:
            schema = reader.schema
        super().__init__(schema, index=index_columns(schema))

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        for batch in self._all():
            yield batch.select(columns)

    def _all(self) -> Iterator[Any]:
        import pyarrow as pa

        rows = 0
        try:
            with self.place.arrow() as file:
                for batch in pa.ipc.open_stream(file):
                    rows += batch.num_rows
                    yield _validated(batch)
                end = file.tell()
                file.seek(max(end - len(END_OF_STREAM), 0))
                marked = file.read(len(END_OF_STREAM)) == END_OF_STREAM
        except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
            raise unreadable(self.place, cause) from cause
        # A stream may end without its mark; one that was cut between two batches looks just the same.
        said = sentence("notice.no_end_mark", path=self.place.name, rows=counted(rows, "row"))
        if not marked and said not in self.said:
            self.said.append(said)

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        for i, batch in enumerate(self._all()):
            if i >= (after or 0):
                yield BatchPiece(partial(_selected, batch.select(list(columns))), self.numbers, 1, i + 1)


def _selected(batch: Any, columns: list[str]) -> list[Any]:
    return [batch.select(columns)]


def _validated(batch: Any) -> Any:
    batch.validate(full=True)  # damaged offsets would otherwise be followed out of the file's memory
    return batch


class Keyed(Pieced):
    """A file with what the names of its folders say of every row in it."""

    def __init__(self, source: Source, keys: Mapping[str, str]) -> None:
        super().__init__()
        self.source, self.size, self.reachable = source, source.size, source.reachable
        numbers = {name: float(value) for name, value in keys.items() if is_number(value)}
        self.names = (*source.names, *numbers)
        self.keys = numbers | {name: float("nan") for name, value in keys.items() if value == NO_VALUE}
        reasons = {
            name: sentence("left_out.empty")
            if value == NO_VALUE
            else sentence("left_out.text", example=repr(value)[:40])
            for name, value in keys.items()
            if name not in numbers
        }
        self.left_out = {**source.left_out, **reasons}

    @property
    def notices(self) -> tuple[Sentence, ...]:
        return self.source.notices

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        own = [name for name in columns if name not in self.keys]
        for piece in self.source.pieces(own, after):
            yield KeyedPiece(piece, self.keys)


class KeyedPiece:
    """A piece with columns that are the same in every row."""

    def __init__(self, piece: Piece, keys: Mapping[str, float]) -> None:
        self.piece, self.keys, self.size, self.after = piece, keys, piece.size, piece.after

    @property
    def rounded(self) -> set[str]:
        return self.piece.rounded

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        own = [name for name in columns if name not in self.keys]
        for block in self.piece.blocks(own):
            values = np.empty((len(block), len(columns)), order="F")
            values[:, [columns.index(name) for name in own]] = block
            for name in columns:
                if name in self.keys:
                    values[:, columns.index(name)] = self.keys[name]
            yield values


def _keyed(source: Source, place: Place) -> Source:
    """With the columns that its folders name, but for those that the file has itself."""
    keys = {name: value for name, value in place.keys if name not in (*source.names, *source.left_out)}
    return Keyed(source, keys) if keys else source
