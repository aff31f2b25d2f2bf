"""Compress pieces in threads. Reading, decoding and LAPACK release Python's global lock, so threads use all cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from descentlab.errors import check_int
from descentlab.factor.executors.base import Executor, ResultT, TaskT


class Threads(Executor):
    """Threads of this process.

    Args:
        workers: the number of threads (default: the number of cores).

    Raises:
        SettingError: ``workers`` is less than 1.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = available_cores() if workers is None else check_int("workers", workers, 1)

    def map_ordered(
        self, task: Callable[[TaskT], ResultT], pieces: Iterable[TaskT], first_index: int
    ) -> Iterator[ResultT]:
        from threadpoolctl import threadpool_limits

        pending: deque[Future[ResultT]] = deque()
        # The products are too small to gain from BLAS's own threads, which would compete with these for the cores.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(self.workers) as pool:
            try:
                for piece in pieces:
                    pending.append(pool.submit(task, piece))
                    if len(pending) > self.workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
