"""The run: a descent from its settings to its ending."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.engines import Engine, Look, engine_for
from descentlab.errors import SettingError
from descentlab.messages import Sentence, number, sentence
from descentlab.messages.html import page, paragraph, printed
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending, Reason
from descentlab.run.history import History
from descentlab.run.loop import Loop, Progress
from descentlab.run.termination import judge
from descentlab.theory.arguments import descent_asked, problem_asked
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.lab.lab import Lab

LONGEST = 86_400.0  # a run predicted to take more seconds than a day is refused
NAMED, ROWS = 12, 20  # parameters named in a sentence, and rows of the table in a notebook
PILOT_FROM, PILOT = 100_000, 20  # when that prediction is made, and from how many epochs


@dataclass(frozen=True, eq=False)
class Run:
    """A descent that took place.

    Attributes:
        problem, descent, engine: what was run.
        history: the epochs, each before its update.
        params: (p,) after the last update, in the data's units: features in order, then the bias.
        cost, gradient_norm: there.
        ending: why it ended.
        notices: what the engine has to say of how it took the rows.
    """

    problem: Problem
    descent: Descent
    engine: str
    history: History
    params: Array
    cost: float
    gradient_norm: float
    ending: Ending
    notices: tuple[Sentence, ...] = ()

    def table(self, rows: int | None = None) -> str:
        """The history as the lesson prints it; see :meth:`History.table`."""
        return self.history.table(rows)

    @property
    def named(self) -> dict[str, float]:
        """The last parameters by name."""
        return dict(zip(self.problem.parameters, self.params.tolist(), strict=True))

    @property
    def said(self) -> list[Sentence]:
        """Where the last update left the parameters, in the data's units, and how the run ended."""
        pairs = [f"{name} = {number(value)}" for name, value in self.named.items()]
        shown = ", ".join(pairs[:NAMED]) + (", ..." if len(pairs) > NAMED else "")
        return [sentence("cli.last", params=shown, cost=self.cost), *self.ending.sentences]

    @property
    def settings(self) -> list[str]:
        """What was done, in words: the step, the columns, the engine."""
        return [*self.descent.summary, *self.problem.summary, f"engine {self.engine}"]

    def _repr_html_(self) -> str:
        """The run in a notebook: what was run, its table, how it ended."""
        about = [self.problem.headline, ", ".join(self.settings), *self.problem.notices, *self.notices]
        return page(*map(paragraph, about), printed(self.table(ROWS)), *map(paragraph, self.said))

    def plot(self, path: str | os.PathLike[str] | None = None, *, lang: str | None = None) -> Any:
        """The cost by epoch beside the cost's parabola or contours with the path; needs matplotlib.

        Args:
            path: a file to write (``.png``, ``.svg``, ``.pdf``); None only returns the figure.
            lang: the labels' language.

        Returns:
            The :class:`matplotlib.figure.Figure`.
        """
        from descentlab.run.plot import plot

        return plot(self, path, lang)

    def lab(self, name: str = "") -> Lab:
        """A page on which this descent can be seen and changed; see :meth:`descentlab.Problem.lab`."""
        return self.problem.lab(self.descent, name=name)

    def __repr__(self) -> str:
        return f"Run({self.engine}, {len(self.history)} epochs recorded, {self.ending.reason}, cost {self.cost:.6g})"


def descend(
    problem: Problem,
    descent: Descent | None = None,
    *,
    engine: str = "auto",
    stop: Callable[[Look], bool] | None = None,
    progress: Progress | None = None,
    interruptible: bool = False,
    **settings: Any,
) -> Run:
    """Run a descent to its end.

    Args:
        problem: what to fit.
        descent: how to step; or give its settings as keywords: ``descend(problem, lr=0.01, epochs=10)``.
        engine: ``hand`` (NumPy), ``minibatch`` (the same steps, compiled by numba), ``autograd`` (``torch.optim``),
            ``exact`` (closed form, any number of epochs), ``replay`` (``torch.optim`` on the factor, without the
            rows), or ``auto``: the first of exact, minibatch, hand, autograd, replay that can. It leaves minibatch
            out where the work is too little to compile for, or numba is not installed.
        stop: called with the :class:`Look` of every epoch visited, in the data's units; a true answer ends the run.
        progress: called with the epochs done and the epochs in all.
        interruptible: whether Ctrl-C ends the run and keeps its history, instead of raising.

    Raises:
        SettingError, EngineError, DataError: what cannot be run, and what could be.
    """
    problem = problem_asked(descend, problem)
    descent = descent_asked(descend, problem, descent, settings)
    problem.start(descent.start)
    mover = engine_for(engine, problem, descent)
    mover.start(problem, descent)
    if not mover.jumps and descent.epochs > PILOT_FROM:
        _refuse_endless(engine_for(engine, problem, descent), problem, descent)
    loop = Loop(problem, descent, mover, stop, progress)
    try:
        loop.run()
    except KeyboardInterrupt:
        if not interruptible or loop.last is None:
            raise
        loop.cause = Reason.STOPPED
    return _result(loop, mover)


def _result(loop: Loop, mover: Engine) -> Run:
    """What the loop saw, in the data's units, and the verdict on it."""
    assert loop.last is not None
    problem, descent = loop.problem, loop.descent
    with np.errstate(over="ignore", invalid="ignore"):  # an overflowed run has infinities to convert
        to_units = problem.coordinates.to_units
        looks = [look._replace(params=to_units(look.params)) for look in loop.kept or [loop.last]]
        history = History.of_looks(problem.parameters, descent.epochs, problem.bias, looks)
        params = to_units(loop.last.params[0])
        ending = judge(loop)
    cost, norm = float(loop.last.cost[0]), float(loop.last.gradient_norm[0])
    notices: tuple[Sentence, ...] = getattr(mover, "notices", ())
    return Run(problem, descent, mover.name, history, params, cost, norm, ending, notices)


def _refuse_endless(pilot: Engine, problem: Problem, descent: Descent) -> None:
    """Time a few epochs, and refuse a run that would take more than a day."""
    pilot.start(problem, descent)
    started = time.perf_counter()
    for _ in pilot.visit(range(1, PILOT + 2)):
        pass
    each = (time.perf_counter() - started) / PILOT
    if each * descent.epochs > LONGEST:
        days = each * descent.epochs / LONGEST
        key = "too_long_schedule" if pilot.name == "exact" else "too_long"
        raise SettingError(key, epochs=descent.epochs, each=each, days=days, engine=pilot.name)
