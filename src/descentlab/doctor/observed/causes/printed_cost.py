"""Conventions mistaken for each other: what is printed of a right descent, and whose gradient it takes.

Each hypothesis is a function of an :class:`ObservedComparison` that yields guesses, as in
:mod:`descentlab.doctor.observed.causes.other_start_or_rate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from descentlab.doctor.observed.comparison import (
    COST_FORMS,
    Hypothesis,
    ObservedComparison,
    apply_cost_form,
    cost_form_message,
)
from descentlab.messages import message
from descentlab.typing import FloatArray


def different_printed_reduction(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The right descent, another number printed of it."""
    user_reduction = comparison.descent.reduction
    transforms = {
        kind: partial(apply_cost_form, kind, weight=comparison.problem.weight)
        for kind in COST_FORMS
        if kind != user_reduction
    }
    variants: dict[str, tuple[FloatArray, Callable[[FloatArray], FloatArray]]] = {}
    variants |= {kind: (form(comparison.costs), form) for kind, form in transforms.items()}
    if comparison.has_residuals:
        absolute = np.average(np.abs(comparison.residuals), axis=1, weights=comparison.problem.rows().weights)
        variants["mean_absolute"] = (
            absolute,
            partial(apply_cost_form, "root", weight=comparison.problem.weight),
        )  # rounded like that
    if comparison.problem.ridge:
        variants["with_ridge"] = (
            comparison.in_user_reduction(comparison.problem.quadratic.objective(comparison.params)),
            comparison.in_user_reduction,
        )
    for kind, (losses, form) in variants.items():
        explanation = message(
            "observed.printed_convention", kind=cost_form_message(kind), own=cost_form_message(user_reduction)
        )
        advice = message("advice.printed_convention", kind=cost_form_message(kind))
        yield Hypothesis("printed_convention", losses, explanation, advice, {"printed": kind}, comparison.costs, form)


def scaled_printed_cost(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The right descent, printed with some factor before it."""
    for ratio in _common_ratios(comparison):
        explanation = message(
            "observed.printed_multiple", ratio=ratio, own=cost_form_message(comparison.descent.reduction)
        )
        advice, evidence = message("advice.printed_multiple"), {"printed": "multiple", "ratio": ratio}
        cost_transform = partial(_scaled_costs, comparison, ratio)
        yield Hypothesis(
            "printed_convention",
            cost_transform(comparison.costs),
            explanation,
            advice,
            evidence,
            comparison.costs,
            cost_transform,
        )


def _scaled_costs(comparison: ObservedComparison, ratio: float, costs: FloatArray) -> FloatArray:
    return ratio * comparison.in_user_reduction(costs)


def _common_ratios(comparison: ObservedComparison) -> Iterator[float]:
    """What three or more differing numbers all are of the predicted ones, in the middle of what rounding allows."""
    values, half_ulps = comparison.observed.losses
    for offset in comparison.observed.update_offsets:
        predicted = comparison.observed.predictions_at(comparison.losses, offset)
        usable = comparison.observed.is_finite & np.isfinite(predicted) & (predicted > 0)
        if usable.sum() < 3 or np.ptp(predicted[usable]) < 0.1 * predicted[usable].max():
            continue
        predicted, v, h = predicted[usable], values[usable], half_ulps[usable]
        low, high = float(((v - h) / predicted).max()), float(((v + h) / predicted).min())
        yield (low + high) / 2


def different_gradient_reduction(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """The gradient of another reduction: the rate times n, 2, or a half."""
    user_reduction, weight = comparison.descent.reduction, comparison.problem.weight
    for other in REDUCTIONS:
        if other == user_reduction or not comparison.is_cheap:
            continue
        lr_multiple = gradient_scale(other, weight) / gradient_scale(user_reduction, weight)
        if not 0 < comparison.descent.lr * lr_multiple < np.inf:
            continue
        acting_lr = comparison.descent.lr * lr_multiple
        names = {"other": cost_form_message(other), "own": cost_form_message(user_reduction)}
        yield comparison.make_hypothesis(
            "gradient_convention",
            comparison.costs_with(lr=acting_lr),
            message("observed.gradient_convention", times=lr_multiple, acting=acting_lr, **names),
            advice=message("advice.gradient_convention", lr=comparison.descent.lr / lr_multiple, **names),
            common_limit=comparison.theory.least_cost,
            gradient=other,
            times=lr_multiple,
        )


def averaged_twice(comparison: ObservedComparison) -> Iterator[Hypothesis]:
    """A mean that is divided by the number of rows again, and its gradient with it: the rate divided by that number.

    What is printed is the cost that is averaged twice, or another one.
    """
    weight, stated_lr = comparison.problem.weight, comparison.descent.lr
    if not comparison.is_cheap or weight == 1:
        return
    for once in ("mean", "half_mean"):
        user_scale = gradient_scale(comparison.descent.reduction, weight)
        acting_lr = stated_lr * gradient_scale(once, weight) / weight / user_scale
        if not 0 < acting_lr < np.inf:
            continue
        costs, times = comparison.costs_with(lr=acting_lr), acting_lr / stated_lr
        values = {"once": cost_form_message(once), "rows": weight, "times": times, "acting": acting_lr}
        as_printed = partial(apply_cost_form, f"{once}_twice", weight=weight)
        # Where the gradient alone is averaged twice, any cost may be printed.
        for what, cost_transform in (("averaged_twice", as_printed), ("gradient_averaged_twice", None)):
            hypothesis = comparison.make_hypothesis(
                "averaged_twice",
                costs,
                message(f"observed.{what}", **values),
                cost_transform=cost_transform,
                common_limit=comparison.theory.least_cost,
                acting=acting_lr,
                times=times,
            )
            yield hypothesis if cost_transform is None else replace(hypothesis, losses=cost_transform(costs))
