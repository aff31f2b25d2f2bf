"""Dask as an engine: pieces are tasks, joined in pairs where the tree joins them, so the bits are those of one core.

A worker that is lost costs nothing but time: Dask does its tasks again elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from descentlab.data.source import Piece
from descentlab.errors import SettingError, require, whole_number
from descentlab.factor.build import Part

GROUP = 8  # pieces that are joined before a result travels back
PATIENCE = 20  # seconds for a scheduler to answer
SCHEME = "dask://"


class Dask:
    """A Dask cluster.

    Args:
        where: a scheduler's address, ``"dask://host:8786"`` or Dask's own ``"tcp://host:8786"``; a
            ``distributed.Client``; or None for processes on this machine, which end with the work.
        workers: how many processes, where ``where`` is None (default: one a core).

    Raises:
        MissingDependencyError: Dask's ``distributed`` is not installed.
        SettingError: workers are counted for a cluster that has its own.
    """

    def __init__(self, where: Any = None, workers: int | None = None) -> None:
        self.distributed = require("distributed", "distributed", "dask", "dask")
        self.workers = None if workers is None else whole_number("workers", workers, 1)
        if isinstance(where, str):
            address = where.removeprefix(SCHEME)
            where = None if address in ("", "dask") else address
            if where is not None and "://" not in where:
                where = f"tcp://{where}"
        if where is not None and workers is not None:
            raise SettingError("workers_of_scheduler")
        self.where = where

    def ordered(self, task: Callable[[Piece], Part], pieces: Iterable[Piece], begun: int) -> Iterator[Part]:
        """The task's results, in order; see :class:`descentlab.factor.build.Engine`."""
        if self.where is None:
            with (
                self.distributed.LocalCluster(
                    n_workers=self.workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
                ) as cluster,
                self.distributed.Client(cluster) as client,
            ):
                yield from self._on(client, task, pieces, begun)
        elif isinstance(self.where, str):
            with self._connected(self.where) as client:
                yield from self._on(client, task, pieces, begun)
        else:
            yield from self._on(self.where, task, pieces, begun)

    def _connected(self, address: str) -> Any:
        try:
            return self.distributed.Client(address, timeout=PATIENCE)
        except (OSError, TimeoutError, ValueError) as cause:
            raise SettingError("no_scheduler", address=address, cause=str(cause)[:200]) from cause

    def _on(self, client: Any, task: Callable[[Piece], Part], pieces: Iterable[Piece], begun: int) -> Iterator[Part]:
        remaining = iter(pieces)
        waiting: deque[Any] = deque()
        window = 2 * max(sum(client.nthreads().values()), 1) + GROUP
        under_way = 0
        try:
            first = -begun % GROUP  # up to where the tree has joined a whole group
            while group := list(islice(remaining, first or GROUP)):
                first = 0
                futures = [client.submit(task, piece, pure=False) for piece in group]
                under_way += len(group)
                for future in _joined(client, futures) if len(group) == GROUP else futures:
                    waiting.append(future)
                while under_way > window:
                    part = waiting.popleft().result()
                    under_way -= 1 << part.level
                    yield part
            while waiting:
                yield waiting.popleft().result()
        except self.distributed.KilledWorker as cause:
            raise SettingError("workers_die", cause=str(cause)[:200]) from cause
        finally:
            client.cancel(list(waiting))


def _joined(client: Any, futures: list[Any]) -> list[Any]:
    """A whole group, joined in pairs on the cluster."""
    while len(futures) > 1:
        futures = [
            client.submit(Part.joined, a, b, pure=False) for a, b in zip(futures[::2], futures[1::2], strict=True)
        ]
    return futures
