"""Rows as they come, into one factor: however calls cut them, blocks are cut by row number, so the bits are the same.

Full blocks go into the tree that :mod:`descentlab.factor.build` builds of an array, so those bits are the same, too.
The last rows, fewer than a block, wait as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from descentlab.data.source import BLOCK_ROWS
from descentlab.factor.build import Threads
from descentlab.factor.checks import checked
from descentlab.factor.factor import Factor, Tree, median
from descentlab.typing import Array

Take = Callable[[int, int], tuple[Array, Array | None]]


class Gathered:
    """The factor of all rows added so far; at most 8,191 of them are held as they are.

    Attributes:
        columns: their names.
        rows: how many were added.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns, self.rows = tuple(columns), 0
        self._tree = Tree(self.columns)
        self._origin: Array | None = None
        self._waiting: tuple[Array, Array | None] = (np.empty((0, len(self.columns))), None)

    def add(self, values: Array, weights: Array | None = None) -> None:
        """(m, k) rows more, and their (m,) weights if any.

        Raises:
            DataError: a value cannot be used; then none of these rows was added.
        """
        self.take(len(values), lambda start, stop: (values[start:stop], _part(weights, start, stop)))

    def take(self, count: int, rows: Take) -> None:
        """``count`` rows more, asked for from ``start`` to ``stop``, a block at a time, by several threads at once.

        Raises:
            DataError: a value cannot be used; then none of these rows was added.
        """
        held = len(self._waiting[0])
        room = BLOCK_ROWS - held
        if count < room:
            self._waiting, self.rows = _stacked(self._waiting, self._checked(rows(0, count))), self.rows + count
            return
        first = _stacked(self._waiting, rows(0, room))
        origin = median(first[0]) if self._origin is None else self._origin
        tree = Tree(self.columns, self._tree.waiting)
        tree.add(Factor.of_blocks([first], self.columns, origin))
        starts = range(room, count - BLOCK_ROWS + 1, BLOCK_ROWS)
        block = partial(_block, rows, self.columns, origin)
        for factor in Threads().ordered(block, starts, 0) if len(starts) > 1 else map(block, starts):
            tree.add(factor)
        begun = room + len(starts) * BLOCK_ROWS
        values, weights = self._checked(rows(begun, count))
        waiting = (np.array(values), None if weights is None else np.array(weights))  # copies: the caller's may change
        self._tree, self._origin, self._waiting, self.rows = tree, origin, waiting, self.rows + count

    def factor(self) -> Factor:
        """The factor of every row so far, with the bits that any other way of adding them has."""
        tree = Tree(self.columns, self._tree.waiting)
        if len(self._waiting[0]):
            tree.add(Factor.of_blocks([self._waiting], self.columns, self._origin))
        return tree.whole()

    def _checked(self, rows: tuple[Array, Array | None]) -> tuple[Array, Array | None]:
        return checked(*rows, len(self.columns)), rows[1]


def _block(rows: Take, columns: tuple[str, ...], origin: Array, start: int) -> Factor:
    return Factor.of_blocks([rows(start, start + BLOCK_ROWS)], columns, origin)


def _part(weights: Array | None, start: int, stop: int) -> Array | None:
    return None if weights is None else weights[start:stop]


def _stacked(first: tuple[Array, Array | None], second: tuple[Array, Array | None]) -> tuple[Array, Array | None]:
    """Both sets of rows; where one of them has no weights, they are 1."""
    values = np.concatenate([first[0], second[0]])
    if first[1] is None and second[1] is None:
        return values, None
    ones = [np.ones(len(part)) if weights is None else weights for part, weights in (first, second)]
    return values, np.concatenate(ones)
