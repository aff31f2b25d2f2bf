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

FACTOR_FORMAT = archive.ArchiveFormat("factor", 2, damaged_key="factor_damaged", newer_key="factor_newer")


@dataclass(frozen=True)
class Provenance:
    """Where a factor file's rows come from.

    Attributes:
        input_ids: a mark of each file that was read, so that none is counted twice.
        job_id: what made it, so that doing the same again finds it done.
    """

    input_ids: frozenset[str] = frozenset()
    job_id: str = ""


def save_factor(factor: Factor, path: str | os.PathLike[str], provenance: Provenance | None = None) -> None:
    """Write the factor, bit for bit, in one step.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    archive.write_atomically(path, encode_factor(factor, provenance or Provenance()))


def encode_factor(factor: Factor, provenance: Provenance) -> bytes:
    """The file's bytes."""
    metadata = {
        "inputs": np.array(sorted(provenance.input_ids), dtype=np.str_),
        "job": np.array(provenance.job_id, dtype=np.str_),
    }
    return archive.pack_arrays(FACTOR_FORMAT, factor_to_arrays(factor) | metadata)


def decode_factor(data: bytes) -> Factor:
    """The factor of :func:`encode_factor`'s bytes.

    Raises:
        DataError: they are none, or damaged, or of a newer version.
    """
    return _decode_fields(archive.unpack_arrays(data, FACTOR_FORMAT, "bytes")[1], "bytes")[0]


def load_factor(path: str | os.PathLike[str]) -> Factor:
    """Read what :func:`save_factor` wrote.

    Raises:
        DataError: the file cannot be read, is not a factor, is damaged, or comes from a newer version.
    """
    return load_with_provenance(path)[0]


def load_with_provenance(path: str | os.PathLike[str]) -> tuple[Factor, Provenance]:
    """The factor and where it comes from; see :func:`load_factor`."""
    return _decode_fields(archive.read_archive(path, FACTOR_FORMAT)[1], str(path))


def _decode_fields(fields: dict[str, Any], label: str) -> tuple[Factor, Provenance]:
    try:
        inputs, job = fields.pop("inputs", ()), fields.pop("job", "")
        # A factor that knows no files is a mark of its own: its rows are not counted twice either.
        input_ids = frozenset(map(str, inputs)) or frozenset({archive.checksum(fields)[:16]})
        return factor_from_arrays(fields), Provenance(input_ids, str(job))
    except (KeyError, TypeError, ValueError) as cause:
        raise DataError("factor_damaged", path=label) from cause


def is_factor_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a factor does; whether it is one, :func:`load_factor` says."""
    try:
        with Path(path).open("rb") as file:
            return archive.has_signature(file.read(archive.SIGNATURE_BYTES))
    except (OSError, ValueError):
        return False


def load_if_factor(data: object) -> object:
    """The factor that a path, or several paths, hold; anything else as it is.

    Raises:
        DataError: a factor that cannot be read, or several of other columns.
    """
    paths = [data] if isinstance(data, str | os.PathLike) else data if isinstance(data, list | tuple) else []
    if not paths or not all(isinstance(path, str | os.PathLike) and is_factor_file(path) for path in paths):
        return data
    return merge_factors([factor for factor, _ in load_disjoint_factors(paths)])


def load_disjoint_factors(paths: Sequence[str | os.PathLike[str]]) -> list[tuple[Factor, Provenance]]:
    """Factors that are to be merged.

    Raises:
        DataError: two of them hold the same rows.
    """
    loaded, input_ids = [], frozenset[str]()
    for path in paths:
        factor, provenance = load_with_provenance(path)
        if input_ids & provenance.input_ids:
            raise DataError("factors_overlap", path=os.fspath(path))
        input_ids |= provenance.input_ids
        loaded.append((factor, provenance))
    return loaded


def merge_factors(factors: Sequence[Factor]) -> Factor:
    """Factors of the same columns, whatever their order, as one.

    Raises:
        DataError: one has other columns; the message names them.
    """
    result, *others = factors
    for other in others:
        result = result.merge(other.select(result.columns) if set(other.columns) == set(result.columns) else other)
    return result


def factor_to_arrays(factor: Factor) -> dict[str, Any]:
    """Everything in a factor as arrays."""
    return {
        "columns": np.array(factor.columns, dtype=np.str_),
        "centred": np.ascontiguousarray(factor.R_centered),
        "origin": factor.origin,
        "rows": np.array(factor.rows),
        "weight": np.array(factor.weight),
        "rounding": factor.rounding_error,
    }


def factor_from_arrays(fields: dict[str, Any]) -> Factor:
    """The factor of :func:`factor_to_arrays`'s arrays; raises KeyError, TypeError or ValueError where they are none."""
    columns = tuple(str(name) for name in fields["columns"])
    arrays = {name: np.asarray(fields[name], dtype=np.float64) for name in ("centred", "origin", "rounding")}
    k = len(columns)
    if [array.shape for array in arrays.values()] != [(k + 1, k + 1), (k,), (k,)]:
        raise ValueError("shapes")
    return Factor(
        columns,
        R_centered=arrays["centred"],
        origin=arrays["origin"],
        rows=int(fields["rows"]),
        weight=float(fields["weight"]),
        rounding_error=arrays["rounding"],
    )
