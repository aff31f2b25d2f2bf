"""Add rows in portions of any size; the resulting factor is the same to the last bit as for a single array.

Blocks are cut by row number, not where calls end, and enter the tree that :func:`build_factor` uses for an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from descentlab.data.source import BLOCK_ROWS
from descentlab.factor.checks import check_block
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import Factor, choose_origin
from descentlab.factor.merge_tree import MergeTree
from descentlab.typing import FloatArray

WeightedRows = tuple[FloatArray, FloatArray | None]  # values and weights
GetRows = Callable[[int, int], WeightedRows]


class IncrementalFactor:
    """The factor of all rows added so far. It holds at most ``BLOCK_ROWS - 1`` rows as they are.

    Args:
        columns: the names of the columns.

    Attributes:
        rows: the number of rows added.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns, self.rows = tuple(columns), 0
        self._tree = MergeTree(Factor.empty(self.columns))
        self._origin: FloatArray | None = None
        self._buffer: WeightedRows = (np.empty((0, len(self.columns))), None)

    def add(self, values: FloatArray, weights: FloatArray | None = None) -> None:
        """Add (m, k) rows with (m,) weights or None.

        Raises:
            DataError: a value cannot be used; then none of these rows was added.
        """
        self.add_from(
            len(values), lambda start, stop: (values[start:stop], None if weights is None else weights[start:stop])
        )

    def add_from(self, count: int, get_rows: GetRows) -> None:
        """Add ``count`` rows. Several threads call ``get_rows(start, stop)`` for one block each.

        Raises:
            DataError: a value cannot be used; then none of these rows was added.
        """
        free_rows = BLOCK_ROWS - len(self._buffer[0])
        if count < free_rows:
            self._buffer, self.rows = (
                _concatenate(self._buffer, self._get_checked(get_rows, 0, count)),
                self.rows + count,
            )
            return
        first_block = _concatenate(self._buffer, get_rows(0, free_rows))
        origin = choose_origin(first_block[0]) if self._origin is None else self._origin
        tree = self._tree.copy()
        tree.add(Factor.from_blocks([first_block], self.columns, origin))
        starts = range(free_rows, count - BLOCK_ROWS + 1, BLOCK_ROWS)
        compress = partial(_compress_block, get_rows, self.columns, origin)
        for factor in Threads().map_ordered(compress, starts, 0) if len(starts) > 1 else map(compress, starts):
            tree.add(factor)
        values, weights = self._get_checked(get_rows, free_rows + len(starts) * BLOCK_ROWS, count)
        buffer = (np.array(values), None if weights is None else np.array(weights))  # the caller's arrays may change
        self._tree, self._origin, self._buffer, self.rows = tree, origin, buffer, self.rows + count

    def result(self) -> Factor:
        """Compute the factor of all rows so far."""
        tree = self._tree.copy()
        if len(self._buffer[0]):
            tree.add(Factor.from_clean_blocks([self._buffer], self.columns, self._origin))
        return tree.result()

    def _get_checked(self, get_rows: GetRows, start: int, stop: int) -> WeightedRows:
        values, weights = get_rows(start, stop)
        return check_block(values, weights, len(self.columns)), weights


def _compress_block(get_rows: GetRows, columns: tuple[str, ...], origin: FloatArray, start: int) -> Factor:
    return Factor.from_blocks([get_rows(start, start + BLOCK_ROWS)], columns, origin)


def _concatenate(first: WeightedRows, second: WeightedRows) -> WeightedRows:
    """Concatenate both; missing weights are 1 if the other part has weights."""
    values = np.concatenate([first[0], second[0]])
    if first[1] is None and second[1] is None:
        return values, None
    return values, np.concatenate(
        [np.ones(len(rows)) if weights is None else weights for rows, weights in (first, second)]
    )
