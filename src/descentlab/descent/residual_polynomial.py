"""How an error evolves: the closed form of the recursion in :mod:`descentlab.descent.recursion`, at any epoch.

In a direction where ``lr * curvature`` is x, the error after t updates is ``h(x, t)`` times what it was, with

    h(0) = 1,   h(1) = 1 - x  (Nesterov: 1 - (1 + mu) x),   h(t + 1) = T h(t) - D h(t - 1)

    heavy ball   T = 1 + mu - (1 - tau) x    D = mu
    Nesterov     T = (1 + mu) (1 - x)        D = mu (1 - x)

The first update differs, since torch does not dampen it. With r1, r2 the roots of ``r^2 - T r + D``,

    h(t) = r1^t + (h(1) - r1) S(t),      S(t) = (r1^t - r2^t) / (r1 - r2)

and where they are complex, ``r = rho exp(+-i theta)``, S is ``rho^(t-1) sin(t theta) / sin theta``. Neither form loses
digits where the roots meet.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from descentlab.descent import recursion
from descentlab.typing import Array, Flags, Integers

ROUNDING = 1e-13  # a factor no further beyond 1 is 1, as far as float64 can tell
LARGEST = 1e300  # of lr * curvature: what is beyond it overflows in one update all the same
ENDLESS = 1e6  # where roots of size 1 all but meet, errors grow this many times before they turn: like t where they do
VANISHED = -700.0  # the logarithm of a root that is as good as 0: its reciprocal still fits into float64


def geometric_sum(x: Array, t: Array) -> Array:
    """``(1 - (1 - x)^t) / x``, the sum of (1 - x)^k for k < t, to full precision also where x is tiny.

    Its limit at x = 0 is t.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # |1 - x| = 1 + (x - 2) beyond 1, so its logarithm keeps its digits on both sides.
        exponent = t * np.log1p(np.where(x <= 1, -x, x - 2))
        flips = (x > 1) & (np.mod(t, 2) == 1)
        falling = np.where(flips, 1 + np.exp(exponent), -np.expm1(exponent))
        total: Array = np.where(x == 0, t, falling / x)
    return np.where(t == 0, 0.0, total)


class Bound(NamedTuple):
    """``|h(t)| <= |r|^t min(1 + slope t, amplitude, lasting + fading exp(t fade))``; the first falls from ``peak`` on.

    Where the roots are real, ``h / r1^t`` nears ``A = 1 + (h(1) / r1 - 1) / apart`` by ``(r2 / r1)^t``: ``lasting`` is
    |A|, ``fading`` |1 - A|. Where they are complex it swings for ever.
    """

    slope: Array
    amplitude: Array
    peak: Array
    lasting: Array
    fading: Array
    fade: Array


@dataclass(frozen=True, eq=False)
class Response:
    """h(x, .) for an array of x: what is needed to take it at any t. All fields have the shape of x.

    Attributes:
        sign: of r1, or of cos theta.
        log: ``log |r1|``, or ``log rho``.
        first: ``h(1) - r1``, or ``h(1) - rho cos theta``.
        apart: ``1 - r2 / r1`` where the roots are real, else 0.
        angle: theta, or pi - theta where the sign is negative, where the roots are complex; else 0.
    """

    sign: Array
    log: Array
    first: Array
    apart: Array
    angle: Array

    @classmethod
    def of(cls, x: Array, momentum: float | Array = 0.0, dampening: float = 0.0, nesterov: bool = False) -> Response:
        """The response where ``lr * curvature`` is x, for settings as in
        :func:`descentlab.descent.recursion.growth`.
        """
        x = np.minimum(np.asarray(x, dtype=np.float64), LARGEST)
        settings = (momentum, dampening, nesterov)
        r = recursion.growth(x, *settings)
        gap = recursion.gap(x, *settings)
        zero = np.zeros_like(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.abs(r)
            log = np.log1p(np.where((r > 0.5) & (gap < 1), -gap, size - 1))
            if recursion.plain(momentum):
                log = np.log1p(np.where(x <= 1, -x, x - 2))
                return cls(np.where(r < 0, -1.0, 1.0), log, zero, zero + 1, zero)
            trace, discriminant = recursion.characteristic(x, *settings)
            h1 = 1 - x * ((1 + momentum) if nesterov else 1)
            turning = discriminant < 0
            log = np.where(turning, np.log1p(size - 1), log)
            root = np.where(turning, np.sqrt(np.maximum(-discriminant, 0.0)), recursion.root(trace, discriminant))
            angle = np.where(turning, np.arctan2(root, np.abs(trace)), 0.0)
            # h(1) - r1 from the gap where r1 is near 1, so that slow directions keep their digits.
            ahead = np.where(r > 0.5, gap - (1 - h1), h1 - r)
            first = np.where(turning, h1 - trace / 2, ahead)
            apart = np.where(turning, 0.0, np.where(size > 0, root / np.where(size > 0, size, 1.0), 1.0))
        sign = np.where(np.where(turning, trace, r) < 0, -1.0, 1.0)
        return cls(sign, log, first, apart, angle)

    def at(self, t: Array | Integers, shrink: float | Array = 0.0) -> Array:
        """The factor h after t updates, broadcast against x; over ``exp(shrink)``, for what is beyond float64.

        Args:
            t: whole numbers, 0 or more.
            shrink: a logarithm, or one for each.
        """
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            odd = np.where((self.sign < 0) & (np.mod(t, 2) == 1), -1.0, 1.0)
            power = odd * np.exp(np.where(t == 0, 0.0, t * self.log) - shrink)
            if not self.first.any():
                return power
            turning = self.angle > 0
            sine = np.where(turning, np.sin(self.angle), 1.0)
            waves = np.where(turning, np.sin(t * self.angle) / sine, geometric_sum(self.apart, t))
            before = odd * self.sign * np.exp(np.where(t == 1, 0.0, (t - 1) * self.log) - shrink)
            found: Array = power * np.where(turning, np.cos(t * self.angle), 1.0) + self.first * before * waves
            return np.where(t == 0, np.exp(-np.asarray(shrink)), found)

    def forward(self, s: Integers) -> tuple[Array, Array]:
        """The a, b of ``h(t + s) = a h(t) + b h(t - 1)`` for t of at least 1: ``S(s + 1)`` and ``-D S(s)``."""
        if self._bound is None:  # without momentum
            return self.at(s), np.zeros(np.broadcast_shapes(np.shape(s), self.log.shape))
        other = np.where(self.angle > 0, 0.0, 1 - self.apart)  # r2 / r1, where they are real
        r1 = self.sign * np.exp(self.log)
        # S(s + 1) is the solution that starts with 1, T; its h(1) - r1 is r2, or rho cos theta.
        sums = replace(self, first=np.where(self.angle > 0, r1 * np.cos(self.angle), r1 * other))
        determinant = np.where(self.angle > 0, r1**2, r1**2 * other)
        before = np.where(np.asarray(s) > 0, sums.at(np.maximum(np.asarray(s) - 1, 0)), 0.0)
        return sums.at(s), -determinant * before

    def envelope(self, t: Array | Integers) -> Array:
        """A bound on ``|h|`` from t updates on, which never rises; meant for ``|r1| <= 1``. t need not be whole."""
        return self.envelope_and_slope(t)[0]

    def envelope_and_slope(self, t: Array | Integers) -> tuple[Array, Array]:
        """The envelope, and the slope of its logarithm."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if self._bound is None:
                return np.exp(np.where(t == 0, 0.0, t * self.log)), self.log
            slope, amplitude, peak, lasting, fading, fade = self._bound
            log = np.maximum(self.log, VANISHED)  # as the bound has it: roots of 0 still leave h(1)
            late = np.maximum(t, peak)
            bent = np.exp(late * log) * (1 + slope * late)
            left = fading * np.exp(t * fade)
            settling = lasting + left < amplitude
            straight = np.exp(t * log) * np.where(settling, lasting + left, amplitude)
            falling = log + np.where(settling, left * fade / np.where(settling, lasting + left, 1.0), 0.0)
            bending = np.where(t > peak, log + slope / (1 + slope * late), 0.0)
            lower = (bent <= straight) & (log < 0)
        return np.where(lower, bent, straight), np.where(lower, bending, falling)

    @cached_property
    def _bound(self) -> Bound | None:
        if not self.first.any():
            return None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            slope = np.abs(self.first) * np.exp(-np.maximum(self.log, VANISHED))
            turning = self.angle > 0
            round_ = np.hypot(1.0, slope / np.where(turning, np.sin(self.angle), 1.0))
            straight = 1 + slope * np.where(self.apart > 0, np.maximum(1 / self.apart, 1.0), np.inf)
            peak = np.where(slope > 0, np.maximum(-1 / self.log - 1 / slope, 0.0), 0.0)
            added = np.where(
                turning, 0.0, self.sign * self.first * np.exp(-np.maximum(self.log, VANISHED)) / self.apart
            )
            fade = np.where(turning, 0.0, np.log(np.abs(1 - self.apart)))
        lasting = np.where(turning, round_, np.abs(1 + added))
        return Bound(
            slope, np.where(turning, round_, straight), peak, lasting, np.abs(added), np.maximum(fade, VANISHED)
        )

    def only(self, which: Flags) -> Response:
        """These rows of an (m, q) response, as (k, 1, q)."""
        return Response(*(getattr(self, each.name)[which][:, None] for each in fields(self)))

    @property
    def grows(self) -> Flags:
        """Whether the error grows without end: its dominant root is beyond 1, or a double root of size 1."""
        if self._bound is None:
            return self.log > ROUNDING
        meeting = np.where(self.angle > 0, np.sin(self.angle), self.apart) < 1 / ENDLESS
        found: Flags = (self.log > ROUNDING) | ((self.log >= -ROUNDING) & meeting & (self._bound.amplitude > ENDLESS))
        return found

    @property
    def lasting(self) -> Array:
        """How many times its size at the start the error is in the end, growth and decay apart, at most."""
        return np.ones_like(self.log) if self._bound is None else self._bound.lasting

    def ceiling(self, t: float, shrink: float = 0.0, since: float = 0.0) -> Array:
        """A bound on ``|h|`` from ``since`` to t updates, which never falls with t, over ``exp(shrink)``."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            times = np.ones_like(self.log)
            if self._bound is not None:
                slope, amplitude, _, lasting, fading, fade = self._bound
                settling = lasting + fading * np.exp(since * fade)
                times = np.fmin(np.minimum(1 + slope * t, amplitude), settling)
            found: Array = np.exp(np.maximum(self.log, 0.0) * t - shrink) * times
        return found

    @property
    def stands(self) -> Flags:
        """Whether the error neither grows nor shrinks: its dominant root is of size 1, as far as float64 can tell."""
        size_one = (self.log >= 0) | (self.swings & (self.log >= -ROUNDING))
        found: Flags = size_one & ~self.grows
        return found

    @property
    def swings(self) -> Flags:
        """Whether the error changes sides for ever: its dominant root is negative or complex."""
        found: Flags = (self.sign < 0) | (self.angle > 0)
        return found
