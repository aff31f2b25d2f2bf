"""The expected cost of a mini-batch descent, epoch by epoch, its floor, and the rates that keep it bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError
from descentlab.messages import Sentence, counted, number, sentence, wrapped
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import descent_asked, problem_asked
from descentlab.theory.full_batch import Theory
from descentlab.theory.minibatch.row_moments import Moments, moments
from descentlab.theory.minibatch.second_moment_map import Epoch
from descentlab.typing import Array, Integers

MOST = 16  # parameters: with momentum, the second moments of 33 numbers, and a matrix of 561 squared
CLOSE = 1e-9  # to what part of itself the bound on the rate is narrowed


@dataclass(frozen=True, eq=False)
class Expectation:
    """What batches drawn with replacement do on average: exact, over all that may be drawn.

    ``E[cost]`` follows from second moments of the error, and these from a linear recursion
    (:mod:`descentlab.theory.minibatch.second_moment_map`); nothing is sampled. Epochs that only reorder the rows have
    no such closed form: there the numbers are those of the same descent with ``replacement=True``.

    Sources: F. Bach and E. Moulines, *Non-strongly-convex smooth stochastic approximation with convergence rate
    O(1/n)*, NIPS 2013; A. Defossez and F. Bach, *Averaged least-mean-squares: bias-variance trade-offs and optimal
    sampling distributions*, AISTATS 2015.

    Attributes:
        problem, descent: what is foretold.
        epoch: (k,) 1, 2, ... as in a history: epoch t comes after t - 1 epochs of updates.

    ``cost``, ``excess``, ``floor``, ``radius`` and ``lr_bound`` raise SettingError for more than 16 parameters in
    which the cost curves; ``small_rate_floor`` is there for any number.
    """

    problem: Problem
    descent: Descent
    epoch: Integers
    _moments: Moments

    @cached_property
    def cost(self) -> Array:
        """(k,) expected mean squared error before each epoch's updates; inf beyond float64's range."""
        own, start = self._epoch, self.problem.start(self.descent.start)
        costs = np.empty(len(self.epoch))
        with np.errstate(over="ignore", invalid="ignore"):
            Z = own.begin(self._moments.V.T @ (start - self._moments.center))
            for i in range(len(costs)):
                costs[i] = own.cost(Z)
                if i + 1 < len(costs):
                    Z = (own.map if i else own.first) @ Z
        return np.where(np.isnan(costs), np.inf, costs)

    @property
    def least_cost(self) -> float:
        """The mean squared error that the average step is bound for: what all rows at once would end at."""
        return self._moments.mse

    @property
    def excess(self) -> Array:
        """(k,) ``cost`` above ``least_cost``."""
        return self.cost - self.least_cost

    @cached_property
    def floor(self) -> float:
        """The expected cost before the updates of an epoch as the epochs go to infinity; inf where it has no bound."""
        settled = self._epoch.settled
        return math.inf if settled is None else self._epoch.cost(settled)

    @property
    def radius(self) -> float:
        """What an update multiplies expected squares of errors by in the long run; the descent is stable below 1."""
        return self._epoch.radius

    @cached_property
    def lr_bound(self) -> float:
        """The rate from which on expected squares grow without end; inf where nothing curves.

        It is at most that of the average step, since squares are at least the squares of means.
        """
        high = Theory(self.problem, self.descent).lr_bound
        if math.isinf(high):
            return high
        low = 0.0
        while high - low > CLOSE * high:
            middle = (low + high) / 2
            with np.errstate(over="ignore", invalid="ignore"):
                stable = self._at(middle).radius < 1
            low, high = (middle, high) if stable else (low, middle)
        return low

    @cached_property
    def small_rate_floor(self) -> float:
        """What ``floor`` tends to for small rates, for any number of parameters.

        With H the curvature of the average step and C the covariance of its noise at the minimum, the second moments
        Z of the error solve ``H Z + Z H = lr C`` there, with ``lr (1 - dampening) / (1 - momentum)`` for lr. Without
        penalties the excess is ``lr c tr(C_1) / (2 b)``, C_1 being the covariance of one row's ``x r``.
        """
        own, mu = Epoch(self._moments, self.problem, self.descent, self.descent.lr), self.descent.momentum
        if mu >= 1:
            return math.inf
        whole, size, rest = own.sizes
        parts = [(own.pull(each)[::2], count / own.updates, each) for each, count in ((size, whole), (rest, 1)) if each]
        H = sum(H * share for (H, _), share, _ in parts)
        noise = sum(c * c / each * share for (_, c), share, each in parts)
        one_row = self._moments.noise - np.outer(self._moments.slope, self._moments.slope)
        curvature, V = np.linalg.eigh(H)
        rate = self.descent.lr * (1 - self.descent.recursion["dampening"]) / (1 - mu)
        Z = rate * noise * (V.T @ one_row @ V) / (curvature[:, None] + curvature)
        return self.least_cost + float(np.sum((V.T @ self._moments.curvature @ V) * Z))

    @property
    def said(self) -> list[Sentence]:
        """What is to be expected, in words."""
        descent = self.descent
        values = {"size": counted(descent.batch_size or 0, "row"), "lr": descent.lr, "least": self.least_cost}
        if self._too_large:
            said = [sentence("stochastic.about", about=number(self.small_rate_floor), **values)]
        elif math.isinf(self.floor):
            said = [sentence("stochastic.grows", radius=number(self.radius), bound=self.lr_bound, **values)]
        else:
            last = {"cost": float(self.cost[-1]), "epoch": int(self.epoch[-1]), "floor": self.floor}
            said = [sentence("stochastic.floor", bound=self.lr_bound, **last, **values)]
        return said + [sentence("stochastic.reshuffled")] * (not descent.replacement)

    def __str__(self) -> str:
        return "\n".join(wrapped(each.text()) for each in self.said)

    def __repr__(self) -> str:
        return f"Expectation({len(self.epoch)} epochs, batches of {self.descent.batch_size}, lr {self.descent.lr:.6g})"

    @property
    def _too_large(self) -> bool:
        return self._moments.fourth is None

    @cached_property
    def _epoch(self) -> Epoch:
        return self._at(self.descent.lr)

    def _at(self, lr: float) -> Epoch:
        if self._too_large:
            raise SettingError("expect_too_large", count=len(self._moments.slope), most=MOST)
        return Epoch(self._moments, self.problem, self.descent, lr)


def expect(problem: Problem, descent: Descent | None = None, **settings: Any) -> Expectation:
    """The expectation of a mini-batch descent at a constant rate, exact in second moments, from one pass over the rows.

    Args:
        problem: what is fitted; its rows are read once more.
        descent: how to step; or give its settings as keywords: ``expect(problem, lr=0.01, batch_size=8, epochs=50)``.
            Each batch is taken to draw its rows anew, as with ``replacement=True``; arithmetic to be exact.

    Raises:
        SettingError: it is not a mini-batch descent of SGD at a constant rate, or the rows have weights.
        DataError: the problem was made from a factor, so the rows are gone.

    >>> import descentlab as dl
    >>> problem = dl.Problem([1, 2, 3], [1, 2, 4], bias=False)
    >>> expected = dl.expect(problem, lr=0.02, batch_size=1, epochs=40, replacement=True)
    >>> f"{expected.cost[-1]:.6f} {expected.floor:.6f} {expected.least_cost:.6f}"
    '0.133998 0.133998 0.119048'
    """
    problem = problem_asked(expect, problem)
    descent = descent_asked(expect, problem, descent, settings)
    unfit = {
        "batch_size": descent.batch_size is None,
        "optimizer": not descent.is_sgd,
        "options": bool(descent.options),
        "schedule": descent.schedule is not None,
        "zero_grad": not descent.zero_grad,
        "shuffle": not descent.shuffle,
        "average": descent.average is not None,
    }
    if any(unfit.values()):
        raise SettingError("expect_settings", names=[f"`{name}`" for name, is_so in unfit.items() if is_so])
    if problem.has_rows and problem.selection.weights is not None:
        raise SettingError("expect_weights")
    center = Theory(problem, descent).destination
    found = moments(problem, center, fourth=problem.quadratic.modes.rank <= MOST)
    return Expectation(problem, descent, np.arange(1, descent.epochs + 1), found)
