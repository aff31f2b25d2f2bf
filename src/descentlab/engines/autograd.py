"""Gradient descent by PyTorch: the gradient comes from autograd, the step from ``torch.optim``."""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.dependencies import require
from descentlab.descent.descent import Descent
from descentlab.descent.optimizers import make_optimizer, take_step
from descentlab.descent.reductions import gradient_scale
from descentlab.engines.base import SteppingEngine, safe_norm
from descentlab.engines.batches import iterate_batches
from descentlab.errors import EngineError
from descentlab.messages import message
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray


class Autograd(SteppingEngine):
    """The loop that a PyTorch user writes: any optimizer of ``torch.optim`` without a closure, any dtype and device.

    Each step calls autograd on ``mean(r^2) + ridge |W|^2`` over its rows, in the reduction's scale, and the
    optimizer. W is (d,), b (1,). An epoch costs O(n d).

    >>> import descentlab as dl
    >>> problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    >>> run = dl.descend(problem, engine="autograd", optimizer="Adam", lr=0.5, epochs=1)
    >>> run.params.round(6)  # Adam's first step is lr in the direction of the sign of the gradient
    array([0.5])
    """

    name = "autograd"
    limits = ("rows_gone", "average", "matrices", "sparse", "closure")

    def initialize(self, problem: Problem, descent: Descent) -> None:
        self.torch = torch = require("torch", "torch", "torch", "autograd")
        options: dict[str, Any] = {"dtype": getattr(torch, descent.dtype), "device": _device(torch, descent.device)}
        rows = problem.scaled_rows()
        self.X = torch.tensor(np.ascontiguousarray(rows.X), **options)
        self.y = torch.tensor(np.ascontiguousarray(rows.y), **options)
        self.weights = None if rows.weights is None else torch.tensor(np.ascontiguousarray(rows.weights), **options)
        start = problem.scaled_params(descent.start)
        d = len(problem.features)
        self.W = torch.tensor(start[:d], **options, requires_grad=True)
        self.b = torch.tensor(start[d:], **options, requires_grad=True)  # empty without a bias
        self.parameters = [self.W, self.b] if problem.bias else [self.W]
        self.ridge, self.descent = problem.ridge, descent
        self.learning_rates, self.epochs = descent.learning_rates, descent.epochs
        self.rng = np.random.default_rng(descent.seed) if descent.shuffle else None
        self.optimizer = make_optimizer(torch, self.parameters, descent)
        self.cached_gradients: Any = None
        self.overflowed = False

    def objective(self, rows: Any) -> tuple[Any, Any]:
        """The objective of these rows in the reduction's scale, which autograd differentiates, and their cost."""
        X, y = self.X[rows], self.y[rows]
        residual = X @ self.W + self.b.sum() - y
        squares = residual**2
        if self.weights is None:
            n, cost = float(len(X)), squares.mean()
        else:
            weights = self.weights[rows]
            n = float(weights.sum())
            cost = (weights * squares).sum() / (n or 1.0)
        penalized = cost + self.ridge * (self.W**2).sum() if self.ridge else cost
        # The gradient of the mean has c = 2/n; that of every other reduction is a multiple of it.
        return penalized * (gradient_scale(self.descent.reduction, n) * n / 2 if n else 0.0), cost

    def snapshot(self) -> tuple[FloatArray, float, float]:
        objective, cost = self.objective(slice(None))
        self.cached_gradients = self.torch.autograd.grad(objective, self.parameters)
        norm = safe_norm(self.torch.cat(self.cached_gradients).double().cpu().numpy())
        params = self.torch.cat([p.detach() for p in self.parameters]).double().cpu().numpy()
        return params, np.inf if self.overflowed else float(cost.detach()), norm

    def run_epoch(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        batched = self.descent.batch_size is not None
        for rows in iterate_batches(len(self.X), self.descent.batch_size, self.rng, self.descent.replacement):
            if self.descent.batch_size is None and self.cached_gradients is not None:
                gradients = self.cached_gradients  # `snapshot` was at this point
            else:
                rows = rows if isinstance(rows, slice) else self.torch.from_numpy(rows)
                gradients = self.torch.autograd.grad(self.objective(rows)[0], self.parameters)
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                if self.descent.zero_grad or parameter.grad is None:
                    parameter.grad = gradient
                else:  # as `backward` does if `zero_grad` was not called
                    parameter.grad = parameter.grad + gradient
            before = [parameter.detach().clone() for parameter in self.parameters] if batched else []
            take_step(self.optimizer)
            if batched and not all(self.torch.isfinite(parameter).all() for parameter in self.parameters):
                self.overflowed = True  # the epoch ends with the last finite parameters
                with self.torch.no_grad():
                    for parameter, last in zip(self.parameters, before, strict=True):
                        parameter.copy_(last)
                break
        self.cached_gradients = None


def _device(torch: Any, name: str) -> Any:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception as cause:  # each backend raises its own exception for a missing device
        reason = message("refuses.no_device", device=name, cause=str(cause).splitlines()[0][:120])
        raise EngineError("engine_refuses", engine="autograd", reason=reason) from cause
    return device
