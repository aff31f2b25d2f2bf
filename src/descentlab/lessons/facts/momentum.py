"""Lesson 10: momentum, the recursion of each direction, and epochs that go with the root of the condition number."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from descentlab.descent import recursion
from descentlab.descent.descent import Descent
from descentlab.descent.recursion import MomentumSettings
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.scaling import LR as SCALED_LR
from descentlab.lessons.facts.scaling import exam_problem
from descentlab.lessons.facts.shared import diagnose_descent, lesson_problem
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray

LR, MOMENTUM_SMALL, MOMENTUM_USUAL, MOMENTUM_LARGE = 0.01, 0.5, 0.9, 0.99
LR_FORGOTTEN = 0.15  # of the lesson with torch.optim
SHOWN_EPOCHS = range(1, 13)  # epochs in the table
MOMENTUM_TRIED = (0.0, MOMENTUM_SMALL, 0.8, MOMENTUM_USUAL, MOMENTUM_LARGE, 1.0)
CONDITION_NUMBERS = (10, 100, 1_000, 10_000)
QUESTION_MOMENTUM = 0.64
POLYAK_YEAR = "1964"  # USSR Comput. Math. Math. Phys. 4(5), doi:10.1016/0041-5553(64)90137-5


def weight_path(momentum: float, epochs: int = 60, lr: float = LR) -> FloatArray:
    """W by epoch on the lesson's rows, before each update."""
    return descend(lesson_problem(), lr=lr, momentum=momentum, epochs=epochs).history.params[:, 0]


def settling_time(problem: Problem, lr: float, momentum: float) -> int | None:
    """The epoch from which the descent stays within 1%."""
    criterion = ConvergenceCriterion.from_theory(FullBatchTheory(problem, Descent(lr=lr)))
    return criterion.epochs_to_tolerance(lr, MomentumSettings(momentum=momentum, dampening=0.0, nesterov=False))


def error_factor(momentum: float) -> float:
    """The size of the larger root for the lesson's rows: what an epoch multiplies the error, or its swing, by."""
    x = np.array(LR * lesson_problem().spectrum().lambda_max)
    return float(np.abs(recursion.convergence_factor(x, momentum)))


def oscillation_threshold() -> float:
    """The momentum above which the roots are complex, by halving."""
    x = np.array(LR * lesson_problem().spectrum().lambda_max)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        real = recursion.trace_and_discriminant(x, middle, 0.0, nesterov=False)[1] >= 0
        low, high = (middle, high) if real else (low, middle)
    return low


def fastest_momentum() -> float:
    """The momentum, to two decimals, that is soonest within 1% at this rate."""
    counts = {hundredths / 100: settling_time(lesson_problem(), LR, hundredths / 100) for hundredths in range(100)}
    return min(counts, key=lambda momentum: counts[momentum] or math.inf)


@cache
def diagnose_two_directions(condition: int) -> Diagnosis:
    """Two weights that belong at 1, in directions of the curvatures ``condition`` and 1."""
    steep = math.sqrt(condition)
    return diagnose_descent(Problem([[steep, 0], [0, 1]], [steep, 1], bias=False), lr=1 / condition)


def epochs_needed(condition: int, name: str) -> int:
    """The epochs that one of the diagnosis' rates needs."""
    return diagnose_two_directions(condition).rates[name].epochs or 0


def numbers() -> dict[str, Cell]:
    problem = lesson_problem()
    forgotten = descend(problem, lr=LR_FORGOTTEN, zero_grad=False, epochs=400).history.params
    usual = weight_path(MOMENTUM_USUAL)
    return {
        "polyak": POLYAK_YEAR,
        "zero": 0,
        "unit": 1,
        "goal": float(problem.solve().params[0]),
        "lr": LR,
        "little": MOMENTUM_SMALL,
        "usual": MOMENTUM_USUAL,
        "much": MOMENTUM_LARGE,
        "factor": error_factor(0.0),
        "plain_epochs": settling_time(problem, LR, 0.0) or 0,
        "little_epochs": settling_time(problem, LR, MOMENTUM_SMALL) or 0,
        "usual_epochs": settling_time(problem, LR, MOMENTUM_USUAL) or 0,
        "much_epochs": settling_time(problem, LR, MOMENTUM_LARGE) or 0,
        "highest": float(usual.max()),
        "swings_from": oscillation_threshold(),
        "fewest": fastest_momentum(),
        "fewest_epochs": settling_time(problem, LR, fastest_momentum()) or 0,
        "low_condition": CONDITION_NUMBERS[1],
        "high_condition": CONDITION_NUMBERS[3],
        "condition_times": CONDITION_NUMBERS[3] // CONDITION_NUMBERS[1],
        "plain_times": epochs_needed(CONDITION_NUMBERS[3], "textbook")
        / epochs_needed(CONDITION_NUMBERS[1], "textbook"),
        "momentum_times": epochs_needed(CONDITION_NUMBERS[3], "heavy_ball")
        / epochs_needed(CONDITION_NUMBERS[1], "heavy_ball"),
        "low_epochs": epochs_needed(CONDITION_NUMBERS[1], "heavy_ball"),
        "tuned_epochs": epochs_needed(CONDITION_NUMBERS[1], "fastest_pair"),
        "high_epochs": epochs_needed(CONDITION_NUMBERS[3], "heavy_ball"),
        "scaled_lr": SCALED_LR,
        "exam_epochs": settling_time(exam_problem("standardized"), SCALED_LR, 0.0) or 0,
        "exam_momentum": settling_time(exam_problem("standardized"), SCALED_LR, MOMENTUM_USUAL) or 0,
        "forgotten_lr": LR_FORGOTTEN,
        "lowest_one": float(forgotten.min()),
        "highest_one": float(forgotten.max()),
        "first_gradient": float(problem.gradient([0.0])[0]),
        "W_first": float(usual[1]),
        "second_gradient": float(problem.gradient([usual[1]])[0]),
        "asked": QUESTION_MOMENTUM,
    }


def tables() -> dict[str, LessonTable]:
    plain, little, usual = weight_path(0.0), weight_path(MOMENTUM_SMALL), weight_path(MOMENTUM_USUAL)
    walks = [(epoch, *(float(W[epoch - 1]) for W in (plain, little, usual))) for epoch in SHOWN_EPOCHS]
    tried = [
        (momentum, error_factor(momentum), settling_time(lesson_problem(), LR, momentum) or "–")
        for momentum in MOMENTUM_TRIED
    ]
    valleys = []
    for condition in CONDITION_NUMBERS:
        rates = diagnose_two_directions(condition).rates
        pair = rates["heavy_ball"]
        valleys.append(
            (condition, math.sqrt(condition), rates["textbook"].epochs or 0, pair.momentum, pair.epochs or 0)
        )
    return {
        "walks": LessonTable(walks, ("d", ".3f", ".3f", ".3f")),
        "tried": LessonTable(tried, ("g", ".3f", ",d")),
        "valleys": LessonTable(valleys, (",d", ".1f", ",d", ".3f", ",d")),
    }


def figures() -> dict[str, LessonFigure]:
    curves = [
        [(epoch, float(W)) for epoch, W in enumerate(weight_path(momentum), 1)]
        for momentum in (0.0, MOMENTUM_USUAL, MOMENTUM_SMALL)
    ]
    state = f"lr={LR}&m={MOMENTUM_USUAL}&n=60&e=60&hide=data,reduction,hypothesis,repeat,code"
    return {"swing": LessonFigure(state, ("cost", "history", "map"), curves, ("epoch", "W"))}


def questions() -> dict[str, Question]:
    first, second = (float(lesson_problem().gradient([W])[0]) for W in weight_path(MOMENTUM_USUAL)[:2])
    W = float(weight_path(MOMENTUM_USUAL)[1])
    slips = {
        "plain": W - LR * second,
        "assigned": -LR * (MOMENTUM_USUAL * first + second),
        "averaged": W - LR * (MOMENTUM_USUAL * first + (1 - MOMENTUM_USUAL) * second),
    }
    roots = {"momentum": QUESTION_MOMENTUM, "plain": error_factor(0.0), "rest": 1 - QUESTION_MOMENTUM}
    times = {"same": 1.0, "ten": 10.0, "hundred": 100.0}
    grown = epochs_needed(CONDITION_NUMBERS[3], "heavy_ball") / epochs_needed(CONDITION_NUMBERS[1], "heavy_ball")
    return {
        "second": NumberQuestion(float(weight_path(MOMENTUM_USUAL)[2]), 0.001, slips),
        "root": NumberQuestion(error_factor(QUESTION_MOMENTUM), 0.005, roots),
        "longer": ChoiceQuestion(min(times, key=lambda name: abs(math.log(times[name] / grown))), tuple(times)),
    }
