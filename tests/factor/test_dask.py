"""Dask as an engine: the bits of one core, on processes that may be killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import descentlab as dl
from descentlab.data.selection import ColumnSelection
from descentlab.factor.build import build_factor
from descentlab.factor.checkpoint import Checkpoint, Job
from descentlab.factor.executors.threads import Threads
from descentlab.factor.piece_result import PieceResult
from tests.cli.helpers import cli
from tests.pieces import bits

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]  # Dask warns when it starts and ends
rng = np.random.default_rng(9)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of 37 pieces: row groups large enough to stand alone."""
    path = tmp_path_factory.mktemp("dask") / "rows.parquet"
    X = rng.normal(size=(37 * 1000, 3))
    table = pa.table({**{f"x{j}": X[:, j] for j in range(3)}, "y": X @ [1.0, 2, 3] + rng.normal(size=len(X))})
    pq.write_table(table, path, row_group_size=1000)
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    made = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.data.files.PIECE_ROWS", 1000)


def alone(rows: Path) -> dl.Factor:
    return dl.compress(rows, target="y", engine=dl.Threads(1))


@pytest.mark.slow
def test_a_scheduler_gives_the_bits_of_one_core(rows: Path, cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    address = cluster.scheduler_address
    calls: list[tuple[int, int | None, int]] = []
    found = dl.compress(rows, target="y", engine=dl.Dask(address), progress=lambda *each: calls.append(each))
    assert bits(found) == bits(alone(rows))
    assert calls[-1] == (37_000, 37_000, 37_000)
    assert len(calls) < 37  # what belongs together in the tree was joined on the cluster
    result = cli("solve", str(rows), "--target", "y", "--on", address.replace("tcp://", "dask://"))
    assert (result.code, "x0" in result.out) == (0, True)


def test_your_own_client_and_a_start_at_an_odd_piece(rows: Path, cluster: Any, tmp_path: Path) -> None:
    """A state that threads left after five pieces is joined to whole groups only where the tree has them."""
    job = Job({}, [])
    stopped: list[int] = []

    def stop(*each: Any) -> None:
        stopped.append(each[0])
        if len(stopped) == 5:
            raise KeyboardInterrupt

    selection = ColumnSelection(rows, None, "y", None, None, "error", {})
    with pytest.raises(KeyboardInterrupt):
        build_factor(selection, Threads(1), Checkpoint(tmp_path / "state", job), stop)
    with distributed.Client(cluster) as client:
        found = build_factor(selection, dl.Dask(client), Checkpoint(tmp_path / "state", job))
    assert bits(found) == bits(alone(rows))


def slow(piece: Any, plan: Any, columns: Any, origin: Any) -> Any:
    time.sleep(0.05)
    return PieceResult.from_piece(piece, plan, columns, origin)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle(rows: Path, cluster: Any) -> None:
    killed: list[int] = []

    class Murderous(dl.Dask):
        compress_piece = staticmethod(slow)

    with distributed.Client(cluster) as client:

        def kill(*_: Any) -> None:
            if not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        found = dl.compress(rows, target="y", engine=Murderous(client), progress=kill)
    assert killed
    assert bits(found) == bits(alone(rows))


def test_what_is_wrong_with_the_data_is_said_from_a_worker(cluster: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1.0, None, 2.0] * 1000, "y": [1.0, 2, 3] * 1000}), path, row_group_size=1000)
    with pytest.raises(dl.DataError, match=r"missing in 1,000 rows \(`x`: 1,000"):
        dl.compress(path, target="y", engine=dl.Dask(cluster.scheduler_address))
    text = tmp_path / "a.csv"
    text.write_text("x,y\n" + "1,2\n" * 40 + "?,2\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("descentlab.data.csv.row_splitter.PIECE_BYTES", 64)
        with pytest.raises(dl.DataError, match="line 42: column `x`"):
            dl.compress(text, target="y", engine=dl.Dask(cluster.scheduler_address))


def test_no_scheduler_and_workers_of_ones_own(monkeypatch: pytest.MonkeyPatch, rows: Path, cluster: Any) -> None:
    monkeypatch.setattr("descentlab.factor.executors.dask.CONNECT_TIMEOUT", 1)
    with pytest.raises(dl.SettingError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dl.compress(rows, target="y", engine=dl.Dask("dask://127.0.0.1:9"))
    with distributed.Client(cluster) as client, pytest.raises(dl.SettingError, match="Leave out workers"):
        dl.Dask(client, workers=2)


@pytest.mark.slow
def test_processes_on_this_machine(rows: Path) -> None:
    before = threading.active_count()
    found = dl.compress(rows, target="y", engine=dl.Dask(workers=2))
    assert bits(found) == bits(alone(rows))
    assert threading.active_count() < before + 30
