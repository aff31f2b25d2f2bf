"""A question about observed numbers, and what an explanation of them has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_factor
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.losses import Seen
from descentlab.doctor.observed.rounding import DOUBLE, SINGLE, Floor
from descentlab.messages import Sentence, sentence
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

AMONG = 40  # explanations that an ordinary guess is one of
ROWS_VISITED = 1_000_000  # rows that an explanation may visit

# What a loop may print of a mean squared error m over n rows.
_PRINTED: dict[str, Callable[[Array, float], Array]] = {
    "mean": lambda m, n: m,
    "half_mean": lambda m, n: m / 2,
    "sum": lambda m, n: m * n,
    "half_sum": lambda m, n: m * n / 2,
    "root": lambda m, n: np.sqrt(m),
    "root_of_sum": lambda m, n: np.sqrt(m * n),
    "mean_twice": lambda m, n: m / n,
    "half_mean_twice": lambda m, n: m / (2 * n),
}
KINDS = tuple(_PRINTED)


def printed(kind: str, costs: Array, weight: float) -> Array:
    """What is printed in one of the :data:`KINDS` of mean squared errors; inf beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _PRINTED[kind](costs, weight)


@dataclass(frozen=True, eq=False)
class Guess:
    """One explanation and what it predicts.

    Attributes:
        name: the finding's.
        losses: (k,) what would be printed by :attr:`Seen.updates`.
        said, advice: the explanation in words, and its cure.
        evidence: its numbers.
        costs: (k,) the mean squared errors behind the losses.
        form: how those are printed as losses; None is the asker's own reduction, and another may be tried as well.
        among: how many such explanations were to choose from.
        slack: by how much more than its rounding a number may be off, in units of that, where losses were fitted.
        goal: a mean squared error that other such explanations come to as well, sooner or later; 0 is none.
        floor: what rounding leaves in such a loop; None is what it leaves in the one stated.
    """

    name: str
    losses: Array
    said: Sentence
    advice: Sentence
    evidence: Mapping[str, object]
    costs: Array
    form: Callable[[Array], Array] | None = None
    among: int = AMONG
    slack: float = 0.0
    goal: float = 0.0
    floor: Floor | None = None


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
        return simulation.stated(self.problem, self.descent, self.seen.updates)

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
        """(k,) how far a float32 loop may be from them; see :mod:`descentlab.doctor.observed.losses`."""
        quadratic, t = self.problem.quadratic, self.seen.updates.astype(np.float64)
        c = gradient_factor(self.descent.reduction, self.problem.weight)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = c * (self.params @ quadratic.A.T - quadratic.t) @ quadratic.A
            moved = np.linalg.norm(self.params, axis=1) * np.linalg.norm(gradients, axis=1)
            left = 4 * np.maximum(self.losses - self.own(np.array(self.theory.least_cost)), 0.0)
            drift: Array = np.nan_to_num(SINGLE * t * (moved + left), nan=np.inf)
        return drift

    @cached_property
    def floor(self) -> Floor:
        """What rounding leaves in a loop that does as stated."""
        return Floor.of(self.problem, self.descent, self.seen.updates, self.params)

    def rounding(self, unit: float) -> Array:
        """(k,) how far rounding in a type of this unit may take the losses, besides."""
        return self.floor.above(self.costs, unit, self.own)

    @cached_property
    def exactly(self) -> int | None:
        """The shift by which theory is what was seen to every digit; None if it is not."""
        return self.seen.reproduced(self.losses, floor=self.rounding(DOUBLE))

    @cached_property
    def loosely(self) -> int | None:
        """The shift by which theory is what was seen but for what float32 may do; None if it is not."""
        return self.seen.agrees(self.losses, self.drift, self.rounding(SINGLE))

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
        return printed(self.descent.reduction, costs, self.problem.weight)

    def stated(self, **changes: Any) -> Array:
        """(k,) the mean squared errors with some settings changed."""
        return self.cost(simulation.stated(self.problem, replace(self.descent, **changes), self.seen.updates))

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

    def guess(
        self, name: str, costs: Array, said: Sentence, advice: Sentence, evidence: Mapping[str, object], **more: Any
    ) -> Guess:
        """A guess whose loop prints these mean squared errors (k,), in the asker's own reduction."""
        return Guess(name, self.own(costs), said, advice, evidence, costs, **more)

    def matches(self, guess: Guess, kind: str, among: int, unit: float) -> bool:
        """Whether a guess, printed in this kind, reproduces every number, and these tell it from so many others."""
        form = guess.form or (lambda costs: printed(kind, costs, self.problem.weight))
        losses = guess.losses if kind == self.descent.reduction else form(guess.costs)
        floor = (guess.floor or self.floor).above(guess.costs, unit, form)
        shift = self.seen.reproduced(losses, guess.slack, floor)
        if shift is None:
            return False
        apart = np.abs(self.seen.losses.values - (float(form(np.array(guess.goal))) if guess.goal else 0.0))
        if self.loosely is not None:  # then a cause has to tell itself from what rounding makes of no mistake
            apart = np.minimum(apart, np.abs(self.seen.losses.values - self.seen.at(self.losses, self.loosely)))
        return self.seen.tells(guess.among * among, self.seen.at(floor, shift), apart)


def named(kind: str) -> Sentence:
    """A way to print a cost, in words."""
    return sentence(f"printed.{kind}")
