"""Lesson 2: one update by hand, the assignment that is right by chance, and a step that is too long."""

from __future__ import annotations

from descentlab.lessons.facts.shared import X, Y, describe_rows, lesson_problem, parabola
from descentlab.lessons.facts.types import Cell, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.run.descend import descend

LR, LR_SMALL, W_START = 0.1, 0.01, 0.5


def weight_after(lr: float, start: float = 0.0, epochs: int = 1) -> float:
    """W after these steps on the sum of the squares."""
    return float(descend(lesson_problem(), lr=lr, reduction="sum", start=[start], epochs=epochs).params[0])


def gradient(W: float, reduction: str = "sum") -> float:
    """The slope of the cost at W."""
    return float(lesson_problem().gradient([W], reduction)[0])


def numbers() -> dict[str, Cell]:
    problem = lesson_problem()
    goal = float(problem.solve().params[0])
    return {
        **describe_rows(X, Y),
        "two": 2,
        "lr": LR,
        "small": LR_SMALL,
        "start": W_START,
        "goal": goal,
        "sum": gradient(0.0, "half_sum"),
        "gradient": gradient(0.0),
        "step": weight_after(LR),
        "W": weight_after(LR),
        "overshoot": weight_after(LR) - goal,
        "start_distance": goal - 0.0,
        "factor": (weight_after(LR) - goal) / (0.0 - goal),
        "cost_before": problem.cost([0.0]),
        "cost_after": problem.cost([weight_after(LR)]),
        "start_gradient": gradient(W_START),
        "wrong": -LR_SMALL * gradient(W_START),
        "W_moved": weight_after(LR_SMALL, W_START),
        "W_small": weight_after(LR_SMALL),
        "next_gradient": gradient(weight_after(LR_SMALL)),
        "bound": problem.spectrum("sum").lr_bound(),
    }


def tables() -> dict[str, LessonTable]:
    rows = [(x, y, 0.0 * x, 0.0 * x - y, (0.0 * x - y) * x) for x, y in zip(X, Y, strict=True)]
    return {"products": LessonTable(rows, ("g", "g", "g", "g", "g"))}


def figures() -> dict[str, LessonFigure]:
    problem = lesson_problem()
    path = [(W, problem.cost([W])) for W in (0.0, weight_after(LR))]
    state = f"r=sum&lr={LR}&n=1&e=1&hide=momentum,reduction,hypothesis,forget,repeat,map,code"
    return {"step": LessonFigure(state, ("cost", "micro"), (parabola(problem, -0.5, 3.2), path), ("W", "cost"))}


def questions() -> dict[str, Question]:
    errors = [0.0 * x - y for x, y in zip(X, Y, strict=True)]
    at_zero, at_start, small = gradient(0.0), gradient(W_START), weight_after(LR_SMALL)
    slips = {"sign": -at_zero, "mean": gradient(0.0, "mean"), "half": at_zero / 2, "errors": 2 * sum(errors)}
    slips["plain"] = sum(errors)
    assigned = {"assigned": -LR_SMALL * at_start, "added": W_START + LR_SMALL * at_start, "from_zero": small}
    second = {"doubled": 2 * small, "assigned": -LR_SMALL * gradient(small), "same": small}
    return {
        "gradient": NumberQuestion(at_zero, 0.005, slips),
        "assign": NumberQuestion(weight_after(LR_SMALL, W_START), 0.0005, assigned),
        "second": NumberQuestion(weight_after(LR_SMALL, epochs=2), 0.001, second),
    }
