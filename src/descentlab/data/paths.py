"""Locate files on this machine or on any filesystem that pyarrow or fsspec knows, such as ``s3://``.

A folder means the data files in it and below it. Folders named ``name=value`` are columns, as Hive, Spark and
pyarrow write them.
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

from descentlab.dependencies import require
from descentlab.errors import DataError, DescentlabError, did_you_mean

URI_PATTERN = re.compile(r"[a-z][a-z0-9+.-]+://.*", re.IGNORECASE | re.DOTALL)
PARTITION_DIR = re.compile(r"([^=/]+)=([^/]*)")
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".zst", ".lz4")  # the suffixes that pyarrow decompresses
IGNORED_PREFIXES = (".", "_")  # markers and checksums in a folder


@dataclass(frozen=True)
class FileLocation:
    """One file.

    Attributes:
        path: the path within its filesystem.
        filesystem_uri: the URI that was given; None for this machine's filesystem.
        partition: the names and values of its ``name=value`` folders.
    """

    path: str
    filesystem_uri: str | None = None
    partition: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.path if self.filesystem_uri is None else f"{self.filesystem_uri.partition('://')[0]}://{self.path}"

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1] if self.filesystem_uri else Path(self.path).name

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def open(self) -> Any:
        """Open the file's bytes, with ``read`` and ``seek``."""
        if self.filesystem_uri is None:
            return Path(self.path).open("rb")
        return _filesystem(self.filesystem_uri).open_input_file(self.path)

    def open_arrow(self) -> Any:
        """Open the file for pyarrow's readers."""
        import pyarrow as pa

        return (
            pa.OSFile(self.path)
            if self.filesystem_uri is None
            else _filesystem(self.filesystem_uri).open_input_file(self.path)
        )

    def open_decompressed(self) -> Any:
        """Open the file as a stream, decompressed if its suffix is one of :data:`COMPRESSED_SUFFIXES`."""
        import pyarrow as pa

        if self.filesystem_uri is None:
            return pa.input_stream(self.path, compression="detect")
        return _filesystem(self.filesystem_uri).open_input_stream(self.path, compression="detect")

    @property
    def is_compressed(self) -> bool:
        """Whether the whole file is compressed, so that it can only be read from the beginning."""
        return self.suffix in COMPRESSED_SUFFIXES

    def fingerprint(self) -> tuple[int, int]:
        """The size in bytes and the time of the last change in nanoseconds; a changed file has others.

        Raises:
            DataError: the file does not exist or cannot be accessed.
        """
        try:
            if self.filesystem_uri is None:
                stat = Path(self.path).stat()
                return stat.st_size, stat.st_mtime_ns
            info = _filesystem(self.filesystem_uri).get_file_info(self.path)
        except OSError as cause:
            raise unreadable_error(self, cause) from cause
        return info.size or 0, info.mtime_ns or 0


def as_paths(data: object) -> list[str] | None:
    """The paths in ``data``: one, or a list of them; None if it holds anything else."""
    items = [data] if isinstance(data, str | os.PathLike) else data if isinstance(data, list | tuple) else []
    paths = [os.fspath(item) for item in items if isinstance(item, str | os.PathLike)]
    return paths if paths and len(paths) == len(items) else None


def data_label(data: object) -> str:
    """What to call data: the names of its files without their folders, or its type, such as ``pandas.DataFrame``."""
    paths = as_paths(data)
    if paths is None:
        name = getattr(data, "name", None)
        package = type(data).__module__.partition(".")[0].replace("builtins", "")
        return name if isinstance(name, str) else f"{package}.{type(data).__name__}".lstrip(".")
    names = [re.split(r"[/\\]", path.rstrip("/\\"))[-1] for path in paths]
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def resolve_locations(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[FileLocation]:
    """The files of paths, patterns, folders and URIs, sorted within each of them.

    Raises:
        DataError: there is no such file, or it cannot be accessed.
    """
    import pyarrow as pa

    locations: list[FileLocation] = []
    for item in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path_text = os.fspath(item)
        try:
            is_uri = isinstance(item, str) and URI_PATTERN.fullmatch(item)
            locations += _resolve_remote(path_text) if is_uri else _resolve_local(Path(item).expanduser(), path_text)
        except DescentlabError:
            raise
        except (
            OSError,
            RuntimeError,
            ValueError,
            pa.ArrowException,
        ) as cause:  # a path too long, a zero byte, an unknown home
            raise unreadable_error(path_text[:200], cause) from cause
    return locations


def _resolve_local(path: Path, path_text: str) -> list[FileLocation]:
    if path.is_dir():
        files = [each for each in path.rglob("*") if each.is_file()]
        return _files_in_folder(path_text, {str(each): each.relative_to(path).as_posix() for each in files}, None)
    if path.exists():
        return [FileLocation(str(path))]
    if has_magic(str(path)):
        matches = sorted(match for match in glob(str(path), recursive=True) if Path(match).is_file())  # noqa: PTH207 (an absolute pattern is one too)
        if not matches:
            raise DataError("no_match", pattern=path_text)
        base = Path(*_literal_prefix(path.parts))
        return [
            FileLocation(match, None, _parse_partition(Path(match).relative_to(base).as_posix())) for match in matches
        ]
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError("no_file", path=path_text, near=did_you_mean(path.name, siblings))


def _resolve_remote(uri: str) -> list[FileLocation]:
    from pyarrow.fs import FileSelector, FileType

    filesystem, path = _filesystem(uri), _path_in_filesystem(uri)
    if has_magic(path):
        base = "/".join(_literal_prefix(path.split("/")))
        entries = filesystem.get_file_info(FileSelector(base, recursive=True))
        pattern = re.compile(_glob_to_regex(path))
        matches = sorted(each.path for each in entries if each.is_file and pattern.fullmatch(each.path))
        if not matches:
            raise DataError("no_match", pattern=uri)
        return [FileLocation(match, uri, _parse_partition(match[len(base) :].lstrip("/"))) for match in matches]
    info = filesystem.get_file_info(path)
    if info.type == FileType.Directory:
        entries = filesystem.get_file_info(FileSelector(path, recursive=True))
        relative_paths = {each.path: each.path[len(path) :].lstrip("/") for each in entries if each.is_file}
        return _files_in_folder(uri, relative_paths, uri)
    if info.type == FileType.NotFound:
        raise DataError("no_file", path=uri, near="")
    return [FileLocation(path, uri)]


def _files_in_folder(folder: str, relative_paths: dict[str, str], filesystem_uri: str | None) -> list[FileLocation]:
    """The data files of a folder, given the relative path of each."""
    visible = {
        path: inner
        for path, inner in relative_paths.items()
        if not any(p.startswith(IGNORED_PREFIXES) for p in inner.split("/"))
    }
    if not visible:
        raise DataError("empty_folder", path=folder)
    return [FileLocation(path, filesystem_uri, _parse_partition(visible[path])) for path in sorted(visible)]


def _parse_partition(relative_path: str) -> tuple[tuple[str, str], ...]:
    """The ``name=value`` folders on the path of a file."""
    return tuple((match[1], match[2]) for match in map(PARTITION_DIR.fullmatch, relative_path.split("/")[:-1]) if match)


def _literal_prefix(parts: Sequence[str]) -> list[str]:
    """The parts of a path before its first pattern."""
    prefix: list[str] = []
    for part in parts[:-1]:
        if has_magic(part):
            break
        prefix.append(part)
    return prefix


def _glob_to_regex(pattern: str) -> str:
    """A glob as a regular expression: ``*`` stays within a folder, ``**`` does not; no name that begins with a dot."""
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", pattern)
    visible = r"(?!(?<=/)\.)"
    translations = {"**/": r"(?:(?!\.)[^/]+/)*", "*": f"{visible}[^/]*", "?": f"{visible}[^/]"}
    return "".join(translations.get(part, part if part.startswith("[") else re.escape(part)) for part in parts)


@cache
def _filesystem(uri: str) -> Any:
    """Pyarrow's filesystem for a URI; else fsspec's."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        return FileSystem.from_uri(uri)[0]
    except pa.ArrowInvalid:
        fsspec, scheme = require("fsspec", "fsspec", "remote", "remote"), uri.partition("://")[0]
        try:
            return PyFileSystem(FSSpecHandler(fsspec.filesystem(scheme)))
        except (ValueError, ImportError, TypeError) as cause:  # a filesystem that needs more than its name
            if scheme.lower() in ("http", "https", "ftp"):
                raise DataError("web_address", scheme=scheme) from cause
            raise DataError("unknown_filesystem", scheme=scheme, cause=str(cause)[:200]) from cause


def _path_in_filesystem(uri: str) -> str:
    """A URI's path within its filesystem."""
    from pyarrow.fs import FileSystem, PyFileSystem

    filesystem = _filesystem(uri)
    path: str = (
        filesystem.handler.fs._strip_protocol(uri)
        if isinstance(filesystem, PyFileSystem)
        else FileSystem.from_uri(uri)[1]
    )
    return path


def unreadable_error(path: object, cause: BaseException) -> DataError:
    """The error for a file that cannot be read, with the first line of the cause."""
    first_line = (str(cause).splitlines() or [type(cause).__name__])[0]
    return DataError("unreadable", path=str(path), cause=first_line[:200].rstrip("."))
