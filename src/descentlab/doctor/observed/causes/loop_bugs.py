"""Mistakes in the loop itself: a wrong index, a wrong shape, gradients kept, or taken row by row.

Each hypothesis is a function of an :class:`Inquiry` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import KINDS, ROWS_VISITED, Guess, Inquiry, printed
from descentlab.doctor.observed.rounding import Floor
from descentlab.messages import sentence
from descentlab.typing import Array


def one_row_cost(case: Inquiry) -> Iterator[Guess]:
    """The error of one row, printed as the cost: an index that does not move."""
    n, seen = case.problem.n, case.seen
    if not case.has_residuals or seen.finite.sum() < 3:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        squares = case.residuals**2
    for times, key in ((1.0, "1"), (0.5, "1/2"), (n, "n"), (n / 2, "n/2"), (1 / n, "1/n"), (0.5 / n, "1/(2n)")):
        for shift in seen.shifts:
            with np.errstate(over="ignore", invalid="ignore"):
                at = seen.at(squares, shift) * times
                close = seen.fits(at, 1e-5 * at).all(axis=0)
            for row in np.flatnonzero(close)[:1].tolist():
                words = "observed.one_row_cost" if times == 1 else "observed.one_row_cost_times"
                said = sentence(words, row=row + 1, rows=n, **({} if times == 1 else {"times": key}))
                evidence = {"row": row + 1, "times": key}
                advice = sentence("advice.one_row_cost")
                form = partial(np.multiply, times)
                losses = squares[:, row]
                yield Guess("one_row_cost", form(losses), said, advice, evidence, losses, form, among=12 * n)


def broadcasting(case: Inquiry) -> Iterator[Guess]:
    """Shapes (n,) against (n, 1): every prediction against every target, so that the mean of y is fitted.

    ``mean over i, j of (h_i - y_j)^2 = mean over i of (h_i - mean y)^2 + var y``; a sum has n times the gradient.
    """
    problem, descent = case.problem, case.descent
    if not case.settled or problem.weight != problem.n:
        return
    mean, spread = float(problem.factor.means[-1]), float(problem.factor.deviations[-1])
    target = np.zeros_like(problem.quadratic.t)
    target[0] = mean * np.sqrt(problem.weight)  # the column of ones is sqrt(n) in the triangle's first row
    times = problem.n if descent.reduction in ("sum", "half_sum") else 1
    params = simulation.mistaken(problem, replace(descent, lr=descent.lr * times), case.seen.updates, target=target)
    with np.errstate(over="ignore", invalid="ignore"):
        costs = times * (np.sum((params @ problem.quadratic.A.T - target) ** 2, axis=1) / problem.weight + spread**2)
    said = sentence("observed.broadcasting", rows=problem.n, target=problem.target, mean=mean)
    advice = sentence("advice.broadcasting")
    yield case.guess("broadcasting", costs, said, advice, {"mean": mean, "variance": spread**2})


def forgotten_zero_grad(case: Inquiry) -> Iterator[Guess]:
    """Gradients that add up."""
    if not case.settled:
        return
    problem, descent, updates = case.problem, case.descent, case.seen.updates
    params = simulation.mistaken(problem, descent, updates, kept=True)
    floor = Floor.of(problem, replace(descent, zero_grad=False), updates, params)  # nothing that was rounded shrinks
    said, advice = sentence("observed.forgotten_zero_grad"), sentence("advice.zero_grad")
    yield case.guess("forgotten_zero_grad", case.cost(params), said, advice, {}, floor=floor)


def per_sample_updates(case: Inquiry) -> Iterator[Guess]:
    """An update after every row, and the cost of all rows, or the mean of what each row had, printed at the end."""
    problem, descent, seen = case.problem, case.descent, case.seen
    most = int(seen.updates[-1])
    usable = case.settled and not descent.momentum and problem.has_rows and problem.weight == problem.n
    if not usable or problem.n * most > ROWS_VISITED or problem.n == 1:
        return
    costs, running = np.full((2, most + 1), np.inf)
    start = problem.start(descent.start)
    costs[0] = running[0] = problem.quadratic.cost(start)
    first = int(seen.epochs[np.argmax(seen.finite)])
    for epoch, (params, mean) in enumerate(simulation.row_by_row(problem, descent), 1):
        costs[epoch], running[epoch] = case.cost(params[None])[0], mean
        if epoch == most or not np.isfinite(params).all():
            break
        if epoch == max(first + max(seen.shifts), 2) and not _so_far(case, costs, running, first):
            return
    said, advice = sentence("observed.per_sample_updates", rows=problem.n), sentence("advice.per_sample_updates")
    for kind, values in (("cost", costs[seen.updates]), ("running", running[seen.updates])):
        yield case.guess("per_sample_updates", values, said, advice, {"printed": kind})


def _so_far(case: Inquiry, costs: Array, running: Array, first: int) -> bool:
    """Whether the first number seen is still possible, in any of the usual ways to print it."""
    value = case.seen.losses.values[np.argmax(case.seen.finite)]
    half = case.seen.losses.halves[np.argmax(case.seen.finite)]
    for shift in case.seen.shifts:
        for predicted in (costs[first + shift], running[first + shift]):
            ways = [printed(kind, predicted, case.problem.weight) for kind in KINDS]
            if any(abs(value - way) <= half + 1e-4 * way for way in ways):
                return True
    return False
