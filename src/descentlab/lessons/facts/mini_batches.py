"""Lesson 11: many updates an epoch, each from a few rows: downhill on average, and never quite at rest."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from descentlab.engines.batches import iterate_batches
from descentlab.lessons.facts.shared import describe_rows, format_list
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

X = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
Y = (2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0)  # the line y = x, one above and one below in turn
BATCH_SIZE, SEED, LR = 2, 0, 0.01
LR_TRIED = (0.02, 0.01, 0.005, 0.0025)
LR_NEAR_BOUND, LR_ABOVE_BOUND = 0.036, 0.04  # below and above the full-batch bound
EPOCHS, SETTLING_EPOCHS = 300, 100  # of a run, and those at its beginning that no average counts
EPOCHS_LONG, EPOCHS_SHOWN, QUESTION_W = 900, 40, 1.0
FIRST_DRAWN_EPOCH = 5  # the first epoch that is drawn: the ones before it lie far above
QUESTION_BATCH_SIZE, QUESTION_EPOCHS = 3, 5  # of the question about updates
QUESTION_ROWS = [0, 7]  # the rows of the question about a gradient


@cache
def noisy_problem() -> Problem:
    """H(x) = Wx on rows that no line goes through."""
    return Problem(X, Y, bias=False)


@cache
def exact_problem() -> Problem:
    """The same x on the line y = x."""
    return Problem(X, X, bias=False)


@cache
def run(lr: float, epochs: int = EPOCHS, batch_size: int | None = BATCH_SIZE) -> Run:
    """The descent on the rows with noise."""
    return descend(noisy_problem(), lr=lr, batch_size=batch_size, seed=SEED, epochs=epochs)


def cost_floor(lr: float, epochs: int = EPOCHS, averaged_epochs: int = EPOCHS - SETTLING_EPOCHS) -> float:
    """The mean cost of the last epochs, above the least cost."""
    return float(np.mean(run(lr, epochs).history.cost[-averaged_epochs:])) - noisy_problem().solve().cost


def cost_floor_with_replacement(lr: float) -> float:
    """The expected floor if each step draws its rows with replacement: e becomes a·e + s, with (a, s) of any pair."""
    goal = noisy_problem().solve().params
    pairs = [Problem(np.take(X, rows), np.take(Y, rows), bias=False) for rows in map(list, combinations(range(8), 2))]
    a = np.array([1 - lr * pair.spectrum().lambda_max for pair in pairs])
    s = np.array([-lr * pair.gradient(goal)[0] for pair in pairs])
    first = s.mean() / (1 - a.mean())
    second = (2 * (a * s).mean() * first + (s * s).mean()) / (1 - (a * a).mean())
    return float(noisy_problem().spectrum().lambda_max / 2 * second)


def gradient(rows: list[int], W: float, reduction: str = "mean") -> float:
    """The gradient over these rows."""
    return float(Problem(np.take(X, rows), np.take(Y, rows), bias=False).gradient([W], reduction)[0])


def first_batches() -> list[list[int]]:
    """The rows of each batch of the first epoch."""
    return [rows.tolist() for rows in iterate_batches(len(X), BATCH_SIZE, np.random.default_rng(SEED))]


def numbers() -> dict[str, Cell]:
    problem = noisy_problem()
    goal, min_cost = float(problem.solve().params[0]), problem.solve().cost
    grads = [gradient(rows, goal) for rows in first_batches()]
    return {
        **describe_rows(X, Y),
        "size": BATCH_SIZE,
        "updates": len(grads),
        "lr": LR,
        "goal": goal,
        "least": min_cost,
        "first_push": grads[0],
        "average_push": abs(round(float(np.mean(grads)), 9)),
        "from": FIRST_DRAWN_EPOCH,
        "full_cost": descend(problem, lr=LR, epochs=EPOCHS_SHOWN).cost,
        "cost": min_cost + cost_floor(LR),
        "floor": cost_floor(LR),
        "half_floor": cost_floor(LR / 2),
        "independent": cost_floor_with_replacement(LR),
        "half_independent": cost_floor_with_replacement(LR / 2),
        "bound": problem.spectrum().lr_bound(),
        "near": LR_NEAR_BOUND,
        "near_full": descend(problem, lr=LR_NEAR_BOUND, epochs=EPOCHS).cost,
        "near_mean": min_cost + cost_floor(LR_NEAR_BOUND),
        "near_worst": float(max(run(LR_NEAR_BOUND).history.cost[SETTLING_EPOCHS:])),
        "above": LR_ABOVE_BOUND,
        "above_factor": 1 - LR_ABOVE_BOUND * problem.spectrum().lambda_max,
        "above_exact": descend(
            exact_problem(), lr=LR_ABOVE_BOUND, batch_size=BATCH_SIZE, seed=SEED, epochs=EPOCHS
        ).cost,
        "epochs": EPOCHS,
        "counted": EPOCHS - SETTLING_EPOCHS,
        "other_size": QUESTION_BATCH_SIZE,
        "some": QUESTION_EPOCHS,
        "each": -(-len(X) // QUESTION_BATCH_SIZE),
        "last": len(X) % QUESTION_BATCH_SIZE,
        "at": QUESTION_W,
        "x_first": X[QUESTION_ROWS[0]],
        "y_first": Y[QUESTION_ROWS[0]],
        "x_second": X[QUESTION_ROWS[1]],
        "y_second": Y[QUESTION_ROWS[1]],
        "full_gradient": float(problem.gradient([QUESTION_W])[0]),
        "long_factor": EPOCHS_LONG // EPOCHS,
        "long_floor": cost_floor(LR, EPOCHS_LONG),
        "double_floor": cost_floor(2 * LR),
    }


def tables() -> dict[str, LessonTable]:
    goal = float(noisy_problem().solve().params[0])
    pushes = [(format_list(tuple(X[row] for row in rows)), gradient(rows, goal)) for rows in first_batches()]
    floors = [
        (lr, cost_floor(lr), descend(exact_problem(), lr=lr, batch_size=BATCH_SIZE, epochs=EPOCHS).cost)
        for lr in LR_TRIED
    ]
    return {"pushes": LessonTable(pushes, ("s", "+.3f")), "floors": LessonTable(floors, (".4f", ".4f", ".6f"))}


def figures() -> dict[str, LessonFigure]:
    points = ";".join(f"{x:g},{y:g}" for x, y in zip(X, Y, strict=True))
    hidden = "momentum,reduction,hypothesis,forget,repeat,map,code"
    state = f"p={points}&lr={LR}&n={EPOCHS_SHOWN}&e={EPOCHS_SHOWN}&hide={hidden}"
    curves = []
    for each in (run(LR, EPOCHS_SHOWN, None), run(LR, EPOCHS_SHOWN)):
        history = each.history
        curves.append(
            [(float(k), cost) for k, cost in zip(history.epoch, history.cost, strict=True) if k >= FIRST_DRAWN_EPOCH]
        )
    return {"floor": LessonFigure(state, ("data", "history"), curves, ("epoch", "cost"))}


def questions() -> dict[str, Question]:
    updates = QUESTION_EPOCHS * sum(1 for _ in iterate_batches(len(X), QUESTION_BATCH_SIZE, None))
    counted = {
        "epochs": float(QUESTION_EPOCHS),
        "rows": float(QUESTION_EPOCHS * len(X)),
        "dropped": float(QUESTION_EPOCHS * (len(X) // QUESTION_BATCH_SIZE)),
    }
    errors = float(np.mean([2 * (QUESTION_W * X[row] - Y[row]) for row in QUESTION_ROWS]))
    slips = {
        "sum": gradient(QUESTION_ROWS, QUESTION_W, "sum"),
        "half": gradient(QUESTION_ROWS, QUESTION_W, "half_mean"),
        "full": float(noisy_problem().gradient([QUESTION_W])[0]),
        "errors": errors,
        "sign": -gradient(QUESTION_ROWS, QUESTION_W),
    }
    ways = {"longer": cost_floor(LR, EPOCHS_LONG), "smaller": cost_floor(LR / 2), "larger": cost_floor(2 * LR)}
    return {
        "updates": NumberQuestion(updates, 0.01, counted),
        "gradient": NumberQuestion(gradient(QUESTION_ROWS, QUESTION_W), 0.005, slips),
        "closer": ChoiceQuestion(min(ways, key=lambda way: ways[way]), tuple(ways)),
    }
