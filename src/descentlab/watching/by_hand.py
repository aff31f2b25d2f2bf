"""Loops without an optimizer: steps, and their rate, are read from what the parameters did between two passes.

W -= lr * W.grad        lr = -<change, gradient> / <gradient, gradient>
"""

from __future__ import annotations

from typing import Any

import torch

PROPORTIONAL_RTOL = 1e-3  # of the change: beyond it the change is not along the gradient
MAX_ROUNDING_SHARE = 0.05  # of the change: beyond it no rate is read from it


class UpdatesByHand(torch.optim.SGD):  # type: ignore[misc]
    """Stands in for the optimizer of a loop that has none; it never moves a parameter.

    After each backward pass parameters and gradients are copied. If parameters differ at the next pass, a step was
    made, and :meth:`step` repeats it for the hooks: it begins at the old values and ends at the new ones. The rate is
    missing from the group while it is unknown, as where the change is not along the gradient.

    >>> W = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> updates = UpdatesByHand([W])
    >>> W.grad = torch.tensor([10.0, 0.0])
    >>> updates.keep()
    >>> W.data -= 0.1 * W.grad
    >>> updates.catch_up()
    True
    >>> f"{updates.param_groups[0]['lr']:.3f}"
    '0.100'
    """

    def __init__(self, parameters: list[Any]) -> None:
        super().__init__(parameters, lr=1.0)
        self.parameters = parameters
        self.param_groups[0].pop("lr")
        self._before: list[tuple[Any, Any]] = []
        self._after: list[Any] = []
        self._error = 0.0  # of the rate, as a share of it

    def keep(self) -> None:
        """Copy parameters and gradients, after a backward pass."""
        self._before = [
            (each.detach().clone(), None if each.grad is None else each.grad.clone()) for each in self.parameters
        ]

    def catch_up(self) -> bool:
        """Repeat the step since the last pass for the hooks, if there was one: whether there was."""
        pairs = list(zip(self.parameters, self._before, strict=False))
        if not pairs or not (self._has_moved(pairs) or self._rounds_to_nothing(pairs)):
            return False
        self._after = [each.detach().clone() for each in self.parameters]
        self._read_rate()
        gradients = [each.grad for each in self.parameters]
        try:
            for parameter, (before, gradient) in pairs:
                parameter.data.copy_(before)  # counts no version, so that a graph that keeps it stays valid
                parameter.grad = gradient
            self.step()
        finally:
            self.step_back_to_now()
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient
            self._before = []
        return True

    @staticmethod
    def _has_moved(pairs: list[tuple[Any, tuple[Any, Any]]]) -> bool:
        return not all(parameter.detach().equal(before) for parameter, (before, _) in pairs)

    def _rounds_to_nothing(self, pairs: list[tuple[Any, tuple[Any, Any]]]) -> bool:
        """Whether a step at the rate so far leaves every parameter as it is, as at the end of a descent."""
        lr = self.param_groups[0].get("lr")
        return lr is not None and all(g is None or (before - lr * g).equal(before) for _, (before, g) in pairs)

    def step(self, closure: Any = None) -> None:
        """Put the parameters where they are now."""
        self.step_back_to_now()

    def step_back_to_now(self) -> None:
        """Undo the return to the old values."""
        for parameter, after in zip(self.parameters, self._after, strict=True):
            parameter.data.copy_(after)

    def _read_rate(self) -> None:
        """Read the rate from the last change; one that is mostly rounding leaves the rate as it is."""
        group, rows = self.param_groups[0], []
        for after, (before, gradient) in zip(self._after, self._before, strict=True):
            gradient = torch.zeros_like(before) if gradient is None else gradient.to_dense()
            rounding = torch.finfo(before.dtype).eps * before.double().norm()
            change = after.double() - before.double()
            g = gradient.double()
            rows.append([(change * g).sum(), (g * g).sum(), (change * change).sum(), rounding * rounding])
        along, gradient_square, change_square, rounding_square = (float(sum(each)) for each in zip(*rows, strict=True))
        if not (gradient_square > 0 and change_square > rounding_square / MAX_ROUNDING_SHARE**2):
            return
        lr, error = -along / gradient_square, (rounding_square / change_square) ** 0.5
        off_square = change_square - lr * lr * gradient_square
        if off_square > max(PROPORTIONAL_RTOL, 2 * error) ** 2 * change_square:
            group.pop("lr", None)
        elif "lr" not in group or error < self._error or abs(lr / group["lr"] - 1) > 2 * (error + self._error):
            group["lr"], self._error = lr, error  # closer than before, or another rate
