"""What full-batch theory says of one descent on one problem: where it goes, how fast, and up to which rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from descentlab.descent import recursion
from descentlab.descent.reductions import gradient_scale
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.messages import format_distinct
from descentlab.typing import UNIT_ROUNDOFF, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem
    from descentlab.problem.spectrum import Spectrum


DEFAULT_WITHIN = 0.01  # "at the minimum": within 1 % of its cost, or of every coefficient where it fits exactly
STANDARDIZE_ADVICE_RATIO = 100  # times less condition, from which on standardizing is worth a word
ZERO_RESIDUAL_ULPS = 32  # units of rounding that a residual may be along a direction and still be none
EXACT_FIT_RTOL = 1e-10  # the root mean square residual, relative to the target's spread, below which a fit is exact


class DominantMode(NamedTuple):
    """The direction whose error grows fastest, or shrinks slowest.

    Attributes:
        factor: what an epoch multiplies its error by.
        one_minus_factor: 1 - factor where the factor is near 1, with digits of its own.
        column: the parameter that weighs most in it.
        direction: which direction of the spectrum it is.
    """

    factor: float
    one_minus_factor: float
    column: str
    direction: int = 0

    @property
    def factor_text(self) -> str:
        """The factor with the digits that tell it from 1, such as ``1 - 6.4e-08``."""
        below_minus_one = -self.factor - 1
        if 0 < abs(below_minus_one) < 1e-4:
            return f"-(1 {'+' if below_minus_one > 0 else '-'} {abs(below_minus_one):.2g})"
        if abs(self.one_minus_factor) > 1e-4 or self.one_minus_factor == 0:
            return format_distinct(self.factor, math.copysign(1, self.factor))
        return f"1 {'-' if self.one_minus_factor > 0 else '+'} {abs(self.one_minus_factor):.2g}"


@dataclass(frozen=True, eq=False)
class FullBatchTheory:
    """Bound, growth, and distance to the point that descent is bound for. Parameters are the descended ones.

    Attributes:
        problem, descent: what is to be told.
        lr: the rate to tell it for; None is the descent's own.
    """

    problem: Problem
    descent: Descent
    lr: float | None = None

    @cached_property
    def spectrum(self) -> Spectrum:
        return self.problem.spectrum(self.descent.reduction)

    @cached_property
    def weight_decay(self) -> float:
        """The weight decay that SGD adds to every curvature; other optimizers have their own rules."""
        return self.descent.weight_decay if self.descent.is_sgd else 0.0

    @cached_property
    def cost_scale(self) -> float:
        """The cost descended on, as a multiple of the mean squared error: 1, 1/2, n or n/2 by the reduction."""
        return gradient_scale(self.descent.reduction, self.problem.weight) * self.problem.weight / 2

    @property
    def regularized_lambda_max(self) -> float:
        """The greatest curvature, weight decay included; 0 where nothing curves."""
        return self.spectrum.lambda_max + self.weight_decay

    @property
    def regularized_lambda_min(self) -> float:
        """The least curvature of directions that the data has, or the start an error in; weight decay included."""
        has_undetermined_error = self.weight_decay > 0 and bool((self.initial_error[self.spectrum.rank :] != 0).any())
        return self.weight_decay if has_undetermined_error else self.spectrum.lambda_min + self.weight_decay

    @property
    def condition(self) -> float:
        """Greatest over least of these curvatures; 1 where nothing curves."""
        if self.regularized_lambda_max == 0:
            return 1.0
        return (
            self.regularized_lambda_max / self.regularized_lambda_min
            if self.regularized_lambda_min > 0
            else float("inf")
        )

    @cached_property
    def accumulated_gradient_factor(self) -> float:
        """The greatest factor of an epoch where gradients add up beside momentum or weight decay; 0 for others."""
        descent = self.descent
        if descent.zero_grad or descent.has_closed_form or not descent.is_sgd or descent.schedule or descent.batch_size:
            return 0.0
        curved = self.spectrum.eigenvalues > 0
        momentum_settings: recursion.MomentumSettings = {**descent.momentum_settings, "momentum": descent.momentum}
        return recursion.accumulated_gradient_factor(
            descent.lr, self.spectrum.eigenvalues[curved], self.weight_decay, momentum_settings
        )

    @property
    def is_exact(self) -> bool:
        """Whether theory can speak of this descent: gradients that add up beside other settings are beyond it."""
        return self.descent.has_closed_form or self.descent.zero_grad

    @property
    def lr_bound(self) -> float:
        """The learning rate above which this descent diverges, in its own convention; inf where none does.

        A batch's sum has fewer rows than the whole sum, so its average step curves less by that part.
        """
        batch_fraction = 1.0
        if self.descent.batch_size is not None and self.descent.reduction in ("sum", "half_sum"):
            batch_fraction = min(1.0, self.descent.batch_size / self.problem.n)
        curvature = batch_fraction * self.spectrum.lambda_max + self.weight_decay
        return self.descent.stability_limit() / curvature if curvature > 0 else float("inf")

    @property
    def standardized_lr_bound(self) -> float | None:
        """The bound on standardized columns, where they would descend far faster; None where it is not that."""
        if self.problem.standardize:
            return None
        standardized = FullBatchTheory(self.problem.with_changes(standardize=True), self.descent)
        return standardized.lr_bound if standardized.condition * STANDARDIZE_ADVICE_RATIO <= self.condition else None

    @cached_property
    def convergence_factors(self) -> FloatArray:
        """(p,) what one epoch multiplies the error by in each direction; 1 where nothing pulls."""
        return np.where(
            self._lr_times_curvature > 0,
            recursion.convergence_factor(self._lr_times_curvature, **self.descent.momentum_settings),
            1.0,
        )

    @property
    def _lr_times_curvature(self) -> FloatArray:
        lr = self.descent.lr if self.lr is None else self.lr
        return lr * self.regularized_eigenvalues

    @property
    def dominant_mode(self) -> DominantMode:
        """The worst direction among those with an error that anything pulls at, or, where none has, among all."""
        active = np.flatnonzero((self._lr_times_curvature > 0) & (self.initial_error != 0))
        active = active if active.size else np.flatnonzero(self._lr_times_curvature > 0)
        if not active.size:
            return DominantMode(1.0, 0.0, self.problem.parameters[0])
        # Of equal factors the last: the flattest direction, where several are 1 to every digit.
        i = int(active[::-1][np.argmax(np.abs(self.convergence_factors[active[::-1]]))])
        one_minus_factor = float(
            recursion.one_minus_convergence_factor(
                self._lr_times_curvature[i : i + 1], **self.descent.momentum_settings
            )[0]
        )
        return DominantMode(
            float(self.convergence_factors[i]), one_minus_factor, self.spectrum.dominant_parameter(i), i
        )

    @cached_property
    def residual_polynomial(self) -> ResidualPolynomial:
        """What any number of updates makes of the error in each of the p directions."""
        return ResidualPolynomial.from_lr_times_curvature(self._lr_times_curvature, **self.descent.momentum_settings)

    @property
    def unstable(self) -> bool:
        """Whether this rate makes an error in some direction grow without end, if there is one."""
        has_constant_factors = self.descent.has_closed_form and self.descent.schedule is None
        return has_constant_factors and bool(
            (self.residual_polynomial.diverges & (self.regularized_eigenvalues > 0)).any()
        )

    @property
    def diverges(self) -> bool:
        """Whether this rate makes an error that this start has grow without end."""
        return self.unstable and bool((self.residual_polynomial.diverges & (self.initial_error != 0)).any())

    def params_at(self, updates: IntArray) -> FloatArray:
        """(k, p) the descended parameters after these many updates."""
        h = self.residual_polynomial.evaluate(np.asarray(updates)[:, None])
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.where(self.initial_error == 0, 0.0, h * self.initial_error)
            params: FloatArray = self.limit_point + error @ self.spectrum.directions.T
        return params

    def cost_at(self, updates: IntArray) -> FloatArray:
        """(k,) the mean squared error after these many updates; inf beyond float64's range."""
        cost = self.problem.quadratic.cost(self.params_at(updates))
        return np.where(np.isnan(cost), np.inf, cost)

    @cached_property
    def regularized_eigenvalues(self) -> FloatArray:
        """(p,) what pulls in each direction: the eigenvalue and the weight decay."""
        eigenvalues: FloatArray = self.spectrum.eigenvalues + self.weight_decay
        return eigenvalues

    @cached_property
    def initial_error(self) -> FloatArray:
        """(p,) start minus destination along each direction; 0 where nothing pulls.

        From the gradient at the start, not from a difference of points, so that each direction keeps its own digits.
        What is no more than the rounding of the target is 0.
        """
        return self._error_from(self.problem.scaled_params(self.descent.start))

    def _error_from(self, start: FloatArray) -> FloatArray:
        quadratic, svd = self.problem.quadratic, self.problem.quadratic.svd
        c = gradient_scale(self.descent.reduction, self.problem.weight)
        with np.errstate(over="ignore", invalid="ignore"):
            regularized_gradient = self.weight_decay * (svd.V.T @ start)
            predicted, target = quadratic.augmented @ start, quadratic.augmented_target
            residuals = svd.U.T @ (predicted - target)
            zero_threshold = ZERO_RESIDUAL_ULPS * UNIT_ROUNDOFF * (np.linalg.norm(predicted) + np.linalg.norm(target))
            regularized_gradient[: svd.rank] += (
                c * svd.s * np.where(np.abs(residuals) <= zero_threshold, 0.0, residuals)
            )
            return np.where(
                self.regularized_eigenvalues > 0,
                regularized_gradient / np.where(self.regularized_eigenvalues > 0, self.regularized_eigenvalues, 1.0),
                0.0,
            )

    @cached_property
    def limit_point(self) -> FloatArray:
        """(p,) the point that descent from its start is bound for: the nearest minimum, moved by weight decay.

        Only where nothing pulls does it rest on the start, so it is found from there or from zero: from whichever is
        nearer, since the way from a far start takes the digits with it.
        """
        start, V = self.problem.scaled_params(self.descent.start), self.spectrum.directions
        from_zero = self._error_from(np.zeros_like(start))
        if np.abs(self.initial_error).max() <= np.abs(from_zero).max():
            return np.asarray(start - V @ self.initial_error)
        return np.asarray(V @ np.where(self.regularized_eigenvalues > 0, -from_zero, V.T @ start))

    @cached_property
    def least_cost(self) -> float:
        """The mean squared error at the destination."""
        return float(self.problem.quadratic.cost(self.limit_point)) if self.is_regularized else self.problem.fit.cost

    @cached_property
    def is_regularized(self) -> bool:
        """Whether ridge or weight decay keeps the destination away from the least mean squared error."""
        return self.problem.ridge > 0 or self.weight_decay > 0

    @cached_property
    def least_objective(self) -> float:
        """Mean squared error, ridge and weight decay's part at the destination, in units of the mean squared error."""
        if not self.is_regularized:
            return self.least_cost
        limit_point = self.limit_point
        return float(self.problem.quadratic.objective(limit_point)) + self.weight_decay * float(
            limit_point @ limit_point
        ) / (2 * self.cost_scale)

    @cached_property
    def fits_exactly(self) -> bool:
        """Whether nothing but rounding is left of the residuals at the destination."""
        factor, quadratic = self.problem.factor, self.problem.quadratic
        spread = factor.std[-1] if self.problem.bias else np.hypot(factor.std, factor.means)[-1]
        terms = np.linalg.norm(np.abs(quadratic.A) @ np.abs(self.limit_point)) + np.linalg.norm(quadratic.t)
        rounding = max(factor.column_error[-1], UNIT_ROUNDOFF * float(terms)) / np.sqrt(factor.weight)
        return bool(np.sqrt(self.least_cost) <= max(EXACT_FIT_RTOL * spread, 4 * rounding))

    def suboptimality(self, params: FloatArray) -> float:
        """How far the objective is above its value at the destination, in units of the mean squared error.

        From the distance, not from a difference of costs, so that it keeps its digits near zero; inf where the
        parameters, or the excess, have left the range of float64.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            error = self.spectrum.directions.T @ (params - self.limit_point)
            suboptimality = float(np.sum(self.regularized_eigenvalues * error**2) / (2 * self.cost_scale))
        return suboptimality if suboptimality == suboptimality else np.inf

    def is_converged(self, params: FloatArray, within: float = DEFAULT_WITHIN) -> BoolArray:
        """(...) whether parameters (..., p) are at the destination: within 1 % of its objective, mostly its cost.

        Where it fits exactly, within 1 % in every coefficient, 1 % of the largest for one that is about 0; along
        directions that the data determines, since others change no cost.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            error = (params - self.limit_point) @ self.spectrum.directions
            if not self.fits_exactly:
                suboptimality = (error * error) @ self.regularized_eigenvalues / (2 * self.cost_scale)
                converged: BoolArray = suboptimality <= within * self.least_objective
            else:
                determined_error = np.where(self.regularized_eigenvalues > 0, error, 0.0) @ self.spectrum.directions.T
                coefficient_errors = np.abs(self.problem.scaling.to_original(determined_error))
                converged = np.all(coefficient_errors <= within * self.parameter_scales, axis=-1)
        return converged

    @cached_property
    def parameter_scales(self) -> FloatArray:
        """(p,) what each coefficient's error is measured against: its size at the destination, in the data's units.

        For one that is about 0, the size of the largest; where all of them are 0, that of the largest at the start.
        """
        to_original = self.problem.scaling.to_original
        magnitudes = np.abs(to_original(self.limit_point))
        max_magnitude = float(magnitudes.max(initial=0.0))
        if max_magnitude == 0:
            return np.full_like(
                magnitudes, np.abs(to_original(self.problem.scaled_params(self.descent.start))).max(initial=0.0)
            )
        return np.where(magnitudes > 1e-6 * max_magnitude, magnitudes, max_magnitude)
