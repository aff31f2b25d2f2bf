"""A question about observed numbers, and what an explanation of them has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.losses import ObservedLosses
from descentlab.doctor.observed.rounding import RoundingFloor
from descentlab.messages import Message, message
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FLOAT32_UNIT_ROUNDOFF, UNIT_ROUNDOFF, FloatArray

CostTransform = Callable[[FloatArray], FloatArray]

DEFAULT_ALTERNATIVES = 40  # explanations that an ordinary guess is one of
MAX_ROW_VISITS = 1_000_000  # rows that an explanation may visit

# What a loop may print of a mean squared error m over n rows.
_COST_FORMS: dict[str, Callable[[FloatArray, float], FloatArray]] = {
    "mean": lambda m, n: m,
    "half_mean": lambda m, n: m / 2,
    "sum": lambda m, n: m * n,
    "half_sum": lambda m, n: m * n / 2,
    "root": lambda m, n: np.sqrt(m),
    "root_of_sum": lambda m, n: np.sqrt(m * n),
    "mean_twice": lambda m, n: m / n,
    "half_mean_twice": lambda m, n: m / (2 * n),
}
COST_FORMS = tuple(_COST_FORMS)


def apply_cost_form(form: str, costs: FloatArray, weight: float) -> FloatArray:
    """What is printed in one of the :data:`COST_FORMS` of mean squared errors; inf beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _COST_FORMS[form](costs, weight)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One explanation and what it predicts.

    Attributes:
        name: the finding's.
        losses: (k,) what would be printed by :attr:`Seen.updates`.
        explanation, advice: the explanation in words, and its cure.
        evidence: its numbers.
        costs: (k,) the mean squared errors behind the losses.
        cost_transform: how those are printed as losses; None is the user's reduction, and another may be tried
            as well.
        n_alternatives: how many such explanations were to choose from.
        extra_tolerance: by how much more than its rounding a number may be off, in units of that, where losses were
            fitted.
        common_limit: a mean squared error that other such explanations come to as well, sooner or later; 0 is none.
        floor: what rounding leaves in such a loop; None is what it leaves in the one stated.
    """

    name: str
    losses: FloatArray
    explanation: Message
    advice: Message
    evidence: Mapping[str, object]
    costs: FloatArray
    cost_transform: CostTransform | None = None
    n_alternatives: int = DEFAULT_ALTERNATIVES
    extra_tolerance: float = 0.0
    common_limit: float = 0.0
    floor: RoundingFloor | None = None


@dataclass(frozen=True, eq=False)
class ObservedComparison:
    """A descent as stated, and what was observed of it."""

    problem: Problem
    descent: Descent
    observed: ObservedLosses

    @cached_property
    def theory(self) -> FullBatchTheory:
        return FullBatchTheory(self.problem, self.descent)

    @cached_property
    def params(self) -> FloatArray:
        """(k, p) of the descent as stated, after :attr:`Seen.updates`."""
        return simulation.simulate_descent(self.problem, self.descent, self.observed.updates)

    @cached_property
    def costs(self) -> FloatArray:
        """(k,) the mean squared errors there."""
        return self.compute_costs(self.params)

    @property
    def losses(self) -> FloatArray:
        """(k,) what the stated descent prints, in its own reduction."""
        return self.in_user_reduction(self.costs)

    @cached_property
    def float32_drift(self) -> FloatArray:
        """(k,) how far a float32 loop may be from them; see :mod:`descentlab.doctor.observed.losses`."""
        quadratic, t = self.problem.quadratic, self.observed.updates.astype(np.float64)
        c = gradient_scale(self.descent.reduction, self.problem.weight)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = c * (self.params @ quadratic.A.T - quadratic.t) @ quadratic.A
            parameter_drift = np.linalg.norm(self.params, axis=1) * np.linalg.norm(gradients, axis=1)
            least_cost = np.array(max(self.theory.least_cost - self.theory.least.error, 0.0))
            suboptimality = 4 * np.maximum(self.losses - self.in_user_reduction(least_cost), 0.0)
            drift: FloatArray = np.nan_to_num(FLOAT32_UNIT_ROUNDOFF * t * (parameter_drift + suboptimality), nan=np.inf)
        return drift

    @cached_property
    def floor(self) -> RoundingFloor:
        """What rounding leaves in a loop that does as stated."""
        return RoundingFloor.from_descent(self.problem, self.descent, self.observed.updates, self.params)

    def rounding_tolerance(self, unit: float) -> FloatArray:
        """(k,) how far rounding in a type of this unit may move the losses."""
        return self.floor.loss_tolerance(self.costs, unit, self.in_user_reduction)

    @cached_property
    def exact_offset(self) -> int | None:
        """The shift by which theory is what was seen to every digit; None if it is not."""
        return self.observed.find_exact_offset(self.losses, rounding_tolerance=self.rounding_tolerance(UNIT_ROUNDOFF))

    @cached_property
    def approximate_offset(self) -> int | None:
        """The shift by which theory is what was seen but for what float32 may do; None if it is not."""
        return self.observed.find_approximate_offset(
            self.losses, self.float32_drift, self.rounding_tolerance(FLOAT32_UNIT_ROUNDOFF)
        )

    @property
    def has_closed_form(self) -> bool:
        """Whether closed forms hold: full batch, one rate, gradients cleared."""
        return self.descent.has_closed_form and self.descent.zero_grad and self.descent.schedule is None

    def compute_costs(self, params: FloatArray) -> FloatArray:
        """(k,) mean squared errors; inf where the parameters have overflowed."""
        costs = self.problem.quadratic.cost(params)
        safe_costs: FloatArray = np.where(np.isnan(costs), np.inf, costs)
        return safe_costs

    def in_user_reduction(self, costs: FloatArray) -> FloatArray:
        """Mean squared errors in the user's reduction."""
        return apply_cost_form(self.descent.reduction, costs, self.problem.weight)

    def costs_with(self, **changes: Any) -> FloatArray:
        """(k,) the mean squared errors with some settings changed."""
        return self.compute_costs(
            simulation.simulate_descent(self.problem, replace(self.descent, **changes), self.observed.updates)
        )

    @property
    def is_cheap(self) -> bool:
        """Whether descents like it can be carried out a few times more."""
        return self.descent.has_closed_form or int(self.observed.updates[-1]) * self.problem.n <= MAX_ROW_VISITS

    @cached_property
    def residuals(self) -> FloatArray:
        """(k, n) of every row, by the parameters of the descent as stated."""
        rows, params = self.problem.scaled_rows(), self.params
        d = rows.X.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            residuals: FloatArray = params[:, :d] @ rows.X.T + (params[:, d:] if self.problem.bias else 0.0) - rows.y
        return residuals

    @property
    def has_residuals(self) -> bool:
        """Whether there are rows, and few enough of them."""
        return self.problem.has_rows and len(self.observed.updates) * self.problem.n <= 10 * MAX_ROW_VISITS

    def make_hypothesis(
        self,
        name: str,
        costs: FloatArray,
        explanation: Message,
        *,
        advice: Message | None = None,
        cost_transform: CostTransform | None = None,
        n_alternatives: int = DEFAULT_ALTERNATIVES,
        extra_tolerance: float = 0.0,
        common_limit: float = 0.0,
        floor: RoundingFloor | None = None,
        **evidence: object,
    ) -> Hypothesis:
        """A hypothesis whose loop prints these mean squared errors (k,) in the user's reduction.

        Its advice is that of its name unless another is given.
        """
        advice = advice or message(f"advice.{name}")
        losses = self.in_user_reduction(costs)
        fit = (cost_transform, n_alternatives, extra_tolerance, common_limit, floor)
        return Hypothesis(name, losses, explanation, advice, evidence, costs, *fit)

    def linear_bug_costs(self, **bug: Any) -> FloatArray:
        """(k,) the mean squared errors of a loop with a linear mistake; see :func:`simulate_linear_bug`."""
        arguments: dict[str, Any] = {"problem": self.problem, "descent": self.descent} | bug
        return self.compute_costs(simulation.simulate_linear_bug(updates=self.observed.updates, **arguments))

    def matches(self, hypothesis: Hypothesis, form: str, n_forms: int, unit: float) -> bool:
        """Whether a hypothesis, printed in this form, reproduces every number, and not by chance."""
        cost_transform = hypothesis.cost_transform or (lambda costs: apply_cost_form(form, costs, self.problem.weight))
        losses = hypothesis.losses if form == self.descent.reduction else cost_transform(hypothesis.costs)
        tolerance = (hypothesis.floor or self.floor).loss_tolerance(hypothesis.costs, unit, cost_transform)
        offset = self.observed.find_exact_offset(losses, hypothesis.extra_tolerance, tolerance)
        if offset is None:
            return False
        distances = np.abs(
            self.observed.losses.values
            - (float(cost_transform(np.array(hypothesis.common_limit))) if hypothesis.common_limit else 0.0)
        )
        if (
            self.approximate_offset is not None
        ):  # then a cause has to tell itself from what rounding makes of no mistake
            distances = np.minimum(
                distances,
                np.abs(
                    self.observed.losses.values - self.observed.predictions_at(self.losses, self.approximate_offset)
                ),
            )
        return self.observed.is_significant(
            hypothesis.n_alternatives * n_forms, self.observed.predictions_at(tolerance, offset), distances
        )


def cost_form_message(form: str) -> Message:
    """A way to print a cost, in words."""
    return message(f"printed.{form}")
