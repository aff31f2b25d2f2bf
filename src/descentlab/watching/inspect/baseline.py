"""The loss of a model that has learned nothing: one that predicts the targets' mean, or their frequencies.

For squared errors it is the targets' variance, for classes the entropy of their frequencies; in the loss's own scale.
Of several columns it is the mean. Targets that the loss ignores do not count.
"""

from __future__ import annotations

import math
from typing import Any


class TargetStatistics:
    """Sums over the targets of every batch seen: kept as tensors, so that nothing waits for a device.

    Attributes:
        n_batches: how many were added.
    """

    def __init__(self) -> None:
        self.n_batches = 0
        self._sums: Any = None
        self._counts: Any = None
        self._is_unusable = False
        self._kind = ""

    def add(self, target: Any, kind: str) -> None:
        """Take one batch of targets.

        Args:
            target: (n,) or (n, k) numbers, or classes.
            kind: ``squared``, ``binary`` or ``classes``; any other has no known baseline.
        """
        self._is_unusable = self._is_unusable or kind not in ("squared", "binary", "classes") or not target.numel()
        if self._is_unusable:
            return
        self._kind = self._kind or kind
        self._is_unusable = self._kind != kind
        if kind == "classes":
            self._add_classes(target.detach().reshape(-1))
        else:
            self._add_numbers(target.detach())
        self.n_batches += 1

    def _add_classes(self, flat: Any) -> None:
        import torch

        counts = torch.bincount(flat.clamp(min=0)).double()
        if self._counts is not None and len(self._counts) != len(counts):
            n_classes = max(len(self._counts), len(counts))
            counts, self._counts = (torch.nn.functional.pad(c, (0, n_classes - len(c))) for c in (counts, self._counts))
        self._counts = counts if self._counts is None else self._counts + counts

    def _add_numbers(self, target: Any) -> None:
        import torch

        columns = target.double().reshape(len(target), -1) if target.ndim else target.double().reshape(1, 1)
        n = torch.full_like(columns[0], len(columns))
        sums = torch.stack([n, columns.sum(0), (columns * columns).sum(0)])
        if self._sums is not None and self._sums.shape != sums.shape:
            self._is_unusable = True  # as with sequences of different lengths
            return
        self._sums = sums if self._sums is None else self._sums + sums

    def rms(self) -> float:
        """The root mean square of targets that are numbers; not a number for classes."""
        if self._is_unusable or self._sums is None:
            return math.nan
        n, _, squares = self._sums
        return float((squares / n).mean() ** 0.5)

    def baseline_loss(self, loss_over_mse: float) -> float | None:
        """The loss of predicting nothing but the mean of each column; ``loss_over_mse`` is the loss over the mean of
        squares.
        """
        if self._is_unusable or self.n_batches == 0 or (self._sums is None) == (self._counts is None):
            return None
        if self._counts is not None:
            frequencies = self._counts / self._counts.sum()
            return _entropy(frequencies)
        n, total, squares = self._sums
        mean = total / n
        if self._kind == "binary":
            return float(sum(_entropy(each) for each in (mean, 1 - mean)) / mean.numel())
        return loss_over_mse * float((squares / n - mean**2).clamp(min=0).mean())


def _entropy(frequencies: Any) -> float:
    """The sum of ``-p log p``."""
    positive = frequencies[frequencies > 0]
    return float(-(positive * positive.log()).sum())


def root_mean_square(tensor: Any) -> float:
    """The root mean square of a tensor of fractions; not a number for anything else."""
    if tensor is None or not tensor.is_floating_point() or tensor.is_sparse:
        return math.nan
    return float(tensor.detach().double().square().mean().sqrt())
