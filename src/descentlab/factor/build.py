"""Build the factor of a source: piece by piece, on every core, and always in the same tree.

The factor of a piece depends only on the piece and on the common origin, and pieces are merged in their order.
So the result is the same to the last bit for every number of workers, for threads and other processes, and for an
uninterrupted and a resumed run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice

import numpy as np

from descentlab.data.selection import ColumnSelection, ReadPlan, ScanCounts
from descentlab.data.source import Piece
from descentlab.factor.checkpoint import Checkpoint, CompressionState
from descentlab.factor.constants import fit_constants
from descentlab.factor.executors.base import Executor, Serial
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import Factor, choose_origin
from descentlab.factor.merge_tree import MergeTree
from descentlab.factor.piece_result import PieceResult
from descentlab.typing import FloatArray

CompressionCallback = Callable[[int, int | None, int], None]  # size done, total size if known, number of rows so far


def build_factor(
    selection: ColumnSelection,
    executor: Executor | None = None,
    checkpoint: Checkpoint | None = None,
    progress: CompressionCallback | None = None,
) -> Factor:
    """Compute the factor of a selection's features and target in one pass.

    Args:
        selection: which rows and columns.
        executor: where to compress (default: every core; a source of a single piece: the calling thread).
        checkpoint: where to save the state from time to time. A saved state is continued.
        progress: called after each piece.

    Raises:
        DataError: the rows cannot be used.
    """
    prepare_design(selection, executor)
    plan = selection.shifted_plan
    state, pieces = _load_or_begin(selection, plan, checkpoint)
    if state.origin is None:
        checkpoint = None  # a single piece chooses its own origin, so there is nothing to continue from
    executor = executor or (Serial() if state.origin is None else Threads())
    columns = plan.value_columns
    task = partial(executor.compress_piece, plan=plan, columns=columns, origin=state.origin)
    # closing() stops the workers now, and not only when an error's traceback is released.
    with closing(_map_pieces(executor, task, pieces, state.tree.count)) as results:
        state = _fold(results, state, selection.source.size, checkpoint, progress)
    selection.check_scan(state.scan_counts)
    factor: Factor = state.tree.result().to_factor()
    factor = replace(factor, design=selection.design) if selection.design_is_read else factor
    return factor.shift(plan.shift_vector(factor.columns))


def _load_or_begin(
    selection: ColumnSelection, plan: ReadPlan, checkpoint: Checkpoint | None
) -> tuple[CompressionState, Iterator[Piece]]:
    """The saved or the initial state, and the pieces that follow it."""
    source = selection.source
    if checkpoint and (saved := checkpoint.load()):
        return saved, source.pieces(plan.columns, saved.next_offset)
    pieces = source.pieces(plan.columns)
    first_pieces = list(islice(pieces, 2))
    origin = None
    if len(first_pieces) > 1 or plan.shifts:
        origin = _common_origin(first_pieces, plan)
        if origin is None:  # every row of the first pieces is dropped
            origin = _common_origin(source.pieces(plan.columns), plan)
    empty = empty_factor(selection)
    state = CompressionState(origin, MergeTree(empty), ScanCounts.zeros(len(plan.columns)))
    return state, chain(first_pieces, pieces)


def prepare_design(selection: ColumnSelection, executor: Executor | None = None) -> None:
    """Compute the constants that the functions of a formula need, where there are such functions."""
    fit_constants(selection, partial(build_factor, executor=executor))


def find_design(selection: ColumnSelection) -> None:
    """Find the constants and levels that a selection's design lacks, so that its columns can be read."""
    prepare_design(selection)
    if selection.plan.scanned_design is not None:
        design = build_factor(selection).design
        assert design is not None
        selection.keep_design(design)


def empty_factor(selection: ColumnSelection) -> Factor:
    """The factor of no rows, with the columns that a selection's factor begins with."""
    design = selection.plan.scanned_design
    if design is not None:
        return Factor.empty_design(design.with_levels(dict.fromkeys(design.categories, ())))
    empty = Factor.empty((*selection.features, selection.target))
    return replace(empty, design=selection.design) if selection.design_is_read else empty


def _common_origin(pieces: Iterable[Piece], plan: ReadPlan) -> FloatArray | None:
    """The origin chosen from the first block that keeps rows; None if no block does."""
    for piece in pieces:
        for values, _ in plan.clean_blocks(piece, ScanCounts.zeros(len(plan.columns))):
            if len(values):
                is_shifted = plan.shift_vector(plan.value_columns) != 0
                return np.where(is_shifted, 0.0, choose_origin(values))  # the shift itself is the origin
    return None


def _map_pieces(
    executor: Executor, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
) -> Generator[PieceResult]:
    yield from executor.map_ordered(task, pieces, first_index)


def _fold(
    results: Iterable[PieceResult],
    state: CompressionState,
    total_size: int | None,
    checkpoint: Checkpoint | None,
    progress: CompressionCallback | None,
) -> CompressionState:
    """Add the results to the state. Save it when it is due, and when anything interrupts the work."""
    try:
        for result in results:
            state = state.add(result)
            if checkpoint and checkpoint.is_due():
                checkpoint.save(state)
            if progress:
                progress(state.size_done, total_size, state.scan_counts.rows)
    except BaseException:
        if checkpoint and state.tree.pending:
            checkpoint.save(state)
        raise
    return state
