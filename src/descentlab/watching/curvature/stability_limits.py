"""How curved a loss may be for the optimizer in use: how it scales the gradient, and up to where its steps are stable.

A step ``p' = p - lr P^-1 m`` sees the Hessian as ``P^-1/2 H P^-1/2``; groups with rates of their own see it scaled by
``D = diag(lr_i / lr)`` as well, with lr the largest of them. With x = lr times the greatest eigenvalue, errors
shrink below

    SGD               x < limit(momentum, dampening, nesterov), see :mod:`descentlab.descent.recursion`
    Adam, AdamW       x < 2 (1 + beta1) / (1 - beta1),   P = (1 - beta1^t) (sqrt(v_hat) + eps)
    RMSprop, Adagrad  x < 2 (1 + momentum),              P = sqrt(v) + eps

Source for the second and third: J. Cohen et al., *Adaptive Gradient Methods at the Edge of Stability* (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from descentlab.descent.recursion import limit as sgd_limit

Group = Mapping[str, Any]
Preconditioner = Callable[[Group, Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Scaling:
    """How an optimizer sees a loss now.

    Attributes:
        parameters: those it moves, and that a gradient may reach.
        scale: for each, ``sqrt(lr_i / lr / P)``: a number, or a tensor of its shape.
        decay: for each, the weight decay that acts through the gradient.
        lr: the largest rate of any group.
        adapts: whether P follows from the gradients seen so far.
        most: what ``lr * curvature`` has to stay below; None where no limit is known for this optimizer.
    """

    parameters: list[Any]
    scale: list[Any]
    decay: list[float]
    lr: float
    adapts: bool
    most: float | None


def scaling(optimizer: Any) -> Scaling | None:
    """The scaling of an optimizer of ``torch.optim``; None before its first step where only that decides it."""
    groups = [group for group in optimizer.param_groups if any(p.requires_grad for p in group["params"])]
    kind = _kind(optimizer)
    rates = [abs(float(group["lr"])) for group in groups if "lr" in group]
    lr = max(rates, default=0.0)
    parameters, scale, decay = [], [], []
    for group in groups:
        part = abs(float(group["lr"])) / lr if lr and "lr" in group else 1.0
        for parameter in group["params"]:
            if not parameter.requires_grad or parameter.is_complex():
                continue
            divisor: Any = 1.0
            if kind in PRECONDITIONERS:
                if not float(optimizer.state.get(parameter, {}).get("step", 0)):
                    continue  # not moved yet: how it is going to be scaled is not known
                divisor = PRECONDITIONERS[kind](group, optimizer.state[parameter])
            parameters.append(parameter)
            scale.append((part / divisor) ** 0.5)
            decay.append(float(group.get("weight_decay", 0.0)) if _coupled(kind, group) else 0.0)
    return Scaling(parameters, scale, decay, lr, kind in PRECONDITIONERS, _most(kind, groups)) if parameters else None


def _kind(optimizer: Any) -> str:
    """The optimizer's class in ``torch.optim``; nothing for one that somebody wrote, whatever its name."""
    kind = type(optimizer)
    return kind.__name__ if kind.__module__.startswith("torch.optim") else ""


def _coupled(kind: str, group: Group) -> bool:
    return kind in ("SGD", *PRECONDITIONERS) and kind != "AdamW" and not group.get("decoupled_weight_decay", False)


def _most(kind: str, groups: list[Group]) -> float | None:
    """The least of the groups' limits."""
    if kind not in LIMITS or not groups or any(group.get("maximize") for group in groups):
        return None
    return min(LIMITS[kind](group) for group in groups)


def _of_sgd(group: Group) -> float:
    return sgd_limit(float(group["momentum"]), float(group["dampening"]), bool(group["nesterov"]))


def _of_adam(group: Group) -> float:
    beta1 = float(group["betas"][0])
    return 2 * (1 + beta1) / (1 - beta1)


def _adam(group: Group, state: Mapping[str, Any]) -> Any:
    beta1, beta2 = (float(beta) for beta in group["betas"])
    t = float(state["step"])
    v = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
    return (1 - beta1**t) * ((v / (1 - beta2**t)).sqrt() + group["eps"])


def _rmsprop(group: Group, state: Mapping[str, Any]) -> Any:
    v = state["square_avg"]
    if group["centered"]:
        v = v - state["grad_avg"] ** 2
    return v.clamp(min=0).sqrt() + group["eps"]


def _adagrad(group: Group, state: Mapping[str, Any]) -> Any:
    slowed = 1 + max(float(state["step"]) - 1, 0.0) * float(group["lr_decay"])
    return (state["sum"].sqrt() + group["eps"]) * slowed


PRECONDITIONERS: Mapping[str, Preconditioner] = {
    "Adam": _adam,
    "AdamW": _adam,
    "RMSprop": _rmsprop,
    "Adagrad": _adagrad,
}
LIMITS: Mapping[str, Callable[[Group], float]] = {
    "SGD": _of_sgd,
    "Adam": _of_adam,
    "AdamW": _of_adam,
    "RMSprop": lambda group: sgd_limit(float(group.get("momentum", 0.0))),
    "Adagrad": lambda group: 2.0,
}
