"""Compress a tensor on its own device with batched Householder QR; one small triangle for each piece is copied back.

A piece with a value that cannot be used (missing, infinite, too large, or a negative weight) is read on the CPU,
which counts such values for the error message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.data.selection import ReadPlan, ScanCounts
from descentlab.data.source import BLOCK_ROWS, MAX_MAGNITUDE, Piece, Source
from descentlab.data.tensors import source_device, to_device_tensor
from descentlab.dependencies import require
from descentlab.errors import SettingError
from descentlab.factor.executors.base import Serial
from descentlab.factor.factor import Factor, choose_origin
from descentlab.factor.piece_result import PieceResult
from descentlab.factor.qr import householder
from descentlab.typing import UNIT_ROUNDOFF, FloatArray


class Gpu(Serial):
    """A PyTorch device, for tensors on it; other rows are compressed on the CPU.

    Args:
        device: its name in torch, such as ``"cuda"`` or ``"cuda:1"``.

    Raises:
        MissingDependencyError: torch is not installed.
        SettingError: the device does not exist or has no float64.
    """

    def __init__(self, device: Any = "cuda") -> None:
        torch = require("torch", "torch", "torch", "torch")
        try:
            torch.zeros(1, dtype=torch.float64, device=device)
        except (RuntimeError, AssertionError, TypeError) as cause:
            first_line = (str(cause).splitlines() or [""])[0]
            raise SettingError("no_device", device=str(device), cause=first_line[:200]) from cause

    @staticmethod
    def compress_piece(
        piece: Piece, plan: ReadPlan, columns: tuple[str, ...], origin: FloatArray | None
    ) -> PieceResult:
        values = to_device_tensor(piece, plan.columns)
        if values is None or not len(values) or not _has_usable_values(values, plan):
            return PieceResult.from_piece(piece, plan, columns, origin)
        if origin is None:
            origin = choose_origin(values[:BLOCK_ROWS, : len(columns)].cpu().numpy())
        weights = values[:, -1] if plan.weighted else None
        scan_counts = ScanCounts.zeros(len(plan.columns))
        scan_counts.rows = len(values)
        factor = factor_from_tensor(values[:, : len(columns)], columns, origin, weights)
        return PieceResult(factor, scan_counts, piece.size, piece.next_offset)


def executor_for(source: Source) -> Gpu | None:
    """The executor for the device that holds a source's features; None if no device does."""
    device = source_device(source)
    return None if device is None else Gpu(device)


def _has_usable_values(values: Any, plan: ReadPlan) -> bool:
    largest_magnitude = values.abs().max()  # NaN if there is one, which fails the comparison
    return bool(largest_magnitude <= MAX_MAGNITUDE) and not (plan.weighted and bool((values[:, -1] < 0).any()))


def factor_from_tensor(values: Any, columns: tuple[str, ...], origin: FloatArray, weights: Any = None) -> Factor:
    """Compute the factor of a float64 tensor (m, k) of finite values on its device, with (m,) weights or None."""
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
    if panel_rows < p:  # then a panel's R has only panel_rows rows
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
    merge_error = 4 + 2 * p  # torch reduces two stacked triangles as a dense matrix
    error = (4 + panel_error + merge_levels * merge_error) * UNIT_ROUNDOFF
    return Factor(columns, R, origin, m, total_weight, error * np.linalg.norm(R[:, 1:], axis=0))
