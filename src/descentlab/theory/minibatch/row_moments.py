"""Second and fourth moments of the rows, in one pass; they determine the expected cost of mini-batches.

In the k curved directions V, with the error ``e = V'(p - p*)`` and the residuals r at p*, a row's contribution to the
gradient is ``x (x'e + r)``. Its mean is ``S e + g`` and its covariance a linear function of E[ee'] and E[e]. With ``u
= (x, r)`` the expectation of squares needs only

    S = mean x x',   g = mean x r,   mse = mean r^2,   T = mean (x x') u u'
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray, IntArray


class Moments(NamedTuple):
    """Means over the rows, in coordinates of V.

    Attributes:
        directions: (p, k) orthonormal curved directions of the scaled parameters.
        center: (p,) the scaled parameters p* from which errors are measured.
        curvature: (k, k) S.
        mean_gradient: (k,) g.
        mse: at p*.
        gradient_noise: (k, k) mean of r^2 x x', at p*.
        fourth_moments: (k, k, k + 1, k + 1) T, or None if it was not requested.
    """

    directions: FloatArray
    center: FloatArray
    curvature: FloatArray
    mean_gradient: FloatArray
    mse: float
    gradient_noise: FloatArray
    fourth_moments: FloatArray | None

    def gradient_covariance(self, Z: FloatArray) -> FloatArray:
        """(..., k, k) covariance of one row's contribution to the gradient if (e, 1) has the second moments Z.

        ``E[x x' (u'z)^2] - (S, g) Z (S, g)'``, for Z of (..., k + 1, k + 1).
        """
        assert self.fourth_moments is not None
        k = len(self.mean_gradient)
        mean = np.column_stack([self.curvature, self.mean_gradient])
        second_moments = Z.reshape(-1, (k + 1) ** 2) @ self.fourth_moments.reshape(k * k, (k + 1) ** 2).T
        covariance: FloatArray = second_moments.reshape(*Z.shape[:-2], k, k) - mean @ Z @ mean.T
        return covariance


def compute_moments(problem: Problem, center: FloatArray, with_fourth: bool) -> Moments:
    """One pass over the rows, block by block.

    Args:
        problem: its rows, each of weight 1.
        center: (p,) scaled parameters, near the limit point.
        with_fourth: whether to compute T, which has about k^4 numbers.

    Raises:
        DataError: the problem was created from a factor, so the rows are gone.
    """
    svd, scaling, d = problem.quadratic.svd, problem.scaling, len(problem.features)
    V = np.ascontiguousarray(svd.V[:, : svd.rank])
    k, rows = svd.rank, 0
    pairs = np.triu_indices(k + 1)
    second, gradient_noise = np.zeros((k + 1, k + 1)), np.zeros((k, k))
    pair_moments = np.zeros((len(pairs[0]) if with_fourth else 0,) * 2)
    for values, _ in problem.selection.blocks():
        x = np.ones((len(values), len(center)))
        x[:, :d] = (values[:, :d] - scaling.means) / scaling.scales
        u = np.column_stack([x @ V, x @ center - values[:, d]])
        rows += len(u)
        second += u.T @ u
        residual_weighted = u[:, :k] * u[:, k:]
        gradient_noise += residual_weighted.T @ residual_weighted
        if with_fourth:
            pair_products = u[:, pairs[0]] * u[:, pairs[1]]
            pair_moments += pair_products.T @ pair_products
    second, gradient_noise = second / rows, gradient_noise / rows
    T = _expand_pairs(pair_moments / rows, k, pairs) if with_fourth else None
    return Moments(V, center, second[:k, :k], second[:k, k], float(second[k, k]), gradient_noise, T)


def _expand_pairs(pair_moments: FloatArray, k: int, pairs: tuple[IntArray, ...]) -> FloatArray:
    """(k, k, k + 1, k + 1) fourth moments from the means of products of distinct pairs."""
    pair_index = np.empty((k + 1, k + 1), dtype=np.int64)
    pair_index[pairs] = pair_index.T[pairs] = np.arange(len(pairs[0]))
    fourth_moments: FloatArray = pair_moments[pair_index[:k, :k, None, None], pair_index[None, None]]
    return fourth_moments
