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

from descentlab.descent.optimizers import make_optimizer, take_step, unfit
from descentlab.descent.reductions import gradient_factor
from descentlab.engines import Stepping, length
from descentlab.errors import require
from descentlab.messages import Sentence, sentence
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


class Replay(Stepping):
    """Gradient descent by PyTorch without the rows; see :class:`descentlab.engines.Engine`."""

    name = "replay"

    @staticmethod
    def refuses(problem: Problem, descent: Descent) -> Sentence | None:
        reason = unfit(descent.optimizer, closure=True)
        if reason is not None:
            return reason
        if descent.average is not None:
            return sentence("refuses.average")
        if descent.batch_size is not None and (descent.batch_size < problem.n or descent.replacement):
            return sentence("refuses.replay_batches", batch_size=descent.batch_size, rows=problem.n)
        if descent.dtype != "float64":
            return sentence("refuses.replay_dtype", dtype=descent.dtype)
        if descent.device != "cpu":
            return sentence("refuses.replay_device", device=descent.device)
        return None

    def start(self, problem: Problem, descent: Descent) -> None:
        torch = require("torch", "torch", "torch", "replay")
        quadratic, d = problem.quadratic, len(problem.features)
        self.c, self.weight = gradient_factor(descent.reduction, problem.weight), problem.weight
        self.S, self.z = np.ascontiguousarray(quadratic.stacked), quadratic.stacked_target
        self.pull = np.ascontiguousarray(self.c * self.S.T)
        self.residual = np.zeros(len(self.z))
        self.misfit = self.residual[: len(quadratic.t)]  # without the ridge's rows
        self.params = problem.start(descent.start)
        self.gradient = np.zeros_like(self.params)
        # Forgotten gradients add up in an array of their own; else the optimizer sees the gradient itself.
        self.seen = self.gradient if descent.zero_grad else np.zeros_like(self.params)
        # The tensors share memory with the arrays: an update needs no copy, neither in nor out. W and b stay two,
        # as in a loop on the rows, since some optimizers take norms tensor by tensor.
        parts = [slice(d), slice(d, None)] if problem.bias else [slice(d)]
        tensors = [torch.from_numpy(self.params[part]) for part in parts]
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.grad = torch.from_numpy(self.seen[part])
        self.optimizer = make_optimizer(torch, tensors, descent)
        self.settings = self.optimizer.param_groups[0]
        self.rates, self.epochs = descent.rates, descent.epochs
        self.fresh = False

    def evaluate(self) -> None:
        """Residuals and gradient where the parameters are now."""
        self.S.dot(self.params, out=self.residual)
        self.residual -= self.z
        self.pull.dot(self.residual, out=self.gradient)

    def closure(self) -> float:
        """The objective, its gradient left where the optimizer looks for it: what torch's closures do."""
        if not self.fresh:
            self.evaluate()
        self.fresh = False  # `look` had just been at this very point; the optimizer moves on from it
        if self.seen is not self.gradient:
            self.seen += self.gradient
        return 0.5 * self.c * float(self.residual.dot(self.residual))

    def look(self) -> tuple[Array, float, float]:
        self.evaluate()
        self.fresh = True
        return self.params.copy(), float(self.misfit.dot(self.misfit)) / self.weight, length(self.gradient)

    def update(self, lr: float) -> None:
        self.settings["lr"] = lr
        take_step(self.optimizer, self.closure)
