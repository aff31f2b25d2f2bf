"""Recommended learning rates: the fastest for a given start, by a search on the exact trajectory, and the textbook's.

``2 / (lambda_min + lambda_max)`` is plain descent's best rate for the worst start, and

    lr = 4 / (sqrt(lambda_max) + sqrt(lambda_min))^2,   momentum = ((sqrt(kappa) - 1) / (sqrt(kappa) + 1))^2

the best pair for the heavy ball (B. Polyak, *Some methods of speeding up the convergence of iteration methods*,
1964). A start is rarely the worst one, and a nearby rate is often far faster.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Context, Decimal

import numpy as np

from descentlab.descent.recursion import MomentumSettings, critical_damping, stability_limit
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray

NO_MOMENTUM = MomentumSettings(momentum=0.0, dampening=0.0, nesterov=False)
GRID_SIZE = 32  # rates tried first
REFINED_GRID_SIZE = 9  # rates tried in each refinement around the best
GRID_REFINEMENTS = 6
CRITICAL_DAMPING_MULTIPLES = np.geomspace(0.5, 8, 9)  # of each direction's critically damped rate, also tried
MAX_OSCILLATING_MODES = 64  # with more directions the search ignores oscillation
RATE_MINIMA_REFINED = 2
FEW_EPOCHS = 4  # up to this count, rates between those refined may need one epoch less
FEW_EPOCHS_GRID = np.arange(1, 64) / 64  # margins tried then
MOMENTUM_GRID_SIZE = 14  # momentums tried at once, and rates for each
MIN_RATE_DIGITS = 6  # of a rate as text
MAX_RATE_DIGITS = 17
SHORTENED_EPOCHS_RTOL = 0.01  # by how much a shortened rate may change the epochs
EPOCHS_RTOL = 1e-7  # relative precision of the epochs by which rates are compared


@dataclass(frozen=True)
class RateChoice:
    """A learning rate with its momentum, and the epochs it needs.

    Attributes:
        name: ``textbook``, ``fastest`` (without momentum), ``own_momentum``, ``heavy_ball`` (the textbook's pair) or
            ``fastest_pair``.
        lr, momentum: in the descent's own reduction.
        epochs: until the descent stays within the tolerance; None for never.
        lr_text, momentum_text: lr and momentum as text, with as few digits as change the epochs by at most 1%.
    """

    name: str
    lr: float
    momentum: float
    epochs: int | None
    lr_text: str
    momentum_text: str

    @classmethod
    def from_lr(
        cls,
        name: str,
        criterion: ConvergenceCriterion,
        lr: float,
        momentum_settings: MomentumSettings,
        epochs: int | None,
    ) -> RateChoice:
        """The rate with its epochs, as :meth:`ConvergenceCriterion.epochs_to_tolerance` returns them.

        As text the rate is rounded down, away from its bound, and the momentum up, in the digits of 1 - momentum:
        that is slower, while down may exceed the bound.
        """
        momentum = momentum_settings["momentum"]
        for digits in range(MIN_RATE_DIGITS, MAX_RATE_DIGITS):
            short_lr = float(_truncate(Decimal(repr(lr)), digits))
            short_momentum = float(1 - _truncate(1 - Decimal(repr(momentum)), digits - 2))
            typed_epochs = criterion.epochs_to_tolerance(short_lr, {**momentum_settings, "momentum": short_momentum})
            if typed_epochs == epochs or (
                typed_epochs and epochs and abs(typed_epochs - epochs) <= max(1, SHORTENED_EPOCHS_RTOL * epochs)
            ):
                return cls(name, lr, momentum, epochs, shortest_repr(short_lr), shortest_repr(short_momentum))
        return cls(name, lr, momentum, epochs, shortest_repr(lr), shortest_repr(momentum))


def shortest_repr(value: float) -> str:
    """The shortest decimal that is this float.

    >>> shortest_repr(1.60308e-05), shortest_repr(0.99999457), shortest_repr(2.0)
    ('1.60308e-05', '0.99999457', '2')
    """
    return repr(value).removesuffix(".0")


def _truncate(value: Decimal, digits: int) -> Decimal:
    """A number rounded towards 0, to ``digits`` digits."""
    return Context(prec=digits, rounding=ROUND_DOWN).plus(value)


def minimax_rate(criterion: ConvergenceCriterion, lambda_max: float, lambda_min: float) -> RateChoice:
    """Plain descent's best rate for the worst start."""
    lr = 2 / (lambda_max + lambda_min)
    return RateChoice.from_lr("textbook", criterion, lr, NO_MOMENTUM, criterion.epochs_to_tolerance(lr, NO_MOMENTUM))


def minimax_heavy_ball(criterion: ConvergenceCriterion, lambda_max: float, lambda_min: float) -> RateChoice:
    """Polyak's rate and momentum: the heavy ball's best for the worst start."""
    high, low = math.sqrt(lambda_max), math.sqrt(lambda_min)
    lr, momentum_settings = 4 / (high + low) ** 2, heavy_ball_settings(((high - low) / (high + low)) ** 2)
    return RateChoice.from_lr(
        "heavy_ball", criterion, lr, momentum_settings, criterion.epochs_to_tolerance(lr, momentum_settings)
    )


def recommended_rates(theory: FullBatchTheory, criterion: ConvergenceCriterion) -> dict[str, RateChoice]:
    """The rates by name: without momentum, with the descent's own, and with the best; none if every eigenvalue is 0."""
    lambda_max, lambda_min = theory.regularized_lambda_max, theory.regularized_lambda_min
    if not lambda_min > 0 or not math.isfinite(lambda_max):
        return {}
    user_settings = theory.descent.momentum_settings
    choices = [minimax_rate(criterion, lambda_max, lambda_min), fastest_rate(criterion, lambda_max)]
    choices += (
        [fastest_rate(criterion, lambda_max, user_settings)]
        if 0 < user_settings["momentum"] < 1 and theory.descent.is_sgd
        else []
    )
    polyak = minimax_heavy_ball(criterion, lambda_max, lambda_min)
    choices += [polyak, fastest_heavy_ball(criterion, lambda_max, polyak)]
    return {rate.name: rate for rate in choices if rate is not None}


def heavy_ball_settings(momentum: float) -> MomentumSettings:
    """The heavy ball's settings."""
    return MomentumSettings(momentum=momentum, dampening=0.0, nesterov=False)


def fastest_rate(
    criterion: ConvergenceCriterion, lambda_max: float, momentum_settings: MomentumSettings = NO_MOMENTUM
) -> RateChoice | None:
    """The learning rate with the shortest settling time at these settings; None if no rate converges.

    The settling time in real numbers is minimized, then counted in epochs. If errors oscillate, or a few epochs
    suffice, the count jumps from rate to rate, and it is the best of many that were tried.
    """
    limit = stability_limit(**momentum_settings)
    if limit == 0:
        return None
    limit = limit if math.isfinite(limit) else 100.0
    if not criterion.curvature.size:  # the initial error is 0
        return RateChoice.from_lr(
            _rate_name(momentum_settings), criterion, limit / 2 / lambda_max, momentum_settings, 0
        )

    def epochs_at_margins(below: FloatArray) -> FloatArray:
        polynomial = criterion.residual_polynomial(limit * (1 - below) / lambda_max, momentum_settings)
        use_upper_bound = momentum_settings["momentum"] == 0 or len(criterion.curvature) > MAX_OSCILLATING_MODES
        return (
            criterion.epochs_upper_bound(polynomial, EPOCHS_RTOL)
            if use_upper_bound
            else criterion.approximate_epochs(polynomial, EPOCHS_RTOL)
        )

    below = _margin_grid(criterion, lambda_max, limit, momentum_settings)
    epochs = epochs_at_margins(below)
    candidates: list[float] = []
    for i in _local_minima(epochs):
        left, right = below[max(i - 1, 0)], below[min(i + 1, len(below) - 1)]
        best, at = float(epochs[i]), float(below[i])
        for _ in range(GRID_REFINEMENTS if momentum_settings["momentum"] == 0 else GRID_REFINEMENTS // 2):
            points = np.union1d(np.geomspace(left, right, REFINED_GRID_SIZE), at)
            point_epochs = epochs_at_margins(points)
            j = int(np.argmin(point_epochs))
            best, at = float(point_epochs[j]), float(points[j])
            left, right = float(points[max(j - 1, 0)]), float(points[min(j + 1, len(points) - 1)])
        if math.isfinite(best):
            candidates.append(at)

    def count_exactly(margins: Iterable[float]) -> list[tuple[int, float]]:
        rates = [limit * (1 - margin) / lambda_max for margin in margins]
        counts = [(criterion.epochs_to_tolerance(lr, momentum_settings), lr) for lr in rates]
        return [(count, lr) for count, lr in counts if count is not None]

    reachable = count_exactly(candidates)
    if not reachable:
        return None
    best_epochs, lr = min(reachable)
    if 1 < best_epochs <= FEW_EPOCHS and not momentum_settings["momentum"]:
        polynomial = criterion.residual_polynomial(limit * (1 - FEW_EPOCHS_GRID) / lambda_max, momentum_settings)
        faster = FEW_EPOCHS_GRID[~criterion.is_violated(polynomial.evaluate(np.array(best_epochs - 1)))]
        # Only rates that are within the tolerance one update earlier can need fewer.
        best_epochs, lr = min([(best_epochs, lr), *count_exactly(faster.tolist())], key=lambda each: each[0])
    return RateChoice.from_lr(_rate_name(momentum_settings), criterion, lr, momentum_settings, best_epochs)


def _rate_name(momentum_settings: MomentumSettings) -> str:
    return "own_momentum" if momentum_settings["momentum"] else "fastest"


def _margin_grid(
    criterion: ConvergenceCriterion, lambda_max: float, limit: float, momentum_settings: MomentumSettings
) -> FloatArray:
    """The relative distances below the bound to try, ascending: every decade, and those that damp a direction.

    Below half the bound of plain descent a larger rate reduces every error faster.
    """
    condition = lambda_max / float(criterion.curvature.min())
    min_margin = max(min(0.05 / condition, 0.25), 1e-14)
    # At lr = 1 / curvature a plain step removes the error. With momentum it decays fastest at a double root, and
    # slightly above it oscillates by less than the tolerance, and settles sooner.
    oscillating = momentum_settings["momentum"] > 0 and len(criterion.curvature) <= MAX_OSCILLATING_MODES
    critical_values = critical_damping(**momentum_settings) * (
        CRITICAL_DAMPING_MULTIPLES if oscillating else np.ones(1)
    )
    margins = 1 - (critical_values[:, None] * (lambda_max / limit) / criterion.curvature).ravel()
    grids = [np.geomspace(min_margin, 0.5, GRID_SIZE), margins[(margins > min_margin) & (margins < 1)]]
    if momentum_settings["momentum"]:
        grids += [1 - np.geomspace(1e-6, 1e-3, GRID_SIZE // 4), 1 - np.geomspace(1e-3, 0.5, GRID_SIZE)]
    return np.unique(np.concatenate(grids))


def _local_minima(epochs: FloatArray) -> list[int]:
    """The lowest local minima, best first."""
    padded = np.concatenate([[np.inf], epochs, [np.inf]])
    minima = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]) & np.isfinite(epochs))
    return [int(i) for i in minima[np.argsort(epochs[minima], kind="stable")][:RATE_MINIMA_REFINED]]


def fastest_heavy_ball(criterion: ConvergenceCriterion, lambda_max: float, polyak: RateChoice) -> RateChoice:
    """The learning rate and momentum of the heavy ball with nearly the shortest settling time, by a search.

    The grid is in 1 - momentum and in the relative distance of the rate to its bound; ``polyak`` is a candidate.
    """
    if not criterion.curvature.size:
        return replace(polyak, name="fastest_pair")
    momentum_gaps = (max(1 - polyak.momentum, 1e-9) / 30, 1.0)
    lr_margins = (1e-4, 1 - 1e-3)
    best = (np.inf, 0.0, 0.0)
    for _ in range(GRID_REFINEMENTS):
        momentum = np.repeat(1 - np.geomspace(*momentum_gaps, MOMENTUM_GRID_SIZE), MOMENTUM_GRID_SIZE)
        lr = (
            np.tile(1 - np.geomspace(*lr_margins, MOMENTUM_GRID_SIZE), MOMENTUM_GRID_SIZE)
            * 2
            * (1 + momentum)
            / lambda_max
        )
        epochs = criterion.epochs_upper_bound(
            ResidualPolynomial.from_lr_times_curvature(lr[:, None] * criterion.curvature, momentum[:, None]),
            EPOCHS_RTOL,
        )
        j = int(np.argmin(epochs))
        best = min(best, (float(epochs[j]), float(lr[j]), float(momentum[j])))
        momentum_gaps = _neighborhood(1 - best[2], momentum_gaps, 1e-12, 1.0)
        lr_margins = _neighborhood(1 - best[1] * lambda_max / (2 * (1 + best[2])), lr_margins, 1e-9, 1 - 1e-6)
    momentum_settings = heavy_ball_settings(best[2])
    pair = RateChoice.from_lr(
        "fastest_pair", criterion, best[1], momentum_settings, criterion.epochs_to_tolerance(best[1], momentum_settings)
    )
    oscillating = 0 < best[2] < 1 and len(criterion.curvature) <= MAX_OSCILLATING_MODES
    refined = fastest_rate(criterion, lambda_max, momentum_settings) if oscillating else None
    candidates = [each for each in (polyak, pair, refined) if each is not None and each.epochs is not None] or [polyak]
    return replace(min(candidates, key=lambda each: each.epochs or 0), name="fastest_pair")


def _neighborhood(center: float, ends: tuple[float, float], lower: float, upper: float) -> tuple[float, float]:
    """A sixth of the interval, in decades, on both sides of the center."""
    width = (ends[1] / ends[0]) ** (1 / 6)
    return max(center / width, lower), min(center * width, upper)
