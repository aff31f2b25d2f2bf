"""Compress files into a factor: speed compared with in-memory libraries, peak memory, and two workers."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

import descentlab as dl
from benchmarks.measure import Row, median_ratio, report, take_turns

ROWS, FEATURES, ROW_GROUP_SIZE = 2_000_000, 20, 131_072
CSV_ROWS = 1_000_000
COLUMN_OFFSET = 1e4  # added to every column, in float32
REPEATS = (1, 10, 100)  # how often a file of a million rows is read
MAX_PEAK_MB = 600
PICTURE_PATH = Path(__file__).parents[1] / "docs" / "pictures" / "growth.svg"
PEAK_SCRIPT = """
import re, sys
from pathlib import Path
import descentlab as dl
factor = dl.compress([sys.argv[1]] * int(sys.argv[2]), target="y")
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(factor.rows, int(peak[1]) // 1024)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        X, y = make_data(ROWS, FEATURES)
        whole = make_table(X, y)
        pq.write_table(whole, here / "rows.parquet", row_group_size=ROW_GROUP_SIZE)
        pc.write_csv(whole.slice(0, CSV_ROWS), here / "rows.csv")
        pq.write_table(whole.slice(0, 1_000_000), here / "million.parquet", row_group_size=ROW_GROUP_SIZE)
        rows = [
            *measure_parquet(here / "rows.parquet", X, y),
            *measure_csv(here / "rows.csv"),
            *measure_memory(here / "million.parquet"),
        ]
        rows += [measure_digits()]
        report(
            "streaming",
            "Compressing files into a factor",
            rows,
            f"The Parquet and CSV files hold {FEATURES} features and a target, normally distributed float64 values, "
            "in the operating system's cache. The other libraries get the same rows as NumPy arrays in memory.",
        )
        plot_growth(here)


def make_data(n: int, d: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, X @ rng.standard_normal(d) + rng.standard_normal(n)


def make_table(X: Any, y: Any) -> Any:
    return pa.table({**{f"x{j}": X[:, j] for j in range(X.shape[1])}, "y": y})


def measure_parquet(path: Path, X: Any, y: Any) -> list[Row]:
    from sklearn.linear_model import LinearRegression
    from sklearnex.linear_model import IncrementalLinearRegression

    def incremental() -> None:
        model = IncrementalLinearRegression()
        for start in range(0, len(X), 65_536):
            model.partial_fit(X[start : start + 65_536], y[start : start + 65_536])
        model.coef_  # noqa: B018 (what is computed when it is asked for)

    kept = {name: partial(dl.compress, path, target="y", engine=dl.Threads(k)) for name, k in (("one", 1), ("two", 2))}
    arrays = partial(dl.Problem, X, y)
    contestants: dict[str, Callable[[], object]] = {
        **kept,
        "arrays": arrays,
        "sklearn": partial(LinearRegression().fit, X, y),
        "intelex": incremental,
        "scan": partial(pq.read_table, path),
    }
    times = take_turns(contestants, 7)
    seconds = {name: statistics.median(each) for name, each in times.items()}
    over = partial(lambda name, base: median_ratio(times[name], times[base]))
    dask = time_dask(path)
    ahead, behind = over("sklearn", "two"), over("two", "intelex")
    bare, beside, scaled = over("scan", "intelex"), over("arrays", "intelex"), over("one", "two")
    theirs = f"{behind:.1f} times its time; pyarrow's bare read of the file alone takes {bare:.1f} times"
    speed = f"{seconds['two']:.2f} s, {ROWS / seconds['two'] / 1e6:.1f} M rows/s"
    sklearn = f"scikit-learn's LinearRegression in memory takes {ahead:.1f} times as long"
    return [
        Row(f"Parquet, {ROWS:,} x {FEATURES}, two workers", speed, sklearn, "at least 3 times", ahead >= 3),
        Row(
            "the same beside scikit-learn-intelex's IncrementalLinearRegression in memory",
            f"{seconds['intelex']:.2f} s for that",
            theirs,
            "no slower",
            behind <= 1,
        ),
        Row("the same rows as arrays in memory", f"{seconds['arrays']:.2f} s", f"{beside:.1f} times its time"),
        Row(
            "two workers beside one",
            f"{seconds['one']:.2f} s for one",
            f"{scaled:.2f} times as fast",
            "at least 1.6",
            scaled >= 1.6,
        ),
        Row(
            "Dask on this machine, two workers",
            f"{dask:.2f} s with its start",
            f"{dask / seconds['two']:.1f} times two threads",
        ),
    ]


def time_dask(path: Path) -> float:
    started = time.perf_counter()
    dl.compress(path, target="y", engine=dl.Dask(workers=2))
    return time.perf_counter() - started


def measure_csv(path: Path) -> list[Row]:
    times = take_turns({"scan": partial(pc.read_csv, path), "ours": partial(dl.compress, path, target="y")}, 7)
    ratio = median_ratio(times["scan"], times["ours"])
    seconds = statistics.median(times["ours"])
    size = path.stat().st_size / 1e6
    figure = f"{seconds:.2f} s, {size / seconds:.0f} MB/s"
    beside = f"{ratio:.2f} of pyarrow's bare read on all cores"
    return [Row(f"CSV, {CSV_ROWS:,} x {FEATURES} ({size:.0f} MB)", figure, beside, "at least 0.85", ratio >= 0.85)]


def measure_memory(path: Path) -> list[Row]:
    found = []
    for times in REPEATS:
        shown = subprocess.run(
            [sys.executable, "-c", PEAK_SCRIPT, path, str(times)], capture_output=True, text=True, check=True
        )
        rows, peak = map(int, shown.stdout.split())
        size = rows * (FEATURES + 1) * 8 / 1e9
        found.append(
            Row(
                f"peak memory, {rows:,} rows ({size:.1f} GB as float64)",
                f"{peak} MB",
                "",
                f"under {MAX_PEAK_MB} MB",
                peak < MAX_PEAK_MB,
            )
        )
    return found  # fmt: skip


def measure_digits() -> Row:
    """Correct digits of the coefficients where every column lies far from zero, in float32."""
    from sklearnex.linear_model import IncrementalLinearRegression

    rng = np.random.default_rng(1)
    X = (rng.standard_normal((200_000, 5)) + COLUMN_OFFSET).astype(np.float32)
    y = ((X.astype(float) - COLUMN_OFFSET) @ np.arange(1.0, 6) + 3).astype(np.float32)
    centered = X.astype(float) - X.astype(float).mean(axis=0)
    exact = np.linalg.lstsq(centered, y.astype(float) - y.astype(float).mean(), rcond=None)[0]
    model = IncrementalLinearRegression().fit(X, y)
    error = {"ours": dl.Problem(X, y).solve().params[:5] - exact, "theirs": model.coef_ - exact}
    right = {name: float(np.min(-np.log10(np.abs(each / exact) + 1e-17))) for name, each in error.items()}
    return Row(
        f"digits, columns at {COLUMN_OFFSET:g} in float32",
        f"{max(right['ours'], 0):.1f}",
        f"IncrementalLinearRegression in float32: {max(right['theirs'], 0):.1f}",
    )


def plot_growth(here: Path) -> None:
    """How the time grows with rows and with columns, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    by_rows, by_columns = figure.subplots(1, 2)
    for axes, title, sizes in (
        (by_rows, "rows, of 20 columns", [(10**k, 20) for k in range(3, 7)]),
        (by_columns, "columns, of 100,000 rows", [(100_000, d) for d in (5, 10, 20, 50, 100, 200)]),
    ):
        seconds = []
        for n, d in sizes:
            path = here / f"{n}-{d}.parquet"
            pq.write_table(make_table(*make_data(n, d)), path, row_group_size=ROW_GROUP_SIZE)
            seconds.append(statistics.median(take_turns({"": partial(dl.compress, path, target="y")}, 3)[""]))
        axes.loglog([n if axes is by_rows else d for n, d in sizes], seconds, marker="o", color="#0072b2")
        axes.set_xlabel(title)
        axes.set_ylabel("seconds")
        axes.grid(alpha=0.3)
    figure.savefig(PICTURE_PATH, metadata={"Date": None})


if __name__ == "__main__":
    main()
