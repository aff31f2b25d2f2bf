"""Any full-batch optimizer of ``torch.optim``, replayed on the factor: an epoch costs O(d^2), whatever n is.

An optimizer sees the data only through the cost and its gradient, and both are read off the factor. With S the
parameter columns A and the ridge's rows below them, and z the target t and zeros below it,

    objective = c/2 |S p - z|^2,    gradient = c S'(S p - z),    mean squared error = |A p - t|^2 / weight

What is replayed differs from a loop on the rows by rounding alone, as two such loops do whose rows are in another
order. Near the minimum some optimizers (RMSprop, NAdam, Adafactor at rates that keep them moving) multiply such a
difference from epoch to epoch; what they do then is repeated by no other loop, and not foretold by this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from descentlab.dependencies import require
from descentlab.descent.optimizers import make_optimizer, take_step, unsupported_optimizer_reason
from descentlab.descent.reductions import gradient_scale
from descentlab.engines import SteppingEngine, safe_norm
from descentlab.messages import Message, message
from descentlab.typing import FloatArray

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


class Replay(SteppingEngine):
    """Gradient descent by PyTorch without the rows; see :class:`descentlab.engines.Executor`."""

    name = "replay"

    @staticmethod
    def unsupported_reason(problem: Problem, descent: Descent) -> Message | None:
        reason = unsupported_optimizer_reason(descent.optimizer, supports_closure=True)
        if reason is not None:
            return reason
        if descent.average is not None:
            return message("refuses.average")
        if descent.batch_size is not None and (descent.batch_size < problem.n or descent.replacement):
            return message("refuses.replay_batches", batch_size=descent.batch_size, rows=problem.n)
        if descent.dtype != "float64":
            return message("refuses.replay_dtype", dtype=descent.dtype)
        if descent.device != "cpu":
            return message("refuses.replay_device", device=descent.device)
        return None

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
        # Forgotten gradients add up in an array of their own; else the optimizer sees the gradient itself.
        self.optimizer_gradient = self.gradient if descent.zero_grad else np.zeros_like(self.params)
        # The tensors share memory with the arrays: an update needs no copy, neither in nor out. W and b stay two,
        # as in a loop on the rows, since some optimizers take norms tensor by tensor.
        slices = [slice(d), slice(d, None)] if problem.bias else [slice(d)]
        tensors = [torch.from_numpy(self.params[part]) for part in slices]
        for tensor, part in zip(tensors, slices, strict=True):
            tensor.grad = torch.from_numpy(self.optimizer_gradient[part])
        self.optimizer = make_optimizer(torch, tensors, descent)
        self.param_group = self.optimizer.param_groups[0]
        self.learning_rates, self.epochs = descent.learning_rates, descent.epochs
        self.gradient_is_current = False

    def evaluate(self) -> None:
        """Residuals and gradient where the parameters are now."""
        self.S.dot(self.params, out=self.residual)
        self.residual -= self.z
        self.gradient_matrix.dot(self.residual, out=self.gradient)

    def closure(self) -> float:
        """The objective, its gradient left where the optimizer looks for it: what torch's closures do."""
        if not self.gradient_is_current:
            self.evaluate()
        self.gradient_is_current = False  # `look` had just been at this very point; the optimizer moves on from it
        if self.optimizer_gradient is not self.gradient:
            self.optimizer_gradient += self.gradient
        return 0.5 * self.c * float(self.residual.dot(self.residual))

    def snapshot(self) -> tuple[FloatArray, float, float]:
        self.evaluate()
        self.gradient_is_current = True
        return (
            self.params.copy(),
            float(self.data_residual.dot(self.data_residual)) / self.weight,
            safe_norm(self.gradient),
        )

    def run_epoch(self, lr: float) -> None:
        self.param_group["lr"] = lr
        take_step(self.optimizer, self.closure)
