"""NumPy archives of plain arrays with a kind, a format number and a checksum, written atomically.

They hold no pickled objects. A file is written under a temporary name, flushed to the disk and renamed, so after a
crash or on a full disk the previous file is still there.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import DataError


@dataclass(frozen=True)
class ArchiveFormat:
    """A kind of archive: its name, its newest known format, and the keys of its error messages."""

    name: str
    version: int
    damaged_key: str
    newer_key: str


SIGNATURE_BYTES = 40  # they distinguish an archive from other zip files


def has_signature(head: bytes) -> bool:
    """Whether a file with these first bytes is a zip archive whose first member is a kind or a format."""
    return head.startswith(b"PK\x03\x04") and head[30:].startswith((b"kind.npy", b"format.npy"))


def pack_arrays(archive_format: ArchiveFormat, fields: Mapping[str, Any]) -> bytes:
    """Encode arrays as an archive of the newest format. Equal arrays give equal bytes."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in fields.items()}
    buffer = io.BytesIO()
    np.savez(buffer, kind=archive_format.name, format=archive_format.version, digest=checksum(arrays), **arrays)
    return buffer.getvalue()


def unpack_arrays(data: bytes, archive_format: ArchiveFormat, label: str) -> dict[str, Any]:
    """Decode the arrays of an archive; ``label`` names it in errors.

    Raises:
        DataError: the archive is of another kind, is damaged, or has a newer format.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
        version = int(fields.pop("format"))
        format_name = str(fields.pop("kind", np.asarray(archive_format.name)))
        is_intact = str(fields.pop("digest")) == checksum(fields)
    except Exception as cause:  # zipfile, zlib and NumPy raise many kinds of errors for damaged files
        raise DataError(archive_format.damaged_key, path=label) from cause
    if format_name == archive_format.name and version > archive_format.version:
        raise DataError(archive_format.newer_key, path=label, format=version, known=archive_format.version)
    if format_name != archive_format.name or not is_intact:
        raise DataError(archive_format.damaged_key, path=label)
    return fields


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one step.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    target = Path(path).resolve()  # write the target of a symbolic link, and keep the link
    check_writable(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that :func:`write_atomically` would raise, as far as this can be known before writing."""
    target = Path(path).resolve()
    error_number = 0
    if target.is_dir():
        error_number = errno.EISDIR
    elif not target.parent.exists():
        error_number = errno.ENOENT
    elif not target.parent.is_dir():
        error_number = errno.ENOTDIR
    elif target.exists() and not target.is_file():  # renaming a file to a device or pipe would replace it
        error_number = errno.EINVAL
    elif not os.access(target.parent, os.W_OK):
        error_number = errno.EACCES
    if error_number:
        raise OSError(error_number, os.strerror(error_number), str(path))


def read_archive(path: str | os.PathLike[str], archive_format: ArchiveFormat) -> dict[str, Any]:
    """Read a file and decode it with :func:`unpack_arrays`.

    Raises:
        DataError: the file cannot be read, is of another kind, is damaged, or has a newer format.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as cause:
        raise DataError("unreadable", path=str(path), cause=cause.strerror or str(cause)) from cause
    return unpack_arrays(data, archive_format, str(path))


def checksum(fields: Mapping[str, Any]) -> str:
    """SHA-256 of all names and values, in hexadecimal."""
    hasher = sha256()
    for name, value in sorted(fields.items()):
        hasher.update(name.encode() + np.asarray(value).tobytes())
    return hasher.hexdigest()
