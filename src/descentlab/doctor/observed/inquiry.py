"""A question about observed numbers, and what an explanation of them has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.arrays import Array
from descentlab.conventions import gradient_factor
from descentlab.descent import Descent
from descentlab.doctor.observed import loops
from descentlab.doctor.observed.seen import UNIT, Seen
from descentlab.problem import Problem
from descentlab.text import Sentence, sentence
from descentlab.theory import Theory

AMONG = 20  # explanations that an ordinary guess is one of
ROWS_VISITED = 1_000_000  # rows that an explanation may visit

# What a loop may print of a mean squared error m over n rows.
PRINTED: dict[str, Callable[[Array, float], Array]] = {
    "mean": lambda m, n: m,
    "half_mean": lambda m, n: m / 2,
    "sum": lambda m, n: m * n,
    "half_sum": lambda m, n: m * n / 2,
    "root": lambda m, n: np.sqrt(m),
    "root_of_sum": lambda m, n: np.sqrt(m * n),
    "mean_twice": lambda m, n: m / n,
    "half_mean_twice": lambda m, n: m / (2 * n),
}


@dataclass(frozen=True, eq=False)
class Guess:
    """One explanation and what it predicts.

    Attributes:
        name: the finding's.
        losses: (k,) what would be printed by :attr:`Seen.updates`.
        said, advice: the explanation in words, and its cure.
        evidence: its numbers.
        costs: (k,) the mean squared errors behind the losses, where they may be printed otherwise.
        among: how many such explanations were to choose from.
        slack: by how much more than its rounding a number may be off, in units of that, where losses were fitted.
    """

    name: str
    losses: Array
    said: Sentence
    advice: Sentence
    evidence: Mapping[str, object] = field(default_factory=dict)
    costs: Array | None = None
    among: int = AMONG
    slack: float = 0.0


@dataclass(frozen=True, eq=False)
class Inquiry:
    """A descent as stated, and what was observed of it."""

    problem: Problem
    descent: Descent
    seen: Seen

    @cached_property
    def theory(self) -> Theory:
        return Theory(self.problem, self.descent)

    @cached_property
    def params(self) -> Array:
        """(k, p) of the descent as stated, after :attr:`Seen.updates`."""
        return loops.stated(self.problem, self.descent, self.seen.updates)

    @cached_property
    def costs(self) -> Array:
        """(k,) the mean squared errors there."""
        return self.cost(self.params)

    @property
    def losses(self) -> Array:
        """(k,) what the stated descent prints, in its own reduction."""
        return self.own(self.costs)

    @cached_property
    def drift(self) -> Array:
        """(k,) how far a float32 loop may be from them; see :mod:`descentlab.doctor.observed.seen`."""
        quadratic, t = self.problem.quadratic, self.seen.updates.astype(np.float64)
        c = gradient_factor(self.descent.reduction, self.problem.weight)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = c * (self.params @ quadratic.A.T - quadratic.t) @ quadratic.A
            moved = np.linalg.norm(self.params, axis=1) * np.linalg.norm(gradients, axis=1)
            left = 4 * np.maximum(self.losses - self.own(np.array(self.theory.least_cost)), 0.0)
            drift: Array = np.nan_to_num(UNIT * t * (moved + left), nan=np.inf)
        return drift

    @property
    def settled(self) -> bool:
        """Whether closed forms hold: full batch, one rate, gradients cleared."""
        return self.descent.foreseeable and self.descent.zero_grad and self.descent.schedule is None

    def cost(self, params: Array) -> Array:
        """(k,) mean squared errors; inf for what is no number any more."""
        costs = self.problem.quadratic.cost(params)
        whole: Array = np.where(np.isnan(costs), np.inf, costs)
        return whole

    def own(self, costs: Array) -> Array:
        """Mean squared errors in the asker's own reduction."""
        return PRINTED[self.descent.reduction](costs, self.problem.weight)

    def stated(self, **changes: Any) -> Array:
        """(k,) the mean squared errors with some settings changed."""
        return self.cost(loops.stated(self.problem, replace(self.descent, **changes), self.seen.updates))

    @property
    def repeatable(self) -> bool:
        """Whether descents like it can be carried out a few times more."""
        return self.descent.foreseeable or int(self.seen.updates[-1]) * self.problem.n <= ROWS_VISITED

    @cached_property
    def residuals(self) -> Array:
        """(k, n) of every row, by the parameters of the descent as stated."""
        rows, params = self.problem.descended_rows(), self.params
        d = rows.X.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            residuals: Array = params[:, :d] @ rows.X.T + (params[:, d:] if self.problem.bias else 0.0) - rows.y
        return residuals

    @property
    def has_residuals(self) -> bool:
        """Whether there are rows, and few enough of them."""
        return self.problem.has_rows and len(self.seen.updates) * self.problem.n <= 10 * ROWS_VISITED


def named(kind: str) -> Sentence:
    """A way to print a cost, in words."""
    return sentence(f"printed.{kind}")
