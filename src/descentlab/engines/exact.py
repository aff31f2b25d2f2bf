"""Closed form from the factor: any epoch of a full-batch descent, at a cost that does not depend on the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.descent.residual_polynomial import geometric_sum
from descentlab.engines.base import Snapshots
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray, IntArray

CHUNK_VALUES = 1 << 16  # numbers in a chunk of epochs: large enough for NumPy, small enough for the cache


class Exact:
    """Full-batch SGD without stepping: the parameters after t updates for the cost of a matrix product.

    In the eigenbasis V of the Hessian ``H = c S'S = V diag(lambda) V'`` every direction obeys a scalar recursion.
    With ``q = V'(p - p_0)`` and the gradient at the start ``V'g_0 = c s (U'r_0)``, plain descent is

        q(t) = -(1 - f_t) / a * gamma,    f_t = product of (1 - lr_k a),    a = lambda + weight decay

    and momentum is a 2x2 recursion whose t-th power is taken by repeated squaring. Displacements are counted from
    the start, not from the minimum, so that directions in which descent has hardly begun keep every digit. Under a
    schedule there is no closed form in t: the recursion steps through every epoch, in all directions at once.

    >>> import descentlab as dl
    >>> problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)  # H = 2 * 14 / 3, minimum W = 1
    >>> run = dl.descend(problem, engine="exact", lr=0.001, epochs=10**6, every=10**5)
    >>> float(run.history.params[1, 0]) == 1 - (1 - 0.001 * 28 / 3) ** 10**5
    True
    """

    name = "exact"
    limits = ("optimizer", "options", "batches", "average", "dtype", "device", "zero_grad")
    random_access = True

    def initialize(self, problem: Problem, descent: Descent) -> None:
        self.quadratic, self.descent = problem.quadratic, descent
        modes = self.quadratic.svd
        c = gradient_scale(descent.reduction, problem.weight)
        self.initial_params = problem.scaled_params(descent.start)
        self.V = modes.V
        self.eigenvalues = np.zeros(len(self.initial_params))
        self.eigenvalues[: modes.rank] = c * modes.s**2
        self.initial_gradient = np.zeros(len(self.initial_params))  # V'g at the start; exactly 0 in flat directions
        residual = self.quadratic.augmented @ self.initial_params - self.quadratic.augmented_target
        self.initial_gradient[: modes.rank] = c * modes.s * (modes.U.T @ residual)
        self.random_access = descent.schedule is None
        weight_decay = descent.weight_decay
        self.regularized_eigenvalues = self.eigenvalues + weight_decay
        self.regularized_gradient = self.initial_gradient + weight_decay * (self.V.T @ self.initial_params)
        # The state under a schedule, which has no closed form in t.
        self._displacement: FloatArray = np.zeros_like(self.regularized_eigenvalues)
        self._buffer: FloatArray | None = None
        self._epochs_done = 0

    def snapshots_at(self, epochs: Iterable[int]) -> Iterator[Snapshots]:
        size = max(16, CHUNK_VALUES // len(self.initial_params))
        remaining = iter(epochs)
        if not self.random_access:
            yield from self._snapshots_scheduled(remaining, size)
            return
        while chunk := list(islice(remaining, size)):
            chunk_epochs = np.array(chunk, dtype=np.int64)
            if self.descent.effective_momentum == 0:
                yield self._make_snapshots(chunk_epochs, self._displacements(chunk_epochs - 1))
            else:
                yield self._make_snapshots(chunk_epochs, self._displacements_with_momentum(chunk_epochs - 1))

    def _make_snapshots(self, epochs: Any, q: FloatArray) -> Snapshots:
        with np.errstate(over="ignore", invalid="ignore"):
            params = self.initial_params + q @ self.V.T
            cost = self.quadratic.cost(params)
            gradient = self.initial_gradient + self.eigenvalues * q
            largest = np.abs(gradient).max(axis=1, initial=0.0)  # squares of it may leave float64's range
            norm = largest * np.linalg.norm(gradient / np.where(largest > 0, largest, 1.0)[:, None], axis=1)
        return Snapshots(epochs, params, cost, norm)

    def _displacements(self, t: IntArray) -> FloatArray:
        """(k, p) displacements after t updates at a constant rate."""
        lr, updates = self.descent.lr, t[:, None].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            displacements = -lr * self.regularized_gradient * geometric_sum(lr * self.regularized_eigenvalues, updates)
        return np.where(updates == 0, 0.0, displacements)  # also where lr times the eigenvalue is infinite

    def _displacements_with_momentum(self, t: IntArray) -> FloatArray:
        """(k, p) displacements after t updates with momentum; t ascends in equal steps."""
        if not len(t):
            return np.empty((0, len(self.regularized_eigenvalues)))
        first, step = int(t[0]), int(t[1] - t[0]) if len(t) > 1 else 1
        with np.errstate(over="ignore", invalid="ignore"):
            if first == 0:  # the first update starts the buffer and is not part of the recursion
                start = np.zeros((1, len(self.regularized_eigenvalues)))
                return np.vstack([start, self._displacements_with_momentum(t[1:])])
            update = self._update_minus_identity()
            states = _apply(_power_minus_identity(update, first - 1), self._state_after_first()[None])
            stride = _power_minus_identity(update, step)
            while len(states) < len(t):  # each pass doubles how many epochs are known
                states = np.concatenate([states, _apply(stride, states)])
                stride = _square_minus_identity(stride)
            return states[: len(t), :, 0]

    def _state_after_first(self) -> FloatArray:
        """(p, 3) states (q, m, 1) after the first update; m is the buffer times lr."""
        mu, g = self.descent.effective_momentum, self.descent.lr * self.regularized_gradient
        displacement = -(g + mu * g) if self.descent.nesterov else -g
        return np.stack([displacement, g, np.ones_like(g)], axis=1)

    def _update_minus_identity(self) -> FloatArray:
        """(p, 3, 3) one update of (q, m, 1), minus the identity, so that small changes are not rounded away."""
        mu, tau = self.descent.effective_momentum, self.descent.momentum_settings["dampening"]
        x, g = self.descent.lr * self.regularized_eigenvalues, self.descent.lr * self.regularized_gradient
        N = np.zeros((len(x), 3, 3))
        N[:, 1, 0], N[:, 1, 1], N[:, 1, 2] = (1 - tau) * x, mu - 1, (1 - tau) * g
        if self.descent.nesterov:
            N[:, 0, 0], N[:, 0, 1], N[:, 0, 2] = -(1 + mu) * x, -mu * mu, -(1 + mu) * g
        else:
            N[:, 0, 0], N[:, 0, 1], N[:, 0, 2] = -(1 - tau) * x, -mu, -(1 - tau) * g
        return N

    def _snapshots_scheduled(self, epochs: Iterator[int], size: int) -> Iterator[Snapshots]:
        """The snapshots under a schedule: the recursion steps through every epoch."""
        while chunk := list(islice(epochs, size)):
            rates = self.descent.learning_rates(np.arange(self._epochs_done, chunk[-1] - 1))
            displacements = np.empty((len(chunk), len(self.regularized_eigenvalues)))
            first = self._epochs_done
            for row, epoch in enumerate(chunk):
                while self._epochs_done < epoch - 1:
                    self._step_scheduled(rates[self._epochs_done - first])
                displacements[row] = self._displacement
            yield self._make_snapshots(np.array(chunk), displacements)

    def _step_scheduled(self, lr: float) -> None:
        mu = self.descent.effective_momentum
        with np.errstate(over="ignore", invalid="ignore"):
            d = self.regularized_eigenvalues * self._displacement + self.regularized_gradient
            if mu:
                tau = self.descent.momentum_settings["dampening"]
                self._buffer = d if self._buffer is None else mu * self._buffer + (1 - tau) * d
                d = d + mu * self._buffer if self.descent.nesterov else self._buffer
            self._displacement = self._displacement - lr * d
        self._epochs_done += 1


def _square_minus_identity(N: FloatArray) -> FloatArray:
    """``(I + N)^2 - I``."""
    doubled: FloatArray = 2 * N + N @ N
    return doubled


def _power_minus_identity(N: FloatArray, t: int) -> FloatArray:
    """``(I + N)^t - I`` by repeated squaring."""
    result = np.zeros_like(N)
    while t:
        if t & 1:
            result = result + N + result @ N
        t >>= 1
        if t:
            N = _square_minus_identity(N)
    return result


def _apply(N: FloatArray, states: FloatArray) -> FloatArray:
    """(k, p, 3) states after one application of ``I + N``."""
    advanced: FloatArray = states + np.einsum("pij,kpj->kpi", N, states)
    return advanced
