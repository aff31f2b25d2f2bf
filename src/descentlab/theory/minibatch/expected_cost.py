"""The expected cost of a mini-batch descent, epoch by epoch, its floor, and the rates that keep it bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError
from descentlab.messages import Message, message, pluralize
from descentlab.messages.document import Block, Presentable, make_blocks, message_blocks
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import check_problem, resolve_descent
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.minibatch.row_moments import Moments, compute_moments
from descentlab.theory.minibatch.second_moment_map import EpochOperator
from descentlab.typing import FloatArray, IntArray

MAX_EXACT_PARAMETERS = 16  # parameters: with momentum, the second moments of 33 numbers, and a matrix of 561 squared
LR_BOUND_RTOL = 1e-9  # relative precision of the bound on the rate


@dataclass(frozen=True, eq=False)
class ExpectedCost(Presentable):
    """The exact expectation of the cost over all batches that may be drawn with replacement.

        E[cost_t] = mse + 2 g'E[e_t] + tr(S E[e_t e_t'])

    with e_t the error after t - 1 epochs, S the rows' second moments, and g and mse the mean gradient and the cost at
    the limit point. The second moments of e_t obey a linear recursion
    (:mod:`descentlab.theory.minibatch.second_moment_map`); nothing is sampled. Epochs that reorder the rows have no
    such closed form: then the numbers are those of the same descent with ``replacement=True``.

    Sources: F. Bach and E. Moulines, *Non-strongly-convex smooth stochastic approximation with convergence rate
    O(1/n)*, NIPS 2013; A. Defossez and F. Bach, *Averaged least-mean-squares: bias-variance trade-offs and optimal
    sampling distributions*, AISTATS 2015.

    Attributes:
        problem, descent: the problem and the settings.
        epoch: (k,) 1, 2, ... as in a history: epoch t comes after t - 1 epochs of updates.

    ``cost``, ``excess_cost``, ``floor``, ``spectral_radius`` and ``lr_bound`` raise SettingError for more than
    16 curved directions; ``small_rate_floor`` is defined for any number.
    """

    problem: Problem
    descent: Descent
    epoch: IntArray
    _moments: Moments

    @cached_property
    def cost(self) -> FloatArray:
        """(k,) expected mean squared error before each epoch's updates; inf beyond float64's range."""
        operator, start = self._operator, self.problem.scaled_params(self.descent.start)
        costs = np.empty(len(self.epoch))
        with np.errstate(over="ignore", invalid="ignore"):
            Z = operator.initial_moments(self._moments.directions.T @ (start - self._moments.center))
            for i in range(len(costs)):
                costs[i] = operator.cost(Z)
                if i + 1 < len(costs):
                    Z = (operator.epoch_matrix if i else operator.first_epoch_matrix) @ Z
        return np.where(np.isnan(costs), np.inf, costs)

    @property
    def least_cost(self) -> float:
        """The mean squared error at the limit point of the average step, which is that of full-batch descent."""
        return self._moments.mse

    @property
    def excess_cost(self) -> FloatArray:
        """(k,) ``cost`` above ``least_cost``."""
        return self.cost - self.least_cost

    @cached_property
    def floor(self) -> float:
        """The limit of the expected cost before an epoch's updates as epochs go to infinity; inf if it is unbounded."""
        moments_in_the_limit = self._operator.stationary_moments
        return math.inf if moments_in_the_limit is None else self._operator.cost(moments_in_the_limit)

    @property
    def spectral_radius(self) -> float:
        """The long-run factor of an update on the expected squares of errors; below 1 the descent is stable."""
        return self._operator.spectral_radius

    @cached_property
    def lr_bound(self) -> float:
        """The rate above which expected squares grow without bound; inf if every eigenvalue is 0.

        It is at most the bound of the average step, since a mean of squares is at least the square of the mean.
        """
        high = FullBatchTheory(self.problem, self.descent).lr_bound
        if math.isinf(high):
            return high
        low = 0.0
        while high - low > LR_BOUND_RTOL * high:
            middle = (low + high) / 2
            with np.errstate(over="ignore", invalid="ignore"):
                stable = self._operator_at(middle).spectral_radius < 1
            low, high = (middle, high) if stable else (low, middle)
        return low

    @cached_property
    def small_rate_floor(self) -> float:
        """The limit of ``floor`` for small rates, for any number of parameters.

        With H the curvature of the average step and C the covariance of its noise at the minimum, the second moments
        Z of the error solve ``H Z + Z H = lr C`` there, with ``lr (1 - dampening) / (1 - momentum)`` for lr. Without
        penalties the excess is ``lr c tr(C_1) / (2 b)``, C_1 being the covariance of one row's ``x r``.
        """
        operator, mu = EpochOperator(self._moments, self.problem, self.descent, self.descent.lr), self.descent.momentum
        if mu >= 1:
            return math.inf
        full_batches, size, last_size = operator.batch_sizes
        batch_terms = [
            (operator.mean_gradient(each)[::2], count / operator.updates, each)
            for each, count in ((size, full_batches), (last_size, 1))
            if each
        ]
        H = sum(H * share for (H, _), share, _ in batch_terms)
        noise_factor = sum(c * c / each * share for (_, c), share, each in batch_terms)
        row_covariance = self._moments.gradient_noise - np.outer(
            self._moments.mean_gradient, self._moments.mean_gradient
        )
        curvature, V = np.linalg.eigh(H)
        effective_lr = self.descent.lr * (1 - self.descent.momentum_settings["dampening"]) / (1 - mu)
        Z = effective_lr * noise_factor * (V.T @ row_covariance @ V) / (curvature[:, None] + curvature)
        return self.least_cost + float(np.sum((V.T @ self._moments.curvature @ V) * Z))

    @property
    def messages(self) -> list[Message]:
        """The expected cost, its floor and the bound in words."""
        descent = self.descent
        values = {"size": pluralize(descent.batch_size or 0, "row"), "lr": descent.lr, "least": self.least_cost}
        if self._too_large:
            messages = [message("stochastic.about", about=self.small_rate_floor, **values)]
        elif math.isinf(self.floor):
            messages = [message("stochastic.grows", radius=self.spectral_radius, bound=self.lr_bound, **values)]
        else:
            last = {"cost": float(self.cost[-1]), "epoch": int(self.epoch[-1]), "floor": self.floor}
            messages = [message("stochastic.floor", bound=self.lr_bound, **last, **values)]
        return messages + [message("stochastic.reshuffled")] * (not descent.replacement)

    def __repr__(self) -> str:
        return f"ExpectedCost({len(self.epoch)} epochs, batches of {self.descent.batch_size}, lr {self.descent.lr:.6g})"

    @property
    def _too_large(self) -> bool:
        return self._moments.fourth_moments is None

    @cached_property
    def _operator(self) -> EpochOperator:
        return self._operator_at(self.descent.lr)

    def _operator_at(self, lr: float) -> EpochOperator:
        if self._too_large:
            raise SettingError("expect_too_large", count=len(self._moments.mean_gradient), most=MAX_EXACT_PARAMETERS)
        return EpochOperator(self._moments, self.problem, self.descent, lr)


@make_blocks.register
def _(result: ExpectedCost) -> list[Block]:
    return message_blocks(result.messages)


def expected_cost(problem: Problem, descent: Descent | None = None, **settings: Any) -> ExpectedCost:
    """The expected cost of a mini-batch descent at a constant rate, from one pass over the rows.

    Args:
        problem: the problem; its rows are read once more.
        descent: the settings; or give them as keywords: ``expected_cost(problem, lr=0.01, batch_size=8, epochs=50)``.
            Batches are assumed to be drawn with replacement, as with ``replacement=True``.

    Raises:
        SettingError: it is not a mini-batch descent of SGD at a constant rate, or the rows have weights.
        DataError: the problem was created from a factor, so the rows are gone.

    >>> import descentlab as dl
    >>> problem = dl.Problem([1, 2, 3], [1, 2, 4], bias=False)
    >>> expected = dl.expected_cost(problem, lr=0.02, batch_size=1, epochs=40, replacement=True)
    >>> f"{expected.cost[-1]:.6f} {expected.floor:.6f} {expected.least_cost:.6f}"
    '0.133998 0.133998 0.119048'
    """
    problem = check_problem(expected_cost, problem)
    descent = resolve_descent(expected_cost, problem, descent, settings)
    violations = {
        "batch_size": descent.batch_size is None,
        "optimizer": not descent.is_sgd,
        "options": bool(descent.options),
        "schedule": descent.schedule is not None,
        "zero_grad": not descent.zero_grad,
        "shuffle": not descent.shuffle,
        "average": descent.average is not None,
    }
    if any(violations.values()):
        raise SettingError("expect_settings", names=[f"`{name}`" for name, is_so in violations.items() if is_so])
    if problem.has_rows and problem.selection.weights is not None:
        raise SettingError("expect_weights")
    center = FullBatchTheory(problem, descent).limit_point
    row_moments = compute_moments(problem, center, with_fourth=problem.quadratic.svd.rank <= MAX_EXACT_PARAMETERS)
    return ExpectedCost(problem, descent, np.arange(1, descent.epochs + 1), row_moments)
