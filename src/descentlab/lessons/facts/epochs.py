"""Lesson 3: the whole loop, and the one number that every epoch multiplies the distance by."""

from __future__ import annotations

from functools import cache

from descentlab.lessons.facts.shared import X, Y, describe_rows, lesson_problem
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.problem.problem import Problem
from descentlab.run.descend import descend
from descentlab.run.run import Run

LR, EPOCHS, TARGET_DISTANCE = 0.01, 10, 0.01
LR_FASTER = 2 * LR
EPOCHS_LONG = 40  # epochs in which both rates get nearer than NEAR
DISTANCE_ROWS = 5  # rows of the table of distances


@cache
def run(epochs: int = EPOCHS, lr: float = LR) -> Run:
    """The lesson's loop: the gradient of the sum of the squares, from W = 0."""
    return descend(lesson_problem(), lr=lr, reduction="sum", epochs=epochs)


def weights(epochs: int, lr: float = LR) -> list[float]:
    """W after 0, 1, ... epochs."""
    finished = run(epochs, lr)
    return [*finished.history.params[:, 0].tolist(), float(finished.params[0])]


def distances(epochs: int, lr: float = LR) -> list[float]:
    """How far W is below the lowest point after 0, 1, ... epochs."""
    goal = float(lesson_problem().solve().params[0])
    return [goal - W for W in weights(epochs, lr)]


def epochs_needed(lr: float = LR) -> int:
    """After how many epochs W is nearer than NEAR."""
    return next(k for k, distance in enumerate(distances(EPOCHS_LONG, lr)) if distance < TARGET_DISTANCE)


def error_factor(lr: float = LR) -> float:
    """What an epoch multiplies the distance by."""
    return 1 - lr * lesson_problem().spectrum("sum").lambda_max


def numbers() -> dict[str, Cell]:
    W, cost = weights(EPOCHS), run().history.cost
    equal = W[1] * 4  # four steps as long as the first
    return {
        **describe_rows(X, Y),
        "lr": LR,
        "epochs": EPOCHS,
        "unit": 1,
        "near": TARGET_DISTANCE,
        "goal": float(lesson_problem().solve().params[0]),
        "first": W[1],
        "equal": equal,
        "fourth": W[4],
        "shown": W[EPOCHS - 1],
        "last_step": W[EPOCHS - 1] - W[EPOCHS - 2],
        "shown_distance": distances(EPOCHS)[EPOCHS - 1],
        "start_cost": float(cost[0]),
        "second_cost": float(cost[1]),
        "curvature": lesson_problem().spectrum("sum").lambda_max,
        "factor": error_factor(),
        "lost": 1 - error_factor(),
        "cost_factor": float(cost[1] / cost[0]),
        "needed": epochs_needed(),
        "before": epochs_needed() - 1,
        "before_distance": distances(EPOCHS_LONG)[epochs_needed() - 1],
        "needed_distance": distances(EPOCHS_LONG)[epochs_needed()],
        "faster": LR_FASTER,
        "faster_factor": error_factor(LR_FASTER),
        "faster_needed": epochs_needed(LR_FASTER),
    }


def tables() -> dict[str, LessonTable]:
    history, far = run().history, distances(DISTANCE_ROWS)
    loop = zip(history.epoch.tolist(), history.params[:, 0].tolist(), history.cost.tolist(), strict=True)
    shrinking = [(k + 1, far[k], far[k + 1], far[k + 1] / far[k]) for k in range(DISTANCE_ROWS)]
    return {
        "loop": LessonTable(list(loop), ("d", ".3f", ".6f")),
        "distances": LessonTable(shrinking, ("d", ".6f", ".6f", ".2f")),
    }


def figures() -> dict[str, LessonFigure]:
    history = run().history
    curve = list(zip(history.epoch.tolist(), history.cost.tolist(), strict=True))
    state = f"r=sum&lr={LR}&n={EPOCHS}&e={EPOCHS}&log=1&hide=data,momentum,reduction,hypothesis,forget,repeat,map,code"
    return {"loop": LessonFigure(state, ("cost", "history", "table"), (curve,), ("epoch", "cost"), log=True)}


def questions() -> dict[str, Question]:
    W, problem = weights(EPOCHS), lesson_problem()
    shown, goal = W[EPOCHS - 1], float(problem.solve().params[0])
    ends = {
        "row": shown,
        "same_step": shown + (shown - W[EPOCHS - 2]),
        "scaled": error_factor() * shown,
        "distance": goal - W[EPOCHS],
    }
    cheap = next(k for k, W in enumerate(weights(EPOCHS_LONG)) if problem.cost([W]) < TARGET_DISTANCE)
    straight = next(k for k in range(EPOCHS_LONG) if goal - k * W[1] < TARGET_DISTANCE)
    slips = {"almost": epochs_needed() - 1, "row": epochs_needed() + 1, "cost": cheap, "equal": straight}
    updates = {"one": 1, "rows": 2 * len(X), "twice": 2}
    longer = Problem(2 * X, 2 * Y, bias=False)
    n_updates = len(descend(longer, lr=LR, reduction="sum", epochs=1).history)  # it has a row for each update
    return {
        "end": NumberQuestion(W[EPOCHS], 0.001, ends),
        "within": NumberQuestion(epochs_needed(), 0.4, slips),
        "updates": ChoiceQuestion(next(name for name, count in updates.items() if count == n_updates), tuple(updates)),
    }
