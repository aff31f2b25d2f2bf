"""Lesson 11: many updates an epoch, each from a few rows: downhill on average, and never quite at rest."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from descentlab.engines import iterate_batches
from descentlab.lessons.facts.shared import listed, named
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.problem.problem import Problem
from descentlab.run.run import Run, descend

X = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
Y = (2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0)  # the line y = x, one above and one below in turn
SIZE, SEED, LR = 2, 0, 0.01
RATES = (0.02, 0.01, 0.005, 0.0025)
NEAR, ABOVE = 0.036, 0.04  # below and above the full-batch bound
EPOCHS, SETTLING = 300, 100  # of a run, and those at its beginning that no average counts
LONG, SHOWN, AT = 900, 40, 1.0
FROM = 5  # the first epoch that is drawn: the ones before it lie far above
OTHER_SIZE, SOME = 3, 5  # of the question about updates
PAIR = [0, 7]  # the rows of the question about a gradient


@cache
def noisy() -> Problem:
    """H(x) = Wx on rows that no line goes through."""
    return Problem(X, Y, bias=False)


@cache
def exact() -> Problem:
    """The same x on the line y = x."""
    return Problem(X, X, bias=False)


@cache
def run(lr: float, epochs: int = EPOCHS, size: int | None = SIZE) -> Run:
    """The descent on the rows with noise."""
    return descend(noisy(), lr=lr, batch_size=size, seed=SEED, epochs=epochs)


def floor(lr: float, epochs: int = EPOCHS, of: int = EPOCHS - SETTLING) -> float:
    """The mean cost of the last epochs, above the least cost."""
    return float(np.mean(run(lr, epochs).history.cost[-of:])) - noisy().solve().cost


def floor_anew(lr: float) -> float:
    """The same, by expectation, where each step draws its rows anew: e becomes a·e + s, with (a, s) of any pair."""
    goal = noisy().solve().params
    pairs = [Problem(np.take(X, rows), np.take(Y, rows), bias=False) for rows in map(list, combinations(range(8), 2))]
    a = np.array([1 - lr * pair.spectrum().largest for pair in pairs])
    s = np.array([-lr * pair.gradient(goal)[0] for pair in pairs])
    first = s.mean() / (1 - a.mean())
    second = (2 * (a * s).mean() * first + (s * s).mean()) / (1 - (a * a).mean())
    return float(noisy().spectrum().largest / 2 * second)


def gradient(rows: list[int], W: float, reduction: str = "mean") -> float:
    """The gradient over these rows."""
    return float(Problem(np.take(X, rows), np.take(Y, rows), bias=False).gradient([W], reduction)[0])


def first_batches() -> list[list[int]]:
    """The rows of each batch of the first epoch."""
    return [rows.tolist() for rows in iterate_batches(len(X), SIZE, np.random.default_rng(SEED))]


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    problem = noisy()
    goal, least = float(problem.solve().params[0]), problem.solve().cost
    grads = [gradient(rows, goal) for rows in first_batches()]
    return {
        **named(X, Y),
        "size": SIZE,
        "updates": len(grads),
        "lr": LR,
        "goal": goal,
        "least": least,
        "first_push": grads[0],
        "average_push": abs(round(float(np.mean(grads)), 9)),
        "from": FROM,
        "full_cost": descend(problem, lr=LR, epochs=SHOWN).cost,
        "cost": least + floor(LR),
        "floor": floor(LR),
        "half_floor": floor(LR / 2),
        "anew": floor_anew(LR),
        "half_anew": floor_anew(LR / 2),
        "bound": problem.spectrum().lr_bound(),
        "near": NEAR,
        "near_full": descend(problem, lr=NEAR, epochs=EPOCHS).cost,
        "near_mean": least + floor(NEAR),
        "near_worst": float(max(run(NEAR).history.cost[SETTLING:])),
        "above": ABOVE,
        "above_factor": 1 - ABOVE * problem.spectrum().largest,
        "above_exact": descend(exact(), lr=ABOVE, batch_size=SIZE, seed=SEED, epochs=EPOCHS).cost,
        "epochs": EPOCHS,
        "counted": EPOCHS - SETTLING,
        "other_size": OTHER_SIZE,
        "some": SOME,
        "each": -(-len(X) // OTHER_SIZE),
        "last": len(X) % OTHER_SIZE,
        "at": AT,
        "x_first": X[PAIR[0]],
        "y_first": Y[PAIR[0]],
        "x_second": X[PAIR[1]],
        "y_second": Y[PAIR[1]],
        "full_gradient": float(problem.gradient([AT])[0]),
        "long_factor": LONG // EPOCHS,
        "long_floor": floor(LR, LONG),
        "double_floor": floor(2 * LR),
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    goal = float(noisy().solve().params[0])
    pushes = [(listed(tuple(X[row] for row in rows)), gradient(rows, goal)) for rows in first_batches()]
    floors = [(lr, floor(lr), descend(exact(), lr=lr, batch_size=SIZE, epochs=EPOCHS).cost) for lr in RATES]
    return {"pushes": Table(pushes, ("s", "+.3f")), "floors": Table(floors, (".4f", ".4f", ".6f"))}


def figures() -> dict[str, Figure]:
    """What its figures show."""
    points = ";".join(f"{x:g},{y:g}" for x, y in zip(X, Y, strict=True))
    state = f"p={points}&lr={LR}&n={SHOWN}&e={SHOWN}&hide=momentum,reduction,hypothesis,forget,repeat,map,code"
    curves = []
    for each in (run(LR, SHOWN, None), run(LR, SHOWN)):
        history = each.history
        curves.append([(float(k), cost) for k, cost in zip(history.epoch, history.cost, strict=True) if k >= FROM])
    return {"floor": Figure(state, ("data", "history"), curves, ("epoch", "cost"))}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    updates = SOME * sum(1 for _ in iterate_batches(len(X), OTHER_SIZE, None))
    counted = {"epochs": float(SOME), "rows": float(SOME * len(X)), "dropped": float(SOME * (len(X) // OTHER_SIZE))}
    errors = float(np.mean([2 * (AT * X[row] - Y[row]) for row in PAIR]))
    slips = {
        "sum": gradient(PAIR, AT, "sum"),
        "half": gradient(PAIR, AT, "half_mean"),
        "full": float(noisy().gradient([AT])[0]),
        "errors": errors,
        "sign": -gradient(PAIR, AT),
    }
    ways = {"longer": floor(LR, LONG), "smaller": floor(LR / 2), "larger": floor(2 * LR)}
    return {
        "updates": Number(updates, 0.01, counted),
        "gradient": Number(gradient(PAIR, AT), 0.005, slips),
        "closer": Choice(min(ways, key=lambda way: ways[way]), tuple(ways)),
    }
