"""What every engine provides, and what it declares that it cannot do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.optimizers import NEEDS_CLOSURE, NEEDS_MATRICES, NEEDS_SPARSE_GRADIENTS
from descentlab.messages import Message, message
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray, IntArray

REPORT_INTERVAL = 0.1  # seconds of epochs that a stepping engine reports at once
RATE_CHUNK = 1024  # learning rates computed at once

# What an engine may be unable to do, by the name of its message, and whether a descent on a problem asks for it.
LIMITS: Mapping[str, Callable[[Problem, Descent], bool]] = {
    "optimizer": lambda problem, descent: not descent.is_sgd,
    "options": lambda problem, descent: bool(descent.options),
    "matrices": lambda problem, descent: descent.optimizer.lower() in NEEDS_MATRICES,
    "sparse": lambda problem, descent: descent.optimizer.lower() in NEEDS_SPARSE_GRADIENTS,
    "closure": lambda problem, descent: descent.optimizer.lower() in NEEDS_CLOSURE,
    "average": lambda problem, descent: descent.average is not None,
    "batches": lambda problem, descent: descent.batch_size is not None,
    "replay_batches": lambda problem, descent: (
        descent.batch_size is not None and (descent.batch_size < problem.n or descent.replacement)
    ),
    "dtype": lambda problem, descent: descent.dtype != "float64",
    "replay_dtype": lambda problem, descent: descent.dtype != "float64",
    "device": lambda problem, descent: descent.device != "cpu",
    "replay_device": lambda problem, descent: descent.device != "cpu",
    "zero_grad": lambda problem, descent: not descent.has_closed_form,
    "minibatch_zero_grad": lambda problem, descent: not descent.zero_grad,
    "rows_gone": lambda problem, descent: not problem.has_rows,
}


class Snapshots(NamedTuple):
    """The state of a descent at k epochs, before their updates.

    Attributes:
        epochs: (k,) from 1; epoch k comes after k - 1 epochs of updates.
        params: (k, p) scaled parameters: features in order, then the bias.
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
        """Some of these epochs, by a slice or a mask."""
        return Snapshots(*(array[which] for array in self))


class Engine(Protocol):
    """Moves a parameter vector from epoch to epoch; it neither records the epochs nor decides when to stop.

    Attributes:
        name: as ``descend(engine=...)`` takes it.
        limits: the names in :data:`LIMITS` of what it cannot do, the first to be reported first.
        random_access: whether any epoch costs the same, in any order.
    """

    name: str
    limits: tuple[str, ...]
    random_access: bool

    def initialize(self, problem: Problem, descent: Descent) -> None:
        """Place the parameters at the starting point."""

    def snapshots_at(self, epochs: Iterable[int]) -> Iterator[Snapshots]:
        """The state at these epochs, ascending in equal steps, one or several in each part.

        A later call continues where the last one stopped.
        """


class SteppingEngine:
    """Base of the engines that make one epoch after another: subclasses define ``snapshot`` and ``run_epoch``."""

    random_access = False
    epochs_done = 0  # epochs of updates made
    epochs: int  # how many the run was asked for
    learning_rates: Callable[[IntArray], FloatArray]

    def snapshot(self) -> tuple[FloatArray, float, float]:
        """The parameters, the cost and the gradient's norm now."""
        raise NotImplementedError

    def run_epoch(self, lr: float) -> None:
        """One epoch of updates at this learning rate."""
        raise NotImplementedError

    def snapshots_at(self, epochs: Iterable[int]) -> Iterator[Snapshots]:
        states: list[tuple[int, FloatArray, float, float]] = []
        last_report = time.perf_counter()
        first = 0
        rates = np.empty(0)
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch in epochs:
                while self.epochs_done < epoch - 1:
                    if self.epochs_done - first >= len(rates):
                        first = self.epochs_done
                        rates = self.learning_rates(np.arange(first, min(first + RATE_CHUNK, self.epochs)))
                    self.run_epoch(float(rates[self.epochs_done - first]))
                    self.epochs_done += 1
                states.append((epoch, *self.snapshot()))
                # Slow epochs are reported one by one, fast ones together: then checking them costs little.
                if time.perf_counter() - last_report > REPORT_INTERVAL:
                    yield _stack_snapshots(states)
                    states, last_report = [], time.perf_counter()
        if states:
            yield _stack_snapshots(states)


def _stack_snapshots(states: list[tuple[int, FloatArray, float, float]]) -> Snapshots:
    epochs, params, costs, norms = zip(*states, strict=True)
    return Snapshots(np.array(epochs), np.stack(params), np.array(costs), np.array(norms))


def unsupported_reason(engine: Engine, problem: Problem, descent: Descent) -> Message | None:
    """Why an engine cannot run a descent on a problem, or None; nothing is computed for it."""
    for name in engine.limits:
        if LIMITS[name](problem, descent):
            values = {each: getattr(descent, each) for each in ("optimizer", "dtype", "device", "batch_size")}
            return message(f"refuses.{name}", **values, names=list(descent.options), rows=problem.n)
    return None


def safe_norm(vector: FloatArray) -> float:
    """The Euclidean norm, also where squares would leave the range of float64."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0 < largest < np.inf else largest
