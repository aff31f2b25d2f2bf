"""Uploaded CSV files: never whole in memory, and stored under a fixed name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from descentlab.data import open_source
from descentlab.data.files import ARROW_FILE_MAGIC, ARROW_STREAM_MAGIC
from descentlab.errors import DataError, SettingError
from descentlab.lab.spec import MAX_LAB_COLUMNS, make_spec
from descentlab.problem.problem import Problem

BYTES_PER_MEGABYTE = 10**6
MAX_UPLOAD_BYTES = 50 * BYTES_PER_MEGABYTE
UPLOAD_CHUNK_BYTES = 1 << 16
MAX_NAME_LENGTH = 200
MAX_SEPARATORS = 10_000  # separators in the first line, beyond which it is not worth asking what it holds
NON_CSV_SIGNATURES = (b"PAR1", ARROW_FILE_MAGIC, ARROW_STREAM_MAGIC)  # tables that unpack to far more than they are
CSV_QUERY_FIELDS = ("delimiter", "decimal", "encoding")


@contextmanager
def spool_to_file(stream: BufferedIOBase, length: int) -> Iterator[Path]:
    """The next ``length`` bytes of a stream as a temporary file.

    Raises:
        DataError: the stream ends before that, or begins as something other than a CSV file.
    """
    with TemporaryDirectory(prefix="descentlab-") as folder:
        path = Path(folder) / "upload.csv"
        with path.open("wb") as file:
            remaining = length
            while remaining and (chunk := stream.read(min(remaining, UPLOAD_CHUNK_BYTES))):
                if remaining == length:
                    _check_is_csv(chunk)
                file.write(chunk)
                remaining -= len(chunk)
        if remaining:
            raise DataError("lab_upload_short", given=length - remaining, length=length)
        yield path


def spec_from_csv(path: Path, query: Mapping[str, list[str]]) -> dict[str, Any]:
    """The spec of a CSV file.

    Args:
        path: the file.
        query: ``name``, what to call it; ``target``, else its last numeric column; ``features``, one each or with
            commas between them, else all others; ``missing``, ``delimiter``, ``decimal`` and ``encoding``, as for
            :class:`descentlab.Problem`.

    Raises:
        DataError, SettingError: it cannot be read as asked.
    """

    def first_value(name: str) -> str | None:
        return query.get(name, [""])[0] or None

    csv_options: dict[str, Any] = {name: value for name in CSV_QUERY_FIELDS if (value := first_value(name))}
    source = open_source(path, csv_options=csv_options)
    if not source.names:
        raise DataError("lab_no_numbers", columns=tuple(source.excluded_columns))
    requested = query.get("features", [])
    features = requested if len(requested) != 1 or requested[0] in source.names else requested[0].split(",")
    features = [name for name in features if name]
    if len(features or source.names) > MAX_LAB_COLUMNS:
        raise SettingError("lab_columns", count=len(features or source.names), most=MAX_LAB_COLUMNS)
    problem = Problem(
        path,
        target=first_value("target") or source.names[-1],
        features=features or None,
        missing=first_value("missing") or "error",
        **csv_options,
    )
    return make_spec(problem, name=display_name(query))


def display_name(query: Mapping[str, list[str]]) -> str:
    """The file's name without its folders."""
    return (query.get("name", [""])[0] or "CSV")[:MAX_NAME_LENGTH]


def _check_is_csv(start: bytes) -> None:
    if start.startswith(NON_CSV_SIGNATURES):
        raise DataError("lab_only_csv")
    line = start.split(b"\n", 1)[0]
    if max(line.count(separator) for separator in (b",", b";", b"\t", b"|")) > MAX_SEPARATORS:
        raise SettingError("lab_columns", count=line.count(b",") + 1, most=MAX_LAB_COLUMNS)
