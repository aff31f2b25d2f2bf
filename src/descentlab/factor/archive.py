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
class Kind:
    """A kind of archive: its name, the newest format known, and the errors that say what is wrong with one."""

    name: str
    format: int
    damaged: str
    newer: str


HEAD = 40  # bytes that tell an archive of ours from other zip files


def begins(head: bytes) -> bool:
    """Whether a file begins as :func:`write` begins one: a zip archive whose first member is its kind or format."""
    return head.startswith(b"PK\x03\x04") and head[30:].startswith((b"kind.npy", b"format.npy"))


def packed(kind: Kind, fields: Mapping[str, Any]) -> bytes:
    """The arrays as an archive, in the newest format of their kind: the same arrays give the same bytes."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in fields.items()}
    made = io.BytesIO()
    np.savez(made, kind=kind.name, format=kind.format, digest=digest(arrays), **arrays)
    return made.getvalue()


def unpacked(data: bytes, kind: Kind, label: str) -> tuple[int, dict[str, Any]]:
    """The format and the arrays of an archive; ``label`` names it in errors.

    Raises:
        DataError: it is of another kind, is damaged, or of a newer format.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
        number = int(fields.pop("format"))
        found = str(fields.pop("kind", np.asarray(kind.name)))
        intact = str(fields.pop("digest")) == digest(fields)
    except Exception as cause:  # zipfile, zlib and NumPy each have their own ways to fail on damage
        raise DataError(kind.damaged, path=label) from cause
    if found == kind.name and number > kind.format:
        raise DataError(kind.newer, path=label, format=number, known=kind.format)
    if found != kind.name or not intact:
        raise DataError(kind.damaged, path=label)
    return number, fields


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write the file in one step.

    Raises:
        OSError: it cannot be written; what was at ``path`` before is still there.
    """
    to = Path(path).resolve()  # what a link leads to is written, not the link
    check(to)
    fresh = to.with_name(f".{to.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(to)
    finally:
        fresh.unlink(missing_ok=True)


def check(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that :func:`write` would, as far as looking tells."""
    to = Path(path).resolve()
    number = 0
    if to.is_dir():
        number = errno.EISDIR
    elif not to.parent.exists():
        number = errno.ENOENT
    elif not to.parent.is_dir():
        number = errno.ENOTDIR
    elif to.exists() and not to.is_file():  # a device, a pipe: moving a file there would put an end to it
        number = errno.EINVAL
    elif not os.access(to.parent, os.W_OK):
        number = errno.EACCES
    if number:
        raise OSError(number, os.strerror(number), str(path))


def read(path: str | os.PathLike[str], kind: Kind) -> tuple[int, dict[str, Any]]:
    """:func:`unpacked`, of a file.

    Raises:
        DataError: the file cannot be read, is of another kind, is damaged, or of a newer format.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as cause:
        raise DataError("unreadable", path=str(path), cause=cause.strerror or str(cause)) from cause
    return unpacked(data, kind, str(path))


def digest(fields: Mapping[str, Any]) -> str:
    """A checksum of all names and values."""
    made = sha256()
    for name, value in sorted(fields.items()):
        made.update(name.encode() + np.asarray(value).tobytes())
    return made.hexdigest()
