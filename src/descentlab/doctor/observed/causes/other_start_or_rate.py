"""What may have gone wrong around a descent: weights left over, another rate, another start.

Each hypothesis is a function of an :class:`ObservedComparison` that yields guesses, simulated exactly, to be held
against what was observed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.descent.reductions import gradient_scale
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import DEFAULT_ALTERNATIVES, Hypothesis, ObservedComparison
from descentlab.doctor.observed.losses import STRICT_RTOL_RANGE
from descentlab.doctor.observed.rounding import RoundingFloor
from descentlab.messages import message, pluralize
from descentlab.typing import FloatArray

MAX_EARLIER_UPDATES = 20_000  # updates of an earlier run among which a later start is looked for
MIN_LOSSES_FOR_RATE = 4  # numbers from which a rate may be solved for
RATE_BISECTIONS = 40  # as many digits of a rate as any loss can tell


def resumed_weights(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Weights left over from an earlier run: the numbers go on where that one had come to."""
    if not comparison.has_closed_form:
        return
    updates = comparison.observed.updates
    runs = dict.fromkeys((comparison.descent.epochs * times for times in (1, 2, 3)), DEFAULT_ALTERNATIVES)
    for updates_before, n_alternatives in (
        runs | dict.fromkeys(_possible_offsets(comparison), MAX_EARLIER_UPDATES)
    ).items():
        params = simulation.simulate_descent(comparison.problem, comparison.descent, updates + updates_before)
        floor = RoundingFloor.from_descent(comparison.problem, comparison.descent, updates + updates_before, params)
        explanation = message("observed.stale_weights", updates=pluralize(updates_before, "update"))
        yield comparison.make_hypothesis(
            "stale_weights",
            comparison.compute_costs(params),
            explanation,
            n_alternatives=n_alternatives,
            common_limit=comparison.theory.least_cost,
            floor=floor,
            updates_before=updates_before,
        )


def _possible_offsets(comparison: ObservedComparison) -> Iterator[int]:
    """After how many updates the first number seen would be printed."""
    observed = comparison.observed
    if not observed.is_finite[0] or observed.is_finite.sum() < 3:
        return
    max_updates = min(max(10 * comparison.descent.epochs, 1000), MAX_EARLIER_UPDATES)
    losses = comparison.in_user_reduction(
        comparison.compute_costs(
            simulation.simulate_descent(comparison.problem, comparison.descent, np.arange(1, max_updates + 1))
        )
    )
    matching_updates = (
        np.flatnonzero(np.abs(losses - observed.losses.values[0]) <= observed.losses.half_ulps[0] + 1e-5 * losses) + 1
    )
    yield from (int(update - observed.updates[0]) for update in matching_updates[:8] if update > observed.updates[0])


def different_lr(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Another rate than the one stated: a power of ten off, or whatever the first update tells.

    What it did to the loss is a parabola in the rate, ``J(p - lr g) = J(p) - lr |g|^2 + lr^2 g'H g / 2``, whose two
    roots for the loss seen are narrowed down by the last number.
    """
    if not comparison.has_closed_form or comparison.problem.ridge or comparison.descent.weight_decay:
        return
    stated_lr = comparison.descent.lr
    has_enough = comparison.observed.is_finite.sum() >= MIN_LOSSES_FOR_RATE
    solved_lrs = tuple(_rates_from_first_loss(comparison)) if has_enough else ()
    for lr in (*(stated_lr * 10.0**power for power in (-1, 1, -2, 2, -3, 3)), *solved_lrs):
        if not 0 < lr < np.inf:
            continue
        values = {"acting": f"{lr:.3g}", "lr": stated_lr, "times": lr / stated_lr}
        explanation = message("observed.fitted_rate" if lr in solved_lrs else "observed.another_rate", **values)
        yield comparison.make_hypothesis(
            "another_rate",
            comparison.costs_with(lr=lr),
            explanation,
            advice=message("advice.another_rate_acts"),
            cost_transform=comparison.in_user_reduction,
            n_alternatives=100,
            extra_tolerance=0.5,
            common_limit=comparison.theory.least_cost,
            acting=lr,
            times=lr / stated_lr,
        )


def _rates_from_first_loss(comparison: ObservedComparison) -> Iterator[float]:
    """The rates that give the loss seen after one update."""
    problem, descent, observed = comparison.problem, comparison.descent, comparison.observed
    start, scale = problem.scaled_params(descent.start), comparison.theory.cost_scale
    gradient = problem.quadratic.gradient(start) * gradient_scale(descent.reduction, problem.weight)
    with np.errstate(over="ignore", invalid="ignore"):
        quadratic_coefficient, squared_gradient = (
            scale * float(np.sum((problem.quadratic.A @ gradient) ** 2)) / problem.weight,
            float(gradient @ gradient),
        )
        initial_loss = scale * float(problem.quadratic.cost(start))
    step_multiple = 1 + descent.momentum if descent.nesterov else 1.0
    for offset in observed.update_offsets:
        indices = np.flatnonzero((observed.epochs + offset == 1) & observed.is_finite)
        if not indices.size or not 0 < quadratic_coefficient < np.inf:
            continue
        value, half_ulp = float(observed.losses.values[indices[0]]), float(observed.losses.half_ulps[indices[0]])
        for sign in (-1.0, 1.0):
            lrs = [
                (
                    squared_gradient
                    + sign
                    * np.sqrt(
                        max(
                            squared_gradient * squared_gradient - 4 * quadratic_coefficient * (initial_loss - loss), 0.0
                        )
                    )
                )
                / (2 * quadratic_coefficient * step_multiple)
                for loss in (value - half_ulp, value + half_ulp)
            ]
            if min(lrs) > 0 and max(lrs) < np.inf:
                yield _bisect_rate(comparison, min(lrs), max(lrs), offset)


def _bisect_rate(comparison: ObservedComparison, low: float, high: float, offset: int) -> float:
    """The rate between two at which the last number seen is predicted, by halving, if it lies between."""
    last = int(np.flatnonzero(comparison.observed.is_finite)[-1])
    updates = comparison.observed.epochs[last : last + 1] + offset

    def is_above(lr: float) -> bool:
        losses = comparison.in_user_reduction(
            comparison.compute_costs(
                simulation.simulate_descent(comparison.problem, replace(comparison.descent, lr=lr), updates)
            )
        )
        return bool(losses[0] > comparison.observed.losses.values[last])

    low_is_above = is_above(low)
    if low_is_above == is_above(high):
        return (low + high) / 2
    for _ in range(RATE_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_above(middle) == low_is_above else (low, middle)
    return (low + high) / 2


def different_start(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Another start: with the same features and rate every loss is ``least + sum_i k_i f_i^(2t)``, k_i >= 0.

    Said only if a third more or less of the rate would not fit as well.
    """
    observed = comparison.observed
    fit = _fit_start_energies(comparison) if _can_fit_start(comparison) else None
    if fit is None or any(_matches(comparison, _fit_start_energies(comparison, times)) for times in (0.75, 4 / 3)):
        return
    k, losses = fit
    all_losses = np.zeros(len(observed.updates))
    all_losses[np.searchsorted(observed.updates, observed.epochs + observed.update_offsets[0])] = losses
    start_loss = float(
        comparison.in_user_reduction(
            comparison.problem.quadratic.cost(comparison.problem.scaled_params(comparison.descent.start))
        )
    )
    explanation = message(
        "observed.other_start", seen=float(observed.losses.values[observed.is_finite][0]), start_loss=start_loss
    )
    yield comparison.make_hypothesis(
        "other_start",
        all_losses / comparison.theory.cost_scale,
        explanation,
        cost_transform=comparison.in_user_reduction,
        n_alternatives=100,
        extra_tolerance=1.0,
        common_limit=comparison.theory.least_cost,
        **_describe_start(comparison, k),
    )


def start_can_explain(comparison: ObservedComparison) -> bool:
    """Whether some start explains every number, though it may be that other rates do so as well."""
    return _can_fit_start(comparison) and _matches(comparison, _fit_start_energies(comparison))


def _can_fit_start(comparison: ObservedComparison) -> bool:
    """Whether losses are sums of powers, and there are more of them than powers."""
    sums_powers = comparison.has_closed_form and not (
        comparison.descent.momentum or comparison.problem.ridge or comparison.descent.weight_decay
    )
    return sums_powers and int(comparison.observed.is_finite.sum()) >= comparison.theory.spectrum.rank + 2


def _fit_start_energies(
    comparison: ObservedComparison, lr_multiple: float = 1.0
) -> tuple[FloatArray, FloatArray] | None:
    """The k_i at the first epoch seen that fit best, and the losses (m,) they give; None beyond float64.

    By non-negative least squares (C. Lawson and R. Hanson, *Solving least squares problems*, 1974, ch. 23), relative
    to what each number's rounding allows.

    Args:
        comparison: what is asked about.
        lr_multiple: the rate as a multiple of the one stated.
    """
    from scipy.optimize import nnls

    observed, finite = comparison.observed, comparison.observed.is_finite
    curvatures = comparison.theory.spectrum.eigenvalues[: comparison.theory.spectrum.rank]
    limit_loss = float(comparison.in_user_reduction(np.array(comparison.theory.least_cost)))
    weights = 1 / (observed.losses.half_ulps[finite] + STRICT_RTOL_RANGE[0] * observed.losses.values[finite])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        powers = np.abs(1 - lr_multiple * comparison.descent.lr * curvatures) ** (
            2.0 * (observed.epochs - observed.epochs[0])[:, None]
        )
        columns = powers[finite] * weights[:, None]
        column_scales = columns.max(axis=0, initial=0.0)
        if not np.isfinite(columns).all() or not (column_scales > 0).all() or not column_scales.size:
            return None
        k = nnls(columns / column_scales, (observed.losses.values[finite] - limit_loss) * weights)[0] / column_scales
        return k, powers @ k + limit_loss


def _matches(comparison: ObservedComparison, fit: tuple[FloatArray, FloatArray] | None) -> bool:
    """Whether fitted losses are the numbers seen to twice their rounding."""
    return fit is not None and bool(comparison.observed.matches(fit[1], comparison.observed.losses.half_ulps).all())


def _describe_start(comparison: ObservedComparison, k: FloatArray) -> dict[str, Any]:
    """Where the start lies, as far as losses tell: at which distances along the directions; at which points, if one."""
    distances = np.sqrt(2 * k / comparison.theory.spectrum.eigenvalues[: len(k)])
    description: dict[str, Any] = {"distances": distances.tolist()}
    if len(comparison.problem.parameters) == 1:
        points = [comparison.theory.limit_point + sign * distances for sign in (-1.0, 1.0)]
        description["starts"] = [float(comparison.problem.scaling.to_original(point)[0]) for point in points]
    return description
