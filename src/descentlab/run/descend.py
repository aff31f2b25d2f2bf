"""Run a descent from its settings to its ending."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.engines import Engine, Snapshots, make_engine
from descentlab.errors import SettingError
from descentlab.messages import Message
from descentlab.problem.problem import Problem
from descentlab.run.ending import Reason
from descentlab.run.history import History
from descentlab.run.loop import EpochCallback, Loop
from descentlab.run.run import Run
from descentlab.run.termination import decide_ending
from descentlab.theory.arguments import check_problem, resolve_descent

MAX_RUN_SECONDS = 86_400.0  # a run that would take more than a day is refused
PILOT_FROM_EPOCHS = 100_000  # from how many epochs on the duration is measured beforehand
PILOT_EPOCHS = 20  # epochs that are measured


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
    """Minimize a problem's cost J by (stochastic) gradient descent.

        p <- p - lr * dJ/dp

    in each epoch, or in each batch of an epoch, with momentum and the other settings of :class:`Descent`.

    Args:
        problem: the rows, the hypothesis and the cost.
        descent: the settings; or give them as keywords: ``descend(problem, lr=0.01, epochs=10)``.
        engine: ``hand`` (NumPy), ``minibatch`` (the same steps, compiled by numba), ``autograd`` (``torch.optim``),
            ``exact`` (closed form, any number of epochs), ``replay`` (``torch.optim`` on the factor, without
            the rows), or ``auto``: the first of exact, minibatch, hand, autograd, replay that can. It skips minibatch
            if the work is too little to compile for, or numba is not installed.
        stop: called with the :class:`Snapshots` of every epoch visited, parameters in the data's units; a true answer
            ends the run.
        progress: called with the epochs done and the epochs in all.
        interruptible: whether Ctrl-C ends the run and keeps its history, instead of raising.

    Raises:
        SettingError: a setting is missing, unknown or outside its range.
        EngineError: the engine cannot do this; the message says which one can.
        DataError: the rows are needed, but cannot be read again.

    >>> import numpy as np, descentlab as dl
    >>> x, y, W = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), 0.0
    >>> run = dl.descend(dl.Problem(x, y, bias=False), lr=0.01, epochs=10)
    >>> for _ in range(10):
    ...     W -= 0.01 * 2 * np.mean((W * x - y) * x)
    >>> bool(np.isclose(run.params[0], W, rtol=1e-12)), str(run.ending.reason)
    (True, 'out_of_epochs')
    """
    problem = check_problem(descend, problem)
    descent = resolve_descent(descend, problem, descent, settings)
    problem.scaled_params(descent.start)  # raises for a start of the wrong length
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
    return _make_run(loop)


def _make_run(loop: Loop) -> Run:
    """The recorded epochs in the data's units, and the ending."""
    problem, descent, final = loop.problem, loop.descent, loop.final_state
    to_original = problem.scaling.to_original
    with np.errstate(over="ignore", invalid="ignore"):  # an overflowed run has infinities to convert
        snapshots = [
            chunk._replace(params=to_original(chunk.params)) for chunk in final.recorded_snapshots or [final.current]
        ]
        history = History.from_snapshots(problem.parameters, descent.epochs, problem.bias, snapshots)
        params = to_original(final.current.params[0])
        ending = decide_ending(final)
    notices: tuple[Message, ...] = getattr(loop.engine, "notices", ())
    return Run(
        problem,
        descent,
        loop.engine.name,
        history,
        params,
        ending.cost,
        ending.gradient_norm,
        ending,
        notices,
        final.current.params[0].copy(),
    )


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
