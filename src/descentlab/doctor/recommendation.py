"""The best of the remedies as settings: what to change, and what that predicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from descentlab.descent.recursion import MomentumSettings
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.remedies import Remedy
from descentlab.doctor.run_context import RunContext
from descentlab.theory.learning_rates import NO_MOMENTUM, heavy_ball_settings, recommended_rates, shortest_repr
from descentlab.theory.settling_time import ConvergenceCriterion

SCALING_REMEDIES = ("center", "standardize")
MOMENTUM_REMEDIES = ("momentum", "tuned_momentum")
EpochCounts = tuple[int | None, int | None]  # to the cost, and to the coefficients; None for never
PLAIN_SGD: Mapping[str, object] = {"optimizer": "SGD", "options": {}, "schedule": None, "zero_grad": True}
MANY_EPOCHS = 10_000  # from which on a momentum is also searched for that suits the coefficients
MIN_SPEEDUP = 2.0  # a change that saves less than half of the epochs is not recommended


@dataclass(frozen=True)
class Recommendation:
    """The change that takes the cost and every coefficient to the tolerance in the fewest epochs.

    A change of fewer settings is preferred where it takes less than twice as many.

    Attributes:
        remedy: the name of the :class:`~descentlab.doctor.remedies.Remedy`; ``more_epochs``,
            ``constant_rate`` or ``clear_gradients`` if the rate stays.
        settings: the keywords of a problem and of a descent that change, with their values.
        epochs_to_tolerance, epochs_to_coefficients: the number of updates after which the cost, and every coefficient,
            stays within the tolerance; None for never.
        rate_only: what changing only the rate does, where something else is recommended.

    >>> import descentlab as dl
    >>> problem = dl.Problem([2104.0, 1600.0, 2400.0, 1416.0], [399.9, 329.9, 369.0, 232.0])
    >>> recommendation = dl.diagnose(problem, lr=0.1).recommendation
    >>> recommendation.settings
    {'standardize': True, 'lr': 0.5}
    >>> dl.descend(problem.with_changes(standardize=True), lr=0.5).ending.coefficients_converged
    True
    """

    remedy: str
    settings: Mapping[str, object]
    epochs_to_tolerance: int | None
    epochs_to_coefficients: int | None
    rate_only: Recommendation | None = None

    def to_dict(self) -> dict[str, Any]:
        """The settings and the epochs, as JSON types."""
        return {name: value for name, value in vars(self).items() if name != "rate_only"}

    def text_of(self, name: str) -> str:
        """A setting with all of its digits, since a rate that is rounded may be above the bound; "" if it stays."""
        value = self.settings.get(name, "")
        return shortest_repr(value) if isinstance(value, float) else str(value)

    @property
    def needed(self) -> int:
        """The epochs to both; to the cost if not every coefficient is reached."""
        return max(self.epochs_to_tolerance or 0, self.epochs_to_coefficients or 0)

    @property
    def epochs(self) -> float:
        """The epochs to both; inf for never."""
        counts = self.epochs_to_tolerance, self.epochs_to_coefficients
        return max(math.inf if count is None else count for count in counts)


def make_recommendation(context: RunContext, remedies: Sequence[Remedy]) -> Recommendation | None:
    """What to change; None where nothing is known to help, or where a descent that is fine would not be much faster."""
    forecast = context.forecast
    if forecast.verdict is Verdict.UNKNOWN:
        return None
    usable = [each for each in remedies if _keeps_minimum(context, each)]
    candidates = [*_with_the_same_rate(context), *(_from_remedy(context, each) for each in usable)]
    reached = [each for each in candidates if each.epochs_to_tolerance is not None]
    if not reached:
        return None
    if min(reached, key=_cost_in_epochs).needed > MANY_EPOCHS:
        reached += _with_momentum_for_coefficients(context)
    best = _choose(reached, context.theory.descent.epochs)
    if forecast.verdict.converges and not context.misses_coefficients:
        own_epochs = max(forecast.epochs_to_tolerance or 0, forecast.epochs_to_coefficients or 0)
        return best if best.needed * MIN_SPEEDUP <= own_epochs else None
    is_plain = context.theory.descent.is_sgd and context.theory.descent.schedule is None
    rate_only = next((each for each in reached if each.remedy == "fastest_rate" and is_plain), None)
    best = _recount(context, best)
    if rate_only is None or _is_simple(best) or context.own_best_rate is None:
        return best
    return replace(best, rate_only=_recount(context, rate_only))


def _recount(context: RunContext, recommendation: Recommendation) -> Recommendation:
    """The same with the epochs at the rate and momentum that are printed, which are rounded."""
    settings, descent = recommendation.settings, context.theory.descent
    if "lr" not in settings:
        return recommendation
    scaling = {name: True for name in SCALING_REMEDIES if name in settings}
    theory = (
        replace(context.theory, problem=context.theory.problem.with_changes(**scaling)) if scaling else context.theory
    )
    of_descent: dict[str, Any] = {name: value for name, value in settings.items() if hasattr(descent, name)}
    changed = replace(descent, **of_descent)
    counts = _count_epochs(replace(context, theory=theory), changed.lr, changed.momentum_settings)
    needed = max(count or 0 for count in counts)
    epochs = {"epochs": needed} if needed > descent.epochs else {}
    settings = {name: value for name, value in settings.items() if name != "epochs"} | epochs
    return replace(recommendation, settings=settings, epochs_to_tolerance=counts[0], epochs_to_coefficients=counts[1])


def _choose(candidates: Sequence[Recommendation], epochs: int) -> Recommendation:
    """The one with the fewest epochs; or one of fewer changes that takes less than twice as many, or, at the rate asked
    for, no more than were asked for.
    """
    best = min(candidates, key=_cost_in_epochs)
    for each in candidates:
        reaches_as_much = each.epochs < math.inf or best.epochs == math.inf
        enough = max(MIN_SPEEDUP * max(best.needed, 1), epochs if "lr" not in each.settings else 0)
        if _is_simple(each) and reaches_as_much and each.needed <= enough:
            return each
    return best


def _cost_in_epochs(recommendation: Recommendation) -> tuple[float, int]:
    """The epochs to both, or, of those that never reach every coefficient, to the cost."""
    return recommendation.epochs, recommendation.needed


def _is_simple(recommendation: Recommendation) -> bool:
    return recommendation.remedy not in (*SCALING_REMEDIES, *MOMENTUM_REMEDIES)


def _keeps_minimum(context: RunContext, remedy: Remedy) -> bool:
    """Whether a remedy changes nothing about where descent goes, and reaches it."""
    names = ("fastest_rate", *MOMENTUM_REMEDIES, *SCALING_REMEDIES * (not context.theory.is_regularized))
    return remedy.name in names and remedy.lr_text is not None


def _with_the_same_rate(context: RunContext) -> list[Recommendation]:
    """More epochs, a constant rate, or zero_grad, at the rate asked for."""
    forecast, descent = context.forecast, context.theory.descent
    if not descent.is_sgd:
        return []
    if descent.zero_grad and descent.schedule is None:
        counts = forecast.epochs_to_tolerance, forecast.epochs_to_coefficients
        return [_recommend(context, "more_epochs", {}, counts)]
    settings: dict[str, object] = {"schedule": None, "zero_grad": True}
    momentum_settings = descent.momentum_settings
    if not descent.zero_grad or momentum_settings["momentum"] >= 1:
        momentum_settings = NO_MOMENTUM
        settings |= NO_MOMENTUM
    remedy = "constant_rate" if descent.zero_grad else "clear_gradients"
    return [_recommend(context, remedy, settings, _count_epochs(context, descent.lr, momentum_settings))]


def _count_epochs(context: RunContext, lr: float, momentum_settings: MomentumSettings) -> EpochCounts:
    """The epochs to the cost and to the coefficients at another rate and momentum."""
    for_cost = ConvergenceCriterion.from_theory(context.theory, context.within)
    for_coefficients = ConvergenceCriterion.for_coefficients(context.theory, context.within)
    return (
        for_cost.epochs_to_tolerance(lr, momentum_settings),
        for_coefficients.epochs_to_tolerance(lr, momentum_settings),
    )


def _with_momentum_for_coefficients(context: RunContext) -> list[Recommendation]:
    """The rate and momentum that are fastest for the coefficients; those of the remedies are fastest for the cost."""
    for_coefficients = ConvergenceCriterion.for_coefficients(context.theory, context.within)
    pair = recommended_rates(context.theory, for_coefficients).get("fastest_pair")
    if pair is None or pair.epochs is None:
        return []
    lr, settings = float(pair.lr_text), heavy_ball_settings(float(pair.momentum_text))
    changed: dict[str, object] = {**PLAIN_SGD, **settings, "lr": lr}
    return [_recommend(context, "tuned_momentum", changed, _count_epochs(context, lr, settings))]


def _from_remedy(context: RunContext, remedy: Remedy) -> Recommendation:
    pair, momentum = context.rates.get("fastest_pair"), remedy.momentum
    if remedy.name == "tuned_momentum" and pair is not None:
        momentum = float(pair.momentum_text)
    settings: dict[str, object] = {**PLAIN_SGD, "lr": float(remedy.lr_text or 0), "momentum": momentum}
    if remedy.name in MOMENTUM_REMEDIES or momentum != context.theory.descent.momentum:
        settings |= {"dampening": 0.0, "nesterov": False}
    if remedy.name in SCALING_REMEDIES:
        settings = {remedy.name: True} | settings
    if not context.theory.descent.is_sgd:
        settings["weight_decay"] = 0.0  # other optimizers have other rules for it
    return _recommend(context, remedy.name, settings, (remedy.epochs, remedy.epochs_to_coefficients))


def _recommend(context: RunContext, remedy: str, settings: Mapping[str, object], counts: EpochCounts) -> Recommendation:
    """With those of the settings that differ from the ones asked for, and with epochs that suffice."""
    descent = context.theory.descent
    needed = max(count or 0 for count in counts)
    changed = {
        name: value
        for name, value in {**settings, "epochs": max(needed, descent.epochs)}.items()
        if getattr(descent, name, None) != value
    }
    return Recommendation(remedy, changed, *counts)
