"""The interface of an executor, and the executor that uses the calling thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from descentlab.data.selection import ReadPlan
from descentlab.data.source import Piece
from descentlab.factor.piece_result import PieceResult
from descentlab.typing import FloatArray

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class Executor(Protocol):
    """Compresses the pieces of a source. Inherit from it and override :meth:`map_ordered`.

    The result must not depend on the executor: it receives pieces and merges only where :class:`MergeTree` does.
    """

    @staticmethod
    def compress_piece(
        piece: Piece, plan: ReadPlan, columns: tuple[str, ...], origin: FloatArray | None
    ) -> PieceResult:
        """Compute the factor of one piece. Static, so that it can be sent to another process."""
        return PieceResult.from_piece(piece, plan, columns, origin)

    def map_ordered(
        self, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
    ) -> Iterator[PieceResult]:
        """Run the task on every piece and yield the results in the order of the pieces.

        Args:
            task: :meth:`compress_piece` with everything but the piece filled in.
            pieces: may be too many to hold: take a few at a time.
            first_index: the number of pieces before these. Aligned groups of ``2 ** level`` pieces may be merged.
        """
        ...


class Serial(Executor):
    """Compress one piece after the other in the calling thread."""

    def map_ordered(
        self, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
    ) -> Iterator[PieceResult]:
        return map(task, pieces)
