"""Small files that are whole or not there: NumPy archives of plain arrays with a kind, a format number and a checksum.

Nothing in them is pickled. They are written beside their place, flushed to the disk and moved there in one step, so
that a kill or a full disk leaves what was there before.
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
    """A kind of archive: its name, the newest format known, and the errors that say what is wrong with one."""

    name: str
    version: int
    damaged_key: str
    newer_key: str


SIGNATURE_BYTES = 40  # bytes that tell an archive of ours from other zip files


def has_signature(head: bytes) -> bool:
    """Whether a file begins as :func:`write_atomically` begins one: a zip archive whose first member is its kind or
    format.
    """
    return head.startswith(b"PK\x03\x04") and head[30:].startswith((b"kind.npy", b"format.npy"))


def pack_arrays(archive_format: ArchiveFormat, fields: Mapping[str, Any]) -> bytes:
    """The arrays as an archive, in the newest format of their kind: the same arrays give the same bytes."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in fields.items()}
    buffer = io.BytesIO()
    np.savez(buffer, kind=archive_format.name, format=archive_format.version, digest=checksum(arrays), **arrays)
    return buffer.getvalue()


def unpack_arrays(data: bytes, archive_format: ArchiveFormat, label: str) -> tuple[int, dict[str, Any]]:
    """The format and the arrays of an archive; ``label`` names it in errors.

    Raises:
        DataError: it is of another kind, is damaged, or of a newer format.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
        version = int(fields.pop("format"))
        format_name = str(fields.pop("kind", np.asarray(archive_format.name)))
        is_intact = str(fields.pop("digest")) == checksum(fields)
    except Exception as cause:  # zipfile, zlib and NumPy each have their own ways to fail on damage
        raise DataError(archive_format.damaged_key, path=label) from cause
    if format_name == archive_format.name and version > archive_format.version:
        raise DataError(archive_format.newer_key, path=label, format=version, known=archive_format.version)
    if format_name != archive_format.name or not is_intact:
        raise DataError(archive_format.damaged_key, path=label)
    return version, fields


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write the file in one step.

    Raises:
        OSError: it cannot be written; what was at ``path`` before is still there.
    """
    target = Path(path).resolve()  # what a link leads to is written, not the link
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
    """Raise the OSError that :func:`write_atomically` would, as far as looking tells."""
    target = Path(path).resolve()
    error_number = 0
    if target.is_dir():
        error_number = errno.EISDIR
    elif not target.parent.exists():
        error_number = errno.ENOENT
    elif not target.parent.is_dir():
        error_number = errno.ENOTDIR
    elif target.exists() and not target.is_file():  # a device, a pipe: moving a file there would put an end to it
        error_number = errno.EINVAL
    elif not os.access(target.parent, os.W_OK):
        error_number = errno.EACCES
    if error_number:
        raise OSError(error_number, os.strerror(error_number), str(path))


def read_archive(path: str | os.PathLike[str], archive_format: ArchiveFormat) -> tuple[int, dict[str, Any]]:
    """:func:`unpack_arrays`, of a file.

    Raises:
        DataError: the file cannot be read, is of another kind, is damaged, or of a newer format.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as cause:
        raise DataError("unreadable", path=str(path), cause=cause.strerror or str(cause)) from cause
    return unpack_arrays(data, archive_format, str(path))


def checksum(fields: Mapping[str, Any]) -> str:
    """A checksum of all names and values."""
    hasher = sha256()
    for name, value in sorted(fields.items()):
        hasher.update(name.encode() + np.asarray(value).tobytes())
    return hasher.hexdigest()
