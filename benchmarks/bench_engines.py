"""A full-batch history of T epochs: the closed form against the loops it replaces."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any

import numpy as np

import descentlab as dl
from benchmarks.measure import Row, median_ratio, report, take_turns

N, D, EPOCHS = 1_000_000, 10, 1_000
LR = 0.1


def data(n: int = N) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, D))
    return X, X @ np.arange(1.0, D + 1) + rng.standard_normal(n)


def torch_loop(X: Any, y: Any, epochs: int) -> list[float]:
    """The lesson's loop by torch.optim, on D features with a bias."""
    import torch

    X, y = torch.from_numpy(X), torch.from_numpy(y)
    W = torch.zeros(D, dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=LR)
    costs = []
    for _ in range(epochs):
        cost = torch.mean((X @ W + b - y) ** 2)
        costs.append(cost.item())
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    return costs


def numpy_loop(X: Any, y: Any, epochs: int) -> list[float]:
    """The same by hand, as plainly and as fast as NumPy has it."""
    n = len(y)
    W, b, costs = np.zeros(D), 0.0, []
    for _ in range(epochs):
        r = X @ W + b - y
        costs.append(r @ r / n)
        gradient_W, gradient_b = 2 / n * (r @ X), 2 / n * r.sum()
        W -= LR * gradient_W
        b -= LR * gradient_b
    return costs


def exact(X: Any, y: Any, epochs: int) -> dl.Run:
    return dl.descend(dl.Problem(X, y), engine="exact", lr=LR, epochs=epochs)


def timed(run: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def main() -> None:
    rows = [
        *against_the_loops(),
        *(hand_against_numpy(n, epochs) for n, epochs in ((N, 100), (1_000, 5_000), (3, 5_000))),
    ]
    report(
        "engines",
        "A history of full-batch epochs, float64",
        rows,
        "The loops' costs are checked to be the exact engine's, epoch by epoch, before any time is printed. `hand` "
        "also judges every epoch, takes one more look after the last, and keeps its history; with few rows that is "
        "half of its time, and a bare loop wins.",
    )


def against_the_loops() -> list[Row]:
    X, y = data()
    exact(X[:1000], y[:1000], 10)
    seconds = statistics.median(timed(partial(exact, X, y, EPOCHS))[0] for _ in range(5))
    run = exact(X, y, EPOCHS)
    rows = [Row(f"exact: compress {N:,} x {D}, {EPOCHS:,} epochs", f"{seconds:.3f} s")]
    for name, loop, goal in (("PyTorch loop", torch_loop, "at least 100"), ("NumPy loop", numpy_loop, "")):
        loop(X, y, 2)
        loop_seconds, costs = timed(partial(loop, X, y, EPOCHS))
        np.testing.assert_allclose(run.history.cost, costs, rtol=1e-9)  # the same history, or no comparison
        ratio = loop_seconds / seconds
        figure = f"{loop_seconds:.2f} s"
        rows.append(
            Row(
                f"{name}, {EPOCHS:,} epochs", figure, f"{ratio:.0f} times exact's", goal, ratio >= 100 if goal else None
            )
        )
    more = timed(partial(dl.descend, run.problem, engine="exact", lr=LR, epochs=10 * EPOCHS))[0]
    return [*rows, Row(f"exact: {10 * EPOCHS:,} epochs more of the same problem", f"{more:.3f} s")]


def hand_against_numpy(n: int, epochs: int) -> Row:
    X, y = data(n)
    problem = dl.Problem(X, y)
    times = take_turns(
        {
            "hand": partial(dl.descend, problem, engine="hand", lr=LR / 10, epochs=epochs),
            "numpy": partial(numpy_loop, X, y, epochs),
        },
        5,
    )
    ratio = median_ratio(times["hand"], times["numpy"])
    figure = f"{statistics.median(times['hand']) / epochs * 1e6:,.1f} us an epoch"
    goal = "at most 1.05" if n == N else ""
    return Row(f"hand, {n:,} rows", figure, f"{ratio:.2f} times the NumPy loop", goal, ratio <= 1.05 if goal else None)
