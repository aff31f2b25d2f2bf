"""Lesson 10: momentum, the recursion of each direction, and epochs that go with the root of the condition number."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from descentlab.descent import recursion
from descentlab.descent.descent import Descent
from descentlab.descent.recursion import Recursion
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.scaling import LR as SCALED_LR
from descentlab.lessons.facts.scaling import exams
from descentlab.lessons.facts.shared import diagnosed, lesson
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.lessons.order import number_of
from descentlab.problem.problem import Problem
from descentlab.run.run import descend
from descentlab.theory.full_batch import Theory
from descentlab.theory.settling_time import Aim
from descentlab.typing import Array

LR, LITTLE, USUAL, MUCH = 0.01, 0.5, 0.9, 0.99
FORGOTTEN_LR = 0.15  # of the lesson with torch.optim
SHOWN = range(1, 13)  # epochs in the table
TRIED = (0.0, LITTLE, 0.8, USUAL, MUCH, 1.0)
CONDITIONS = (10, 100, 1_000, 10_000)
ASKED = 0.64
POLYAK = "1964"  # USSR Comput. Math. Math. Phys. 4(5), doi:10.1016/0041-5553(64)90137-5


def path(momentum: float, epochs: int = 60, lr: float = LR) -> Array:
    """W by epoch on the lesson's rows, before each update."""
    return descend(lesson(), lr=lr, momentum=momentum, epochs=epochs).history.params[:, 0]


def settled(problem: Problem, lr: float, momentum: float) -> int | None:
    """From how many epochs on the descent is within 1 % for good."""
    aim = Aim.of(Theory(problem, Descent(lr=lr)))
    return aim.settled(lr, Recursion(momentum=momentum, dampening=0.0, nesterov=False))


def shrinks(momentum: float) -> float:
    """The size of the larger root for the lesson's rows: what an epoch multiplies the error, or its swing, by."""
    x = np.array(LR * lesson().spectrum().largest)
    return float(np.abs(recursion.growth(x, momentum)))


def swings_from() -> float:
    """The momentum above which the roots are complex, by halving."""
    x = np.array(LR * lesson().spectrum().largest)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        real = recursion.characteristic(x, middle, 0.0, nesterov=False)[1] >= 0
        low, high = (middle, high) if real else (low, middle)
    return low


def fewest() -> float:
    """The momentum, to two decimals, that is soonest within 1 % at this rate."""
    counts = {hundredths / 100: settled(lesson(), LR, hundredths / 100) for hundredths in range(100)}
    return min(counts, key=lambda momentum: counts[momentum] or math.inf)


@cache
def valley(condition: int) -> Diagnosis:
    """Two weights that belong at 1, in directions of the curvatures ``condition`` and 1."""
    steep = math.sqrt(condition)
    return diagnosed(Problem([[steep, 0], [0, 1]], [steep, 1], bias=False), lr=1 / condition)


def epochs(condition: int, name: str) -> int:
    """With the textbook's rate (``textbook``) or its pair (``heavy_ball``), or the pair for this start."""
    return valley(condition).rates[name].epochs or 0


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    problem = lesson()
    forgotten = descend(problem, lr=FORGOTTEN_LR, zero_grad=False, epochs=400).history.params
    usual = path(USUAL)
    return {
        "polyak": POLYAK,
        "scaling_lesson": number_of("scaling"),
        "torch_lesson": number_of("torch-optim"),
        "zero": 0,
        "unit": 1,
        "goal": float(problem.solve().params[0]),
        "lr": LR,
        "little": LITTLE,
        "usual": USUAL,
        "much": MUCH,
        "factor": shrinks(0.0),
        "plain_epochs": settled(problem, LR, 0.0) or 0,
        "little_epochs": settled(problem, LR, LITTLE) or 0,
        "usual_epochs": settled(problem, LR, USUAL) or 0,
        "much_epochs": settled(problem, LR, MUCH) or 0,
        "highest": float(usual.max()),
        "swings_from": swings_from(),
        "fewest": fewest(),
        "fewest_epochs": settled(problem, LR, fewest()) or 0,
        "low_condition": CONDITIONS[1],
        "high_condition": CONDITIONS[3],
        "condition_times": CONDITIONS[3] // CONDITIONS[1],
        "plain_times": epochs(CONDITIONS[3], "textbook") / epochs(CONDITIONS[1], "textbook"),
        "momentum_times": epochs(CONDITIONS[3], "heavy_ball") / epochs(CONDITIONS[1], "heavy_ball"),
        "low_epochs": epochs(CONDITIONS[1], "heavy_ball"),
        "tuned_epochs": epochs(CONDITIONS[1], "fastest_pair"),
        "high_epochs": epochs(CONDITIONS[3], "heavy_ball"),
        "scaled_lr": SCALED_LR,
        "exam_epochs": settled(exams("standardized"), SCALED_LR, 0.0) or 0,
        "exam_momentum": settled(exams("standardized"), SCALED_LR, USUAL) or 0,
        "forgotten_lr": FORGOTTEN_LR,
        "lowest_one": float(forgotten.min()),
        "highest_one": float(forgotten.max()),
        "first_gradient": float(problem.gradient([0.0])[0]),
        "W_first": float(usual[1]),
        "second_gradient": float(problem.gradient([usual[1]])[0]),
        "asked": ASKED,
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    plain, little, usual = path(0.0), path(LITTLE), path(USUAL)
    walks = [(epoch, *(float(W[epoch - 1]) for W in (plain, little, usual))) for epoch in SHOWN]
    tried = [(momentum, shrinks(momentum), settled(lesson(), LR, momentum) or "–") for momentum in TRIED]
    valleys = []
    for condition in CONDITIONS:
        rates = valley(condition).rates
        pair = rates["heavy_ball"]
        valleys.append(
            (condition, math.sqrt(condition), rates["textbook"].epochs or 0, pair.momentum, pair.epochs or 0)
        )
    return {
        "walks": Table(walks, ("d", ".3f", ".3f", ".3f")),
        "tried": Table(tried, ("g", ".3f", ",d")),
        "valleys": Table(valleys, (",d", ".1f", ",d", ".3f", ",d")),
    }


def figures() -> dict[str, Figure]:
    """What its figures show."""
    curves = [[(epoch, float(W)) for epoch, W in enumerate(path(momentum), 1)] for momentum in (0.0, USUAL, LITTLE)]
    state = f"lr={LR}&m={USUAL}&n=60&e=60&hide=data,reduction,hypothesis,repeat,code"
    return {"swing": Figure(state, ("cost", "history", "map"), curves, ("epoch", "W"))}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    first, second = (float(lesson().gradient([W])[0]) for W in path(USUAL)[:2])
    W = float(path(USUAL)[1])
    slips = {
        "plain": W - LR * second,
        "assigned": -LR * (USUAL * first + second),
        "averaged": W - LR * (USUAL * first + (1 - USUAL) * second),
    }
    roots = {"momentum": ASKED, "plain": shrinks(0.0), "rest": 1 - ASKED}
    times = {"same": 1.0, "ten": 10.0, "hundred": 100.0}
    grown = epochs(CONDITIONS[3], "heavy_ball") / epochs(CONDITIONS[1], "heavy_ball")
    return {
        "second": Number(float(path(USUAL)[2]), 0.001, slips),
        "root": Number(shrinks(ASKED), 0.005, roots),
        "longer": Choice(min(times, key=lambda name: abs(math.log(times[name] / grown))), tuple(times)),
    }
