"""Lesson 12: a diagnosis read from top to bottom, on three problems that people posted in public."""

from __future__ import annotations

import math
from functools import cache

from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.shared import diagnose_descent
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend

# https://github.com/tensorflow/tensorflow/issues/18493
BIG_X = tuple(float(x) for x in range(1, 25))
BIG_Y = tuple(x + 2 for x in BIG_X)
BIG_LR, BIG_EPOCHS, SMALL_ROWS = 0.01, 100, 4

# https://discuss.pytorch.org/t/208572
SLOW_X = ((-249.69, -4.1511), (-4.1511, -0.20755))
SLOW_Y = (0.0, 10.0)
SLOW_LR, SLOW_OVER, SLOW_EPOCHS = 1.603e-5, 1.604e-5, 1_000_000

# https://github.com/kingrangE/DeepLearning, a notebook on regression with several features
NAN_X = ((1.0, 10.0, 13.0), (2.0, 9.0, 14.0), (3.0, 8.0, 11.0), (4.0, 7.0, 15.0), (5.0, 6.0, 12.0))
NAN_Y = (19.0, 14.0, 25.0, 32.0, 51.0)
NAN_LR, NAN_EPOCHS = 1e-4, 1000

LR_LOWER, LR_CURED, EPOCHS_SHOWN = 0.004, 0.4, 10


@cache
def diagnose_big_x() -> Diagnosis:
    """The diagnosis of x from 1 to 24, where nan was seen."""
    return diagnose_descent(Problem(BIG_X, BIG_Y), lr=BIG_LR, epochs=BIG_EPOCHS)


@cache
def diagnose_slow() -> Diagnosis:
    """The diagnosis of two rows and no end of steps."""
    return diagnose_descent(Problem(SLOW_X, SLOW_Y, bias=False), lr=SLOW_LR, reduction="sum", epochs=SLOW_EPOCHS)


@cache
def diagnose_unrelated_nan() -> Diagnosis:
    """The same symptom where the rate is far below its bound."""
    return diagnose_descent(Problem(NAN_X, NAN_Y), lr=NAN_LR, epochs=NAN_EPOCHS, observed=[math.nan])


def require_lr_bound(diagnosis: Diagnosis) -> float:
    """The largest stable rate."""
    assert diagnosis.lr_bound is not None
    return diagnosis.lr_bound


def remedy_epochs(diagnosis: Diagnosis) -> dict[str, int]:
    """How many epochs each remedy takes at its fastest rate."""
    return {remedy.name: remedy.epochs for remedy in diagnosis.remedies if remedy.epochs is not None}


def numbers() -> dict[str, Cell]:
    one, two, three = diagnose_big_x(), diagnose_slow(), diagnose_unrelated_nan()
    lr_bounds = [require_lr_bound(found) for found in (one, two, three)]
    assert one.overflow is not None
    assert three.cost is not None
    few_rows_lr_bound = Problem(BIG_X[:SMALL_ROWS], BIG_Y[:SMALL_ROWS]).spectrum().lr_bound()
    return {
        "first": 1,
        "second": 2,
        "third": 3,
        "zero": 0,
        "small_rows": SMALL_ROWS,
        "big_first": BIG_X[0],
        "big_last": BIG_X[-1],
        "big_plus": BIG_Y[0] - BIG_X[0],
        "big_lr": BIG_LR,
        "big_epochs": BIG_EPOCHS,
        "big_bound": lr_bounds[0],
        "big_ratio": BIG_LR / lr_bounds[0],
        "big_factor": 1 - BIG_LR * one.problem.spectrum().lambda_max,
        "big_overflow": one.overflow["float32"]["gradient"] or 0,
        "few_bound": few_rows_lr_bound,
        "big_other_rate": remedy_epochs(one)["fastest_rate"],
        "lower": LR_LOWER,
        "cured_lr": LR_CURED,
        "shown": EPOCHS_SHOWN,
        "slow_rows": len(SLOW_Y),
        "slow_lr": SLOW_LR,
        "slow_over": SLOW_OVER,
        "slow_steps": SLOW_EPOCHS,
        "slow_bound": lr_bounds[1],
        "slow_percent": 100 * SLOW_LR / lr_bounds[1],
        "slow_needed": two.epochs_to_tolerance or 0,
        "slow_condition": two.condition,
        "slow_shrink": SLOW_LR * two.problem.spectrum("sum").lambda_min,
        "slow_other_rate": remedy_epochs(two)["fastest_rate"],
        "slow_mean": remedy_epochs(two)["mean_for_sum"],
        "slow_momentum": remedy_epochs(two)["tuned_momentum"],
        "slow_beta": two.rates["fastest_pair"].momentum_text,
        "slow_standardized": remedy_epochs(two)["standardize"],
        "nan_rows": len(NAN_Y),
        "nan_columns": len(NAN_X[0]),
        "nan_lr": NAN_LR,
        "nan_epochs": NAN_EPOCHS,
        "nan_percent": 100 * NAN_LR / lr_bounds[2],
        "nan_times": int(lr_bounds[2] / NAN_LR),
        "nan_start": three.problem.cost([0.0] * len(three.problem.parameters)),
        "nan_cost": three.cost,
        "nan_needed": three.epochs_to_tolerance or 0,
    }


def tables() -> dict[str, LessonTable]:
    case_rows = [
        (place, found.problem.n, found.descent.lr, require_lr_bound(found), found.descent.lr / require_lr_bound(found))
        for place, found in enumerate((diagnose_big_x(), diagnose_slow(), diagnose_unrelated_nan()), 1)
    ]
    cli_options = {
        "fastest_rate": "--lr",
        "momentum": "--momentum 0.9",
        "center": "--center",
        "standardize": "--standardize",
    }
    cures = [
        (cli_options[each.name], each.lr or 0.0, each.epochs or 0)
        for each in diagnose_big_x().remedies
        if each.name in cli_options
    ]
    return {
        "cases": LessonTable(case_rows, ("d", "d", ".4g", ".6g", ".4f")),
        "cures": LessonTable(cures, ("s", ".4g", ",d")),
    }


def figures() -> dict[str, LessonFigure]:
    points = ";".join(f"{x:g},{y:g}" for x, y in zip(BIG_X, BIG_Y, strict=True))
    hidden = "momentum,reduction,forget,repeat,map,code"
    state = f"p={points}&b=1&lr={BIG_LR}&n={EPOCHS_SHOWN}&e={EPOCHS_SHOWN}&log=1&hide={hidden}"
    tried = ((BIG_LR, False), (LR_LOWER, False), (LR_CURED, True))
    curves = []
    for lr, standardize in tried:
        history = descend(Problem(BIG_X, BIG_Y, standardize=standardize), lr=lr, epochs=EPOCHS_SHOWN).history
        curves.append([(float(epoch), float(cost)) for epoch, cost in zip(history.epoch, history.cost, strict=True)])
    return {"cure": LessonFigure(state, ("cost", "history"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    lr_bound = require_lr_bound(diagnose_big_x())
    ratio = BIG_LR / lr_bound
    epochs_by_remedy = remedy_epochs(diagnose_slow())
    cures = {
        "rate": epochs_by_remedy["fastest_rate"],
        "mean": epochs_by_remedy["mean_for_sum"],
        "momentum": epochs_by_remedy["tuned_momentum"],
    }
    runs_well = require_lr_bound(diagnose_unrelated_nan()) > NAN_LR and diagnose_unrelated_nan().cost is not None
    return {
        "bound": NumberQuestion(
            lr_bound, 0.00004, {"times": BIG_LR * ratio, "half": BIG_LR / 2, "difference": BIG_LR - lr_bound}
        ),
        "cure": ChoiceQuestion(min(cures, key=lambda name: cures[name]), tuple(cures)),
        "nan": ChoiceQuestion("elsewhere" if runs_well else "lower", ("lower", "standardize", "elsewhere")),
    }
