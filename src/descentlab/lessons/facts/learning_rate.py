"""Lesson 6: what an epoch multiplies the error by, the bound on the rate, and what comes beyond it."""

from __future__ import annotations

import math

import numpy as np

from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.shared import X, Y, diagnosed, lesson, named
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.lessons.order import number_of
from descentlab.problem.problem import Problem
from descentlab.run.run import descend

SLOW, DOUBLE, FAR, STEEP, BEYOND = (
    0.05,
    0.1,
    0.15,
    0.2,
    0.25,
)  # rates on either side of the best one, and past the bound
TRIED = (0.01, SLOW, DOUBLE, FAR, STEEP, 0.22, BEYOND)
EPOCHS, DRAWN, LONG = 10, 12, 1000
CAUTIOUS = BEYOND / 100
WITHIN = 0.01
STRETCH = 2  # times every x, in a question


def curvature() -> float:
    """Lambda of the mean cost: what an error is multiplied by to give the slope."""
    return float(lesson().spectrum().largest)


def factor(lr: float) -> float:
    """What an epoch multiplies the error by."""
    return 1 - lr * curvature()


def after(lr: float, epochs: int = EPOCHS) -> float:
    """W after so many epochs from zero."""
    return float(descend(lesson(), lr=lr, epochs=epochs).params[0])


def examined(problem: Problem, lr: float) -> Diagnosis:
    """What the doctor says of a rate."""
    return diagnosed(problem, lr=lr, within=WITHIN)


def needed(lr: float) -> int | None:
    """Epochs until W stays within 1 % of its goal; None for never."""
    return examined(lesson(), lr).epochs_to_tolerance


def verdict(lr: float) -> str:
    """What a rate does to the error, by the factor alone."""
    size = abs(factor(lr))
    if math.isclose(size, 0, abs_tol=1e-9):
        return "at_once"
    if math.isclose(size, 1):
        return "swings"
    return "diverges" if size > 1 else "overshoots" if factor(lr) < 0 else "steady"


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    problem = lesson()
    spectrum, best, two = problem.spectrum(), 1 / curvature(), Problem(X, Y)
    overflow = examined(problem, BEYOND).overflow
    assert overflow is not None
    range32, range64 = overflow["float32"], overflow["float64"]
    loop = descend(problem, lr=BEYOND, epochs=LONG, engine="hand", dtype="float32", growth_limit=math.inf)
    fastest = examined(two, BEYOND).rates["fastest"]
    return {
        **named(X, Y),
        "one": 1,
        "goal": float(problem.solve().params[0]),
        "slow": SLOW,
        "double": DOUBLE,
        "far": FAR,
        "steep": STEEP,
        "beyond": BEYOND,
        "epochs": EPOCHS,
        "curvature": curvature(),
        "best": best,
        "best_low": (1 - WITHIN) * best,
        "best_high": (1 + WITHIN) * best,
        "bound": spectrum.lr_bound(),
        "percent": 100 * WITHIN,
        "slow_factor": factor(SLOW),
        "far_factor": factor(FAR),
        "steep_factor": factor(STEEP),
        "beyond_factor": factor(BEYOND),
        "slow_needed": needed(SLOW) or "",
        "double_needed": needed(DOUBLE) or "",
        "steep_needed": needed(STEEP) or "",
        "best_needed": needed(best) or "",
        "swing": after(spectrum.lr_bound(), 1),
        "loop_inf": loop.ending.epoch,
        "loop_gradient_inf": _overflowing(BEYOND),
        "cost_overflow": range32["cost"] or "",
        "gradient_overflow": range32["gradient"] or "",
        "double_overflow": range64["cost"] or "",
        "cautious": CAUTIOUS,
        "cautious_factor": factor(CAUTIOUS),
        "cautious_needed": needed(CAUTIOUS) or "",
        "flat": two.spectrum().smallest,
        "steepest": two.spectrum().largest,
        "two_bound": two.spectrum().lr_bound(),
        "two_best": fastest.lr,
        "two_needed": fastest.epochs or "",
        "sum_curvature": problem.spectrum("sum").largest,
        "stretched_curvature": _stretched().spectrum().largest,
        "epochs_lesson": number_of("epochs"),
        "bias_lesson": number_of("bias"),
        "scaling_lesson": number_of("scaling"),
    }


def _overflowing(lr: float) -> int:
    """The updates after which the gradient is inf, in a float32 loop that adds up before it divides by m."""
    x, y, rate = np.array(X, np.float32), np.array(Y, np.float32), np.float32(lr)
    W, updates = np.float32(0), 0
    with np.errstate(over="ignore"):
        while np.isfinite(gradient := 2 * np.sum((W * x - y) * x) / np.float32(len(x))):
            W, updates = W - rate * gradient, updates + 1
    return updates


def _stretched() -> Problem:
    return Problem([STRETCH * x for x in X], Y, bias=False)


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    rates = sorted((*TRIED, 1 / curvature(), lesson().spectrum().lr_bound()))
    rows = [
        (lr, _tidy(factor(lr)), _tidy(after(lr)), "never" if needed(lr) is None else str(needed(lr)), verdict(lr))
        for lr in rates
    ]
    return {"rates": Table(rows, (".4f", ".4f", ".3f", "", ""))}


def _tidy(value: float) -> float:
    """Without the rounding's last digits, and without a minus before zero."""
    return round(value, 9) + 0.0


def figures() -> dict[str, Figure]:
    """What its figures show."""
    curves = []
    for lr in (SLOW, FAR, BEYOND):
        costs = descend(lesson(), lr=lr, epochs=DRAWN).history.cost
        curves.append(list(enumerate(map(float, costs), 1)))
    state = f"lr={SLOW}&n={EPOCHS}&e={EPOCHS}&log=1&hide=momentum,reduction,hypothesis,forget,repeat,map,code"
    return {"rates": Figure(state, ("cost", "history"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    steep, stretched = factor(STEEP), _stretched().spectrum()
    by_sum = 1 - STEEP * lesson().spectrum("sum").largest
    slips = {"size": -steep, "product": 1 - steep, "added": 2 - steep, "sum": by_sum}
    bound = lesson().spectrum().lr_bound()
    bounds = {"same": bound, "half": bound / STRETCH, "larger": bound * STRETCH, "one_step": 1 / stretched.largest}
    cautious = needed(CAUTIOUS)
    outcome = "nan" if cautious is None else "slow" if cautious > 10 * (needed(1 / curvature()) or 1) else "quick"
    return {
        "factor": Number(steep, 0.01, slips),
        "stretched": Number(stretched.lr_bound(), 0.001, bounds),
        "cautious": Choice(outcome, ("nan", "quick", "slow")),
    }
