"""One update as a linear map of second moments, and the updates of an epoch as one such map.

The state is z = (e, m, 1): the error, momentum's buffer (left out without momentum), and a one. A batch B makes of it
``z' = A_B z``, and as batches are drawn independently of what came before,

    E[z' z''] = E[A_B Z A_B'] = A Z A' + (c^2 / b) G C(Z) G',    Z = E[z z']

where A is the mean step, C(Z) the covariance of one row's part of the gradient
(:mod:`descentlab.theory.minibatch.row_moments`),
c the factor of a batch's mean of those parts, and G what a step does with a gradient. The map is linear in Z, so
an epoch is a matrix, however many updates it has (cf. A. Defossez and F. Bach, *Averaged least-mean-squares:
bias-variance trade-offs and optimal sampling distributions*, AISTATS 2015, whose operator T is this one without
momentum).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_factor
from descentlab.problem.problem import Problem
from descentlab.theory.minibatch.row_moments import Moments
from descentlab.typing import Array, Integers


@dataclass(frozen=True, eq=False)
class Epoch:
    """The second moments from one epoch to the next, for one learning rate.

    Attributes:
        moments: of the rows, about a center.
        problem, descent: whose ridge, and whose settings but the rate.
        lr: the rate.
    """

    moments: Moments
    problem: Problem
    descent: Descent
    lr: float

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many batches of an epoch are whole, the rows of one of them, and the rows of a last shorter one."""
        assert self.descent.batch_size is not None
        size = min(self.descent.batch_size, self.problem.n)
        return self.problem.n // size, size, self.problem.n % size

    @property
    def updates(self) -> int:
        """Updates an epoch."""
        whole, _, rest = self.sizes
        return whole + (rest > 0)

    @cached_property
    def width(self) -> int:
        """Entries of z."""
        return (2 if self.descent.momentum else 1) * len(self.moments.slope) + 1

    @cached_property
    def pairs(self) -> tuple[Integers, ...]:
        """The entries of Z that are kept: it is symmetric. The last is E[1] = 1."""
        return np.triu_indices(self.width)

    def pull(self, size: int) -> tuple[Array, Array, float]:
        """(k, k) and (k,) of the mean gradient ``H e + h`` of a batch of so many rows, and its c."""
        V, problem = self.moments.V, self.problem
        c = gradient_factor(self.descent.reduction, size) * size
        ridge = np.full(len(V), problem.ridge)
        ridge[len(problem.features) :] = 0.0
        decay = self.descent.weight_decay
        H = c * (self.moments.curvature + (V.T * ridge) @ V) + decay * np.eye(V.shape[1])
        h = c * (self.moments.slope + V.T @ (ridge * self.moments.center)) + decay * (V.T @ self.moments.center)
        return H, h, c

    def step(self, size: int, first: bool = False) -> tuple[Array, Array]:
        """(w, w) the mean step A, and (w, k) what a step does with a gradient: G, but for the sign of e.

        The ``first`` step of a run starts momentum's buffer with the gradient itself.
        """
        H, h, _ = self.pull(size)
        k, mu = len(h), self.descent.momentum
        keep = 1.0 if first else 1 - self.descent.recursion["dampening"]
        of_gradient = 1 + mu * keep if self.descent.nesterov else keep if mu else 1.0
        of_buffer = 0.0 if first else mu * mu if self.descent.nesterov else mu
        G = np.zeros((self.width, k))
        G[:k] = -self.lr * of_gradient * np.eye(k)
        A = np.zeros((self.width, self.width))
        A[:k, :k], A[-1, -1] = np.eye(k), 1.0
        if mu:
            G[k : 2 * k] = keep * np.eye(k)
            A[:k, k : 2 * k] = -self.lr * of_buffer * np.eye(k)
            A[k : 2 * k, k : 2 * k] = (0.0 if first else mu) * np.eye(k)
        A[:, :k] += G @ H
        A[:, -1] += G @ h
        return A, G

    def update(self, size: int, first: bool = False) -> Array:
        """The matrix of one update's map, on the kept entries of Z."""
        A, G = self.step(size, first)
        c, count = self.pull(size)[2], len(self.pairs[0])
        Z = np.zeros((count, self.width, self.width))
        Z[np.arange(count), self.pairs[0], self.pairs[1]] = 1.0
        Z[np.arange(count), self.pairs[1], self.pairs[0]] = 1.0
        seen = [*range(len(self.moments.slope)), self.width - 1]  # e and 1, which the gradient depends on
        noise = self.moments.covariance(Z[:, seen][:, :, seen])
        after = A @ Z @ A.T + c * c / size * (G @ noise @ G.T)
        return np.ascontiguousarray(after[:, self.pairs[0], self.pairs[1]].T)

    @cached_property
    def map(self) -> Array:
        """The matrix of an epoch's map, after the first."""
        whole, size, rest = self.sizes
        return self._then(np.linalg.matrix_power(self.update(size), whole), rest)

    @cached_property
    def first(self) -> Array:
        """The matrix of the first epoch's map."""
        whole, size, rest = self.sizes
        later = np.linalg.matrix_power(self.update(size), whole - 1)
        return self._then(later @ self.update(size, first=True), rest)

    def _then(self, before: Array, rest: int) -> Array:
        return self.update(rest) @ before if rest else before

    @cached_property
    def radius(self) -> float:
        """What an update multiplies the squares of errors by in the long run: the spectral radius of E[A_B (x) A_B].

        Where the epoch's last batch is shorter, the geometric mean over an epoch.
        """
        whole, size, rest = self.sizes
        errors = np.flatnonzero(self.pairs[1] < self.width - 1)  # without the one: what is linear in E[ee']
        if not errors.size:
            return 0.0
        matrix = (self.map if rest else self.update(size))[np.ix_(errors, errors)]
        if not np.isfinite(matrix).all():
            return np.inf
        return float(np.abs(np.linalg.eigvals(matrix)).max() ** (1 / (whole + 1 if rest else 1)))

    @cached_property
    def settled(self) -> Array | None:
        """The kept entries of Z after ever more epochs; None where they grow without end."""
        if self.radius >= 1:
            return None
        moving, still = self.map[:-1, :-1], self.map[:-1, -1]
        return np.append(np.linalg.solve(np.eye(len(moving)) - moving, still), 1.0)

    def begin(self, error: Array) -> Array:
        """The kept entries of Z for an error that is known, and no momentum yet."""
        z = np.zeros(self.width)
        z[: len(error)], z[-1] = error, 1.0
        products: Array = z[self.pairs[0]] * z[self.pairs[1]]
        return products

    def cost(self, Z: Array) -> float:
        """The expected mean squared error: ``mse + 2 g'E[e] + tr(S E[ee'])``."""
        k = len(self.moments.slope)
        full = np.zeros((self.width, self.width))
        full[self.pairs] = full.T[self.pairs] = Z
        excess = 2 * self.moments.slope @ full[:k, -1] + np.sum(self.moments.curvature * full[:k, :k])
        return float(self.moments.mse + excess)
