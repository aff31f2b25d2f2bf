"""The factor: a small triangular matrix that stands for any number of rows.

Let ``Z = [1 C]`` hold a column of ones and the data's columns, and ``Z = Q R`` with R upper triangular. Then
``|Z v|^2 = |R v|^2`` for every v, so no squared error of a linear hypothesis can tell R from the rows.

Every row is taken relative to an ``origin`` (the median of the first block), so that columns far from zero, such
as years or timestamps, are not rounded against their own offset. How far rounding has gone all the same is
counted as rows are added (:attr:`Factor.column_error`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from descentlab.data.source import BLOCK_ROWS
from descentlab.errors import DataError
from descentlab.factor import householder
from descentlab.factor.checks import check_block
from descentlab.typing import UNIT_ROUNDOFF, BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Factor:
    """What n rows of named columns weigh in any squared error: a mergeable statistic.

    Attributes:
        columns: the columns' names, k of them; any of them can be the target later.
        R_centered: (k+1, k+1) upper triangular factor of ``[1, C - origin]``, rows scaled by the square root of
            their weight, with a non-negative diagonal.
        origin: (k,) what was subtracted from each column.
        rows: how many rows were added.
        weight: the sum of their weights; ``rows`` where there are none.
        rounding_error: (k,) how far this computation may have moved each column, as the norm of a change to its rows.
    """

    columns: tuple[str, ...]
    R_centered: FloatArray
    origin: FloatArray
    rows: int
    weight: float
    rounding_error: FloatArray

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Factor:
        """The factor of no rows: merging it changes nothing."""
        k = len(columns)
        duplicates = sorted({name for name in columns if list(columns).count(name) > 1})
        if duplicates:
            raise DataError("duplicate_columns", names=duplicates)
        return cls(tuple(columns), np.zeros((k + 1, k + 1)), np.zeros(k), 0, 0.0, np.zeros(k))

    @classmethod
    def from_block(cls, values: Any, columns: Sequence[str], weights: Any = None) -> Factor:
        """The factor of (n, k) finite values, with (n,) non-negative weights if any.

        Weights act as repetition: a row of weight 2 counts like the row twice. Memory beyond the input does
        not grow with n.

        Raises:
            DataError: the shapes do not fit the columns, or a value is no number, not finite, or too large.
        """
        return cls.from_blocks([(values, weights)], columns)

    @classmethod
    def from_blocks(
        cls, blocks: Iterable[tuple[Any, Any]], columns: Sequence[str], origin: FloatArray | None = None
    ) -> Factor:
        """The factor of many blocks, as :meth:`from_block` takes them, merged two by two in a fixed tree.

        Args:
            blocks: values and their weights or None.
            columns: the columns' names.
            origin: what rows are taken relative to; default: the median of the first block. Parts of one table made
                apart, with one origin, merge without moving.
        """
        return cls.empty(columns)._merge_blocks(blocks, origin)

    def update(self, values: Any, weights: Any = None) -> Factor:
        """This factor with the rows of one more block in it. For a long stream, see :meth:`from_blocks`."""
        return self.merge(self._merge_blocks([(values, weights)], self.origin if self.rows else None))

    def _merge_blocks(self, blocks: Iterable[tuple[Any, Any]], origin: FloatArray | None) -> Factor:
        tree = MergeTree(self.columns)
        for block_factor in self._iter_block_factors(blocks, origin):
            tree.add(block_factor)
        return tree.result()

    def _iter_block_factors(self, blocks: Iterable[tuple[Any, Any]], origin: FloatArray | None) -> Iterator[Factor]:
        """Factors of at most BLOCK_ROWS rows each, all relative to one origin; a bad block yields nothing."""
        empty = self.empty(self.columns)
        for block, weights in blocks:
            values = check_block(block, weights, len(self.columns))
            if not len(values):
                continue
            if origin is None:
                origin = choose_origin(values)
            for start in range(0, len(values), BLOCK_ROWS):
                stop = start + BLOCK_ROWS
                yield empty._from_rows(values[start:stop], origin, None if weights is None else weights[start:stop])

    def _from_rows(self, values: FloatArray, origin: FloatArray, weights: Any) -> Factor:
        n, p = len(values), len(self.R_centered)
        if householder.working_dtype(n, p) is np.longdouble:
            R, error = householder.qr_of_rows(
                _fill_augmented_rows(values, origin, weights, np.empty((n, p), np.longdouble, order="F"))
            )
        else:
            compiled_result = householder.qr_of_block(values, origin, weights)
            R, error = compiled_result or householder.qr_of_panels(
                _iter_augmented_panels(values, origin, weights), n, p
            )
        total_weight = float(n if weights is None else np.sum(weights, dtype=np.float64))
        R[0, 0] = np.sqrt(total_weight)  # which sums know better than reflections
        return Factor(self.columns, R, origin, n, total_weight, error * _column_norms(R))

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
        rows = self.rows + other.rows
        R, error = householder.merge_triangles(self.R_centered, other.with_origin(self.origin).R_centered, rows)
        weight = self.weight + other.weight
        R[0, 0] = np.sqrt(weight)
        rounding_error = np.hypot(self.rounding_error, other.rounding_error) + (
            error + 2 * UNIT_ROUNDOFF
        ) * _column_norms(R)  # 2: the move
        return Factor(self.columns, R, self.origin, rows, weight, rounding_error)

    def with_origin(self, origin: FloatArray) -> Factor:
        """The same rows relative to another origin: only the first row of the triangle changes."""
        R_centered = self.R_centered.copy()
        R_centered[0, 1:] += R_centered[0, 0] * (self.origin - origin)
        return replace(self, R_centered=R_centered, origin=np.asarray(origin, dtype=np.float64))

    @property
    def R(self) -> FloatArray:  # noqa: N802 (the name it has in every formula)
        """(k+1, k+1) factor of ``[1 C]`` itself; ``R[0] = sqrt(weight) * (1, means)``."""
        return self.with_origin(np.zeros(len(self.columns))).R_centered

    @property
    def means(self) -> FloatArray:
        """(k,) weighted mean of each column, in its own unit; raises DataError where there is no weight."""
        self._check_has_weight()
        means: FloatArray = self.origin + self.R_centered[0, 1:] / self.R_centered[0, 0]
        return means

    @property
    def std(self) -> FloatArray:
        """(k,) weighted standard deviation of each column (divisor: the total weight), in its own unit.

        Raises DataError where there is no weight.
        """
        self._check_has_weight()
        std: FloatArray = _column_norms(self.R_centered[1:]) / np.sqrt(self.weight)
        return std

    @property
    def column_error(self) -> FloatArray:
        """(k,) bound on how far rounding may have moved each column, as the norm of a change to its rows.

        Half a unit in the last place of every value as given, and what compression added (``rounding_error``).
        """
        return UNIT_ROUNDOFF * _column_norms(self.R) + self.rounding_error

    @property
    def is_constant(self) -> BoolArray:
        """(k,) whether a column's spread is no more than rounding may have left."""
        is_constant: BoolArray = _column_norms(self.R_centered[1:]) <= self.column_error
        return is_constant

    def select(self, columns: Sequence[str]) -> Factor:
        """The factor of the same rows with only these columns, in this order.

        Raises:
            DataError: a column is not there, or stands twice.
        """
        index = self._column_indices(columns)
        selected = replace(self.empty(columns), rows=self.rows, weight=self.weight, origin=self.origin[index])
        if selected.columns == self.columns:
            return self
        R_selected = self.R_centered[:, [0, *(i + 1 for i in index)]]
        R, error = householder.qr_of_rows(R_selected.astype(householder.working_dtype(*R_selected.shape), order="F"))
        return replace(selected, R_centered=R, rounding_error=self.rounding_error[index] + error * _column_norms(R))

    def center(self, columns: Sequence[str] | None = None) -> Factor:
        """The factor of the rows with these columns (default: all) minus their means.

        Raises:
            DataError: a column is not there.
        """
        index = self._column_indices(self.columns if columns is None else columns)
        R, origin, rounding_error = self.R_centered.copy(), self.origin.copy(), self.rounding_error.copy()
        R[0, [i + 1 for i in index]] = 0.0
        origin[index] = 0.0
        rounding_error[index] = self.column_error[index]  # the values' own rounding was relative to what is now gone
        return replace(self, R_centered=R, origin=origin, rounding_error=rounding_error)

    def scale(self, divisors: FloatArray) -> Factor:
        """The factor of the rows with every column divided by its (k,) positive divisor."""
        R = self.R_centered.copy()
        R[:, 1:] /= divisors
        return replace(self, R_centered=R, origin=self.origin / divisors, rounding_error=self.rounding_error / divisors)

    def _column_indices(self, columns: Sequence[str]) -> list[int]:
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError("no_such_columns", names=missing, columns=self.columns)
        return [self.columns.index(name) for name in columns]

    def _check_has_weight(self) -> None:
        if not self.weight > 0:
            raise DataError("no_weight" if self.rows else "no_rows")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a NumPy ``.npz`` archive (no pickle) with a format number and a checksum."""
        from descentlab.factor import file

        file.save_factor(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Factor:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file cannot be read, is not a factor, is damaged, or comes from a newer version.
        """
        from descentlab.factor import file

        return file.load_factor(path)

    def to_bytes(self) -> bytes:
        """What :meth:`save` writes, for other ways to travel: a message, a column of a table."""
        from descentlab.factor import file

        return file.encode_factor(self, file.Provenance())

    @classmethod
    def from_bytes(cls, data: bytes) -> Factor:
        """The inverse of :meth:`to_bytes`.

        Raises:
            DataError: the bytes are no factor, are damaged, or come from a newer version.
        """
        from descentlab.factor import file

        return file.decode_factor(data)

    def __repr__(self) -> str:
        return f"Factor({self.rows:,} rows of {', '.join(self.columns)})"


def _fill_augmented_rows(
    values: FloatArray, origin: FloatArray, weights: Any, out: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """``out`` (m, p), filled with rows of ``[1, values - origin]``, each times the root of its weight."""
    out[:, 0] = 1
    np.subtract(values, origin, out=out[:, 1:], dtype=out.dtype)
    if weights is not None:
        out *= np.sqrt(np.asarray(weights, dtype=out.dtype))[:, None]
    return out


def _iter_augmented_panels(values: FloatArray, origin: FloatArray, weights: Any) -> Iterator[FloatArray]:
    """:func:`_fill_augmented_rows`, PIECE of them at a time and always in the same memory, which stays in a core's
    cache.
    """
    panel_rows = householder.PANEL_ROWS
    buffer = np.empty((min(panel_rows, len(values)) + householder.PADDING_ROWS, len(origin) + 1), order="F")
    for start in range(0, len(values), panel_rows):
        panel = values[start : start + panel_rows]
        yield _fill_augmented_rows(
            panel, origin, None if weights is None else weights[start : start + panel_rows], buffer[: len(panel)]
        )


class MergeTree:
    """Factors merged two by two as they come, like a binary counter: only their number and order decide the shape.

    Attributes:
        pending: the merged ones so far, each with the power of two of how many it stands for.
    """

    def __init__(self, columns: Sequence[str], pending: Iterable[tuple[int, Factor]] = ()) -> None:
        self.columns, self.pending = tuple(columns), list(pending)

    @property
    def count(self) -> int:
        """How many have been added."""
        return sum(1 << level for level, _ in self.pending)

    def add(self, factor: Factor, level: int = 0) -> None:
        """The next one, or the next ``2 ** level``, merged already; their number before must be a multiple of that."""
        while self.pending and self.pending[-1][0] == level:
            factor = self.pending.pop()[1].merge(factor)
            level += 1
        self.pending.append((level, factor))

    def result(self) -> Factor:
        """All of them as one."""
        merged = Factor.empty(self.columns)
        for _, factor in reversed(self.pending):
            merged = factor.merge(merged)
        return merged


def choose_origin(values: Any) -> FloatArray:
    """(k,) origin of a table that begins with these rows: one wild row does not move it."""
    origin: FloatArray = np.median(np.asarray(values)[:BLOCK_ROWS].astype(np.float64), axis=0)
    return origin


def _column_norms(columns: FloatArray) -> FloatArray:
    """(k,) norms of all columns but the first."""
    norms: FloatArray = np.linalg.norm(columns[:, 1:], axis=0)
    return norms
