"""What each remedy buys, in numbers, all from the same factor: the bound, the best rate, the epochs it takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from descentlab.descent.recursion import Recursion, limit
from descentlab.doctor.findings.data import NEARLY_DEPENDENT
from descentlab.messages import Sentence, rounded, sentence
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory
from descentlab.theory.learning_rates import PLAIN, Rate, fastest, with_momentum
from descentlab.theory.settling_time import Aim
from descentlab.typing import Array

USUAL_MOMENTUM = 0.9
LITTLE = 0.01  # a momentum that small is none
RIDGE_STEPS = 40  # halvings on the way to the largest ridge that costs no more than asked
MEANS = {"sum": "mean", "half_sum": "half_mean"}


@dataclass(frozen=True)
class Remedy:
    """One change to what was asked, and its price.

    Attributes:
        name: ``clear_gradients``, ``fastest_rate``, ``momentum``, ``tuned_momentum``, ``mean_for_sum``, ``center``,
            ``standardize``, ``drop`` or ``ridge``.
        title: the change in words.
        lr_bound: the largest stable rate with it.
        lr, momentum: the fastest for this start with it; ``shown`` is that rate to type in.
        epochs: how many epochs that takes; None where it never gets there.
        epochs_at_lr: how many the asker's own rate takes with it; None where that never gets there.
        condition: largest over smallest positive curvature.
        least_cost: the mean squared error it is then bound for.
    """

    name: str
    title: Sentence
    lr_bound: float
    lr: float | None
    shown: str | None
    momentum: float
    epochs: int | None
    epochs_at_lr: int | None
    condition: float
    least_cost: float


@dataclass(frozen=True, eq=False)
class Pharmacy:
    """Makes remedies for one diagnosis: each changes one thing of what was asked.

    Attributes:
        theory, aim: of the descent as asked.
        within: the tolerance.
        start: (p,) in the data's units.
        vif: the features' variance inflation.
    """

    theory: Theory
    aim: Aim
    within: float
    start: Array
    vif: Array

    @property
    def recursion(self) -> Recursion:
        """The asker's own momentum; none where theirs lets no rate converge."""
        own = self.theory.descent.recursion
        return own if own["momentum"] < 1 else PLAIN

    def remedies(self, rates: Mapping[str, Rate]) -> tuple[Remedy, ...]:
        """All that apply, given the rates to use."""
        return tuple(self._all(rates))

    def _all(self, rates: Mapping[str, Rate]) -> Iterator[Remedy]:
        problem, descent, own = self.theory.problem, self.theory.descent, self.recursion
        if not descent.zero_grad:
            yield self._row("clear_gradients", sentence("remedy.clear_gradients"), self.theory, self.aim, PLAIN)
        best, pair = rates.get("own_momentum" if own["momentum"] else "fastest"), rates.get("fastest_pair")
        yield self._row("fastest_rate", sentence("remedy.fastest_rate"), self.theory, self.aim, own, best)
        usual = with_momentum(USUAL_MOMENTUM)
        if own != usual:
            title = sentence("remedy.momentum", momentum=USUAL_MOMENTUM)
            yield self._row("momentum", title, self.theory, self.aim, usual)
        if pair is not None and pair.momentum > LITTLE:
            title = sentence("remedy.tuned_momentum", momentum=pair.shown_momentum)
            tuned = with_momentum(pair.momentum)
            yield self._row("tuned_momentum", title, self.theory, self.aim, tuned, pair)
        if descent.reduction in MEANS:
            mean = MEANS[descent.reduction]
            yield self._of(problem, "mean_for_sum", sentence("remedy.mean_for_sum", name=mean), reduction=mean)
        if problem.bias and not problem.center:
            yield self._of(self.theory.problem.variant(center=True), "center", sentence("remedy.center"))
        if not problem.standardize:
            yield self._of(self.theory.problem.variant(standardize=True), "standardize", sentence("remedy.standardize"))
        dropped = self._droppable()
        if dropped:
            kept = [name for name in problem.features if name not in dropped]
            title = sentence("remedy.drop", names=[f"`{name}`" for name in dropped])
            row = self._of(self.theory.problem.variant(features=kept), "drop", title)
            if not problem.fit.dependent:  # something of its own goes with it
                title = sentence("remedy.at_cost", remedy=title, cost=rounded(row.least_cost))
            yield replace(row, title=title)
        ridge = self._affordable_ridge()
        if ridge:
            title = sentence("remedy.ridge", ridge=f"{ridge:.3g}")
            yield self._of(self.theory.problem.variant(ridge=ridge), "ridge", title)

    def _of(self, problem: Problem, name: str, title: Sentence, reduction: str | None = None) -> Remedy:
        """A remedy that changes the problem or the reduction."""
        descent = self.theory.descent
        own = self.theory.problem  # whose start it is: of features in order, then the bias
        kept = [own.features.index(name) for name in problem.features] + [len(own.features)] * problem.bias
        changed = replace(descent, start=self.start[kept], reduction=reduction or descent.reduction)
        theory = Theory(problem, changed)
        return self._row(name, title, theory, Aim.of(theory, self.within), self.recursion)

    def _row(
        self, name: str, title: Sentence, theory: Theory, aim: Aim, recursion: Recursion, rate: Rate | None = None
    ) -> Remedy:
        largest = theory.largest
        rate = rate or (fastest(aim, largest, recursion) if largest > 0 else None)
        return Remedy(
            name,
            title,
            limit(**recursion) / largest if largest > 0 else float("inf"),
            rate.lr if rate else None,
            rate.shown if rate else None,
            recursion["momentum"],
            rate.epochs if rate else None,
            aim.settled(theory.descent.lr, recursion),
            theory.condition,
            theory.least_cost,
        )

    def _droppable(self) -> list[str]:
        """Features that others stand in for, or the one that adds least of its own."""
        problem = self.theory.problem
        dependent = [problem.features[j] for j in problem.fit.dependent]
        if dependent or len(problem.features) < 2:
            return dependent if len(dependent) < len(problem.features) else []
        worst = int(np.argmax(self.vif))
        return [problem.features[worst]] if self.vif[worst] > NEARLY_DEPENDENT else []

    def _affordable_ridge(self) -> float:
        """The largest ridge that moves the minimum no further than the tolerance allows; 0 for none.

        ``(A'A + weight ridge I) W = A't`` with the means off where there is a bias, which is not penalised; one
        eigendecomposition serves every ridge.
        """
        theory, problem = self.theory, self.theory.problem
        if problem.ridge or theory.decay or not theory.spectrum.rank:
            return 0.0
        d = len(problem.features)
        A, t = problem.quadratic.A, problem.quadratic.t
        columns, target = A[:, :d], t
        means = np.zeros(d + 1)
        if problem.bias:  # the first row of the triangle holds the means; below it everything is centred
            means = np.append(A[0, :d], t[0]) / A[0, d]
            columns, target = A[1:, :d], t[1:]
        eigenvalues, V = np.linalg.eigh(columns.T @ columns)
        right = V.T @ (columns.T @ target)

        def moved(ridge: float) -> Array:
            W = V @ (right / (np.maximum(eigenvalues, 0.0) + problem.weight * ridge))
            return np.append(W, means[d] - means[:d] @ W) if problem.bias else W

        largest = float(problem.spectrum("mean").largest) / 2
        low, high = math.log(largest * 1e-14), math.log(largest)
        if not theory.near(moved(math.exp(low)), self.within):
            return 0.0
        for _ in range(RIDGE_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if theory.near(moved(math.exp(middle)), self.within) else (low, middle)
        return math.exp(low)
