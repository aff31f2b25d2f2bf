"""Whether something other than the optimizer writes into a parameter between its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_COMPARED_ENTRIES = 32  # of the largest parameter, evenly spaced
LEAST_CHANGE = 0.5  # of what the step before has moved
DETAILED_OVERWRITE_STEPS = 64  # after them only a parameter whose version has changed is compared


@dataclass
class OverwriteCheck:
    """Compares the largest parameter after each step with its values at the next backward pass.

    Attributes:
        n_compared: steps after which it was compared.
        n_changed: those after which it had changed by more than half of what the step had moved it.
        n_undone: those of them that took back at least half of the way from the start.
        first_step: the updates made before the first of them.
    """

    parameter: Any = None
    n_compared: int = 0
    n_changed: int = 0
    n_undone: int = 0
    first_step: int | None = None
    _start: Any = None
    _before: Any = None
    _after: Any = None
    _version: int = -1
    _view: Any = None
    _pointer: int = -1

    def begin(self, parameters: list[Any]) -> None:
        """Choose the largest parameter."""
        dense = [each for each in parameters if each.is_floating_point() and each.numel()]
        self.parameter = max(dense, key=lambda each: each.numel(), default=None)

    def before_backward(self, step: int) -> None:
        """Compare, at the first backward pass after a step."""
        if self.parameter is None:
            return
        if self._start is None:
            self._start = self._before = self._entries()
        if self._after is None:
            return
        if step < DETAILED_OVERWRITE_STEPS or self.parameter._version != self._version:
            self.n_compared += 1
            self._compare(step)
        self._before, self._after = self._after, None

    def after_step(self) -> None:
        """Keep the values that the step has made."""
        if self.parameter is not None and self._start is not None:
            self._after, self._version = self._entries(), self.parameter._version

    def _entries(self) -> Any:
        if self._view is None or self.parameter.data_ptr() != self._pointer:
            flat = self.parameter.detach().reshape(-1)
            self._view = flat[:: flat.numel() // MAX_COMPARED_ENTRIES | 1][:MAX_COMPARED_ENTRIES]  # across the columns
            self._pointer = self.parameter.data_ptr() if self.parameter.is_contiguous() else -1
        return self._view.clone()

    def _compare(self, step: int) -> None:
        current = self._entries()
        if current.equal(self._after):
            return
        change, update = (current - self._after).norm(), (self._after - self._before).norm()
        if not bool(change > LEAST_CHANGE * update):
            return
        self.n_changed += 1
        self.first_step = step if self.first_step is None else self.first_step
        self.n_undone += bool((current - self._start).norm() < 0.5 * (self._after - self._start).norm())
        self._after = current
