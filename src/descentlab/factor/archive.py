"""NumPy archives of plain arrays with a kind, a format number and a checksum.

They hold no pickled objects and nothing compressed: what is read is never larger than the file.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

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


def unpack_arrays(stream: IO[bytes], archive_format: ArchiveFormat, label: str) -> dict[str, Any]:
    """Decode the arrays of an archive; ``label`` names it in errors.

    Raises:
        DataError: the archive is of another kind, is damaged, or has a newer format.
    """
    try:
        fields = _read_members(stream)
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


def _read_members(stream: IO[bytes]) -> dict[str, Any]:
    """The arrays by name; sizes are compared with the file's before anything of them is read.

    Raises:
        ValueError: a member is compressed, stands twice, or is larger than its array.
    """
    size = stream.seek(0, os.SEEK_END)
    with ZipFile(stream) as archive:
        members = archive.infolist()
        is_stored = all(member.compress_type == ZIP_STORED for member in members)
        names = {member.filename for member in members}
        if not is_stored or len(names) < len(members) or sum(member.file_size for member in members) > size:
            raise ValueError("members")
        return {member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members}


def _read_array(archive: ZipFile, member: ZipInfo) -> np.ndarray[Any, Any]:
    with archive.open(member) as file:
        major, _ = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        most = member.file_size  # values, of which those of a type without bytes would take no place in the file
        if (
            dtype.hasobject
            or max(math.prod(shape), *shape, 0) > most
            or file.tell() + math.prod(shape) * dtype.itemsize != member.file_size
        ):
            raise ValueError("shape")
        file.seek(0)
        array: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
        if dtype.kind == "U":
            array.tolist()  # raises for what is no character
        return array


def read_archive(path: str | os.PathLike[str], archive_format: ArchiveFormat) -> dict[str, Any]:
    """Read a file and decode it with :func:`unpack_arrays`.

    Raises:
        DataError: the file cannot be read, is of another kind, is damaged, or has a newer format.
    """
    try:
        with Path(path).open("rb") as file:
            return unpack_arrays(file, archive_format, str(path))
    except OSError as cause:
        raise DataError("unreadable", path=str(path), cause=cause.strerror or str(cause)) from cause


def checksum(fields: Mapping[str, Any]) -> str:
    """SHA-256 of all names and values, in hexadecimal."""
    hasher = sha256()
    for name, value in sorted(fields.items()):
        hasher.update(name.encode() + np.asarray(value).tobytes())
    return hasher.hexdigest()
