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

HEAD = 1 << 16  # how much of a file is looked at to decide what it is


def open_files(where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], reading: Mapping[str, Any]) -> Source:
    """The source of every file that ``where`` names: paths, or patterns such as ``data/*.parquet``.

    Raises:
        DataError: no such file, nothing in it, or not a table.
    """
    require("pyarrow", "pyarrow", None, "tables")
    paths = find(where)
    parts = [(str(path), open_file(path, reading)) for path in paths]
    return parts[0][1] if len(parts) == 1 else Chained(parts)


def find(where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The files meant, sorted within each pattern."""
    found: list[Path] = []
    for item in [where] if isinstance(where, str | os.PathLike) else where:
        path = Path(item).expanduser()
        if has_magic(str(path)) and not path.exists():
            matches = sorted(Path(match) for match in glob(str(path), recursive=True) if Path(match).is_file())
            if not matches:
                raise DataError("no_match", pattern=str(item))
            found += matches
        elif path.is_dir():
            raise DataError("is_folder", path=str(item))
        elif not path.exists():
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError("no_file", path=str(item), near=near(path.name, siblings))
        else:
            found.append(path)
    return found


def open_file(path: Path, reading: Mapping[str, Any]) -> Source:
    """The source of one file."""
    import pyarrow as pa

    try:
        start = path.open("rb").read(8)
        if start.startswith(b"PAR1"):
            return _open_parquet(path)
        if start.startswith(b"ARROW1") or path.suffix in {".arrow", ".feather", ".ipc"}:
            return _open_arrow(path)
        if path.suffix == ".parquet":
            raise DataError("not_parquet", path=str(path))
        from descentlab.data.csv import open_csv

        return open_csv(path, **reading)
    except DescentlabError:
        raise
    except (OSError, pa.ArrowException, EOFError) as cause:
        raise DataError("unreadable", path=str(path), cause=_first_line(cause)) from cause


def _open_parquet(path: Path) -> Source:
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    return BatchSource(schema, partial(_parquet_batches, path), index=index_columns(schema))


def _parquet_batches(path: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=columns):
                yield batch.select(columns)  # iter_batches keeps the file's order, not ours
    except (OSError, pa.ArrowException) as cause:
        raise DataError("unreadable", path=str(path), cause=_first_line(cause)) from cause


def _open_arrow(path: Path) -> Source:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        try:
            table = pa.ipc.open_file(file).read_all()
        except pa.ArrowInvalid:
            table = pa.ipc.open_stream(file).read_all()
    return table_source(table)


def _first_line(cause: BaseException) -> str:
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
