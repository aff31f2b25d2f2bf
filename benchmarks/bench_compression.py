"""Compute a factor from an array: speed compared with the product X'X, and memory beyond the input."""

from __future__ import annotations

import statistics
import tracemalloc
from functools import partial

import numpy as np

from benchmarks.measure import Row, median_ratio, report, take_turns
from descentlab import Factor


def main() -> None:
    rows = []
    for n, d in ((1_000_000, 10), (1_000_000, 20), (200_000, 100)):
        C = np.random.default_rng(0).standard_normal((n, d))
        names = [f"x{j}" for j in range(d)]
        times = take_turns({"factor": partial(Factor.from_block, C, names), "gram": partial(np.matmul, C.T, C)}, 5)
        speed = n / statistics.median(times["factor"]) / 1e6
        ratio = median_ratio(times["factor"], times["gram"])
        rows.append(Row(f"factor of {n:,} x {d}", f"{speed:.1f} M rows/s", f"{ratio:.1f} times a bare X'X's time"))
    for n in (100_000, 1_000_000):
        C = np.random.default_rng(0).standard_normal((n, 10))
        Factor.from_block(C[:10], list("abcdefghij"))
        tracemalloc.start()
        Factor.from_block(C, list("abcdefghij"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        limit = 4 * 8192 * 11 * 8
        rows.append(
            Row(
                f"memory beyond the input, {n:,} x 10 ({C.nbytes / 1e6:.0f} MB)",
                f"{peak / 1e6:.1f} MB",
                "",
                f"O(block): under {limit / 1e6:.1f} MB",
                peak < limit,
            )
        )
    report("compression", "Compressing rows into a factor, float64", rows)
