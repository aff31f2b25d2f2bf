"""Lesson 8: three exams predict the final; the cost falls fast and then creeps, and flat is not finished."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from descentlab.data.builtin import EXAM_SCORES
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.bias import line_problem
from descentlab.lessons.facts.shared import diagnose_descent, epochs_needed_at
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

LR, EPOCHS_FEW, EPOCHS_MANY = 1e-5, 20, 1000  # the course's rate, and how many epochs it shows
EPOCHS_EARLY, EPOCHS_LATE = 10, 1_000_000  # when the cost looks flat, and when it still is
SHOWN_UPDATES = (0, 1, EPOCHS_EARLY, EPOCHS_FEW, EPOCHS_MANY, 100_000, 10_000_000)  # updates done, in the table
EPOCHS_DRAWN = 60
EPOCH_MAGNITUDES = {"thousands": 3, "hundred_thousands": 5, "millions": 6}  # powers of ten


def exam_problem() -> Problem:
    """Three exams and a bias predict the final."""
    return Problem(EXAM_SCORES.X, EXAM_SCORES.y)


@cache
def diagnose_exams(epochs: int = EPOCHS_FEW) -> Diagnosis:
    """What the course's rate does."""
    return diagnose_descent(exam_problem(), lr=LR, epochs=epochs)


def run(epochs: int) -> Run:
    """The course's descent."""
    return descend(exam_problem(), lr=LR, epochs=epochs, every=epochs)


def epochs_needed() -> int:
    """The epochs after which the cost stays within 1% of the minimum's."""
    return diagnose_exams().epochs_to_tolerance or 0


def flattest_direction() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The flattest direction, as long as b rises by 1."""
    v = exam_problem().spectrum().directions[:, -1]
    return np.asarray(v / v[-1])


def numbers() -> dict[str, Cell]:
    diagnosis, problem = diagnose_exams(), exam_problem()
    spectrum, best = problem.spectrum(), problem.solve()
    few, start = run(EPOCHS_FEW), problem.cost([0.0] * 4)
    before = run(EPOCHS_FEW - 1).cost
    v = flattest_direction()
    scores = np.array(EXAM_SCORES.X)
    centered = next(remedy for remedy in diagnosis.remedies if remedy.name == "center")
    assert diagnosis.slowest is not None
    return {
        "students": problem.n,
        "zero": 0,
        "one": 1,
        "two": 2,
        "percent": round(100 * diagnosis.within),
        "lr": LR,
        "ten": 10,
        "few": EPOCHS_FEW,
        "early": EPOCHS_EARLY,
        "many": EPOCHS_MANY,
        "late": EPOCHS_LATE,
        "steep": spectrum.lambda_max,
        "flat": spectrum.lambda_min,
        "condition": spectrum.condition,
        "bias_condition": line_problem().spectrum().condition,
        "bound": spectrum.lr_bound(),
        "room": spectrum.lr_bound() / LR,
        "start_cost": start,
        "early_cost": run(EPOCHS_EARLY).cost,
        "few_cost": few.cost,
        "few_miss": math.sqrt(few.cost),
        "few_b": float(few.params[-1]),
        "fall": 100 * (1 - few.cost / before),
        "many_cost": run(EPOCHS_MANY).cost,
        "least_cost": best.cost,
        "least_miss": math.sqrt(best.cost),
        "best_b": float(best.params[-1]),
        "times": few.cost / best.cost,
        "epochs": epochs_needed(),
        "needed_b": float(run(epochs_needed()).params[-1]),
        "halving": _epochs_to_halve(diagnosis.slowest.one_minus_factor),
        "left": 100 * _error_remaining(LR),
        "left_at_bound": math.floor(100 * _error_remaining(spectrum.lr_bound())),
        "spread": float(np.ptp(scores, axis=1).max()),
        "least_lift": math.floor(float((scores @ spectrum.directions[:3, 0] + spectrum.directions[3, 0]).min())),
        "v1": float(v[0]),
        "v2": float(v[1]),
        "v3": float(v[2]),
        "change": math.ceil(10 * float(np.abs(scores @ v[:3] + v[3]).max())) / 10,
        "fastest_lr": diagnosis.rates["fastest"].lr_text,
        "fastest_epochs": epochs_needed_at(problem, diagnosis.rates["fastest"].lr_text),
        "centered_epochs": centered.epochs or 0,
    }


def _epochs_to_halve(gap: float) -> float:
    """The epochs that halve an error which each of them multiplies by ``1 - gap``."""
    return math.log(0.5) / math.log1p(-gap)


def _error_remaining(lr: float) -> float:
    """The part of the error along the flattest direction that remains after these epochs."""
    return math.exp(EPOCHS_LATE * math.log1p(-lr * exam_problem().spectrum().lambda_min))


def tables() -> dict[str, LessonTable]:
    problem = exam_problem()
    spectrum = problem.spectrum()
    run_rows = [(0, problem.cost([0.0] * 4), *[0.0] * 4)]
    for epochs in (*SHOWN_UPDATES[1:], epochs_needed()):
        finished = run(epochs)
        run_rows.append((epochs, finished.cost, *map(float, finished.params)))
    directions = [
        (*map(float, spectrum.directions[:, i]), float(curvature), _epochs_to_halve(LR * float(curvature)))
        for i, curvature in enumerate(spectrum.eigenvalues)
    ]
    return {
        "rows": LessonTable(EXAM_SCORES.rows, ("g", "g", "g", "g")),
        "run": LessonTable(run_rows, (",d", ".3f", ".3f", ".3f", ".3f", ".3f")),
        "directions": LessonTable(directions, (".3f", ".3f", ".3f", ".3f", ",.5g", ",.0f")),
    }


def figures() -> dict[str, LessonFigure]:
    problem = exam_problem()
    history = descend(problem, lr=LR, epochs=EPOCHS_DRAWN + 1).history
    costs = [(float(done), float(cost)) for done, cost in enumerate(history.cost)]
    min_cost = problem.solve().cost
    hidden = "data,momentum,reduction,hypothesis,forget,repeat,map,code"
    state = f"d={EXAM_SCORES.name}&b=1&lr={LR}&n={EPOCHS_DRAWN}&e={EPOCHS_DRAWN}&hide={hidden}"
    curves = (costs, [(done, min_cost) for done, _ in costs])
    return {"creeping": LessonFigure(state, ("history", "cost", "table"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    spectrum, diagnosis = exam_problem().spectrum(), diagnose_exams()
    lr_bound = spectrum.lr_bound()
    slips = {
        "one": lr_bound / 2,
        "sum": exam_problem().spectrum("sum").lr_bound(),
        "upside": round(spectrum.lambda_max) / 2,
    }
    outcome = {"too slow": "creeps", "diverges": "diverges"}.get(diagnosis.verdict, "finished")
    size = math.log10(epochs_needed_at(exam_problem(), diagnosis.rates["fastest"].lr_text))
    return {
        "bound": NumberQuestion(lr_bound, 5e-7, slips),
        "flat": ChoiceQuestion(outcome, ("finished", "diverges", "creeps")),
        "faster": ChoiceQuestion(
            min(EPOCH_MAGNITUDES, key=lambda name: abs(EPOCH_MAGNITUDES[name] - size)), tuple(EPOCH_MAGNITUDES)
        ),
    }
