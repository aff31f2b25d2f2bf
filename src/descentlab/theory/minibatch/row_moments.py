"""What the rows say of batches drawn from them: second and fourth moments, gathered in one pass.

In the k directions V that the cost curves in, with the error ``e = V'(p - p*)`` and the residuals r at p*, a row's
part of the gradient is ``x (x'e + r)``. Its mean is ``S e + g`` and its covariance a linear function of E[ee'] and
E[e], so with ``u = (x, r)`` these are all that the expectation of squares needs:

    S = mean x x',   g = mean x r,   mse = mean r^2,   T = mean (x x') u u'
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descentlab.problem.problem import Problem
from descentlab.typing import Array, Integers


class Moments(NamedTuple):
    """Means over the rows, in coordinates of V.

    Attributes:
        V: (p, k) orthonormal directions of the descended coordinates in which the cost curves.
        center: (p,) the descended parameters p* that errors are counted from.
        curvature: (k, k) S.
        slope: (k,) g.
        mse: at p*.
        noise: (k, k) mean of r^2 x x', at p*.
        fourth: (k, k, k + 1, k + 1) T, or None where it was not asked for.
    """

    V: Array
    center: Array
    curvature: Array
    slope: Array
    mse: float
    noise: Array
    fourth: Array | None

    def covariance(self, Z: Array) -> Array:
        """(..., k, k) covariance of one row's part of the gradient, when (e, 1) has the second moments Z.

        ``E[x x' (u'z)^2] - (S, g) Z (S, g)'``, for Z of (..., k + 1, k + 1).
        """
        assert self.fourth is not None
        k = len(self.slope)
        mean = np.column_stack([self.curvature, self.slope])
        whole = Z.reshape(-1, (k + 1) ** 2) @ self.fourth.reshape(k * k, (k + 1) ** 2).T
        covariance: Array = whole.reshape(*Z.shape[:-2], k, k) - mean @ Z @ mean.T
        return covariance


def moments(problem: Problem, center: Array, fourth: bool) -> Moments:
    """One pass over the rows, block by block.

    Args:
        problem: whose rows, which all count once.
        center: (p,) descended parameters, about where the descent is bound for.
        fourth: whether T is wanted: k^4 numbers.

    Raises:
        DataError: the problem was made from a factor, so the rows are gone.
    """
    modes, coordinates, d = problem.quadratic.modes, problem.coordinates, len(problem.features)
    V = np.ascontiguousarray(modes.V[:, : modes.rank])
    k, rows = modes.rank, 0
    pairs = np.triu_indices(k + 1)
    second, noise = np.zeros((k + 1, k + 1)), np.zeros((k, k))
    products = np.zeros((len(pairs[0]) if fourth else 0,) * 2)
    for values, _ in problem.selection.blocks():
        x = np.ones((len(values), len(center)))
        x[:, :d] = (values[:, :d] - coordinates.means) / coordinates.scales
        u = np.column_stack([x @ V, x @ center - values[:, d]])
        rows += len(u)
        second += u.T @ u
        weighed = u[:, :k] * u[:, k:]
        noise += weighed.T @ weighed
        if fourth:
            both = u[:, pairs[0]] * u[:, pairs[1]]
            products += both.T @ both
    second, noise = second / rows, noise / rows
    T = _spread(products / rows, k, pairs) if fourth else None
    return Moments(V, center, second[:k, :k], second[:k, k], float(second[k, k]), noise, T)


def _spread(products: Array, k: int, pairs: tuple[Integers, ...]) -> Array:
    """(k, k, k + 1, k + 1) from the means of products of pairs, of which each was formed once."""
    which = np.empty((k + 1, k + 1), dtype=np.int64)
    which[pairs] = which.T[pairs] = np.arange(len(pairs[0]))
    whole: Array = products[which[:k, :k, None, None], which[None, None]]
    return whole
