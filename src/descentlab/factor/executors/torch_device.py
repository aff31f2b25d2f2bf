"""Compression where a tensor lies: Householder QR in batches on the device, in the same tree of pieces.

What travels back is one small triangle for each piece. A piece with a value that is missing, infinite, too large or a
negative weight is counted on the CPU, which knows how to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from descentlab.data.selection import Plan, Seen
from descentlab.data.source import BLOCK_ROWS, LARGEST, Piece, Source
from descentlab.data.tensors import device_of, on_device
from descentlab.errors import SettingError, require
from descentlab.factor import householder
from descentlab.factor.build import Part, part_of
from descentlab.factor.factor import Factor, median
from descentlab.typing import Array


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
            first = (str(cause).splitlines() or [""])[0]
            raise SettingError("no_device", device=str(device), cause=first[:200]) from cause

    def ordered(self, task: Callable[[Piece], Part], pieces: Iterable[Piece], begun: int) -> Iterator[Part]:
        """The task's results, one after the other: the device is parallel within each."""
        return map(task, pieces)

    @staticmethod
    def swallow(piece: Piece, plan: Plan, columns: tuple[str, ...], origin: Array | None) -> Part:
        """One piece, where it lies; see :func:`descentlab.factor.build.part_of`."""
        values = on_device(piece, plan.columns)
        if values is None or not len(values) or not _fit(values, plan):
            return part_of(piece, plan, columns, origin)
        if origin is None:
            origin = median(values[:BLOCK_ROWS, : len(columns)].cpu().numpy())
        weights = values[:, -1] if plan.weighted else None
        seen = Seen.none(len(plan.columns))
        seen.rows = len(values)
        made = of_tensor(values[:, : len(columns)], columns, origin, weights)
        return Part(made, seen, piece.size, piece.after)


def engine_for(source: Source) -> Gpu | None:
    """The engine of the device that a source's features lie on; None where they lie on none."""
    device = device_of(source)
    return None if device is None else Gpu(device)


def _fit(values: Any, plan: Plan) -> bool:
    """Whether every value is finite and of a size that can be squared, and every weight non-negative."""
    size = values.abs().max()  # NaN where there is one
    return bool(size <= LARGEST) and not (plan.weighted and bool((values[:, -1] < 0).any()))


def of_tensor(values: Any, columns: tuple[str, ...], origin: Array, weights: Any = None) -> Factor:
    """The factor of (m, k) finite float64 values on their device, with (m,) non-negative weights if any."""
    import torch

    m, p = len(values), values.shape[1] + 1
    size = householder.PIECE
    count = -(-m // size)
    rows = torch.zeros((count * size, p), dtype=torch.float64, device=values.device)
    rows[:m, 0] = 1
    rows[:m, 1:] = values - torch.as_tensor(origin, device=values.device)
    if weights is not None:
        rows[:m] *= weights.sqrt()[:, None]
    triangles = torch.linalg.qr(rows.reshape(count, size, p), mode="r").R
    if size < p:  # fewer rows than columns: the missing ones are zero
        triangles = torch.nn.functional.pad(triangles, (0, 0, 0, p - size))
    joints = 0
    while len(triangles) > 1:
        even = len(triangles) & ~1
        pairs = triangles[:even].reshape(even // 2, 2 * p, p)
        triangles = torch.cat([torch.linalg.qr(pairs, mode="r").R, triangles[even:]])
        joints += 1
    R = householder.upright(triangles[0].triu().cpu().numpy())
    total = float(m if weights is None else weights.sum())
    R[0, 0] = np.sqrt(total)
    drift = min(m, size) / 4 + p
    error = (4 + drift + joints * (4 + 2 * p)) * householder.UNIT  # a joint here reflects both triangles whole
    return Factor(columns, R, origin, m, total, error * np.linalg.norm(R[:, 1:], axis=0))
