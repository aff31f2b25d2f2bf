"""The cost as the quadratic it is: what a factor says about one problem.

    J(p) = |A p - t|^2 / weight + sum_j penalty_j p_j^2        p = (W_1 .. W_d, b)

A and t are the parameter columns and the target column of the triangular factor, so every formula here
costs the same for three rows and for a billion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from descentlab.factor import BLOCK_ROWS

Array = np.ndarray[Any, np.dtype[np.float64]]

EPS = float(np.finfo(np.float64).eps)


class Modes(NamedTuple):
    """The singular value decomposition ``U diag(s) V'`` of the stacked system, flat directions apart.

    Attributes:
        U: (m, rank).
        s: (rank,) positive, descending.
        V: (p, p) orthonormal; the columns from ``rank`` on span the directions in which J is flat.
    """

    U: Array
    s: Array
    V: Array

    @property
    def rank(self) -> int:
        return len(self.s)


class Solution(NamedTuple):
    """A minimiser of J, and how far rounding may have moved each of its coefficients."""

    params: Array
    errors: Array


@dataclass(frozen=True, eq=False)
class Quadratic:
    """J, and what follows from it.

    Attributes:
        A: (m, p) parameter columns of the factor: features in order, then the bias if there is one.
        t: (m,) target column.
        weight: the total weight of the rows.
        penalty: (p,) ridge on each parameter, zero on the bias.
        bias: whether the last parameter is a bias, so that A's first row holds the means.
        rows: how many rows were compressed; it sets what rounding can have left in A.
    """

    A: Array
    t: Array
    weight: float
    penalty: Array
    bias: bool
    rows: int

    def cost(self, params: Array) -> Array:
        """(...) mean squared error of (..., p) parameters, without the ridge penalty."""
        residual = params @ self.A.T - self.t
        mean: Array = np.sum(residual * residual, axis=-1) / self.weight
        return mean

    def objective(self, params: Array) -> Array:
        """(...) J: the mean squared error and the ridge penalty."""
        total: Array = self.cost(params) + np.sum(self.penalty * params * params, axis=-1)
        return total

    def gradient(self, params: Array) -> Array:
        """(p,) half the gradient of ``weight * J``: ``A'(A p - t) + weight * penalty * p``."""
        gradient: Array = self.A.T @ (self.A @ params - self.t) + self.weight * self.penalty * params
        return gradient

    @cached_property
    def stacked(self) -> Array:
        """(m', p) A, with the ridge as rows of its own where there is one: ``|S p - target|^2 = weight J``."""
        if not self.penalty.any():
            return self.A
        return np.vstack([self.A, np.diag(np.sqrt(self.weight * self.penalty))])

    @cached_property
    def stacked_target(self) -> Array:
        """(m',) t, followed by zeros for the ridge rows."""
        return np.concatenate([self.t, np.zeros(len(self.stacked) - len(self.t))])

    @cached_property
    def _unit(self) -> tuple[Array, Array]:
        """The features' columns at unit length, means taken off where a bias does so, and their lengths.

        Rank is judged here, where no column's unit or offset has a say.
        """
        d = len(self.penalty) - self.bias
        columns = self.stacked[int(self.bias) :, :d]
        lengths = np.linalg.norm(columns, axis=0)
        whole = np.linalg.norm(self.stacked[:, :d], axis=0)
        constant = lengths <= 4 * EPS * whole  # a spread of rounding errors only
        lengths = np.where(constant, 0.0, lengths)
        unit = np.where(constant, 0.0, columns / np.where(constant, 1.0, lengths))
        return unit, lengths

    @cached_property
    def _unit_svd(self) -> tuple[Array, Array, Array, int]:
        unit, _ = self._unit
        U, s, Vt = np.linalg.svd(unit, full_matrices=False)
        # What rounding leaves in a column that depends on others grows like a random walk over the blocks.
        noise = EPS * (unit.shape[1] + 1) * (8 + np.sqrt(self.rows / BLOCK_ROWS))
        return U, s, Vt, int(np.sum(s > noise * max(1.0, s[0] if len(s) else 0.0)))

    @cached_property
    def flat(self) -> Array:
        """(p, p - rank) orthonormal basis of the directions in which J does not change."""
        _, lengths = self._unit
        _, _, Vt, rank = self._unit_svd
        in_units = np.where(lengths > 0, Vt[rank:] / np.where(lengths > 0, lengths, 1.0), Vt[rank:]).T
        if self.bias:
            d = len(lengths)
            in_units = np.vstack([in_units, -(self.A[0, :d] @ in_units) / self.A[0, d]])
        basis, _ = np.linalg.qr(in_units)
        return basis

    @cached_property
    def modes(self) -> Modes:
        """Curvatures and directions of J, each small one with its own digits.

        One-sided Jacobi (LAPACK ``gejsv``) finds small singular values to a relative accuracy that badly
        scaled columns do not spoil (Drmac and Veselic, SIAM J. Matrix Anal. Appl. 29, 2008).
        """
        from scipy.linalg.lapack import dgejsv

        flat = self.flat
        p = len(self.penalty)
        steep = np.linalg.qr(flat, mode="complete")[0][:, flat.shape[1] :] if flat.size else np.eye(p)
        if not steep.size:
            return Modes(np.zeros((len(self.stacked), 0)), np.zeros(0), flat)
        s, U, V, work, _, info = dgejsv(self.stacked @ steep, joba=0, jobu=0, jobv=0, jobr=0, jobp=0)
        if info != 0:
            raise np.linalg.LinAlgError(f"gejsv: info = {info}")
        rank = steep.shape[1]
        return Modes(U[:, :rank], s * (work[0] / work[1]), np.hstack([steep @ V, flat]))

    def minimise(self, start: Array) -> Solution:
        """The minimiser of J nearest to ``start``: where descent from there ends, if it converges.

        The error bound is first-order perturbation theory (Wedin; Higham section 20.1) for columns and
        target each known to half a unit in the last place as given, and to a few units after compression.
        """
        unit, lengths = self._unit
        U, s, Vt, rank = self._unit_svd
        d = len(lengths)
        target = self.stacked_target[int(self.bias) :]
        inverse = Vt[:rank].T / s[:rank]  # unit pseudo-inverse = inverse @ U'
        if rank == d:
            Q, triangle = np.linalg.qr(unit)
            weights = np.linalg.solve(triangle, Q.T @ target) if d else np.zeros(0)
        else:
            weights = inverse @ (U[:, :rank].T @ target)
        residual = target - unit @ weights

        safe = np.where(lengths > 0, lengths, 1.0)
        growth = 4 + np.sqrt(d + 1)
        column = EPS * (growth + np.linalg.norm(self.stacked[:, :d], axis=0) / safe)
        moved = column @ np.abs(weights) + EPS * (growth * np.linalg.norm(target) + np.linalg.norm(self.stacked_target))
        errors = np.linalg.norm(inverse, axis=1) * moved
        errors += np.abs(inverse @ inverse.T) @ column * np.linalg.norm(residual)
        if rank < d:  # the flat directions themselves are known only so well
            errors += np.linalg.norm(inverse, 2) * np.max(column) * np.linalg.norm(weights)

        params, errors = weights / safe, errors / safe
        if self.bias:
            means, target_mean = self.A[0, :d] / self.A[0, d], self.t[0] / self.A[0, d]
            parts = means * params
            own = EPS * 2 * (np.abs(parts).sum() + abs(target_mean))
            params = np.append(params, target_mean - parts.sum())
            errors = np.append(errors, np.abs(means) @ errors + own)
        return Solution(params + self.flat @ (self.flat.T @ (start - params)), errors)
