"""A diagnosis with all its remedies, and a sweep, beside the runs that they replace."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any

import numpy as np

import descentlab as dl
from benchmarks.measure import Row, median_ratio, report, take_turns

ROWS, RATES, EPOCHS, D = 2_000, 400, 10_000, 10


def factor(d: int, exact: bool = False) -> dl.Factor:
    """The factor of columns as people have them: different sizes, off zero, some alike."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((max(ROWS, 4 * d), d)) * np.logspace(0, 1.5, d) + rng.uniform(0, 5, d)
    X[:, -1] = X[:, 0] + 0.01 * rng.standard_normal(len(X))
    y = X @ rng.standard_normal(d) + (0 if exact else 1) * rng.standard_normal(len(X))
    return dl.Problem(X, y).factor


def diagnose(made: dl.Factor, **settings: Any) -> Any:
    """From the factor on: the problem, its spectrum, everything."""
    return dl.diagnose(dl.Problem(made), lr=1e-3, epochs=1000, **settings)


def timed(run: Any) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    rows = []
    for d, goal, settings in ((D, 0.05, {}), (D, 0.05, {"momentum": 0.9}), (100, None, {}), (500, 2.0, {})):
        for exact in (False, True) if not settings else (False,):
            made = factor(d, exact)
            diagnose(made)
            seconds = statistics.median(timed(partial(diagnose, made, **settings)) for _ in range(15 if d < 500 else 5))
            what = f"diagnosis, d = {d}" + (", momentum 0.9" if settings else "") + (", exact fit" if exact else "")
            wanted = f"under {goal} s" if goal else ""
            rows.append(Row(what, f"{seconds * 1e3:,.0f} ms", "", wanted, seconds < goal if goal else None))
    report(
        "doctor",
        "Diagnoses from a factor, float64",
        [*rows, *swept()],
        "A diagnosis counts the epochs of every rate that it tries to the last one, and makes each remedy's problem "
        "anew from the same factor. The sweep's costs are checked to be those of the runs before any time is printed; "
        "the time of all 400 runs is that of 8 of them, times 50.",
    )


def swept() -> list[Row]:
    problem = dl.Problem(factor(D))
    rates = np.geomspace(1e-4, 1.1, RATES) * problem.spectrum().lr_bound()
    some = rates[:: RATES // 8]
    surface = dl.sweep(problem, rates, epochs=EPOCHS)
    R = problem.factor.R
    rows, target = R[:, [*range(1, D + 1), 0]], R[:, D + 1]
    for lr, cost in zip(some, surface.cost[:: RATES // 8], strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            np.testing.assert_allclose(loop(rows, target, problem.weight, lr, 300), cost[:300], rtol=1e-8)
    found = []
    several: tuple[dict[str, Any], ...] = ({}, {"momentum": 0.9})
    for settings in several:
        times = take_turns(
            {
                "sweep": partial(dl.sweep, problem, rates, epochs=EPOCHS, **settings),
                "loops": lambda: [loop(rows, target, problem.weight, lr, EPOCHS) for lr in some],
            },
            3,
        )
        seconds = statistics.median(times["sweep"])
        ratio = median_ratio(times["loops"], times["sweep"]) * RATES / len(some)
        name = f"sweep of {RATES} rates x {EPOCHS:,} epochs, d = {D}" + (", momentum 0.9" if settings else "")
        beside = f"{RATES} NumPy loops on the factor's {len(R)} rows take {ratio:,.0f} times as long"
        found.append(Row(name, f"{seconds:.3f} s", beside, "under 0.5 s", seconds < 0.5))
    return found


def loop(rows: Any, target: Any, n: float, lr: float, epochs: int) -> list[float]:
    """What a sweep replaces, at its fastest: a run by hand on the factor's few rows instead of the data's many."""
    p, costs = np.zeros(rows.shape[1]), []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(epochs):
            r = rows @ p - target
            costs.append(float(r @ r) / n)
            p -= lr * 2 / n * (r @ rows)
    return costs
