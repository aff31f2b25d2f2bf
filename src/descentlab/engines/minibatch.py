"""The steps of the engine hand, compiled by numba; files larger than memory are streamed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from descentlab.engines.base import SteppingEngine, safe_norm
from descentlab.engines.batches import BatchSource, InMemoryBatches, RowSampler, StreamedBatches
from descentlab.factor.executors.threads import available_cores
from descentlab.messages import Message
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray

MAX_BYTES_IN_MEMORY = 256 << 20  # of rows in files: larger files are read again in every epoch
SUM_CHUNKS = 256  # parts of the rows whose sums are added in order: the bits are the same for any number of threads
MIN_CHUNK_VALUES = 1 << 16  # numbers in a chunk, roughly
TASKS_PER_THREAD = 4  # so that threads that are done take work from one that is delayed
THREAD_FROM_VALUES = 1 << 19  # numbers from which on threads save more time than starting them costs


class SGDState(NamedTuple):
    """Parameters, momentum buffer, the parameters' mean, and counters; see ``kernels.sgd_step``."""

    params: FloatArray
    buffer: FloatArray
    mean: FloatArray
    counters: Any

    def copy(self) -> SGDState:
        """A deep copy."""
        return SGDState(*(array.copy() for array in self))


class Minibatch(SteppingEngine):
    """The steps of :class:`descentlab.engines.hand.Hand`, compiled by numba.

    Batches take the rows in the same order as ``hand``, so both end at the same parameters up to rounding. A block
    of rows is copied out of the data before the steps on it: copies do not depend on one another, steps do. Without
    batches an epoch reads the rows once, with several threads. Cost and gradient of a snapshot come from the factor
    if there are batches. Rows of files that need more than ``max_bytes`` are streamed; ``notices`` states the order.

    >>> import numpy as np, descentlab as dl
    >>> problem = dl.Problem(np.arange(20.0).reshape(10, 2) % 7, np.arange(10.0))
    >>> settings = {"lr": 0.01, "epochs": 5, "batch_size": 3, "momentum": 0.5}
    >>> hand, fast = (dl.descend(problem, engine=name, **settings) for name in ("hand", "minibatch"))
    >>> np.testing.assert_allclose(fast.params, hand.params, rtol=1e-12)
    """

    name = "minibatch"
    limits = ("optimizer", "options", "device", "minibatch_zero_grad", "rows_gone")

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = MAX_BYTES_IN_MEMORY if max_bytes is None else max_bytes
        self.notices: tuple[Message, ...] = ()

    def initialize(self, problem: Problem, descent: Descent) -> None:
        from descentlab.engines import kernels

        self.kernels: Any = kernels
        self.problem, self.descent = problem, descent
        self.learning_rates, self.epochs = descent.learning_rates, descent.epochs
        self.dtype = np.dtype(descent.dtype).type
        sampler = RowSampler(np.random.default_rng(descent.seed) if descent.shuffle else None, descent.replacement)
        params = problem.scaled_params(descent.start).astype(self.dtype)
        self.state = SGDState(params, np.zeros_like(params), np.zeros(len(params)), np.zeros(3, dtype=np.int64))
        self.gradient_buffer = np.zeros_like(params)
        self.momentum_settings = np.array(
            [descent.momentum, 1 - descent.dampening, float(descent.nesterov)], dtype=self.dtype
        )
        self.ridge = np.zeros_like(params)
        self.ridge[: len(problem.features)] = problem.ridge
        self.cached_gradient: FloatArray | None = None
        self.overflowed = False
        if self._must_stream:
            self.batch_source: BatchSource = StreamedBatches(
                problem, len(params), sampler, kernels.copy_rows, self.dtype
            )
        else:
            self._load_rows()
            self.batch_source = InMemoryBatches((self.X, self.y, self.w), len(params), sampler, kernels.copy_rows)
        self.notices = self.batch_source.notices

    @property
    def _must_stream(self) -> bool:
        """Whether rows are too large for memory, and neither full batches nor replacement need all of them there."""
        size = self.problem.n * (len(self.gradient_buffer) + 1) * self.gradient_buffer.itemsize
        if size <= self.max_bytes or self.descent.batch_size is None or self.descent.replacement:
            return False
        return self.problem.selection.source.random_access

    def _load_rows(self) -> None:
        """Load the rows, row by row for batches and in their own layout for all rows at once."""
        rows = self.problem.scaled_rows()
        layout: Literal["A", "C"] = "C" if self.descent.batch_size is not None or not rows.X.flags.f_contiguous else "A"
        self.X = np.asarray(rows.X, dtype=self.dtype, order=layout)
        self.y = np.ascontiguousarray(rows.y, dtype=self.dtype)
        weights = np.empty(0) if rows.weights is None else rows.weights
        self.w = np.ascontiguousarray(weights, dtype=self.dtype)
        self.weight = float(self.w.sum()) if len(self.w) else len(self.y)
        if self.descent.batch_size is None:
            self.pool = ThreadPoolExecutor(available_cores())

    def snapshot(self) -> tuple[FloatArray, float, float]:
        params = self.state.params.astype(np.float64)
        if self.descent.batch_size is None:
            self.cached_gradient, cost = self._full_gradient()
            return params, cost, safe_norm(self.cached_gradient)
        quadratic, c = self.problem.quadratic, gradient_scale(self.descent.reduction, self.problem.weight)
        cost = np.inf if self.overflowed else float(self.dtype(quadratic.cost(params)))  # inf beyond float32's range
        return params, cost, safe_norm((c * quadratic.gradient(params)).astype(self.dtype))

    def run_epoch(self, lr: float) -> None:
        coefficients = self.dtype(lr), self.dtype(self.descent.weight_decay), self.momentum_settings
        self.state.counters[2] = self.descent.average is not None and self.epochs_done >= self.descent.average
        if self.descent.batch_size is None:
            # `snapshot` may have been at this point.
            gradient = self._full_gradient()[0] if self.cached_gradient is None else self.cached_gradient
            self.kernels.sgd_step(self.state, gradient, coefficients)
        else:
            for block in self.batch_source.blocks(self.descent.batch_size):
                if not self._run_block(block, self.descent.batch_size, coefficients):
                    break
        if self.state.counters[2] and self.epochs_done + 1 == self.epochs and not self.overflowed:
            self.state.params[:] = self.state.mean
        self.cached_gradient = None

    def _full_gradient(self) -> tuple[FloatArray, float]:
        """The gradient over all rows and their mean squared error, from one reading of X."""
        n, d = self.X.shape
        chunk_rows = max(MIN_CHUNK_VALUES // d, -(-n // SUM_CHUNKS), 1)
        chunk_count = -(-n // chunk_rows)
        out = np.empty((chunk_count, d + 2), dtype=self.dtype)
        W, b = self.state.params[:d], self.dtype(self.state.params[d] if self.problem.bias else 0)
        rows = self.X, self.y, self.w
        kernel = self.kernels.residual_sums if self.X.flags.c_contiguous else self.kernels.residual_sums_by_column
        task_count = min(TASKS_PER_THREAD * available_cores(), chunk_count) if self.X.size >= THREAD_FROM_VALUES else 1
        task_ends = [chunk_count * i // task_count for i in range(task_count + 1)]
        if task_count == 1:
            kernel(rows, W, b, chunk_rows, (0, chunk_count), out)
        else:
            for task in [self.pool.submit(kernel, rows, W, b, chunk_rows, ends, out) for ends in pairwise(task_ends)]:
                task.result()
        total = out.sum(axis=0)
        c = gradient_scale(self.descent.reduction, self.weight)
        gradient = np.empty_like(self.state.params)
        gradient[:d] = c * total[:d] + c * self.weight * self.problem.ridge * W
        gradient[d:] = c * total[d]
        return gradient, float(total[d + 1]) / self.weight

    def _run_block(
        self, block: tuple[FloatArray, FloatArray, FloatArray], batch: int, coefficients: tuple[Any, Any, FloatArray]
    ) -> bool:
        """Make the steps of a block; False if one overflowed: then up to the one before it, as in ``hand``.

        A parameter that is not finite stays so, hence one check after the block is enough.
        """
        before = self.state.copy()
        self._run_kernel(block, batch, coefficients)
        if np.isfinite(self.state.params).all():
            return True
        self.state = before
        for first in range(0, len(block[1]), batch):
            before = self.state.copy()
            x, t, w = (array[first : first + batch] for array in block)
            self._run_kernel((x, t, w), batch, coefficients)
            if not np.isfinite(self.state.params).all():
                break
        self.state, self.overflowed = before, True
        return False

    def _run_kernel(
        self, block: tuple[FloatArray, FloatArray, FloatArray], batch: int, coefficients: tuple[Any, Any, FloatArray]
    ) -> None:
        c = REDUCTIONS[self.descent.reduction]
        if batch == 1:
            self.kernels.run_single_rows(block, self.state, coefficients, self.ridge, c)
        else:
            self.kernels.run_batches(block, batch, self.state, self.gradient_buffer, coefficients, self.ridge, c)
