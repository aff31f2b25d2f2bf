"""The steps of the engine hand, compiled: mini-batches at the speed of memory, all rows in one reading an epoch.

Rows are taken in the order that ``hand`` takes them in, so both end at the same parameters but for rounding. A block
of rows is copied out of the data first, and then walked: copies wait for nothing, steps wait for one another.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from descentlab.descent.reductions import CONVENTIONS, gradient_factor
from descentlab.engines import Stepping, length, not_sgd
from descentlab.engines.batches import Drawing, Feed, InMemory, Streamed
from descentlab.factor.build import cores
from descentlab.messages import Sentence, sentence
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem


MOST_BYTES = 256 << 20  # of rows in files: more than that is read anew for every epoch
CHUNKS = 256  # parts of the rows whose sums are added in order: the bits are the same for any number of threads
LEAST_CHUNK = 1 << 16  # numbers of a chunk, about, at least
SHARES = 4  # tasks a thread: one that is held up leaves the rest to the others
THREADED = 1 << 19  # numbers from which on waking threads costs less than it saves


class State(NamedTuple):
    """What steps move: parameters, momentum's buffer, the parameters' mean, and marks; see ``kernels.advance``."""

    params: Array
    buffer: Array
    mean: Array
    marks: Any

    def copy(self) -> State:
        """The same, in memory of its own."""
        return State(*(part.copy() for part in self))


class Minibatch(Stepping):
    """The loop by hand, compiled; see :class:`descentlab.engines.Engine`.

    With batches, the cost and the gradient that are looked at come from the factor, not from another pass. Rows of
    files that would take more than ``most_bytes`` are streamed, in an order that ``notices`` tells.
    """

    name = "minibatch"

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = MOST_BYTES if most_bytes is None else most_bytes
        self.notices: tuple[Sentence, ...] = ()

    @staticmethod
    def refuses(problem: Problem, descent: Descent) -> Sentence | None:
        reason = not_sgd(descent)
        if reason is not None:
            return reason
        if descent.device != "cpu":
            return sentence("refuses.device", device=descent.device)
        if not descent.zero_grad:
            return sentence("refuses.minibatch_zero_grad")
        if not problem.has_rows:
            return sentence("refuses.rows_gone")
        return None

    def start(self, problem: Problem, descent: Descent) -> None:
        from descentlab.engines import kernels

        self.kernels: Any = kernels
        self.problem, self.descent = problem, descent
        self.rates, self.epochs = descent.rates, descent.epochs
        self.kind = np.dtype(descent.dtype).type
        drawing = Drawing(np.random.default_rng(descent.seed) if descent.shuffle else None, descent.replacement)
        params = problem.start(descent.start).astype(self.kind)
        self.state = State(params, np.zeros_like(params), np.zeros(len(params)), np.zeros(3, dtype=np.int64))
        self.slot = np.zeros_like(params)
        self.recursion = np.array([descent.momentum, 1 - descent.dampening, float(descent.nesterov)], dtype=self.kind)
        self.ridge = np.zeros_like(params)
        self.ridge[: len(problem.features)] = problem.ridge
        self.fresh: Array | None = None
        self.broken = False
        if self._too_many:
            self.feed: Feed = Streamed(problem, len(params), drawing, kernels.gather, self.kind)
        else:
            self._take_rows()
            self.feed = InMemory((self.X, self.y, self.w), len(params), drawing, kernels.gather)
        self.notices = self.feed.notices

    @property
    def _too_many(self) -> bool:
        """Whether the rows stay in their files: where nothing needs all of them at hand, as drawing them anew does."""
        small = self.problem.n * (len(self.slot) + 1) * self.slot.itemsize <= self.most_bytes
        if small or self.descent.batch_size is None or self.descent.replacement:
            return False
        return self.problem.selection.source.reachable

    def _take_rows(self) -> None:
        """The rows, in the layout that is walked: row by row for batches, as they are for all rows at once."""
        rows = self.problem.descended_rows()
        layout: Literal["A", "C"] = "C" if self.descent.batch_size is not None or not rows.X.flags.f_contiguous else "A"
        self.X = np.asarray(rows.X, dtype=self.kind, order=layout)
        self.y = np.ascontiguousarray(rows.y, dtype=self.kind)
        given = np.empty(0) if rows.weights is None else rows.weights
        self.w = np.ascontiguousarray(given, dtype=self.kind)
        self.weight = float(self.w.sum()) if len(self.w) else len(self.y)
        if self.descent.batch_size is None:
            self.pool = ThreadPoolExecutor(cores())

    def look(self) -> tuple[Array, float, float]:
        params = self.state.params.astype(np.float64)
        if self.descent.batch_size is None:
            self.fresh, cost = self._gradient()
            return params, cost, length(self.fresh)
        quadratic, c = self.problem.quadratic, gradient_factor(self.descent.reduction, self.problem.weight)
        cost = np.inf if self.broken else float(self.kind(quadratic.cost(params)))  # beyond float32's range: inf
        return params, cost, length((c * quadratic.gradient(params)).astype(self.kind))

    def update(self, lr: float) -> None:
        rates = self.kind(lr), self.kind(self.descent.weight_decay), self.recursion
        self.state.marks[2] = self.descent.average is not None and self.done >= self.descent.average
        if self.descent.batch_size is None:
            fresh = self._gradient()[0] if self.fresh is None else self.fresh  # `look` may have been at this very point
            self.kernels.advance(self.state, fresh, rates)
        else:
            for block in self.feed.blocks(self.descent.batch_size):
                if not self._walk(block, self.descent.batch_size, rates):
                    break
        if self.state.marks[2] and self.done + 1 == self.epochs and not self.broken:
            self.state.params[:] = self.state.mean
        self.fresh = None

    def _gradient(self) -> tuple[Array, float]:
        """The gradient over all rows and their mean squared error, from one reading of X."""
        n, d = self.X.shape
        size = max(LEAST_CHUNK // d, -(-n // CHUNKS), 1)
        count = -(-n // size)
        out = np.empty((count, d + 2), dtype=self.kind)
        W, b = self.state.params[:d], self.kind(self.state.params[d] if self.problem.bias else 0)
        rows = self.X, self.y, self.w
        kernel = self.kernels.sums if self.X.flags.c_contiguous else self.kernels.sums_by_column
        parts = min(SHARES * cores(), count) if self.X.size >= THREADED else 1
        ends = [count * i // parts for i in range(parts + 1)]
        if parts == 1:
            kernel(rows, W, b, size, (0, count), out)
        else:
            tasks = [self.pool.submit(kernel, rows, W, b, size, part, out) for part in pairwise(ends)]
            for task in tasks:
                task.result()
        total = out.sum(axis=0)
        c = gradient_factor(self.descent.reduction, self.weight)
        gradient = np.empty_like(self.state.params)
        gradient[:d] = c * total[:d] + c * self.weight * self.problem.ridge * W
        gradient[d:] = c * total[d]
        return gradient, float(total[d + 1]) / self.weight

    def _walk(self, block: tuple[Array, Array, Array], batch: int, rates: tuple[Any, Any, Array]) -> bool:
        """The steps of a block; False where one of them left the range: then up to the one before it, as in hand.

        A parameter that is not finite never is again, so looking after the block is enough to know.
        """
        before = self.state.copy()
        self._steps(block, batch, rates)
        if np.isfinite(self.state.params).all():
            return True
        self.state = before
        for first in range(0, len(block[1]), batch):
            before = self.state.copy()
            x, t, w = (part[first : first + batch] for part in block)
            self._steps((x, t, w), batch, rates)
            if not np.isfinite(self.state.params).all():
                break
        self.state, self.broken = before, True
        return False

    def _steps(self, block: tuple[Array, Array, Array], batch: int, rates: tuple[Any, Any, Array]) -> None:
        c = CONVENTIONS[self.descent.reduction]
        if batch == 1:
            self.kernels.walk_singly(block, self.state, rates, self.ridge, c)
        else:
            self.kernels.walk(block, batch, self.state, self.slot, rates, self.ridge, c)
