"""The largest curvature at which an optimizer is stable, and how it scales the gradient.

A step ``p' = p - lr P^-1 m`` sees the Hessian as ``P^-1/2 H P^-1/2``; groups with rates of their own see it scaled by
``D = diag(lr_i / lr)`` as well, with lr the largest of them. With x = lr times the greatest eigenvalue, errors
shrink below

    SGD               x < limit(momentum, dampening, nesterov), see :mod:`descentlab.descent.recursion`
    Adam, AdamW       x < 2 (1 + beta1) / (1 - beta1),   P = (1 - beta1^t) (sqrt(v_hat) + eps)
    RMSprop, Adagrad  x < 2 (1 + momentum),              P = sqrt(v) + eps

Source for the second and third: J. Cohen et al., *Adaptive Gradient Methods at the Edge of Stability* (2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from descentlab.descent.recursion import stability_limit

ParamGroup = Mapping[str, Any]
Preconditioner = Callable[[ParamGroup, Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Preconditioning:
    """The scaling that an optimizer applies to the gradient now.

    Attributes:
        parameters: the parameters that it moves and that a gradient may reach.
        scale: for each, ``sqrt(lr_i / lr / P)``: a number, or a tensor of its shape.
        weight_decay: for each, the weight decay that acts through the gradient.
        lr: the largest rate of any group.
        is_adaptive: whether P follows from the gradients seen so far.
        stability_limit: what ``lr * curvature`` has to stay below; None where no limit is known for this optimizer.
    """

    parameters: list[Any]
    scale: list[Any]
    weight_decay: list[float]
    lr: float
    is_adaptive: bool
    stability_limit: float | None

    @classmethod
    def from_optimizer(cls, optimizer: Any) -> Preconditioning | None:
        """The scaling of an optimizer of ``torch.optim``; None before its first step if only that step decides it."""
        name = torch_optimizer_name(optimizer)
        make_divisor = PRECONDITIONER_BY_OPTIMIZER.get(name)
        groups = [group for group in optimizer.param_groups if any(p.requires_grad for p in group["params"])]
        lr = max((abs(float(group["lr"])) for group in groups if "lr" in group), default=0.0)
        parameters, scale, weight_decay = [], [], []
        for group in groups:
            lr_share = abs(float(group["lr"])) / lr if lr and "lr" in group else 1.0
            decay = float(group.get("weight_decay", 0.0)) if _has_coupled_weight_decay(name, group) else 0.0
            for parameter in group["params"]:
                if not parameter.requires_grad or parameter.is_complex():
                    continue
                if make_divisor and not float(optimizer.state.get(parameter, {}).get("step", 0)):
                    continue  # before its first step the optimizer's scaling is unknown
                divisor = make_divisor(group, optimizer.state[parameter]) if make_divisor else 1.0
                parameters.append(parameter)
                scale.append((lr_share / divisor) ** 0.5)
                weight_decay.append(decay)
        if not parameters:
            return None
        return cls(parameters, scale, weight_decay, lr, make_divisor is not None, _min_stability_limit(name, groups))


def torch_optimizer_name(optimizer: Any) -> str:
    """The name of a class of ``torch.optim``; empty for any other class, whatever its name.

    Updates that a loop makes itself, along the gradient, are those of SGD.
    """
    optimizer_class = type(optimizer)
    if optimizer_class.__name__ == "UpdatesByHand":
        return "SGD" if optimizer.param_groups[0].get("lr", -1.0) > 0 else ""
    return optimizer_class.__name__ if optimizer_class.__module__.startswith("torch.optim") else ""


def _has_coupled_weight_decay(optimizer_name: str, group: ParamGroup) -> bool:
    is_coupled = optimizer_name in ("SGD", "Adam", "RMSprop", "Adagrad")
    return is_coupled and not group.get("decoupled_weight_decay", False)


def _min_stability_limit(optimizer_name: str, groups: list[ParamGroup]) -> float | None:
    """The least of the groups' limits."""
    limit = STABILITY_LIMIT_BY_OPTIMIZER.get(optimizer_name)
    if limit is None or not groups or any(group.get("maximize") for group in groups):
        return None
    return min(map(limit, groups))


def _sgd_stability_limit(group: ParamGroup) -> float:
    return stability_limit(float(group["momentum"]), float(group["dampening"]), bool(group["nesterov"]))


def _adam_stability_limit(group: ParamGroup) -> float:
    beta1 = float(group["betas"][0])
    return 2 * (1 + beta1) / (1 - beta1)


def _adam_preconditioner(group: ParamGroup, state: Mapping[str, Any]) -> Any:
    beta1, beta2 = (float(beta) for beta in group["betas"])
    t = float(state["step"])
    v = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
    return _moved_only(v, (1 - beta1**t) * ((v / (1 - beta2**t)).sqrt() + group["eps"]))


def _moved_only(v: Any, divisor: Any) -> Any:
    """An infinite divisor for entries that no gradient has reached, such as rows of an embedding not met yet: where v
    is 0, eps alone would be left, and a curvature divided by it means nothing.
    """
    return divisor.masked_fill(v == 0, math.inf)


def _rmsprop_preconditioner(group: ParamGroup, state: Mapping[str, Any]) -> Any:
    v = state["square_avg"]
    if group["centered"]:
        v = v - state["grad_avg"] ** 2
    return _moved_only(state["square_avg"], v.clamp(min=0).sqrt() + group["eps"])


def _adagrad_preconditioner(group: ParamGroup, state: Mapping[str, Any]) -> Any:
    lr_divisor = 1 + max(float(state["step"]) - 1, 0.0) * float(group["lr_decay"])
    return _moved_only(state["sum"], (state["sum"].sqrt() + group["eps"]) * lr_divisor)


PRECONDITIONER_BY_OPTIMIZER: Mapping[str, Preconditioner] = {
    "Adam": _adam_preconditioner,
    "AdamW": _adam_preconditioner,
    "RMSprop": _rmsprop_preconditioner,
    "Adagrad": _adagrad_preconditioner,
}
STABILITY_LIMIT_BY_OPTIMIZER: Mapping[str, Callable[[ParamGroup], float]] = {
    "SGD": _sgd_stability_limit,
    "Adam": _adam_stability_limit,
    "AdamW": _adam_stability_limit,
    "RMSprop": lambda group: stability_limit(float(group.get("momentum", 0.0))),
    "Adagrad": lambda group: 2.0,
}
