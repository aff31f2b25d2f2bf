"""What ``"auto"`` and ``None`` stand for: a rate, a momentum and a number of epochs that the data itself decides.

Full batch, with curvatures between l and L: the heavy ball's best pair for the worst start,

    lr = 4 / (sqrt(L) + sqrt(l))^2,    momentum = ((sqrt(L) - sqrt(l)) / (sqrt(L) + sqrt(l)))^2

(B. Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964), and plain descent's best rate, lr
= 2 / (L + l), where so small a momentum would buy next to nothing; or, for a momentum that was given, the rate at which
the slowest direction is fastest. Mini-batches of b rows, of n:

    lr = 1 / (S / b + (1 - 1 / b) L),    S = 2 max v |x|^2

with v a row's weight over the mean weight, with which squared errors shrink in the mean (D. Needell, N. Srebro and R.
Ward, *Stochastic gradient descent, weighted sampling, and the randomized Kaczmarz algorithm*, 2014), and the iterates
of the second half are averaged (F. Bach and E. Moulines, *Non-strongly-convex smooth stochastic approximation with
convergence rate O(1/n)*, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from descentlab.descent import recursion as stability
from descentlab.descent.descent import Descent
from descentlab.descent.recursion import Recursion
from descentlab.descent.reductions import gradient_factor
from descentlab.errors import MOST
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

Block = tuple[Array, Array | None]

LOST = 45.0  # exp(-45) of an error, 3e-20, is less than rounding leaves of any coefficient
FLATTEST = 1e-24  # of the largest curvature: a momentum for flatter ones could not be told from 1
LEAST = 0.01  # below it a momentum saves an epoch or two of the few that plain descent takes
BELOW = 1 - 1e-6  # of the pair's rate, which at high conditions is its bound to every digit
GRID, ROUNDS = 129, 6


def pair(curvature: Array, dampening: float = 0.0) -> tuple[float, float]:
    """Polyak's learning rate and momentum for (p,) curvatures; flat directions do not count.

    Where that momentum is below 0.01, or a dampening of 1 would leave it nothing but the first gradient, it is 0, and
    the rate is plain descent's best. Another dampening only makes the rate larger.
    """
    steep = curvature[curvature > 0]
    if not steep.size:
        return 1.0, 0.0
    high = math.sqrt(float(steep.max()))
    low = max(math.sqrt(float(steep.min())), high * math.sqrt(FLATTEST))
    momentum = ((high - low) / (high + low)) ** 2
    if momentum < LEAST or dampening >= 1:
        return 2 / (high**2 + low**2), 0.0
    return BELOW * 4 / (high + low) ** 2 / (1 - dampening), momentum


def rate(curvature: Array, recursion: Recursion) -> float:
    """The learning rate at which the slowest of (p,) curvatures' errors shrinks fastest, for this momentum."""
    steep = curvature[curvature > 0]
    if not steep.size:
        return 1.0
    largest = float(steep.max())
    if stability.plain(recursion["momentum"]):
        return 2 / (largest + float(steep.min()))
    limit = stability.limit(**recursion)
    ends = np.array([float(steep.min()), largest])
    low, high = 1e-6, 1.0
    for _ in range(ROUNDS):
        parts = np.geomspace(low, high, GRID)[:-1] if high == 1.0 else np.geomspace(low, high, GRID)
        x = parts[:, None] * limit * ends / largest
        factor = stability.growth(x, **recursion)
        left = np.where(factor < 0, 1 + factor, stability.gap(x, **recursion)).min(axis=1)
        i = int(np.argmax(left))
        low, high = float(parts[max(i - 1, 0)]), float(parts[min(i + 1, len(parts) - 1)])
    return float(parts[i]) * limit / largest


def epochs(theory: Theory) -> int | None:
    """Epochs after which no direction has an error that float64 could hold; None where one never loses it.

    The most that can be counted, 10^18, where it takes longer.
    """
    moving = (theory.curvature > 0) & (theory.error != 0)
    if not moving.any():
        return 1
    slowest = float(theory.response.log[moving].max())
    if slowest >= 0:
        return None
    alone = LOST / -slowest
    return min(math.ceil((LOST + math.log1p(alone)) / -slowest) + 1, MOST)  # where roots meet, t r^t is what falls


def batch_rate(problem: Problem, blocks: Iterable[Block], descent: Descent) -> float:
    """The learning rate for a descent in mini-batches, from ``blocks`` of (m, d) features and their weights, if any.

    A momentum mu makes steps ``1 / (1 - mu)`` times as long in the end, dampening ``1 - tau`` times, so the rate makes
    up for both.
    """
    means, scales, bias = problem.coordinates
    each = problem.weight / problem.n
    longest = 0.0
    for X, weights in blocks:
        moved = (X - means) / scales
        squares = np.einsum("ij,ij->i", moved, moved) + bias
        squares = squares if weights is None else squares * (weights / each)
        longest = max(longest, float(squares.max(initial=0.0)))
    size = min(descent.batch_size or problem.n, problem.n)
    steepest = 2 * longest / size + (1 - 1 / size) * problem.spectrum().largest + 2 * problem.ridge
    part = gradient_factor("mean", size * each) / gradient_factor(descent.reduction, size * each)
    steepest += part * descent.weight_decay
    damped = 1 - descent.dampening if descent.momentum else 1.0
    return part / steepest * (1 - descent.momentum) / damped if steepest > 0 else part
