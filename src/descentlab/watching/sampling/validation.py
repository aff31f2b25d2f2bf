"""The loss of rows that are not trained on, at sampled steps and at the end."""

from __future__ import annotations

from typing import Any

from descentlab.watching.curvature.fixed_batch import FixedBatchLoss
from descentlab.watching.state_guard import preserve_state


class ValidationLosses:
    """Losses of a fixed batch in evaluation mode.

    Args:
        model: what they are losses of.
        fixed_batch: the batch; None measures nothing.

    Attributes:
        losses: pairs of the updates made so far and the loss.
    """

    def __init__(self, model: Any, fixed_batch: FixedBatchLoss | None) -> None:
        self._model, self._fixed_batch = model, fixed_batch
        self.losses: list[tuple[int, float]] = []

    def measure(self, step: int) -> None:
        """Add the loss after this many updates; nothing if it cannot be evaluated."""
        if self._fixed_batch is None or (self.losses and self.losses[-1][0] == step):
            return
        try:
            with preserve_state(self._model):
                self.losses.append((step, self._fixed_batch.loss_in_eval_mode()))
        except Exception:  # a model that cannot be called on this batch: measuring curvature on it says why
            self._fixed_batch = None
