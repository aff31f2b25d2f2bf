"""Mistakes in the loop itself: a wrong index, a wrong shape, gradients kept, or taken row by row.

Each hypothesis is a function of an :class:`ObservedComparison` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import (
    COST_FORMS,
    MAX_ROW_VISITS,
    Hypothesis,
    ObservedComparison,
    apply_cost_form,
)
from descentlab.doctor.observed.rounding import RoundingFloor
from descentlab.messages import message
from descentlab.typing import FloatArray


def one_row_cost(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The error of one row, printed as the cost: an index that does not move."""
    n_rows, observed = comparison.problem.n, comparison.observed
    if not comparison.has_residuals or observed.is_finite.sum() < 3:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        squares = comparison.residuals**2
    multiples = {"1": 1.0, "1/2": 0.5, "n": n_rows, "n/2": n_rows / 2, "1/n": 1 / n_rows, "1/(2n)": 0.5 / n_rows}
    for multiple_text, multiple in multiples.items():
        for offset in observed.update_offsets:
            with np.errstate(over="ignore", invalid="ignore"):
                predicted = observed.predictions_at(squares, offset) * multiple
                matching = observed.matches(predicted, 1e-5 * predicted).all(axis=0)
            for row in np.flatnonzero(matching)[:1].tolist():
                key = f"observed.one_row_cost{'' if multiple == 1 else '_times'}"
                explanation = message(key, row=row + 1, rows=n_rows, times=multiple_text)
                evidence = {"row": row + 1, "times": multiple_text}
                advice = message("advice.one_row_cost")
                cost_transform = partial(np.multiply, multiple)
                losses = squares[:, row]
                yield Hypothesis(
                    "one_row_cost",
                    cost_transform(losses),
                    explanation,
                    advice,
                    evidence,
                    losses,
                    cost_transform,
                    n_alternatives=12 * n_rows,
                )


def broadcasting(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Shapes (n,) against (n, 1): every prediction against every target, so that the mean of y is fitted.

    ``mean over i, j of (h_i - y_j)^2 = mean over i of (h_i - mean y)^2 + var y``; a sum has n times the gradient.
    """
    problem, descent = comparison.problem, comparison.descent
    if not comparison.has_closed_form or problem.weight != problem.n:
        return
    mean, std = float(problem.factor.means[-1]), float(problem.factor.std[-1])
    target = np.zeros_like(problem.quadratic.t)
    target[0] = mean * np.sqrt(problem.weight)  # the column of ones is sqrt(n) in the triangle's first row
    lr_multiple = problem.n if descent.reduction in ("sum", "half_sum") else 1
    params = simulation.simulate_linear_bug(
        problem, replace(descent, lr=descent.lr * lr_multiple), comparison.observed.updates, target=target
    )
    with np.errstate(over="ignore", invalid="ignore"):
        costs = lr_multiple * (np.sum((params @ problem.quadratic.A.T - target) ** 2, axis=1) / problem.weight + std**2)
    explanation = message("observed.broadcasting", rows=problem.n, target=problem.target, mean=mean)
    yield comparison.make_hypothesis("broadcasting", costs, explanation, mean=mean, variance=std**2)


def forgotten_zero_grad(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Gradients that add up."""
    if not comparison.has_closed_form:
        return
    problem, descent, updates = comparison.problem, comparison.descent, comparison.observed.updates
    params = simulation.simulate_linear_bug(problem, descent, updates, accumulate=True)
    floor = RoundingFloor.from_descent(
        problem, replace(descent, zero_grad=False), updates, params
    )  # nothing that was rounded shrinks
    explanation, advice = message("observed.forgotten_zero_grad"), message("advice.zero_grad")
    costs = comparison.compute_costs(params)
    yield comparison.make_hypothesis("forgotten_zero_grad", costs, explanation, advice=advice, floor=floor)


def per_sample_updates(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """An update after every row, and the cost of all rows, or the mean of what each row had, printed at the end."""
    problem, descent, observed = comparison.problem, comparison.descent, comparison.observed
    last_update = int(observed.updates[-1])
    applies = comparison.has_closed_form and not descent.momentum and problem.has_rows and problem.weight == problem.n
    if not applies or problem.n * last_update > MAX_ROW_VISITS or problem.n == 1:
        return
    costs, running_costs = np.full((2, last_update + 1), np.inf)
    start = problem.scaled_params(descent.start)
    costs[0] = running_costs[0] = problem.quadratic.cost(start)
    first_epoch = int(observed.epochs[np.argmax(observed.is_finite)])
    for epoch, (params, mean) in enumerate(simulation.simulate_per_sample(problem, descent), 1):
        costs[epoch], running_costs[epoch] = comparison.compute_costs(params[None])[0], mean
        if epoch == last_update or not np.isfinite(params).all():
            break
        if epoch == max(first_epoch + max(observed.update_offsets), 2) and not _is_still_possible(
            comparison, costs, running_costs, first_epoch
        ):
            return
    explanation = message("observed.per_sample_updates", rows=problem.n)
    for kind, values in (("cost", costs[observed.updates]), ("running", running_costs[observed.updates])):
        yield comparison.make_hypothesis("per_sample_updates", values, explanation, printed=kind)


def _is_still_possible(
    comparison: ObservedComparison, costs: FloatArray, running_costs: FloatArray, first_epoch: int
) -> bool:
    """Whether the first number seen is still possible, in any of the usual ways to print it."""
    value = comparison.observed.losses.values[np.argmax(comparison.observed.is_finite)]
    half_ulp = comparison.observed.losses.half_ulps[np.argmax(comparison.observed.is_finite)]
    for offset in comparison.observed.update_offsets:
        for predicted in (costs[first_epoch + offset], running_costs[first_epoch + offset]):
            printed_values = [apply_cost_form(kind, predicted, comparison.problem.weight) for kind in COST_FORMS]
            if any(abs(value - way) <= half_ulp + 1e-4 * way for way in printed_values):
                return True
    return False
