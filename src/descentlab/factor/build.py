"""Rows into a factor: piece by piece, on every core, always in the same tree.

A piece's factor depends on the piece and on the common origin alone, and pieces are merged in their order. So one
worker or seven, threads here or processes elsewhere, a run in one go or one that was killed and continued: the bits
are the same.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from descentlab.data.selection import Plan, Seen, Selection
from descentlab.data.source import Piece
from descentlab.errors import whole_number
from descentlab.factor.checkpoint import Checkpoint, State
from descentlab.factor.factor import Factor, Tree, median
from descentlab.typing import Array

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int, int | None, int], None]  # done, of how much in all where it is known, rows so far


@dataclass
class Part:
    """A piece, swallowed; or ``2 ** level`` of them."""

    factor: Factor
    seen: Seen
    size: int
    after: Any
    level: int = 0

    def joined(self, other: Part) -> Part:
        """Two of one level as one of the next."""
        seen = Seen.none(len(self.seen.missing))
        seen += self.seen
        seen += other.seen
        return Part(self.factor.merge(other.factor), seen, self.size + other.size, other.after, self.level + 1)


class Engine(Protocol):
    """Where pieces are swallowed; one that does it its own way has a ``swallow`` in place of :func:`part_of`."""

    def ordered(self, task: Callable[[Piece], Part], pieces: Iterable[Piece], begun: int) -> Iterator[Part]:
        """The task's results in the order of the pieces, a few of them under way at a time.

        ``begun`` pieces came before these; results may be joined where the tree would join them.
        """


class Threads:
    """The cores of this machine: reading, decoding and LAPACK let Python's lock go, so threads do."""

    def __init__(self, workers: int | None = None) -> None:
        """Args:
        workers: how many at a time; None: as many as there are cores.

        Raises:
            SettingError: fewer than one.
        """
        self.workers = cores() if workers is None else whole_number("workers", workers, 1)

    def ordered(self, task: Callable[[Task], Result], pieces: Iterable[Task], begun: int) -> Iterator[Result]:
        from threadpoolctl import threadpool_limits

        waiting: deque[Future[Result]] = deque()
        # A BLAS with threads of its own would have more of them than cores, on products too small for any.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(self.workers) as pool:
            try:
                for piece in pieces:
                    waiting.append(pool.submit(task, piece))
                    if len(waiting) > self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for each in waiting:
                    each.cancel()


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def part_of(piece: Piece, plan: Plan, columns: tuple[str, ...], origin: Array | None) -> Part:
    """One piece, swallowed: what travels to a worker and back."""
    seen = Seen.none(len(plan.columns))
    factor = Factor.of_blocks(plan.taken(piece, seen), columns, origin)
    return Part(factor, seen, piece.size, piece.after)


def factor_of(
    selection: Selection,
    engine: Engine | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Factor:
    """The factor of a selection's features and target, in one pass.

    Args:
        selection: which rows, which columns.
        engine: where the work is done; default: every core of this machine.
        checkpoint: where the state is kept as it goes. What it holds already is not read again.
        progress: called after each piece.

    Raises:
        DataError: the rows cannot be used.
    """
    columns = (*selection.features, selection.target)
    state = checkpoint.load() if checkpoint else None
    pieces = selection.source.pieces(selection.plan.columns, state.after if state else None)
    if state is None:
        first = list(islice(pieces, 2))
        several, origin = len(first) > 1, None
        if several:
            origin = _origin(first, selection.plan)
            if origin is None:  # none of their rows is kept
                origin = _origin(selection.source.pieces(selection.plan.columns), selection.plan)
        pieces = chain(first, pieces)
    else:
        origin, several = state.origin, True
    seen = replace(state.seen) if state else Seen.none(len(selection.plan.columns))
    tree, done = Tree(columns, state.waiting if state else ()), state.done if state else 0
    task = partial(getattr(engine, "swallow", part_of), plan=selection.plan, columns=columns, origin=origin)
    elsewhere = several or engine is not None  # one piece alone is swallowed here, unless it was said where
    parts = (engine or Threads()).ordered(task, pieces, tree.count) if elsewhere else map(task, pieces)
    try:
        for part in parts:
            tree.add(part.factor, part.level)
            seen += part.seen
            done += part.size
            if checkpoint and origin is not None:
                # Copies: an interrupt while the next part is being added must leave no half of it in what is kept.
                state = State(origin, list(tree.waiting), replace(seen), part.after, done)
                if checkpoint.due():
                    checkpoint.keep(state)
            if progress:
                progress(done, selection.source.size, seen.rows)
    except BaseException:
        if checkpoint and state:
            checkpoint.keep(state)
        raise
    finally:
        if isinstance(parts, Generator):
            parts.close()  # lets the workers go now, and not when the error that is passing through is forgotten
    selection.accept(seen)
    return tree.whole()


def _origin(pieces: Iterable[Piece], plan: Plan) -> Array | None:
    """The median of the first block that has rows; None where none has."""
    k = len(plan.columns)
    for piece in pieces:
        for values, _ in plan.taken(piece, Seen.none(k)):
            if len(values):
                return median(values)
    return None
