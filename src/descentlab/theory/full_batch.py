"""Full-batch theory of one descent on one problem: its limit point, how fast it gets there, and the stability bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from descentlab.descent import recursion
from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.messages import format_distinct
from descentlab.problem.minimum import MAX_CERTAIN_DIGITS, format_to_certain_digits
from descentlab.problem.problem import Problem
from descentlab.problem.spectrum import Spectrum
from descentlab.theory.least_cost import LeastCost
from descentlab.typing import UNIT_ROUNDOFF, BoolArray, FloatArray, IntArray

DEFAULT_WITHIN = 0.01  # "converged": within 1% of the least cost, and of every coefficient
STANDARDIZE_ADVICE_RATIO = 100  # how much smaller the condition number must be to recommend standardizing
ZERO_RESIDUAL_ULPS = 32  # a residual along a direction of at most this many units of rounding counts as 0
DESCENDED_COLUMN_ULPS = 4  # roundings of a column on its way from the factor to the descended coordinates
EXACT_FIT_RTOL = 1e-10  # the root mean square residual, relative to the target's spread, below which a fit is exact


class DominantMode(NamedTuple):
    """The direction whose error grows fastest, or shrinks slowest.

    Attributes:
        factor: the convergence factor: an epoch multiplies the error by it.
        one_minus_factor: 1 - factor without cancellation.
        column: the parameter with the largest entry in the direction.
        direction: its index in the spectrum.
    """

    factor: float
    one_minus_factor: float
    column: str
    direction: int = 0

    @property
    def factor_text(self) -> str:
        """The factor with the digits that distinguish it from 1, such as ``1 - 6.4e-08``."""
        below_minus_one = -self.factor - 1
        if 0 < abs(below_minus_one) < 1e-4:
            return f"-(1 {'+' if below_minus_one > 0 else '-'} {abs(below_minus_one):.2g})"
        if abs(self.one_minus_factor) > 1e-4 or self.one_minus_factor == 0:
            return format_distinct(self.factor, math.copysign(1, self.factor))
        return f"1 {'-' if self.one_minus_factor > 0 else '+'} {abs(self.one_minus_factor):.2g}"


@dataclass(frozen=True, eq=False)
class FullBatchTheory:
    """The exact theory of full-batch SGD on a quadratic. Parameters are scaled ones.

    With H = V diag(lambda) V' the Hessian, a = lambda + weight decay, and p* the limit point, the error in each
    direction evolves by itself (:mod:`descentlab.descent.residual_polynomial`):

        e_0 = V'(p_0 - p*),        p_t = p* + V (h(lr a, t) e_0)

    For mini-batches the bound is that of the average step. Another rate is ``replace(theory, descent=replace(descent,
    lr=lr))``.

    Attributes:
        problem, descent: what the theory is about.

    >>> import numpy as np, descentlab as dl
    >>> problem, descent = dl.Problem([[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0]), dl.Descent(lr=0.05, epochs=21)
    >>> theory = FullBatchTheory(problem, descent)
    >>> bool(np.allclose(theory.params_at(np.arange(21)), dl.descend(problem, descent).history.params))
    True
    """

    problem: Problem
    descent: Descent

    @cached_property
    def spectrum(self) -> Spectrum:
        return self.problem.spectrum(self.descent.reduction)

    @cached_property
    def weight_decay(self) -> float:
        """The weight decay that SGD adds to every eigenvalue; other optimizers have their own rules."""
        return self.descent.weight_decay if self.descent.is_sgd else 0.0

    @cached_property
    def cost_scale(self) -> float:
        """The reduction's cost over the mean squared error: 1, 1/2, n or n/2."""
        return gradient_scale(self.descent.reduction, self.problem.weight) * self.problem.weight / 2

    @property
    def regularized_lambda_max(self) -> float:
        """The largest eigenvalue, weight decay included."""
        return self.spectrum.lambda_max + self.weight_decay

    @property
    def regularized_lambda_min(self) -> float:
        """The least positive eigenvalue, weight decay included; weight decay if the start errs in a flat direction."""
        has_undetermined_error = self.weight_decay > 0 and bool((self.initial_error[self.spectrum.rank :] != 0).any())
        return self.weight_decay if has_undetermined_error else self.spectrum.lambda_min + self.weight_decay

    @property
    def condition(self) -> float:
        """The ratio of these eigenvalues; 1 if both are 0."""
        largest, smallest = self.regularized_lambda_max, self.regularized_lambda_min
        if largest == 0:
            return 1.0
        return largest / smallest if smallest > 0 else float("inf")

    @cached_property
    def accumulated_gradient_factor(self) -> float:
        """The largest factor of an epoch if gradients accumulate together with momentum or weight decay; else 0."""
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
        """Whether theory covers this descent: not if gradients accumulate together with momentum or weight decay."""
        return self.descent.has_closed_form or self.descent.zero_grad

    @property
    def knows_limit(self) -> bool:
        """Whether :attr:`limit_point` is where this descent converges to: the rules of other optimizers' weight decay
        differ.
        """
        return self.is_exact and (self.descent.is_sgd or not self.descent.weight_decay)

    @property
    def lr_bound(self) -> float:
        """The learning rate above which this descent diverges, in its own reduction; inf if there is none.

        The sum over a batch is on average ``batch_size / n`` of the whole sum, and so is its curvature.
        """
        batch_fraction = 1.0
        if self.descent.batch_size is not None and self.descent.reduction in ("sum", "half_sum"):
            batch_fraction = min(1.0, self.descent.batch_size / self.problem.n)
        curvature = batch_fraction * self.spectrum.lambda_max + self.weight_decay
        limit = recursion.stability_limit(**self.descent.momentum_settings)
        return limit / curvature if curvature > 0 else float("inf")

    @property
    def standardized_lr_bound(self) -> float | None:
        """The bound on standardized columns if these converge far faster, else None."""
        if self.problem.standardize:
            return None
        standardized = FullBatchTheory(self.problem.with_changes(standardize=True), self.descent)
        return standardized.lr_bound if standardized.condition * STANDARDIZE_ADVICE_RATIO <= self.condition else None

    @cached_property
    def convergence_factors(self) -> FloatArray:
        """(p,) by how much one epoch multiplies the error in each direction; 1 in flat directions."""
        x = self._lr_times_curvature
        return np.where(x > 0, recursion.convergence_factor(x, **self.descent.momentum_settings), 1.0)

    @property
    def _lr_times_curvature(self) -> FloatArray:
        return self.descent.lr * self.regularized_eigenvalues

    @property
    def dominant_mode(self) -> DominantMode:
        """The slowest direction among the curved ones with an initial error, or, if none has one, among all."""
        x = self._lr_times_curvature
        active = np.flatnonzero((x > 0) & (self.initial_error != 0))
        active = active if active.size else np.flatnonzero(x > 0)
        if not active.size:
            return DominantMode(1.0, 0.0, self.problem.parameters[0])
        # Of equal factors the last: the flattest direction if several are 1 to every digit.
        i = int(active[::-1][np.argmax(np.abs(self.convergence_factors[active[::-1]]))])
        gap = float(recursion.one_minus_convergence_factor(x[i : i + 1], **self.descent.momentum_settings)[0])
        return DominantMode(float(self.convergence_factors[i]), gap, self.spectrum.dominant_parameter(i), i)

    @cached_property
    def residual_polynomial(self) -> ResidualPolynomial:
        """The residual polynomial of each of the p directions."""
        return ResidualPolynomial.from_lr_times_curvature(self._lr_times_curvature, **self.descent.momentum_settings)

    @property
    def unstable(self) -> bool:
        """Whether an error in some curved direction would grow without bound at this rate."""
        if not self.descent.has_closed_form or self.descent.schedule is not None:
            return False
        return bool((self.residual_polynomial.diverges & (self.regularized_eigenvalues > 0)).any())

    @property
    def diverges(self) -> bool:
        """Whether the error of this start grows without bound at this rate."""
        return self.unstable and bool((self.residual_polynomial.diverges & (self.initial_error != 0)).any())

    def params_at(self, updates: IntArray) -> FloatArray:
        """(k, p) parameters after each of (k,) numbers of updates."""
        h = self.residual_polynomial.evaluate(np.asarray(updates)[:, None])
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.where(self.initial_error == 0, 0.0, h * self.initial_error)
            params: FloatArray = self.limit_point + error @ self.spectrum.directions.T
        return params

    def cost_at(self, updates: IntArray) -> FloatArray:
        """(k,) mean squared error after each of (k,) numbers of updates; inf beyond float64's range."""
        cost = self.problem.quadratic.cost(self.params_at(updates))
        return np.where(np.isnan(cost), np.inf, cost)

    @cached_property
    def regularized_eigenvalues(self) -> FloatArray:
        """(p,) eigenvalue plus weight decay of each direction."""
        eigenvalues: FloatArray = self.spectrum.eigenvalues + self.weight_decay
        return eigenvalues

    @cached_property
    def initial_error(self) -> FloatArray:
        """(p,) e_0, the start minus the limit point along each direction; 0 in flat directions.

        It is the gradient at the start over the eigenvalue, not a difference of points, so that each direction keeps
        its own digits. Errors within the rounding of the target are set to 0.
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
            residuals[np.abs(residuals) <= zero_threshold] = 0.0
            regularized_gradient[: svd.rank] += c * svd.s * residuals
            is_curved = self.regularized_eigenvalues > 0
            return np.where(is_curved, regularized_gradient / np.where(is_curved, self.regularized_eigenvalues, 1), 0.0)

    @cached_property
    def limit_point(self) -> FloatArray:
        """(p,) p*, the point that a stable descent from its start converges to: the nearest minimum, moved by weight
        decay.

        It depends on the start in flat directions alone, so it can be computed from the start or from zero: from
        the nearer one, since a large difference costs digits.
        """
        start, V = self.problem.scaled_params(self.descent.start), self.spectrum.directions
        from_zero = self._error_from(np.zeros_like(start))
        if np.abs(self.initial_error).max() <= np.abs(from_zero).max():
            return np.asarray(start - V @ self.initial_error)
        return np.asarray(V @ np.where(self.regularized_eigenvalues > 0, -from_zero, V.T @ start))

    @cached_property
    def least_cost(self) -> float:
        """The mean squared error at the limit point."""
        return float(self.problem.quadratic.cost(self.limit_point)) if self.is_regularized else self.problem.fit.cost

    @cached_property
    def is_regularized(self) -> bool:
        """Whether ridge or weight decay moves the limit point away from the least mean squared error."""
        return self.problem.ridge > 0 or self.weight_decay > 0

    @cached_property
    def least_objective(self) -> float:
        """Mean squared error, ridge and weight decay's part at the limit point, as a mean squared error."""
        if not self.is_regularized:
            return self.least_cost
        decay_part = self.weight_decay * float(self.limit_point @ self.limit_point) / (2 * self.cost_scale)
        return float(self.problem.quadratic.objective(self.limit_point)) + decay_part

    @cached_property
    def fits_exactly(self) -> bool:
        """Whether the residuals at the limit point are only rounding."""
        if self.least.decides(DEFAULT_WITHIN):
            return False
        factor, quadratic = self.problem.factor, self.problem.quadratic
        spread = factor.std[-1] if self.problem.bias else np.hypot(factor.std, factor.means)[-1]
        terms = np.linalg.norm(np.abs(quadratic.A) @ np.abs(self.limit_point)) + np.linalg.norm(quadratic.t)
        rounding = max(factor.column_error[-1], UNIT_ROUNDOFF * float(terms)) / np.sqrt(factor.weight)
        return bool(np.sqrt(self.least_cost) <= max(EXACT_FIT_RTOL * spread, 4 * rounding))

    @property
    def rounded_least_cost(self) -> float:
        """:attr:`least_cost` in its certain digits, to be printed."""
        return float(format_to_certain_digits(self.least_cost, self.least.error, MAX_CERTAIN_DIGITS))

    @cached_property
    def least(self) -> LeastCost:
        """:attr:`least_objective` with bounds on what rounding moved (:mod:`descentlab.theory.least_cost`)."""
        problem, svd, value = self.problem, self.problem.quadratic.svd, self.least_objective
        curved = self.regularized_eigenvalues > 0
        norms = np.sqrt(self.regularized_eigenvalues[curved] * problem.weight / (2 * self.cost_scale))
        relative_shift = float(self._column_errors[:-1] @ np.linalg.norm(svd.V[:, curved] / norms, axis=1))
        moved = float(self._column_shifts.sum()) / math.sqrt(problem.weight)
        error = problem.fit.cost_error
        if self.is_regularized and math.isfinite(error):
            error = moved * (2 * math.sqrt(value) + moved)
        return LeastCost(value, error, moved + relative_shift * math.sqrt(value), relative_shift)

    @cached_property
    def _column_errors(self) -> FloatArray:
        """(p + 1,) bounds on what rounding moved of each descended column, and of the target."""
        quadratic, factor, d = self.problem.quadratic, self.problem.factor, len(self.problem.features)
        norms = np.append(np.linalg.norm(quadratic.augmented, axis=0), np.linalg.norm(quadratic.t))
        errors: FloatArray = DESCENDED_COLUMN_ULPS * UNIT_ROUNDOFF * norms
        # The ridge on a scaled weight has the relative error of the scale.
        errors[:d] += factor.column_error[:-1] / self.problem.scaling.scales * math.sqrt(1 + self.problem.ridge)
        errors[-1] += factor.column_error[-1]
        return errors

    @property
    def _column_shifts(self) -> FloatArray:
        """(p + 1,) how far each of them may move the residuals at the limit point."""
        shifts: FloatArray = self._column_errors * np.append(np.abs(self.limit_point), 1.0)
        return shifts

    @property
    def most_rounded_column(self) -> str:
        """The feature, or the target, whose rounding moves the residuals at the limit point most."""
        d = len(self.problem.features)
        worst = int(np.argmax(np.append(self._column_shifts[:d], self._column_shifts[-1])))
        return (*self.problem.features, self.problem.target)[worst]

    def judges_coefficients(self, within: float = DEFAULT_WITHIN) -> bool:
        """Whether every coefficient decides about convergence, since the cost cannot: the least is 0, or rounding hides
        too much of it.
        """
        return not self.least.decides(within)

    def suboptimality(self, params: FloatArray) -> float:
        """The objective minus its value at the limit point, as a mean squared error; inf beyond float64's range.

        It is computed from the distance, not from a difference of costs, so that it keeps its digits near zero.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            error = self.spectrum.directions.T @ (params - self.limit_point)
            suboptimality = float(np.sum(self._residual_norms(error) ** 2))
        return suboptimality if suboptimality == suboptimality else np.inf

    def _residual_norms(self, error: FloatArray) -> FloatArray:
        """(..., r) what errors (..., r) along the eigendirections add to the residual, as a root mean square.

        It is squared only here: the square of an error of 1e160 overflows, also where its direction is as flat.
        """
        norms: FloatArray = error * np.sqrt(self.regularized_eigenvalues / (2 * self.cost_scale))
        return norms

    def is_converged(self, params: FloatArray, within: float = DEFAULT_WITHIN) -> BoolArray:
        """(...) whether parameters (..., p) are surely within 1% of the least objective; where the cost cannot
        decide that, whether :meth:`are_coefficients_converged`.
        """
        if self.judges_coefficients(within):
            return self.are_coefficients_converged(params, within)
        with np.errstate(over="ignore", invalid="ignore"):
            error = (params - self.limit_point) @ self.spectrum.directions
            suboptimality = np.sum(self._residual_norms(error) ** 2, axis=-1)
            converged: BoolArray = suboptimality <= self.least.sure_tolerance(within)
        return converged

    def are_coefficients_converged(self, params: FloatArray, within: float = DEFAULT_WITHIN) -> BoolArray:
        """(...) whether each of the parameters (..., p) is within 1% of itself at the limit point."""
        converged: BoolArray = np.all(self.coefficient_errors(params) <= within, axis=-1)
        return converged

    def coefficient_errors(self, params: FloatArray) -> FloatArray:
        """(..., p) how far parameters (..., p) are from the limit point, each over its :attr:`parameter_scales`.

        Flat directions do not count, since they change no cost.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            error = (params - self.limit_point) @ self.spectrum.directions
            determined_error = np.where(self.regularized_eigenvalues > 0, error, 0.0) @ self.spectrum.directions.T
            distances = np.abs(self.problem.scaling.to_original(determined_error))
            return np.where(distances == 0, 0.0, distances / self.parameter_scales)

    @cached_property
    def parameter_scales(self) -> FloatArray:
        """(p,) the reference for the error of each coefficient: its magnitude at the limit point, in the data's units.

        Where rounding leaves less than two digits of a coefficient, it is larger, so that its rounding error counts as
        1%. For a coefficient near 0, or 0 up to rounding, it is the largest magnitude; if all are 0, the largest at the
        start.
        """
        to_original = self.problem.scaling.to_original
        magnitudes = np.abs(to_original(self.limit_point))
        max_magnitude = float(magnitudes.max(initial=0.0))
        if max_magnitude == 0:
            start = to_original(self.problem.scaled_params(self.descent.start))
            return np.full_like(magnitudes, np.abs(start).max(initial=0.0))
        rounding = self.problem.fit.error_bounds[:, 0]
        scales = np.maximum(magnitudes, np.minimum(rounding / DEFAULT_WITHIN, max_magnitude))
        return np.where(magnitudes > np.maximum(1e-6 * max_magnitude, rounding), scales, max_magnitude)
