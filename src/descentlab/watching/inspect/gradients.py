"""The gradients that an optimizer is given: whether they come, are finite, zero, and as backward made them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from descentlab.watching.curvature.stability_limits import Preconditioning

MAX_KEPT_GRADIENT_VALUES = 10_000  # more, if kept beyond the step, would push other numbers out of the cache
MODIFIED_RTOL = 1e-3  # of a gradient's norm: less is rounding


class OptimizerGradients:
    """The parameters of an optimizer, and the gradients of its last step.

    Attributes:
        parameters: its parameters.
        received_ids: ids of those that ever had a gradient.
        consecutive_zero_steps: the last steps looked at, in a row, at which every gradient was exactly 0.
        compared_steps, modified_steps: gradients that were compared with what arrived, and those that differed: they
            were clipped, unscaled, or averaged over machines.
        kept_shares: the norm that a step used over the one that arrived, for each of those compared.
    """

    def __init__(self, optimizer: Any, param_names: Mapping[int, str]) -> None:
        self.optimizer, self.param_names = optimizer, param_names
        self.received_ids: set[int] = set()
        self.consecutive_zero_steps = self.compared_steps = self.modified_steps = 0
        self._kept_gradients: list[Any] | None = None
        self.kept_shares: list[float] = []
        self._arrived_norms: dict[int, list[Any]] = {}
        self.refresh_parameters()

    def refresh_parameters(self) -> None:
        """Read the optimizer's parameters again: a group may be added at any time."""
        self._n_groups = len(self.optimizer.param_groups)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self._is_large = sum(parameter.numel() for parameter in self.parameters) > MAX_KEPT_GRADIENT_VALUES

    def record_arrival(self, parameter: Any, gradient: Any) -> None:
        """A backward pass has made a gradient for a parameter."""
        norms = self._arrived_norms.setdefault(id(parameter), [])
        if len(norms) < 2 and not gradient.is_sparse:  # two say that there were several
            norms.append(gradient.norm())

    def record_step(self) -> None:
        """Keep the gradients that the step used, which ``zero_grad`` may take away, unless they are large."""
        if len(self.optimizer.param_groups) != self._n_groups:
            self.refresh_parameters()
        self._kept_gradients = None if self._is_large else [parameter.grad for parameter in self.parameters]

    @property
    def last_gradients(self) -> list[Any]:
        """Of each parameter, the gradient of the last step; of a large model, the one that is there now."""
        kept = self._kept_gradients
        return [parameter.grad for parameter in self.parameters] if kept is None else kept

    def dense_gradients(self) -> list[tuple[Any, Any]]:
        """Parameters with the gradients of the last step, sparse ones left out."""
        pairs = zip(self.parameters, self.last_gradients, strict=False)
        return [(parameter, each) for parameter, each in pairs if each is not None and not each.is_sparse]

    def scaled_norms(self) -> tuple[float, float]:
        """The norms of the last gradient and of the parameters, in the coordinates that curvature is measured in.

        That is ``|S (g + decay p)|`` and ``|S^-1 p|`` with the S of
        :class:`descentlab.watching.curvature.stability_limits.Preconditioning`; not a number where no gradient is left.
        """
        preconditioning = Preconditioning.from_optimizer(self.optimizer)
        scales: dict[int, tuple[Any, float]] = {}
        if preconditioning is not None:
            pairs = zip(preconditioning.scale, preconditioning.weight_decay, strict=True)
            scales = dict(zip(map(id, preconditioning.parameters), pairs, strict=True))
        gradient_squares = param_squares = 0.0
        dense = self.dense_gradients()
        for parameter, gradient in dense:
            scale, decay = scales.get(id(parameter), (1.0, 0.0))
            p = parameter.detach()
            gradient_squares += float(((gradient + decay * p) * scale).abs().square().sum())
            scaled = (p / scale).nan_to_num(0.0, 0.0, 0.0)  # entries that have not moved do not count
            param_squares += float(scaled.abs().square().sum())
        return (gradient_squares**0.5, param_squares**0.5) if dense else (math.nan, math.nan)

    def inspect_step(self, dense: list[tuple[Any, Any]]) -> None:
        """Compare the gradients of the last step with what arrived."""
        self.received_ids.update(
            id(p) for p, each in zip(self.parameters, self.last_gradients, strict=True) if each is not None
        )
        all_zero = bool(dense) and not any(bool(each.any()) for _, each in dense)
        self.consecutive_zero_steps = self.consecutive_zero_steps + 1 if all_zero else 0
        for parameter, each in dense:
            arrived_norms = self._arrived_norms.get(id(parameter), [])
            if len(arrived_norms) == 1:  # of several passes the sum's norm is not known
                arrived_norm, used_norm = float(arrived_norms[0]), float(each.norm())
                self.compared_steps += 1
                self.kept_shares += [used_norm / arrived_norm] if arrived_norm > 0 else []
                self.modified_steps += abs(arrived_norm - used_norm) > MODIFIED_RTOL * max(arrived_norm, used_norm)
        self._arrived_norms.clear()

    def nonfinite_param_name(self) -> str | None:
        """The parameter whose gradient was not finite at the last step: the one nearest to the loss."""
        dense = self.dense_gradients()
        nonfinite_names = [
            self.param_names.get(id(parameter), "?") for parameter, each in dense if not bool(each.norm().isfinite())
        ]
        return nonfinite_names[-1] if nonfinite_names else None  # backward passes go from the last layer to the first
