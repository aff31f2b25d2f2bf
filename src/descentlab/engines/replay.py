"""Any full-batch optimizer of ``torch.optim`` on the factor: an epoch costs O(d^2), whatever the number of rows."""

from __future__ import annotations

import numpy as np

from descentlab.dependencies import require
from descentlab.descent.descent import Descent
from descentlab.descent.optimizers import make_optimizer, take_step
from descentlab.descent.reductions import gradient_scale
from descentlab.engines.base import SteppingEngine, safe_norm
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray


class Replay(SteppingEngine):
    """Any optimizer of ``torch.optim``, with all rows in each step, on the factor instead of the rows.

    An optimizer sees the data only through the cost and its gradient, and both follow from the factor. With S the
    parameter columns A and the ridge's rows below them, and z the target t and zeros below it,

        objective = c/2 |S p - z|^2,    gradient = c S'(S p - z),    mean squared error = |A p - t|^2 / weight

    The result differs from that of a loop on the rows by rounding alone, as do two such loops with the rows in
    another order. Near the minimum some optimizers (RMSprop, NAdam, Adafactor at rates that keep them moving)
    multiply such a difference from epoch to epoch; no two loops agree on what they do then.

    >>> import numpy as np, descentlab as dl
    >>> problem = dl.Problem([[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0])
    >>> replay, autograd = (
    ...     dl.descend(problem, engine=name, optimizer="Adam", lr=0.1, epochs=50) for name in ("replay", "autograd")
    ... )
    >>> np.testing.assert_allclose(replay.params, autograd.params, rtol=1e-12)
    """

    name = "replay"
    limits = ("matrices", "sparse", "average", "replay_batches", "replay_dtype", "replay_device")

    def initialize(self, problem: Problem, descent: Descent) -> None:
        torch = require("torch", "torch", "torch", "replay")
        quadratic, d = problem.quadratic, len(problem.features)
        self.c, self.weight = gradient_scale(descent.reduction, problem.weight), problem.weight
        self.S, self.z = np.ascontiguousarray(quadratic.augmented), quadratic.augmented_target
        self.gradient_matrix = np.ascontiguousarray(self.c * self.S.T)
        self.residual = np.zeros(len(self.z))
        self.data_residual = self.residual[: len(quadratic.t)]  # without the ridge's rows
        self.params = problem.scaled_params(descent.start)
        self.gradient = np.zeros_like(self.params)
        # Gradients that are never cleared add up in a second array; else the optimizer sees the gradient itself.
        self.optimizer_gradient = self.gradient if descent.zero_grad else np.zeros_like(self.params)
        # The tensors share memory with the arrays, so an update copies nothing. W and b are two tensors, as in a
        # loop on the rows, since some optimizers take norms tensor by tensor.
        slices = [slice(d), slice(d, None)] if problem.bias else [slice(d)]
        tensors = [torch.from_numpy(self.params[part]) for part in slices]
        for tensor, part in zip(tensors, slices, strict=True):
            tensor.grad = torch.from_numpy(self.optimizer_gradient[part])
        self.optimizer = make_optimizer(torch, tensors, descent)
        self.param_group = self.optimizer.param_groups[0]
        self.learning_rates, self.epochs = descent.learning_rates, descent.epochs
        self.gradient_is_current = False

    def evaluate(self) -> None:
        """Compute residuals and gradient at the current parameters."""
        self.S.dot(self.params, out=self.residual)
        self.residual -= self.z
        self.gradient_matrix.dot(self.residual, out=self.gradient)

    def closure(self) -> float:
        """The objective; its gradient is left where the optimizer reads it, as a closure of torch does."""
        if not self.gradient_is_current:
            self.evaluate()
        self.gradient_is_current = False  # `snapshot` was at this point; the optimizer leaves it
        if self.optimizer_gradient is not self.gradient:
            self.optimizer_gradient += self.gradient
        return 0.5 * self.c * float(self.residual.dot(self.residual))

    def snapshot(self) -> tuple[FloatArray, float, float]:
        self.evaluate()
        self.gradient_is_current = True
        cost = float(self.data_residual.dot(self.data_residual)) / self.weight
        return self.params.copy(), cost, safe_norm(self.gradient)

    def run_epoch(self, lr: float) -> None:
        self.param_group["lr"] = lr
        take_step(self.optimizer, self.closure)
