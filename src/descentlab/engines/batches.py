"""Rows for mini-batches: epoch by epoch in a drawn order, in blocks of whole batches, from memory or from files.

What lies in memory is reordered as a whole. What is read from files is not: there the pieces come in a drawn order
and the rows of each in a drawn order, and batches run on across the end of a piece. So no more than three pieces
are in memory at a time (one walked, one read, one that waits), and rows that lie near one another in a file are in
near batches: a file that is sorted should be mixed once before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from descentlab.data.selection import Seen
from descentlab.data.source import Piece
from descentlab.errors import DataError
from descentlab.messages import Sentence, counted, sentence
from descentlab.problem.problem import Problem
from descentlab.typing import Array, Integers

BLOCK = 4096  # rows copied at once: they stay in the second-level cache while they are walked

Block = tuple[Array, Array, Array]
Gather = Callable[[Array, Array, Array, Integers, Block], None]


class Feed(Protocol):
    """Where the rows of an epoch come from.

    Attributes:
        notices: what a reader should know about their order.
    """

    notices: tuple[Sentence, ...]

    def blocks(self, batch: int) -> Iterator[Block]:
        """(m, p) rows with the bias's column of ones, (m,) targets and (m,) weights or none: whole batches.

        A block is overwritten by the next.
        """


class Drawing(NamedTuple):
    """How rows are drawn: by which generator (None: as they come), and whether each one anew."""

    order: np.random.Generator | None
    replacement: bool = False

    def of(self, n: int) -> Integers:
        """(n,) which of n rows come one after the other."""
        if self.order is None:
            return np.arange(n)
        return self.order.integers(n, size=n) if self.replacement else self.order.permutation(n)


class InMemory:
    """Rows that are all at hand."""

    notices: tuple[Sentence, ...] = ()

    def __init__(self, rows: Block, width: int, drawing: Drawing, gather: Gather) -> None:
        """Args:
        rows: (n, d) features, (n,) targets, (n,) weights or none.
        width: columns of a block: d, and one of ones for a bias.
        drawing: of each epoch.
        gather: copies chosen rows to the head of a block.
        """
        self.rows, self.width, self.drawing, self.gather = rows, width, drawing, gather

    def blocks(self, batch: int) -> Iterator[Block]:
        order = self.drawing.of(len(self.rows[1]))
        x, t, w = _room(self.rows, self.width, batch, len(order))
        for first in range(0, len(order), len(t)):
            part = order[first : first + len(t)]
            self.gather(*self.rows, part, (x, t, w))
            yield x[: len(part)], t[: len(part)], w[: len(part)]


class Streamed:
    """Rows of a source whose pieces can be reached one by one; a row is never in two places of an epoch."""

    def __init__(self, problem: Problem, width: int, drawing: Drawing, gather: Gather, kind: Any) -> None:
        """Args:
        problem: whose rows, in the coordinates that are descended.
        width, drawing, gather: as of :class:`InMemory`.
        kind: the type of the numbers.
        """
        self.problem, self.width, self.drawing, self.gather, self.kind = problem, width, drawing, gather, kind
        columns = problem.selection.plan.columns
        self.starts = [None, *(piece.after for piece in problem.selection.source.pieces(columns))][:-1]
        key = "notice.streamed_in_order" if drawing.order is None else "notice.streamed"
        self.notices: tuple[Sentence, ...] = (sentence(key, pieces=len(self.starts)),)

    def blocks(self, batch: int) -> Iterator[Block]:
        """Raises:
        DataError: there are more or fewer rows than there were.
        """
        room: Block | None = None
        filled = seen = 0
        for rows in self._pieces():
            order = self.drawing.of(len(rows[1]))
            room = _room(rows, self.width, batch, self.problem.n) if room is None else room
            x, t, w = room
            seen += len(order)
            while len(order):
                part, order = order[: len(t) - filled], order[len(t) - filled :]
                self.gather(*rows, part, (x[filled:], t[filled:], w[filled:]))
                filled += len(part)
                if filled == len(t):
                    yield room
                    filled = 0
        if seen != self.problem.n:
            raise DataError("rows_changed", now=counted(seen, "row"), before=counted(self.problem.n, "row"))
        if filled and room is not None:
            yield room[0][:filled], room[1][:filled], room[2][:filled]

    def _pieces(self) -> Iterator[Block]:
        """The rows of each piece, in this epoch's order; the next is read while one is walked."""
        wanted = self.drawing._replace(replacement=False).of(len(self.starts)).tolist()
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, wanted[0])
            for following in [*wanted[1:], None]:
                rows = ahead.result()
                if following is not None:
                    ahead = reader.submit(self._read, following)
                yield rows

    def _read(self, which: int) -> Block:
        """One piece's rows, in the descended coordinates."""
        selection, coordinates, d = self.problem.selection, self.problem.coordinates, len(self.problem.features)
        plan = selection.plan
        piece: Piece = next(iter(selection.source.pieces(plan.columns, self.starts[which])))
        X, y, w = [np.empty((0, d))], [np.empty(0)], [np.empty(0)]
        for values, weights in plan.taken(piece, Seen.none(len(plan.columns))):
            X.append((values[:, :d] - coordinates.means) / coordinates.scales)
            y.append(values[:, d])
            w += [] if weights is None else [weights]
        whole = (np.concatenate(parts).astype(self.kind, copy=False) for parts in (X, y, w))
        return tuple(whole)  # type: ignore[return-value]


def _room(rows: Block, width: int, batch: int, n: int) -> Block:
    """A block to be filled: whole batches, about so many rows that they stay in the cache; the bias's column is 1."""
    size = min(n, max(BLOCK // batch, 1) * batch)
    X, y, w = rows
    return np.ones((size, width), X.dtype), np.empty(size, y.dtype), np.empty(size if len(w) else 0, w.dtype)
