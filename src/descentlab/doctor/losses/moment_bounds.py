"""How fast errors behind rising losses of plain descent grow, proved: the losses are moments of a positive measure.

``L(t) = sum_i k_i P_i^t`` with k_i >= 0 and ``P_i = (1 - lr * curvature_i)^2``, however many the directions; a floor
has P = 1. For the matrix ``H_ij = L(t + i + j)`` and any q, ``q' H q = sum_i k_i P_i^t (q_0 + q_1 P_i + ...)^2 >= 0``.
Two facts follow (N. Akhiezer, *The classical moment problem*, 1965):

- The largest P is at least the largest eigenvalue of ``H^-1 H_later``, with H_later one print on: were every P at most
  x, ``x H - H_later`` would have no negative eigenvalue. For single losses it is the ratio of a loss to the one before.
- A direction of pace P has ``k P^t <= 1 / (u' H^-1 u)`` with u = (1, P, P^2, ...) (Christoffel). That bounds its share
  of the last loss, and so the pace of every direction that has a visible share.

Without a share there is no bound from above: a direction with a small enough error may grow at any pace and not show.
Rounding changes H by no more than the diagonal of its row sums, which is added to H and taken from H_later: so both
facts hold of all losses that print as these do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.typing import FloatArray, IntArray

MAX_HANKEL_ORDER = 3  # of the polynomials: the number of directions that are separated, including a floor
MAX_HANKEL_STRIDE = 20  # how far apart the losses in a matrix may be
# A visible share of the last loss: this many times its rounding, and at most this part.
VISIBLE_ULPS, VISIBLE_SHARE = 10.0, 0.01
# The least rounding assumed: relative, so that float64 can invert, and absolute.
MIN_ROUNDING_RTOL, MIN_ROUNDING_ATOL = 1e-13, 1e-280
MAX_LOSS_RATIO = 1e200  # losses this many times the last one are left out
IMAG_RTOL = 1e-3  # the imaginary part, relative, that rounding may give two real roots that nearly meet


def growth_lower_bound(losses: PrintedLosses) -> float:
    """What the largest P is at least, per print, from two or more losses of which the last is positive."""
    v, h = _normalize(losses)
    growth = float((np.maximum(v[1:] - h[1:], 0.0) / (v[:-1] + h[:-1])).max(initial=0.0))
    for order, stride in _hankel_shapes(len(v) - 1, 1):
        indices = _hankel_indices(len(v) - 1 - stride, order, stride)
        scale = 1 / np.sqrt((v + h)[indices.diagonal()])
        root = _inverse_square_root(_hankel_with_rounding(v, h, indices, scale, 1))
        value = float(np.linalg.eigvalsh(root @ _hankel_with_rounding(v, h, indices + stride, scale, -1) @ root.T)[-1])
        growth = max(growth, max(value, 0.0) ** (1 / stride))
    return growth


def growth_upper_bound(losses: PrintedLosses, share: float = 0.0) -> float:
    """What P is at most, per print, of directions with a visible share of the last loss; inf if it is unbounded.

    Args:
        losses: three or more, the last positive.
        share: a larger one than the least that is visible.
    """
    v, h = _normalize(losses)
    share = max(share, min(VISIBLE_ULPS * float(h[-1]), VISIBLE_SHARE))
    growth = math.inf
    for order, stride in _hankel_shapes(len(v) - 1, 0):
        indices = _hankel_indices(len(v) - 1, order, stride)
        scale = 1 / np.sqrt((v + h)[indices.diagonal()])
        unit = float(v[-1] / v[-1 - stride]) if v[-1 - stride] > 0 else math.inf
        with np.errstate(over="ignore", invalid="ignore"):
            powers = scale * unit ** np.arange(-order, 1.0)
        rows = _inverse_square_root(_hankel_with_rounding(v, h, indices, scale, 1)) * powers
        if np.isfinite(rows).all():
            growth = min(growth, (unit * _largest_consistent_growth(rows, share)) ** (1 / stride))
    return growth


def _normalize(losses: PrintedLosses) -> PrintedLosses:
    """The losses and their rounding over the last loss."""
    last = float(losses.values[-1])
    with np.errstate(over="ignore"):
        v = losses.values / last
        too_large = np.flatnonzero(v > MAX_LOSS_RATIO)
        begin = int(too_large[-1]) + 1 if too_large.size else 0
        return PrintedLosses(
            v[begin:],
            np.maximum(np.maximum(losses.half_ulps[begin:] / last, MIN_ROUNDING_RTOL * v[begin:]), MIN_ROUNDING_ATOL),
        )


def _hankel_shapes(last: int, n_later: int) -> Iterator[tuple[int, int]]:
    """The orders and strides of the matrices that fit up to this place, with ``n_later`` prints after them."""
    for order in range(1, MAX_HANKEL_ORDER + 1):
        for stride in range(1, min(last // (2 * order + n_later), MAX_HANKEL_STRIDE) + 1):
            yield order, stride


def _hankel_indices(last: int, order: int, stride: int) -> IntArray:
    """(order + 1, order + 1) which loss stands where in the matrix whose last entry is this one."""
    return last - stride * (2 * order - np.add.outer(np.arange(order + 1), np.arange(order + 1)))


def _hankel_with_rounding(v: FloatArray, h: FloatArray, indices: IntArray, scale: FloatArray, sign: int) -> FloatArray:
    """The matrix of the losses at these places, with what rounding may add to it (1), or take from it (-1)."""
    scales = np.outer(scale, scale)
    matrix: FloatArray = v[indices] * scales + sign * np.diag((h[indices] * scales).sum(axis=1))
    return matrix


def _inverse_square_root(matrix: FloatArray) -> FloatArray:
    """C with ``C' C`` the inverse; the inverse of no losses at all, zero, where rounding leaves none."""
    try:
        root: FloatArray = np.linalg.inv(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return np.zeros_like(matrix)
    return root


def _largest_consistent_growth(polynomials: FloatArray, share: float) -> float:
    """The largest P, in units, at which the sum of the squares of these polynomials in 1 / P is at most 1 / share."""
    coefficients = sum((np.convolve(row, row) for row in polynomials), np.zeros(2 * polynomials.shape[1] - 1))
    coefficients[-1] -= 1 / share
    if coefficients[-1] <= 0:  # an infinite P has such a share
        return math.inf
    roots = np.roots(coefficients)
    real = roots.real[(np.abs(roots.imag) <= IMAG_RTOL * np.abs(roots)) & (roots.real > 0)]
    return 1 / float(real.min()) if real.size else math.inf
