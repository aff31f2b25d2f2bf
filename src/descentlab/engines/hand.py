"""Gradient descent written out in NumPy, with the gradient as derived on paper."""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.engines.base import SteppingEngine, safe_norm
from descentlab.engines.batches import iterate_batches
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray


class Hand(SteppingEngine):
    """Every step of ``torch.optim.SGD`` in NumPy, over all rows or over batches.

    With r = X W + b - y of a step's rows, n their number (or weight) and c from the reduction (2/n for ``mean``),

        dJ/dW = c (X'r + n ridge W),        dJ/db = c sum(r)

    X is (n, d), y (n,), W (d,); features are centered and scaled as the problem asks. An epoch costs O(n d).

    >>> import descentlab as dl
    >>> problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    >>> run = dl.descend(problem, engine="hand", lr=0.01, epochs=1)
    >>> run.params.round(6), round(0.01 * 2 / 3 * (1 * 1 + 2 * 2 + 3 * 3), 6)
    (array([0.093333]), 0.093333)
    """

    name = "hand"
    limits = ("optimizer", "options", "device", "rows_gone")

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
        if n == 0:  # every row of this batch has weight zero
            return np.zeros_like(self.params), 0.0
        c = gradient_scale(self.descent.reduction, n)
        gradient = np.empty_like(self.params)
        gradient[:d] = c * (wr @ X) + c * n * self.ridge * W
        gradient[d:] = c * wr.sum()
        return gradient, float(wr @ r) / n

    def step(self, gradient: FloatArray, lr: float) -> None:
        """One step of ``torch.optim.SGD``."""
        descent = self.descent
        if not descent.zero_grad:  # forgotten: the new gradient is added to the old ones
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
            self.step(self.cached_gradient, lr)  # `snapshot` was at this point
            self.update_average()
        else:
            for rows in iterate_batches(len(self.X), self.descent.batch_size, self.rng, self.descent.replacement):
                before = self.params
                self.step(self.gradient(rows)[0], lr)
                if not np.isfinite(self.params).all():  # the epoch ends with the last finite parameters
                    self.params, self.overflowed = before, True
                    break
                self.update_average()
        if self.averaged_steps and self.epochs_done + 1 == self.epochs and not self.overflowed:
            self.params = self.mean_params.astype(self.descent.dtype)
        self.cached_gradient = None

    def update_average(self) -> None:
        """Add the parameters after a step to their mean, once averaging has begun."""
        if self.descent.average is not None and self.epochs_done >= self.descent.average:
            self.averaged_steps += 1
            self.mean_params = self.mean_params + (self.params - self.mean_params) / self.averaged_steps
