"""What several lessons compute: the lesson's own rows, and points of a cost."""

from __future__ import annotations

import numpy as np

from descentlab.data.builtin import LESSON
from descentlab.problem import Problem

X = tuple(row[0] for row in LESSON.X)
Y = tuple(LESSON.y)


def lesson() -> Problem:
    """H(x) = Wx on the lesson's three rows."""
    return Problem(X, Y, bias=False)


def listed(values: tuple[float, ...]) -> str:
    """Values as a list is written: ``[1, 2, 3]``."""
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def parabola(problem: Problem, low: float, high: float, points: int = 60) -> list[tuple[float, float]]:
    """The cost over one weight, at evenly spaced places."""
    return [(float(W), problem.cost([W])) for W in np.linspace(low, high, points)]
