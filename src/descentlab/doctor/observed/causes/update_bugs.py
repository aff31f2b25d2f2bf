"""Mistakes in the update: a wrong sign, gradients exchanged, an input forgotten, parameters left out or one by one.

Each hypothesis is a function of an :class:`ObservedComparison` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`. All of them are linear, so they are simulated at any
length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import Hypothesis, ObservedComparison
from descentlab.messages import message


def swapped_gradients(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The gradients of W and b exchanged."""
    if not comparison.has_closed_form or len(comparison.problem.parameters) != 2:
        return
    a, b = comparison.problem.parameters
    costs = comparison.compute_costs(
        simulation.simulate_linear_bug(
            comparison.problem, comparison.descent, comparison.observed.updates, np.array([[0.0, 1.0], [1.0, 0.0]])
        )
    )
    explanation = message("observed.swapped_gradients", first=a, second=b)
    yield comparison.make_hypothesis(
        "swapped_gradients", costs, explanation, message("advice.swapped_gradients", first=a, second=b), {}
    )


def ascent(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The gradient added instead of subtracted."""
    if not comparison.has_closed_form:
        return
    costs = comparison.compute_costs(
        simulation.simulate_linear_bug(comparison.problem, comparison.descent, comparison.observed.updates, -1.0)
    )
    yield comparison.make_hypothesis("ascent", costs, message("observed.ascent"), message("advice.ascent"), {})


def sequential_updates(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Parameters updated before the gradients of the others are taken."""
    p, descent = len(comparison.problem.parameters), comparison.descent
    if not comparison.has_closed_form or descent.momentum or descent.weight_decay or p < 2:
        return
    weights, last, orders = list(range(p - 1)), [p - 1], {}
    if comparison.problem.bias:
        orders = {"sequential_weights_first": [weights, last], "sequential_bias_first": [last, weights]}
    if len(comparison.problem.features) > 1:
        orders["sequential_one_by_one"] = [[j] for j in range(p)]
    for kind, order in orders.items():
        costs = comparison.compute_costs(
            simulation.simulate_linear_bug(comparison.problem, descent, comparison.observed.updates, update_order=order)
        )
        explanation = message(f"observed.{kind}", last=comparison.problem.parameters[-1])
        common_limit = comparison.theory.least_cost
        advice, evidence = message("advice.sequential_updates"), {"order": kind.removeprefix("sequential_")}
        yield comparison.make_hypothesis(
            "sequential_updates", costs, explanation, advice, evidence, common_limit=common_limit
        )


def frozen_parameters(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The bias left where it was, or not there at all; or nothing but the bias moved."""
    problem, descent = comparison.problem, comparison.descent
    if not comparison.has_closed_form or descent.weight_decay or not problem.bias:
        return
    p, start = len(problem.parameters), problem.scaled_params(descent.start)
    bias, weights = np.eye(p), np.zeros((p, p))
    bias[-1, -1], weights[-1, -1] = 0.0, 1.0
    without = problem.scaling.to_original(np.append(start[:-1], 0.0))
    variants = [("not_updated_bias", bias, descent), ("not_updated_weights", weights, descent)]
    if start[-1]:
        variants.append(("not_updated_none", bias, replace(descent, start=without)))
    for kind, gradient_transform, changed in variants:
        costs = comparison.compute_costs(
            simulation.simulate_linear_bug(problem, changed, comparison.observed.updates, gradient_transform)
        )
        explanation = message(f"observed.{kind}", bias=problem.parameters[-1], value=float(start[-1]))
        advice, evidence = message("advice.not_updated"), {"parameters": kind.removeprefix("not_updated_")}
        yield comparison.make_hypothesis("not_updated", costs, explanation, advice, evidence)


def gradient_without_x(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The gradient of every weight taken as that of the bias: without x."""
    if not comparison.has_closed_form:
        return
    problem, d = comparison.problem, len(comparison.problem.features)
    residual_map = problem.quadratic.A.T.copy()
    residual_map[:d] = 0.0
    residual_map[:d, 0] = np.sqrt(problem.weight)  # the column of ones, in the triangle's first row
    costs = comparison.compute_costs(
        simulation.simulate_linear_bug(
            problem, comparison.descent, comparison.observed.updates, residual_map=residual_map
        )
    )
    explanation, advice = message("observed.input_missing"), message("advice.input_missing")
    yield comparison.make_hypothesis("input_missing", costs, explanation, advice, {})
