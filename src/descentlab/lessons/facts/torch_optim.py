"""Lesson 5: the three lines of a torch loop, the update that torch refuses, and the gradient that is never cleared."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from descentlab.lessons.facts.shared import X, Y, describe_rows, lesson_problem
from descentlab.lessons.facts.types import Cell, ChoiceQuestion, LessonFigure, LessonTable, NumberQuestion, Question
from descentlab.run.descend import descend
from descentlab.typing import FloatArray

LR, LR_ONE_STEP = 0.15, 0.1  # this lesson's rate, on the mean; that of the second lesson, on the sum
EPOCHS, EPOCHS_LONG, EPOCHS_DRAWN = 10, 1000, 24
SETTLED_BELOW, GROWN_ABOVE = 0.1, 10.0  # times the distance at the start
LOOP_LINES = {"zero_grad": "optimizer.zero_grad()", "backward": "cost.backward()", "step": "optimizer.step()"}


def weights(epochs: int, *, lr: float = LR, zero_grad: bool = True, momentum: float = 0.0) -> FloatArray:
    """W before each epoch's update, and after the last one."""
    run = descend(lesson_problem(), lr=lr, epochs=epochs, zero_grad=zero_grad, momentum=momentum, engine="hand")
    return np.append(run.history.params[:, 0], run.params[0])


def gradient(W: float) -> float:
    """The slope of the mean cost at W."""
    return float(lesson_problem().gradient([W])[0])


def outcome(W: FloatArray) -> str:
    """What becomes of the distance to the lowest point, in the last tenth of a run."""
    goal = lesson_problem().solve().params[0]
    late = abs(W[-len(W) // 10 :] - goal).max() / abs(W[0] - goal)
    return "settles" if late < SETTLED_BELOW else "grows" if late > GROWN_ABOVE else "swings"


def numbers() -> dict[str, Cell]:
    problem = lesson_problem()
    goal = float(problem.solve().params[0])
    cleared, never = weights(EPOCHS), weights(EPOCHS_LONG, zero_grad=False)
    slower = weights(EPOCHS_LONG, lr=LR / 2, zero_grad=False)
    return {
        **describe_rows(X, Y),
        "one": 1,
        "lr": LR,
        "epochs": EPOCHS,
        "step_lr": LR_ONE_STEP,
        "as_sum": LR / len(X),
        "goal": goal,
        "gradient": gradient(0.0),
        "W": cleared[1],
        "overshoot": cleared[1] - goal,
        "start_distance": goal - cleared[0],
        "next_gradient": gradient(cleared[1]),
        "W_next": cleared[2],
        "factor": float((cleared[1] - goal) / (cleared[0] - goal)),
        "long": EPOCHS_LONG,
        "drawn": EPOCHS_DRAWN,
        "lowest": float(never.min()),
        "highest": float(never.max()),
        "difference": float(abs(never - weights(EPOCHS_LONG, momentum=1.0)).max()),
        "added": gradient(cleared[0]) + gradient(cleared[1]),
        "uncleared": float(never[2]),
        "half_lr": LR / 2,
        "half_lowest": float(slower.min()),
        "half_highest": float(slower.max()),
    }


def tables() -> dict[str, LessonTable]:
    W = weights(EPOCHS)
    lines = []
    for before, after in pairwise(W[:3]):
        rows = (("None", before), (f"{gradient(before):.4f}", before), (f"{gradient(before):.4f}", after))
        lines += [(line, grad, at) for line, (grad, at) in zip(LOOP_LINES.values(), rows, strict=True)]
    costs = [(epoch, at, lesson_problem().cost([at])) for epoch, at in enumerate(W[:-1], 1)]
    return {"lines": LessonTable(lines, ("", "", ".3f")), "epochs": LessonTable(costs, ("d", ".3f", ".6f"))}


def figures() -> dict[str, LessonFigure]:
    curves = [list(enumerate(weights(EPOCHS_DRAWN, zero_grad=clear)[:-1].tolist(), 1)) for clear in (False, True)]
    state = f"lr={LR}&n={EPOCHS_DRAWN}&e={EPOCHS_DRAWN}&hide=momentum,reduction,hypothesis,repeat,map,code"
    return {"uncleared": LessonFigure(state, ("cost", "history", "table"), curves, ("epoch", "W"))}


def questions() -> dict[str, Question]:
    W, never = weights(2), weights(2, zero_grad=False)
    moving = [name for name, (_, _, at) in zip(LOOP_LINES, tables()["lines"].rows[:3], strict=True) if at != W[0]]
    added = never[2] - never[1]
    slips = {"cleared": W[2], "repeated": 2 * W[1], "uphill": W[1] - added}
    fates = ("settles", "swings", "grows")
    return {
        "moves": ChoiceQuestion(moving[0], tuple(LOOP_LINES)),
        "uncleared": NumberQuestion(float(never[2]), 0.005, {name: float(slip) for name, slip in slips.items()}),
        "lower": ChoiceQuestion(outcome(weights(EPOCHS_LONG, lr=LR / 2, zero_grad=False)), fates),
    }
