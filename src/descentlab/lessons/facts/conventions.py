"""Lesson 4: one trajectory under four conventions, the same where the learning rate times their factor is."""

from __future__ import annotations

from functools import cache

from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from descentlab.lessons.facts.shared import X, Y, describe_rows, lesson_problem
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

LR, EPOCHS = 0.01, 10
LR_HAND, LR_OPTIM = 0.1, 0.15  # the rates of a well-known pair of programs: the sum without its 2, and the mean
N_COPIES = 8
LR_TRIED = 0.06  # a rate to carry over, from the mean


@cache
def run(reduction: str, lr: float = LR, copies: int = 1) -> Run:
    """Descent from W = 0 on copies of the lesson's rows."""
    return descend(repeat_rows(copies), lr=lr, reduction=reduction, epochs=EPOCHS)


def repeat_rows(copies: int) -> Problem:
    """The lesson's rows, several times over."""
    return Problem(copies * X, copies * Y, bias=False)


def final_weight(reduction: str, lr: float = LR, copies: int = 1) -> float:
    """W after the last update."""
    return float(run(reduction, lr, copies).params[0])


def second_weight(reduction: str, lr: float) -> float:
    """W in the second line of the table."""
    return float(run(reduction, lr).history.params[1, 0])


def error_factor(reduction: str, lr: float = LR, copies: int = 1) -> float:
    """What an epoch multiplies the distance by."""
    return 1 - lr * repeat_rows(copies).spectrum(reduction).lambda_max


def gradient_constant(reduction: str, rows: int = len(X)) -> float:
    """What stands before the sum of error · x."""
    return gradient_scale(reduction, rows)


def format_constant(reduction: str) -> str:
    """That factor in letters."""
    over_m, plain = REDUCTIONS[reduction]
    return f"{over_m:g}/m" if over_m else f"{plain:g}"


def matching_lr(lr: float, from_reduction: str, to_reduction: str) -> float:
    """The rate that has the trajectory of another convention's."""
    return lr * gradient_constant(from_reduction) / gradient_constant(to_reduction)


def numbers() -> dict[str, Cell]:
    return {
        **describe_rows(X, Y),
        "unit": 1,
        "two": 2,
        "lr": LR,
        "epochs": EPOCHS,
        "goal": float(lesson_problem().solve().params[0]),
        "factor_sum": error_factor("sum"),
        "factor_mean": error_factor("mean"),
        "end_sum": final_weight("sum"),
        "end_mean": final_weight("mean"),
        "end_matched": final_weight("mean", matching_lr(LR, "sum", "mean")),
        "matched": matching_lr(LR, "sum", "mean"),
        "c_mean": gradient_constant("mean"),
        "product": LR * gradient_constant("sum"),
        "bound_sum": lesson_problem().spectrum("sum").lr_bound(),
        "bound_mean": lesson_problem().spectrum("mean").lr_bound(),
        "hand": LR_HAND,
        "optim": LR_OPTIM,
        "hand_product": LR_HAND * gradient_constant("half_sum"),
        "hand_second": second_weight("half_sum", LR_HAND),
        "kept_second": second_weight("mean", LR_HAND),
        "hand_factor_sum": error_factor("sum", LR_HAND),
        "hand_factor_mean": error_factor("mean", LR_HAND),
        "copies": N_COPIES,
        "copied_rows": N_COPIES * len(X),
        "copied_factor": error_factor("sum", copies=N_COPIES),
        "copied_bound": repeat_rows(N_COPIES).spectrum("sum").lr_bound(),
        "copied_end": final_weight("mean", copies=N_COPIES),
        "tried": LR_TRIED,
        "tried_product": LR_TRIED * gradient_constant("mean"),
    }


def tables() -> dict[str, LessonTable]:
    pairs = zip(run("sum").history.params[:, 0].tolist(), run("mean").history.params[:, 0].tolist(), strict=True)
    rows = [
        (
            name,
            format_constant(name),
            gradient_constant(name),
            matching_lr(LR, "sum", name),
            final_weight(name, matching_lr(LR, "sum", name)),
        )
        for name in ("sum", "half_sum", "mean", "half_mean")
    ]
    return {
        "race": LessonTable([(k, *pair) for k, pair in enumerate(pairs, 1)], ("d", ".3f", ".3f")),
        "conventions": LessonTable(rows, ("", "", ".4f", ".2f", ".6f")),
    }


def figures() -> dict[str, LessonFigure]:
    curves = [list(enumerate(run(name).history.cost.tolist(), 1)) for name in ("mean", "sum")]
    state = f"r=sum&lr={LR}&n={EPOCHS}&e={EPOCHS}&hide=data,momentum,hypothesis,forget,map,code"
    return {"race": LessonFigure(state, ("history", "table"), curves, ("epoch", "cost"))}


def questions() -> dict[str, Question]:
    right = matching_lr(LR_TRIED, "mean", "sum")
    carried = {"same": LR_TRIED, "wrong_way": LR_TRIED * len(X), "half": matching_lr(LR_TRIED, "mean", "half_sum")}
    bounds = {
        name: repeat_rows(2).spectrum(name).lr_bound() / lesson_problem().spectrum(name).lr_bound()
        for name in ("sum", "mean")
    }
    changes = {"neither": (1, 1), "sum": (0.5, 1), "mean": (1, 0.5), "both": (0.5, 0.5)}
    fits = [name for name, (s, m) in changes.items() if abs(bounds["sum"] - s) + abs(bounds["mean"] - m) < 1e-9]
    left = {
        name: abs(error_factor(name, 1 / lesson_problem().spectrum(name).lambda_max)) for name in ("sum", "mean")
    }  # at its best rate
    winner = "alike" if abs(left["sum"] - left["mean"]) < 1e-9 else min(left, key=left.__getitem__)
    return {
        "carry": NumberQuestion(right, 0.0005, carried),
        "twice": ChoiceQuestion(fits[0], tuple(changes)),
        "faster": ChoiceQuestion(winner, ("sum", "mean", "alike")),
    }
