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

from descentlab.data.selection import ColumnSelection, ReadPlan, ScanCounts
from descentlab.data.source import Piece
from descentlab.errors import check_int
from descentlab.factor.checkpoint import Checkpoint, CompressionState
from descentlab.factor.factor import Factor, MergeTree, choose_origin
from descentlab.typing import FloatArray

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
CompressionCallback = Callable[[int, int | None, int], None]  # done, of how much in all where it is known, rows so far


@dataclass
class PieceResult:
    """A piece, swallowed; or ``2 ** level`` of them."""

    factor: Factor
    scan_counts: ScanCounts
    size: int
    next_offset: Any
    level: int = 0

    def merge(self, other: PieceResult) -> PieceResult:
        """Two of one level as one of the next."""
        scan_counts = ScanCounts.zeros(len(self.scan_counts.missing))
        scan_counts += self.scan_counts
        scan_counts += other.scan_counts
        return PieceResult(
            self.factor.merge(other.factor), scan_counts, self.size + other.size, other.next_offset, self.level + 1
        )


class Executor(Protocol):
    """Where pieces are swallowed; one that does it its own way has a ``swallow`` in place of :func:`compress_piece`."""

    def map_ordered(
        self, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
    ) -> Iterator[PieceResult]:
        """The task's results in the order of the pieces, a few of them under way at a time.

        ``first_index`` pieces came before these; results may be joined where the tree would join them.
        """


class Threads:
    """The cores of this machine: reading, decoding and LAPACK let Python's lock go, so threads do."""

    def __init__(self, workers: int | None = None) -> None:
        """Args:
        workers: how many at a time; None: as many as there are cores.

        Raises:
            SettingError: fewer than one.
        """
        self.workers = available_cores() if workers is None else check_int("workers", workers, 1)

    def map_ordered(
        self, task: Callable[[TaskT], ResultT], pieces: Iterable[TaskT], first_index: int
    ) -> Iterator[ResultT]:
        from threadpoolctl import threadpool_limits

        pending: deque[Future[ResultT]] = deque()
        # A BLAS with threads of its own would have more of them than cores, on products too small for any.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(self.workers) as pool:
            try:
                for piece in pieces:
                    pending.append(pool.submit(task, piece))
                    if len(pending) > self.workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compress_piece(piece: Piece, plan: ReadPlan, columns: tuple[str, ...], origin: FloatArray | None) -> PieceResult:
    """One piece, swallowed: what travels to a worker and back."""
    scan_counts = ScanCounts.zeros(len(plan.columns))
    factor = Factor.from_blocks(plan.clean_blocks(piece, scan_counts), columns, origin)
    return PieceResult(factor, scan_counts, piece.size, piece.next_offset)


def build_factor(
    selection: ColumnSelection,
    executor: Executor | None = None,
    checkpoint: Checkpoint | None = None,
    progress: CompressionCallback | None = None,
) -> Factor:
    """The factor of a selection's features and target, in one pass.

    Args:
        selection: which rows, which columns.
        executor: where the work is done; default: every core of this machine.
        checkpoint: where the state is kept as it goes. What it holds already is not read again.
        progress: called after each piece.

    Raises:
        DataError: the rows cannot be used.
    """
    columns = (*selection.features, selection.target)
    state = checkpoint.load() if checkpoint else None
    pieces = selection.source.pieces(selection.plan.columns, state.next_offset if state else None)
    if state is None:
        first_pieces = list(islice(pieces, 2))
        more_than_one_piece, origin = len(first_pieces) > 1, None
        if more_than_one_piece:
            origin = _find_origin(first_pieces, selection.plan)
            if origin is None:  # none of their rows is kept
                origin = _find_origin(selection.source.pieces(selection.plan.columns), selection.plan)
        pieces = chain(first_pieces, pieces)
    else:
        origin, more_than_one_piece = state.origin, True
    scan_counts = replace(state.scan_counts) if state else ScanCounts.zeros(len(selection.plan.columns))
    tree, size_done = MergeTree(columns, state.pending if state else ()), state.size_done if state else 0
    task = partial(
        getattr(executor, "compress_piece", compress_piece), plan=selection.plan, columns=columns, origin=origin
    )
    use_executor = (
        more_than_one_piece or executor is not None
    )  # one piece alone is swallowed here, unless it was said where
    results = (executor or Threads()).map_ordered(task, pieces, tree.count) if use_executor else map(task, pieces)
    try:
        for result in results:
            tree.add(result.factor, result.level)
            scan_counts += result.scan_counts
            size_done += result.size
            if checkpoint and origin is not None:
                # Copies: an interrupt while the next part is being added must leave no half of it in what is kept.
                state = CompressionState(
                    origin, list(tree.pending), replace(scan_counts), result.next_offset, size_done
                )
                if checkpoint.is_due():
                    checkpoint.save(state)
            if progress:
                progress(size_done, selection.source.size, scan_counts.rows)
    except BaseException:
        if checkpoint and state:
            checkpoint.save(state)
        raise
    finally:
        if isinstance(results, Generator):
            results.close()  # lets the workers go now, and not when the error that is passing through is forgotten
    selection.check_scan(scan_counts)
    return tree.result()


def _find_origin(pieces: Iterable[Piece], plan: ReadPlan) -> FloatArray | None:
    """The median of the first block that has rows; None where none has."""
    k = len(plan.columns)
    for piece in pieces:
        for values, _ in plan.clean_blocks(piece, ScanCounts.zeros(k)):
            if len(values):
                return choose_origin(values)
    return None
