"""Small files that are whole or not there: NumPy archives of plain arrays with a kind, a format number and a checksum.

Nothing in them is pickled. They are written beside their place, flushed to the disk and moved there in one step, so
that a kill or a full disk leaves what was there before.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import DataError

MAGIC = b"PK\x03\x04"  # of any zip archive


def write(path: str | os.PathLike[str], kind: str, number: int, fields: Mapping[str, Any]) -> None:
    """Write the arrays, in format ``number`` of their kind.

    Raises:
        OSError: the file cannot be written; what was at ``path`` before is still there.
    """
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in fields.items()}
    to = Path(path).resolve()  # what a link leads to is written, not the link
    check(to)
    fresh = to.with_name(f".{to.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            np.savez(file, kind=kind, format=number, digest=digest(arrays), **arrays)
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


def read(path: str | os.PathLike[str], kind: str, known: int) -> tuple[int, dict[str, Any]]:
    """The format and the arrays that :func:`write` wrote.

    Raises:
        DataError: the file cannot be read, is of another kind, is damaged, or of a newer format than ``known``.
    """
    try:
        # Opened here: given a path, np.load leaves a damaged file open.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
        number = int(fields.pop("format"))
        found = str(fields.pop("kind", np.asarray(kind)))
        intact = str(fields.pop("digest")) == digest(fields)
    except OSError as cause:
        raise DataError("unreadable", path=str(path), cause=cause.strerror or str(cause)) from cause
    except Exception as cause:  # zipfile, zlib and NumPy each have their own ways to fail on damage
        raise DataError(f"{kind}_damaged", path=str(path)) from cause
    if found == kind and number > known:
        raise DataError(f"{kind}_newer", path=str(path), format=number, known=known)
    if found != kind or not intact:
        raise DataError(f"{kind}_damaged", path=str(path))
    return number, fields


def digest(fields: Mapping[str, Any]) -> str:
    """A checksum of all names and values."""
    made = sha256()
    for name, value in sorted(fields.items()):
        made.update(name.encode() + np.asarray(value).tobytes())
    return made.hexdigest()
