"""What each remedy buys, in numbers, all from the same factor: the bound, the best rate, the epochs it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from descentlab.descent.recursion import MomentumSettings, stability_limit
from descentlab.doctor.findings.data import MAX_VIF
from descentlab.messages import Message, format_rounded, message
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import NO_MOMENTUM, RateChoice, fastest_rate, heavy_ball_settings
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray

SUGGESTED_MOMENTUM = 0.9
MIN_MOMENTUM = 0.01  # a momentum that small is none
RIDGE_BISECTIONS = 40  # halvings on the way to the largest ridge that costs no more than asked
MEAN_OF_SUM = {"sum": "mean", "half_sum": "half_mean"}


@dataclass(frozen=True)
class Remedy:
    """One change to what was asked, and its price.

    Attributes:
        name: ``clear_gradients``, ``fastest_rate``, ``momentum``, ``tuned_momentum``, ``mean_for_sum``, ``center``,
            ``standardize``, ``drop`` or ``ridge``.
        title: the change in words.
        lr_bound: the largest stable rate with it.
        lr, momentum: the fastest for this start with it; ``lr_text`` is that rate to type in.
        epochs: how many epochs that takes to the tolerance of the cost; None where it never gets there.
        epochs_to_coefficients: how many it takes to that of every coefficient.
        epochs_at_lr: the epochs that the stated rate takes with it; None if it never converges.
        condition: largest over smallest positive curvature.
        least_cost: the mean squared error that descent then converges to.
    """

    name: str
    title: Message
    lr_bound: float
    lr: float | None
    lr_text: str | None
    momentum: float
    epochs: int | None
    epochs_to_coefficients: int | None
    epochs_at_lr: int | None
    condition: float
    least_cost: float


@dataclass(frozen=True, eq=False)
class RemedyEvaluator:
    """Makes remedies for one diagnosis: each changes one thing of what was asked.

    Attributes:
        theory: of the descent as asked.
        make_criterion: makes the criterion that the rates are chosen by, from a theory and the tolerance.
        within: the tolerance.
        start: (p,) in the data's units.
        vif: the features' variance inflation.
    """

    theory: FullBatchTheory
    make_criterion: Callable[[FullBatchTheory, float], ConvergenceCriterion]
    within: float
    start: FloatArray
    vif: FloatArray

    @property
    def momentum_settings(self) -> MomentumSettings:
        """The stated momentum; no momentum if no rate converges with it."""
        settings = self.theory.descent.momentum_settings
        return settings if settings["momentum"] < 1 else NO_MOMENTUM

    def evaluate(self, rates: Mapping[str, RateChoice]) -> tuple[Remedy, ...]:
        """All that apply, given the rates to use."""
        return tuple(self._make_remedies(rates))

    def _make_remedies(self, rates: Mapping[str, RateChoice]) -> Iterator[Remedy]:
        problem, descent, settings = self.theory.problem, self.theory.descent, self.momentum_settings
        if not descent.zero_grad:
            yield self._make_remedy("clear_gradients", message("remedy.clear_gradients"), self.theory, NO_MOMENTUM)
        best, pair = rates.get("own_momentum" if settings["momentum"] else "fastest"), rates.get("fastest_pair")
        yield self._make_remedy("fastest_rate", message("remedy.fastest_rate"), self.theory, settings, best)
        suggested = heavy_ball_settings(SUGGESTED_MOMENTUM)
        if settings != suggested:
            title = message("remedy.momentum", momentum=SUGGESTED_MOMENTUM)
            yield self._make_remedy("momentum", title, self.theory, suggested)
        if pair is not None and pair.momentum > MIN_MOMENTUM:
            title = message("remedy.tuned_momentum", momentum=pair.momentum_text)
            tuned = heavy_ball_settings(pair.momentum)
            yield self._make_remedy("tuned_momentum", title, self.theory, tuned, pair)
        if descent.reduction in MEAN_OF_SUM:
            mean = MEAN_OF_SUM[descent.reduction]
            yield self._with_problem(problem, "mean_for_sum", message("remedy.mean_for_sum", name=mean), reduction=mean)
        if problem.bias and not problem.center:
            yield self._with_problem(self.theory.problem.with_changes(center=True), "center", message("remedy.center"))
        if not problem.standardize:
            yield self._with_problem(
                self.theory.problem.with_changes(standardize=True), "standardize", message("remedy.standardize")
            )
        dropped = self._redundant_features()
        if dropped:
            remaining = [name for name in problem.features if name not in dropped]
            title = message("remedy.drop", names=[f"`{name}`" for name in dropped])
            remedy = self._with_problem(self.theory.problem.with_changes(features=remaining), "drop", title)
            if not problem.fit.dependent:  # something of its own goes with it
                title = message("remedy.at_cost", remedy=title, cost=format_rounded(remedy.least_cost))
            yield replace(remedy, title=title)
        ridge = self._largest_harmless_ridge()
        if ridge:
            title = message("remedy.ridge", ridge=f"{ridge:.3g}")
            yield self._with_problem(self.theory.problem.with_changes(ridge=ridge), "ridge", title)

    def _with_problem(self, problem: Problem, name: str, title: Message, reduction: str | None = None) -> Remedy:
        """A remedy that changes the problem or the reduction."""
        descent = self.theory.descent
        original = self.theory.problem  # whose start it is: of features in order, then the bias
        start_indices = [original.features.index(name) for name in problem.features] + [
            len(original.features)
        ] * problem.bias
        changed = replace(descent, start=self.start[start_indices], reduction=reduction or descent.reduction)
        theory = FullBatchTheory(problem, changed)
        return self._make_remedy(name, title, theory, self.momentum_settings)

    def _make_remedy(
        self,
        name: str,
        title: Message,
        theory: FullBatchTheory,
        momentum_settings: MomentumSettings,
        rate: RateChoice | None = None,
    ) -> Remedy:
        lambda_max, for_coefficients = theory.regularized_lambda_max, None
        criterion = self.make_criterion(theory, self.within)
        rate = rate or (fastest_rate(criterion, lambda_max, momentum_settings) if lambda_max > 0 else None)
        if rate is not None and rate.epochs is not None:
            for_coefficients = ConvergenceCriterion.for_coefficients(theory, self.within)
        return Remedy(
            name,
            title,
            stability_limit(**momentum_settings) / lambda_max if lambda_max > 0 else float("inf"),
            rate.lr if rate else None,
            rate.lr_text if rate else None,
            momentum_settings["momentum"],
            rate.epochs if rate else None,
            for_coefficients.epochs_to_tolerance(rate.lr, momentum_settings) if rate and for_coefficients else None,
            criterion.epochs_to_tolerance(theory.descent.lr, momentum_settings),
            theory.condition,
            theory.least_cost,
        )

    def _redundant_features(self) -> list[str]:
        """Features that others stand in for, or the one that adds least of its own."""
        problem = self.theory.problem
        dependent = [problem.features[j] for j in problem.fit.dependent]
        if dependent or len(problem.features) < 2:
            return dependent if len(dependent) < len(problem.features) else []
        worst = int(np.argmax(self.vif))
        return [problem.features[worst]] if self.vif[worst] > MAX_VIF else []

    def _largest_harmless_ridge(self) -> float:
        """The largest ridge that moves the minimum no further than the tolerance allows; 0 for none.

        ``(A'A + weight ridge I) W = A't`` with the means off where there is a bias, which is not penalized; one
        eigendecomposition serves every ridge.
        """
        theory, problem = self.theory, self.theory.problem
        if problem.ridge or theory.weight_decay or not theory.spectrum.rank:
            return 0.0
        d = len(problem.features)
        A, t = problem.quadratic.A, problem.quadratic.t
        columns, target = A[:, :d], t
        means = np.zeros(d + 1)
        if problem.bias:  # the first row of the triangle holds the means; below it everything is centered
            means = np.append(A[0, :d], t[0]) / A[0, d]
            columns, target = A[1:, :d], t[1:]
        eigenvalues, V = np.linalg.eigh(columns.T @ columns)
        projected_target = V.T @ (columns.T @ target)

        def minimum_at(ridge: float) -> FloatArray:
            W = V @ (projected_target / (np.maximum(eigenvalues, 0.0) + problem.weight * ridge))
            return np.append(W, means[d] - means[:d] @ W) if problem.bias else W

        max_ridge = float(problem.spectrum("mean").lambda_max) / 2
        low, high = math.log(max_ridge * 1e-14), math.log(max_ridge)
        if not theory.is_converged(minimum_at(math.exp(low)), self.within):
            return 0.0
        for _ in range(RIDGE_BISECTIONS):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if theory.is_converged(minimum_at(math.exp(middle)), self.within) else (low, middle)
            )
        return math.exp(low)
