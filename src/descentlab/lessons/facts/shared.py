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


def lesson_problem() -> Problem:
    """H(x) = Wx on the lesson's three rows."""
    return Problem(X, Y, bias=False)


def describe_rows(x: Sequence[float], y: Sequence[float]) -> dict[str, Cell]:
    """The rows of one feature as the prose names them: ``x``, ``y``, how many they are, and where weights start."""
    return {"x": format_list(x), "y": format_list(y), "m": len(x), "zero": 0}


def diagnose_descent(problem: Problem, **settings: Any) -> Diagnosis:
    """The diagnosis of one descent."""
    diagnosis = diagnose(problem, **settings)
    assert isinstance(diagnosis, Diagnosis)
    return diagnosis


def epochs_needed_at(problem: Problem, lr_text: str) -> int:
    """The epochs that a rate takes as it is printed: a reader who types it gets this number."""
    return diagnose_descent(problem, lr=float(lr_text)).epochs_to_tolerance or 0


def format_list(values: Sequence[float]) -> str:
    """Values as a list is written: ``[1, 2, 3]``."""
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def parabola(problem: Problem, low: float, high: float, points: int = 60) -> list[tuple[float, float]]:
    """The cost over one weight, at evenly spaced places."""
    return [(float(W), problem.cost([W])) for W in np.linspace(low, high, points)]
