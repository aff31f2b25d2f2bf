"""Recognizes a model that is one linear layer under a squared error, for which theory is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.reductions import REDUCTIONS
from descentlab.errors import DescentlabError
from descentlab.typing import FloatArray
from descentlab.watching.curvature.stability_limits import torch_optimizer_name

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis

MAX_LINEAR_MODEL_VALUES = 20_000_000  # of X; beyond it, copying would cost more than a watch may
MATCH_RTOL = 1e-4  # how near to X W + b, and to a mean of squares, float32 has to come


@dataclass(frozen=True, eq=False)
class LinearModelInfo:
    """The doctor's input: X (n, d), y (n,), whether there is a bias, the reduction, and the first parameters."""

    X: FloatArray
    y: FloatArray
    bias: bool
    reduction: str
    start: FloatArray

    def diagnose(self, optimizer: Any, steps: int) -> Diagnosis | None:
        """The diagnosis of this loop; None for optimizers and settings that theory does not cover."""
        from descentlab.doctor.diagnose import diagnose
        from descentlab.doctor.diagnosis import Diagnosis
        from descentlab.problem.problem import Problem

        group = optimizer.param_groups[0]
        if torch_optimizer_name(optimizer) != "SGD" or len(optimizer.param_groups) != 1 or group["maximize"]:
            return None
        settings = {name: group[name] for name in ("momentum", "dampening", "weight_decay", "nesterov")}
        lr = float(group.get("initial_lr", group["lr"]))
        try:
            problem = Problem(self.X, self.y, bias=self.bias)
            diagnosis = diagnose(
                problem, lr=lr, reduction=self.reduction, epochs=max(steps, 1), start=self.start.tolist(), **settings
            )
        except DescentlabError:  # rows that cannot be fitted, a rate of 0: other findings say so
            return None
        return diagnosis if isinstance(diagnosis, Diagnosis) else None


def recognize_linear_model(model: Any, X: Any, output: Any, target: Any, loss: float) -> LinearModelInfo | None:
    """The linear hypothesis that a model is, checked by its numbers; None for any other model.

    Args:
        model: any module; its only parameters have to be those of one ``nn.Linear`` with one output.
        X: the batch it was called with.
        output, target: the output and the target that it was compared with, in the same shape.
        loss: what ``backward`` was called on; it has to be one of the four conventions of squared error.
    """
    import torch

    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    if len(layers) != 1 or layers[0].out_features != 1 or X.ndim != 2 or not X.is_floating_point():
        return None
    layer = layers[0]
    if {id(each) for each in model.parameters()} - {id(layer.weight), id(layer.bias)}:
        return None
    if not layer.weight.requires_grad or X.shape[1] != layer.in_features or X.numel() > MAX_LINEAR_MODEL_VALUES:
        return None
    W, b = (None if each is None else _to_float64(each).reshape(-1) for each in (layer.weight, layer.bias))
    if b is not None and not layer.bias.requires_grad:
        return None
    X_values, output_values, y = _to_float64(X), _to_float64(output).reshape(-1), _to_float64(target).reshape(-1)
    assert W is not None
    predicted = X_values @ W + (0.0 if b is None else b[0])
    if not len(output_values) == len(y) == len(X_values):
        return None
    if not np.allclose(predicted, output_values, MATCH_RTOL, MATCH_RTOL):
        return None
    squares = (output_values - y) ** 2
    losses = {"mean": squares.mean(), "sum": squares.sum()}
    losses |= {"half_mean": losses["mean"] / 2, "half_sum": losses["sum"] / 2}
    matching = (name for name in REDUCTIONS if name in losses and abs(losses[name] - loss) <= MATCH_RTOL * abs(loss))
    reduction, start = next(matching, None), W if b is None else np.append(W, b)
    return None if reduction is None else LinearModelInfo(X_values, y, b is not None, reduction, start)


def _to_float64(tensor: Any) -> FloatArray:
    values: FloatArray = tensor.detach().double().cpu().numpy().copy()
    return values
