"""Whether a loop clears its gradients, in which mode its model trains, and whether its batch is always the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_COMPARED_GRADIENT_VALUES = 16  # numbers of a gradient that are compared
DETAILED_BATCHES = 64  # batches that are compared by value, and after them every sixteenth


@dataclass
class ZeroGradCheck:
    """Whether the gradient that a step used is still there when the next backward pass adds to it.

    A gradient that is cleared at any backward pass between two steps counts as cleared, so that gradients which are
    summed over several passes on purpose are not reported.

    Attributes:
        checked_steps, stale_steps: checked steps, and those whose gradient still contained that of the step before.
        arrived_steps, cleared_too_early_steps: steps for which a gradient was seen to arrive, and those for which it
            was cleared.
        counted_passes, discarded_passes: passes of steps that had several, and those whose gradient was cleared before
            the next of them.
        discarding_steps: steps of three passes or more, before each of which gradients were cleared.
        has_new_gradient: whether a gradient that is not zero has arrived since the last step.
    """

    checked_steps: int = 0
    stale_steps: int = 0
    cleared_too_early_steps: int = 0
    arrived_steps: int = 0
    counted_passes: int = 0
    discarded_passes: int = 0
    discarding_steps: int = 0
    has_new_gradient: bool = False
    _clearings: list[bool] = field(default_factory=list)
    _compared_param: Any = None
    _last_used_gradient: Any = None
    _was_cleared: bool = False
    _is_unchanged: bool = False

    @property
    def awaits_backward(self) -> bool:
        """Whether the last step has been checked, so that the next backward pass shows whether it was cleared."""
        return self._last_used_gradient is not None

    def before_backward(self) -> None:
        """Just before a backward pass."""
        if self._last_used_gradient is None:
            return
        gradient = self._compared_param.grad
        if gradient is None:
            self._was_cleared = True
            return
        current = gradient.detach().reshape(-1)[:MAX_COMPARED_GRADIENT_VALUES]
        if current.equal(self._last_used_gradient):
            self._is_unchanged = True
        elif not current.any():
            self._was_cleared = True

    def count_pass(self, is_cleared: bool) -> None:
        """A pass that reaches the model is about to begin, and finds its gradients cleared or not."""
        self._clearings.append(is_cleared)

    def count_step(self) -> None:
        """Count the passes of a step: those after which gradients were cleared before the next one."""
        if len(self._clearings) > 1:
            self.counted_passes += len(self._clearings)
            self.discarded_passes += sum(self._clearings[1:])
            self.discarding_steps += len(self._clearings) > 2 and all(self._clearings)
        self._clearings.clear()

    def after_step(self, params_with_gradient: list[Any]) -> None:
        """Just after a checked step; ``params_with_gradient`` are the parameters that have a gradient."""
        if self._last_used_gradient is not None and (self._was_cleared or self._is_unchanged):
            self.checked_steps += 1
            self.stale_steps += self._is_unchanged and not self._was_cleared
        self._was_cleared = self._is_unchanged = False
        self._last_used_gradient = None
        if params_with_gradient:
            self._compared_param = params_with_gradient[-1]
            used_gradient = self._compared_param.grad.detach().reshape(-1)[:MAX_COMPARED_GRADIENT_VALUES].clone()
            self._last_used_gradient = used_gradient if used_gradient.any() else None
        self.arrived_steps += self.has_new_gradient
        if self.has_new_gradient and not any(bool(p.grad.any()) for p in params_with_gradient):
            self.cleared_too_early_steps += 1
        self.has_new_gradient = False


@dataclass
class TrainEvalCount:
    """The mode of the model at each backward pass.

    Attributes:
        train_passes, eval_passes: backward passes in either mode.
        consecutive_eval_passes: the last ones in evaluation mode, in a row.
    """

    train_passes: int = 0
    eval_passes: int = 0
    consecutive_eval_passes: int = 0

    def record_pass(self, training: bool) -> None:
        """At a backward pass."""
        if training:
            self.train_passes, self.consecutive_eval_passes = self.train_passes + 1, 0
        else:
            self.eval_passes, self.consecutive_eval_passes = self.eval_passes + 1, self.consecutive_eval_passes + 1


@dataclass
class SameBatchCheck:
    """Whether every backward pass was on the batch that the first one was on.

    Attributes:
        always_same: so far.
        n_rows: of the first batch.
    """

    always_same: bool = True
    n_rows: int = 0
    _first_batch: Any = None
    _first_version: int = 0
    _first_copy: Any = field(default=None)

    def compare(self, batch: Any, passes: int) -> None:
        """At a backward pass; the first batch itself is kept, so that no other tensor can take its place in memory."""
        if not self.always_same or batch is None:
            return
        if self._first_batch is None:
            self._first_batch, self._first_version = batch, batch._version
            self._first_copy = batch.detach().clone()
            self.n_rows = len(batch) if batch.ndim else 1
        elif batch is not self._first_batch or batch._version != self._first_version:
            same_layout = batch.shape == self._first_copy.shape and batch.dtype == self._first_copy.dtype
            if not same_layout or (
                (passes < DETAILED_BATCHES or passes % 16 == 0) and not batch.equal(self._first_copy)
            ):
                self.always_same = False
                self._first_batch = self._first_copy = None
