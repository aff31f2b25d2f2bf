"""The loss of a model that has learned nothing: one that predicts the targets' mean, or their frequencies.

For squared errors it is the targets' variance, for classes the entropy of their frequencies; in the loss's own scale.
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

    def add(self, target: Any, are_classes: bool) -> None:
        """Take one batch of targets: (n,) or (n, 1) numbers, or (n,) classes."""
        import torch

        if self._is_unusable or not (target.ndim == 1 if are_classes else target.numel() == len(target)):
            self._is_unusable = True
            return
        flat = target.detach().reshape(-1)
        if are_classes:
            counts = torch.bincount(flat.clamp(min=0)).double()
            if self._counts is not None and len(self._counts) != len(counts):
                n_classes = max(len(self._counts), len(counts))
                counts, self._counts = (
                    torch.nn.functional.pad(c, (0, n_classes - len(c))) for c in (counts, self._counts)
                )
            self._counts = counts if self._counts is None else self._counts + counts
        else:
            flat = flat.double()
            sums = torch.stack([flat.new_tensor(len(flat)), flat.sum(), (flat * flat).sum()])
            self._sums = sums if self._sums is None else self._sums + sums
        self.n_batches += 1

    def rms(self) -> float:
        """The root mean square of targets that are numbers; not a number for classes."""
        if self._is_unusable or self._sums is None:
            return math.nan
        n, _, squares = (float(each) for each in self._sums)
        return float((squares / n) ** 0.5)

    def baseline_loss(self, loss_over_mse: float) -> float | None:
        """The loss of predicting nothing but the mean; ``loss_over_mse`` is the loss over the mean of squares."""
        if self._is_unusable or self.n_batches == 0 or (self._sums is None) == (self._counts is None):
            return None
        if self._counts is not None:
            frequencies = self._counts / self._counts.sum()
            return float(-(frequencies[frequencies > 0] * frequencies[frequencies > 0].log()).sum())
        n, total, squares = (float(each) for each in self._sums)
        return loss_over_mse * max(squares / n - (total / n) ** 2, 0.0)


def root_mean_square(tensor: Any) -> float:
    """The root mean square of a tensor of fractions; not a number for anything else."""
    if tensor is None or not tensor.is_floating_point() or tensor.is_sparse:
        return math.nan
    return float(tensor.detach().double().square().mean().sqrt())
