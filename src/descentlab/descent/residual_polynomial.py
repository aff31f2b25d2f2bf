"""The residual polynomial: the closed form of the recursion in :mod:`descentlab.descent.recursion`, at any epoch.

In a direction with ``x = lr * curvature`` the error after t updates is ``h(x, t)`` times what it was, with

    h(0) = 1,   h(1) = 1 - x  (Nesterov: 1 - (1 + mu) x),   h(t + 1) = T h(t) - D h(t - 1)

    heavy ball   T = 1 + mu - (1 - tau) x    D = mu
    Nesterov     T = (1 + mu) (1 - x)        D = mu (1 - x)

The first update differs, since torch does not dampen it. With r1, r2 the roots of ``r^2 - T r + D``,

    h(t) = r1^t + (h(1) - r1) S(t),      S(t) = (r1^t - r2^t) / (r1 - r2)

and if they are complex, ``r = rho exp(+-i theta)``, S is ``rho^(t-1) sin(t theta) / sin theta``. Neither form loses
digits near a double root.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from descentlab.descent import recursion
from descentlab.typing import BoolArray, FloatArray, IntArray

FACTOR_TOLERANCE = 1e-13  # a factor within this of 1 is 1 up to rounding
MAX_LR_TIMES_CURVATURE = 1e300  # larger values overflow in one update anyway
DOUBLE_ROOT_AMPLITUDE = 1e6  # growth before errors oscillate from which on two roots count as a double root
LOG_UNDERFLOW = -700.0  # the logarithm of a root that counts as 0: its reciprocal is still in float64's range


def geometric_sum(x: FloatArray, t: FloatArray) -> FloatArray:
    """``(1 - (1 - x)^t) / x``, the sum of (1 - x)^k for k < t, to full precision also for tiny x; t at x = 0.

    >>> geometric_sum(np.array([0.0, 0.5, 1e-20]), np.array([3.0, 3.0, 3.0])).tolist()
    [3.0, 1.75, 3.0]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # |1 - x| = 1 + (x - 2) beyond 1, so its logarithm keeps its digits on both sides.
        exponent = t * np.log1p(np.where(x <= 1, -x, x - 2))
        changes_sign = (x > 1) & (np.mod(t, 2) == 1)
        numerator = np.where(changes_sign, 1 + np.exp(exponent), -np.expm1(exponent))
        total: FloatArray = np.where(x == 0, t, numerator / x)
    return np.where(t == 0, 0.0, total)


class EnvelopeCoefficients(NamedTuple):
    """``|h(t)| <= |r|^t min(1 + linear t, amplitude, asymptotic + transient exp(t log_rate))``.

    ``|r|^t (1 + linear t)`` falls from ``peak_time`` on. If the roots are real, ``h / r1^t`` approaches ``A = 1 +
    (h(1) / r1 - 1) / root_gap`` like ``(r2 / r1)^t``: ``asymptotic_amplitude`` is |A|, ``transient_amplitude``
    |1 - A|. If they are complex it oscillates forever.
    """

    linear_coefficient: FloatArray
    amplitude: FloatArray
    peak_time: FloatArray
    asymptotic_amplitude: FloatArray
    transient_amplitude: FloatArray
    transient_log_rate: FloatArray


@dataclass(frozen=True, eq=False)
class ResidualPolynomial:
    """The polynomials h(x, t) of an array of ``x = lr * curvature``. All fields have the shape of x.

    Attributes:
        sign: of r1, or of cos theta.
        log_modulus: ``log |r1|``, or ``log rho``.
        h1_minus_r1: ``h(1) - r1``, or ``h(1) - rho cos theta``.
        root_gap: ``1 - r2 / r1`` where the roots are real, else 0.
        theta: theta, or pi - theta if the sign is negative, if the roots are complex; else 0.

    >>> polynomial = ResidualPolynomial.from_lr_times_curvature(np.array([0.5]), momentum=0.9)
    >>> h = [1.0, 1 - 0.5]
    >>> for t in range(2, 6):
    ...     h.append((1 + 0.9 - 0.5) * h[-1] - 0.9 * h[-2])
    >>> bool(np.allclose(polynomial.evaluate(np.arange(6)), h))
    True
    """

    sign: FloatArray
    log_modulus: FloatArray
    h1_minus_r1: FloatArray
    root_gap: FloatArray
    theta: FloatArray

    @classmethod
    def from_lr_times_curvature(
        cls, x: FloatArray, momentum: float | FloatArray = 0.0, dampening: float = 0.0, nesterov: bool = False
    ) -> ResidualPolynomial:
        """The polynomials of x, for settings as in :func:`descentlab.descent.recursion.convergence_factor`."""
        x = np.minimum(np.asarray(x, dtype=np.float64), MAX_LR_TIMES_CURVATURE)
        zero = np.zeros_like(x)
        if recursion.has_no_momentum(momentum):
            with np.errstate(divide="ignore"):
                log_modulus = np.log1p(np.where(x <= 1, -x, x - 2))
            return cls(np.where(x > 1, -1.0, 1.0), log_modulus, zero, zero + 1, zero)
        settings = (momentum, dampening, nesterov)
        r = recursion.convergence_factor(x, *settings)
        one_minus_factor = recursion.one_minus_convergence_factor(x, *settings, factor=r)
        with np.errstate(divide="ignore", invalid="ignore"):
            modulus = np.abs(r)
            log_modulus = np.log1p(np.where((r > 0.5) & (one_minus_factor < 1), -one_minus_factor, modulus - 1))
            trace, discriminant = recursion.trace_and_discriminant(x, *settings)
            h1 = 1 - x * ((1 + momentum) if nesterov else 1)
            is_complex = discriminant < 0
            log_modulus = np.where(is_complex, np.log1p(modulus - 1), log_modulus)
            root_difference = np.where(
                is_complex, np.sqrt(np.maximum(-discriminant, 0.0)), recursion.sqrt_discriminant(trace, discriminant)
            )
            theta = np.where(is_complex, np.arctan2(root_difference, np.abs(trace)), 0.0)
            # h(1) - r1 from the gap where r1 is near 1, so that slow directions keep their digits.
            h1_minus_real_root = np.where(r > 0.5, one_minus_factor - (1 - h1), h1 - r)
            h1_minus_r1 = np.where(is_complex, h1 - trace / 2, h1_minus_real_root)
            root_gap = np.where(
                is_complex, 0.0, np.where(modulus > 0, root_difference / np.where(modulus > 0, modulus, 1.0), 1.0)
            )
        sign = np.where(np.where(is_complex, trace, r) < 0, -1.0, 1.0)
        return cls(sign, log_modulus, h1_minus_r1, root_gap, theta)

    def evaluate(self, t: FloatArray | IntArray, log_divisor: float | FloatArray = 0.0) -> FloatArray:
        """The values after t updates, t broadcast against x, divided by ``exp(log_divisor)`` for values beyond float64.

        Args:
            t: whole numbers, 0 or more.
            log_divisor: one logarithm, or one for each value.
        """
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            sign_power = np.where((self.sign < 0) & (np.mod(t, 2) == 1), -1.0, 1.0)
            power = sign_power * np.exp(np.where(t == 0, 0.0, t * self.log_modulus) - log_divisor)
            if not self.h1_minus_r1.any():
                return power
            previous_power = (
                sign_power * self.sign * np.exp(np.where(t == 1, 0.0, (t - 1) * self.log_modulus) - log_divisor)
            )
            is_complex, angle = self.theta > 0, t * self.theta
            if is_complex.any():
                power = power * np.cos(angle)
            if is_complex.all():
                sum_factor = np.sin(angle) / np.sin(self.theta)
            else:
                sum_factor = geometric_sum(self.root_gap, t)
                if is_complex.any():
                    sine = np.where(is_complex, np.sin(self.theta), 1.0)
                    sum_factor = np.where(is_complex, np.sin(angle) / sine, sum_factor)
            h: FloatArray = power + self.h1_minus_r1 * previous_power * sum_factor
            return np.where(t == 0, np.exp(-np.asarray(log_divisor)), h)

    def shift_coefficients(self, s: IntArray) -> tuple[FloatArray, FloatArray]:
        """The a, b of ``h(t + s) = a h(t) + b h(t - 1)`` for t of at least 1: ``S(s + 1)`` and ``-D S(s)``."""
        if self._envelope_coefficients is None:  # there is no momentum
            return self.evaluate(s), np.zeros(np.broadcast_shapes(np.shape(s), self.log_modulus.shape))
        root_ratio = np.where(self.theta > 0, 0.0, 1 - self.root_gap)  # r2 / r1, where they are real
        r1 = self.sign * np.exp(self.log_modulus)
        # S(s + 1) is the solution that starts with 1, T; its h(1) - r1 is r2, or rho cos theta.
        sum_polynomial = replace(self, h1_minus_r1=np.where(self.theta > 0, r1 * np.cos(self.theta), r1 * root_ratio))
        determinant = np.where(self.theta > 0, r1**2, r1**2 * root_ratio)
        previous_sum = np.where(np.asarray(s) > 0, sum_polynomial.evaluate(np.maximum(np.asarray(s) - 1, 0)), 0.0)
        return sum_polynomial.evaluate(s), -determinant * previous_sum

    def upper_envelope(self, t: FloatArray | IntArray) -> FloatArray:
        """A nonincreasing bound on ``|h|`` from t updates on, for ``|r1| <= 1``. t need not be whole."""
        return self.envelope_and_log_slope(t)[0]

    def envelope_and_log_slope(self, t: FloatArray | IntArray) -> tuple[FloatArray, FloatArray]:
        """:meth:`upper_envelope` and the slope of its logarithm."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if self._envelope_coefficients is None:
                return np.exp(np.where(t == 0, 0.0, t * self.log_modulus)), self.log_modulus
            linear_coefficient, amplitude, peak_time, asymptotic_amplitude, transient_amplitude, transient_log_rate = (
                self._envelope_coefficients
            )
            log_modulus = np.maximum(self.log_modulus, LOG_UNDERFLOW)  # roots of 0 still have h(1)
            t_after_peak = np.maximum(t, peak_time)
            linear_bound = np.exp(t_after_peak * log_modulus) * (1 + linear_coefficient * t_after_peak)
            transient = transient_amplitude * np.exp(t * transient_log_rate)
            use_asymptotic = asymptotic_amplitude + transient < amplitude
            exponential_bound = np.exp(t * log_modulus) * np.where(
                use_asymptotic, asymptotic_amplitude + transient, amplitude
            )
            exponential_log_slope = log_modulus + np.where(
                use_asymptotic,
                transient * transient_log_rate / np.where(use_asymptotic, asymptotic_amplitude + transient, 1.0),
                0.0,
            )
            linear_log_slope = np.where(
                t > peak_time, log_modulus + linear_coefficient / (1 + linear_coefficient * t_after_peak), 0.0
            )
            use_linear = (linear_bound <= exponential_bound) & (log_modulus < 0)
        return np.where(use_linear, linear_bound, exponential_bound), np.where(
            use_linear, linear_log_slope, exponential_log_slope
        )

    @cached_property
    def _envelope_coefficients(self) -> EnvelopeCoefficients | None:
        if not self.h1_minus_r1.any():
            return None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            linear_coefficient = np.abs(self.h1_minus_r1) * np.exp(-np.maximum(self.log_modulus, LOG_UNDERFLOW))
            is_complex = self.theta > 0
            complex_amplitude = np.hypot(1.0, linear_coefficient / np.where(is_complex, np.sin(self.theta), 1.0))
            real_amplitude = 1 + linear_coefficient * np.where(
                self.root_gap > 0, np.maximum(1 / self.root_gap, 1.0), np.inf
            )
            peak_time = np.where(
                linear_coefficient > 0, np.maximum(-1 / self.log_modulus - 1 / linear_coefficient, 0.0), 0.0
            )
            transient_coefficient = np.where(
                is_complex,
                0.0,
                self.sign * self.h1_minus_r1 * np.exp(-np.maximum(self.log_modulus, LOG_UNDERFLOW)) / self.root_gap,
            )
            transient_log_rate = np.where(is_complex, 0.0, np.log(np.abs(1 - self.root_gap)))
        asymptotic_amplitude = np.where(is_complex, complex_amplitude, np.abs(1 + transient_coefficient))
        return EnvelopeCoefficients(
            linear_coefficient,
            np.where(is_complex, complex_amplitude, real_amplitude),
            peak_time,
            asymptotic_amplitude,
            np.abs(transient_coefficient),
            np.maximum(transient_log_rate, LOG_UNDERFLOW),
        )

    def select(self, mask: BoolArray) -> ResidualPolynomial:
        """Rows of (m, q) polynomials, as (k, 1, q)."""
        return ResidualPolynomial(*(getattr(self, each.name)[mask][:, None] for each in fields(self)))

    @cached_property
    def diverges(self) -> BoolArray:
        """Whether the error grows without bound: its dominant root is beyond 1, or a double root of modulus 1."""
        if self._envelope_coefficients is None:
            return self.log_modulus > FACTOR_TOLERANCE
        near_double_root = np.where(self.theta > 0, np.sin(self.theta), self.root_gap) < 1 / DOUBLE_ROOT_AMPLITUDE
        flags: BoolArray = (self.log_modulus > FACTOR_TOLERANCE) | (
            (self.log_modulus >= -FACTOR_TOLERANCE)
            & near_double_root
            & (self._envelope_coefficients.amplitude > DOUBLE_ROOT_AMPLITUDE)
        )
        return flags

    @property
    def asymptotic_amplitude(self) -> FloatArray:
        """A bound on the error's final amplitude over its initial size, apart from growth and decay."""
        return (
            np.ones_like(self.log_modulus)
            if self._envelope_coefficients is None
            else self._envelope_coefficients.asymptotic_amplitude
        )

    def upper_bound(self, t: float, log_divisor: float = 0.0, since: float = 0.0) -> FloatArray:
        """A bound on ``|h|`` from ``since`` to t updates, nondecreasing in t, divided by ``exp(log_divisor)``."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            amplitude_bound = np.ones_like(self.log_modulus)
            if self._envelope_coefficients is not None:
                linear_coefficient, amplitude, _, asymptotic_amplitude, transient_amplitude, transient_log_rate = (
                    self._envelope_coefficients
                )
                transient_bound = asymptotic_amplitude + transient_amplitude * np.exp(since * transient_log_rate)
                amplitude_bound = np.fmin(np.minimum(1 + linear_coefficient * t, amplitude), transient_bound)
            bound: FloatArray = np.exp(np.maximum(self.log_modulus, 0.0) * t - log_divisor) * amplitude_bound
        return bound

    @property
    def is_marginal(self) -> BoolArray:
        """Whether the error neither grows nor shrinks: its dominant root has modulus 1 up to rounding."""
        has_unit_modulus = (self.log_modulus >= 0) | (self.oscillates & (self.log_modulus >= -FACTOR_TOLERANCE))
        flags: BoolArray = has_unit_modulus & ~self.diverges
        return flags

    @cached_property
    def oscillates(self) -> BoolArray:
        """Whether the error changes its sign forever: its dominant root is negative or complex."""
        flags: BoolArray = (self.sign < 0) | (self.theta > 0)
        return flags
