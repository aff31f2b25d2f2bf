"""The settling time: after how many updates a descent stays within a tolerance of its minimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from descentlab.descent.recursion import MomentumSettings
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.theory.full_batch import DEFAULT_WITHIN, FullBatchTheory
from descentlab.typing import BoolArray, FloatArray

MAX_UPDATES = 2.0**53  # updates beyond it cannot be told apart in float64
FIRST_SCAN_SIZE = 64  # updates evaluated at once
MAX_SCAN_SIZE = 1 << 14
LOOKBACK_POINTS = 64  # updates before an estimate that a search over rates evaluates
PROMISING_RATIO = 1.5  # estimates within this ratio of the least are evaluated
MAX_NEWTON_STEPS = 100  # about six are needed
MAX_SCANS = 16  # after this many scans, or
MAX_SKIPS = 2000  # this many skips, the upper bound is returned


@dataclass(frozen=True, eq=False)
class ConvergenceCriterion:
    """The condition under which a descent counts as converged, for one problem and start, at any rate.

    After t updates the error in direction i is ``e_i h_i(t)`` (:mod:`descentlab.descent.residual_polynomial`). The
    descent is within the tolerance if

        sum_i a_i e_i^2 h_i^2 <= within * least objective       (as a mean squared error; a_i the eigenvalues)

    less what rounding may have moved (:mod:`descentlab.theory.least_cost`); or, if the least cost is 0 or rounding
    hides it, if every coefficient j is: ``|sum_i V_ji e_i h_i| <= within |p_j|``.
    Both have the form ``sum_i (c_i h_i)^2 <= 1`` or ``|C h| <= 1``, with a row of C for each coefficient.

    Attributes:
        curvature: (q,) eigenvalues, weight decay included, of the directions with an initial error.
        contributions: (1, q) c or (r, q) C.
        squared: whether the condition is on the sum of squares.

    >>> import descentlab as dl
    >>> problem = dl.Problem([[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0])
    >>> criterion = ConvergenceCriterion.from_theory(FullBatchTheory(problem, dl.Descent(lr=0.1)))
    >>> epochs = criterion.epochs_to_tolerance(0.1, dl.Descent(lr=0.1).momentum_settings)
    >>> costs = dl.descend(problem, lr=0.1, epochs=epochs + 1).history.cost
    >>> [bool(cost <= 1.01 * problem.solve().cost) for cost in costs[-2:]]
    [False, True]
    """

    curvature: FloatArray
    contributions: FloatArray
    squared: bool

    @classmethod
    def from_theory(cls, theory: FullBatchTheory, within: float = DEFAULT_WITHIN) -> ConvergenceCriterion:
        """The criterion of the problem, the start and the reduction of a theory."""
        if theory.judges_coefficients(within):
            return cls.for_coefficients(theory, within)
        curvature, error, _ = _active_directions(theory)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            contributions = error * np.sqrt(curvature / (2 * theory.cost_scale * theory.least.sure_tolerance(within)))
        return cls(curvature, _nan_to_zero(contributions[None]), squared=True)

    @classmethod
    def for_coefficients(cls, theory: FullBatchTheory, within: float = DEFAULT_WITHIN) -> ConvergenceCriterion:
        """The condition on every coefficient, also if the fit is not exact."""
        curvature, error, directions = _active_directions(theory)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            original_directions = theory.problem.scaling.to_original(directions.T).T
            contributions = original_directions * error / (within * theory.parameter_scales)[:, None]
        return cls(curvature, _nan_to_zero(contributions), squared=False)

    def is_violated(self, h: FloatArray) -> BoolArray:
        """(...) whether errors of h (..., q) times their initial values exceed the tolerance."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.squared:
                violated: BoolArray = ~(((h * self.contributions[0]) ** 2).sum(axis=-1) <= 1)
            else:
                violated = ~np.all(np.abs(h @ self.contributions.T) <= 1, axis=-1)
        return violated

    def violation_bound(self, amplitudes: FloatArray) -> FloatArray:
        """(...) a bound on the largest condition if errors are at most ``amplitudes`` (..., q) times initial ones."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.squared:
                bound: FloatArray = ((amplitudes * self._abs_contributions[0]) ** 2).sum(axis=-1)
            else:
                bound = (amplitudes @ self._abs_contributions.T).max(axis=-1)
        return bound

    def residual_polynomial(self, lr: FloatArray | float, momentum_settings: MomentumSettings) -> ResidualPolynomial:
        """The residual polynomials (..., q) at rates (...)."""
        with np.errstate(over="ignore"):
            return ResidualPolynomial.from_lr_times_curvature(
                np.asarray(lr)[..., None] * self.curvature, **momentum_settings
            )

    def epochs_upper_bound(self, polynomial: ResidualPolynomial, rtol: float = 1e-11) -> FloatArray:
        """(m,) the number of updates, not rounded, after which the envelope meets the condition; inf for never.

        It is an upper bound on :meth:`epochs_to_tolerance`, and equal to it up to rounding if no error oscillates.

        Args:
            polynomial: (m, q) of the directions at m settings.
            rtol: relative precision of the result.
        """
        if not self.contributions.size:
            return np.zeros(len(polynomial.log_modulus))
        never_settles, polynomial = self._never_settles(polynomial)
        if bool((self.violation_bound(polynomial.upper_envelope(np.zeros(1))) <= 1).all()):
            return np.where(never_settles, np.inf, 0.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            single_mode_epochs = np.where(
                self._max_contributions > 1, np.log(self._max_contributions) / -polynomial.log_modulus, 0.0
            )
        # The slowest direction alone gives a lower bound.
        low = np.where(never_settles, 0.0, np.maximum(single_mode_epochs.max(axis=-1), 0.0))

        def log_violation_and_slope(t: FloatArray) -> tuple[FloatArray, FloatArray]:
            """The logarithm of the largest condition, and its slope."""
            amplitudes, log_slopes = polynomial.envelope_and_log_slope(t[:, None])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
                if self.squared:
                    terms = (amplitudes * self._abs_contributions[0]) ** 2
                    total = terms.sum(axis=1)
                    return np.log(total), 2 * (terms * log_slopes).sum(axis=1) / total
                sums = amplitudes @ self._abs_contributions.T
                worst = sums.argmax(axis=1)
                total = sums[np.arange(len(t)), worst]
                terms = amplitudes * self._abs_contributions[worst]
                return np.log(total), (terms * log_slopes).sum(axis=1) / total

        active: BoolArray = np.logical_not(never_settles)
        epochs = _newton_root(log_violation_and_slope, low, active, rtol)
        return np.where(never_settles | ~(epochs < MAX_UPDATES), np.inf, epochs)

    def _never_settles(self, polynomial: ResidualPolynomial) -> tuple[BoolArray, ResidualPolynomial]:
        """(m,) whether errors grow, or those that never shrink exceed the tolerance; and the polynomials with a
        logarithm of exactly 0 for the latter.
        """
        contributes = self._max_contributions > 0
        never_settles: BoolArray = np.any(polynomial.diverges & contributes, axis=-1)
        marginal = polynomial.is_marginal & contributes
        if marginal.any():
            never_settles = np.logical_or(
                never_settles, self.violation_bound(np.where(marginal, polynomial.asymptotic_amplitude, 0.0)) > 1
            )
            polynomial = replace(polynomial, log_modulus=np.where(marginal, 0.0, polynomial.log_modulus))
        return never_settles, polynomial

    @cached_property
    def _abs_contributions(self) -> FloatArray:
        return np.abs(self.contributions)

    @cached_property
    def _max_contributions(self) -> FloatArray:
        """(q,) the largest contribution of each direction to any condition."""
        max_contributions: FloatArray = self._abs_contributions.max(axis=0, initial=0.0)
        return max_contributions

    def approximate_epochs(self, polynomial: ResidualPolynomial, rtol: float) -> FloatArray:
        """(m,) :meth:`epochs_upper_bound`, and for the smallest of them an estimate that includes oscillation.

        Few updates are evaluated, over the second half of the way to each bound, so estimates may be slightly off:
        they serve to compare rates.
        """
        epochs = self.epochs_upper_bound(polynomial, rtol)
        promising = np.isfinite(epochs) & (epochs <= PROMISING_RATIO * epochs.min(initial=np.inf))
        if promising.any() and self.contributions.size:
            last = np.ceil(epochs[promising])
            stride = last // (2 * LOOKBACK_POINTS) // 2 * 2 + 1  # odd, to see errors that alternate
            updates = np.maximum(last[:, None] - stride[:, None] * np.arange(LOOKBACK_POINTS), 0.0)
            violated = self.is_violated(polynomial.select(promising).evaluate(updates[..., None]))
            strides_back = np.where(violated.any(axis=1), violated.argmax(axis=1), LOOKBACK_POINTS)
            epochs[promising] = np.maximum(last - stride * strides_back + 1, 0.0)
        return epochs

    def epochs_to_tolerance(self, lr: float, momentum_settings: MomentumSettings) -> int | None:
        """The number of updates after which the descent stays within the tolerance; None for never.

        It is exact, also if errors oscillate, unless they do so for more than 250,000 updates between the last
        violation and the update from which violations are provably impossible, which is then returned.
        """
        polynomial = self.residual_polynomial(np.array([lr]), momentum_settings)
        upper_bound = float(self.epochs_upper_bound(polynomial)[0])
        if not math.isfinite(upper_bound):
            return None
        last, step = math.ceil(upper_bound), 1
        while self.violation_bound(polynomial.upper_envelope(np.array([[float(last)]])))[0] > 1:
            last, step = last + step, 2 * step  # the bound has finite precision
        return self._last_violation(polynomial, last) + 1

    def _last_violation(self, polynomial: ResidualPolynomial, last: int) -> int:
        """The last update up to ``last`` that violates the condition; -1 if none does.

        The search runs backwards: it skips intervals that certainly satisfy the condition, and else evaluates
        update by update.
        """
        high, scan_size, skip, scans, skips = last, FIRST_SCAN_SIZE, MAX_SCAN_SIZE, 0, 0
        while high >= 0 and scans < MAX_SCANS and skips < MAX_SKIPS:
            if not self.squared and skip > scan_size:
                satisfied = high > skip and self._interval_satisfies(polynomial, high - skip, high)
                high, skip, skips = (high - skip, 2 * skip, skips + 1) if satisfied else (high, skip // 2, skips + 1)
                continue
            updates = np.arange(max(high - scan_size, -1) + 1, high + 1)
            violations = np.flatnonzero(self.is_violated(polynomial.evaluate(updates[:, None])))
            if violations.size:
                return int(updates[violations[-1]])
            high, scan_size, scans = int(updates[0]) - 1, min(4 * scan_size, MAX_SCAN_SIZE), scans + 1
            skip = 2 * scan_size
        return high

    def _interval_satisfies(self, polynomial: ResidualPolynomial, first: int, last: int) -> bool:
        """Whether every condition holds at all updates from first to last, by bounds on each contribution."""
        ends = np.array([[float(first)], [float(last)]])
        amplitudes = polynomial.upper_envelope(ends)[0]
        # Without oscillation and with h(1) = r1, h falls from its first value to its last.
        monotone = ~polynomial.oscillates[0] & (polynomial.h1_minus_r1[0] == 0)
        values = polynomial.evaluate(ends)
        top, bottom = np.where(monotone, values[0], amplitudes), np.where(monotone, values[1], -amplitudes)
        positive, negative = np.maximum(self.contributions, 0), np.minimum(self.contributions, 0)
        max_sums, min_sums = positive @ top + negative @ bottom, positive @ bottom + negative @ top
        return bool((max_sums <= 1).all() and (min_sums >= -1).all())


def _active_directions(theory: FullBatchTheory) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(q,) curvatures, (q,) initial errors and (p, q) directions of the curved directions with an initial error."""
    active = (theory.regularized_eigenvalues > 0) & (theory.initial_error != 0)
    return theory.regularized_eigenvalues[active], theory.initial_error[active], theory.spectrum.directions[:, active]


def _nan_to_zero(values: FloatArray) -> FloatArray:
    return np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)


def _newton_root(
    value: Callable[[FloatArray], tuple[FloatArray, FloatArray]], low: FloatArray, active: BoolArray, rtol: float
) -> FloatArray:
    """The roots of decreasing functions of t, given with their slopes, by Newton's method within brackets.

    Without oscillation the functions are convex, and the steps approach the roots from the left.
    """
    point, high = low, np.full_like(low, np.inf)
    for _ in range(MAX_NEWTON_STEPS):
        current, slope = value(point)
        is_left = current > 0
        low, high = np.where(is_left, point, low), np.where(is_left, high, point)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            next_point = point - current / slope
            outside = ~((next_point >= low) & (next_point <= high) & np.isfinite(next_point))
            if outside.any():
                halfway = np.where(np.isfinite(high), (low + high) / 2, 2 * low + 1)
                next_point = np.where(outside, halfway, next_point)
            not_converged = np.abs(next_point - point) > rtol * point + 1e-6
        moving = active & ~((current <= 0) & (point == low)) & not_converged
        if not moving.any():
            break
        point = np.where(moving, next_point, point)
    return point
