"""The method ``lab()`` of problems, runs and diagnoses. These classes only name it, and this module loads on a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from descentlab.descent.descent import Descent
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.lab.lab import Lab
from descentlab.problem.problem import Problem
from descentlab.run.run import Run


def lab_of_problem(problem: Problem, descent: Descent | None = None, *, name: str = "", **settings: Any) -> Lab:
    """A page on which one can watch and try gradient descent on this problem. It renders in a notebook.

    >>> import descentlab as dl
    >>> dl.Problem([1, 2, 3], [1, 2, 3]).lab(lr=0.1, epochs=20)
    Lab(y ~ x; 3 rows)

    Args:
        descent: the settings shown first; or give them as keywords: ``problem.lab(lr=0.1)``. Without lr the page
            begins at half the largest stable rate.
        name: what to call the data.

    Raises:
        SettingError: a setting has an invalid value, or the page cannot show it.
    """
    return Lab.from_problem(problem, descent, name, settings)


def lab_of_run(run: Run, name: str = "") -> Lab:
    """A page on which one can watch and change this descent; see :meth:`descentlab.Problem.lab`."""
    return Lab.from_problem(run.problem, run.descent, name)


def lab_of_diagnosis(diagnosis: Diagnosis, name: str = "", *, code: str | Sequence[str] = "descentlab") -> Lab:
    """A page that begins with the answer, and on which one can change the descent; see :meth:`descentlab.Problem.lab`.

    Args:
        name: what to call the data.
        code: what the lines to paste are for, as in :meth:`Diagnosis.text`.
    """
    return Lab.from_diagnosis(diagnosis, name, code)
