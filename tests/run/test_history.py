"""The history: the lesson's table digit for digit, and files that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from tests.extras import AUTOGRAD, needs

LESSON = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)

BY_HAND = """\
Epoch:    1/10 W: 0.000, Cost: 4.666667
Epoch:    2/10 W: 0.280, Cost: 2.419200
Epoch:    3/10 W: 0.482, Cost: 1.254113
Epoch:    4/10 W: 0.627, Cost: 0.650132
Epoch:    5/10 W: 0.731, Cost: 0.337029
Epoch:    6/10 W: 0.807, Cost: 0.174716
Epoch:    7/10 W: 0.861, Cost: 0.090573
Epoch:    8/10 W: 0.900, Cost: 0.046953
Epoch:    9/10 W: 0.928, Cost: 0.024340
Epoch:   10/10 W: 0.948, Cost: 0.012618"""

BY_OPTIM = """\
Epoch:    1/10 W: 0.000, Cost: 4.666667
Epoch:    2/10 W: 1.400, Cost: 0.746667
Epoch:    3/10 W: 0.840, Cost: 0.119467
Epoch:    4/10 W: 1.064, Cost: 0.019115
Epoch:    5/10 W: 0.974, Cost: 0.003058
Epoch:    6/10 W: 1.010, Cost: 0.000489
Epoch:    7/10 W: 0.996, Cost: 0.000078
Epoch:    8/10 W: 1.002, Cost: 0.000013
Epoch:    9/10 W: 0.999, Cost: 0.000002
Epoch:   10/10 W: 1.000, Cost: 0.000000"""


@pytest.mark.parametrize("engine", ["hand", AUTOGRAD, "exact"])
def test_both_tables_of_the_lesson(engine: str) -> None:
    assert dl.descend(LESSON, engine=engine, lr=0.01, reduction="sum", epochs=10).table() == BY_HAND
    assert dl.descend(LESSON, engine=engine, lr=0.15, epochs=10).table() == BY_OPTIM


@pytest.mark.parametrize("engine", ["hand", AUTOGRAD])
def test_in_single_precision_as_the_lesson_was(engine: str) -> None:
    run = dl.descend(LESSON, engine=engine, lr=0.01, reduction="sum", epochs=10, dtype="float32")
    assert run.table() == BY_HAND
    assert dl.descend(LESSON, engine=engine, lr=0.15, epochs=10, dtype="float32").table() == BY_OPTIM


def test_what_three_decimals_would_hide_is_shown() -> None:
    tiny = dl.descend(dl.Problem([1000.0, 2000.0, 3000.0], [1e-3, 2e-3, 3e-3], bias=False), lr=3e-8, epochs=4)
    first, second = tiny.table().splitlines()[:2]
    assert "W: 0.00000e+00" in first
    assert "W: 2.80000e-07" in second


def test_columns_keep_their_names_in_the_table() -> None:
    run = dl.descend(
        dl.Problem([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0]], [1, 2, 3], features=["size", "age"]), lr=0.1, epochs=2
    )
    assert run.table().splitlines()[0] == "Epoch:    1/2 W[size]: 0.000, W[age]: 0.000, b: 0.000, Cost: 4.666667"


def test_a_long_table_shows_both_ends_and_what_lies_between() -> None:
    run = dl.descend(LESSON, lr=0.01, epochs=100)
    lines = run.table(5).splitlines()
    assert [line[:14] for line in lines] == [
        "Epoch:    1/10",
        "Epoch:    2/10",
        "Epoch:    3/10",
        "  ... 95 ...",
        "Epoch:   99/10",
        "Epoch:  100/10",
    ]
    assert len(run.table().splitlines()) == 100


def test_parquet_gives_back_the_same_history(tmp_path: Path) -> None:
    history = dl.descend(dl.Problem([[1.0, 2], [3, 4], [5, 7]], [1, 2, 4], features=["a", "epoch"]), lr=0.01).history
    path = tmp_path / "history.parquet"
    history.save(path)
    again = dl.History.load(path)
    assert again.parameters == history.parameters
    assert again.epochs == history.epochs
    for name in ("epoch", "params", "cost", "gradient_norm"):
        assert (getattr(again, name) == getattr(history, name)).all()
    assert again.table() == history.table()


@needs("pandas")
def test_csv_and_frames_have_one_column_a_parameter(tmp_path: Path) -> None:
    import pandas as pd

    history = dl.descend(
        dl.Problem([[1.0, 2], [3, 4], [5, 7]], [1, 2, 4], features=["a", "b"]), lr=0.01, epochs=3
    ).history
    history.save(tmp_path / "history.csv")
    frame = pd.read_csv(tmp_path / "history.csv")
    assert list(frame.columns) == ["epoch", "cost", "gradient_norm", "param:a", "param:b", "param:bias"]
    np.testing.assert_array_equal(frame["param:b"], history.params[:, 1])
    pd.testing.assert_frame_equal(history.to_pandas(), frame)


def test_other_files_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    history = dl.descend(LESSON, lr=0.01, epochs=3).history
    with pytest.raises(dl.SettingError, match=r"\.parquet"):
        history.save(tmp_path / "history.xlsx")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no")
    for name in ("other.parquet", "text.parquet"):
        with pytest.raises(dl.DataError, match="not a history"):
            dl.History.load(tmp_path / name)


def test_history_stays_bounded_and_keeps_the_first_epoch() -> None:
    history = dl.descend(LESSON, lr=0.01, epochs=10**7).history
    assert len(history) == 100_000
    assert history.epoch[0] == 1
    assert set(np.diff(history.epoch)) == {100}
