"""The factor of one piece of a source, or of several merged pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from descentlab.data.design.source import DesignPiece
from descentlab.data.selection import ReadPlan, ScanCounts
from descentlab.data.source import Piece
from descentlab.factor.cells import CellRows
from descentlab.factor.factor import Factor
from descentlab.typing import FloatArray


@dataclass(frozen=True)
class PieceResult:
    """The factor of ``2 ** level`` consecutive pieces.

    Attributes:
        factor: their rows.
        scan_counts: the unusable values found in them.
        size: their total size, in the source's unit.
        next_offset: where the following piece begins.
    """

    factor: Factor | CellRows
    scan_counts: ScanCounts
    size: int
    next_offset: Any
    level: int = 0

    @classmethod
    def from_piece(
        cls, piece: Piece, plan: ReadPlan, columns: tuple[str, ...], origin: FloatArray | None
    ) -> PieceResult:
        """Read one piece and compute its factor."""
        scan_counts = ScanCounts.zeros(len(plan.columns))
        blocks = plan.clean_blocks(piece, scan_counts)
        factor: Factor | CellRows
        if plan.scanned_design is not None and isinstance(piece, DesignPiece):
            factor = CellRows.from_blocks(blocks, plan.scanned_design, origin, lambda: piece.levels)
        else:
            factor = Factor.from_clean_blocks(blocks, columns, origin)
        return cls(factor, scan_counts, piece.size, piece.next_offset)

    def merge(self, other: PieceResult) -> PieceResult:
        """Merge with the following pieces, which must have the same level."""
        scan_counts = replace(self.scan_counts)
        scan_counts += other.scan_counts
        factor, size = self.factor.merge(other.factor), self.size + other.size
        return PieceResult(factor, scan_counts, size, other.next_offset, self.level + 1)
