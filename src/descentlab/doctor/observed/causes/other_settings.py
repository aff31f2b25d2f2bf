"""Descents that are right as such, and not those that were stated: momentum, decay, a bias, columns that were scaled.

Each hypothesis is a function of an :class:`Inquiry` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import ROWS_VISITED, Guess, Inquiry
from descentlab.doctor.observed.rounding import Floor
from descentlab.messages import Sentence, sentence
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

MOMENTUMS = (0.9, 0.99, 0.95, 0.5)
DECAYS = (0.1, 0.01, 1e-3, 5e-4, 1e-4)


def momentum_acts(case: Inquiry) -> Iterator[Guess]:
    """Momentum though none was stated, or another one, or none."""
    descent = case.descent
    if not case.settled:
        return
    stated = (descent.momentum, descent.nesterov)
    for mu, nesterov in ((0.0, False), *((mu, each) for each in (False, True) for mu in MOMENTUMS)):
        if (mu, nesterov) == stated:
            continue
        changed = replace(descent, momentum=mu, nesterov=nesterov, dampening=0.0 if nesterov else descent.dampening)
        words = "observed.nesterov_acts" if nesterov else "observed.momentum_acts"
        said = sentence(words, acting=mu, stated=descent.momentum)
        evidence = {"momentum": mu, "nesterov": nesterov}
        yield _guess(case, "momentum_acts", case.problem, changed, said, sentence("advice.momentum_acts"), evidence)


def decay_acts(case: Inquiry) -> Iterator[Guess]:
    """Weight decay though none was stated, or another one, or none."""
    descent = case.descent
    if not case.settled:
        return
    for decay in (0.0, *DECAYS):
        if decay != descent.weight_decay:
            said = sentence("observed.decay_acts", acting=decay, stated=descent.weight_decay)
            changed, advice = replace(descent, weight_decay=decay), sentence("advice.decay_acts")
            yield _guess(case, "decay_acts", case.problem, changed, said, advice, {"weight_decay": decay})


def bias_added(case: Inquiry) -> Iterator[Guess]:
    """A bias, starting from 0, though none was stated."""
    problem, descent = case.problem, case.descent
    if problem.bias or problem.standardize or not case.settled:
        return
    start = None if descent.start is None else np.append(problem.start(descent.start), 0.0)
    said, advice = sentence("observed.bias_added"), sentence("advice.bias_added")
    yield _guess(case, "bias_added", problem.variant(bias=True), replace(descent, start=start), said, advice, {})


def scaled_columns(case: Inquiry) -> Iterator[Guess]:
    """Columns, or the target, or both, centred or scaled before the loop, though the problem has them as they are."""
    problem = case.problem
    if problem.center or problem.standardize or not case.settled:
        return
    for kind, means, scales in _scalings(problem):
        for parts in ("scaled_features", "scaled_target", "scaled_both"):
            chosen = np.full(len(scales), parts != "scaled_target")
            chosen[-1] = parts != "scaled_features"
            moved = replace(problem.factor, origin=problem.factor.origin - np.where(chosen, means, 0.0))
            scaled = Problem(
                moved.scale(np.where(chosen, scales, 1.0)),
                features=problem.features,
                target=problem.target,
                bias=problem.bias,
                ridge=problem.ridge,
            )
            said = sentence(f"observed.{parts}", how=sentence(f"scaling.{kind}"))
            evidence, advice = (
                {"scaling": kind, "columns": parts.removeprefix("scaled_")},
                sentence("advice.scaled_columns"),
            )
            yield _guess(case, "scaled_columns", scaled, case.descent, said, advice, evidence)


def _scalings(problem: Problem) -> Iterator[tuple[str, Array, Array]]:
    """The usual scalings by name: what is subtracted from the columns, features then target, and what divides them."""
    factor = problem.factor
    means, spread, ones = factor.means, factor.deviations, np.ones(len(factor.means))
    if factor.constant.any():
        return
    yield "centered", means, ones
    yield "standardized", means, spread
    if problem.weight == problem.n > 1:
        yield "standardized_sample", means, spread * np.sqrt(problem.n / (problem.n - 1))
    if problem.has_rows and problem.n <= ROWS_VISITED:
        rows = problem.rows()
        table = np.column_stack([rows.X, rows.y])
        yield "min_max", table.min(axis=0), np.ptp(table, axis=0)


def _guess(
    case: Inquiry,
    name: str,
    problem: Problem,
    descent: Descent,
    said: Sentence,
    advice: Sentence,
    evidence: Mapping[str, object],
) -> Guess:
    """A guess that another descent, on another problem, was carried out rightly."""
    updates = case.seen.updates
    params = simulation.stated(problem, descent, updates)
    costs = np.nan_to_num(problem.quadratic.cost(params), nan=np.inf, posinf=np.inf)
    goal, floor = Theory(problem, descent).least_cost, Floor.of(problem, descent, updates, params)
    return case.guess(name, costs, said, advice, evidence, goal=goal, floor=floor)
