"""Rows for mini-batches: epoch by epoch in a drawn order, in blocks of whole batches, from memory or from files.

Rows in memory are shuffled as a whole. Of files the pieces are shuffled, and the rows within each piece; batches
continue across the end of a piece. So at most three pieces are in memory (one in use, one being read, one that
waits), and rows that are close in a file are in close batches: shuffle a sorted file once before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from descentlab.data.selection import ScanCounts
from descentlab.data.source import Piece
from descentlab.errors import DataError
from descentlab.messages import Message, message, pluralize
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray, IntArray

CACHED_BLOCK_ROWS = 4096  # rows copied at once: they stay in the second-level cache during their steps

RowBlock = tuple[FloatArray, FloatArray, FloatArray]
CopyRows = Callable[[FloatArray, FloatArray, FloatArray, IntArray, RowBlock], None]


class BatchSource(Protocol):
    """The rows of every epoch.

    Attributes:
        notices: messages about their order.
    """

    notices: tuple[Message, ...]

    def blocks(self, batch: int) -> Iterator[RowBlock]:
        """(m, p) rows with the bias's column of ones, (m,) targets and (m,) weights or none: whole batches.

        A block is overwritten by the next.
        """


class RowSampler(NamedTuple):
    """How rows are drawn: by a generator (None: in their own order), with or without replacement."""

    rng: np.random.Generator | None
    replacement: bool = False

    def draw_indices(self, n: int) -> IntArray:
        """(n,) row indices in the order of an epoch."""
        if self.rng is None:
            return np.arange(n)
        return self.rng.integers(n, size=n) if self.replacement else self.rng.permutation(n)


def iterate_batches(
    n: int, size: int | None, order: np.random.Generator | None, replacement: bool = False
) -> Iterator[Any]:
    """The rows of each step of one epoch: all of them (size None), or index arrays of ``size`` rows."""
    if size is None:
        yield slice(None)
        return
    rows = RowSampler(order, replacement).draw_indices(n)
    for start in range(0, n, size):
        yield rows[start : start + size]


class InMemoryBatches:
    """Batches of rows that are in memory."""

    notices: tuple[Message, ...] = ()

    def __init__(self, rows: RowBlock, width: int, sampler: RowSampler, copy_rows: CopyRows) -> None:
        """Args:
        rows: (n, d) features, (n,) targets, (n,) weights or none.
        width: columns of a block: d, and one of ones for a bias.
        sampler: draws the order of each epoch.
        copy_rows: copies chosen rows to the beginning of a block.
        """
        self.rows, self.width, self.sampler, self.copy_rows = rows, width, sampler, copy_rows

    def blocks(self, batch: int) -> Iterator[RowBlock]:
        order = self.sampler.draw_indices(len(self.rows[1]))
        x, t, w = _allocate_block(self.rows, self.width, batch, len(order))
        for first in range(0, len(order), len(t)):
            chunk = order[first : first + len(t)]
            self.copy_rows(*self.rows, chunk, (x, t, w))
            yield x[: len(chunk)], t[: len(chunk)], w[: len(chunk)]


class StreamedBatches:
    """Batches of a source whose pieces can be read in any order; each row occurs once in an epoch."""

    def __init__(self, problem: Problem, width: int, sampler: RowSampler, copy_rows: CopyRows, dtype: Any) -> None:
        """Args:
        problem: its rows are centered and scaled as it asks.
        width, sampler, copy_rows: as in :class:`InMemoryBatches`.
        dtype: of the blocks.
        """
        self.problem, self.width, self.sampler, self.copy_rows, self.dtype = problem, width, sampler, copy_rows, dtype
        columns = problem.selection.plan.columns
        self.piece_starts = [None, *(piece.next_offset for piece in problem.selection.source.pieces(columns))][:-1]
        key = "notice.streamed_in_order" if sampler.rng is None else "notice.streamed"
        self.notices: tuple[Message, ...] = (message(key, pieces=len(self.piece_starts)),)

    def blocks(self, batch: int) -> Iterator[RowBlock]:
        """Raises:
        DataError: the number of rows has changed.
        """
        block: RowBlock | None = None
        filled = rows_read = 0
        for rows in self._iterate_pieces():
            order = self.sampler.draw_indices(len(rows[1]))
            block = _allocate_block(rows, self.width, batch, self.problem.n) if block is None else block
            x, t, w = block
            rows_read += len(order)
            while len(order):
                chunk, order = order[: len(t) - filled], order[len(t) - filled :]
                self.copy_rows(*rows, chunk, (x[filled:], t[filled:], w[filled:]))
                filled += len(chunk)
                if filled == len(t):
                    yield block
                    filled = 0
        if rows_read != self.problem.n:
            raise DataError("rows_changed", now=pluralize(rows_read, "row"), before=pluralize(self.problem.n, "row"))
        if filled and block is not None:
            yield block[0][:filled], block[1][:filled], block[2][:filled]

    def _iterate_pieces(self) -> Iterator[RowBlock]:
        """The rows of each piece, in this epoch's order; the next piece is read while one is in use."""
        piece_order = self.sampler._replace(replacement=False).draw_indices(len(self.piece_starts)).tolist()
        with ThreadPoolExecutor(1) as reader:
            next_rows = reader.submit(self._read_piece, piece_order[0])
            for next_piece in [*piece_order[1:], None]:
                rows = next_rows.result()
                if next_piece is not None:
                    next_rows = reader.submit(self._read_piece, next_piece)
                yield rows

    def _read_piece(self, index: int) -> RowBlock:
        """The rows of one piece, centered and scaled."""
        selection, coordinates, d = self.problem.selection, self.problem.scaling, len(self.problem.features)
        plan = selection.plan
        piece: Piece = next(iter(selection.source.pieces(plan.columns, self.piece_starts[index])))
        X, y, w = [np.empty((0, d))], [np.empty(0)], [np.empty(0)]
        for values, weights in plan.clean_blocks(piece, ScanCounts.zeros(len(plan.columns))):
            X.append((values[:, :d] - coordinates.means) / coordinates.scales)
            y.append(values[:, d])
            w += [] if weights is None else [weights]
        arrays = (np.concatenate(parts).astype(self.dtype, copy=False) for parts in (X, y, w))
        return tuple(arrays)  # type: ignore[return-value]


def _allocate_block(rows: RowBlock, width: int, batch: int, n: int) -> RowBlock:
    """An empty block of whole batches that fits into the cache; the bias's column is 1."""
    size = min(n, max(CACHED_BLOCK_ROWS // batch, 1) * batch)
    X, y, w = rows
    return np.ones((size, width), X.dtype), np.empty(size, y.dtype), np.empty(size if len(w) else 0, w.dtype)
