"""Lesson 9: the same rows centered and standardized: behind at first, and thousands of times faster in the end."""

from __future__ import annotations

from functools import cache

import numpy as np

from descentlab.data.builtin import EXAM_SCORES
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.shared import diagnose_descent, epochs_needed_at
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.typing import FloatArray

RAW_LR, LR = 1e-5, 0.1  # of labs 4-1 and 7-1 of github.com/deeplearningzerotoall/PyTorch, which have these five rows
EPOCHS_FEW, EPOCHS_MANY = 20, 100
SHOWN_EPOCHS = (1, 2, 6, 11, EPOCHS_FEW, 40, EPOCHS_MANY)
NEW_STUDENT = (80, 85, 80)  # a sixth student
KIND_FORMULAS = {"raw": "x", "centered": "x - μ", "standardized": "(x - μ) / σ"}


@cache
def exam_problem(kind: str = "raw") -> Problem:
    """The five students' exams and their final score, in one of three units."""
    center, standardize = kind == "centered", kind == "standardized"
    return Problem(EXAM_SCORES.X, EXAM_SCORES.y, center=center, standardize=standardize)


@cache
def diagnose_exams(kind: str) -> Diagnosis:
    """The diagnosis at the courses' rates."""
    return diagnose_descent(exam_problem(kind), lr=RAW_LR if kind == "raw" else LR)


@cache
def fastest_rate_and_epochs(kind: str) -> tuple[str, int]:
    """The fastest rate from this start, as it is printed, and the epochs that it takes."""
    lr_text = diagnose_exams(kind).rates["fastest"].lr_text
    return lr_text, epochs_needed_at(exam_problem(kind), lr_text)


@cache
def costs(kind: str) -> FloatArray:
    """The cost by epoch at the courses' rates."""
    return descend(exam_problem(kind), lr=RAW_LR if kind == "raw" else LR, epochs=EPOCHS_MANY).history.cost


def first_epoch_ahead() -> int:
    """The first epoch whose row costs less standardized."""
    return int(np.argmax(costs("standardized") < costs("raw"))) + 1


def steepest_share() -> float:
    """Which part of what the raw columns have to lose lies in their steepest direction."""
    problem, spectrum = exam_problem(), exam_problem().spectrum()
    errors = spectrum.directions.T @ (problem.scaled_params(None) - problem.scaled_params(problem.solve().params))
    lost = spectrum.eigenvalues * errors**2
    return float(lost[0] / lost.sum())


def predictions() -> dict[str, float]:
    """What is predicted for the new row: rightly scaled, scaled by itself alone, and not scaled."""
    problem = exam_problem("standardized")
    scaled = problem.scaled_params(problem.solve().params)  # the parameters that are descended on
    means, deviations = problem.scaling.means, problem.scaling.scales
    rows = {
        "training": (np.array(NEW_STUDENT) - means) / deviations,
        "own": np.zeros(len(NEW_STUDENT)),
        "none": np.array(NEW_STUDENT),
    }
    return {name: float(row @ scaled[:-1] + scaled[-1]) for name, row in rows.items()}


def numbers() -> dict[str, Cell]:
    raw, centered, scaled = (exam_problem(kind).spectrum() for kind in KIND_FORMULAS)
    predicted = predictions()
    return {
        "n": exam_problem().n,
        "d": len(exam_problem().features),
        "zero": 0,
        "raw_lr": RAW_LR,
        "lr": LR,
        "few": EPOCHS_FEW,
        "many": EPOCHS_MANY,
        "done": EPOCHS_FEW - 1,
        "behind": first_epoch_ahead() - 1,
        "ahead": first_epoch_ahead(),
        "raw_few": float(costs("raw")[EPOCHS_FEW - 1]),
        "few_cost": float(costs("standardized")[EPOCHS_FEW - 1]),
        "raw_many": float(costs("raw")[EPOCHS_MANY - 1]),
        "many_cost": float(costs("standardized")[EPOCHS_MANY - 1]),
        "least": exam_problem().solve().cost,
        "share": 100 * steepest_share(),
        "raw_steepest": raw.lambda_max,
        "raw_flattest": raw.lambda_min,
        "raw_factor": 1 - RAW_LR * raw.lambda_max,
        "raw_lag": RAW_LR * raw.lambda_min,
        "raw_condition": raw.condition,
        "condition": scaled.condition,
        "times": raw.condition / scaled.condition,
        "raw_bound": raw.lr_bound(),
        "centered_steepest": centered.lambda_max,
        "steepest": scaled.lambda_max,
        "bias_curvature": next(
            float(scaled.eigenvalues[i]) for i in range(scaled.rank) if scaled.dominant_parameter(i) == "bias"
        ),
        "centered_epochs": fastest_rate_and_epochs("centered")[1],
        "epochs": fastest_rate_and_epochs("standardized")[1],
        "raw_own_epochs": diagnose_exams("raw").epochs_to_tolerance or 0,
        "own_epochs": diagnose_exams("standardized").epochs_to_tolerance or 0,
        "new": ", ".join(map(str, NEW_STUDENT)),
        "new_first": NEW_STUDENT[0],
        "mean": float(exam_problem().factor.means[0]),
        "deviation": float(exam_problem().factor.std[0]),
        "right": predicted["training"],
        "own": predicted["own"],
        "none": predicted["none"],
    }


def tables() -> dict[str, LessonTable]:
    shown = sorted({*SHOWN_EPOCHS, first_epoch_ahead() - 1, first_epoch_ahead()})
    runs = [(epoch, float(costs("raw")[epoch - 1]), float(costs("standardized")[epoch - 1])) for epoch in shown]
    kinds = []
    for kind, formula in KIND_FORMULAS.items():
        spectrum = exam_problem(kind).spectrum()
        kinds.append((formula, spectrum.condition, spectrum.lr_bound(), *fastest_rate_and_epochs(kind)))
    return {
        "runs": LessonTable(runs, ("d", ".3f", ".3f")),
        "kinds": LessonTable(kinds, ("", ",.0f", ".4g", "", ",d")),
        "weights": LessonTable(_weight_rows(), ("", ".2f", ".4f", ".3f", ".3f")),
    }


def _weight_rows() -> list[tuple[Cell, ...]]:
    """One row a column: its mean, its deviation, and its weight in either unit."""
    problem = exam_problem("standardized")
    params = problem.solve().params
    scaled = problem.scaled_params(params)
    columns = zip(EXAM_SCORES.features, problem.scaling.means, problem.scaling.scales, scaled, params, strict=False)
    rows: list[tuple[Cell, ...]] = [(name, *map(float, values)) for name, *values in columns]
    return [*rows, ("b", "", "", float(scaled[-1]), float(params[-1]))]


def figures() -> dict[str, LessonFigure]:
    curves = [[(epoch, float(costs(kind)[epoch - 1])) for epoch in range(1, 61)] for kind in ("raw", "standardized")]
    state = f"d=exam-scores&b=1&z=1&lr={LR}&n=60&e=60&log=1&hide=data,momentum,reduction,forget,repeat,map,code"
    return {"scaled": LessonFigure(state, ("cost", "history", "table"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    mean, deviation, n = float(exam_problem().factor.means[0]), float(exam_problem().factor.std[0]), exam_problem().n
    offset = NEW_STUDENT[0] - mean
    slips = {
        "sign": -offset / deviation,
        "centered": offset,
        "divided": NEW_STUDENT[0] / deviation,
        "sample": offset / (deviation * (n / (n - 1)) ** 0.5),
    }
    predicted = predictions()
    right = float(np.append(NEW_STUDENT, 1.0) @ exam_problem().solve().params)
    epochs = {kind: diagnose_exams(kind).epochs_to_tolerance or 0 for kind in ("raw", "standardized")}
    later = "later" if epochs["raw"] > epochs["standardized"] else "worse"
    return {
        "z": NumberQuestion(offset / deviation, 0.01, slips),
        "early": ChoiceQuestion(later, ("worse", "units", "later")),
        "new": ChoiceQuestion(
            min(predicted, key=lambda name: abs(predicted[name] - right)), ("own", "training", "none")
        ),
    }
