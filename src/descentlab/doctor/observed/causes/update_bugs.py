"""Mistakes in the update: a wrong sign, gradients exchanged, an input forgotten, parameters left out or one by one.

All of them are linear, so each is data: :func:`descentlab.doctor.observed.simulation.simulate_linear_bug` simulates it
for any number of epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from descentlab.doctor.observed.comparison import Hypothesis, ObservedComparison, cost_form_message
from descentlab.messages import Message, message


class UpdateBug(NamedTuple):
    """One mistake.

    Attributes:
        name: the name of its finding.
        explanation: the mistake in a sentence.
        simulation: the arguments of :func:`simulate_linear_bug`.
        evidence: the numbers of its finding.
        advice: what to do; None for that of its name.
        reaches_minimum: whether such a loop converges to the minimum of the stated one.
    """

    name: str
    explanation: Message
    simulation: Mapping[str, Any]
    evidence: Mapping[str, Any] = {}
    advice: Message | None = None
    reaches_minimum: bool = False


def update_bugs(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """Every mistake in the update that this problem allows."""
    if not comparison.has_closed_form:
        return
    for bug in _possible_bugs(comparison):
        yield comparison.make_hypothesis(
            bug.name,
            comparison.linear_bug_costs(**bug.simulation),
            bug.explanation,
            advice=bug.advice,
            common_limit=comparison.theory.least_cost if bug.reaches_minimum else 0.0,
            **bug.evidence,
        )


def ascent_with_other_reduction(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The gradient added instead of subtracted, and of another reduction than the stated one."""
    own, weight = comparison.descent.reduction, comparison.problem.weight
    if not comparison.has_closed_form:
        return
    for other in REDUCTIONS:
        times = gradient_scale(other, weight) / gradient_scale(own, weight)
        if times != 1 and np.isfinite(comparison.descent.lr * times):
            names = {"other": cost_form_message(other), "own": cost_form_message(own)}
            yield comparison.make_hypothesis(
                "ascent",
                comparison.linear_bug_costs(gradient_transform=-float(times)),
                message("observed.ascent_other", times=times, **names),
                advice=message("advice.ascent_other"),
                gradient=other,
                times=times,
            )


def _possible_bugs(comparison: ObservedComparison) -> Iterator[UpdateBug]:
    problem, parameters = comparison.problem, comparison.problem.parameters
    if len(parameters) == 2:
        names = dict(zip(("first", "second"), parameters, strict=True))
        swap = {"gradient_transform": np.array([[0.0, 1.0], [1.0, 0.0]])}
        explanation, advice = (message(f"{kind}.swapped_gradients", **names) for kind in ("observed", "advice"))
        yield UpdateBug("swapped_gradients", explanation, swap, advice=advice)
    yield UpdateBug("ascent", message("observed.ascent"), {"gradient_transform": -1.0})
    yield from _sequential_bugs(comparison)
    yield from _frozen_bugs(comparison)
    residual_map = problem.quadratic.A.T.copy()
    residual_map[: len(problem.features)] = 0.0
    residual_map[: len(problem.features), 0] = np.sqrt(
        problem.weight
    )  # the column of ones, in the triangle's first row
    yield UpdateBug("input_missing", message("observed.input_missing"), {"residual_map": residual_map})


def _sequential_bugs(comparison: ObservedComparison) -> Iterator[UpdateBug]:
    """Parameters updated before the gradients of the others are taken."""
    p, descent = len(comparison.problem.parameters), comparison.descent
    if descent.momentum or descent.weight_decay or p < 2:
        return
    weights, last, orders = list(range(p - 1)), [p - 1], {}
    if comparison.problem.bias:
        orders = {"weights_first": [weights, last], "bias_first": [last, weights]}
    if len(comparison.problem.features) > 1:
        orders["one_by_one"] = [[j] for j in range(p)]
    for kind, order in orders.items():
        explanation = message(f"observed.sequential_{kind}", last=comparison.problem.parameters[-1])
        simulation = {"update_order": order}
        yield UpdateBug("sequential_updates", explanation, simulation, {"order": kind}, reaches_minimum=True)


def _frozen_bugs(comparison: ObservedComparison) -> Iterator[UpdateBug]:
    """The bias left where it was, or missing; or only the bias updated."""
    problem, descent = comparison.problem, comparison.descent
    if descent.weight_decay or not problem.bias:
        return
    p, start = len(problem.parameters), problem.scaled_params(descent.start)
    only_bias = np.zeros((p, p))
    only_bias[-1, -1] = 1.0
    variants: dict[str, dict[str, Any]] = {
        "bias": {"gradient_transform": np.eye(p) - only_bias},
        "weights": {"gradient_transform": only_bias},
    }
    if start[-1]:
        without = problem.scaling.to_original(np.append(start[:-1], 0.0))
        variants["none"] = variants["bias"] | {"descent": replace(descent, start=without)}
    for kind, simulation in variants.items():
        explanation = message(f"observed.not_updated_{kind}", bias=problem.parameters[-1], value=float(start[-1]))
        yield UpdateBug("not_updated", explanation, simulation, {"parameters": kind})
