"""Compress pieces on a Dask cluster. Each piece is a task, and pieces are merged in pairs where the tree merges them.

So the result equals that of one core to the last bit. If a worker dies, Dask runs its tasks on another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from descentlab.data.source import Piece
from descentlab.dependencies import require
from descentlab.errors import SettingError, check_int
from descentlab.factor.executors.base import Executor
from descentlab.factor.piece_result import PieceResult

GROUP_SIZE = 8  # pieces merged before a result is sent back
CONNECT_TIMEOUT = 20  # seconds
DASK_SCHEME = "dask://"


class Dask(Executor):
    """A Dask cluster.

    Args:
        where: a scheduler's address (``"dask://host:8786"`` or ``"tcp://host:8786"``), a ``distributed.Client``,
            or None to start processes on this machine, which end with the work.
        workers: the number of these processes (default: the number of cores).

    Raises:
        MissingDependencyError: Dask's ``distributed`` is not installed.
        SettingError: ``workers`` is given for an existing cluster.
    """

    def __init__(self, where: Any = None, workers: int | None = None) -> None:
        self.distributed = require("distributed", "distributed", "dask", "dask")
        self.workers = None if workers is None else check_int("workers", workers, 1)
        if isinstance(where, str):
            address = where.removeprefix(DASK_SCHEME)
            where = None if address in ("", "dask") else address
            if where is not None and "://" not in where:
                where = f"tcp://{where}"
        if where is not None and workers is not None:
            raise SettingError("workers_of_scheduler")
        self.where = where

    def map_ordered(
        self, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
    ) -> Iterator[PieceResult]:
        if self.where is None:
            with (
                self.distributed.LocalCluster(
                    n_workers=self.workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
                ) as cluster,
                self.distributed.Client(cluster) as client,
            ):
                yield from self._run_on(client, task, pieces, first_index)
        elif isinstance(self.where, str):
            with self._connect(self.where) as client:
                yield from self._run_on(client, task, pieces, first_index)
        else:
            yield from self._run_on(self.where, task, pieces, first_index)

    def _connect(self, address: str) -> Any:
        try:
            return self.distributed.Client(address, timeout=CONNECT_TIMEOUT)
        except (OSError, TimeoutError, ValueError) as cause:
            raise SettingError("no_scheduler", address=address, cause=str(cause)[:200]) from cause

    def _run_on(
        self, client: Any, task: Callable[[Piece], PieceResult], pieces: Iterable[Piece], first_index: int
    ) -> Iterator[PieceResult]:
        remaining = iter(pieces)
        pending: deque[Any] = deque()
        window = 2 * max(sum(client.nthreads().values()), 1) + GROUP_SIZE
        pieces_in_flight = 0
        try:
            pieces_to_group_end = -first_index % GROUP_SIZE  # until groups are aligned with the tree
            while group := list(islice(remaining, pieces_to_group_end or GROUP_SIZE)):
                pieces_to_group_end = 0
                futures = [client.submit(task, piece, pure=False) for piece in group]
                pieces_in_flight += len(group)
                for future in _merge_group(client, futures) if len(group) == GROUP_SIZE else futures:
                    pending.append(future)
                while pieces_in_flight > window:
                    result = pending.popleft().result()
                    pieces_in_flight -= 1 << result.level
                    yield result
            while pending:
                yield pending.popleft().result()
        except self.distributed.KilledWorker as cause:
            raise SettingError("workers_die", cause=str(cause)[:200]) from cause
        finally:
            client.cancel(list(pending))


def _merge_group(client: Any, futures: list[Any]) -> list[Any]:
    """Merge the results of a whole group in pairs, on the cluster."""
    while len(futures) > 1:
        futures = [
            client.submit(PieceResult.merge, a, b, pure=False) for a, b in zip(futures[::2], futures[1::2], strict=True)
        ]
    return futures
