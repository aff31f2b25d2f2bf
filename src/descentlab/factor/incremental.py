"""Rows as they come, into one factor: however calls cut them, blocks are cut by row number, so the bits are the same.

Full blocks go into the tree that :mod:`descentlab.factor.build_cli` builds of an array, so those bits are the same,
too. The last rows, fewer than a block, wait as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from descentlab.data.source import BLOCK_ROWS
from descentlab.factor.build import Threads
from descentlab.factor.checks import check_block
from descentlab.factor.factor import Factor, MergeTree, choose_origin
from descentlab.typing import FloatArray

GetRows = Callable[[int, int], tuple[FloatArray, FloatArray | None]]


class IncrementalFactor:
    """The factor of all rows added so far; at most 8,191 of them are held as they are.

    Attributes:
        columns: their names.
        rows: how many were added.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns, self.rows = tuple(columns), 0
        self._tree = MergeTree(self.columns)
        self._origin: FloatArray | None = None
        self._buffer: tuple[FloatArray, FloatArray | None] = (np.empty((0, len(self.columns))), None)

    def add(self, values: FloatArray, weights: FloatArray | None = None) -> None:
        """(m, k) rows more, and their (m,) weights if any.

        Raises:
            DataError: a value cannot be used; then none of these rows was added.
        """
        self.add_from(len(values), lambda start, stop: (values[start:stop], _slice_weights(weights, start, stop)))

    def add_from(self, count: int, get_rows: GetRows) -> None:
        """``count`` rows more, asked for from ``start`` to ``stop``, a block at a time, by several threads at once.

        Raises:
            DataError: a value cannot be used; then none of these rows was added.
        """
        buffered_rows = len(self._buffer[0])
        free_rows = BLOCK_ROWS - buffered_rows
        if count < free_rows:
            self._buffer, self.rows = (
                _concatenate(self._buffer, self._check_rows(get_rows(0, count))),
                self.rows + count,
            )
            return
        first_block = _concatenate(self._buffer, get_rows(0, free_rows))
        origin = choose_origin(first_block[0]) if self._origin is None else self._origin
        tree = MergeTree(self.columns, self._tree.pending)
        tree.add(Factor.from_blocks([first_block], self.columns, origin))
        starts = range(free_rows, count - BLOCK_ROWS + 1, BLOCK_ROWS)
        compress_block = partial(_compress_block, get_rows, self.columns, origin)
        for factor in (
            Threads().map_ordered(compress_block, starts, 0) if len(starts) > 1 else map(compress_block, starts)
        ):
            tree.add(factor)
        rest_start = free_rows + len(starts) * BLOCK_ROWS
        values, weights = self._check_rows(get_rows(rest_start, count))
        buffer = (np.array(values), None if weights is None else np.array(weights))  # copies: the caller's may change
        self._tree, self._origin, self._buffer, self.rows = tree, origin, buffer, self.rows + count

    def result(self) -> Factor:
        """The factor of every row so far, with the bits that any other way of adding them has."""
        tree = MergeTree(self.columns, self._tree.pending)
        if len(self._buffer[0]):
            tree.add(Factor.from_blocks([self._buffer], self.columns, self._origin))
        return tree.result()

    def _check_rows(self, rows: tuple[FloatArray, FloatArray | None]) -> tuple[FloatArray, FloatArray | None]:
        return check_block(*rows, len(self.columns)), rows[1]


def _compress_block(get_rows: GetRows, columns: tuple[str, ...], origin: FloatArray, start: int) -> Factor:
    return Factor.from_blocks([get_rows(start, start + BLOCK_ROWS)], columns, origin)


def _slice_weights(weights: FloatArray | None, start: int, stop: int) -> FloatArray | None:
    return None if weights is None else weights[start:stop]


def _concatenate(
    first: tuple[FloatArray, FloatArray | None], second: tuple[FloatArray, FloatArray | None]
) -> tuple[FloatArray, FloatArray | None]:
    """Both sets of rows; where one of them has no weights, they are 1."""
    values = np.concatenate([first[0], second[0]])
    if first[1] is None and second[1] is None:
        return values, None
    filled_weights = [
        np.ones(len(block_values)) if weights is None else weights for block_values, weights in (first, second)
    ]
    return values, np.concatenate(filled_weights)
