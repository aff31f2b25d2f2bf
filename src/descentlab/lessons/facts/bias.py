"""Lesson 7: H(x) = Wx + b, a valley instead of a parabola, and what centering x does to it."""

from __future__ import annotations

import math

import numpy as np

from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.shared import X, describe_rows, diagnose_descent, format_list
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

Y_OFFSET = 2  # how far the lesson's rows are lifted off the line y = x
Y = tuple(x + Y_OFFSET for x in X)
LR, LR_LARGE = 0.1, 0.5  # the second is beyond the bound, until x is centered
SHOWN_UPDATES = (0, 1, 2, 10, 50, 100)  # updates done, in the table, before those that it takes
STEP_ASIDE = (0.5, 1.0)  # a move away from the minimum, in W and in b
CONTOUR_COSTS = (0.04, 0.45)  # costs to draw
OTHER_X = (10.0, 20.0, 60.0)  # a column to center


def line_problem(center: bool = False) -> Problem:
    """H(x) = Wx + b on rows with y = x + 2."""
    return Problem(X, Y, center=center)


def diagnose_line(center: bool = False, lr: float = LR) -> Diagnosis:
    """What that rate does."""
    return diagnose_descent(line_problem(center), lr=lr)


def run(epochs: int) -> Run:
    """The lesson's descent."""
    return descend(line_problem(), lr=LR, epochs=epochs)


def epochs_needed() -> int:
    """The updates from which on both parameters stay where they belong."""
    return diagnose_line().epochs_to_tolerance or 0


def shift_from_minimum(problem: Problem, W: float, b: float) -> tuple[float, float, float]:
    """W, b and the cost so far from the minimum, in the coordinates descended on."""
    goal = problem.scaling.to_scaled(problem.solve().params)
    shifted = goal + np.array([W, b])
    return float(shifted[0]), float(shifted[1]), problem.cost(problem.scaling.to_original(shifted))


def numbers() -> dict[str, Cell]:
    raw, centered = diagnose_line(), diagnose_line(center=True)
    goal_W, goal_b = map(float, raw.goal)
    slopes, first = line_problem().gradient([0.0, 0.0]), run(1)
    start = line_problem().cost([0.0, 0.0])
    against, along = (
        shift_from_minimum(line_problem(), *STEP_ASIDE)[2],
        shift_from_minimum(line_problem(), -STEP_ASIDE[0], STEP_ASIDE[1])[2],
    )
    steep, flat = map(float, line_problem().spectrum().eigenvalues)
    centered_steep, centered_flat = map(float, line_problem(center=True).spectrum().eigenvalues)
    assert raw.slowest is not None
    return {
        **describe_rows(X, Y),
        "two": 2,
        "percent": round(100 * raw.within),
        "lr": LR,
        "large": LR_LARGE,
        "goal_W": goal_W,
        "goal_b": goal_b,
        "slope_W": float(slopes[0]),
        "slope_b": float(slopes[1]),
        "first_W": float(first.params[0]),
        "first_b": float(first.params[1]),
        "first_part": 100 * (1 - first.cost / start),
        "aside_W": STEP_ASIDE[0],
        "aside_b": STEP_ASIDE[1],
        "along": along,
        "against": against,
        "times": against / along,
        "epochs": epochs_needed(),
        "best_lr": raw.rates["fastest"].lr,
        "best_epochs": raw.rates["fastest"].epochs or 0,
        "steep": steep,
        "flat": flat,
        "condition": raw.condition,
        "bound": line_problem().spectrum().lr_bound(),
        "factor": raw.slowest.factor,
        "mean": float(line_problem().factor.means[0]),
        "centered_x": format_list(tuple(line_problem(center=True).scaled_rows().X[:, 0])),
        "centered_steep": centered_steep,
        "centered_flat": centered_flat,
        "centered_condition": centered.condition,
        "centered_bound": line_problem(center=True).spectrum().lr_bound(),
        "centered_epochs": centered.epochs_to_tolerance or 0,
        "large_epochs": diagnose_line(center=True, lr=LR_LARGE).epochs_to_tolerance or 0,
        "centered_aside": shift_from_minimum(line_problem(center=True), *STEP_ASIDE)[2],
        "other_x": format_list(OTHER_X),
        "other_sum": sum(OTHER_X),
        "other_count": len(OTHER_X),
    }


def tables() -> dict[str, LessonTable]:
    history = run(epochs_needed() + 1).history
    rows = [
        (done, *map(float, history.params[done]), float(history.cost[done]))
        for done in (*SHOWN_UPDATES, epochs_needed())
    ]
    W, b = STEP_ASIDE
    moves = [shift_from_minimum(line_problem(), *move) for move in ((0, 0), (W, b), (-W, -b), (-W, b), (W, -b))]
    return {
        "run": LessonTable(rows, ("d", ".3f", ".3f", ".6f")),
        "moves": LessonTable(moves, (".1f", ".1f", ".3f")),
    }


def contour(cost: float, points: int = 240) -> list[tuple[float, float]]:
    """(W, b) where the cost is so much: an ellipse along the two directions, as wide as their curvatures allow."""
    spectrum, goal = line_problem().spectrum(), line_problem().solve().params
    radii = np.sqrt(2 * cost / spectrum.eigenvalues)
    turns = np.linspace(0, 2 * math.pi, points)
    places = goal + (np.column_stack([np.cos(turns), np.sin(turns)]) * radii) @ spectrum.directions.T
    return [(float(W), float(b)) for W, b in places]


def figures() -> dict[str, LessonFigure]:
    history = run(epochs_needed() + 1).history
    rows = ";".join(f"{x:g},{y:g}" for x, y in zip(X, Y, strict=True))
    path = [(float(W), float(b)) for W, b in history.params]
    contours = [point for cost in CONTOUR_COSTS for point in contour(cost)]
    goal = [(float(W), float(b)) for W, b in [line_problem().solve().params]]
    hidden = "data,momentum,reduction,forget,repeat,map,code"
    state = f"p={rows}&b=1&lr={LR}&n={epochs_needed()}&e={epochs_needed()}&hide={hidden}"
    return {"valley": LessonFigure(state, ("data", "cost", "history"), (contours, path, goal), ("W", "b"))}


def questions() -> dict[str, Question]:
    slope_W, slope_b = map(float, line_problem().gradient([0.0, 0.0]))
    slips = {"sum": len(X) * slope_b, "half": slope_b / 2, "weight": slope_W, "sign": -slope_b}
    slips |= {"sum_sign": -slips["sum"], "half_sign": -slips["half"]}
    W, b = STEP_ASIDE
    apart, together = (
        shift_from_minimum(line_problem(center=True), -W, b)[2],
        shift_from_minimum(line_problem(center=True), W, b)[2],
    )
    same = math.isclose(apart, together, rel_tol=1e-9)
    compared = "same" if same else "apart" if apart < together else "together"
    mean = float(Problem(OTHER_X, OTHER_X).factor.means[0])
    centers = {"median": float(np.median(OTHER_X)), "middle": (min(OTHER_X) + max(OTHER_X)) / 2, "least": min(OTHER_X)}
    return {
        "gradient": NumberQuestion(slope_b, 0.005, slips),
        "centered": ChoiceQuestion(compared, ("apart", "together", "same")),
        "center": NumberQuestion(mean, 0.005, centers),
    }
