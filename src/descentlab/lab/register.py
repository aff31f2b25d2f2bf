"""Gives problems, runs and diagnoses their method ``lab()``. The page's modules load on its first call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from descentlab.descent.descent import Descent
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.problem.problem import Problem
from descentlab.run.run import Run

if TYPE_CHECKING:
    from descentlab.lab.lab import Lab

MethodT = TypeVar("MethodT", bound=Callable[..., Any])


def _lab_method_of(owner: Any) -> Callable[[MethodT], MethodT]:
    def attach(function: MethodT) -> MethodT:
        function.__name__, function.__qualname__ = "lab", f"{owner.__name__}.lab"
        owner.lab = function
        return function

    return attach


@_lab_method_of(Problem)
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
    from descentlab.lab.lab import Lab

    return Lab.from_problem(problem, descent, name, settings)


@_lab_method_of(Run)
def lab_of_run(run: Run, name: str = "") -> Lab:
    """A page on which one can watch and change this descent; see :meth:`descentlab.Problem.lab`."""
    from descentlab.lab.lab import Lab

    return Lab.from_problem(run.problem, run.descent, name)


@_lab_method_of(Diagnosis)
def lab_of_diagnosis(diagnosis: Diagnosis, name: str = "", *, code: str | Sequence[str] = "descentlab") -> Lab:
    """A page that begins with the answer, and on which one can change the descent; see :meth:`descentlab.Problem.lab`.

    Args:
        name: what to call the data.
        code: what the lines to paste are for, as in :meth:`Diagnosis.text`.
    """
    from descentlab.lab.lab import Lab

    return Lab.from_diagnosis(diagnosis, name, code)
