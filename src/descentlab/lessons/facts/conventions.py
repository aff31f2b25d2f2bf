"""Lesson 4: one trajectory under four conventions, the same where the learning rate times their factor is."""

from __future__ import annotations

from functools import cache

from descentlab.descent.reductions import CONVENTIONS, gradient_factor
from descentlab.lessons.facts.shared import X, Y, lesson, named
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.problem.problem import Problem
from descentlab.run.run import Run, descend

LR, EPOCHS = 0.01, 10
HAND, OPTIM = 0.1, 0.15  # the rates of a well-known pair of programs: the sum without its 2, and the mean
COPIES = 8
TRIED = 0.06  # a rate to carry over, from the mean


@cache
def run(reduction: str, lr: float = LR, copies: int = 1) -> Run:
    """So many epochs on so many copies of the lesson's rows, from W = 0."""
    return descend(copied(copies), lr=lr, reduction=reduction, epochs=EPOCHS)


def copied(copies: int) -> Problem:
    """The lesson's rows, several times over."""
    return Problem(copies * X, copies * Y, bias=False)


def end(reduction: str, lr: float = LR, copies: int = 1) -> float:
    """W after the last update."""
    return float(run(reduction, lr, copies).params[0])


def second(reduction: str, lr: float) -> float:
    """W in the second line of the table."""
    return float(run(reduction, lr).history.params[1, 0])


def kept(reduction: str, lr: float = LR, copies: int = 1) -> float:
    """What an epoch multiplies the distance by."""
    return 1 - lr * copied(copies).spectrum(reduction).largest


def c(reduction: str, rows: int = len(X)) -> float:
    """What stands before the sum of error · x."""
    return gradient_factor(reduction, rows)


def as_written(reduction: str) -> str:
    """That factor in letters."""
    over_m, plain = CONVENTIONS[reduction]
    return f"{over_m:g}/m" if over_m else f"{plain:g}"


def same(lr: float, of: str, to: str) -> float:
    """The rate that has the trajectory of another convention's."""
    return lr * c(of) / c(to)


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    return {
        **named(X, Y),
        "unit": 1,
        "two": 2,
        "lr": LR,
        "epochs": EPOCHS,
        "goal": float(lesson().solve().params[0]),
        "factor_sum": kept("sum"),
        "factor_mean": kept("mean"),
        "end_sum": end("sum"),
        "end_mean": end("mean"),
        "end_matched": end("mean", same(LR, "sum", "mean")),
        "matched": same(LR, "sum", "mean"),
        "c_mean": c("mean"),
        "product": LR * c("sum"),
        "bound_sum": lesson().spectrum("sum").lr_bound(),
        "bound_mean": lesson().spectrum("mean").lr_bound(),
        "hand": HAND,
        "optim": OPTIM,
        "hand_product": HAND * c("half_sum"),
        "hand_second": second("half_sum", HAND),
        "kept_second": second("mean", HAND),
        "hand_factor_sum": kept("sum", HAND),
        "hand_factor_mean": kept("mean", HAND),
        "copies": COPIES,
        "copied_rows": COPIES * len(X),
        "copied_factor": kept("sum", copies=COPIES),
        "copied_bound": copied(COPIES).spectrum("sum").lr_bound(),
        "copied_end": end("mean", copies=COPIES),
        "tried": TRIED,
        "tried_product": TRIED * c("mean"),
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    pairs = zip(run("sum").history.params[:, 0].tolist(), run("mean").history.params[:, 0].tolist(), strict=True)
    rows = [
        (name, as_written(name), c(name), same(LR, "sum", name), end(name, same(LR, "sum", name)))
        for name in ("sum", "half_sum", "mean", "half_mean")
    ]
    return {
        "race": Table([(k, *pair) for k, pair in enumerate(pairs, 1)], ("d", ".3f", ".3f")),
        "conventions": Table(rows, ("", "", ".4f", ".2f", ".6f")),
    }


def figures() -> dict[str, Figure]:
    """What its figures show."""
    curves = [list(enumerate(run(name).history.cost.tolist(), 1)) for name in ("mean", "sum")]
    state = f"r=sum&lr={LR}&n={EPOCHS}&e={EPOCHS}&hide=data,momentum,hypothesis,forget,map,code"
    return {"race": Figure(state, ("history", "table"), curves, ("epoch", "cost"))}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    right = same(TRIED, "mean", "sum")
    carried = {"same": TRIED, "wrong_way": TRIED * len(X), "half": same(TRIED, "mean", "half_sum")}
    bounds = {
        name: copied(2).spectrum(name).lr_bound() / lesson().spectrum(name).lr_bound() for name in ("sum", "mean")
    }
    changes = {"neither": (1, 1), "sum": (0.5, 1), "mean": (1, 0.5), "both": (0.5, 0.5)}
    fits = [name for name, (s, m) in changes.items() if abs(bounds["sum"] - s) + abs(bounds["mean"] - m) < 1e-9]
    left = {name: abs(kept(name, 1 / lesson().spectrum(name).largest)) for name in ("sum", "mean")}  # at its best rate
    winner = "alike" if abs(left["sum"] - left["mean"]) < 1e-9 else min(left, key=left.__getitem__)
    return {
        "carry": Number(right, 0.0005, carried),
        "twice": Choice(fits[0], tuple(changes)),
        "faster": Choice(winner, ("sum", "mean", "alike")),
    }
