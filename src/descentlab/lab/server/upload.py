"""A CSV file as it comes through the served lab's door: never whole in memory, never under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from descentlab.data import open_source
from descentlab.data.files import ARROW_FILE, ARROW_STREAM
from descentlab.errors import DataError, SettingError
from descentlab.lab.spec import MOST_COLUMNS, spec
from descentlab.problem.problem import Problem

MEGABYTE = 10**6
LARGEST = 50 * MEGABYTE
PIECE = 1 << 16
LONGEST_NAME = 200
WIDEST = 10_000  # separators in the first line, beyond which it is not worth asking what it holds
OTHERS = (b"PAR1", ARROW_FILE, ARROW_STREAM)  # tables that unpack to far more than they are
READING = ("delimiter", "decimal", "encoding")


@contextmanager
def spooled(stream: BufferedIOBase, length: int) -> Iterator[Path]:
    """The next ``length`` bytes of a stream as a file, for as long as the context lasts.

    Raises:
        DataError: the stream ends before that, or begins as something other than a CSV file.
    """
    with TemporaryDirectory(prefix="descentlab-") as folder:
        path = Path(folder) / "upload.csv"
        with path.open("wb") as file:
            left = length
            while left and (piece := stream.read(min(left, PIECE))):
                if left == length:
                    _refuse_others(piece)
                file.write(piece)
                left -= len(piece)
        if left:
            raise DataError("lab_upload_short", given=length - left, length=length)
        yield path


def spec_of(path: Path, query: Mapping[str, list[str]]) -> dict[str, Any]:
    """The spec of a CSV file.

    Args:
        path: the file.
        query: ``name``, what to call it; ``target``, else its last numeric column; ``features``, one each or with
            commas between them, else all others; ``missing``, ``delimiter``, ``decimal`` and ``encoding``, as for
            :class:`descentlab.Problem`.

    Raises:
        DataError, SettingError: it cannot be read as asked.
    """

    def one(name: str) -> str | None:
        return query.get(name, [""])[0] or None

    reading: dict[str, Any] = {name: value for name in READING if (value := one(name))}
    source = open_source(path, reading=reading)
    if not source.names:
        raise DataError("lab_no_numbers", columns=tuple(source.left_out))
    given = query.get("features", [])
    features = given if len(given) != 1 or given[0] in source.names else given[0].split(",")
    features = [name for name in features if name]
    if len(features or source.names) > MOST_COLUMNS:
        raise SettingError("lab_columns", count=len(features or source.names), most=MOST_COLUMNS)
    problem = Problem(
        path,
        target=one("target") or source.names[-1],
        features=features or None,
        missing=one("missing") or "error",
        **reading,
    )
    return spec(problem, name=name_of(query))


def name_of(query: Mapping[str, list[str]]) -> str:
    """What the file is called, which is never where it is."""
    return (query.get("name", [""])[0] or "CSV")[:LONGEST_NAME]


def _refuse_others(start: bytes) -> None:
    if start.startswith(OTHERS):
        raise DataError("lab_only_csv")
    line = start.split(b"\n", 1)[0]
    if max(line.count(separator) for separator in (b",", b";", b"\t", b"|")) > WIDEST:
        raise SettingError("lab_columns", count=line.count(b",") + 1, most=MOST_COLUMNS)
