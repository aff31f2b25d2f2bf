"""Runs that cannot come far enough: rates that decay too soon, and optimizers whose steps have a size of their own.

Plain descent multiplies the error in direction i by ``prod_k (1 - lr_k c_i)``, which the sum of the rates bounds:
where every ``lr_k c_i`` that is still to come is below 1, the product of these factors is at least ``1 - c_i R`` with R
their rates' sum. If even that leaves the run short of its minimum, no number of epochs takes it there.

A step of Adam is the rate times a ratio of averages of the gradient, which is about 1 while a parameter is on its way:
so n steps move it by about n lr. Adagrad divides by the root of the sum of squares so far, and n steps come to about
``lr (1 + 1/sqrt(2) + ... + 1/sqrt(n))``, below ``2 lr sqrt(n)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.schedules import ExponentialLR, ScheduleBase, StepLR
from descentlab.doctor.finding import Finding, problem_finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.run_context import RunContext
from descentlab.messages import Message, format_rounded, message, pluralize
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray

MAX_SUMMED_EPOCHS = 1_000_000  # epochs whose rates are added one by one
MAX_FACTORS = 10_000_000  # factors (epochs by directions) that are multiplied one by one
MIN_MISSING_PART = 0.01  # a way that lacks less than this part of itself has another reason
FLOW_FRACTION = 0.01  # a rate this small needs as large a sum of rates as any smaller one
UNIT_STEP_OPTIMIZERS = ("adam", "adamw", "adamax", "nadam")  # while a gradient keeps its sign and size
DEFAULT_ALPHA = 0.99  # of RMSprop in torch.optim


def short_schedule_findings(context: RunContext) -> Iterator[Finding]:
    """Rates that decay before the run has arrived."""
    theory, forecast = context.theory, context.forecast
    descent = theory.descent
    if forecast.verdict is not Verdict.TOO_SLOW or descent.schedule is None or not descent.is_sgd:
        return
    if descent.effective_momentum >= 1 or descent.epochs > MAX_SUMMED_EPOCHS or not descent.zero_grad:
        return
    criterion = ConvergenceCriterion.from_theory(theory, context.within)
    rates = descent.learning_rates(np.arange(descent.epochs))
    constant = criterion.epochs_to_tolerance(descent.lr, descent.momentum_settings)
    best = context.own_best_rate
    lr, epochs = (descent.lr, constant) if constant is not None else (best.lr, best.epochs) if best else (0.0, None)
    if epochs is None:
        return
    total = descent.lr * getattr(descent.schedule, "total", math.inf)
    never = math.isfinite(total) and not descent.momentum and never_arrives(criterion, rates, total)
    if not (never or (constant is not None and constant <= descent.epochs)):
        return
    numbers: dict[str, Any] = {"sum": float(rates.sum()), "needed": lr * epochs, "constant_lr": lr, "epochs": epochs}
    values = {"schedule": str(descent.schedule), "asked": pluralize(descent.epochs), **numbers}
    messages = [message("finding.short_schedule", **values | {"epochs": pluralize(epochs)})]
    if never:
        messages.append(message("finding.schedule_never", total=total))
        numbers["total"] = total
    yield problem_finding("short_schedule", *messages, advice=_schedule_advice(context, criterion), **numbers)


def never_arrives(criterion: ConvergenceCriterion, rates: FloatArray, total: float) -> bool:
    """Whether no more epochs of this schedule, whose rates add up to ``total``, reach the tolerance: proved."""
    rest, curvature = max(total - float(rates.sum()), 0.0), criterion.curvature
    if rates.size * curvature.size > MAX_FACTORS or (rest * curvature >= 1).any():
        return False
    with np.errstate(under="ignore", over="ignore", invalid="ignore"):
        left = np.prod(1 - rates[:, None] * curvature, axis=0)
        if criterion.squared:
            return bool(np.sum((criterion.contributions * left * (1 - rest * curvature)) ** 2) > 1)
        error = criterion.contributions * left
        return bool((np.abs(error.sum(axis=1)) - (np.abs(error) * rest * curvature).sum(axis=1) > 1).any())


def _schedule_advice(context: RunContext, criterion: ConvergenceCriterion) -> Message:
    """A slower decay whose rates come far enough, if there is one within these epochs, and the best constant rate."""
    descent, best = context.theory.descent, context.own_best_rate
    small = FLOW_FRACTION * descent.lr
    steps = criterion.epochs_to_tolerance(small, descent.momentum_settings)
    slower = None if steps is None else slower_schedule(descent, small * steps)
    constant: Message | str = ""
    if best is not None and best.epochs is not None:
        constant = message("advice.constant_rate", lr=best.lr_text, epochs=pluralize(best.epochs))
    if slower is None:
        return message("advice.short_schedule_larger", constant=constant)
    return message("advice.short_schedule", schedule=str(slower), constant=constant)


def slower_schedule(descent: Descent, needed: float) -> ScheduleBase | None:
    """A decay of the same kind, halved as often as it takes, whose rates add up to ``needed`` within the epochs."""
    schedule, epochs = descent.schedule, np.arange(descent.epochs)
    if descent.lr * descent.epochs < needed:
        return None
    if isinstance(schedule, StepLR) and schedule.gamma < 1:
        candidates: list[ScheduleBase] = [replace(schedule, size=schedule.size * 2**i) for i in range(1, 40)]
    elif isinstance(schedule, ExponentialLR) and schedule.gamma < 1:
        candidates = [replace(schedule, gamma=float(f"{1 - (1 - schedule.gamma) / 2**i:.6g}")) for i in range(1, 20)]
    else:
        return None
    return next(
        (each for each in candidates if replace(descent, schedule=each).learning_rates(epochs).sum() >= needed), None
    )


def short_step_findings(context: RunContext) -> Iterator[Finding]:
    """Steps of a size of their own that cannot cover a parameter's way in the epochs asked for."""
    theory = context.theory
    descent, problem = theory.descent, theory.problem
    is_unique = theory.spectrum.rank == len(problem.parameters)  # else another minimum may be nearer
    if context.forecast.verdict is not Verdict.TOO_SLOW or descent.is_sgd or not is_unique:
        return
    ways = np.abs(theory.limit_point - problem.scaled_params(descent.start))
    j = int(np.argmax(ways))
    way, reach = float(ways[j]), longest_way(descent)
    if reach is None or not 0 < reach < (1 - MIN_MISSING_PART) * way < math.inf:
        return
    shrinks = descent.optimizer.lower() == "adagrad"
    needed = descent.epochs * (way / reach) ** (2 if shrinks else 1)
    numbers: dict[str, Any] = {"way": way, "reach": reach, "needed": needed, "needed_lr": descent.lr * way / reach}
    values = {"optimizer": descent.optimizer, "lr": descent.lr, "name": f"`{problem.parameters[j]}`", **numbers}
    counts = {"needed": format_rounded(needed), "asked": pluralize(descent.epochs)}
    is_bias = problem.bias and j == len(problem.parameters) - 1
    advice = message(
        f"advice.short_steps{'_bias' if is_bias else ''}", needed_lr=numbers["needed_lr"], target=problem.target
    )
    key = f"finding.short_steps{'_adagrad' if shrinks else ''}"
    yield problem_finding("short_steps", message(key, **values | counts), advice=advice, **numbers)


def longest_way(descent: Descent) -> float | None:
    """About how far the steps of an optimizer move a parameter whose gradient keeps its sign and size.

    None for an optimizer whose steps have no size of their own, or one that is not known here.

    >>> longest_way(Descent(lr=0.01, epochs=1000, optimizer="Adam"))
    10.0
    >>> round(longest_way(Descent(lr=0.01, epochs=1000, optimizer="Adagrad")), 3)
    0.632
    """
    name = descent.optimizer.lower()
    if descent.epochs > MAX_SUMMED_EPOCHS or descent.momentum or descent.options.get("centered"):
        return None
    epochs = np.arange(descent.epochs)
    if name in UNIT_STEP_OPTIMIZERS:
        return float(descent.learning_rates(epochs).sum())
    if name == "rmsprop":  # its average of squares begins at 0, so its first steps are longer
        alpha = float(descent.options.get("alpha", DEFAULT_ALPHA))  # type: ignore[arg-type]
        return float(np.sum(descent.learning_rates(epochs) / np.sqrt(1 - alpha ** (epochs + 1))))
    return 2 * descent.lr * math.sqrt(descent.epochs) if name == "adagrad" and descent.schedule is None else None
