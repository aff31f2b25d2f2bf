"""Dealing rows out to folds: which fold a row belongs to, and the factor of each fold as its rows come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from descentlab.arrays import Array, Integers
from descentlab.data.source import BLOCK_ROWS
from descentlab.factor import Factor

WEYL, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64


def fold_of(start: int, count: int, folds: int, seed: int = 0, shuffle: bool = True) -> Integers:
    """(count,) the fold, from 0, of each row from number ``start`` on: it rests on nothing but these numbers.

    Without ``shuffle`` row i goes to fold ``i mod folds``. With it each run of ``folds`` rows is put in the order of
    what SplitMix64 makes of the seed and their numbers (G. Steele, D. Lea and C. Flood, *Fast splittable pseudorandom
    number generators*, OOPSLA 2014), so that sizes differ by at most one, wherever the rows end.
    """
    if not shuffle:
        return np.arange(start, start + count) % folds
    first = start // folds * folds
    row = np.arange(first, first + -(-(start + count - first) // folds) * folds, dtype=np.uint64)
    keys = _mixed(_mixed(np.array([seed], dtype=np.uint64)) + row)
    order: Integers = np.argsort(keys.reshape(-1, folds), axis=1, kind="stable").ravel()
    return order[start - first : start - first + count]


def _mixed(z: Any) -> Any:
    """SplitMix64's scrambling of (m,) 64-bit numbers."""
    z = (z + np.uint64(1)) * np.uint64(WEYL)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    return z ^ (z >> np.uint64(31))


class Fold:
    """The factor of a fold as its rows come: full blocks of them, merged two by two like a binary counter."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self.parts: list[tuple[Array, Array | None]] = []
        self.waiting: list[tuple[int, Factor]] = []
        self.rows = 0

    def add(self, values: Array, weights: Array | None) -> None:
        while len(values):
            room = BLOCK_ROWS - self.rows % BLOCK_ROWS
            self.parts.append((values[:room], None if weights is None else weights[:room]))
            self.rows += len(self.parts[-1][0])
            values, weights = values[room:], None if weights is None else weights[room:]
            if self.rows % BLOCK_ROWS == 0:
                self._take()

    def _take(self) -> None:
        values = np.concatenate([part for part, _ in self.parts])
        repeats = [weights for _, weights in self.parts if weights is not None]
        factor, level = Factor.of_block(values, self.columns, np.concatenate(repeats) if repeats else None), 0
        while self.waiting and self.waiting[-1][0] == level:
            factor, level = self.waiting.pop()[1].merge(factor), level + 1
        self.waiting.append((level, factor))
        self.parts = []

    def whole(self) -> Factor:
        if self.parts:
            self._take()
        factor = Factor.empty(self.columns)
        while self.waiting:
            factor = self.waiting.pop()[1].merge(factor)
        return factor
