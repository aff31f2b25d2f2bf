"""The recursion of ``torch.optim.SGD`` in one eigendirection of the Hessian.

In a direction of eigenvalue a, with x = lr * a, the error e and the momentum buffer m (times lr) obey

    heavy ball   m' = mu m + (1 - tau) x e      e' = e - m'
    Nesterov     m' = mu m + x e                e' = e - (x e + mu m')

with mu the momentum and tau the dampening. The roots of this 2x2 recursion decide its behavior: after many epochs
each epoch multiplies the error by the larger root. Source of the definitions: the documentation of
``torch.optim.SGD``; of the method: B. Polyak, *Some methods of speeding up the convergence of iteration
methods* (1964).
"""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from descentlab.typing import FloatArray


class MomentumSettings(TypedDict):
    """The arguments shared by the functions of this module."""

    momentum: float
    dampening: float
    nesterov: bool


def has_no_momentum(momentum: float | FloatArray) -> bool:
    """Whether no direction has momentum."""
    return not np.any(momentum)


def stability_limit(momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False) -> float:
    """The bound on ``lr * curvature`` below which every error shrinks (Jury's criterion on the 2x2 recursion).

    Plain descent 2; heavy ball ``2 (1 + mu) / (1 - tau)``; Nesterov ``2 (1 + mu) / (1 + 2 mu)``. At mu = 1
    errors of the heavy ball neither shrink nor grow below it. Above mu = 1 the heavy ball diverges at every rate and
    the bound is 0; Nesterov's method also diverges at small rates, and needs ``1 - 1/mu < lr * curvature``.

    >>> stability_limit(), stability_limit(momentum=0.5), stability_limit(momentum=0.5, nesterov=True)
    (2.0, 3.0, 1.5)
    """
    if momentum == 0:
        return 2.0
    if nesterov:
        return 2 * (1 + momentum) / (1 + 2 * momentum)
    if momentum > 1:
        return 0.0
    return math.inf if dampening >= 1 else 2 * (1 + momentum) / (1 - dampening)


def critical_damping(momentum: float, dampening: float, nesterov: bool) -> float:
    """The ``lr * curvature`` with a positive double root: the fastest decay, without oscillation."""
    if nesterov:
        return ((1 - momentum) / (1 + momentum)) ** 2
    return (1 - math.sqrt(momentum)) ** 2 / (1 - dampening) if dampening < 1 else 1.0


def nesterov_stable_interval(momentum: float) -> dict[str, float]:
    """The interval of ``lr * curvature`` in which errors shrink with Nesterov's momentum above 1."""
    return {"momentum": momentum, "low": 1 - 1 / momentum, "high": stability_limit(momentum, nesterov=True)}


def convergence_factor(
    x: FloatArray, momentum: float | FloatArray = 0.0, dampening: float = 0.0, nesterov: bool = False
) -> FloatArray:
    """The factor by which one epoch multiplies the error at ``x = lr * curvature``; same shape as x.

    It is the dominant root if that is real (negative: the error changes its sign every epoch), and its modulus if it
    is complex (the error oscillates). The momentum may be an array that broadcasts against x.

    >>> convergence_factor(np.array([0.5, 1.9])).round(12).tolist()  # 1 - x
    [0.5, -0.9]
    """
    x = np.asarray(x, dtype=np.float64)
    if has_no_momentum(momentum):
        without_momentum: FloatArray = 1.0 - x
        return without_momentum
    trace, discriminant = trace_and_discriminant(x, momentum, dampening, nesterov)
    determinant = momentum * (1 - x) if nesterov else np.zeros_like(x) + momentum
    real = (trace + np.copysign(sqrt_discriminant(trace, discriminant), trace)) / 2
    factor: FloatArray = np.where(discriminant >= 0, real, np.sqrt(np.maximum(determinant, 0.0)))
    return factor


def trace_and_discriminant(
    x: FloatArray, momentum: float | FloatArray, dampening: float, nesterov: bool
) -> tuple[FloatArray, FloatArray]:
    """The trace of the recursion and ``trace^2 - 4 determinant``, which is negative if the roots are complex."""
    # Multiplied out so that nothing cancels at small x or at momentum 1.
    with np.errstate(over="ignore"):
        if nesterov:
            return (1 + momentum) * (1 - x), (1 - x) * ((1 - momentum) ** 2 - (1 + momentum) ** 2 * x)
        damped = (1 - dampening) * x
        return 1 + momentum - damped, (1 - momentum) ** 2 - damped * (2 * (1 + momentum) - damped)


def sqrt_discriminant(trace: FloatArray, discriminant: FloatArray) -> FloatArray:
    """The square root of the discriminant, 0 if it is negative; ``|trace|`` if it is beyond float64's range."""
    square_root: FloatArray = np.where(np.isinf(discriminant), np.abs(trace), np.sqrt(np.maximum(discriminant, 0.0)))
    return square_root


def accumulated_gradient_factor(
    lr: float, curvature: FloatArray, weight_decay: float, momentum_settings: MomentumSettings
) -> float:
    """The largest factor of an epoch if gradients are never cleared, together with momentum or weight decay.

    The accumulated gradient ``s' = s + curvature e`` is a third component of the state: ``d = s' + decay e``, ``m' =
    mu m + (1 - tau) d``, and the step is lr times m', or d if mu is 0 (Nesterov: ``d + mu m'``).
    """
    mu, tau = momentum_settings["momentum"], momentum_settings["dampening"]
    update_matrix, one = np.zeros((len(curvature), 3, 3)), np.eye(3)
    update_matrix[:] = one
    update_matrix[:, 2, 0] = curvature
    d = update_matrix[:, 2] + weight_decay * one[0]
    buffer = (1 - tau) * d + mu * one[1]
    step = d + mu * buffer if momentum_settings["nesterov"] else buffer if mu else d
    update_matrix[:, 0] -= lr * step
    update_matrix[:, 1] = buffer
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(update_matrix).all():
            return np.inf
        return float(np.abs(np.linalg.eigvals(update_matrix)).max(initial=0.0))


def one_minus_convergence_factor(
    x: FloatArray,
    momentum: float | FloatArray = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    factor: FloatArray | None = None,
) -> FloatArray:
    """``1 - convergence_factor(x)`` with all its digits if the dominant root is real and near 1; same shape as x.

    With r = 1 - g the characteristic equation is ``g^2 - (2 - trace) g + pull = 0``, whose smaller root is free of
    cancellation. If the root is complex or negative, the result is 1 minus its modulus or itself. A ``factor`` that is
    known already is not computed again.
    """
    x = np.asarray(x, dtype=np.float64)
    if has_no_momentum(momentum):
        return x
    pull = x if nesterov else (1 - dampening) * x
    b = 1 - momentum + (1 + momentum if nesterov else 1 - dampening) * x
    with np.errstate(over="ignore"):
        discriminant = b * b - 4 * pull
        root_difference = sqrt_discriminant(b, discriminant)
        # 0 / 0 if x and 1 - momentum are both 0
        denominator = np.where(b + root_difference == 0, 1.0, b + root_difference)
        smaller_root = np.where(b >= 0, 2 * pull / denominator, (b - root_difference) / 2)
    factor = convergence_factor(x, momentum, dampening, nesterov) if factor is None else factor
    one_minus_factor: FloatArray = np.where((discriminant >= 0) & (factor > 0), smaller_root, 1 - factor)
    return one_minus_factor
