"""Lesson 9: the same rows centered and standardized: behind at first, and thousands of times faster in the end."""

from __future__ import annotations

from functools import cache

import numpy as np

from descentlab.data.builtin import EXAM_SCORES
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.shared import diagnosed, epochs_at
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.lessons.order import number_of
from descentlab.problem.problem import Problem
from descentlab.run.run import descend
from descentlab.typing import Array

RAW_LR, LR = 1e-5, 0.1  # of labs 4-1 and 7-1 of github.com/deeplearningzerotoall/PyTorch, which have these five rows
FEW, MANY = 20, 100
SHOWN = (1, 2, 6, 11, FEW, 40, MANY)
NEW = (80, 85, 80)  # a sixth student
KINDS = {"raw": "x", "centered": "x - μ", "standardized": "(x - μ) / σ"}


@cache
def exams(kind: str = "raw") -> Problem:
    """The five students' exams and their final score, in one of three units."""
    center, standardize = kind == "centered", kind == "standardized"
    return Problem(EXAM_SCORES.X, EXAM_SCORES.y, center=center, standardize=standardize)


@cache
def examined(kind: str) -> Diagnosis:
    """What the doctor says at the courses' rates."""
    return diagnosed(exams(kind), lr=RAW_LR if kind == "raw" else LR)


@cache
def fastest(kind: str) -> tuple[str, int]:
    """The fastest rate from this start, as it is printed, and the epochs that it takes."""
    shown = examined(kind).rates["fastest"].shown
    return shown, epochs_at(exams(kind), shown)


@cache
def costs(kind: str) -> Array:
    """The cost by epoch at the courses' rates."""
    return descend(exams(kind), lr=RAW_LR if kind == "raw" else LR, epochs=MANY).history.cost


def ahead() -> int:
    """The first epoch whose row costs less standardized."""
    return int(np.argmax(costs("standardized") < costs("raw"))) + 1


def steepest_share() -> float:
    """Which part of what the raw columns have to lose lies in their steepest direction."""
    problem, spectrum = exams(), exams().spectrum()
    errors = spectrum.directions.T @ (problem.start(None) - problem.start(problem.solve().params))
    lost = spectrum.eigenvalues * errors**2
    return float(lost[0] / lost.sum())


def predictions() -> dict[str, float]:
    """What is predicted for the new row: rightly scaled, scaled by itself alone, and not scaled."""
    problem = exams("standardized")
    scaled = problem.start(problem.solve().params)  # the parameters that are descended on
    means, deviations = problem.coordinates.means, problem.coordinates.scales
    rows = {"training": (np.array(NEW) - means) / deviations, "own": np.zeros(len(NEW)), "none": np.array(NEW)}
    return {name: float(row @ scaled[:-1] + scaled[-1]) for name, row in rows.items()}


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    raw, centered, scaled = (exams(kind).spectrum() for kind in KINDS)
    told = predictions()
    return {
        "features_lesson": number_of("several-features"),
        "momentum_lesson": number_of("momentum"),
        "n": exams().n,
        "d": len(exams().features),
        "zero": 0,
        "raw_lr": RAW_LR,
        "lr": LR,
        "few": FEW,
        "many": MANY,
        "done": FEW - 1,
        "behind": ahead() - 1,
        "ahead": ahead(),
        "raw_few": float(costs("raw")[FEW - 1]),
        "few_cost": float(costs("standardized")[FEW - 1]),
        "raw_many": float(costs("raw")[MANY - 1]),
        "many_cost": float(costs("standardized")[MANY - 1]),
        "least": exams().solve().cost,
        "share": 100 * steepest_share(),
        "raw_steepest": raw.largest,
        "raw_flattest": raw.smallest,
        "raw_factor": 1 - RAW_LR * raw.largest,
        "raw_lag": RAW_LR * raw.smallest,
        "raw_condition": raw.condition,
        "condition": scaled.condition,
        "times": raw.condition / scaled.condition,
        "raw_bound": raw.lr_bound(),
        "centered_steepest": centered.largest,
        "steepest": scaled.largest,
        "bias_curvature": next(float(scaled.eigenvalues[i]) for i in range(scaled.rank) if scaled.column(i) == "bias"),
        "centered_epochs": fastest("centered")[1],
        "epochs": fastest("standardized")[1],
        "raw_own_epochs": examined("raw").epochs_to_tolerance or 0,
        "own_epochs": examined("standardized").epochs_to_tolerance or 0,
        "new": ", ".join(map(str, NEW)),
        "new_first": NEW[0],
        "mean": float(exams().factor.means[0]),
        "deviation": float(exams().factor.deviations[0]),
        "right": told["training"],
        "own": told["own"],
        "none": told["none"],
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    shown = sorted({*SHOWN, ahead() - 1, ahead()})
    runs = [(epoch, float(costs("raw")[epoch - 1]), float(costs("standardized")[epoch - 1])) for epoch in shown]
    kinds = []
    for kind, formula in KINDS.items():
        spectrum = exams(kind).spectrum()
        kinds.append((formula, spectrum.condition, spectrum.lr_bound(), *fastest(kind)))
    return {
        "runs": Table(runs, ("d", ".3f", ".3f")),
        "kinds": Table(kinds, ("", ",.0f", ".4g", "", ",d")),
        "weights": Table(_weights(), ("", ".2f", ".4f", ".3f", ".3f")),
    }


def _weights() -> list[tuple[Cell, ...]]:
    """One row a column: its mean, its deviation, and its weight in either unit."""
    problem = exams("standardized")
    params = problem.solve().params
    scaled = problem.start(params)
    parts = zip(
        EXAM_SCORES.features, problem.coordinates.means, problem.coordinates.scales, scaled, params, strict=False
    )
    rows: list[tuple[Cell, ...]] = [(name, *map(float, values)) for name, *values in parts]
    return [*rows, ("b", "", "", float(scaled[-1]), float(params[-1]))]


def figures() -> dict[str, Figure]:
    """What its figures show."""
    curves = [[(epoch, float(costs(kind)[epoch - 1])) for epoch in range(1, 61)] for kind in ("raw", "standardized")]
    state = f"d=exam-scores&b=1&z=1&lr={LR}&n=60&e=60&log=1&hide=data,momentum,reduction,forget,repeat,map,code"
    return {"scaled": Figure(state, ("cost", "history", "table"), curves, ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    mean, deviation, n = float(exams().factor.means[0]), float(exams().factor.deviations[0]), exams().n
    away = NEW[0] - mean
    slips = {
        "sign": -away / deviation,
        "centered": away,
        "divided": NEW[0] / deviation,
        "sample": away / (deviation * (n / (n - 1)) ** 0.5),
    }
    told = predictions()
    right = float(np.append(NEW, 1.0) @ exams().solve().params)
    epochs = {kind: examined(kind).epochs_to_tolerance or 0 for kind in ("raw", "standardized")}
    later = "later" if epochs["raw"] > epochs["standardized"] else "worse"
    return {
        "z": Number(away / deviation, 0.01, slips),
        "early": Choice(later, ("worse", "units", "later")),
        "new": Choice(min(told, key=lambda name: abs(told[name] - right)), ("own", "training", "none")),
    }
