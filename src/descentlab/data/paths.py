"""Where files are: on this machine, or on any filesystem that pyarrow or fsspec knows, such as ``s3://``.

A folder stands for the data files in it and below it; folders named ``name=value`` are a column each, as Hive, Spark
and pyarrow write them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from descentlab.errors import DataError, DescentlabError, near, require

REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://.*", re.IGNORECASE | re.DOTALL)
KEY = re.compile(r"([^=/]+)=([^/]*)")
PACKED = (".gz", ".bz2", ".zst", ".lz4")  # what pyarrow takes for compressed
HIDDEN = (".", "_")  # how a folder's files begin that are no data: markers, checksums


@dataclass(frozen=True)
class Place:
    """One file.

    Attributes:
        path: where it is, within its filesystem.
        root: which filesystem: the URI that was given; None for this machine's.
        keys: what the names of its folders say of every row in it.
    """

    path: str
    root: str | None = None
    keys: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.path if self.root is None else f"{self.root.partition('://')[0]}://{self.path}"

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1] if self.root else Path(self.path).name

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def open(self) -> Any:
        """The file's bytes, with ``read`` and ``seek``."""
        if self.root is None:
            return Path(self.path).open("rb")
        return _filesystem(self.root).open_input_file(self.path)

    def arrow(self) -> Any:
        """The same for pyarrow's own readers."""
        import pyarrow as pa

        return pa.OSFile(self.path) if self.root is None else _filesystem(self.root).open_input_file(self.path)

    def unpacked(self) -> Any:
        """The file's bytes as a stream, unpacked where its name says that it is compressed."""
        import pyarrow as pa

        if self.root is None:
            return pa.input_stream(self.path, compression="detect")
        return _filesystem(self.root).open_input_stream(self.path, compression="detect")

    @property
    def packed(self) -> bool:
        """Whether its bytes are compressed as a whole: then they can only be read from the beginning."""
        return self.suffix in PACKED

    def mark(self) -> tuple[int, int]:
        """Its size in bytes, and when it was last changed, in nanoseconds: another mark is another file.

        Raises:
            DataError: it is gone, or cannot be looked at.
        """
        try:
            if self.root is None:
                found = Path(self.path).stat()
                return found.st_size, found.st_mtime_ns
            info = _filesystem(self.root).get_file_info(self.path)
        except OSError as cause:
            raise unreadable(self, cause) from cause
        return info.size or 0, info.mtime_ns or 0


def find(where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Place]:
    """The files meant by paths, patterns, folders and URIs, sorted within each of them.

    Raises:
        DataError: nothing is there, or it cannot be looked at.
    """
    import pyarrow as pa

    found: list[Place] = []
    for item in [where] if isinstance(where, str | os.PathLike) else where:
        given = os.fspath(item)
        try:
            remote = isinstance(item, str) and REMOTE.fullmatch(item)
            found += _remote(given) if remote else _local(Path(item).expanduser(), given)
        except DescentlabError:
            raise
        except (OSError, RuntimeError, ValueError, pa.ArrowException) as cause:  # too long, a zero byte, no such home
            raise unreadable(given[:200], cause) from cause
    return found


def _local(path: Path, given: str) -> list[Place]:
    if path.is_dir():
        files = [each for each in path.rglob("*") if each.is_file()]
        return _in_folder(given, {str(each): each.relative_to(path).as_posix() for each in files}, None)
    if path.exists():
        return [Place(str(path))]
    if has_magic(str(path)):
        matches = sorted(match for match in glob(str(path), recursive=True) if Path(match).is_file())  # noqa: PTH207 (an absolute pattern is one too)
        if not matches:
            raise DataError("no_match", pattern=given)
        base = Path(*_fixed(path.parts))
        return [Place(match, None, _keys(Path(match).relative_to(base).as_posix())) for match in matches]
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError("no_file", path=given, near=near(path.name, siblings))


def _remote(given: str) -> list[Place]:
    from pyarrow.fs import FileSelector, FileType

    files, path = _filesystem(given), _path(given)
    if has_magic(path):
        base = "/".join(_fixed(path.split("/")))
        below = files.get_file_info(FileSelector(base, recursive=True))
        wanted = re.compile(_translated(path))
        matches = sorted(each.path for each in below if each.is_file and wanted.fullmatch(each.path))
        if not matches:
            raise DataError("no_match", pattern=given)
        return [Place(match, given, _keys(match[len(base) :].lstrip("/"))) for match in matches]
    info = files.get_file_info(path)
    if info.type == FileType.Directory:
        below = files.get_file_info(FileSelector(path, recursive=True))
        inside = {each.path: each.path[len(path) :].lstrip("/") for each in below if each.is_file}
        return _in_folder(given, inside, given)
    if info.type == FileType.NotFound:
        raise DataError("no_file", path=given, near="")
    return [Place(path, given)]


def _in_folder(given: str, inside: dict[str, str], root: str | None) -> list[Place]:
    """The data files of a folder, given each one's path from there."""
    shown = {path: inner for path, inner in inside.items() if not any(p.startswith(HIDDEN) for p in inner.split("/"))}
    if not shown:
        raise DataError("empty_folder", path=given)
    return [Place(path, root, _keys(shown[path])) for path in sorted(shown)]


def _keys(inner: str) -> tuple[tuple[str, str], ...]:
    """The ``name=value`` folders on the way to a file."""
    return tuple((found[1], found[2]) for found in map(KEY.fullmatch, inner.split("/")[:-1]) if found)


def _fixed(parts: Sequence[str]) -> list[str]:
    """The parts of a path before the first that is a pattern."""
    fixed: list[str] = []
    for part in parts[:-1]:
        if has_magic(part):
            break
        fixed.append(part)
    return fixed


def _translated(pattern: str) -> str:
    """A glob as a regular expression: ``*`` stays within a folder, ``**`` does not."""
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", pattern)
    known = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(part, part if part.startswith("[") else re.escape(part)) for part in parts)


@cache
def _filesystem(root: str) -> Any:
    """Pyarrow's filesystem for a URI; else fsspec's."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        return FileSystem.from_uri(root)[0]
    except pa.ArrowInvalid:
        fsspec, scheme = require("fsspec", "fsspec", "remote", "remote"), root.partition("://")[0]
        try:
            return PyFileSystem(FSSpecHandler(fsspec.filesystem(scheme)))
        except (ValueError, ImportError) as cause:
            raise DataError("unknown_filesystem", scheme=scheme, cause=str(cause)[:200]) from cause


def _path(given: str) -> str:
    """A URI's path within its filesystem."""
    from pyarrow.fs import FileSystem, PyFileSystem

    files = _filesystem(given)
    path: str = (
        files.handler.fs._strip_protocol(given) if isinstance(files, PyFileSystem) else FileSystem.from_uri(given)[1]
    )
    return path


def unreadable(path: object, cause: BaseException) -> DataError:
    """What the reader of a file has to say, in one line."""
    first = (str(cause).splitlines() or [type(cause).__name__])[0]
    return DataError("unreadable", path=str(path), cause=first[:200])
