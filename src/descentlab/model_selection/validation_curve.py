"""The validation curve: training and held-out cost after any number of updates, and where the latter is least."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.engines import Snapshots, make_engine
from descentlab.factor.factor import Factor
from descentlab.problem.problem import Problem
from descentlab.problem.quadratic import Quadratic
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import UNIT_ROUNDOFF, FloatArray, IntArray

DENSE_UPDATES = 128  # numbers of updates reported: every one up to here, then
POINTS_PER_OCTAVE = 64  # this many each time they double
EXHAUSTIVE_UPDATES = 1 << 16  # numbers of updates searched one by one
MAX_EXHAUSTIVE_UPDATES = 1 << 20  # the same while errors oscillate
SEARCH_POINTS_PER_OCTAVE = 1 << 12  # numbers of updates searched beyond, each time they double
MAX_VALLEYS_REFINED = 4  # local minima whose bottom is searched
REFINE_POINTS = 64  # points in a step of that search
NEGLIGIBLE_DECAY_EXPONENT = 40.0  # exp(-40) of an oscillation is less than the rounding of any cost


def make_held_out_cost(problem: Problem, factor: Factor) -> Quadratic:
    """The mean squared error on other rows, as a function of a problem's scaled parameters.

    The rows are centered and scaled by the problem's means and standard deviations, not by their own.

    Args:
        problem: the training rows.
        factor: that of the other rows, with the problem's features and target, in order.
    """
    means, scales, bias = problem.scaling
    centered = replace(factor, origin=factor.origin - np.append(means, 0.0))  # the rows minus the means
    R = centered.scale(np.append(scales, 1.0)).R
    order = [*range(1, len(scales) + 1), *((0,) if bias else ())]
    return Quadratic(R[:, order], R[:, -1], factor.weight, np.zeros(len(order)), np.zeros((len(order), 0)))


def log_spaced_ranges(last: int, dense: int = DENSE_UPDATES, per_octave: int = POINTS_PER_OCTAVE) -> list[range]:
    """0 .. last in ranges: each number up to ``dense``, then ``per_octave`` numbers each time it doubles, and the last.

    >>> log_spaced_ranges(21, 4, 2)
    [range(0, 5), range(6, 9, 2), range(12, 17, 4), range(21, 22)]
    """
    ranges, start = [range(min(last, dense) + 1)], dense
    while start < last:
        step = max(1, start // per_octave)
        ranges.append(range(start + step, min(2 * start, last) + 1, step))
        start *= 2
    ranges = [each for each in ranges if each]
    return ranges if ranges[-1][-1] == last else [*ranges, range(last, last + 1)]


def concatenate_ranges(ranges: list[range]) -> IntArray:
    """(k,) the numbers in the ranges, in order."""
    # arange(start, stop, step) counts in floats: for very large numbers it returns one too many.
    return np.concatenate([span.start + span.step * np.arange(len(span)) for span in ranges])


class ValidationCurve:
    """Training and held-out cost after t updates, for any t: over updates, not over the values of a setting.

    With R the triangular factor of the held-out rows and p(t) the parameters after t updates,

        cost(t) = |R v|^2 / weight,    v = (W, -1, b) at p(t)

    so no row is read again. Epoch k of a history precedes its update: it is after k - 1 updates. With mini-batches an
    update here is an epoch. A descent without a closed form is run once.
    """

    def __init__(self, problem: Problem, descent: Descent, held_out_quadratic: Quadratic) -> None:
        """Raises EngineError where no engine can run this descent."""
        self.problem, self.descent, self.held_out_quadratic = problem, descent, held_out_quadratic
        self._restart_engine()
        self.simulated_costs = None if self.engine.random_access else self._compute_costs(range(descent.epochs + 1))

    def _restart_engine(self) -> None:
        self.engine = make_engine("auto", self.problem, self.descent)
        self.engine.initialize(self.problem, self.descent)

    def costs_at(self, updates: range) -> FloatArray:
        """(2, k) training and held-out cost; inf beyond float64's range."""
        if self.simulated_costs is not None:
            return self.simulated_costs[:, updates.start : updates.stop : updates.step]
        return self._compute_costs(updates)

    def held_out_costs(self, ranges: list[range]) -> FloatArray:
        """(k,) held-out cost after the numbers of updates in several ranges."""
        return np.concatenate([self.costs_at(span)[1] for span in ranges])

    def params_at(self, updates: int) -> FloatArray:
        """(p,) parameters in the data's units."""
        if not self.engine.random_access:
            self._restart_engine()
        snapshots: Snapshots = next(iter(self.engine.snapshots_at([updates + 1])))
        with np.errstate(over="ignore", invalid="ignore"):
            return self.problem.scaling.to_original(snapshots.params[0])

    def _compute_costs(self, updates: range) -> FloatArray:
        snapshots = self.engine.snapshots_at(range(updates.start + 1, updates.stop + 1, updates.step))
        costs = np.concatenate(
            [np.stack([chunk.cost, self.held_out_quadratic.cost(chunk.params)]) for chunk in snapshots], axis=1
        )
        return np.where(np.isnan(costs), np.inf, costs)  # inf - inf: beyond inf

    @property
    def oscillation_end(self) -> float:
        """The number of updates after which no error oscillates by more than rounding."""
        theory = FullBatchTheory(self.problem, self.descent)
        x = self.descent.lr * (theory.spectrum.eigenvalues + theory.weight_decay)
        polynomial = ResidualPolynomial.from_lr_times_curvature(x, **self.descent.momentum_settings)
        slowest = float(polynomial.log_modulus[polynomial.oscillates].max(initial=-np.inf))
        return NEGLIGIBLE_DECAY_EXPONENT / -slowest if slowest < 0 else math.inf

    def argmin(self) -> tuple[int, bool]:
        """The number of updates in 0 .. epochs with the least held-out cost, and whether all were considered.

        Of costs that differ by rounding alone it takes the fewest updates. Once errors do not oscillate they are sums
        of decaying exponentials, whose valleys are wide on a log scale: beyond ``EXHAUSTIVE_UPDATES`` updates valleys
        are found on a log scale, and then their bottoms.
        """
        epochs = exhaustive = self.descent.epochs
        oscillation_end = 0.0
        if self.simulated_costs is None and epochs > EXHAUSTIVE_UPDATES:
            oscillation_end = self.oscillation_end
            exhaustive = math.ceil(min(max(EXHAUSTIVE_UPDATES, oscillation_end), MAX_EXHAUSTIVE_UPDATES, epochs))
        ranges = log_spaced_ranges(epochs, exhaustive, SEARCH_POINTS_PER_OCTAVE)
        updates, costs = concatenate_ranges(ranges), self.held_out_costs(ranges)
        is_local_minimum = (
            (costs <= np.append(np.inf, costs[:-1])) & (costs <= np.append(costs[1:], np.inf)) & (updates > exhaustive)
        )
        valleys = np.flatnonzero(is_local_minimum)
        valleys = valleys[np.argsort(costs[valleys], kind="stable")][:MAX_VALLEYS_REFINED]
        brackets = np.stack([updates[valleys - 1], updates[np.minimum(valleys + 1, len(updates) - 1)]], axis=1)
        for t, cost in [self._refine_minimum(*bracket) for bracket in brackets.tolist()]:
            position = int(np.searchsorted(updates, t))
            updates, costs = np.insert(updates, position, t), np.insert(costs, position, cost)
        return self._find_first_minimum(updates, costs), exhaustive == epochs or oscillation_end <= exhaustive

    def _refine_minimum(self, low: int, high: int) -> tuple[int, float]:
        """The minimum of a valley between two numbers of updates, and its cost."""
        while True:
            step = max(1, (high - low) // REFINE_POINTS)
            inner = range(low, high + 1, step)
            costs = self.costs_at(inner)[1]
            i = int(np.argmin(costs))
            if step == 1:
                return inner[i], float(costs[i])
            low, high = max(low, inner[i] - step), min(high, inner[i] + step)

    def _find_first_minimum(self, updates: IntArray, costs: FloatArray) -> int:
        """The fewest updates whose held-out cost is the least of these up to rounding."""
        min_cost = float(costs.min())
        held_out = self.held_out_quadratic
        rounding = 8 * UNIT_ROUNDOFF * float(np.linalg.norm(held_out.t)) / math.sqrt(held_out.weight)
        threshold = min_cost + 2 * rounding * math.sqrt(min_cost) + rounding**2
        i = int(np.argmax(costs <= threshold))
        low, high = int(updates[max(i - 1, 0)]), int(updates[i])
        while high - low > 1:
            step = max(1, (high - low) // REFINE_POINTS)
            inner = range(low + step, high, step)
            below = np.flatnonzero(self.costs_at(inner)[1] <= threshold)
            low, high = (inner[below[0]] - step, inner[below[0]]) if below.size else (inner[-1], high)
        return high
