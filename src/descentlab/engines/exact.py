"""Closed form from the factor: any epoch of a full-batch descent, at a cost that does not depend on the rows.

In the eigenbasis V of the Hessian ``H = c S'S = V diag(lambda) V'`` every direction obeys a scalar recursion.
With ``q = V'(p - p_0)`` and the gradient at the start ``V'g_0 = c s (U'r_0)``, plain descent is

    q(t) = -(1 - f_t) / a * gamma,    f_t = product of (1 - lr_k a),    a = lambda + weight decay

and momentum is a 2x2 recursion whose t-th power is taken by repeated squaring. Working from the start, not from
the minimum, keeps every digit of directions in which descent has hardly begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.descent.reductions import gradient_factor
from descentlab.descent.residual_polynomial import geometric_sum
from descentlab.engines import Look, not_sgd
from descentlab.messages import Sentence, sentence
from descentlab.typing import Array, Integers

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


CHUNK = 1 << 16  # numbers a chunk of epochs may hold: large enough for NumPy, small enough for the cache


class Exact:
    """Gradient descent without stepping; see :class:`descentlab.engines.Engine`."""

    name = "exact"
    jumps = True

    @staticmethod
    def refuses(problem: Problem, descent: Descent) -> Sentence | None:
        reason = not_sgd(descent)
        if reason is not None:
            return reason
        if descent.batch_size is not None:
            return sentence("refuses.batches")
        if descent.average is not None:
            return sentence("refuses.average")
        if descent.dtype != "float64":
            return sentence("refuses.dtype", dtype=descent.dtype)
        if descent.device != "cpu":
            return sentence("refuses.device", device=descent.device)
        if not descent.foreseeable:
            return sentence("refuses.zero_grad")
        return None

    def start(self, problem: Problem, descent: Descent) -> None:
        self.quadratic, self.descent = problem.quadratic, descent
        modes = self.quadratic.modes
        c = gradient_factor(descent.reduction, problem.weight)
        self.origin = problem.start(descent.start)
        self.V = modes.V
        self.curvature = np.zeros(len(self.origin))
        self.curvature[: modes.rank] = c * modes.s**2
        self.slope = np.zeros(len(self.origin))  # V'g at the start; exactly 0 in flat directions
        residual = self.quadratic.stacked @ self.origin - self.quadratic.stacked_target
        self.slope[: modes.rank] = c * modes.s * (modes.U.T @ residual)
        self.jumps = descent.schedule is None
        decay = descent.weight_decay
        self.rate = self.curvature + decay
        self.pull = self.slope + decay * (self.V.T @ self.origin)
        # Where a walk under a schedule stands: it has no closed form to jump by.
        self._q: Array = np.zeros_like(self.rate)
        self._m: Array | None = None
        self._done = 0

    def visit(self, epochs: Iterable[int]) -> Iterator[Look]:
        size = max(16, CHUNK // len(self.origin))
        remaining = iter(epochs)
        if not self.jumps:
            yield from self._visit_scheduled(remaining, size)
            return
        while chunk := list(islice(remaining, size)):
            numbers = np.array(chunk, dtype=np.int64)
            if self.descent.effective_momentum == 0:
                yield self._look(numbers, self._plain(numbers - 1))
            else:
                yield self._look(numbers, self._with_momentum(numbers - 1))

    def _look(self, epochs: Any, q: Array) -> Look:
        with np.errstate(over="ignore", invalid="ignore"):
            params = self.origin + q @ self.V.T
            cost = self.quadratic.cost(params)
            gradient = self.slope + self.curvature * q
            largest = np.abs(gradient).max(axis=1, initial=0.0)  # squares of it may leave float64's range
            norm = largest * np.linalg.norm(gradient / np.where(largest > 0, largest, 1.0)[:, None], axis=1)
        return Look(epochs, params, cost, norm)

    def _plain(self, t: Integers) -> Array:
        """(k, p) displacements after t updates at a constant rate."""
        lr, after = self.descent.lr, t[:, None].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = -lr * self.pull * geometric_sum(lr * self.rate, after)
        return np.where(after == 0, 0.0, moved)  # also where lr times the pull is infinite

    def _with_momentum(self, t: Integers) -> Array:
        """(k, p) displacements after t updates with momentum; t ascends in equal steps."""
        first, step = int(t[0]), int(t[1] - t[0]) if len(t) > 1 else 1
        with np.errstate(over="ignore", invalid="ignore"):
            if first == 0:  # the first update starts the buffer and is not part of the recursion
                rest = self._with_momentum(t[1:]) if len(t) > 1 else np.empty((0, len(self.rate)))
                return np.vstack([np.zeros((1, len(self.rate))), rest])
            states = _advance(_power(self._recursion(), first - 1), self._after_first()[None])
            stride = _power(self._recursion(), step)
            while len(states) < len(t):  # each pass doubles how many epochs are known
                states = np.concatenate([states, _advance(stride, states)])
                stride = _square(stride)
            return states[: len(t), :, 0]

    def _after_first(self) -> Array:
        """(p, 3) states (q, m, 1) after the first update; m is the buffer times lr."""
        mu, g = self.descent.effective_momentum, self.descent.lr * self.pull
        moved = -(g + mu * g) if self.descent.nesterov else -g
        return np.stack([moved, g, np.ones_like(g)], axis=1)

    def _recursion(self) -> Array:
        """(p, 3, 3) one update of (q, m, 1), minus the identity: what stays after it is not rounded away."""
        mu, tau = self.descent.effective_momentum, self.descent.recursion["dampening"]
        x, g = self.descent.lr * self.rate, self.descent.lr * self.pull
        N = np.zeros((len(x), 3, 3))
        N[:, 1, 0], N[:, 1, 1], N[:, 1, 2] = (1 - tau) * x, mu - 1, (1 - tau) * g
        if self.descent.nesterov:
            N[:, 0, 0], N[:, 0, 1], N[:, 0, 2] = -(1 + mu) * x, -mu * mu, -(1 + mu) * g
        else:
            N[:, 0, 0], N[:, 0, 1], N[:, 0, 2] = -(1 - tau) * x, -mu, -(1 - tau) * g
        return N

    def _visit_scheduled(self, epochs: Iterator[int], size: int) -> Iterator[Look]:
        """A changing rate has no closed form in t: the recursion walks every epoch, in all directions at once."""
        while chunk := list(islice(epochs, size)):
            rates = self.descent.rates(np.arange(self._done, chunk[-1] - 1))
            seen = np.empty((len(chunk), len(self.rate)))
            first = self._done
            for row, epoch in enumerate(chunk):
                while self._done < epoch - 1:
                    self._scheduled_update(rates[self._done - first])
                seen[row] = self._q
            yield self._look(np.array(chunk), seen)

    def _scheduled_update(self, lr: float) -> None:
        mu = self.descent.effective_momentum
        with np.errstate(over="ignore", invalid="ignore"):
            d = self.rate * self._q + self.pull
            if mu:
                self._m = d if self._m is None else mu * self._m + (1 - self.descent.recursion["dampening"]) * d
                d = d + mu * self._m if self.descent.nesterov else self._m
            self._q = self._q - lr * d
        self._done += 1


def _square(N: Array) -> Array:
    """``(I + N)^2 - I``."""
    doubled: Array = 2 * N + N @ N
    return doubled


def _power(N: Array, t: int) -> Array:
    """``(I + N)^t - I`` by repeated squaring."""
    result = np.zeros_like(N)
    while t:
        if t & 1:
            result = result + N + result @ N
        t >>= 1
        if t:
            N = _square(N)
    return result


def _advance(N: Array, states: Array) -> Array:
    """(k, p, 3) states after one application of ``I + N``."""
    moved: Array = states + np.einsum("pij,kpj->kpi", N, states)
    return moved
