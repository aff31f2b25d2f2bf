"""Lesson 1: H(x) = Wx on three rows, and the cost as a parabola over W."""

from __future__ import annotations

from descentlab.lessons.facts.shared import X, Y, describe_rows, lesson_problem, parabola
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question

W_GUESS, W_TWICE, W_FAR = 0.5, 2.0, 3.0  # weights to be wrong with
W_TRIED = (0.0, W_GUESS, 1.0, 1.5, W_TWICE)
W_WINDOW = (-0.5, 2.5)  # of W, in its picture


def numbers() -> dict[str, Cell]:
    problem = lesson_problem()
    goal = float(problem.solve().params[0])
    return {
        **describe_rows(X, Y),
        "unit": 1,
        "two": W_TWICE,
        "guess": W_GUESS,
        "goal": goal,
        "mirror": 2 * goal - W_GUESS,
        "other": W_FAR,
        "other_distance": W_FAR - goal,
        "sum_of_squares": len(X) * problem.cost([W_GUESS]),
        "zero_cost": problem.cost([0.0]),
        "guess_cost": problem.cost([W_GUESS]),
        "goal_cost": problem.cost([goal]),
        "mirror_cost": problem.cost([2 * goal - W_GUESS]),
        "two_cost": problem.cost([W_TWICE]),
        "other_cost": problem.cost([W_FAR]),
        "steepness": problem.cost([goal + 1]) - problem.cost([goal]),
    }


def tables() -> dict[str, LessonTable]:
    problem = lesson_problem()
    errors = [(x, y, W_GUESS * x, W_GUESS * x - y, (W_GUESS * x - y) ** 2) for x, y in zip(X, Y, strict=True)]
    costs = [(W, problem.cost([W])) for W in W_TRIED]
    return {"errors": LessonTable(errors, ("g", "g", ".1f", ".1f", ".2f")), "costs": LessonTable(costs, (".1f", ".6f"))}


def figures() -> dict[str, LessonFigure]:
    problem = lesson_problem()
    curves = (parabola(problem, *W_WINDOW), [(W_GUESS, problem.cost([W_GUESS]))])
    low, high = W_WINDOW
    state = (
        f"s={W_GUESS}&e=0&w={low},{high}&hide=data,rate,momentum,reduction,hypothesis,forget,repeat,transport,map,code"
    )
    return {"parabola": LessonFigure(state, ("data", "cost"), curves, ("W", "cost"))}


def questions() -> dict[str, Question]:
    problem = lesson_problem()
    cost = problem.cost([W_TWICE])
    errors = [W_TWICE * x - y for x, y in zip(X, Y, strict=True)]
    slips = {"sum": len(X) * cost, "half": cost / 2, "unsquared": sum(errors) / len(X)}
    times = {"same": 1.0, "double": 2.0, "four": 4.0}
    grown = problem.cost([W_FAR]) / problem.cost([0.0])  # at twice the distance
    return {
        "lowest": NumberQuestion(
            min(W_TRIED, key=lambda W: problem.cost([W])), 1e-6, {"largest": max(W_TRIED), "start": 0.0}
        ),
        "cost": NumberQuestion(cost, 0.01, slips),
        "farther": ChoiceQuestion(min(times, key=lambda name: abs(times[name] - grown)), tuple(times)),
    }
