"""The course of a held-out cost: after any number of updates, and where it is least.

With R the triangle of the held-out rows and p(t) the parameters after t updates,

    cost(t) = |R v|^2 / weight,    v = (W, -1, b) at p(t)

so no row is read again. (Epoch k of a history stands before its update, so after k - 1 of them; with mini-batches an
update here is an epoch's worth.)
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.residual_polynomial import Response
from descentlab.engines import Look, engine_for
from descentlab.factor.factor import Factor
from descentlab.factor.householder import UNIT
from descentlab.problem.problem import Problem
from descentlab.problem.quadratic import Quadratic
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array, Integers

WALK, MOST_WALKED = 1 << 16, 1 << 20  # updates searched one by one: always, and while anything swings
DOUBLING = 1 << 12  # numbers of updates looked at beyond, as they double
VALLEYS, NARROWING = 4, 64  # how many valleys are followed to their bottom, and in how many steps at a time
GONE = 40.0  # exp(-40) of a swing is less than rounding leaves of any cost


def cost_on(problem: Problem, factor: Factor) -> Quadratic:
    """The mean squared error on other rows, as a function of the parameters that ``problem`` descends on.

    The rows are centred and scaled by the problem's means and deviations, not by their own.

    Args:
        problem: what is descended.
        factor: the other rows' factor, with the problem's features and target, in order.
    """
    means, scales, bias = problem.coordinates
    moved = replace(factor, origin=factor.origin - np.append(means, 0.0))  # the rows minus the means
    R = moved.scale(np.append(scales, 1.0)).R
    order = [*range(1, len(scales) + 1), *((0,) if bias else ())]
    return Quadratic(R[:, order], R[:, -1], factor.weight, np.zeros(len(order)), np.zeros((len(order), 0)))


def spaced(last: int, dense: int, doubling: int) -> list[range]:
    """0 .. last in ranges of equal steps: each number up to ``dense``, then ``doubling`` as it doubles, and the last.

    >>> spaced(21, 4, 2)
    [range(0, 5), range(6, 9, 2), range(12, 17, 4), range(21, 22)]
    """
    found, start = [range(min(last, dense) + 1)], dense
    while start < last:
        step = max(1, start // doubling)
        found.append(range(start + step, min(2 * start, last) + 1, step))
        start *= 2
    found = [each for each in found if each]
    return found if found[-1][-1] == last else [*found, range(last, last + 1)]


def numbers(ranges: list[range]) -> Integers:
    """(k,) what the ranges hold, in their order."""
    # Not arange(start, stop, step), which counts in floats: of very large numbers it gives one too many.
    return np.concatenate([each.start + each.step * np.arange(len(each)) for each in ranges])


class Course:
    """Training and held-out cost after any number of updates; a descent without a closed form is walked once."""

    def __init__(self, problem: Problem, descent: Descent, held: Quadratic) -> None:
        """Raises EngineError where no engine can run this descent."""
        self.problem, self.descent, self.held = problem, descent, held
        self._start()
        self.walked = None if self.mover.jumps else self._visited(range(descent.epochs + 1))

    def _start(self) -> None:
        self.mover = engine_for("auto", self.problem, self.descent)
        self.mover.start(self.problem, self.descent)

    def at(self, updates: range) -> Array:
        """(2, k) training and held-out cost after so many updates; inf beyond float64's range."""
        if self.walked is not None:
            return self.walked[:, updates.start : updates.stop : updates.step]
        return self._visited(updates)

    def held_out(self, ranges: list[range]) -> Array:
        """(k,) held-out cost after the updates of several ranges."""
        return np.concatenate([self.at(each)[1] for each in ranges])

    def params(self, updates: int) -> Array:
        """(p,) parameters after so many updates, in the data's units."""
        if not self.mover.jumps:
            self._start()
        look: Look = next(iter(self.mover.visit([updates + 1])))
        with np.errstate(over="ignore", invalid="ignore"):
            return self.problem.coordinates.to_units(look.params[0])

    def _visited(self, updates: range) -> Array:
        looks = self.mover.visit(range(updates.start + 1, updates.stop + 1, updates.step))
        costs = np.concatenate([np.stack([look.cost, self.held.cost(look.params)]) for look in looks], axis=1)
        return np.where(np.isnan(costs), np.inf, costs)  # inf - inf is past inf

    @property
    def swinging(self) -> float:
        """The updates after which nothing that changes sides is left of any error."""
        theory = Theory(self.problem, self.descent)
        x = self.descent.lr * (theory.spectrum.eigenvalues + theory.decay)
        response = Response.of(x, **self.descent.recursion)
        slowest = float(response.log[response.swings].max(initial=-np.inf))
        return GONE / -slowest if slowest < 0 else math.inf

    def least(self) -> tuple[int, bool]:
        """The updates in 0 .. epochs with the least held-out cost, and whether all of them were considered.

        Of those whose costs only rounding tells apart, the fewest. Once nothing swings, errors are sums of decaying
        exponentials, whose valleys are wide on a log scale: beyond ``WALK`` updates they are found there and followed
        to their bottom.
        """
        epochs = walk = self.descent.epochs
        swinging = 0.0
        if self.walked is None and epochs > WALK:
            swinging = self.swinging
            walk = math.ceil(min(max(WALK, swinging), MOST_WALKED, epochs))
        ranges = spaced(epochs, walk, DOUBLING)
        updates, costs = numbers(ranges), self.held_out(ranges)
        low = (costs <= np.append(np.inf, costs[:-1])) & (costs <= np.append(costs[1:], np.inf)) & (updates > walk)
        valleys = np.flatnonzero(low)
        valleys = valleys[np.argsort(costs[valleys], kind="stable")][:VALLEYS]
        sides = np.stack([updates[valleys - 1], updates[np.minimum(valleys + 1, len(updates) - 1)]], axis=1)
        for t, cost in [self._bottom(*side) for side in sides.tolist()]:
            at = int(np.searchsorted(updates, t))
            updates, costs = np.insert(updates, at, t), np.insert(costs, at, cost)
        return self._first(updates, costs), walk == epochs or swinging <= walk

    def _bottom(self, low: int, high: int) -> tuple[int, float]:
        """The bottom of the one valley between two numbers of updates, and the cost there."""
        while True:
            step = max(1, (high - low) // NARROWING)
            inner = range(low, high + 1, step)
            costs = self.at(inner)[1]
            i = int(np.argmin(costs))
            if step == 1:
                return inner[i], float(costs[i])
            low, high = max(low, inner[i] - step), min(high, inner[i] + step)

    def _first(self, updates: Integers, costs: Array) -> int:
        """The fewest updates after which the held-out cost is the least of these, as far as rounding can tell."""
        least = float(costs.min())
        rounded = 8 * UNIT * float(np.linalg.norm(self.held.t)) / math.sqrt(self.held.weight)
        level = least + 2 * rounded * math.sqrt(least) + rounded**2
        i = int(np.argmax(costs <= level))
        low, high = int(updates[max(i - 1, 0)]), int(updates[i])
        while high - low > 1:
            step = max(1, (high - low) // NARROWING)
            inner = range(low + step, high, step)
            below = np.flatnonzero(self.at(inner)[1] <= level)
            low, high = (inner[below[0]] - step, inner[below[0]]) if below.size else (inner[-1], high)
        return high
