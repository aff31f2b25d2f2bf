"""Rows from CSV, Parquet and Arrow files, one or many.

The content decides what a file is; the name only breaks ties. Parquet is read block by block, the others
through pyarrow into memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from descentlab.data.source import BLOCK_ROWS, Chained, Source
from descentlab.data.tables import BatchSource, index_columns, table_source
from descentlab.errors import DataError, DescentlabError, near, require
from descentlab.text import counted, sentence

ARROW_FILE = b"ARROW1"
ARROW_STREAM = b"\xff\xff\xff\xff"
END_OF_STREAM = ARROW_STREAM + bytes(4)


def open_files(where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], reading: Mapping[str, Any]) -> Source:
    """The source of every file that ``where`` names: paths, or patterns such as ``data/*.parquet``.

    Raises:
        DataError: no such file, nothing in it, or not a table.
    """
    require("pyarrow", "pyarrow", None, "tables")
    paths = find(where)
    parts = [(str(path), open_file(path, reading)) for path in paths]
    if len(parts) == 1:
        return parts[0][1]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    return Chained(parts, [sentence("notice.file_twice", paths=twice)] if twice else [])


def find(where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The files meant, sorted within each pattern."""
    found: list[Path] = []
    for item in [where] if isinstance(where, str | os.PathLike) else where:
        try:
            found += _files(Path(item).expanduser(), os.fspath(item))
        except (OSError, RuntimeError, ValueError) as cause:  # a name too long, a home unknown, a zero byte
            if isinstance(cause, DescentlabError):
                raise
            raise _unreadable(os.fspath(item)[:200], cause) from cause
    return found


def _files(path: Path, given: str) -> list[Path]:
    if path.is_dir():
        raise DataError("is_folder", path=given)
    if path.exists():
        return [path]
    if has_magic(str(path)):
        matches = sorted(Path(match) for match in glob(str(path), recursive=True) if Path(match).is_file())  # noqa: PTH207 (an absolute pattern is one too)
        if not matches:
            raise DataError("no_match", pattern=given)
        return matches
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError("no_file", path=given, near=near(path.name, siblings))


def open_file(path: Path, reading: Mapping[str, Any]) -> Source:
    """The source of one file."""
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(b"PAR1"):
            return _open_parquet(path)
        if start.startswith((ARROW_FILE, ARROW_STREAM)) or path.suffix in {".arrow", ".arrows", ".feather", ".ipc"}:
            return _open_arrow(path, start)
        if path.suffix in {".parquet", ".pq"}:
            raise DataError("not_parquet", path=str(path))
        from descentlab.data.csv import open_csv

        return open_csv(path, **reading)
    except DescentlabError:
        raise
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise _unreadable(path, cause) from cause


def _open_parquet(path: Path) -> Source:
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    return BatchSource(schema, partial(_parquet_batches, path), index=index_columns(schema))


def _parquet_batches(path: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=columns):
                yield batch.select(columns)  # iter_batches keeps the file's order, not ours
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as cause:
        raise _unreadable(path, cause) from cause


def _open_arrow(path: Path, start: bytes) -> Source:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        if start.startswith(ARROW_FILE):
            return table_source(_validated(pa.ipc.open_file(file).read_all()))
        table = _validated(pa.ipc.open_stream(file).read_all())
        end = file.tell()
        file.seek(max(end - len(END_OF_STREAM), 0))
        marked = file.read(len(END_OF_STREAM)) == END_OF_STREAM
    # A stream may end without its mark; one that was cut between two batches looks just the same.
    return table_source(
        table, [] if marked else [sentence("notice.no_end_mark", path=path.name, rows=counted(table.num_rows, "row"))]
    )


def _validated(table: Any) -> Any:
    table.validate(full=True)  # damaged offsets would otherwise be followed out of the file's memory
    return table


def _unreadable(path: object, cause: BaseException) -> DataError:
    first = (str(cause).splitlines() or [type(cause).__name__])[0]
    return DataError("unreadable", path=str(path), cause=first[:200])
