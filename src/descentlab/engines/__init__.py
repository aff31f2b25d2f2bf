"""Engines move a parameter vector; they neither record nor judge.

Every engine keeps one contract, :class:`Executor`. Its parameters are in the descended coordinates: features in
order, then the bias.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from descentlab.engines.batches import RowSampler
from descentlab.errors import EngineError, check_choice
from descentlab.messages import Message, message
from descentlab.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


ENGINE_NAMES = ("hand", "minibatch", "autograd", "exact", "replay")
AUTO_ORDER = ("exact", "minibatch", "hand", "autograd", "replay")  # `auto` is the first of these that can
HAND_SECONDS_PER_STEP, HAND_SECONDS_PER_VALUE = 1e-5, 1e-9  # seconds of `hand`, about: a step, and a number in it
COMPILE_WORTH_SECONDS = 2.0  # seconds of `hand` from which on `auto` waits for minibatch to compile
REPORT_INTERVAL = 0.1  # seconds of epochs that a stepping engine reports at once
RATE_CHUNK = 1024  # learning rates worked out at once


class Snapshots(NamedTuple):
    """What was seen at a few epochs, before their updates.

    Attributes:
        epochs: (k,) from 1; epoch k comes after k - 1 epochs of updates.
        params: (k, p).
        cost: (k,) mean squared error.
        gradient_norm: (k,) norm of the gradient descended.
    """

    epochs: IntArray
    params: FloatArray
    cost: FloatArray
    gradient_norm: FloatArray

    def head(self, count: int) -> Snapshots:
        """The first ``count`` of these epochs."""
        return self.select(slice(count))

    def select(self, which: Any) -> Snapshots:
        """These of its epochs: a slice, or a mask."""
        return Snapshots(self.epochs[which], self.params[which], self.cost[which], self.gradient_norm[which])


class Engine(Protocol):
    """What the run asks of an engine.

    Attributes:
        random_access: whether any epoch costs the same to look at, in any order.
    """

    name: str
    random_access: bool

    @staticmethod
    def unsupported_reason(problem: Problem, descent: Descent) -> Message | None:
        """Why this engine cannot run this descent, or None: asked before anything is computed."""

    def initialize(self, problem: Problem, descent: Descent) -> None:
        """Stand at the starting point."""

    def snapshots_at(self, epochs: Iterable[int]) -> Iterator[Snapshots]:
        """Look at these epochs, ascending in equal steps, one or several at a time, moving in between.

        A later call goes on from where the last one stopped.
        """


class SteppingEngine:
    """The visits of an engine that makes its epochs one by one: it has ``snapshot`` and ``run_epoch``."""

    random_access = False
    epochs_done = 0  # epochs of updates made
    epochs: int  # how many the run was asked for
    learning_rates: Callable[[IntArray], FloatArray]

    def snapshot(self) -> tuple[FloatArray, float, float]:
        """The parameters, the cost and the gradient's norm as they are now."""
        raise NotImplementedError

    def run_epoch(self, lr: float) -> None:
        """One epoch of updates at this learning rate."""
        raise NotImplementedError

    def snapshots_at(self, epochs: Iterable[int]) -> Iterator[Snapshots]:
        states: list[tuple[int, FloatArray, float, float]] = []
        last_report = time.perf_counter()
        rates, first = np.empty(0), 0
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch in epochs:
                while self.epochs_done < epoch - 1:
                    if self.epochs_done - first >= len(rates):
                        first, rates = (
                            self.epochs_done,
                            self.learning_rates(
                                np.arange(self.epochs_done, min(self.epochs_done + RATE_CHUNK, self.epochs))
                            ),
                        )
                    self.run_epoch(float(rates[self.epochs_done - first]))
                    self.epochs_done += 1
                states.append((epoch, *self.snapshot()))
                # Slow epochs are reported one by one, fast ones together, so that judging them costs little.
                if time.perf_counter() - last_report > REPORT_INTERVAL:
                    yield _stack_snapshots(states)
                    states, last_report = [], time.perf_counter()
        if states:
            yield _stack_snapshots(states)


def _stack_snapshots(states: list[tuple[int, FloatArray, float, float]]) -> Snapshots:
    epochs, params, costs, norms = zip(*states, strict=True)
    return Snapshots(np.array(epochs), np.stack(params), np.array(costs), np.array(norms))


def make_engine(name: str, problem: Problem, descent: Descent) -> Engine:
    """The engine of that name, ready to start; ``auto`` is the first of :data:`AUTO_ORDER` that can.

    Minibatch is among them where numba is installed and the work is worth compiling for.

    Raises:
        EngineError: the engine cannot do what the settings ask, with the reason; of ``auto``, the last one's.
        SettingError: there is no such engine.
    """
    names = AUTO_ORDER if check_choice("engine", name, (*ENGINE_NAMES, "auto")) == "auto" else (name,)
    for candidate in names:
        if name == "auto" and candidate == "minibatch" and not _is_worth_compiling(problem, descent):
            continue
        engine = _load_engine(candidate)
        reason = engine.unsupported_reason(problem, descent)
        if reason is None:
            return engine
    raise EngineError("engine_refuses", engine=engine.name, reason=reason)


def _is_worth_compiling(problem: Problem, descent: Descent) -> bool:
    """Whether ``hand`` would take so long that compiling costs less, and numba is there to compile."""
    steps = 1 if descent.batch_size is None else -(-problem.n // descent.batch_size)
    seconds = descent.epochs * (
        HAND_SECONDS_PER_STEP * steps + HAND_SECONDS_PER_VALUE * problem.n * len(problem.parameters)
    )
    return seconds >= COMPILE_WORTH_SECONDS and find_spec("numba") is not None


def non_sgd_reason(descent: Descent) -> Message | None:
    """Why an engine with the steps of SGD alone cannot make these, or None."""
    if not descent.is_sgd:
        return message("refuses.optimizer", optimizer=descent.optimizer)
    if descent.options:
        return message("refuses.options", names=list(descent.options))
    return None


def _load_engine(name: str) -> Engine:
    engine: Engine = getattr(import_module(f"descentlab.engines.{name}"), name.capitalize())()
    return engine


def iterate_batches(
    n: int, size: int | None, order: np.random.Generator | None, replacement: bool = False
) -> Iterator[Any]:
    """The rows of each step of one epoch: everything, or index arrays of ``size`` rows, drawn as settings ask."""
    if size is None:
        yield slice(None)
        return
    rows = RowSampler(order, replacement).draw_indices(n)
    for start in range(0, n, size):
        yield rows[start : start + size]


def safe_norm(vector: FloatArray) -> float:
    """The Euclidean norm, also where squares would leave the range of float64."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0 < largest < np.inf else largest
