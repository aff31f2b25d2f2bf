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

from descentlab.descent.recursion import Recursion
from descentlab.descent.residual_polynomial import Response
from descentlab.theory.full_batch import NEAR, Theory
from descentlab.typing import Array, Flags

FARTHEST = 2.0**53  # updates beyond it cannot be told apart in float64
FIRST_CHUNK, CHUNK = 64, 1 << 14  # updates looked at one by one at a time, at first and at most
WINDOW, PROMISING = 64, 1.5  # updates before an estimate that a search looks at, and at which estimates
MOST_STEPS = 100  # towards a crossing, which takes about six
MOST_CHUNKS, MOST_LEAPS = 16, 2000  # after so many, an upper bound has to do


@dataclass(frozen=True, eq=False)
class Aim:
    """What counts as there, for one problem and start, whatever the rate.

    Attributes:
        curvature: (q,) curvatures of the directions that have an error to lose.
        parts: (r, q) what each of them adds to each of r conditions at the start.
        squared: whether the one condition is on the sum of squares of ``parts * h``, as a cost's is.
    """

    curvature: Array
    parts: Array
    squared: bool

    @classmethod
    def of(cls, theory: Theory, within: float = NEAR) -> Aim:
        """The aim of the descent that a theory is about."""
        moving = (theory.curvature > 0) & (theory.error != 0)
        curvature, error = theory.curvature[moving], theory.error[moving]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if theory.fits_exactly:
                units = theory.problem.coordinates.to_units(theory.spectrum.directions.T[moving]).T
                parts = units * error / (within * theory.sizes)[:, None]
            else:
                parts = error * np.sqrt(curvature / (2 * theory.scale * within * theory.least_objective))[None]
        return cls(curvature, np.nan_to_num(parts, nan=0.0, posinf=np.inf, neginf=-np.inf), not theory.fits_exactly)

    def outside(self, h: Array) -> Flags:
        """(...) whether errors that are h (..., q) times what they were are too large."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.squared:
                found: Flags = ~(((h * self.parts[0]) ** 2).sum(axis=-1) <= 1)
            else:
                found = ~np.all(np.abs(h @ self.parts.T) <= 1, axis=-1)
        return found

    def most(self, size: Array) -> Array:
        """(...) a bound on the worst condition where no error is more than ``size`` (..., q) times what it was."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.squared:
                found: Array = ((size * self._weights[0]) ** 2).sum(axis=-1)
            else:
                found = (size @ self._weights.T).max(axis=-1)
        return found

    def response(self, lr: Array | float, recursion: Recursion) -> Response:
        """The responses (..., q) at these rates (...)."""
        with np.errstate(over="ignore"):
            return Response.of(np.asarray(lr)[..., None] * self.curvature, **recursion)

    def estimate(self, response: Response, digits: float = 1e-11) -> Array:
        """(m,) after how many updates, not rounded to a whole number, ``most`` of the envelope is 1; inf for never.

        As a bound on :meth:`settled` it is equal to it, up to rounding up, where nothing swings.

        Args:
            response: (m, q) to the directions' curvatures at m settings.
            digits: relative precision of the answer.
        """
        if not self.parts.size:
            return np.zeros(len(response.log))
        never, response = self._never(response)
        if bool((self.most(response.envelope(np.zeros(1))) <= 1).all()):
            return np.where(never, np.inf, 0.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            alone = np.where(self._heights > 1, np.log(self._heights) / -response.log, 0.0)
        low = np.where(never, 0.0, np.maximum(alone.max(axis=-1), 0.0))  # when the slowest is there by itself
        power = 2 if self.squared else 1

        def height(t: Array) -> tuple[Array, Array]:
            """The logarithm of the worst condition, and its slope."""
            size, bend = response.envelope_and_slope(t[:, None])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
                if self.squared:
                    sums = ((size * self._weights[0]) ** 2).sum(axis=1, keepdims=True)
                else:
                    sums = size @ self._weights.T
                worst = sums.argmax(axis=1) if len(self._weights) > 1 else np.zeros(len(t), dtype=np.int64)
                most = sums[np.arange(len(t)), worst]
                added = (size * self._weights[worst]) ** power
                return np.log(most), power * (added * bend).sum(axis=1) / most

        live: Flags = np.logical_not(never)
        found = _crossing(height, low, live, digits)
        return np.where(never | ~(found < FARTHEST), np.inf, found)

    def _never(self, response: Response) -> tuple[Flags, Response]:
        """(m,) where errors grow, or those that never shrink are too much by themselves; the responses without them.

        What never shrinks has a logarithm of 0 from here on, as far as anyone can tell.
        """
        matters = self._heights > 0
        never: Flags = np.any(response.grows & matters, axis=-1)
        stands = response.stands & matters
        if stands.any():
            never = np.logical_or(never, self.most(np.where(stands, response.lasting, 0.0)) > 1)
            response = replace(response, log=np.where(stands, 0.0, response.log))
        return never, response

    @cached_property
    def _weights(self) -> Array:
        return np.abs(self.parts)

    @cached_property
    def _heights(self) -> Array:
        """(q,) the most that each direction adds to any condition."""
        heights: Array = self._weights.max(axis=0, initial=0.0)
        return heights

    def counts(self, response: Response, digits: float) -> Array:
        """(m,) :meth:`estimate`, and for the best of them :meth:`settled`: a search's way to see what swinging does.

        Only so many updates are looked at, over half of the way to each estimate, so that a count may be a little off;
        it is to tell rates apart.
        """
        counts = self.estimate(response, digits)
        best = np.isfinite(counts) & (counts <= PROMISING * counts.min(initial=np.inf))
        if best.any() and self.parts.size:
            last = np.ceil(counts[best])
            stride = last // (2 * WINDOW) // 2 * 2 + 1  # odd, so that what changes sides at every update is seen
            updates = np.maximum(last[:, None] - stride[:, None] * np.arange(WINDOW), 0.0)
            outside = self.outside(response.only(best).at(updates[..., None]))
            back = np.where(outside.any(axis=1), outside.argmax(axis=1), WINDOW)
            counts[best] = np.maximum(last - stride * back + 1, 0.0)
        return counts

    def settled(self, lr: float, recursion: Recursion) -> int | None:
        """From how many updates on the descent stays at its aim; None for never.

        Exact, also where errors swing: unless they swing for more than a quarter of a million updates between the last
        time that they leave the aim and the time from which they provably cannot, which is then given.
        """
        response = self.response(np.array([lr]), recursion)
        bound = float(self.estimate(response)[0])
        if not math.isfinite(bound):
            return None
        last, step = math.ceil(bound), 1
        while self.most(response.envelope(np.array([[float(last)]])))[0] > 1:  # it was found to some digits only
            last, step = last + step, 2 * step
        return self._last_outside(response, last) + 1

    def _last_outside(self, response: Response, last: int) -> int:
        """The last update up to ``last`` at which the descent is outside; -1 if it never is.

        Backwards: in leaps over what is certainly inside, as long as any can be made, else update by update.
        """
        high, size, leap, chunks, leaps = last, FIRST_CHUNK, CHUNK, 0, 0
        while high >= 0 and chunks < MOST_CHUNKS and leaps < MOST_LEAPS:
            if not self.squared and leap > size:
                inside = high > leap and self._certainly_inside(response, high - leap, high)
                high, leap, leaps = (high - leap, 2 * leap, leaps + 1) if inside else (high, leap // 2, leaps + 1)
                continue
            updates = np.arange(max(high - size, -1) + 1, high + 1)
            outside = np.flatnonzero(self.outside(response.at(updates[:, None])))
            if outside.size:
                return int(updates[outside[-1]])
            high, size, chunks = int(updates[0]) - 1, min(4 * size, CHUNK), chunks + 1
            leap = 2 * size
        return high

    def _certainly_inside(self, response: Response, first: int, last: int) -> bool:
        """Whether every condition holds at all updates from first to last, by bounds on each direction's part."""
        ends = np.array([[float(first)], [float(last)]])
        size = response.envelope(ends)[0]
        # What neither swings nor starts with a bend falls from its first value to its last.
        steady = ~response.swings[0] & (response.first[0] == 0)
        values = response.at(ends)
        top, bottom = np.where(steady, values[0], size), np.where(steady, values[1], -size)
        positive, negative = np.maximum(self.parts, 0), np.minimum(self.parts, 0)
        most, least = positive @ top + negative @ bottom, positive @ bottom + negative @ top
        return bool((most <= 1).all() and (least >= -1).all())


def _crossing(value: Callable[[Array], tuple[Array, Array]], low: Array, live: Flags, digits: float) -> Array:
    """Where a falling function of t is 0, for an array of them that give their slope: Newton's steps, kept between
    the ends found so far. Where nothing swings the function is convex, and the steps approach from the left.
    """
    point, high = low, np.full_like(low, np.inf)
    for _ in range(MOST_STEPS):
        here, slope = value(point)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            low, high = np.where(here > 0, point, low), np.where(here > 0, high, point)
            newton = point - here / slope
            halfway = np.where(np.isfinite(high), (low + high) / 2, 2 * low + 1)
            following = np.where((newton >= low) & (newton <= high) & np.isfinite(newton), newton, halfway)
            far = np.abs(following - point) > digits * point + 1e-6
        moving = live & ~((here <= 0) & (point == low)) & far
        if not moving.any():
            break
        point = np.where(moving, following, point)
    return point
