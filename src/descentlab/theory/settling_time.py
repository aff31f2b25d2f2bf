"""The aim: what counts as being at the minimum, and from which update on a descent is there for good.

An error's direction i is ``e_i h_i(t)`` after t updates (:mod:`descentlab.descent.residual_polynomial`). The descent
is at its aim where

    sum_i curvature_i e_i^2 h_i^2 <= within * least objective       (as a mean squared error)

or, where the fit is exact and the least cost 0, where no coefficient j is further off than ``within`` of its size:
``|sum_i U_ji e_i h_i| <= within * size_j``. Both are a matrix of parts, one row a condition: "the sum of squares", or
"the size of every sum, is at most 1".
"""

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
FIRST_SCAN_SIZE, MAX_SCAN_SIZE = 64, 1 << 14  # updates looked at one by one at a time, at first and at most
LOOKBACK_POINTS, PROMISING_RATIO = 64, 1.5  # updates before an estimate that a search looks at, and at which estimates
MAX_NEWTON_STEPS = 100  # towards a crossing, which takes about six
MAX_SCANS, MAX_SKIPS = 16, 2000  # after so many, an upper bound has to do


@dataclass(frozen=True, eq=False)
class ConvergenceCriterion:
    """What counts as there, for one problem and start, whatever the rate.

    Attributes:
        curvature: (q,) curvatures of the directions that have an error to lose.
        contributions: (r, q) what each of them adds to each of r conditions at the start.
        squared: whether the one condition is on the sum of squares of ``parts * h``, as a cost's is.
    """

    curvature: FloatArray
    contributions: FloatArray
    squared: bool

    @classmethod
    def from_theory(cls, theory: FullBatchTheory, within: float = DEFAULT_WITHIN) -> ConvergenceCriterion:
        """The aim of the descent that a theory is about."""
        active = (theory.regularized_eigenvalues > 0) & (theory.initial_error != 0)
        curvature, error = theory.regularized_eigenvalues[active], theory.initial_error[active]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if theory.fits_exactly:
                original_directions = theory.problem.scaling.to_original(theory.spectrum.directions.T[active]).T
                contributions = original_directions * error / (within * theory.parameter_scales)[:, None]
            else:
                contributions = (
                    error * np.sqrt(curvature / (2 * theory.cost_scale * within * theory.least_objective))[None]
                )
        return cls(
            curvature, np.nan_to_num(contributions, nan=0.0, posinf=np.inf, neginf=-np.inf), not theory.fits_exactly
        )

    def is_violated(self, h: FloatArray) -> BoolArray:
        """(...) whether errors that are h (..., q) times what they were are too large."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.squared:
                violated: BoolArray = ~(((h * self.contributions[0]) ** 2).sum(axis=-1) <= 1)
            else:
                violated = ~np.all(np.abs(h @ self.contributions.T) <= 1, axis=-1)
        return violated

    def violation_bound(self, amplitudes: FloatArray) -> FloatArray:
        """(...) a bound on the worst condition where no error is more than ``amplitudes`` (..., q) times what it
        was.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.squared:
                bound: FloatArray = ((amplitudes * self._abs_contributions[0]) ** 2).sum(axis=-1)
            else:
                bound = (amplitudes @ self._abs_contributions.T).max(axis=-1)
        return bound

    def residual_polynomial(self, lr: FloatArray | float, momentum_settings: MomentumSettings) -> ResidualPolynomial:
        """The responses (..., q) at these rates (...)."""
        with np.errstate(over="ignore"):
            return ResidualPolynomial.from_lr_times_curvature(
                np.asarray(lr)[..., None] * self.curvature, **momentum_settings
            )

    def epochs_upper_bound(self, polynomial: ResidualPolynomial, rtol: float = 1e-11) -> FloatArray:
        """(m,) after how many updates, not rounded to a whole number, ``worst_sum`` of the envelope is 1; inf for
        never.

        As a bound on :meth:`epochs_to_tolerance` it is equal to it, up to rounding up, where nothing swings.

        Args:
            polynomial: (m, q) to the directions' curvatures at m settings.
            rtol: relative precision of the answer.
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
        low = np.where(
            never_settles, 0.0, np.maximum(single_mode_epochs.max(axis=-1), 0.0)
        )  # when the slowest is there by itself
        power = 2 if self.squared else 1

        def log_violation_and_slope(t: FloatArray) -> tuple[FloatArray, FloatArray]:
            """The logarithm of the worst condition, and its slope."""
            amplitudes, log_slopes = polynomial.envelope_and_log_slope(t[:, None])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
                if self.squared:
                    sums = ((amplitudes * self._abs_contributions[0]) ** 2).sum(axis=1, keepdims=True)
                else:
                    sums = amplitudes @ self._abs_contributions.T
                worst = sums.argmax(axis=1) if len(self._abs_contributions) > 1 else np.zeros(len(t), dtype=np.int64)
                worst_sum = sums[np.arange(len(t)), worst]
                terms = (amplitudes * self._abs_contributions[worst]) ** power
                return np.log(worst_sum), power * (terms * log_slopes).sum(axis=1) / worst_sum

        active: BoolArray = np.logical_not(never_settles)
        epochs = _newton_root(log_violation_and_slope, low, active, rtol)
        return np.where(never_settles | ~(epochs < MAX_UPDATES), np.inf, epochs)

    def _never_settles(self, polynomial: ResidualPolynomial) -> tuple[BoolArray, ResidualPolynomial]:
        """(m,) where errors grow, or those that never shrink are too much by themselves; the responses without them.

        What never shrinks has a logarithm of 0 from here on, as far as anyone can tell.
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
        """(q,) the most that each direction adds to any condition."""
        max_contributions: FloatArray = self._abs_contributions.max(axis=0, initial=0.0)
        return max_contributions

    def approximate_epochs(self, polynomial: ResidualPolynomial, rtol: float) -> FloatArray:
        """(m,) :meth:`epochs_upper_bound`, and for the best of them :meth:`epochs_to_tolerance`: a search's way to
        see what swinging does.

        Only so many updates are looked at, over half of the way to each estimate, so that a count may be a little off;
        it is to tell rates apart.
        """
        epochs = self.epochs_upper_bound(polynomial, rtol)
        promising = np.isfinite(epochs) & (epochs <= PROMISING_RATIO * epochs.min(initial=np.inf))
        if promising.any() and self.contributions.size:
            last = np.ceil(epochs[promising])
            stride = (
                last // (2 * LOOKBACK_POINTS) // 2 * 2 + 1
            )  # odd, so that what changes sides at every update is seen
            updates = np.maximum(last[:, None] - stride[:, None] * np.arange(LOOKBACK_POINTS), 0.0)
            violated = self.is_violated(polynomial.select(promising).evaluate(updates[..., None]))
            strides_back = np.where(violated.any(axis=1), violated.argmax(axis=1), LOOKBACK_POINTS)
            epochs[promising] = np.maximum(last - stride * strides_back + 1, 0.0)
        return epochs

    def epochs_to_tolerance(self, lr: float, momentum_settings: MomentumSettings) -> int | None:
        """From how many updates on the descent stays at its aim; None for never.

        Exact, also where errors swing: unless they swing for more than a quarter of a million updates between the last
        time that they leave the aim and the time from which they provably cannot, which is then given.
        """
        polynomial = self.residual_polynomial(np.array([lr]), momentum_settings)
        upper_bound = float(self.epochs_upper_bound(polynomial)[0])
        if not math.isfinite(upper_bound):
            return None
        last, step = math.ceil(upper_bound), 1
        while (
            self.violation_bound(polynomial.upper_envelope(np.array([[float(last)]])))[0] > 1
        ):  # it was found to some digits only
            last, step = last + step, 2 * step
        return self._last_violation(polynomial, last) + 1

    def _last_violation(self, polynomial: ResidualPolynomial, last: int) -> int:
        """The last update up to ``last`` at which the descent is outside; -1 if it never is.

        Backwards: in leaps over what is certainly inside, as long as any can be made, else update by update.
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
        """Whether every condition holds at all updates from first to last, by bounds on each direction's part."""
        ends = np.array([[float(first)], [float(last)]])
        amplitudes = polynomial.upper_envelope(ends)[0]
        # What neither swings nor starts with a bend falls from its first value to its last.
        monotone = ~polynomial.oscillates[0] & (polynomial.h1_minus_r1[0] == 0)
        values = polynomial.evaluate(ends)
        top, bottom = np.where(monotone, values[0], amplitudes), np.where(monotone, values[1], -amplitudes)
        positive, negative = np.maximum(self.contributions, 0), np.minimum(self.contributions, 0)
        max_sums, min_sums = positive @ top + negative @ bottom, positive @ bottom + negative @ top
        return bool((max_sums <= 1).all() and (min_sums >= -1).all())


def _newton_root(
    value: Callable[[FloatArray], tuple[FloatArray, FloatArray]], low: FloatArray, active: BoolArray, rtol: float
) -> FloatArray:
    """Where a falling function of t is 0, for an array of them that give their slope: Newton's steps, kept between
    the ends found so far. Where nothing swings the function is convex, and the steps approach from the left.
    """
    point, high = low, np.full_like(low, np.inf)
    for _ in range(MAX_NEWTON_STEPS):
        current, slope = value(point)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            low, high = np.where(current > 0, point, low), np.where(current > 0, high, point)
            newton = point - current / slope
            halfway = np.where(np.isfinite(high), (low + high) / 2, 2 * low + 1)
            next_point = np.where((newton >= low) & (newton <= high) & np.isfinite(newton), newton, halfway)
            not_converged = np.abs(next_point - point) > rtol * point + 1e-6
        moving = active & ~((current <= 0) & (point == low)) & not_converged
        if not moving.any():
            break
        point = np.where(moving, next_point, point)
    return point
