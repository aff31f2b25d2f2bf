"""Descents that are right as such, and not those that were stated: momentum, decay, a bias, columns that were scaled.

Each hypothesis is a function of an :class:`ObservedComparison` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import MAX_ROW_VISITS, Hypothesis, ObservedComparison
from descentlab.doctor.observed.rounding import RoundingFloor
from descentlab.messages import Message, message
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

TRIED_MOMENTUMS = (0.9, 0.99, 0.95, 0.5)
TRIED_WEIGHT_DECAYS = (0.1, 0.01, 1e-3, 5e-4, 1e-4)


def actual_momentum(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Momentum though none was stated, or another one, or none."""
    descent = comparison.descent
    if not comparison.has_closed_form:
        return
    user_settings = (descent.momentum, descent.nesterov)
    for mu, nesterov in ((0.0, False), *((mu, each) for each in (False, True) for mu in TRIED_MOMENTUMS)):
        if (mu, nesterov) == user_settings:
            continue
        changed = replace(descent, momentum=mu, nesterov=nesterov, dampening=0.0 if nesterov else descent.dampening)
        key = "observed.nesterov_acts" if nesterov else "observed.momentum_acts"
        explanation = message(key, acting=mu, stated=descent.momentum)
        yield _hypothesis_from_descent(
            comparison, "momentum_acts", comparison.problem, changed, explanation, momentum=mu, nesterov=nesterov
        )


def actual_weight_decay(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Weight decay though none was stated, or another one, or none."""
    descent = comparison.descent
    if not comparison.has_closed_form:
        return
    for weight_decay in (0.0, *TRIED_WEIGHT_DECAYS):
        if weight_decay != descent.weight_decay:
            explanation = message("observed.decay_acts", acting=weight_decay, stated=descent.weight_decay)
            changed = replace(descent, weight_decay=weight_decay)
            yield _hypothesis_from_descent(
                comparison, "decay_acts", comparison.problem, changed, explanation, weight_decay=weight_decay
            )


def extra_bias(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """A bias, starting from 0, though none was stated."""
    problem, descent = comparison.problem, comparison.descent
    if problem.bias or problem.standardize or not comparison.has_closed_form:
        return
    start = None if descent.start is None else np.append(problem.scaled_params(descent.start), 0.0)
    changed, with_bias = replace(descent, start=start), problem.with_changes(bias=True)
    yield _hypothesis_from_descent(comparison, "bias_added", with_bias, changed, message("observed.bias_added"))


def scaled_data(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Columns, or the target, or both, centered or scaled before the loop, though the problem has them as they are."""
    problem = comparison.problem
    if problem.center or problem.standardize or not comparison.has_closed_form:
        return
    for scaling, means, scales in _usual_scalings(problem):
        for columns_key in ("scaled_features", "scaled_target", "scaled_both"):
            is_scaled = np.full(len(scales), columns_key != "scaled_target")
            is_scaled[-1] = columns_key != "scaled_features"
            shifted = replace(problem.factor, origin=problem.factor.origin - np.where(is_scaled, means, 0.0))
            scaled = Problem(
                shifted.scale(np.where(is_scaled, scales, 1.0)),
                features=problem.features,
                target=problem.target,
                bias=problem.bias,
                ridge=problem.ridge,
            )
            explanation = message(f"observed.{columns_key}", how=message(f"scaling.{scaling}"))
            evidence = {"scaling": scaling, "columns": columns_key.removeprefix("scaled_")}
            yield _hypothesis_from_descent(
                comparison, "scaled_columns", scaled, comparison.descent, explanation, **evidence
            )


def _usual_scalings(problem: Problem) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """The usual scalings by name: what is subtracted from the columns, features then target, and what divides them."""
    factor = problem.factor
    means, std, ones = factor.means, factor.std, np.ones(len(factor.means))
    if factor.is_constant.any():
        return
    yield "centered", means, ones
    yield "standardized", means, std
    if problem.weight == problem.n > 1:
        yield "standardized_sample", means, std * np.sqrt(problem.n / (problem.n - 1))
    if problem.has_rows and problem.n <= MAX_ROW_VISITS:
        rows = problem.rows()
        table = np.column_stack([rows.X, rows.y])
        yield "min_max", table.min(axis=0), np.ptp(table, axis=0)


def _hypothesis_from_descent(
    comparison: ObservedComparison,
    name: str,
    problem: Problem,
    descent: Descent,
    explanation: Message,
    **evidence: Any,
) -> Hypothesis:
    """The hypothesis that another descent, on another problem, was run without a mistake."""
    updates = comparison.observed.updates
    params = simulation.simulate_descent(problem, descent, updates)
    costs = np.nan_to_num(problem.quadratic.cost(params), nan=np.inf, posinf=np.inf)
    floor = RoundingFloor.from_descent(problem, descent, updates, params)
    limit = FullBatchTheory(problem, descent).least_cost
    return comparison.make_hypothesis(name, costs, explanation, common_limit=limit, floor=floor, **evidence)
