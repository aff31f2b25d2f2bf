"""A factor on disk; the format is described in docs/factor-file.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import DataError
from descentlab.factor import archive
from descentlab.factor.factor import Factor

KIND = archive.Kind("factor", 2, damaged="factor_damaged", newer="factor_newer")


@dataclass(frozen=True)
class Made:
    """Where a factor file's rows come from.

    Attributes:
        inputs: a mark of each file that was read, so that none is counted twice.
        job: what made it, so that doing the same again finds it done.
    """

    inputs: frozenset[str] = frozenset()
    job: str = ""


def save(factor: Factor, path: str | os.PathLike[str], made: Made | None = None) -> None:
    """Write the factor, bit for bit, in one step.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    archive.write(path, packed(factor, made or Made()))


def packed(factor: Factor, made: Made) -> bytes:
    """The file's bytes."""
    about = {"inputs": np.array(sorted(made.inputs), dtype=np.str_), "job": np.array(made.job, dtype=np.str_)}
    return archive.packed(KIND, arrays_of(factor) | about)


def of_bytes(data: bytes) -> Factor:
    """The factor of :func:`packed`'s bytes.

    Raises:
        DataError: they are none, or damaged, or of a newer version.
    """
    return _made(archive.unpacked(data, KIND, "bytes")[1], "bytes")[0]


def load(path: str | os.PathLike[str]) -> Factor:
    """Read what :func:`save` wrote.

    Raises:
        DataError: the file cannot be read, is not a factor, is damaged, or comes from a newer version.
    """
    return opened(path)[0]


def opened(path: str | os.PathLike[str]) -> tuple[Factor, Made]:
    """The factor and where it comes from; see :func:`load`."""
    return _made(archive.read(path, KIND)[1], str(path))


def _made(fields: dict[str, Any], label: str) -> tuple[Factor, Made]:
    try:
        inputs, job = fields.pop("inputs", ()), fields.pop("job", "")
        # A factor that knows no files is a mark of its own: its rows are not counted twice either.
        marks = frozenset(map(str, inputs)) or frozenset({archive.digest(fields)[:16]})
        return factor_of(fields), Made(marks, str(job))
    except (KeyError, TypeError, ValueError) as cause:
        raise DataError("factor_damaged", path=label) from cause


def is_factor(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a factor does; whether it is one, :func:`load` says."""
    try:
        with Path(path).open("rb") as file:
            return archive.begins(file.read(archive.HEAD))
    except (OSError, ValueError):
        return False


def kept(data: object) -> object:
    """The factor that a path, or several paths, hold; anything else as it is.

    Raises:
        DataError: a factor that cannot be read, or several of other columns.
    """
    paths = [data] if isinstance(data, str | os.PathLike) else data if isinstance(data, list | tuple) else []
    if not paths or not all(isinstance(each, str | os.PathLike) and is_factor(each) for each in paths):
        return data
    return merged([factor for factor, _ in apart(paths)])


def apart(paths: Sequence[str | os.PathLike[str]]) -> list[tuple[Factor, Made]]:
    """Factors that are to be merged.

    Raises:
        DataError: two of them hold the same rows.
    """
    found, inputs = [], frozenset[str]()
    for path in paths:
        factor, made = opened(path)
        if inputs & made.inputs:
            raise DataError("factors_overlap", path=os.fspath(path))
        inputs |= made.inputs
        found.append((factor, made))
    return found


def merged(factors: Sequence[Factor]) -> Factor:
    """Factors of the same columns, whatever their order, as one.

    Raises:
        DataError: one has other columns; the message names them.
    """
    whole, *others = factors
    for other in others:
        whole = whole.merge(other.select(whole.columns) if set(other.columns) == set(whole.columns) else other)
    return whole


def arrays_of(factor: Factor) -> dict[str, Any]:
    """Everything in a factor as arrays."""
    return {
        "columns": np.array(factor.columns, dtype=np.str_),
        "centred": np.ascontiguousarray(factor.centred),
        "origin": factor.origin,
        "rows": np.array(factor.rows),
        "weight": np.array(factor.weight),
        "rounding": factor.rounding,
    }


def factor_of(fields: dict[str, Any]) -> Factor:
    """The factor of :func:`arrays_of`'s arrays; raises KeyError, TypeError or ValueError where they are none."""
    columns = tuple(str(name) for name in fields["columns"])
    shape = {name: np.asarray(fields[name], dtype=np.float64) for name in ("centred", "origin", "rounding")}
    k = len(columns)
    if [array.shape for array in shape.values()] != [(k + 1, k + 1), (k,), (k,)]:
        raise ValueError("shapes")
    return Factor(columns, rows=int(fields["rows"]), weight=float(fields["weight"]), **shape)
