"""The run: a descent from its settings to its ending."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.engines import Engine, Snapshots, make_engine
from descentlab.errors import SettingError
from descentlab.messages import Message, format_number, message
from descentlab.messages.html import html_fragment, html_paragraph, html_preformatted
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending, Reason
from descentlab.run.history import History
from descentlab.run.loop import EpochCallback, Loop
from descentlab.run.termination import make_ending
from descentlab.theory.arguments import check_problem, resolve_descent
from descentlab.typing import FloatArray

MAX_RUN_SECONDS = 86_400.0  # a run predicted to take more seconds than a day is refused
MAX_NAMED_PARAMETERS, HTML_TABLE_ROWS = 12, 20  # parameters named in a sentence, and rows of the table in a notebook
PILOT_FROM_EPOCHS, PILOT_EPOCHS = 100_000, 20  # when that prediction is made, and from how many epochs


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
    params: FloatArray
    cost: float
    gradient_norm: float
    ending: Ending
    notices: tuple[Message, ...] = ()
    lab: ClassVar[Callable[..., Any]]  # attached by descentlab.lab.register

    def table(self, rows: int | None = None) -> str:
        """The history as the lesson prints it; see :meth:`History.table`."""
        return self.history.table(rows)

    @property
    def params_by_name(self) -> dict[str, float]:
        """The last parameters by name."""
        return dict(zip(self.problem.parameters, self.params.tolist(), strict=True))

    @property
    def messages(self) -> list[Message]:
        """Where the last update left the parameters, in the data's units, and how the run ended."""
        pairs = [f"{name} = {format_number(value)}" for name, value in self.params_by_name.items()]
        shown = ", ".join(pairs[:MAX_NAMED_PARAMETERS]) + (", ..." if len(pairs) > MAX_NAMED_PARAMETERS else "")
        return [message("cli.last", params=shown, cost=format_number(self.cost)), *self.ending.messages]

    @property
    def summary(self) -> list[str]:
        """What was done, in words: the step, the columns, the engine."""
        return [*self.descent.summary, *self.problem.summary, f"engine {self.engine}"]

    def _repr_html_(self) -> str:
        """The run in a notebook: what was run, its table, how it ended."""
        header = [self.problem.title, ", ".join(self.summary), *self.problem.notices, *self.notices]
        return html_fragment(
            *map(html_paragraph, header),
            html_preformatted(self.table(HTML_TABLE_ROWS)),
            *map(html_paragraph, self.messages),
        )

    def plot(self, path: str | os.PathLike[str] | None = None, *, lang: str | None = None) -> Any:
        """The cost by epoch beside the cost's parabola or contours with the path; needs matplotlib.

        Args:
            path: a file to write (``.png``, ``.svg``, ``.pdf``); None only returns the figure.
            lang: the labels' language.

        Returns:
            The :class:`matplotlib.figure.LessonFigure`.
        """
        from descentlab.run.plot import plot_run

        return plot_run(self, path, lang)

    def __repr__(self) -> str:
        return f"Run({self.engine}, {len(self.history)} epochs recorded, {self.ending.reason}, cost {self.cost:.6g})"


def descend(
    problem: Problem,
    descent: Descent | None = None,
    *,
    engine: str = "auto",
    stop: Callable[[Snapshots], bool] | None = None,
    progress: EpochCallback | None = None,
    interruptible: bool = False,
    **settings: Any,
) -> Run:
    """Run a descent to its end.

    Args:
        problem: what to fit.
        descent: how to step; or give its settings as keywords: ``descend(problem, lr=0.01, epochs=10)``.
        engine: ``hand`` (NumPy), ``minibatch`` (the same steps, compiled by numba), ``autograd`` (``torch.optim``),
            ``exact_problem`` (closed form, any number of epochs), ``replay`` (``torch.optim`` on the factor, without
            the rows), or ``auto``: the first of exact, minibatch, hand, autograd, replay that can. It leaves minibatch
            out where the work is too little to compile for, or numba is not installed.
        stop: called with the :class:`Look` of every epoch visited, in the data's units; a true answer ends the run.
        progress: called with the epochs done and the epochs in all.
        interruptible: whether Ctrl-C ends the run and keeps its history, instead of raising.

    Raises:
        SettingError, EngineError, DataError: what cannot be run, and what could be.
    """
    problem = check_problem(descend, problem)
    descent = resolve_descent(descend, problem, descent, settings)
    problem.scaled_params(descent.start)
    chosen_engine = make_engine(engine, problem, descent)
    chosen_engine.initialize(problem, descent)
    if not chosen_engine.random_access and descent.epochs > PILOT_FROM_EPOCHS:
        _check_duration(make_engine(engine, problem, descent), problem, descent)
    loop = Loop(problem, descent, chosen_engine, stop, progress)
    try:
        loop.run()
    except KeyboardInterrupt:
        if not interruptible or loop.current is None:
            raise
        loop.stop_reason = Reason.STOPPED
    return _make_run(loop, chosen_engine)


def _make_run(loop: Loop, engine: Engine) -> Run:
    """What the loop saw, in the data's units, and the verdict on it."""
    assert loop.current is not None
    problem, descent = loop.problem, loop.descent
    with np.errstate(over="ignore", invalid="ignore"):  # an overflowed run has infinities to convert
        to_original = problem.scaling.to_original
        snapshots = [
            chunk._replace(params=to_original(chunk.params)) for chunk in loop.recorded_snapshots or [loop.current]
        ]
        history = History.from_snapshots(problem.parameters, descent.epochs, problem.bias, snapshots)
        params = to_original(loop.current.params[0])
        ending = make_ending(loop)
    cost, norm = float(loop.current.cost[0]), float(loop.current.gradient_norm[0])
    notices: tuple[Message, ...] = getattr(engine, "notices", ())
    return Run(problem, descent, engine.name, history, params, cost, norm, ending, notices)


def _check_duration(pilot: Engine, problem: Problem, descent: Descent) -> None:
    """Time a few epochs, and refuse a run that would take more than a day."""
    pilot.initialize(problem, descent)
    started = time.perf_counter()
    for _ in pilot.snapshots_at(range(1, PILOT_EPOCHS + 2)):
        pass
    seconds_per_epoch = (time.perf_counter() - started) / PILOT_EPOCHS
    if seconds_per_epoch * descent.epochs > MAX_RUN_SECONDS:
        days = seconds_per_epoch * descent.epochs / MAX_RUN_SECONDS
        key = "too_long_schedule" if pilot.name == "exact" else "too_long"
        raise SettingError(key, epochs=descent.epochs, each=seconds_per_epoch, days=days, engine=pilot.name)
