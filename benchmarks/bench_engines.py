"""A full-batch history of T epochs: the closed form against the loops it replaces."""

from __future__ import annotations

import statistics
import time
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
    X, y = data()
    exact(X[:1000], y[:1000], 10)
    seconds, run = timed(lambda: exact(X, y, EPOCHS))
    repeats = [seconds, *(timed(lambda: exact(X, y, EPOCHS))[0] for _ in range(4))]
    seconds = statistics.median(repeats)
    rows = [Row(f"exact: compress {N:,} x {D}, {EPOCHS:,} epochs", f"{seconds:.3f} s")]
    for name, loop, goal in (("PyTorch loop", torch_loop, 100.0), ("NumPy loop", numpy_loop, None)):
        loop(X, y, 2)
        loop_seconds, costs = timed(lambda loop=loop: loop(X, y, EPOCHS))
        np.testing.assert_allclose(run.history.cost, costs, rtol=1e-9)  # the same history, or no comparison
        ratio = loop_seconds / seconds
        rows.append(
            Row(
                f"{name}, {EPOCHS:,} epochs",
                f"{loop_seconds:.2f} s",
                f"{ratio:.0f} times exact's",
                f"at least {goal:.0f}" if goal else "",
                ratio >= goal if goal else None,
            )
        )
    problem = dl.Problem(X, y)
    _, more = timed(lambda: None)
    more = timed(lambda: dl.descend(problem, engine="exact", lr=LR, epochs=10 * EPOCHS))[0]
    rows.append(Row(f"exact: {10 * EPOCHS:,} epochs more of the same problem", f"{more:.3f} s"))

    for n, epochs, rounds in ((N, 20, 7), (1_000, 2_000, 7), (3, 2_000, 7)):
        X, y = data(n)
        problem = dl.Problem(X, y)
        settings: dict[str, Any] = {"engine": "hand", "lr": LR / 10, "epochs": epochs, "growth_limit": np.inf}
        times = take_turns(
            {
                "hand": lambda p=problem, s=settings: dl.descend(p, **s),
                "numpy": lambda X=X, y=y, e=epochs: numpy_loop(X, y, e),
            },
            rounds,
        )
        ratio = median_ratio(times["hand"], times["numpy"])
        figure = f"{statistics.median(times['hand']) / epochs * 1e6:,.1f} us an epoch"
        goal = "at most 1.05" if n == N else ""
        rows.append(
            Row(f"hand, {n:,} rows", figure, f"{ratio:.2f} times the NumPy loop", goal, ratio <= 1.05 if goal else None)
        )
    report(
        "engines",
        "A history of full-batch epochs, float64",
        rows,
        "`hand` also judges every epoch, keeps its history, and reads the data once to know the bound; with few rows "
        "that is most of its time, and a bare loop wins.",
    )
