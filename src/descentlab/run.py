"""The run: the one loop that records, and the only judge of endings."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.descent import Descent
from descentlab.ending import Ending, Reason, factor_in_words, rest, words
from descentlab.engines import Engine, Look, engine_for
from descentlab.errors import SettingError
from descentlab.history import History
from descentlab.problem import Problem
from descentlab.theory import Theory

Array = np.ndarray[Any, np.dtype[np.float64]]
Progress = Callable[[int, int], None]

TOLERANCE = 1e-6  # what calls a gradient small where the settings give no tolerance
LONGEST = 86_400.0  # a run predicted to take more seconds than a day is refused
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
    """

    problem: Problem
    descent: Descent
    engine: str
    history: History
    params: Array
    cost: float
    gradient_norm: float
    ending: Ending

    def table(self, rows: int | None = None) -> str:
        """The history as the lesson prints it; see :meth:`History.table`."""
        return self.history.table(rows)

    @property
    def named(self) -> dict[str, float]:
        """The last parameters by name."""
        return dict(zip(self.problem.parameters, self.params.tolist(), strict=True))

    def plot(self, path: str | os.PathLike[str] | None = None, *, lang: str | None = None) -> Any:
        """The cost by epoch beside the cost's parabola or contours with the path; needs matplotlib.

        Args:
            path: a file to write (``.png``, ``.svg``, ``.pdf``); None only returns the figure.
            lang: the labels' language.

        Returns:
            The :class:`matplotlib.figure.Figure`.
        """
        from descentlab.plot import plot

        return plot(self, path, lang)

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
        engine: ``hand`` (NumPy), ``autograd`` (``torch.optim``), ``exact`` (closed form, any number of epochs),
            or ``auto``: the first of exact, hand, autograd that can.
        stop: called with each :class:`Look`; a true answer ends the run.
        progress: called with the epochs done and the epochs in all.
        interruptible: whether Ctrl-C ends the run and keeps its history, instead of raising.

    Raises:
        SettingError, EngineError, DataError: what cannot be run, and what could be.
    """
    if descent is None:
        descent = Descent(**settings)
    elif settings:
        raise SettingError("settings_twice", names=tuple(settings))
    problem.start(descent.start)
    mover = engine_for(engine, problem, descent)
    mover.start(problem, descent)
    if not mover.jumps and descent.epochs > PILOT_FROM:
        _refuse_endless(engine_for(engine, problem, descent), problem, descent)
    recorder = _Recorder(problem, descent, mover, stop, progress)
    try:
        recorder.run()
    except KeyboardInterrupt:
        if not interruptible or not recorder.kept:
            raise
        recorder.cause = Reason.STOPPED
    return recorder.result()


def _refuse_endless(pilot: Engine, problem: Problem, descent: Descent) -> None:
    """Time a few epochs, and refuse a run that would take more than a day."""
    pilot.start(problem, descent)
    started = time.perf_counter()
    for _ in pilot.visit(range(1, PILOT + 2)):
        pass
    each = (time.perf_counter() - started) / PILOT
    if each * descent.epochs > LONGEST:
        days = each * descent.epochs / LONGEST
        raise SettingError("too_long", epochs=descent.epochs, each=each, days=days, engine=pilot.name)


class _Recorder:
    """The loop: visits epochs, keeps what is to be kept, and notices when to stop."""

    def __init__(
        self,
        problem: Problem,
        descent: Descent,
        mover: Engine,
        stop: Callable[[Look], bool] | None,
        progress: Progress | None,
    ) -> None:
        self.problem, self.descent, self.mover = problem, descent, mover
        self.stop, self.progress = stop, progress
        self.theory = Theory(problem, descent)
        zero = np.zeros(len(problem.parameters))
        with np.errstate(over="ignore"):
            self.cost_at_zero = float(problem.quadratic.cost(zero))
            gradient = problem.gradient(problem.coordinates.to_units(zero), descent.reduction)
        self.small = TOLERANCE * float(np.linalg.norm(gradient))
        if descent.tolerance is not None:
            self.small = descent.tolerance * float(np.linalg.norm(gradient))
        self.kept: list[Look] = []
        self.last: Look | None = None
        self.first_cost = np.nan
        self.cause: Reason | None = None

    def run(self) -> None:
        recorded = self.descent.recorded()
        # Between recorded epochs, an engine that steps looks on where a look is free, so as to stop in time.
        every_one = not self.mover.jumps and self.descent.batch_size is None
        visits: Iterable[int] = range(1, self.descent.epochs + 1) if every_one else recorded
        for look in self._looks(visits):
            self._keep(look, recorded)
            if self.cause:
                return

    def _looks(self, visits: Iterable[int]) -> Iterator[Look]:
        yield from self.mover.visit(visits)
        yield from self.mover.visit([self.descent.epochs + 1])

    def _keep(self, look: Look, recorded: range) -> None:
        if self.last is None:
            self.first_cost = float(look.cost[0])
        ended = self._first_end(look)
        if ended is not None and self.mover.jumps and ended < len(look.epochs):
            earlier = look.epochs[ended - 1] if ended else self.last.epochs[-1] if self.last else 0
            if look.epochs[ended] - earlier > 1 and self.cause in (Reason.DIVERGED, Reason.OVERFLOWED):
                before, last = look.upto(ended), self._first_beyond(int(earlier), int(look.epochs[ended]))
                self._record(before, recorded)
                self.last = last
                return
        if ended is not None:
            look = look.upto(ended + 1)
        self._record(look, recorded)
        self.last = look.at(slice(-1, None))
        if self.progress:
            self.progress(min(int(look.epochs[-1]), self.descent.epochs), self.descent.epochs)
        if self.cause is None and self.stop is not None and self.stop(look):
            self.cause = Reason.STOPPED

    def _record(self, look: Look, recorded: range) -> None:
        if len(look.epochs) == 0:
            return
        chosen = (look.epochs <= self.descent.epochs) & ((look.epochs - 1) % recorded.step == 0)
        if chosen.any():
            self.kept.append(look.at(chosen))

    def _beyond(self, look: Look) -> np.ndarray[Any, np.dtype[np.bool_]]:
        limit = self.descent.growth_limit * max(self.first_cost, self.cost_at_zero)
        finite = np.isfinite(look.cost) & np.isfinite(look.params).all(axis=1)
        return ~finite | (look.cost > limit)

    def _first_end(self, look: Look) -> int | None:
        """The first of these epochs at which the run has to stop, and, in ``cause``, why."""
        beyond = self._beyond(look)
        ends = beyond
        if self.descent.tolerance is not None:
            ends = beyond | (look.gradient_norm <= self.small)
        if not ends.any():
            return None
        i = int(np.argmax(ends))
        if beyond[i]:
            finite = np.isfinite(look.cost[i]) and np.isfinite(look.params[i]).all()
            self.cause = Reason.DIVERGED if finite else Reason.OVERFLOWED
        else:
            self.cause = Reason.CONVERGED  # the verdict looks at the distance before it says so
        return i

    def _first_beyond(self, low: int, high: int) -> Look:
        """The first epoch after ``low`` that is beyond the limit, where ``high`` is, found by narrowing."""
        while high - low > 1:
            step = max(1, (high - low) // 64)
            look = next(iter(self.mover.visit(range(low + step, high, step))))
            beyond = np.append(self._beyond(look), True)
            i = int(np.argmax(beyond))
            epochs = [*look.epochs.tolist(), high]
            low, high = (epochs[i - 1] if i else low), epochs[i]
        found = next(iter(self.mover.visit([high])))
        finite = np.isfinite(found.cost[0]) and np.isfinite(found.params).all()
        self.cause = Reason.DIVERGED if finite else Reason.OVERFLOWED
        return found

    def result(self) -> Run:
        assert self.last is not None
        problem, descent = self.problem, self.descent
        kept = self.kept or [self.last]
        to_units = problem.coordinates.to_units
        looks = [look._replace(params=to_units(look.params)) for look in kept]
        history = History.of_chunks(problem.parameters, descent.epochs, problem.bias, looks)
        params = to_units(self.last.params[0])
        cost, norm = float(self.last.cost[0]), float(self.last.gradient_norm[0])
        return Run(problem, descent, self.mover.name, history, params, cost, norm, self._ending(kept))

    def _ending(self, kept: list[Look]) -> Ending:
        assert self.last is not None
        theory, descent = self.theory, self.descent
        here = self.last.params[0]
        cost, norm = float(self.last.cost[0]), float(self.last.gradient_norm[0])
        near = theory.near(here)
        reason = self._verdict(kept, near, norm, cost)
        epoch = int(self.last.epochs[0]) - 1
        if reason is Reason.CONVERGED:
            small = np.concatenate([look.epochs[look.gradient_norm <= self.small] for look in kept])
            epoch = int(small[0]) if small.size else epoch
        excess = theory.excess(here)
        at_start = theory.excess(self.problem.start(descent.start))
        factor, column = theory.steepest if descent.foreseeable else (None, None)
        numbers: dict[str, Any] = {
            "epoch": epoch,
            "cost": cost,
            "least_cost": theory.least_cost,
            "excess": excess,
            "left": excess / at_start if at_start > 0 else 0.0,
            "gradient_norm": norm,
            "growth": cost / self.first_cost if self.first_cost > 0 else np.inf,
            "lr": descent.lr,
            "lr_bound": theory.lr_bound if descent.is_sgd else None,
            "factor": factor,
            "column": column,
        }
        said = {
            **numbers,
            "factor": None if factor is None else factor_in_words(factor),
            "rest": rest(excess, at_start, 0.0 if theory.fits_exactly else theory.least_cost),
            "first_cost": self.first_cost,
            "dtype": descent.dtype,
            "momentum": descent.effective_momentum,
        }
        slow = factor is not None and abs(factor) <= 1
        unbounded = (descent.is_sgd and descent.limit() == 0) or (descent.is_sgd and descent.effective_momentum >= 1)
        sentences = words(reason, said, slow=slow, near=near, unbounded=unbounded)
        return Ending(reason, sentences=sentences, **numbers)

    def _verdict(self, kept: list[Look], near: bool, norm: float, cost: float) -> Reason:
        assert self.last is not None
        if self.cause is not None and self.cause is not Reason.CONVERGED:
            return self.cause
        tail = np.concatenate([look.params for look in kept[-3:]])[-3:]
        unmoved = len(tail) == 3 and bool((tail == self.last.params).all())
        if norm <= self.small or unmoved:
            return Reason.CONVERGED if near else Reason.STALLED
        if self.theory.diverges and cost > self.first_cost:
            return Reason.DIVERGED
        return Reason.OUT_OF_EPOCHS
