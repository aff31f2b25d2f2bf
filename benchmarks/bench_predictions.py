"""Predictions of a Parquet file: rows a second, beside pyarrow's bare reading and writing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import descentlab as dl
from benchmarks.measure import Row, median_ratio, report, take_turns

ROWS, FEATURES, ROW_GROUP_SIZE, ROUNDS = 2_000_000, 20, 131_072, 5
MIN_ROWS_PER_SECOND, MIN_SHARE = 5e6, 0.5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows, output, bare = (
            str(Path(folder) / name) for name in ("rows.parquet", "predicted.parquet", "bare.parquet")
        )
        X = np.random.default_rng(0).standard_normal((ROWS, FEATURES))
        names = [*(f"x{j}" for j in range(FEATURES)), "y"]
        pq.write_table(pa.table([*X.T, X.sum(axis=1)], names=names), rows, row_group_size=ROW_GROUP_SIZE)
        rng = np.random.default_rng(1)
        few = rng.standard_normal((1000, FEATURES))
        model = dl.Problem(few, few.sum(axis=1) + rng.standard_normal(1000), features=names[:-1]).solve().model

        def read_and_write() -> None:
            table = pq.read_table(rows, columns=names[:-1])
            pq.write_table(table.select(["x0"]).rename_columns(["prediction"]), bare, row_group_size=ROW_GROUP_SIZE)

        times = take_turns(
            {
                "predict": lambda: model.predict_file(rows, output),
                "interval": lambda: model.predict_file(rows, output, interval=0.95),
                "bare": read_and_write,
            },
            ROUNDS,
        )
    speeds = {name: ROWS / sorted(seconds)[len(seconds) // 2] for name, seconds in times.items()}
    share = median_ratio(times["bare"], times["predict"])
    is_fast = speeds["predict"] >= MIN_ROWS_PER_SECOND or share >= MIN_SHARE
    goal = "5 M rows a second, or half of pyarrow"
    rows_of_table = [
        Row("predict", f"{speeds['predict'] / 1e6:.1f} M rows/s", f"{share:.2f} of pyarrow's speed", goal, is_fast),
        Row("with 95% intervals", f"{speeds['interval'] / 1e6:.1f} M rows/s"),
        Row("pyarrow: read all columns, write one", f"{speeds['bare'] / 1e6:.1f} M rows/s"),
    ]
    title = f"Predictions of {ROWS:,} x {FEATURES}, Parquet to Parquet"
    report("predictions", title, rows_of_table, "pyarrow reads the whole table at once, on every core.")
