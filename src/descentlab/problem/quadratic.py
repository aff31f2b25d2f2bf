"""The cost of a problem as a quadratic function of the scaled parameters, from the factor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from descentlab.problem.decomposition import decompose
from descentlab.typing import FloatArray


class SVD(NamedTuple):
    """The singular value decomposition ``U diag(s) V'`` of the augmented system, flat directions apart.

    Attributes:
        U: (m, rank).
        s: (rank,) positive, descending.
        V: (p, p) orthonormal; the columns from ``rank`` on span the directions in which J is flat.
    """

    U: FloatArray
    s: FloatArray
    V: FloatArray

    @property
    def rank(self) -> int:
        return len(self.s)


def orthonormalize(columns: FloatArray) -> FloatArray:
    """(p, k) an orthonormal basis of the span of k independent columns, also if rows differ by many magnitudes.

    Householder reflections change no row by more than its own rounding if large rows come first and large columns
    are taken first (A. Cox and N. Higham, *Stability of Householder QR factorization for weighted least squares
    problems*, 1998).
    """
    from scipy.linalg import qr

    if not columns.size:
        return columns
    order = np.argsort(-np.abs(columns).max(axis=1), kind="stable")
    basis = np.empty_like(columns)
    basis[order] = qr(columns[order], mode="economic", pivoting=True)[0]
    return basis


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The cost and its derivatives, at a price that does not depend on the number of rows:

        J(p) = |A p - t|^2 / weight + sum_j penalty_j p_j^2        p = (W_1 .. W_d, b)

    A and t are the parameter columns and the target column of the triangular factor.

    Attributes:
        A: (m, p) parameter columns of the factor: features in order, then the bias if there is one.
        t: (m,) target column.
        weight: the total weight of the rows.
        penalty: (p,) ridge on each parameter, zero on the bias.
        null_basis: (p, p - rank) orthonormal basis of the directions in which J does not change.
    """

    A: FloatArray
    t: FloatArray
    weight: float
    penalty: FloatArray
    null_basis: FloatArray

    def cost(self, params: FloatArray) -> FloatArray:
        """(...) mean squared error of (..., p) parameters, without the ridge penalty; inf beyond float64's range."""
        with np.errstate(over="ignore", invalid="ignore"):
            residual = params @ self.A.T - self.t
            mean: FloatArray = np.sum(residual * residual, axis=-1) / self.weight
        return mean

    def objective(self, params: FloatArray) -> FloatArray:
        """(...) J: the mean squared error and the ridge penalty."""
        total: FloatArray = self.cost(params) + np.sum(self.penalty * params * params, axis=-1)
        return total

    def gradient(self, params: FloatArray) -> FloatArray:
        """(p,) half the gradient of ``weight * J``: ``A'(A p - t) + weight * penalty * p``."""
        with np.errstate(over="ignore", invalid="ignore"):
            gradient: FloatArray = self.A.T @ (self.A @ params - self.t) + self.weight * self.penalty * params
        return gradient

    @cached_property
    def augmented(self) -> FloatArray:
        """(m', p) A, with the ridge as rows of its own where there is one: ``|S p - target|^2 = weight J``."""
        if not self.penalty.any():
            return self.A
        return np.vstack([self.A, np.diag(np.sqrt(self.weight * self.penalty))])

    @cached_property
    def augmented_target(self) -> FloatArray:
        """(m',) t, followed by zeros for the ridge rows."""
        return np.concatenate([self.t, np.zeros(len(self.augmented) - len(self.t))])

    @cached_property
    def svd(self) -> SVD:
        """Curvatures and directions of J, each small one with its own digits."""
        curved_basis = self._curved_basis
        if not curved_basis.size:
            return SVD(np.zeros((len(self.augmented), 0)), np.zeros(0), self.null_basis)
        U, s, V = decompose(self.augmented @ curved_basis)
        directions = np.hstack([curved_basis @ V, self.null_basis])
        directions.setflags(write=False)  # a spectrum hands them out, and the exact engine relies on them
        return SVD(U, s, directions)

    @property
    def _curved_basis(self) -> FloatArray:
        """(p, rank) orthonormal complement of the flat directions.

        The parameters that no flat direction moves come last, so that a column far larger than the others is
        not mixed into them.
        """
        p, k = self.null_basis.shape
        order = np.argsort(-np.abs(self.null_basis).max(axis=1, initial=0.0), kind="stable")
        curved_basis = np.empty((p, p - k))
        curved_basis[order] = np.linalg.qr(self.null_basis[order], mode="complete")[0][:, k:]
        return curved_basis
