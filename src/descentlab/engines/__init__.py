"""Engines move a parameter vector; they neither record nor judge.

Every engine keeps one contract, :class:`Engine`. Its parameters are in the descended coordinates: features in
order, then the bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from descentlab.errors import EngineError, one_of
from descentlab.text import Sentence

if TYPE_CHECKING:
    from descentlab.descent import Descent
    from descentlab.problem import Problem

Array = np.ndarray[Any, np.dtype[np.float64]]

NAMES = ("hand", "autograd", "exact")


class Look(NamedTuple):
    """What was seen at a few epochs, before their updates.

    Attributes:
        epochs: (k,) from 1; epoch k comes after k - 1 epochs of updates.
        params: (k, p).
        cost: (k,) mean squared error.
        gradient_norm: (k,) norm of the gradient descended.
    """

    epochs: np.ndarray[Any, np.dtype[np.int64]]
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

    def look(self) -> tuple[Array, float, float]:
        """The parameters, the cost and the gradient's norm as they are now."""
        raise NotImplementedError

    def update(self, done: int) -> None:
        """One epoch of updates, after ``done`` of them."""
        raise NotImplementedError

    def visit(self, epochs: Iterable[int]) -> Iterator[Look]:
        for epoch in epochs:
            while self.done < epoch - 1:
                self.update(self.done)
                self.done += 1
            params, cost, norm = self.look()
            yield Look(np.array([epoch]), params[None, :], np.array([cost]), np.array([norm]))


def engine_for(name: str, problem: Problem, descent: Descent) -> Engine:
    """The engine of that name, ready to start; ``auto`` is ``exact`` where it can, ``hand`` where it cannot.

    Raises:
        EngineError: the engine cannot do what the settings ask, with the reason.
        SettingError: there is no such engine.
    """
    if one_of("engine", name, (*NAMES, "auto")) == "auto":
        exact = _load("exact")
        engine = exact if exact.refuses(problem, descent) is None else _load("hand")
        if engine.refuses(problem, descent) is not None:
            engine = _load("autograd")
    else:
        engine = _load(name)
    reason = engine.refuses(problem, descent)
    if reason is not None:
        raise EngineError("engine_refuses", engine=engine.name, reason=reason)
    return engine


def _load(name: str) -> Engine:
    engine: Engine = getattr(import_module(f"descentlab.engines.{name}"), name.capitalize())()
    return engine


def batches(n: int, size: int | None, order: np.random.Generator | None) -> Iterator[Any]:
    """The rows of each step of one epoch: everything, or index arrays of ``size`` rows in a drawn order."""
    if size is None:
        yield slice(None)
        return
    rows = np.arange(n) if order is None else order.permutation(n)
    for start in range(0, n, size):
        yield rows[start : start + size]
