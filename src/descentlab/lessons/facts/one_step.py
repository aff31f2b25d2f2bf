"""Lesson 2: one update by hand, the assignment that is right by chance, and a step that is too long."""

from __future__ import annotations

from descentlab.lessons.facts.shared import X, Y, lesson, named, parabola
from descentlab.lessons.facts.types import Cell, Figure, Number, Question, Table
from descentlab.lessons.order import number_of
from descentlab.run.run import descend

LR, SMALL, START = 0.1, 0.01, 0.5


def after(lr: float, start: float = 0.0, epochs: int = 1) -> float:
    """W after so many steps on the sum of the squares."""
    return float(descend(lesson(), lr=lr, reduction="sum", start=[start], epochs=epochs).params[0])


def gradient(W: float, reduction: str = "sum") -> float:
    """The slope of the cost at W."""
    return float(lesson().gradient([W], reduction)[0])


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    problem = lesson()
    goal = float(problem.solve().params[0])
    return {
        **named(X, Y),
        "two": 2,
        "rate_lesson": number_of("learning-rate"),
        "lr": LR,
        "small": SMALL,
        "start": START,
        "goal": goal,
        "sum": gradient(0.0, "half_sum"),
        "gradient": gradient(0.0),
        "step": after(LR),
        "W": after(LR),
        "overshoot": after(LR) - goal,
        "start_distance": goal - 0.0,
        "factor": (after(LR) - goal) / (0.0 - goal),
        "cost_before": problem.cost([0.0]),
        "cost_after": problem.cost([after(LR)]),
        "start_gradient": gradient(START),
        "wrong": -SMALL * gradient(START),
        "W_moved": after(SMALL, START),
        "W_small": after(SMALL),
        "next_gradient": gradient(after(SMALL)),
        "bound": problem.spectrum("sum").lr_bound(),
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    rows = [(x, y, 0.0 * x, 0.0 * x - y, (0.0 * x - y) * x) for x, y in zip(X, Y, strict=True)]
    return {"products": Table(rows, ("g", "g", "g", "g", "g"))}


def figures() -> dict[str, Figure]:
    """What its figures show."""
    problem = lesson()
    path = [(W, problem.cost([W])) for W in (0.0, after(LR))]
    state = f"r=sum&lr={LR}&n=1&e=1&hide=momentum,reduction,hypothesis,forget,repeat,map,code"
    return {"step": Figure(state, ("cost", "micro"), (parabola(problem, -0.5, 3.2), path), ("W", "cost"))}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    errors = [0.0 * x - y for x, y in zip(X, Y, strict=True)]
    at_zero, at_start, small = gradient(0.0), gradient(START), after(SMALL)
    slips = {"sign": -at_zero, "mean": gradient(0.0, "mean"), "half": at_zero / 2, "errors": 2 * sum(errors)}
    slips["plain"] = sum(errors)
    assigned = {"assigned": -SMALL * at_start, "added": START + SMALL * at_start, "from_zero": small}
    second = {"doubled": 2 * small, "assigned": -SMALL * gradient(small), "same": small}
    return {
        "gradient": Number(at_zero, 0.005, slips),
        "assign": Number(after(SMALL, START), 0.0005, assigned),
        "second": Number(after(SMALL, epochs=2), 0.001, second),
    }
