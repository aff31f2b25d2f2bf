"""Lesson 8: three exams predict the final; the cost falls fast and then creeps, and flat is not finished."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from descentlab.data.builtin import EXAM_SCORES
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.bias import line
from descentlab.lessons.facts.shared import diagnosed, epochs_at
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.lessons.order import number_of
from descentlab.problem.problem import Problem
from descentlab.run.run import Run, descend

LR, FEW, MANY = 1e-5, 20, 1000  # the course's rate, and how many epochs it shows
EARLY, LATE = 10, 1_000_000  # when the cost looks flat, and when it still is
SHOWN = (0, 1, EARLY, FEW, MANY, 100_000, 10_000_000)  # updates done, in the table
SKETCHED = 60
SIZES = {"thousands": 3, "hundred_thousands": 5, "millions": 6}  # powers of ten


def exams() -> Problem:
    """Three exams and a bias predict the final."""
    return Problem(EXAM_SCORES.X, EXAM_SCORES.y)


@cache
def examined(epochs: int = FEW) -> Diagnosis:
    """What the course's rate does."""
    return diagnosed(exams(), lr=LR, epochs=epochs)


def run(epochs: int) -> Run:
    """The course's descent, for so many epochs."""
    return descend(exams(), lr=LR, epochs=epochs, every=epochs)


def needed() -> int:
    """The epochs after which the cost stays within 1 % of the minimum's."""
    return examined().epochs_to_tolerance or 0


def flattest() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The flattest direction, as long as b rises by 1."""
    v = exams().spectrum().directions[:, -1]
    return np.asarray(v / v[-1])


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    found, problem = examined(), exams()
    spectrum, best = problem.spectrum(), problem.solve()
    few, start = run(FEW), problem.cost([0.0] * 4)
    before = run(FEW - 1).cost
    v = flattest()
    scores = np.array(EXAM_SCORES.X)
    centered = next(remedy for remedy in found.remedies if remedy.name == "center")
    assert found.slowest is not None
    return {
        "students": problem.n,
        "zero": 0,
        "one": 1,
        "two": 2,
        "percent": round(100 * found.within),
        "lr": LR,
        "ten": 10,
        "few": FEW,
        "early": EARLY,
        "many": MANY,
        "late": LATE,
        "rate_lesson": number_of("learning-rate"),
        "bias_lesson": number_of("bias"),
        "next_lesson": number_of("scaling"),
        "steep": spectrum.largest,
        "flat": spectrum.smallest,
        "condition": spectrum.condition,
        "bias_condition": line().spectrum().condition,
        "bound": spectrum.lr_bound(),
        "room": spectrum.lr_bound() / LR,
        "start_cost": start,
        "early_cost": run(EARLY).cost,
        "few_cost": few.cost,
        "few_miss": math.sqrt(few.cost),
        "few_b": float(few.params[-1]),
        "fall": 100 * (1 - few.cost / before),
        "many_cost": run(MANY).cost,
        "least_cost": best.cost,
        "least_miss": math.sqrt(best.cost),
        "best_b": float(best.params[-1]),
        "times": few.cost / best.cost,
        "epochs": needed(),
        "needed_b": float(run(needed()).params[-1]),
        "halving": _halving(found.slowest.gap),
        "left": 100 * _left(LR),
        "left_at_bound": math.floor(100 * _left(spectrum.lr_bound())),
        "spread": float(np.ptp(scores, axis=1).max()),
        "least_lift": math.floor(float((scores @ spectrum.directions[:3, 0] + spectrum.directions[3, 0]).min())),
        "v1": float(v[0]),
        "v2": float(v[1]),
        "v3": float(v[2]),
        "change": math.ceil(10 * float(np.abs(scores @ v[:3] + v[3]).max())) / 10,
        "fastest_lr": found.rates["fastest"].shown,
        "fastest_epochs": epochs_at(problem, found.rates["fastest"].shown),
        "centered_epochs": centered.epochs or 0,
    }


def _halving(gap: float) -> float:
    """The epochs that halve an error which each of them multiplies by ``1 - gap``."""
    return math.log(0.5) / math.log1p(-gap)


def _left(lr: float) -> float:
    """The part of the error along the flattest direction that is left after so many epochs."""
    return math.exp(LATE * math.log1p(-lr * exams().spectrum().smallest))


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    problem = exams()
    spectrum = problem.spectrum()
    done = [(0, problem.cost([0.0] * 4), *[0.0] * 4)]
    for epochs in (*SHOWN[1:], needed()):
        ran = run(epochs)
        done.append((epochs, ran.cost, *map(float, ran.params)))
    directions = [
        (*map(float, spectrum.directions[:, i]), float(curvature), _halving(LR * float(curvature)))
        for i, curvature in enumerate(spectrum.eigenvalues)
    ]
    return {
        "rows": Table(EXAM_SCORES.rows, ("g", "g", "g", "g")),
        "run": Table(done, (",d", ".3f", ".3f", ".3f", ".3f", ".3f")),
        "directions": Table(directions, (".3f", ".3f", ".3f", ".3f", ",.5g", ",.0f")),
    }


def figures() -> dict[str, Figure]:
    """What its figures show."""
    problem = exams()
    history = descend(problem, lr=LR, epochs=SKETCHED + 1).history
    costs = [(float(done), float(cost)) for done, cost in enumerate(history.cost)]
    least = problem.solve().cost
    hidden = "data,momentum,reduction,hypothesis,forget,repeat,map,code"
    state = f"d={EXAM_SCORES.name}&b=1&lr={LR}&n={SKETCHED}&e={SKETCHED}&hide={hidden}"
    curves = (costs, [(done, least) for done, _ in costs])
    return {"creeping": Figure(state, ("history", "cost", "table"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    spectrum, found = exams().spectrum(), examined()
    bound = spectrum.lr_bound()
    slips = {"one": bound / 2, "sum": exams().spectrum("sum").lr_bound(), "upside": round(spectrum.largest) / 2}
    said = {"too slow": "creeps", "diverges": "diverges"}.get(found.verdict, "finished")
    size = math.log10(epochs_at(exams(), found.rates["fastest"].shown))
    return {
        "bound": Number(bound, 5e-7, slips),
        "flat": Choice(said, ("finished", "diverges", "creeps")),
        "faster": Choice(min(SIZES, key=lambda name: abs(SIZES[name] - size)), tuple(SIZES)),
    }
