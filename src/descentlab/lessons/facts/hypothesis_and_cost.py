"""Lesson 1: H(x) = Wx on three rows, and the cost as a parabola over W."""

from __future__ import annotations

from descentlab.lessons.facts.shared import X, Y, lesson, named, parabola
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table

GUESS, TWICE, FAR = 0.5, 2.0, 3.0  # weights to be wrong with
TRIED = (0.0, GUESS, 1.0, 1.5, TWICE)
WINDOW = (-0.5, 2.5)  # of W, in its picture


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    problem = lesson()
    goal = float(problem.solve().params[0])
    return {
        **named(X, Y),
        "unit": 1,
        "two": TWICE,
        "guess": GUESS,
        "goal": goal,
        "mirror": 2 * goal - GUESS,
        "other": FAR,
        "other_distance": FAR - goal,
        "sum_of_squares": len(X) * problem.cost([GUESS]),
        "zero_cost": problem.cost([0.0]),
        "guess_cost": problem.cost([GUESS]),
        "goal_cost": problem.cost([goal]),
        "mirror_cost": problem.cost([2 * goal - GUESS]),
        "two_cost": problem.cost([TWICE]),
        "other_cost": problem.cost([FAR]),
        "steepness": problem.cost([goal + 1]) - problem.cost([goal]),
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    problem = lesson()
    errors = [(x, y, GUESS * x, GUESS * x - y, (GUESS * x - y) ** 2) for x, y in zip(X, Y, strict=True)]
    costs = [(W, problem.cost([W])) for W in TRIED]
    return {"errors": Table(errors, ("g", "g", ".1f", ".1f", ".2f")), "costs": Table(costs, (".1f", ".6f"))}


def figures() -> dict[str, Figure]:
    """What its figures show."""
    problem = lesson()
    curves = (parabola(problem, *WINDOW), [(GUESS, problem.cost([GUESS]))])
    low, high = WINDOW
    state = (
        f"s={GUESS}&e=0&w={low},{high}&hide=data,rate,momentum,reduction,hypothesis,forget,repeat,transport,map,code"
    )
    return {"parabola": Figure(state, ("data", "cost"), curves, ("W", "cost"))}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    problem = lesson()
    cost = problem.cost([TWICE])
    errors = [TWICE * x - y for x, y in zip(X, Y, strict=True)]
    slips = {"sum": len(X) * cost, "half": cost / 2, "unsquared": sum(errors) / len(X)}
    times = {"same": 1.0, "double": 2.0, "four": 4.0}
    grown = problem.cost([FAR]) / problem.cost([0.0])  # at twice the distance
    return {
        "lowest": Number(min(TRIED, key=lambda W: problem.cost([W])), 1e-6, {"largest": max(TRIED), "start": 0.0}),
        "cost": Number(cost, 0.01, slips),
        "farther": Choice(min(times, key=lambda name: abs(times[name] - grown)), tuple(times)),
    }
