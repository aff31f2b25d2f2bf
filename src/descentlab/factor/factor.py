"""The factor: a small triangular matrix that stands for any number of rows.

Let ``Z = [1 C]`` hold a column of ones and the data's columns, and ``Z = Q R`` with R upper triangular. Then
``|Z v|^2 = |R v|^2`` for every v, so no squared error of a linear hypothesis can tell R from the rows.

Every row is taken relative to an ``origin`` (the median of the first block), so that columns far from zero, such
as years or timestamps, are not rounded against their own offset. How far rounding has gone all the same is
counted as rows are added (:attr:`Factor.noise`).
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
from descentlab.factor.checks import checked
from descentlab.typing import Array, Flags


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
        rounding: (k,) how far this computation may have moved each column, as the norm of a change to its rows.
    """

    columns: tuple[str, ...]
    centred: Array
    origin: Array
    rows: int
    weight: float
    rounding: Array

    @classmethod
    def empty(cls, columns: Sequence[str]) -> Factor:
        """The factor of no rows: merging it changes nothing."""
        k = len(columns)
        repeated = sorted({name for name in columns if list(columns).count(name) > 1})
        if repeated:
            raise DataError("duplicate_columns", names=repeated)
        return cls(tuple(columns), np.zeros((k + 1, k + 1)), np.zeros(k), 0, 0.0, np.zeros(k))

    @classmethod
    def of_block(cls, values: Any, columns: Sequence[str], weights: Any = None) -> Factor:
        """The factor of (n, k) finite values, with (n,) non-negative weights if any.

        Weights act as repetition: a row of weight 2 counts like the row twice. Memory beyond the input does
        not grow with n.

        Raises:
            DataError: the shapes do not fit the columns, or a value is no number, not finite, or too large.
        """
        return cls.of_blocks([(values, weights)], columns)

    @classmethod
    def of_blocks(
        cls, blocks: Iterable[tuple[Any, Any]], columns: Sequence[str], origin: Array | None = None
    ) -> Factor:
        """The factor of many blocks, as :meth:`of_block` takes them, merged two by two in a fixed tree.

        Args:
            blocks: values and their weights or None.
            columns: the columns' names.
            origin: what rows are taken relative to; default: the median of the first block. Parts of one table made
                apart, with one origin, merge without moving.
        """
        return cls.empty(columns)._with(blocks, origin)

    def update(self, values: Any, weights: Any = None) -> Factor:
        """This factor with the rows of one more block in it. For a long stream, see :meth:`of_blocks`."""
        return self.merge(self._with([(values, weights)], self.origin if self.rows else None))

    def _with(self, blocks: Iterable[tuple[Any, Any]], origin: Array | None) -> Factor:
        tree = Tree(self.columns)
        for part in self._parts(blocks, origin):
            tree.add(part)
        return tree.whole()

    def _parts(self, blocks: Iterable[tuple[Any, Any]], origin: Array | None) -> Iterator[Factor]:
        """Factors of at most BLOCK_ROWS rows each, all relative to one origin; a bad block yields nothing."""
        empty = self.empty(self.columns)
        for given, weights in blocks:
            values = checked(given, weights, len(self.columns))
            if not len(values):
                continue
            if origin is None:
                origin = median(values)
            for start in range(0, len(values), BLOCK_ROWS):
                stop = start + BLOCK_ROWS
                yield empty._of_part(values[start:stop], origin, None if weights is None else weights[start:stop])

    def _of_part(self, values: Array, origin: Array, weights: Any) -> Factor:
        n, p = len(values), len(self.centred)
        if householder.precision(n, p) is np.longdouble:
            R, error = householder.of_rows(_rows(values, origin, weights, np.empty((n, p), np.longdouble, order="F")))
        else:
            whole = householder.of_block(values, origin, weights)
            R, error = whole or householder.of_pieces(_pieces(values, origin, weights), n, p)
        total = float(n if weights is None else np.sum(weights, dtype=np.float64))
        R[0, 0] = np.sqrt(total)  # which sums know better than reflections
        return Factor(self.columns, R, origin, n, total, error * _lengths(R))

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
        R, error = householder.joined(self.centred, other.moved_to(self.origin).centred, rows)
        weight = self.weight + other.weight
        R[0, 0] = np.sqrt(weight)
        rounding = np.hypot(self.rounding, other.rounding) + (error + 2 * householder.UNIT) * _lengths(R)  # 2: the move
        return Factor(self.columns, R, self.origin, rows, weight, rounding)

    def moved_to(self, origin: Array) -> Factor:
        """The same rows relative to another origin: only the first row of the triangle changes."""
        moved = self.centred.copy()
        moved[0, 1:] += moved[0, 0] * (self.origin - origin)
        return replace(self, centred=moved, origin=np.asarray(origin, dtype=np.float64))

    @property
    def R(self) -> Array:  # noqa: N802 (the name it has in every formula)
        """(k+1, k+1) factor of ``[1 C]`` itself; ``R[0] = sqrt(weight) * (1, means)``."""
        return self.moved_to(np.zeros(len(self.columns))).centred

    @property
    def means(self) -> Array:
        """(k,) weighted mean of each column, in its own unit; raises DataError where there is no weight."""
        self._weigh()
        means: Array = self.origin + self.centred[0, 1:] / self.centred[0, 0]
        return means

    @property
    def deviations(self) -> Array:
        """(k,) weighted standard deviation of each column (divisor: the total weight), in its own unit.

        Raises DataError where there is no weight.
        """
        self._weigh()
        deviations: Array = _lengths(self.centred[1:]) / np.sqrt(self.weight)
        return deviations

    @property
    def noise(self) -> Array:
        """(k,) bound on how far rounding may have moved each column, as the norm of a change to its rows.

        Half a unit in the last place of every value as given, and what compression added (``rounding``).
        """
        return householder.UNIT * _lengths(self.R) + self.rounding

    @property
    def constant(self) -> Flags:
        """(k,) whether a column's spread is no more than rounding may have left."""
        constant: Flags = _lengths(self.centred[1:]) <= self.noise
        return constant

    def select(self, columns: Sequence[str]) -> Factor:
        """The factor of the same rows with only these columns, in this order.

        Raises:
            DataError: a column is not there, or stands twice.
        """
        index = self._index(columns)
        selected = replace(self.empty(columns), rows=self.rows, weight=self.weight, origin=self.origin[index])
        if selected.columns == self.columns:
            return self
        chosen = self.centred[:, [0, *(i + 1 for i in index)]]
        R, error = householder.of_rows(chosen.astype(householder.precision(*chosen.shape), order="F"))
        return replace(selected, centred=R, rounding=self.rounding[index] + error * _lengths(R))

    def center(self, columns: Sequence[str] | None = None) -> Factor:
        """The factor of the rows with these columns (default: all) minus their means.

        Raises:
            DataError: a column is not there.
        """
        index = self._index(self.columns if columns is None else columns)
        R, origin, rounding = self.centred.copy(), self.origin.copy(), self.rounding.copy()
        R[0, [i + 1 for i in index]] = 0.0
        origin[index] = 0.0
        rounding[index] = self.noise[index]  # the values' own rounding was relative to what is now gone
        return replace(self, centred=R, origin=origin, rounding=rounding)

    def scale(self, divisors: Array) -> Factor:
        """The factor of the rows with every column divided by its (k,) positive divisor."""
        R = self.centred.copy()
        R[:, 1:] /= divisors
        return replace(self, centred=R, origin=self.origin / divisors, rounding=self.rounding / divisors)

    def _index(self, columns: Sequence[str]) -> list[int]:
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DataError("no_such_columns", names=missing, columns=self.columns)
        return [self.columns.index(name) for name in columns]

    def _weigh(self) -> None:
        if not self.weight > 0:
            raise DataError("no_weight" if self.rows else "no_rows")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a NumPy ``.npz`` archive (no pickle) with a format number and a checksum."""
        from descentlab.factor import file

        file.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Factor:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file cannot be read, is not a factor, is damaged, or comes from a newer version.
        """
        from descentlab.factor import file

        return file.load(path)

    def to_bytes(self) -> bytes:
        """What :meth:`save` writes, for other ways to travel: a message, a column of a table."""
        from descentlab.factor import file

        return file.packed(self, file.Made())

    @classmethod
    def from_bytes(cls, data: bytes) -> Factor:
        """The inverse of :meth:`to_bytes`.

        Raises:
            DataError: the bytes are no factor, are damaged, or come from a newer version.
        """
        from descentlab.factor import file

        return file.of_bytes(data)

    def __repr__(self) -> str:
        return f"Factor({self.rows:,} rows of {', '.join(self.columns)})"


def _rows(values: Array, origin: Array, weights: Any, into: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``into`` (m, p), filled with rows of ``[1, values - origin]``, each times the root of its weight."""
    into[:, 0] = 1
    np.subtract(values, origin, out=into[:, 1:], dtype=into.dtype)
    if weights is not None:
        into *= np.sqrt(np.asarray(weights, dtype=into.dtype))[:, None]
    return into


def _pieces(values: Array, origin: Array, weights: Any) -> Iterator[Array]:
    """:func:`_rows`, PIECE of them at a time and always in the same memory, which stays in a core's cache."""
    size = householder.PIECE
    buffer = np.empty((min(size, len(values)) + householder.APART, len(origin) + 1), order="F")
    for start in range(0, len(values), size):
        part = values[start : start + size]
        yield _rows(part, origin, None if weights is None else weights[start : start + size], buffer[: len(part)])


class Tree:
    """Factors merged two by two as they come, like a binary counter: only their number and order decide the shape.

    Attributes:
        waiting: the merged ones so far, each with the power of two of how many it stands for.
    """

    def __init__(self, columns: Sequence[str], waiting: Iterable[tuple[int, Factor]] = ()) -> None:
        self.columns, self.waiting = tuple(columns), list(waiting)

    @property
    def count(self) -> int:
        """How many have been added."""
        return sum(1 << level for level, _ in self.waiting)

    def add(self, factor: Factor, level: int = 0) -> None:
        """The next one, or the next ``2 ** level``, merged already; their number before must be a multiple of that."""
        while self.waiting and self.waiting[-1][0] == level:
            factor = self.waiting.pop()[1].merge(factor)
            level += 1
        self.waiting.append((level, factor))

    def whole(self) -> Factor:
        """All of them as one."""
        whole = Factor.empty(self.columns)
        for _, factor in reversed(self.waiting):
            whole = factor.merge(whole)
        return whole


def median(values: Any) -> Array:
    """(k,) origin of a table that begins with these rows: one wild row does not move it."""
    middle: Array = np.median(np.asarray(values)[:BLOCK_ROWS].astype(np.float64), axis=0)
    return middle


def _lengths(columns: Array) -> Array:
    """(k,) norms of all columns but the first."""
    lengths: Array = np.linalg.norm(columns[:, 1:], axis=0)
    return lengths
