"""Mistakes in the update: a wrong sign, gradients exchanged, an input forgotten, parameters left out or one by one.

Each hypothesis is a function of an :class:`Inquiry` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`. All of them are linear, so they are simulated at any
length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import Guess, Inquiry
from descentlab.messages import sentence


def swapped_gradients(case: Inquiry) -> Iterator[Guess]:
    """The gradients of W and b exchanged."""
    if not case.settled or len(case.problem.parameters) != 2:
        return
    a, b = case.problem.parameters
    costs = case.cost(
        simulation.mistaken(case.problem, case.descent, case.seen.updates, np.array([[0.0, 1.0], [1.0, 0.0]]))
    )
    said = sentence("observed.swapped_gradients", first=a, second=b)
    yield case.guess("swapped_gradients", costs, said, sentence("advice.swapped_gradients", first=a, second=b), {})


def ascent(case: Inquiry) -> Iterator[Guess]:
    """The gradient added instead of subtracted."""
    if not case.settled:
        return
    costs = case.cost(simulation.mistaken(case.problem, case.descent, case.seen.updates, -1.0))
    yield case.guess("ascent", costs, sentence("observed.ascent"), sentence("advice.ascent"), {})


def sequential_updates(case: Inquiry) -> Iterator[Guess]:
    """Parameters updated before the gradients of the others are taken."""
    p, descent = len(case.problem.parameters), case.descent
    if not case.settled or descent.momentum or descent.weight_decay or p < 2:
        return
    weights, last, orders = list(range(p - 1)), [p - 1], {}
    if case.problem.bias:
        orders = {"sequential_weights_first": [weights, last], "sequential_bias_first": [last, weights]}
    if len(case.problem.features) > 1:
        orders["sequential_one_by_one"] = [[j] for j in range(p)]
    for kind, order in orders.items():
        costs = case.cost(simulation.mistaken(case.problem, descent, case.seen.updates, order=order))
        said = sentence(f"observed.{kind}", last=case.problem.parameters[-1])
        goal = case.theory.least_cost
        advice, evidence = sentence("advice.sequential_updates"), {"order": kind.removeprefix("sequential_")}
        yield case.guess("sequential_updates", costs, said, advice, evidence, goal=goal)


def not_updated(case: Inquiry) -> Iterator[Guess]:
    """The bias left where it was, or not there at all; or nothing but the bias moved."""
    problem, descent = case.problem, case.descent
    if not case.settled or descent.weight_decay or not problem.bias:
        return
    p, start = len(problem.parameters), problem.start(descent.start)
    bias, weights = np.eye(p), np.zeros((p, p))
    bias[-1, -1], weights[-1, -1] = 0.0, 1.0
    without = problem.coordinates.to_units(np.append(start[:-1], 0.0))
    ways = [("not_updated_bias", bias, descent), ("not_updated_weights", weights, descent)]
    if start[-1]:
        ways.append(("not_updated_none", bias, replace(descent, start=without)))
    for kind, turn, stepped in ways:
        costs = case.cost(simulation.mistaken(problem, stepped, case.seen.updates, turn))
        said = sentence(f"observed.{kind}", bias=problem.parameters[-1], value=float(start[-1]))
        advice, evidence = sentence("advice.not_updated"), {"parameters": kind.removeprefix("not_updated_")}
        yield case.guess("not_updated", costs, said, advice, evidence)


def input_missing(case: Inquiry) -> Iterator[Guess]:
    """The gradient of every weight taken as that of the bias: without x."""
    if not case.settled:
        return
    problem, d = case.problem, len(case.problem.features)
    left = problem.quadratic.A.T.copy()
    left[:d] = 0.0
    left[:d, 0] = np.sqrt(problem.weight)  # the column of ones, in the triangle's first row
    costs = case.cost(simulation.mistaken(problem, case.descent, case.seen.updates, left=left))
    said, advice = sentence("observed.input_missing"), sentence("advice.input_missing")
    yield case.guess("input_missing", costs, said, advice, {})
