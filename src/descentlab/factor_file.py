"""A factor on disk: a NumPy archive of plain arrays, with a format number and a checksum."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import DataError
from descentlab.factor import Factor

FORMAT = 1


def save(factor: Factor, path: str | os.PathLike[str]) -> None:
    """Write the factor, bit for bit; nothing in the file is pickled."""
    fields = _fields(factor)
    with Path(path).open("wb") as file:  # an open file keeps NumPy from adding a suffix to the name
        np.savez(file, format=FORMAT, digest=_digest(fields), **fields)


def load(path: str | os.PathLike[str]) -> Factor:
    """Read what :func:`save` wrote.

    Raises:
        DataError: the file cannot be read, is not a factor, is damaged, or comes from a newer version.
    """
    try:
        # Opened here: given a path, np.load leaves a damaged file open.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
        written = int(fields.pop("format"))
        intact = str(fields.pop("digest")) == _digest(fields)
    except OSError as cause:
        raise DataError("unreadable", path=str(path), cause=str(cause)) from cause
    except Exception as cause:  # zipfile, zlib and NumPy each have their own ways to fail on damage
        raise DataError("factor_damaged", path=str(path)) from cause
    if written > FORMAT:
        raise DataError("factor_newer", path=str(path), format=written, known=FORMAT)
    if not intact:
        raise DataError("factor_damaged", path=str(path))
    columns = tuple(str(name) for name in fields.pop("columns"))
    rows, weight = int(fields.pop("rows")), float(fields.pop("weight"))
    return Factor(columns, rows=rows, weight=weight, **fields)


def _fields(factor: Factor) -> dict[str, Any]:
    return {
        "columns": np.array(factor.columns, dtype=np.str_),
        "centred": np.ascontiguousarray(factor.centred),
        "origin": factor.origin,
        "rows": np.array(factor.rows),
        "weight": np.array(factor.weight),
        "rounding": factor.rounding,
    }


def _digest(fields: dict[str, Any]) -> str:
    digest = sha256()
    for name, value in sorted(fields.items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()
