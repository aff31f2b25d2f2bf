"""An update, and an epoch, of mini-batches as a linear map of the second moments of the error.

The state is z = (e, m, 1): the error, the momentum buffer (absent without momentum), and a one. A batch B maps it to
``A_B z``, and batches are independent, so

    E[A_B z (A_B z)'] = A Z A' + (c^2 / b) G C(Z) G',    Z = E[z z']

with A the mean step, C(Z) the covariance of one row's contribution to the gradient
(:mod:`descentlab.theory.minibatch.row_moments`), c the scale of a batch's mean of these, and G the effect of a
gradient on the state. The map is linear in Z, so an epoch is one matrix (cf. A. Defossez and F. Bach, *Averaged
least-mean-squares: bias-variance trade-offs and optimal sampling distributions*, AISTATS 2015, whose operator T is
this one without momentum).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.problem.problem import Problem
from descentlab.theory.minibatch.row_moments import Moments
from descentlab.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class EpochOperator:
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
    def batch_sizes(self) -> tuple[int, int, int]:
        """The number of full batches in an epoch, their rows, and the rows of a shorter last batch."""
        assert self.descent.batch_size is not None
        size = min(self.descent.batch_size, self.problem.n)
        return self.problem.n // size, size, self.problem.n % size

    @property
    def updates(self) -> int:
        """Updates in an epoch."""
        full_batches, _, last_size = self.batch_sizes
        return full_batches + (last_size > 0)

    @cached_property
    def state_size(self) -> int:
        """Entries of z."""
        return (2 if self.descent.momentum else 1) * len(self.moments.mean_gradient) + 1

    @cached_property
    def kept_entries(self) -> tuple[IntArray, ...]:
        """The indices of the upper triangle of Z, which is symmetric. The last is E[1] = 1."""
        return np.triu_indices(self.state_size)

    def mean_gradient(self, size: int) -> tuple[FloatArray, FloatArray, float]:
        """H (k, k) and h (k,) of the mean gradient ``H e + h`` of a batch of ``size`` rows, and its c."""
        V, problem = self.moments.directions, self.problem
        c = gradient_scale(self.descent.reduction, size) * size
        ridge = np.full(len(V), problem.ridge)
        ridge[len(problem.features) :] = 0.0
        weight_decay = self.descent.weight_decay
        H = c * (self.moments.curvature + (V.T * ridge) @ V) + weight_decay * np.eye(V.shape[1])
        h = c * (self.moments.mean_gradient + V.T @ (ridge * self.moments.center)) + weight_decay * (
            V.T @ self.moments.center
        )
        return H, h, c

    def mean_step(self, size: int, first: bool = False) -> tuple[FloatArray, FloatArray]:
        """(w, w) the mean step A, and (w, k) the effect G of a gradient; the first step starts the buffer with it."""
        H, h, _ = self.mean_gradient(size)
        k, mu = len(h), self.descent.momentum
        gradient_weight = 1.0 if first else 1 - self.descent.momentum_settings["dampening"]
        step_per_gradient = 1 + mu * gradient_weight if self.descent.nesterov else gradient_weight if mu else 1.0
        step_per_buffer = 0.0 if first else mu * mu if self.descent.nesterov else mu
        G = np.zeros((self.state_size, k))
        G[:k] = -self.lr * step_per_gradient * np.eye(k)
        A = np.zeros((self.state_size, self.state_size))
        A[:k, :k], A[-1, -1] = np.eye(k), 1.0
        if mu:
            G[k : 2 * k] = gradient_weight * np.eye(k)
            A[:k, k : 2 * k] = -self.lr * step_per_buffer * np.eye(k)
            A[k : 2 * k, k : 2 * k] = (0.0 if first else mu) * np.eye(k)
        A[:, :k] += G @ H
        A[:, -1] += G @ h
        return A, G

    def update_matrix(self, size: int, first: bool = False) -> FloatArray:
        """The matrix of one update's map on the kept entries of Z."""
        A, G = self.mean_step(size, first)
        c, count = self.mean_gradient(size)[2], len(self.kept_entries[0])
        Z = np.zeros((count, self.state_size, self.state_size))
        Z[np.arange(count), self.kept_entries[0], self.kept_entries[1]] = 1.0
        Z[np.arange(count), self.kept_entries[1], self.kept_entries[0]] = 1.0
        inputs = [*range(len(self.moments.mean_gradient)), self.state_size - 1]  # e and 1: those of the gradient
        gradient_covariance = self.moments.gradient_covariance(Z[:, inputs][:, :, inputs])
        second_moments = A @ Z @ A.T + c * c / size * (G @ gradient_covariance @ G.T)
        return np.ascontiguousarray(second_moments[:, self.kept_entries[0], self.kept_entries[1]].T)

    @cached_property
    def epoch_matrix(self) -> FloatArray:
        """The matrix of an epoch's map, after the first."""
        full_batches, size, last_size = self.batch_sizes
        return self._with_last_batch(np.linalg.matrix_power(self.update_matrix(size), full_batches), last_size)

    @cached_property
    def first_epoch_matrix(self) -> FloatArray:
        """The matrix of the first epoch's map."""
        full_batches, size, last_size = self.batch_sizes
        later_batches = np.linalg.matrix_power(self.update_matrix(size), full_batches - 1)
        return self._with_last_batch(later_batches @ self.update_matrix(size, first=True), last_size)

    def _with_last_batch(self, full_batches_matrix: FloatArray, last_size: int) -> FloatArray:
        return self.update_matrix(last_size) @ full_batches_matrix if last_size else full_batches_matrix

    @cached_property
    def spectral_radius(self) -> float:
        """The long-run factor of an update on squares of errors: the spectral radius of E[A_B (x) A_B].

        If the last batch of an epoch is shorter, it is the geometric mean over an epoch.
        """
        full_batches, size, last_size = self.batch_sizes
        errors = np.flatnonzero(self.kept_entries[1] < self.state_size - 1)  # all but those of the one
        if not errors.size:
            return 0.0
        matrix = (self.epoch_matrix if last_size else self.update_matrix(size))[np.ix_(errors, errors)]
        if not np.isfinite(matrix).all():
            return np.inf
        return float(np.abs(np.linalg.eigvals(matrix)).max() ** (1 / (full_batches + 1 if last_size else 1)))

    @cached_property
    def stationary_moments(self) -> FloatArray | None:
        """The limit of the kept entries of Z; None if they grow without bound."""
        if self.spectral_radius >= 1:
            return None
        linear_part, constant_part = self.epoch_matrix[:-1, :-1], self.epoch_matrix[:-1, -1]
        return np.append(np.linalg.solve(np.eye(len(linear_part)) - linear_part, constant_part), 1.0)

    def initial_moments(self, error: FloatArray) -> FloatArray:
        """The kept entries of Z for a known error and an empty buffer."""
        z = np.zeros(self.state_size)
        z[: len(error)], z[-1] = error, 1.0
        products: FloatArray = z[self.kept_entries[0]] * z[self.kept_entries[1]]
        return products

    def cost(self, Z: FloatArray) -> float:
        """The expected mean squared error: ``mse + 2 g'E[e] + tr(S E[ee'])``."""
        k = len(self.moments.mean_gradient)
        full = np.zeros((self.state_size, self.state_size))
        full[self.kept_entries] = full.T[self.kept_entries] = Z
        cost_increase = 2 * self.moments.mean_gradient @ full[:k, -1] + np.sum(self.moments.curvature * full[:k, :k])
        return float(self.moments.mse + cost_increase)
