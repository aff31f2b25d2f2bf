"""Compression where a tensor lies: Householder QR in batches on the device, in the same tree of pieces.

What travels back is one small triangle for each piece. A piece with a value that is missing, infinite, too large or a
negative weight is counted on the CPU, which knows how to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from descentlab.data.selection import ReadPlan, ScanCounts
from descentlab.data.source import BLOCK_ROWS, MAX_MAGNITUDE, Piece, Source
from descentlab.data.tensors import source_device, to_device_tensor
from descentlab.dependencies import require
from descentlab.errors import SettingError
from descentlab.factor import householder
from descentlab.factor.build import PieceResult, compress_piece
from descentlab.factor.factor import Factor, choose_origin
from descentlab.typing import UNIT_ROUNDOFF, FloatArray


class Gpu:
    """A device of torch's as an engine, for tensors that lie there; other rows are compressed on the CPU.

    Args:
        device: as torch names it, such as ``"cuda"`` or ``"cuda:1"``.

    Raises:
        MissingDependencyError: torch is not installed.
        SettingError: there is no such device, or it has no float64.
    """

    def __init__(self, device: Any = "cuda") -> None:
        torch = require("torch", "torch", "torch", "torch")
        try:
            torch.zeros(1, dtype=torch.float64, device=device)
        except (RuntimeError, AssertionError, TypeError) as cause:
            first_line = (str(cause).splitlines() or [""])[0]
            raise SettingError("no_device", device=str(device), cause=first_line[:200]) from cause

    def map_ordered(
        self, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
    ) -> Iterator[PieceResult]:
        """The task's results, one after the other: the device is parallel within each."""
        return map(task, pieces)

    @staticmethod
    def compress_piece(
        piece: Piece, plan: ReadPlan, columns: tuple[str, ...], origin: FloatArray | None
    ) -> PieceResult:
        """One piece, where it lies; see :func:`descentlab.factor.build.compress_piece`."""
        values = to_device_tensor(piece, plan.columns)
        if values is None or not len(values) or not _has_usable_values(values, plan):
            return compress_piece(piece, plan, columns, origin)
        if origin is None:
            origin = choose_origin(values[:BLOCK_ROWS, : len(columns)].cpu().numpy())
        weights = values[:, -1] if plan.weighted else None
        scan_counts = ScanCounts.zeros(len(plan.columns))
        scan_counts.rows = len(values)
        factor = factor_from_tensor(values[:, : len(columns)], columns, origin, weights)
        return PieceResult(factor, scan_counts, piece.size, piece.next_offset)


def executor_for(source: Source) -> Gpu | None:
    """The engine of the device that a source's features lie on; None where they lie on none."""
    device = source_device(source)
    return None if device is None else Gpu(device)


def _has_usable_values(values: Any, plan: ReadPlan) -> bool:
    """Whether every value is finite and of a size that can be squared, and every weight non-negative."""
    largest_magnitude = values.abs().max()  # NaN where there is one
    return bool(largest_magnitude <= MAX_MAGNITUDE) and not (plan.weighted and bool((values[:, -1] < 0).any()))


def factor_from_tensor(values: Any, columns: tuple[str, ...], origin: FloatArray, weights: Any = None) -> Factor:
    """The factor of (m, k) finite float64 values on their device, with (m,) non-negative weights if any."""
    import torch

    m, p = len(values), values.shape[1] + 1
    panel_rows = householder.PANEL_ROWS
    panel_count = -(-m // panel_rows)
    rows = torch.zeros((panel_count * panel_rows, p), dtype=torch.float64, device=values.device)
    rows[:m, 0] = 1
    rows[:m, 1:] = values - torch.as_tensor(origin, device=values.device)
    if weights is not None:
        rows[:m] *= weights.sqrt()[:, None]
    triangles = torch.linalg.qr(rows.reshape(panel_count, panel_rows, p), mode="r").R
    if panel_rows < p:  # fewer rows than columns: the missing ones are zero
        triangles = torch.nn.functional.pad(triangles, (0, 0, 0, p - panel_rows))
    merge_levels = 0
    while len(triangles) > 1:
        even = len(triangles) & ~1
        pairs = triangles[:even].reshape(even // 2, 2 * p, p)
        triangles = torch.cat([torch.linalg.qr(pairs, mode="r").R, triangles[even:]])
        merge_levels += 1
    R = householder.with_nonnegative_diagonal(triangles[0].triu().cpu().numpy())
    total_weight = float(m if weights is None else weights.sum())
    R[0, 0] = np.sqrt(total_weight)
    panel_error = min(m, panel_rows) / 4 + p
    error = (4 + panel_error + merge_levels * (4 + 2 * p)) * UNIT_ROUNDOFF  # a joint here reflects both triangles whole
    return Factor(columns, R, origin, m, total_weight, error * np.linalg.norm(R[:, 1:], axis=0))
