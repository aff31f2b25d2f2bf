"""Factor files with the provenance of their rows, so that no row is counted twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.paths import as_paths
from descentlab.errors import DataError
from descentlab.factor import archive
from descentlab.factor.factor import FACTOR_FORMAT, Factor
from descentlab.storage import write_atomically


@dataclass(frozen=True)
class Provenance:
    """Where the rows of a factor file come from.

    Attributes:
        input_ids: an identifier of each file that was read.
        job_id: an identifier of the command that wrote the factor; empty if unknown.
    """

    input_ids: frozenset[str] = frozenset()
    job_id: str = ""


def save_factor(factor: Factor, path: str | os.PathLike[str], provenance: Provenance) -> None:
    """Write a factor with its provenance, in one step.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    write_atomically(path, factor.to_bytes(provenance.input_ids, provenance.job_id))


def load_with_provenance(path: str | os.PathLike[str]) -> tuple[Factor, Provenance]:
    """Read a factor and its provenance; raises what :meth:`Factor.load` raises."""
    fields = archive.read_archive(path, FACTOR_FORMAT)
    input_ids = frozenset(map(str, np.ravel(fields.pop("inputs", ()))))
    job_id = str(fields.pop("job", ""))
    # A factor of rows from memory is identified by its own values, so that it cannot be merged twice either.
    input_ids = input_ids or frozenset({archive.checksum(fields)[:16]})
    return Factor.from_archive(fields, str(path)), Provenance(input_ids, job_id)


def is_factor_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a factor file does."""
    try:
        with Path(path).open("rb") as file:
            return archive.has_signature(file.read(archive.SIGNATURE_BYTES))
    except (OSError, ValueError):
        return False


def split_factor_files(data: object) -> tuple[list[str], Any]:
    """Separate ``data`` into the paths of factor files and the rest, which is None if every path is a factor's."""
    paths = as_paths(data)
    factor_paths = [path for path in paths or () if is_factor_file(path)]
    if not factor_paths:
        return [], data
    return factor_paths, [path for path in paths or () if path not in factor_paths] or None


def load_if_factor(data: object) -> object:
    """Read and merge the factors if ``data`` is a path, or a list of paths, of factor files; else return ``data``.

    Raises:
        DataError: a factor cannot be read, their columns differ, or two of them hold the same rows.
    """
    factor_paths, rows = split_factor_files(data)
    if not factor_paths or rows is not None:
        return data
    return merge_factors([factor for factor, _ in load_disjoint_factors(factor_paths)])


def load_disjoint_factors(paths: Sequence[str | os.PathLike[str]]) -> list[tuple[Factor, Provenance]]:
    """Read factors that are to be merged.

    Raises:
        DataError: two of them hold rows of the same input.
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
    """Merge factors of the same columns; the order of columns may differ.

    Raises:
        DataError: a factor has other columns.
    """
    result, *others = factors
    for other in others:
        is_reordered = result.design is None and set(other.columns) == set(result.columns)
        result = result.merge(other.select(result.columns) if is_reordered else other)
    return result
