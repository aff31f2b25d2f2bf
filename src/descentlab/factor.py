"""The factor: a small triangular matrix that stands for any number of rows.

Let ``Z = [1 C]`` hold a column of ones and the data's columns, and ``Z = Q R`` with R upper triangular. Then
``|Z v|^2 = |R v|^2`` for every v, so no squared error of a linear hypothesis can tell R from the rows.

Two refinements keep digits that the plain R loses:

- every row is taken relative to an ``origin`` (the first row seen), so columns far from zero, such as years
  or timestamps, are not rounded against their own offset;
- nothing is squared: blocks are added by Householder reflections (LAPACK ``tpqrt``), whose error is a few
  units in the last place of each column's norm (Higham, *Accuracy and Stability of Numerical Algorithms*,
  2nd ed., section 19.3).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from descentlab.errors import DataError

Array = np.ndarray[Any, np.dtype[np.float64]]

BLOCK_ROWS = 8192  # a block of this many rows and a dozen columns stays in a core's second-level cache
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Factor:
    """What n rows of named columns weigh in any squared error: a mergeable statistic.

    Attributes:
        columns: the columns' names, k of them; any of them can be the target later.
        centred: (k+1, k+1) upper triangular factor of ``[1, C - origin]``, rows scaled by the square root of
            their weight, with a non-negative diagonal.
        origin: (k,) what was subtracted from each column.
        rows: how many rows were added.
        weight: the sum of their weights; ``rows`` where there are none.
    """

    columns: tuple[str, ...]
    centred: Array
    origin: Array
    rows: int
    weight: float

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Factor:
        """The factor of no rows: merging it changes nothing."""
        k = len(columns)
        return cls(tuple(columns), np.zeros((k + 1, k + 1)), np.zeros(k), 0, 0.0)

    @classmethod
    def of_block(cls, values: Array, columns: Sequence[str], weights: Array | None = None) -> Factor:
        """The factor of (n, k) finite values, with (n,) non-negative weights if any.

        Weights act as repetition: a row of weight 2 counts like the row twice. Memory beyond the input does
        not grow with n.

        Raises:
            DataError: the shapes do not fit the columns, or a value is not finite.
        """
        return cls.empty(columns).update(values, weights)

    def update(self, values: Array, weights: Array | None = None) -> Factor:
        """This factor with the rows of one more block in it."""
        values = np.asarray(values, dtype=np.float64)
        n = len(values)
        if values.shape != (n, len(self.columns)):
            raise DataError("block_shape", shape=str(values.shape), count=len(self.columns))
        if weights is not None and np.shape(weights) != (n,):
            raise DataError("lengths", X=n, what="weights", y=str(np.shape(weights)), hint="")
        if n == 0:
            return self
        # A bad block is refused whole, before any of it is added.
        if not (np.isfinite(values).all() and (weights is None or np.isfinite(weights).all())):
            raise DataError("block_not_finite")
        if weights is not None and (weights < 0).any():
            raise DataError("weights_negative", count=int((weights < 0).sum()))
        origin = self.origin if self.rows else values[0].copy()
        triangle = _add_rows(self.centred.copy(order="F"), values, origin, weights)
        total = float(n if weights is None else weights.sum())
        return Factor(self.columns, triangle, origin, self.rows + n, self.weight + total)

    def merge(self, other: Factor) -> Factor:
        """The factor of both sets of rows: the R of the two stacked.

        Raises:
            DataError: the columns differ.
        """
        if self.columns != other.columns:
            raise DataError("merge_columns", first=self.columns, second=other.columns)
        if not other.rows:
            return self
        if not self.rows:
            return other
        moved = other.moved_to(self.origin).centred
        triangle = np.linalg.qr(np.vstack([self.centred, moved]), mode="r")
        return Factor(self.columns, _upright(triangle), self.origin, self.rows + other.rows, self.weight + other.weight)

    def moved_to(self, origin: Array) -> Factor:
        """The same rows relative to another origin: only the first row of the triangle changes."""
        triangle = self.centred.copy()
        triangle[0, 1:] += triangle[0, 0] * (self.origin - origin)
        return replace(self, centred=triangle, origin=np.asarray(origin, dtype=np.float64))

    @property
    def R(self) -> Array:  # noqa: N802 (the name it has in every formula)
        """(k+1, k+1) factor of ``[1 C]`` itself; ``R[0] = sqrt(weight) * (1, means)``."""
        return self.moved_to(np.zeros(len(self.columns))).centred

    @property
    def means(self) -> Array:
        """(k,) weighted mean of each column, in its own unit."""
        return self.origin + self.centred[0, 1:] / self.centred[0, 0]

    @property
    def deviations(self) -> Array:
        """(k,) weighted standard deviation of each column (divisor: the total weight), in its own unit."""
        norms: Array = np.linalg.norm(self.centred[1:, 1:], axis=0)
        return norms / np.sqrt(self.weight)

    def select(self, columns: Sequence[str]) -> Factor:
        """The factor of the same rows with only these columns, in this order."""
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError("no_such_columns", names=missing, columns=self.columns)
        index = [self.columns.index(name) for name in columns]
        if index == list(range(len(self.columns))):
            return self
        triangle = np.linalg.qr(self.centred[:, [0, *(i + 1 for i in index)]], mode="r")
        k = len(index)
        square = np.zeros((k + 1, k + 1))
        square[: len(triangle)] = _upright(triangle)[: k + 1]
        return Factor(tuple(columns), square, self.origin[index], self.rows, self.weight)

    def center(self, columns: Sequence[str] | None = None) -> Factor:
        """The factor of the rows with these columns (default: all) minus their means."""
        index = self._index(columns)
        triangle, origin = self.centred.copy(), self.origin.copy()
        triangle[0, [i + 1 for i in index]] = 0.0
        origin[index] = 0.0
        return replace(self, centred=triangle, origin=origin)

    def scale(self, divisors: Array) -> Factor:
        """The factor of the rows with every column divided by its (k,) divisor."""
        triangle = self.centred.copy()
        triangle[:, 1:] /= divisors
        return replace(self, centred=_upright(triangle), origin=self.origin / divisors)

    def _index(self, columns: Sequence[str] | None) -> list[int]:
        return [self.columns.index(name) for name in (self.columns if columns is None else columns)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a NumPy ``.npz`` archive (no pickle) with a format number and a checksum."""
        with open(path, "wb") as file:  # an open file keeps NumPy from adding a suffix to the name
            np.savez(file, format=FORMAT, digest=self._digest(), **self._fields())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Factor:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is not a factor, is damaged, or comes from a newer version.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
            if int(content["format"]) > FORMAT:
                raise DataError("factor_newer", path=str(path), format=int(content["format"]), known=FORMAT)
            columns = tuple(str(name) for name in content["columns"])
            factor = cls(columns, content["centred"], content["origin"], int(content["rows"]), float(content["weight"]))
            intact = factor._digest() == str(content["digest"])
        except (OSError, DataError):
            raise
        except Exception as cause:  # zipfile, zlib and NumPy each have their own ways to fail on damage
            raise DataError("factor_damaged", path=str(path)) from cause
        if not intact:
            raise DataError("factor_damaged", path=str(path))
        return factor

    def _fields(self) -> dict[str, Any]:
        return {
            "columns": np.array(self.columns, dtype=np.str_),
            "centred": np.ascontiguousarray(self.centred),
            "origin": self.origin,
            "rows": self.rows,
            "weight": self.weight,
        }

    def _digest(self) -> str:
        digest = sha256()
        for name, value in sorted(self._fields().items()):
            digest.update(name.encode() + np.asarray(value).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"Factor({self.rows:,} rows of {', '.join(self.columns)})"


def _add_rows(triangle: Array, values: Array, origin: Array, weights: Array | None) -> Array:
    """Reflect the rows into the triangle, block by block; ``values`` stay as they are."""
    from scipy.linalg.lapack import dtpqrt

    p = len(triangle)
    width = 4 if p < 64 else 8  # tpqrt's inner block: measured fastest for narrow and for wide data
    for start in range(0, len(values), BLOCK_ROWS):
        part = values[start : start + BLOCK_ROWS]
        block = np.empty((len(part), p), order="F")
        block[:, 0] = 1.0
        np.subtract(part, origin, out=block[:, 1:])
        if weights is not None:
            block *= np.sqrt(weights[start : start + BLOCK_ROWS])[:, None]
        triangle, _, _, _ = dtpqrt(0, min(width, p), triangle, block, overwrite_a=1, overwrite_b=1)
    return _upright(np.triu(triangle))


def _upright(triangle: Array) -> Array:
    """The same factor with a non-negative diagonal: rows may change sign together."""
    signs = np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    upright: Array = triangle * signs[:, None]
    return upright
