"""Conventions mistaken for each other: what is printed of a right descent, and whose gradient it takes.

Each hypothesis is a function of an :class:`Inquiry` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from descentlab.descent.reductions import CONVENTIONS, gradient_factor
from descentlab.doctor.observed.comparison import KINDS, Guess, Inquiry, named, printed
from descentlab.messages import sentence
from descentlab.typing import Array


def printed_convention(case: Inquiry) -> Iterator[Guess]:
    """The right descent, another number printed of it."""
    own = case.descent.reduction
    forms = {kind: partial(printed, kind, weight=case.problem.weight) for kind in KINDS if kind != own}
    kinds: dict[str, tuple[Array, Callable[[Array], Array]]] = {}
    kinds |= {kind: (form(case.costs), form) for kind, form in forms.items()}
    if case.has_residuals:
        absolute = np.average(np.abs(case.residuals), axis=1, weights=case.problem.rows().weights)
        kinds["mean_absolute"] = absolute, partial(printed, "root", weight=case.problem.weight)  # rounded like that
    if case.problem.ridge:
        kinds["with_ridge"] = case.own(case.problem.quadratic.objective(case.params)), case.own
    for kind, (losses, form) in kinds.items():
        said = sentence("observed.printed_convention", kind=named(kind), own=named(own))
        advice = sentence("advice.printed_convention", kind=named(kind))
        yield Guess("printed_convention", losses, said, advice, {"printed": kind}, case.costs, form)


def printed_multiple(case: Inquiry) -> Iterator[Guess]:
    """The right descent, printed with some factor before it."""
    for ratio in _constant_ratios(case):
        said = sentence("observed.printed_multiple", ratio=ratio, own=named(case.descent.reduction))
        advice, evidence = sentence("advice.printed_multiple"), {"printed": "multiple", "ratio": ratio}
        form = partial(_multiple, case, ratio)
        yield Guess("printed_convention", form(case.costs), said, advice, evidence, case.costs, form)


def _multiple(case: Inquiry, ratio: float, costs: Array) -> Array:
    return ratio * case.own(costs)


def _constant_ratios(case: Inquiry) -> Iterator[float]:
    """What three or more differing numbers all are of the predicted ones, in the middle of what rounding allows."""
    values, halves = case.seen.losses
    for shift in case.seen.shifts:
        at = case.seen.at(case.losses, shift)
        usable = case.seen.finite & np.isfinite(at) & (at > 0)
        if usable.sum() < 3 or np.ptp(at[usable]) < 0.1 * at[usable].max():
            continue
        at, v, h = at[usable], values[usable], halves[usable]
        low, high = float(((v - h) / at).max()), float(((v + h) / at).min())
        yield (low + high) / 2


def gradient_convention(case: Inquiry) -> Iterator[Guess]:
    """The gradient of another reduction: the rate times n, 2, or a half."""
    own, n = case.descent.reduction, case.problem.weight
    for other in CONVENTIONS:
        if other == own or not case.repeatable:
            continue
        times = gradient_factor(other, n) / gradient_factor(own, n)
        if not 0 < case.descent.lr * times < np.inf:
            continue
        costs = case.stated(lr=case.descent.lr * times)
        acting = case.descent.lr * times
        said = sentence("observed.gradient_convention", other=named(other), own=named(own), times=times, acting=acting)
        advice = sentence("advice.gradient_convention", other=named(other), own=named(own), lr=case.descent.lr / times)
        evidence, goal = {"gradient": other, "times": times}, case.theory.least_cost
        yield case.guess("gradient_convention", costs, said, advice, evidence, goal=goal)
