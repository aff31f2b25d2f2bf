"""Least squares on the factor, without any step, and how far rounding may have moved the answer.

Columns are taken one after another at unit length, means off where a bias does so. One that is, within rounding,
a combination of the columns before it is dependent: what its weight does, theirs can do. On the independent
columns ``W = T^-1 Q't`` by back substitution, and if rounding moved column j by ``e_j`` and the target by ``e_t``
(norms), then to first order

    |dW_i| <= |row i of T^-1| (sum_j e_j |W_j| + e_t) + sum_j |(T'T)^-1|_ij e_j |r|

(Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 20.1-20.2, column by column). The bounds
given are twice that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from descentlab.factor.factor import Factor
from descentlab.factor.householder import UNIT
from descentlab.typing import Array

SURE = 4  # how many times the given values' own rounding a dependent column may leave and still be one for sure


class Fit(NamedTuple):
    """The target, and every dependent column, as combinations of the independent columns.

    Attributes:
        dependent: the indices of the k dependent features.
        params: (p, 1 + k) coefficients of the features in order, then the bias if there is one. Column 0 fits
            the target, the others the dependent columns; 0 at every dependent feature.
        errors: (p, 1 + k) bounds on what rounding did to them, in the data as given or here; inf where the
            data, to the last place of a float64, does not determine them.
        cost: the least mean squared error, without the ridge penalty.
    """

    dependent: tuple[int, ...]
    params: Array
    errors: Array
    cost: float

    @property
    def null(self) -> Array:
        """(p, k) a direction in which the cost is flat, for each dependent feature."""
        null = -self.params[:, 1:]
        null[list(self.dependent), range(len(self.dependent))] = 1.0
        return null


@dataclass(frozen=True)
class _System:
    """Features and target, scaled: ``rows`` (m, d + 1), the ridge's own rows last.

    ``units`` (d + 1,) is what the columns were divided by: powers of two, so that nothing was rounded. ``noise``,
    the part of it that is the ``given`` values' own, and ``means`` (d + 1,) are scaled like the columns.
    """

    rows: Array
    units: Array
    noise: Array
    given: Array
    means: Any
    weight: float
    bias: bool

    @classmethod
    def of(cls, factor: Factor, bias: bool, penalty: Array) -> _System:
        rows = factor.centred[1:, 1:] if bias else factor.R[:, 1:]
        noise = factor.noise + (2 if bias else 6) * UNIT * np.linalg.norm(rows, axis=0)  # by R and by substitution
        if penalty.any():
            rows = np.vstack([rows, np.eye(len(penalty), len(penalty) + 1) * np.sqrt(factor.weight * penalty)[:, None]])
        lengths = np.linalg.norm(rows, axis=0)
        units = np.exp2(np.rint(np.log2(np.where(lengths > 0, lengths, 1.0))))
        given = UNIT * (np.linalg.norm(factor.R[:, 1:], axis=0) + np.linalg.norm(rows, axis=0))
        means = factor.origin + factor.centred[0, 1:].astype(np.longdouble) / factor.centred[0, 0]
        return cls(rows / units, units, noise / units, given / units, means / units, factor.weight, bias)


def fit(factor: Factor, bias: bool, penalty: Array) -> Fit:
    """Fit the factor's last column with its d others; ``penalty`` (d,) is the ridge on each of their weights."""
    system = _System.of(factor, bias, penalty)
    d = len(penalty)
    T, right, independent, doubtful = _echelon(system)
    dependent = [j for j in range(d) if j not in independent]
    if dependent or penalty.any():  # reflections and sums that a plain triangle does without
        system = replace(system, noise=system.noise + (4 + d) * UNIT * np.linalg.norm(system.rows, axis=0))
    W, errors = _solve(system, T, right, independent, [d, *dependent])

    places = [*independent, *([d] if bias else [])]
    into = np.append(system.units[:d], 1.0)[places, None] / system.units[[d, *dependent]]
    params, bounds = np.zeros((2, d + bias, 1 + len(dependent)))
    params[places], bounds[places] = W / into, (errors + 2 * UNIT * np.abs(W)) / into
    for j in doubtful:  # their weights may be anything that the relation allows: no digit is certain
        relation = params[:, 1 + dependent.index(j)] != 0
        relation[j] = True
        bounds[relation, 0] = np.inf
    data = len(factor.centred) - bias
    residual = system.rows[:data, :d] @ (params[:d, 0] * system.units[:d] / system.units[d]) - system.rows[:data, d]
    cost = float(residual @ residual) * float(system.units[d]) ** 2 / factor.weight
    return Fit(tuple(dependent), params, bounds, cost)


def _echelon(system: _System) -> tuple[Array, Array, list[int], list[int]]:
    """T (r, r), the rotated rows (m, d + 1), and the r independent columns, found from the first to the last.

    Last, the dependent columns that might not be: what is left of them is more than the values' own rounding
    explains, and less than what compressing many rows can have added.
    """
    rows, noise, d = system.rows.copy(), system.noise, len(system.noise) - 1
    T, inverse = np.zeros((d, d), order="F"), np.zeros((d, d))
    independent: list[int] = []
    doubtful: list[int] = []
    for j in range(d):
        r = len(independent)
        above, below = rows[:r, j], rows[r:, j]
        parts = np.abs(inverse[:r, :r] @ above)
        length = np.linalg.norm(below)
        if length <= noise[j] + parts @ noise[independent]:
            if length > SURE * (system.given[j] + parts @ system.given[independent]):
                doubtful.append(j)
            continue
        if below[1:].any():
            v = below.copy()
            v[0] += np.copysign(length, v[0])
            rows[r:, j:] -= np.outer(v * (2 / (v @ v)), v @ rows[r:, j:])
        T[: r + 1, r] = rows[: r + 1, j]
        inverse[r, r] = 1 / T[r, r]
        inverse[:r, r] = inverse[:r, :r] @ T[:r, r] * -inverse[r, r]
        independent.append(j)
    r = len(independent)
    return T[:r, :r], rows, independent, doubtful


def _solve(system: _System, T: Array, rows: Array, independent: list[int], targets: list[int]) -> tuple[Array, Array]:
    """Coefficients (r, or r + 1 with a bias, by targets), in the system's units, and bounds on their errors."""
    from scipy.linalg.blas import dtrsm, dtrsv  # LAPACK's trtrs wakes every thread for a 5 x 5 triangle, and waits

    r, noise = len(T), system.noise[independent]
    # dtrsv divides by the diagonal where dtrsm multiplies by its reciprocal, which makes 14 / 14 not 1.
    W = np.array([dtrsv(T, rows[:r, j]) for j in targets]).T if r else np.zeros((0, len(targets)))
    inverse = dtrsm(1.0, T, np.eye(r)) if r else np.zeros((0, 0))
    residual = np.linalg.norm(rows[r:, targets], axis=0)
    moved = noise @ np.abs(W) + system.noise[targets]
    W[:, 1:][np.abs(W[:, 1:]) <= moved[1:]] = 0.0  # no part in the relation that rounding could not have made
    own = np.zeros((r, len(targets)))
    reading = inverse  # what reads the coefficients off a target
    if system.bias:
        means = system.means[independent]
        constant = (system.means[targets] - means @ W).astype(np.float64)
        constant[1:][np.abs(constant[1:]) <= moved[1:] / np.sqrt(system.weight)] = 0.0
        terms = (np.abs(means) @ np.abs(W) + np.abs(system.means[targets])).astype(np.float64)
        W = np.vstack([W, constant])
        own = np.vstack([own, moved / np.sqrt(system.weight) + 4 * UNIT * terms])
        reading = np.vstack([inverse, -(means @ inverse).astype(np.float64)])
    errors = own + np.linalg.norm(reading, axis=1)[:, None] * moved
    errors += (np.abs(reading @ inverse.T) @ noise)[:, None] * residual
    spread = float(noise @ np.linalg.norm(inverse, axis=1))  # the first order is all that matters well below 1
    return W, 2 * errors / (1 - spread) if spread < 1 else np.full_like(errors, np.inf)
