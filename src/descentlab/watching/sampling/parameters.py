"""What a sampled step does to each parameter: its size, its gradient, and how far it moves."""

from __future__ import annotations

from typing import Any, NamedTuple

MAX_SAMPLED_ENTRIES = 4_096  # of one parameter, evenly spaced
MAX_SAMPLED_PARAMS = 150


class StepSample(NamedTuple):
    """One parameter at one step; every number is a tensor until it is read.

    Attributes:
        step: the updates made before it.
        rms, gradient_rms, update_rms: root mean squares before the step, of the gradient, and of the change.
        lost_share: of the entries with a gradient, the share that did not change.
        has_equal_rows: whether all rows of a matrix are the same.
    """

    step: int
    rms: Any
    gradient_rms: Any
    update_rms: Any
    lost_share: Any
    has_equal_rows: Any


class ParameterSampler:
    """Compares parameters before and after a sampled step.

    Attributes:
        samples: by the id of a parameter, in the order of the steps.
        used_norms: the norm of the whole gradient at each of them.
    """

    def __init__(self) -> None:
        self.samples: dict[int, list[StepSample]] = {}
        self.used_norms: list[Any] = []
        self._before: list[tuple[Any, Any]] = []

    def before_step(self, parameters: list[Any]) -> None:
        """Keep some values of each parameter."""
        self._before = [(each, sampled_entries(each).clone()) for each in parameters[:MAX_SAMPLED_PARAMS]]

    def after_step(self, step: int) -> None:
        """Compare them."""
        gradients = [each.grad for each, _ in self._before if each.grad is not None and not each.grad.is_sparse]
        if gradients:
            self.used_norms.append(sum(each.detach().float().square().sum() for each in gradients) ** 0.5)
        for parameter, before in self._before:
            gradient = parameter.grad
            if gradient is None or gradient.is_sparse or parameter.is_complex():
                continue
            gradient = sampled_entries(gradient)
            moved = sampled_entries(parameter) - before
            has_gradient = gradient != 0
            lost = ((moved == 0) & has_gradient).sum() / has_gradient.sum().clamp(min=1)
            sample = StepSample(step, _rms(before), _rms(gradient), _rms(moved), lost, _has_equal_rows(parameter))
            self.samples.setdefault(id(parameter), []).append(sample)
        self._before = []


def sampled_entries(tensor: Any) -> Any:
    """Evenly spaced entries of a tensor, without its graph."""
    flat = tensor.detach().reshape(-1)
    return flat[:: flat.numel() // MAX_SAMPLED_ENTRIES | 1]  # an odd step, across the columns


def _rms(values: Any) -> Any:
    return values.float().square().mean().sqrt()


def _has_equal_rows(parameter: Any) -> Any:
    if parameter.ndim < 2 or len(parameter) < 2:
        return False
    rows = parameter.detach().flatten(1)[:, :64]
    return (rows == rows[:1]).all()
