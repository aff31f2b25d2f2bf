"""What several lessons compute: the lesson's own rows, and points of a cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from descentlab.data.builtin import LESSON
from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lessons.facts.types import Cell
from descentlab.problem.problem import Problem

X = tuple(row[0] for row in LESSON.X)
Y = tuple(LESSON.y)


def lesson() -> Problem:
    """H(x) = Wx on the lesson's three rows."""
    return Problem(X, Y, bias=False)


def named(x: Sequence[float], y: Sequence[float]) -> dict[str, Cell]:
    """The rows of one feature as the prose names them: ``x``, ``y``, how many they are, and where weights start."""
    return {"x": listed(x), "y": listed(y), "m": len(x), "zero": 0}


def diagnosed(problem: Problem, **settings: Any) -> Diagnosis:
    """What the doctor says of one descent."""
    found = diagnose(problem, **settings)
    assert isinstance(found, Diagnosis)
    return found


def epochs_at(problem: Problem, shown: str) -> int:
    """The epochs that a rate takes as it is printed: a reader who types it gets this number."""
    return diagnosed(problem, lr=float(shown)).epochs_to_tolerance or 0


def listed(values: Sequence[float]) -> str:
    """Values as a list is written: ``[1, 2, 3]``."""
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def parabola(problem: Problem, low: float, high: float, points: int = 60) -> list[tuple[float, float]]:
    """The cost over one weight, at evenly spaced places."""
    return [(float(W), problem.cost([W])) for W in np.linspace(low, high, points)]
