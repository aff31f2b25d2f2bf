"""A model that is one linear hypothesis under a squared error: then theory is exact, and the doctor is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.reductions import CONVENTIONS
from descentlab.errors import DescentlabError
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis

MOST_NUMBERS = 20_000_000  # of X; beyond it, copying would cost more than a watch may
AGREE = 1e-4  # how near to X W + b, and to a mean of squares, float32 has to come


@dataclass(frozen=True, eq=False)
class Linear:
    """What the doctor needs: X (n, d), y (n,), whether there is a bias, the reduction, and where the loop began."""

    X: Array
    y: Array
    bias: bool
    reduction: str
    start: Array

    def diagnose(self, optimizer: Any, steps: int) -> Diagnosis | None:
        """What theory says of this loop; None for optimizers and settings that it does not cover."""
        from descentlab.doctor.diagnose import diagnose
        from descentlab.doctor.diagnosis import Diagnosis
        from descentlab.problem.problem import Problem

        group = optimizer.param_groups[0]
        if type(optimizer).__name__ != "SGD" or len(optimizer.param_groups) != 1 or group["maximize"]:
            return None
        names = ("momentum", "dampening", "weight_decay", "nesterov")
        settings = {name: group[name] for name in names}
        lr = float(group.get("initial_lr", group["lr"]))
        try:
            problem = Problem(self.X, self.y, bias=self.bias)
            found = diagnose(
                problem, lr=lr, reduction=self.reduction, epochs=max(steps, 1), start=self.start.tolist(), **settings
            )
        except DescentlabError:  # rows that cannot be fitted, a rate of 0: other verdicts say so
            return None
        return found if isinstance(found, Diagnosis) else None


def recognise(model: Any, X: Any, output: Any, target: Any, loss: float) -> Linear | None:
    """The linear hypothesis that a model is, checked by its numbers; None for any other model.

    Args:
        model: any module; its only parameters have to be those of one ``nn.Linear`` with one output.
        X: the batch it was called with.
        output, target: what came out, and what that was compared with, in one shape.
        loss: what ``backward`` was called on; it has to be one of the four conventions of squared error.
    """
    import torch

    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    if len(layers) != 1 or layers[0].out_features != 1 or X.ndim != 2 or not X.is_floating_point():
        return None
    layer = layers[0]
    others = {id(each) for each in model.parameters()} - {id(layer.weight), id(layer.bias)}
    if others or not layer.weight.requires_grad or X.shape[1] != layer.in_features or X.numel() > MOST_NUMBERS:
        return None
    W, b = (None if each is None else _numbers(each).reshape(-1) for each in (layer.weight, layer.bias))
    if b is not None and not layer.bias.requires_grad:
        return None
    rows, seen, y = _numbers(X), _numbers(output).reshape(-1), _numbers(target).reshape(-1)
    assert W is not None
    predicted = rows @ W + (0.0 if b is None else b[0])
    if len(seen) != len(rows) or len(y) != len(rows) or not np.allclose(predicted, seen, AGREE, AGREE):
        return None
    squares = (seen - y) ** 2
    sums = {
        "mean": squares.mean(),
        "sum": squares.sum(),
        "half_mean": squares.mean() / 2,
        "half_sum": squares.sum() / 2,
    }
    fitting = [name for name in CONVENTIONS if name in sums and abs(sums[name] - loss) <= AGREE * abs(loss)]
    if not fitting:
        return None
    start = W if b is None else np.append(W, b)
    return Linear(rows, y, b is not None, fitting[0], start)


def _numbers(tensor: Any) -> Array:
    found: Array = tensor.detach().double().cpu().numpy().copy()
    return found
