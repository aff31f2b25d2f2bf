"""Rows for batches, streamed: each once an epoch, in the order that is told, and never many in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numba  # noqa: F401 (kernels are compiled as they are imported)
import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

import descentlab as dl
from descentlab.engines import batches, kernels, minibatch
from descentlab.engines.minibatch import Minibatch

pytestmark = pytest.mark.slow  # numba compiles first

SIZES = (30, 1, 17, 44, 25)


def table(n: int, seed: int, d: int = 2) -> pa.Table:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 3.0 * (np.arange(d) == 0)
    columns = {f"x{j}": X[:, j] for j in range(d)}
    return pa.table(columns | {"w": rng.integers(0, 4, size=n).astype(float), "y": X[:, 0] - 2 + rng.normal(size=n)})


def write_ipc(part: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, part.schema) as file:
        file.write_table(part, max_chunksize=9)


WRITERS: dict[str, Any] = {
    "parquet": lambda part, path: pq.write_table(part, path, row_group_size=8),
    "csv": pcsv.write_csv,
    "arrow": write_ipc,
}


def folder(path: Path, kind: str = "parquet") -> str:
    for i, n in enumerate(SIZES):
        WRITERS[kind](table(n, i), path / f"part-{i}.{kind}")
    return str(path / f"*.{kind}")


def problem_of(where: str, **shape: Any) -> dl.Problem:
    return dl.Problem(where, **{"target": "y", "features": ["x0", "x1"], **shape})


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of any size are streamed."""
    monkeypatch.setattr(minibatch, "MAX_BYTES_IN_MEMORY", 0)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("shape", [{}, {"weights": "w", "ridge": 0.1}, {"standardize": True}, {"bias": False}], ids=str)
@pytest.mark.parametrize("batch_size", [1, 8, 1000])
def test_in_the_files_order_it_steps_as_hand(tmp_path: Path, kind: str, shape: dict[str, Any], batch_size: int) -> None:
    problem = problem_of(folder(tmp_path, kind), **shape)
    asked: dict[str, Any] = {"lr": 0.01, "epochs": 3, "batch_size": batch_size, "shuffle": False, "momentum": 0.3}
    hand, streamed = (dl.descend(problem, engine=name, **asked) for name in ("hand", "minibatch"))
    assert streamed.notices[0].key == "notice.streamed_in_order"
    np.testing.assert_allclose(streamed.history.params, hand.history.params, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(streamed.params, hand.params, rtol=1e-10)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("block", [1, 16, 4096])
@pytest.mark.parametrize("batch_size", [1, 29, 32])  # 29 leaves a last batch of one row
def test_pieces_and_rows_are_drawn_from_the_seed(
    tmp_path: Path, batch_size: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow twin: the pieces in a drawn order, the rows of each in a drawn order, batches across their ends."""
    monkeypatch.setattr(batches, "CACHED_BLOCK_ROWS", block)
    run = dl.descend(problem_of(folder(tmp_path)), engine="minibatch", lr=0.02, epochs=4, batch_size=batch_size, seed=9)
    assert "5 pieces" in run.notices[0].text("en")
    files = [table(n, i) for i, n in enumerate(SIZES)]
    rng, params = np.random.default_rng(9), np.zeros(3)
    for _ in range(4):
        taken = []
        for which in rng.permutation(len(files)):
            values = np.column_stack([files[which][name].to_numpy() for name in ("x0", "x1", "y")])
            taken.append(values[rng.permutation(len(values))])
        rows = np.concatenate(taken)
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            X = np.column_stack([part[:, :2], np.ones(len(part))])
            params = params - 0.04 * X.T @ (X @ params - part[:, 2]) / len(part)
    np.testing.assert_allclose(run.params, params, rtol=1e-10)


def test_rows_left_out_stay_out(tmp_path: Path) -> None:
    where = folder(tmp_path)
    part = table(20, 7).to_pydict()
    part["x1"][3] = part["y"][11] = None
    pq.write_table(pa.table(part), tmp_path / "part-9.parquet")
    problem = problem_of(where, missing="drop")
    feed = batches.StreamedBatches(
        problem, 3, batches.RowSampler(np.random.default_rng(1)), kernels.copy_rows, np.float64
    )
    for _ in range(3):  # each row once, in every epoch
        seen = np.concatenate([t.copy() for _, t, _ in feed.blocks(7)])
        np.testing.assert_array_equal(np.sort(seen), np.sort(problem.rows().y))


def test_few_pieces_are_in_memory(tmp_path: Path) -> None:
    """The most that is held while all rows pass by, against what they would take."""
    for i in range(20):
        pq.write_table(table(4_000, i, 8), tmp_path / f"part-{i}.parquet", row_group_size=400)
    problem = dl.Problem(str(tmp_path / "*.parquet"), target="y")
    engine, descent = Minibatch(max_bytes=1 << 18), dl.Descent(lr=1e-3, epochs=2, batch_size=64)
    engine.initialize(problem, descent)
    tracemalloc.start()
    for _ in engine.snapshots_at(range(1, 4)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = 8 * problem.n * (len(problem.features) + 1)
    assert engine.notices
    assert peak < whole / 3


def test_few_rows_are_read_once(tmp_path: Path) -> None:
    problem = problem_of(folder(tmp_path))
    run = dl.descend(problem, engine="minibatch", lr=0.01, epochs=3, batch_size=8)
    assert run.notices == ()
    hand = dl.descend(problem, engine="hand", lr=0.01, epochs=3, batch_size=8)
    np.testing.assert_allclose(run.params, hand.params, rtol=1e-10)


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("asked", [{"batch_size": 8, "replacement": True}, {"batch_size": None}], ids=str)
def test_what_needs_all_rows_at_hand_has_them(tmp_path: Path, asked: dict[str, Any]) -> None:
    problem = problem_of(folder(tmp_path))
    hand, fast = (dl.descend(problem, engine=name, lr=0.01, epochs=3, **asked) for name in ("hand", "minibatch"))
    assert fast.notices == ()
    np.testing.assert_allclose(fast.params, hand.params, rtol=1e-10)


@pytest.mark.usefixtures("streaming")
def test_pieces_that_only_come_one_after_the_other_are_not_streamed(tmp_path: Path) -> None:
    part = table(50, 1)
    with pa.ipc.new_stream(tmp_path / "rows.arrows", part.schema) as file:
        file.write_table(part, max_chunksize=9)
    for rows in (str(tmp_path / "rows.arrows"), part):
        assert dl.descend(problem_of(rows), engine="minibatch", lr=0.01, epochs=2, batch_size=8).notices == ()


@pytest.mark.usefixtures("streaming")
def test_files_that_have_changed_are_refused(tmp_path: Path) -> None:
    problem = problem_of(folder(tmp_path))
    pq.write_table(table(40, 8), tmp_path / "part-1.parquet")
    with pytest.raises(dl.DataError, match=r"now have 1[0-9]+ rows, but they had 117 rows when"):
        dl.descend(problem, engine="minibatch", lr=0.01, epochs=2, batch_size=8)


@pytest.mark.usefixtures("streaming")
def test_an_epoch_that_overflows_ends(tmp_path: Path) -> None:
    problem = problem_of(folder(tmp_path))
    run = dl.descend(problem, engine="minibatch", lr=50, epochs=9, batch_size=1, growth_limit=np.inf)
    assert run.ending.reason is dl.Reason.OVERFLOWED
    assert np.isfinite(run.params).all()


def test_says_how_the_rows_were_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from descentlab.cli.run import run_to_text

    monkeypatch.setattr(minibatch, "MAX_BYTES_IN_MEMORY", 0)
    run = dl.descend(problem_of(folder(tmp_path)), engine="minibatch", lr=0.01, epochs=2, batch_size=8)
    assert "The rows are re-read from the files in every epoch" in run_to_text(run, "parts", 0)
    assert "The rows are re-read from the files in every epoch" in run._repr_html_()
