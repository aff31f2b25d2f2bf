"""The lesson's loop by hand: NumPy, and the gradient as derived on paper.

J = mean of r^2, r = X W + b - y:    dJ/dW = c X'r,   dJ/db = c sum(r),   c = 2/n
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.reductions import gradient_scale
from descentlab.engines import SteppingEngine, iterate_batches, non_sgd_reason, safe_norm
from descentlab.messages import Message, message
from descentlab.typing import FloatArray

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


class Hand(SteppingEngine):
    """Gradient descent as in a first lesson; see :class:`descentlab.engines.Executor`."""

    name = "hand"

    @staticmethod
    def unsupported_reason(problem: Problem, descent: Descent) -> Message | None:
        reason = non_sgd_reason(descent)
        if reason is not None:
            return reason
        if descent.device != "cpu":
            return message("refuses.device", device=descent.device)
        if not problem.has_rows:
            return message("refuses.rows_gone")
        return None

    def initialize(self, problem: Problem, descent: Descent) -> None:
        rows = problem.scaled_rows()
        self.X, self.y = rows.X.astype(descent.dtype, copy=False), rows.y.astype(descent.dtype, copy=False)
        self.weights = None if rows.weights is None else rows.weights.astype(descent.dtype, copy=False)
        self.params = problem.scaled_params(descent.start).astype(descent.dtype)
        self.bias, self.ridge, self.descent = problem.bias, problem.ridge, descent
        self.learning_rates, self.epochs = descent.learning_rates, descent.epochs
        self.rng = np.random.default_rng(descent.seed) if descent.shuffle else None
        self.buffer: FloatArray | None = None
        self.accumulated_gradient: FloatArray | None = None
        self.cached_gradient: FloatArray | None = None
        self.mean_params, self.averaged_steps = np.zeros(len(self.params)), 0
        self.overflowed = False

    def gradient(self, rows: Any) -> tuple[FloatArray, float]:
        """The gradient over these rows, and their mean squared error."""
        X, y = self.X[rows], self.y[rows]
        weights = None if self.weights is None else self.weights[rows]
        d = X.shape[1]
        W = self.params[:d]
        r = X @ W - y
        if self.bias:
            r += self.params[d]
        wr = r if weights is None else weights * r
        n = len(X) if weights is None else float(weights.sum())
        if n == 0:  # every row of this batch has weight zero: it has nothing to say
            return np.zeros_like(self.params), 0.0
        c = gradient_scale(self.descent.reduction, n)
        gradient = np.empty_like(self.params)
        gradient[:d] = c * (wr @ X) + c * n * self.ridge * W
        gradient[d:] = c * wr.sum()
        return gradient, float(wr @ r) / n

    def step(self, gradient: FloatArray, lr: float) -> None:
        """One step, as ``torch.optim.SGD`` defines it."""
        descent = self.descent
        if not descent.zero_grad:  # what forgetting it does: the old gradients are still in there
            self.accumulated_gradient = (
                gradient if self.accumulated_gradient is None else self.accumulated_gradient + gradient
            )
            gradient = self.accumulated_gradient
        if descent.weight_decay:
            gradient = gradient + descent.weight_decay * self.params
        if descent.momentum:
            if self.buffer is None:
                self.buffer = gradient
            else:
                self.buffer = descent.momentum * self.buffer + (1 - descent.dampening) * gradient
            gradient = gradient + descent.momentum * self.buffer if descent.nesterov else self.buffer
        self.params = self.params - lr * gradient

    def snapshot(self) -> tuple[FloatArray, float, float]:
        self.cached_gradient, cost = self.gradient(slice(None))
        cost = np.inf if self.overflowed else cost
        return self.params.astype(np.float64), cost, safe_norm(self.cached_gradient)

    def run_epoch(self, lr: float) -> None:
        if self.descent.batch_size is None and self.cached_gradient is not None:
            self.step(self.cached_gradient, lr)  # `look` has just been at this very point
            self.update_average()
        else:
            for rows in iterate_batches(len(self.X), self.descent.batch_size, self.rng, self.descent.replacement):
                before = self.params
                self.step(self.gradient(rows)[0], lr)
                if not np.isfinite(self.params).all():  # the epoch ends here, with the last numbers there are
                    self.params, self.overflowed = before, True
                    break
                self.update_average()
        if self.averaged_steps and self.epochs_done + 1 == self.epochs and not self.overflowed:
            self.params = self.mean_params.astype(self.descent.dtype)
        self.cached_gradient = None

    def update_average(self) -> None:
        """Take where the last step led into the mean, once averaging has begun."""
        if self.descent.average is not None and self.epochs_done >= self.descent.average:
            self.averaged_steps += 1
            self.mean_params = self.mean_params + (self.params - self.mean_params) / self.averaged_steps
