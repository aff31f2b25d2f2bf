"""Lesson 3: the whole loop, and the one number that every epoch multiplies the distance by."""

from __future__ import annotations

from functools import cache

from descentlab.lessons.facts.shared import X, Y, lesson, named
from descentlab.lessons.facts.types import Cell, Choice, Figure, Number, Question, Table
from descentlab.lessons.order import number_of
from descentlab.problem.problem import Problem
from descentlab.run.run import Run, descend

LR, EPOCHS, NEAR = 0.01, 10, 0.01
FASTER = 2 * LR
LONG = 40  # epochs in which both rates get nearer than NEAR
FIRST = 5  # rows of the table of distances


@cache
def run(epochs: int = EPOCHS, lr: float = LR) -> Run:
    """The lesson's loop: the gradient of the sum of the squares, from W = 0."""
    return descend(lesson(), lr=lr, reduction="sum", epochs=epochs)


def weights(epochs: int, lr: float = LR) -> list[float]:
    """W after 0, 1, ... epochs."""
    done = run(epochs, lr)
    return [*done.history.params[:, 0].tolist(), float(done.params[0])]


def distances(epochs: int, lr: float = LR) -> list[float]:
    """How far W is below the lowest point after 0, 1, ... epochs."""
    goal = float(lesson().solve().params[0])
    return [goal - W for W in weights(epochs, lr)]


def needed(lr: float = LR) -> int:
    """After how many epochs W is nearer than NEAR."""
    return next(k for k, distance in enumerate(distances(LONG, lr)) if distance < NEAR)


def factor(lr: float = LR) -> float:
    """What an epoch multiplies the distance by."""
    return 1 - lr * lesson().spectrum("sum").largest


def numbers() -> dict[str, Cell]:
    """The numbers that the prose names."""
    W, cost = weights(EPOCHS), run().history.cost
    equal = W[1] * 4  # four steps as long as the first
    return {
        **named(X, Y),
        "lr": LR,
        "epochs": EPOCHS,
        "unit": 1,
        "near": NEAR,
        "batches_lesson": number_of("mini-batches"),
        "rate_lesson": number_of("learning-rate"),
        "goal": float(lesson().solve().params[0]),
        "first": W[1],
        "equal": equal,
        "fourth": W[4],
        "shown": W[EPOCHS - 1],
        "last_step": W[EPOCHS - 1] - W[EPOCHS - 2],
        "shown_distance": distances(EPOCHS)[EPOCHS - 1],
        "start_cost": float(cost[0]),
        "second_cost": float(cost[1]),
        "curvature": lesson().spectrum("sum").largest,
        "factor": factor(),
        "lost": 1 - factor(),
        "cost_factor": float(cost[1] / cost[0]),
        "needed": needed(),
        "before": needed() - 1,
        "before_distance": distances(LONG)[needed() - 1],
        "needed_distance": distances(LONG)[needed()],
        "faster": FASTER,
        "faster_factor": factor(FASTER),
        "faster_needed": needed(FASTER),
    }


def tables() -> dict[str, Table]:
    """The rows of its tables."""
    history, far = run().history, distances(FIRST)
    loop = zip(history.epoch.tolist(), history.params[:, 0].tolist(), history.cost.tolist(), strict=True)
    shrinking = [(k + 1, far[k], far[k + 1], far[k + 1] / far[k]) for k in range(FIRST)]
    return {
        "loop": Table(list(loop), ("d", ".3f", ".6f")),
        "distances": Table(shrinking, ("d", ".6f", ".6f", ".2f")),
    }


def figures() -> dict[str, Figure]:
    """What its figures show."""
    history = run().history
    curve = list(zip(history.epoch.tolist(), history.cost.tolist(), strict=True))
    state = f"r=sum&lr={LR}&n={EPOCHS}&e={EPOCHS}&log=1&hide=data,momentum,reduction,hypothesis,forget,repeat,map,code"
    return {"loop": Figure(state, ("cost", "history", "table"), (curve,), ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    """The answers, and what common slips give."""
    W, problem = weights(EPOCHS), lesson()
    shown, goal = W[EPOCHS - 1], float(problem.solve().params[0])
    ends = {
        "row": shown,
        "same_step": shown + (shown - W[EPOCHS - 2]),
        "scaled": factor() * shown,
        "distance": goal - W[EPOCHS],
    }
    cheap = next(k for k, W in enumerate(weights(LONG)) if problem.cost([W]) < NEAR)
    straight = next(k for k in range(LONG) if goal - k * W[1] < NEAR)
    slips = {"almost": needed() - 1, "row": needed() + 1, "cost": cheap, "equal": straight}
    updates = {"one": 1, "rows": 2 * len(X), "twice": 2}
    longer = Problem(2 * X, 2 * Y, bias=False)
    done = len(descend(longer, lr=LR, reduction="sum", epochs=1).history)  # it has a row for each update
    return {
        "end": Number(W[EPOCHS], 0.001, ends),
        "within": Number(needed(), 0.4, slips),
        "updates": Choice(next(name for name, count in updates.items() if count == done), tuple(updates)),
    }
