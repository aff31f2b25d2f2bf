"""What a descent will do: the verdict, and the numbers that it rests on, before any of it is run.

Full-batch SGD at a constant rate has a closed form. A schedule, another optimizer, or gradients that
add up with momentum are simulated on the factor, where an epoch costs the same for any number of rows. Mini-batches
are beyond full-batch theory, and too many epochs are not simulated to the end: the verdict says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.residual_polynomial import FACTOR_TOLERANCE
from descentlab.engines import Engine, Snapshots, make_engine
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.overflow import FLOAT_TYPES, OVERFLOW_QUANTITIES, Overflow, overflow_updates
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray, IntArray

LOG_NEGLIGIBLE_FACTOR = (
    -20.0
)  # a direction whose error an epoch multiplies by less than exp of this swings no more that anyone sees
CURVE_POINTS = 160  # points of a predicted curve
MAX_SIMULATED_UPDATES = 100_000  # updates that are walked one by one: some seconds
MIN_TREND_UPDATES = 16  # updates from which an optimizer whose steps have a size of their own can be said to run away


class Verdict(StrEnum):
    """What becomes of a run."""

    DIVERGES = "diverges"
    TOO_SLOW = "too slow"
    MONOTONE = "converges-monotone"
    OSCILLATING = "converges-oscillating"
    UNKNOWN = "cannot tell"

    @property
    def converges(self) -> bool:
        return self in (Verdict.MONOTONE, Verdict.OSCILLATING)

    @property
    def fails(self) -> bool:
        """Whether the run will not be at the minimum."""
        return self in (Verdict.DIVERGES, Verdict.TOO_SLOW)


@dataclass(frozen=True, eq=False)
class Curve:
    """The mean squared error after some numbers of updates; inf beyond the range of float64."""

    updates: IntArray
    cost: FloatArray


@dataclass(frozen=True, eq=False)
class Forecast:
    """What will become of one descent.

    Attributes:
        verdict: in a word.
        oscillates: whether errors change sides on their way; None where that is not known.
        epochs_to_tolerance: the number of updates from which on it stays at its aim; None for never, or not within
            the epochs asked for where the descent had to be walked.
        epochs_to_coefficients: the same for every coefficient.
        params: (p,) after its last update, in the data's units; None where that is not known or no number.
        cost: the mean squared error there.
        converged_at_end: whether it is then at its aim.
        coefficients_converged_at_end: whether every coefficient is.
        overflow: after how many updates which quantity leaves the range of which type, however late.
        curve: the predicted cost.
        closed_form: whether all this comes without a single step.
        simulated_updates: the updates that were walked, if fewer than were asked for.
    """

    verdict: Verdict
    oscillates: bool | None = None
    epochs_to_tolerance: int | None = None
    epochs_to_coefficients: int | None = None
    params: FloatArray | None = None
    cost: float | None = None
    converged_at_end: bool | None = None
    coefficients_converged_at_end: bool | None = None
    overflow: Overflow | None = None
    curve: Curve | None = None
    closed_form: bool = False
    simulated_updates: int | None = None


def forecast(theory: FullBatchTheory, criterion: ConvergenceCriterion, within: float) -> Forecast:
    """What will become of the descent that a theory is about."""
    descent, problem = theory.descent, theory.problem
    if descent.batch_size is not None:
        return Forecast(Verdict.UNKNOWN)
    if descent.has_closed_form and descent.schedule is None:
        return _forecast_closed_form(theory, criterion, within)
    engine = make_engine("exact" if descent.has_closed_form else "replay", problem, descent)
    if engine.random_access or descent.epochs <= MAX_SIMULATED_UPDATES:
        return _forecast_by_simulation(theory, engine, within)
    shortened = replace(theory, descent=replace(descent, epochs=MAX_SIMULATED_UPDATES))
    partial = _forecast_by_simulation(shortened, engine, within)
    if partial.verdict is Verdict.DIVERGES:
        return partial
    return replace(
        partial,
        verdict=Verdict.UNKNOWN,
        epochs_to_tolerance=None,
        epochs_to_coefficients=None,
        converged_at_end=None,
        coefficients_converged_at_end=None,
        simulated_updates=MAX_SIMULATED_UPDATES,
    )


def as_full_batch(problem: Problem, descent: Descent) -> Descent:
    """The descent without its batch size where a batch holds every row once: that is full-batch descent."""
    size = descent.batch_size
    holds_all_rows = size is not None and size >= problem.n and not descent.replacement
    return replace(descent, batch_size=None) if holds_all_rows else descent


def _forecast_closed_form(theory: FullBatchTheory, criterion: ConvergenceCriterion, within: float) -> Forecast:
    descent, for_coefficients = theory.descent, ConvergenceCriterion.for_coefficients(theory, within)
    response = criterion.residual_polynomial(descent.lr, descent.momentum_settings)
    updates = np.array([[descent.epochs]])
    converged, coefficients_converged = (
        not bool(each.is_violated(response.evaluate(updates))[0]) for each in (criterion, for_coefficients)
    )
    # Without swinging it changes sides once at most: where torch does not dampen the first update.
    overshot = ~response.oscillates & (response.evaluate(updates, log_divisor=updates * response.log_modulus) < 0)
    oscillates = bool(((response.oscillates & (response.log_modulus > LOG_NEGLIGIBLE_FACTOR)) | overshot).any())
    epochs_to_tolerance, epochs_to_coefficients = (
        None if theory.diverges else each.epochs_to_tolerance(descent.lr, descent.momentum_settings)
        for each in (criterion, for_coefficients)
    )
    verdict = Verdict.OSCILLATING if oscillates else Verdict.MONOTONE
    if theory.diverges:
        verdict = Verdict.DIVERGES
    elif not converged or epochs_to_tolerance is None:
        verdict = Verdict.TOO_SLOW
    params, cost = _final_state(theory, descent)
    curve_updates = _sample_updates(descent.epochs)
    return Forecast(
        verdict,
        oscillates,
        epochs_to_tolerance,
        epochs_to_coefficients,
        params,
        cost,
        converged,
        coefficients_converged,
        overflow_updates(theory),
        Curve(curve_updates, theory.cost_at(curve_updates)),
        closed_form=True,
    )


def _final_state(theory: FullBatchTheory, descent: Descent) -> tuple[FloatArray | None, float | None]:
    """Parameters in the data's units and the cost after the last update, as the exact engine has them.

    Where only rounding could grow, without it.
    """
    if theory.unstable and not theory.diverges:
        last_update = np.array([descent.epochs])
        params = theory.problem.scaling.to_original(theory.params_at(last_update)[0])
        return _finite_or_none(params, float(theory.cost_at(last_update)[0]))
    engine = make_engine("exact", theory.problem, descent)
    engine.initialize(theory.problem, descent)
    snapshots = next(iter(engine.snapshots_at([descent.epochs + 1])))
    with np.errstate(over="ignore", invalid="ignore"):
        params = theory.problem.scaling.to_original(snapshots.params[0])
    return _finite_or_none(params, float(snapshots.cost[0]))


def _finite_or_none(params: FloatArray, cost: float) -> tuple[FloatArray | None, float | None]:
    return params if np.isfinite(params).all() else None, cost if math.isfinite(cost) else None


def _sample_updates(epochs: int) -> IntArray:
    """Numbers of updates from 0 to ``epochs``: each at first, then evenly spread by their logarithm."""
    spread = np.round(np.geomspace(1, epochs, CURVE_POINTS)).astype(np.int64)
    dense = np.arange(min(CURVE_POINTS // 4, epochs) + 1)
    return np.union1d(dense, spread)


def _forecast_by_simulation(theory: FullBatchTheory, engine: Engine, within: float) -> Forecast:
    """A descent without closed form, walked on the factor to its last update."""
    problem, descent = theory.problem, theory.descent
    engine.initialize(problem, descent)
    updates = _sample_updates(descent.epochs)
    costs, last_violations, updates_done = [], [-1, -1], 0  # of the tolerance, and of that of the coefficients
    overflows: Overflow = {kind: dict.fromkeys(OVERFLOW_QUANTITIES) for kind in FLOAT_TYPES}
    cost_rose, previous_cost, snapshots = False, math.inf, None
    for snapshots in engine.snapshots_at(range(1, descent.epochs + 2)):
        for i, is_converged in enumerate((theory.is_converged, theory.are_coefficients_converged)):
            violations = np.flatnonzero(~is_converged(snapshots.params, within))
            last_violations[i] = updates_done + int(violations[-1]) if violations.size else last_violations[i]
        curve_indices = (
            updates[(updates >= updates_done) & (updates < updates_done + len(snapshots.cost))] - updates_done
        )
        costs.append(snapshots.cost[curve_indices])
        cost_rose |= bool((snapshots.cost > np.append(previous_cost, snapshots.cost[:-1]) * (1 + 1e-12)).any())
        previous_cost = float(snapshots.cost[-1])
        _record_overflow(overflows, theory, snapshots, updates_done)
        updates_done += len(snapshots.cost)
        if not math.isfinite(previous_cost):
            break
    assert snapshots is not None
    curve = Curve(
        updates[: sum(map(len, costs))], np.where(np.isnan(np.concatenate(costs)), np.inf, np.concatenate(costs))
    )
    converged, coefficients_converged = (last < updates_done - 1 for last in last_violations)
    with np.errstate(over="ignore", invalid="ignore"):
        params, cost = _finite_or_none(problem.scaling.to_original(snapshots.params[-1]), float(snapshots.cost[-1]))
    accumulated_factor = theory.accumulated_gradient_factor
    if cost is None or (
        accumulated_factor > 1 + FACTOR_TOLERANCE
        if accumulated_factor
        else not converged and _is_diverging(theory, curve)
    ):
        verdict = Verdict.DIVERGES
    elif not converged or accumulated_factor > 1 - FACTOR_TOLERANCE:
        verdict = Verdict.TOO_SLOW
    else:
        verdict = Verdict.OSCILLATING if cost_rose else Verdict.MONOTONE
    epochs_to_tolerance, epochs_to_coefficients = (
        last + 1 if last < updates_done - 1 and not accumulated_factor > 1 - FACTOR_TOLERANCE else None
        for last in last_violations
    )
    return Forecast(
        verdict,
        cost_rose,
        epochs_to_tolerance,
        epochs_to_coefficients,
        params,
        cost,
        converged,
        coefficients_converged if theory.knows_limit else None,
        overflows,
        curve,
    )


def _is_diverging(theory: FullBatchTheory, curve: Curve) -> bool:
    """Whether the cost ends as high as it ever was, above that of the start and of zero parameters.

    An optimizer whose steps do not shrink with the gradient may pass the minimum and turn: there it has to have risen
    for a while, and to have doubled meanwhile.
    """
    problem, descent = theory.problem, theory.descent
    reference_cost = max(float(curve.cost[0]), float(problem.quadratic.cost(np.zeros(len(problem.parameters)))))
    last_cost, later_costs = float(curve.cost[-1]), curve.cost[len(curve.cost) // 2 :]
    if not last_cost > reference_cost or last_cost < later_costs.max() * (1 - 1e-9):
        return False
    return descent.is_sgd or (
        descent.epochs >= MIN_TREND_UPDATES and last_cost > 2 * float(later_costs[0]) and last_cost > 2 * reference_cost
    )


def _record_overflow(overflows: Overflow, theory: FullBatchTheory, snapshots: Snapshots, updates_done: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.abs(theory.problem.scaling.to_original(snapshots.params)).max(axis=1)
    for dtype in FLOAT_TYPES:
        max_value = float(np.finfo(dtype).max)
        for name, values in (
            ("weights", weights),
            ("gradient", snapshots.gradient_norm),
            ("cost", theory.cost_scale * snapshots.cost),
        ):
            exceeded = np.flatnonzero(~(values <= max_value))
            if exceeded.size and overflows[dtype][name] is None:
                overflows[dtype][name] = updates_done + int(exceeded[0])
