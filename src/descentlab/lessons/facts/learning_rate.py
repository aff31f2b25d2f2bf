"""Lesson 6: what an epoch multiplies the error by, the bound on the rate, and what comes beyond it."""

from __future__ import annotations

import math

import numpy as np

from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.shared import X, Y, describe_rows, diagnose_descent, lesson_problem
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend

LR_SLOW, LR_DOUBLE, LR_FAR, LR_STEEP, LR_BEYOND_BOUND = (
    0.05,
    0.1,
    0.15,
    0.2,
    0.25,
)  # rates on either side of the best one, and past the bound
LR_TRIED = (0.01, LR_SLOW, LR_DOUBLE, LR_FAR, LR_STEEP, 0.22, LR_BEYOND_BOUND)
EPOCHS, EPOCHS_DRAWN, EPOCHS_LONG = 10, 12, 1000
LR_CAUTIOUS = LR_BEYOND_BOUND / 100
WITHIN = 0.01
X_STRETCH = 2  # times every x, in a question


def curvature() -> float:
    """Lambda of the mean cost: what an error is multiplied by to give the slope."""
    return float(lesson_problem().spectrum().lambda_max)


def error_factor(lr: float) -> float:
    """What an epoch multiplies the error by."""
    return 1 - lr * curvature()


def weight_after(lr: float, epochs: int = EPOCHS) -> float:
    """W after these epochs from zero."""
    return float(descend(lesson_problem(), lr=lr, epochs=epochs).params[0])


def diagnose_lr(problem: Problem, lr: float) -> Diagnosis:
    """The diagnosis of a rate."""
    return diagnose_descent(problem, lr=lr, within=WITHIN)


def epochs_needed(lr: float) -> int | None:
    """Epochs until W stays within 1% of its goal; None for never."""
    return diagnose_lr(lesson_problem(), lr).epochs_to_tolerance


def error_behavior(lr: float) -> str:
    """What a rate does to the error, by the factor alone."""
    size = abs(error_factor(lr))
    if math.isclose(size, 0, abs_tol=1e-9):
        return "at_once"
    if math.isclose(size, 1):
        return "swings"
    return "diverges" if size > 1 else "overshoots" if error_factor(lr) < 0 else "steady"


def numbers() -> dict[str, Cell]:
    problem = lesson_problem()
    spectrum, best, two = problem.spectrum(), 1 / curvature(), Problem(X, Y)
    overflow = diagnose_lr(problem, LR_BEYOND_BOUND).overflow
    assert overflow is not None
    range32, range64 = overflow["float32"], overflow["float64"]
    loop = descend(
        problem, lr=LR_BEYOND_BOUND, epochs=EPOCHS_LONG, engine="hand", dtype="float32", growth_limit=math.inf
    )
    fastest = diagnose_lr(two, LR_BEYOND_BOUND).rates["fastest"]
    return {
        **describe_rows(X, Y),
        "one": 1,
        "goal": float(problem.solve().params[0]),
        "slow": LR_SLOW,
        "double": LR_DOUBLE,
        "far": LR_FAR,
        "steep": LR_STEEP,
        "beyond": LR_BEYOND_BOUND,
        "epochs": EPOCHS,
        "curvature": curvature(),
        "best": best,
        "best_low": (1 - WITHIN) * best,
        "best_high": (1 + WITHIN) * best,
        "bound": spectrum.lr_bound(),
        "percent": 100 * WITHIN,
        "slow_factor": error_factor(LR_SLOW),
        "far_factor": error_factor(LR_FAR),
        "steep_factor": error_factor(LR_STEEP),
        "beyond_factor": error_factor(LR_BEYOND_BOUND),
        "slow_needed": epochs_needed(LR_SLOW) or "",
        "double_needed": epochs_needed(LR_DOUBLE) or "",
        "steep_needed": epochs_needed(LR_STEEP) or "",
        "best_needed": epochs_needed(best) or "",
        "swing": weight_after(spectrum.lr_bound(), 1),
        "loop_inf": loop.ending.epoch,
        "loop_gradient_inf": _updates_to_overflow(LR_BEYOND_BOUND),
        "cost_overflow": range32["cost"] or "",
        "gradient_overflow": range32["gradient"] or "",
        "double_overflow": range64["cost"] or "",
        "cautious": LR_CAUTIOUS,
        "cautious_factor": error_factor(LR_CAUTIOUS),
        "cautious_needed": epochs_needed(LR_CAUTIOUS) or "",
        "flat": two.spectrum().lambda_min,
        "steepest": two.spectrum().lambda_max,
        "two_bound": two.spectrum().lr_bound(),
        "two_best": fastest.lr,
        "two_needed": fastest.epochs or "",
        "sum_curvature": problem.spectrum("sum").lambda_max,
        "stretched_curvature": _stretched_problem().spectrum().lambda_max,
    }


def _updates_to_overflow(lr: float) -> int:
    """The updates after which the gradient is inf, in a float32 loop that adds up before it divides by m."""
    x, y, rate = np.array(X, np.float32), np.array(Y, np.float32), np.float32(lr)
    W, updates = np.float32(0), 0
    with np.errstate(over="ignore"):
        while np.isfinite(gradient := 2 * np.sum((W * x - y) * x) / np.float32(len(x))):
            W, updates = W - rate * gradient, updates + 1
    return updates


def _stretched_problem() -> Problem:
    return Problem([X_STRETCH * x for x in X], Y, bias=False)


def tables() -> dict[str, LessonTable]:
    rates = sorted((*LR_TRIED, 1 / curvature(), lesson_problem().spectrum().lr_bound()))
    rows = [
        (
            lr,
            _drop_rounding(error_factor(lr)),
            _drop_rounding(weight_after(lr)),
            "never" if epochs_needed(lr) is None else str(epochs_needed(lr)),
            error_behavior(lr),
        )
        for lr in rates
    ]
    return {"rates": LessonTable(rows, (".4f", ".4f", ".3f", "", ""))}


def _drop_rounding(value: float) -> float:
    """Without the rounding's last digits, and without a minus before zero."""
    return round(value, 9) + 0.0


def figures() -> dict[str, LessonFigure]:
    curves = []
    for lr in (LR_SLOW, LR_FAR, LR_BEYOND_BOUND):
        costs = descend(lesson_problem(), lr=lr, epochs=EPOCHS_DRAWN).history.cost
        curves.append(list(enumerate(map(float, costs), 1)))
    state = f"lr={LR_SLOW}&n={EPOCHS}&e={EPOCHS}&log=1&hide=momentum,reduction,hypothesis,forget,repeat,map,code"
    return {"rates": LessonFigure(state, ("cost", "history"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    steep, stretched = error_factor(LR_STEEP), _stretched_problem().spectrum()
    by_sum = 1 - LR_STEEP * lesson_problem().spectrum("sum").lambda_max
    slips = {"size": -steep, "product": 1 - steep, "added": 2 - steep, "sum": by_sum}
    lr_bound = lesson_problem().spectrum().lr_bound()
    bounds = {
        "same": lr_bound,
        "half": lr_bound / X_STRETCH,
        "larger": lr_bound * X_STRETCH,
        "one_step": 1 / stretched.lambda_max,
    }
    cautious = epochs_needed(LR_CAUTIOUS)
    outcome = (
        "nan" if cautious is None else "slow" if cautious > 10 * (epochs_needed(1 / curvature()) or 1) else "quick"
    )
    return {
        "factor": NumberQuestion(steep, 0.01, slips),
        "stretched": NumberQuestion(stretched.lr_bound(), 0.001, bounds),
        "cautious": ChoiceQuestion(outcome, ("nan", "quick", "slow")),
    }
