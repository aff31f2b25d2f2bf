"""Engines move a parameter vector; they neither record nor judge.

Every engine keeps one contract, :class:`Engine`. Its parameters are in the descended coordinates: features in
order, then the bias.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from descentlab.engines.batches import Drawing
from descentlab.errors import EngineError, one_of
from descentlab.messages import Sentence, sentence
from descentlab.typing import Array, Integers

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


NAMES = ("hand", "minibatch", "autograd", "exact", "replay")
AUTO = ("exact", "minibatch", "hand", "autograd", "replay")  # `auto` is the first of these that can
PER_STEP, PER_NUMBER = 1e-5, 1e-9  # seconds of `hand`, about: a step, and a number in it
WORTH = 2.0  # seconds of `hand` from which on `auto` waits for minibatch to compile
PATIENCE = 0.1  # seconds of epochs that a stepping engine reports at once
RATES = 1024  # learning rates worked out at once


class Look(NamedTuple):
    """What was seen at a few epochs, before their updates.

    Attributes:
        epochs: (k,) from 1; epoch k comes after k - 1 epochs of updates.
        params: (k, p).
        cost: (k,) mean squared error.
        gradient_norm: (k,) norm of the gradient descended.
    """

    epochs: Integers
    params: Array
    cost: Array
    gradient_norm: Array

    def upto(self, count: int) -> Look:
        """The first ``count`` of these epochs."""
        return self.at(slice(count))

    def at(self, which: Any) -> Look:
        """These of its epochs: a slice, or a mask."""
        return Look(self.epochs[which], self.params[which], self.cost[which], self.gradient_norm[which])


class Engine(Protocol):
    """What the run asks of an engine.

    Attributes:
        jumps: whether any epoch costs the same to look at, in any order.
    """

    name: str
    jumps: bool

    @staticmethod
    def refuses(problem: Problem, descent: Descent) -> Sentence | None:
        """Why this engine cannot run this descent, or None: asked before anything is computed."""

    def start(self, problem: Problem, descent: Descent) -> None:
        """Stand at the starting point."""

    def visit(self, epochs: Iterable[int]) -> Iterator[Look]:
        """Look at these epochs, ascending in equal steps, one or several at a time, moving in between.

        A later call goes on from where the last one stopped.
        """


class Stepping:
    """The visits of an engine that makes its epochs one by one: it has ``look`` and ``update``."""

    jumps = False
    done = 0  # epochs of updates made
    epochs: int  # how many the run was asked for
    rates: Callable[[Integers], Array]

    def look(self) -> tuple[Array, float, float]:
        """The parameters, the cost and the gradient's norm as they are now."""
        raise NotImplementedError

    def update(self, lr: float) -> None:
        """One epoch of updates at this learning rate."""
        raise NotImplementedError

    def visit(self, epochs: Iterable[int]) -> Iterator[Look]:
        seen: list[tuple[int, Array, float, float]] = []
        reported = time.perf_counter()
        rates, first = np.empty(0), 0
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch in epochs:
                while self.done < epoch - 1:
                    if self.done - first >= len(rates):
                        first, rates = self.done, self.rates(np.arange(self.done, min(self.done + RATES, self.epochs)))
                    self.update(float(rates[self.done - first]))
                    self.done += 1
                seen.append((epoch, *self.look()))
                # Slow epochs are reported one by one, fast ones together, so that judging them costs little.
                if time.perf_counter() - reported > PATIENCE:
                    yield _together(seen)
                    seen, reported = [], time.perf_counter()
        if seen:
            yield _together(seen)


def _together(seen: list[tuple[int, Array, float, float]]) -> Look:
    epochs, params, costs, norms = zip(*seen, strict=True)
    return Look(np.array(epochs), np.stack(params), np.array(costs), np.array(norms))


def engine_for(name: str, problem: Problem, descent: Descent) -> Engine:
    """The engine of that name, ready to start; ``auto`` is the first of :data:`AUTO` that can.

    Minibatch is among them where numba is installed and the work is worth compiling for.

    Raises:
        EngineError: the engine cannot do what the settings ask, with the reason; of ``auto``, the last one's.
        SettingError: there is no such engine.
    """
    names = AUTO if one_of("engine", name, (*NAMES, "auto")) == "auto" else (name,)
    for each in names:
        if name == "auto" and each == "minibatch" and not _worth_compiling(problem, descent):
            continue
        engine = _load(each)
        reason = engine.refuses(problem, descent)
        if reason is None:
            return engine
    raise EngineError("engine_refuses", engine=engine.name, reason=reason)


def _worth_compiling(problem: Problem, descent: Descent) -> bool:
    """Whether ``hand`` would take so long that compiling costs less, and numba is there to compile."""
    steps = 1 if descent.batch_size is None else -(-problem.n // descent.batch_size)
    seconds = descent.epochs * (PER_STEP * steps + PER_NUMBER * problem.n * len(problem.parameters))
    return seconds >= WORTH and find_spec("numba") is not None


def not_sgd(descent: Descent) -> Sentence | None:
    """Why an engine with the steps of SGD alone cannot make these, or None."""
    if not descent.is_sgd:
        return sentence("refuses.optimizer", optimizer=descent.optimizer)
    if descent.options:
        return sentence("refuses.options", names=list(descent.options))
    return None


def _load(name: str) -> Engine:
    engine: Engine = getattr(import_module(f"descentlab.engines.{name}"), name.capitalize())()
    return engine


def iterate_batches(
    n: int, size: int | None, order: np.random.Generator | None, replacement: bool = False
) -> Iterator[Any]:
    """The rows of each step of one epoch: everything, or index arrays of ``size`` rows, drawn as settings ask."""
    if size is None:
        yield slice(None)
        return
    rows = Drawing(order, replacement).of(n)
    for start in range(0, n, size):
        yield rows[start : start + size]


def length(vector: Array) -> float:
    """The Euclidean norm, also where squares would leave the range of float64."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0 < largest < np.inf else largest
