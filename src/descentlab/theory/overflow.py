"""After how many updates numbers overflow float32 and float64, computed in float64 by scaled logarithms."""

from __future__ import annotations

import math

import numpy as np

from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import BoolArray, FloatArray

FLOAT_TYPES = ("float32", "float64")
OVERFLOW_QUANTITIES = ("weights", "gradient", "cost")
MAX_OVERFLOW_UPDATES = 1e15  # a later overflow is reported as none
FIRST_SEARCH_SIZE = 32  # updates evaluated at once
MAX_SEARCH_SIZE = 1 << 14
MAX_SEARCHES = 40
BOUND_REFINEMENTS = 3  # of the lower bound at which the search starts

Overflow = dict[str, dict[str, int | None]]


def overflow_updates(theory: FullBatchTheory) -> Overflow:
    """For each type, after how many updates a weight, the gradient and the cost first overflow it; None for never.

    The loop computes in float64. Weights are in the data's units; once the gradient overflows float64, the weights do
    so in the next update. The gradient is with respect to the scaled parameters, the cost in the descent's reduction.

    >>> import descentlab as dl
    >>> problem = dl.Problem([1.0], [1.0], bias=False)  # the error W - 1 is multiplied by 1 - 2 lr = -3
    >>> overflow_updates(FullBatchTheory(problem, dl.Descent(lr=2.0)))["float32"]["weights"]  # 3^81 > 3.4e38
    81
    """
    if not theory.diverges:
        return {kind: dict.fromkeys(OVERFLOW_QUANTITIES) for kind in FLOAT_TYPES}
    active = (theory.regularized_eigenvalues > 0) & (theory.initial_error != 0)
    error, curvature = theory.initial_error[active], theory.regularized_eigenvalues[active]
    x = theory.descent.lr * curvature
    polynomial = ResidualPolynomial.from_lr_times_curvature(x, **theory.descent.momentum_settings)
    directions, to_original = theory.spectrum.directions[:, active], theory.problem.scaling.to_original
    # Each is linear in h, so it can be evaluated at a small fraction of its size.
    weights = to_original((directions * error).T), to_original(theory.limit_point)
    gradient = (directions * (theory.spectrum.eigenvalues[active] * error)).T, np.zeros(len(directions))
    quadratic, scale = theory.problem.quadratic, math.sqrt(theory.cost_scale / theory.problem.weight)
    limit_residual = quadratic.A @ theory.limit_point - quadratic.t
    root_of_cost = scale * (quadratic.A @ (directions * error)).T, scale * limit_residual
    first_updates: Overflow = {}
    for kind in FLOAT_TYPES:
        log_max = math.log(np.finfo(kind).max)
        first_updates[kind] = {
            "weights": _first_overflow(polynomial, *weights, log_max, np.inf),
            "gradient": _first_overflow(polynomial, *gradient, log_max, np.inf),
            "cost": _first_overflow(polynomial, *root_of_cost, log_max / 2, 2),
        }
    float64_updates, gradient_at = first_updates["float64"], first_updates["float64"]["gradient"]
    if float64_updates["weights"] is not None and gradient_at is not None:
        float64_updates["weights"] = min(float64_updates["weights"], gradient_at + 1)
    return first_updates


def _first_overflow(
    polynomial: ResidualPolynomial, contributions: FloatArray, offset: FloatArray, log_max: float, norm: float
) -> int | None:
    """The first update after which the norm of ``h @ contributions + offset`` exceeds ``exp(log_max)``.

    The search starts where errors of equal sign would exceed it, and evaluates every update from there. It is exact
    unless errors of almost constant size oscillate for millions of updates; then the result is a lower bound.
    """

    def is_beyond(updates: FloatArray) -> BoolArray:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled_norm = np.linalg.norm(
                polynomial.evaluate(updates[:, None], log_divisor=log_max) @ contributions
                + offset * math.exp(-log_max),
                norm,
                axis=1,
            )
        exceeded: BoolArray = ~(scaled_norm <= 1)
        return exceeded

    if is_beyond(np.zeros(1))[0]:
        return 0
    low, count = 1.0, FIRST_SEARCH_SIZE
    for _ in range(BOUND_REFINEMENTS):  # a later start gives a sharper bound
        low = _overflow_lower_bound(
            polynomial, np.abs(contributions), float(np.linalg.norm(offset, norm)), log_max, norm, low
        )
    for _ in range(MAX_SEARCHES):
        if not low < MAX_OVERFLOW_UPDATES:
            return None
        updates = low + np.arange(count, dtype=np.float64)
        found = np.flatnonzero(is_beyond(updates))
        if found.size:
            return int(updates[found[0]])
        low, count = float(updates[-1]) + 1, min(2 * count, MAX_SEARCH_SIZE)
    return int(low)


def _overflow_lower_bound(
    polynomial: ResidualPolynomial, contributions: FloatArray, offset: float, log_max: float, norm: float, low: float
) -> float:
    """An update, not before ``low``, up to which the norm cannot exceed ``exp(log_max)``, by a nondecreasing bound."""
    since = low

    def bound(t: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return float(
                np.linalg.norm(polynomial.upper_bound(t, log_max, since) @ contributions, norm)
            ) + offset * math.exp(-log_max)

    high = 2 * low
    while bound(high) <= 1 and high < MAX_OVERFLOW_UPDATES:
        low, high = high, 2 * high
    while high - low > 1:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if bound(middle) > 1 else (middle, high)
    return low
