"""The lesson's loop by hand: NumPy, and the gradient as derived on paper.

J = mean of r^2, r = X W + b - y:    dJ/dW = c X'r,   dJ/db = c sum(r),   c = 2/n
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.reductions import gradient_factor
from descentlab.engines import Stepping, iterate_batches, length, not_sgd
from descentlab.messages import Sentence, sentence
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


class Hand(Stepping):
    """Gradient descent as in a first lesson; see :class:`descentlab.engines.Engine`."""

    name = "hand"

    @staticmethod
    def refuses(problem: Problem, descent: Descent) -> Sentence | None:
        reason = not_sgd(descent)
        if reason is not None:
            return reason
        if descent.device != "cpu":
            return sentence("refuses.device", device=descent.device)
        if not problem.has_rows:
            return sentence("refuses.rows_gone")
        return None

    def start(self, problem: Problem, descent: Descent) -> None:
        rows = problem.descended_rows()
        self.X, self.y = rows.X.astype(descent.dtype, copy=False), rows.y.astype(descent.dtype, copy=False)
        self.weights = None if rows.weights is None else rows.weights.astype(descent.dtype, copy=False)
        self.params = problem.start(descent.start).astype(descent.dtype)
        self.bias, self.ridge, self.descent = problem.bias, problem.ridge, descent
        self.rates, self.epochs = descent.rates, descent.epochs
        self.order = np.random.default_rng(descent.seed) if descent.shuffle else None
        self.buffer: Array | None = None
        self.sum: Array | None = None
        self.fresh: Array | None = None
        self.mean, self.averaged = np.zeros(len(self.params)), 0
        self.broken = False

    def gradient(self, rows: Any) -> tuple[Array, float]:
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
        c = gradient_factor(self.descent.reduction, n)
        gradient = np.empty_like(self.params)
        gradient[:d] = c * (wr @ X) + c * n * self.ridge * W
        gradient[d:] = c * wr.sum()
        return gradient, float(wr @ r) / n

    def step(self, gradient: Array, lr: float) -> None:
        """One step, as ``torch.optim.SGD`` defines it."""
        descent = self.descent
        if not descent.zero_grad:  # what forgetting it does: the old gradients are still in there
            self.sum = gradient if self.sum is None else self.sum + gradient
            gradient = self.sum
        if descent.weight_decay:
            gradient = gradient + descent.weight_decay * self.params
        if descent.momentum:
            if self.buffer is None:
                self.buffer = gradient
            else:
                self.buffer = descent.momentum * self.buffer + (1 - descent.dampening) * gradient
            gradient = gradient + descent.momentum * self.buffer if descent.nesterov else self.buffer
        self.params = self.params - lr * gradient

    def look(self) -> tuple[Array, float, float]:
        self.fresh, cost = self.gradient(slice(None))
        cost = np.inf if self.broken else cost
        return self.params.astype(np.float64), cost, length(self.fresh)

    def update(self, lr: float) -> None:
        if self.descent.batch_size is None and self.fresh is not None:
            self.step(self.fresh, lr)  # `look` has just been at this very point
            self.include()
        else:
            for rows in iterate_batches(len(self.X), self.descent.batch_size, self.order, self.descent.replacement):
                before = self.params
                self.step(self.gradient(rows)[0], lr)
                if not np.isfinite(self.params).all():  # the epoch ends here, with the last numbers there are
                    self.params, self.broken = before, True
                    break
                self.include()
        if self.averaged and self.done + 1 == self.epochs and not self.broken:
            self.params = self.mean.astype(self.descent.dtype)
        self.fresh = None

    def include(self) -> None:
        """Take where the last step led into the mean, once averaging has begun."""
        if self.descent.average is not None and self.done >= self.descent.average:
            self.averaged += 1
            self.mean = self.mean + (self.params - self.mean) / self.averaged
