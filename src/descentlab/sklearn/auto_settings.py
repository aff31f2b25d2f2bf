"""The values of ``"auto"`` and ``None``: a rate, a momentum and a number of epochs, chosen from the data.

Full batch, with curvatures between l and L: the heavy ball's best pair for the worst start,

    lr = 4 / (sqrt(L) + sqrt(l))^2,    momentum = ((sqrt(L) - sqrt(l)) / (sqrt(L) + sqrt(l)))^2

(B. Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964), and plain descent's best rate, lr
= 2 / (L + l), where a small momentum gains almost nothing; or, for a given momentum, the rate at which the
slowest direction is fastest. Mini-batches of b rows, of n:

    lr = 1 / (S / b + (1 - 1 / b) L),    S = 2 max v |x|^2

with v a row's weight over the mean weight, with which squared errors shrink in the mean (D. Needell, N. Srebro and R.
Ward, *Stochastic gradient descent, weighted sampling, and the randomized Kaczmarz algorithm*, 2014), and the iterates
of the second half are averaged (F. Bach and E. Moulines, *Non-strongly-convex smooth stochastic approximation with
convergence rate O(1/n)*, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from descentlab.descent import recursion as stability
from descentlab.descent.descent import Descent
from descentlab.descent.recursion import MomentumSettings
from descentlab.descent.reductions import gradient_scale
from descentlab.errors import MAX_COUNT
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

FeatureBlock = tuple[FloatArray, FloatArray | None]

LOG_REDUCTION_TO_ROUNDING = 45.0  # exp(-45) of an error, 3e-20, is less than rounding leaves of any coefficient
MIN_RELATIVE_EIGENVALUE = 1e-24  # of the largest; the momentum for smaller ones would round to 1
MIN_AUTO_MOMENTUM = 0.01  # below it, momentum saves only an epoch or two
LR_BOUND_MARGIN = 1 - 1e-6  # of a rate, which at high conditions is its bound to every digit
AUTO_LR_GRID_SIZE, AUTO_LR_REFINEMENTS = 129, 6


def choose_heavy_ball(eigenvalues: FloatArray, dampening: float = 0.0) -> tuple[float, float]:
    """Polyak's learning rate and momentum for (p,) curvatures; flat directions do not count.

    Where that momentum is below 0.01, or a dampening of 1 would leave it nothing but the first gradient, it is 0, and
    the rate is plain descent's best. Another dampening only makes the rate larger.
    """
    positive = eigenvalues[eigenvalues > 0]
    if not positive.size:
        return 1.0, 0.0
    sqrt_max = math.sqrt(float(positive.max()))
    sqrt_min = max(math.sqrt(float(positive.min())), sqrt_max * math.sqrt(MIN_RELATIVE_EIGENVALUE))
    momentum = ((sqrt_max - sqrt_min) / (sqrt_max + sqrt_min)) ** 2
    if momentum < MIN_AUTO_MOMENTUM or dampening >= 1:
        return 2 / (sqrt_max**2 + sqrt_min**2), 0.0
    return LR_BOUND_MARGIN * 4 / (sqrt_max + sqrt_min) ** 2 / (1 - dampening), momentum


def choose_lr(eigenvalues: FloatArray, momentum_settings: MomentumSettings) -> float:
    """The learning rate at which the slowest of (p,) curvatures' errors shrinks fastest, for this momentum."""
    positive = eigenvalues[eigenvalues > 0]
    if not positive.size:
        return 1.0
    lambda_max = float(positive.max())
    if stability.has_no_momentum(momentum_settings["momentum"]):
        return 2 / (lambda_max + float(positive.min()))
    stability_limit = stability.stability_limit(**momentum_settings)
    extreme_eigenvalues = np.array([float(positive.min()), lambda_max])
    low, high = 1e-6, LR_BOUND_MARGIN
    for _ in range(AUTO_LR_REFINEMENTS):
        fractions = np.geomspace(low, high, AUTO_LR_GRID_SIZE)
        x = fractions[:, None] * stability_limit * extreme_eigenvalues / lambda_max
        convergence_factor = stability.convergence_factor(x, **momentum_settings)
        one_minus_factor = np.where(
            convergence_factor < 0,
            1 + convergence_factor,
            stability.one_minus_convergence_factor(x, **momentum_settings),
        ).min(axis=1)
        i = int(np.argmax(one_minus_factor))
        low, high = float(fractions[max(i - 1, 0)]), float(fractions[min(i + 1, len(fractions) - 1)])
    return float(fractions[i]) * stability_limit / lambda_max


def count_epochs_to_rounding(theory: FullBatchTheory) -> int | None:
    """Epochs after which rounding exceeds every direction's error, at most 10^18; None if an error never decays."""
    is_active = (theory.regularized_eigenvalues > 0) & (theory.initial_error != 0)
    if not is_active.any():
        return 1
    slowest_log_modulus = float(theory.residual_polynomial.log_modulus[is_active].max())
    if slowest_log_modulus >= 0:
        return None
    single_mode_epochs = LOG_REDUCTION_TO_ROUNDING / -slowest_log_modulus
    return min(
        math.ceil((LOG_REDUCTION_TO_ROUNDING + math.log1p(single_mode_epochs)) / -slowest_log_modulus) + 1, MAX_COUNT
    )  # where roots meet, t r^t is what falls


def choose_minibatch_lr(problem: Problem, blocks: Iterable[FeatureBlock], descent: Descent) -> float:
    """The learning rate for a descent in mini-batches, from ``blocks`` of (m, d) features and their weights, if any.

    A momentum mu makes steps ``1 / (1 - mu)`` times as long in the end, dampening ``1 - tau`` times, so the rate makes
    up for both.
    """
    means, scales, bias = problem.scaling
    mean_row_weight = problem.weight / problem.n
    max_squared_norm = 0.0
    for X, weights in blocks:
        scaled_rows = (X - means) / scales
        squared_norms = np.einsum("ij,ij->i", scaled_rows, scaled_rows) + bias
        squared_norms = squared_norms if weights is None else squared_norms * (weights / mean_row_weight)
        max_squared_norm = max(max_squared_norm, float(squared_norms.max(initial=0.0)))
    batch_size = min(descent.batch_size or problem.n, problem.n)
    curvature_bound = (
        2 * max_squared_norm / batch_size + (1 - 1 / batch_size) * problem.spectrum().lambda_max + 2 * problem.ridge
    )
    reduction_ratio = gradient_scale("mean", batch_size * mean_row_weight) / gradient_scale(
        descent.reduction, batch_size * mean_row_weight
    )
    curvature_bound += reduction_ratio * descent.weight_decay
    one_minus_dampening = 1 - descent.dampening if descent.momentum else 1.0
    return (
        reduction_ratio / curvature_bound * (1 - descent.momentum) / one_minus_dampening
        if curvature_bound > 0
        else reduction_ratio
    )
