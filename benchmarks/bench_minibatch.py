"""One epoch of mini-batches: the compiled steps against the loops that people write, and all rows in one reading."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import descentlab as dl
from benchmarks.measure import Row, median_ratio, report, take_turns
from descentlab.engines.minibatch import Minibatch

N, D, BATCH, LR = 1_000_000, 20, 32, 1e-3
ROUNDS, STEPS = 5, 30


def data(n: int = N, d: int = D) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, X @ rng.standard_normal(d) + rng.standard_normal(n)


def epochs_of(problem: dl.Problem, most_bytes: int | None = None, **asked: Any) -> Callable[[], object]:
    """A function that walks one more epoch of the engine minibatch, with the rows at hand or in their files."""
    engine = Minibatch(most_bytes)
    descent = dl.Descent(lr=LR, epochs=1000, **asked)
    engine.initialize(problem, descent)
    return partial(engine.run_epoch, LR)


def torch_slices(X: Any, y: Any) -> Callable[[], object]:
    """A loop over slices of a drawn order, as quick as PyTorch's own operations have it."""
    import torch

    X, y = torch.from_numpy(X), torch.from_numpy(y)
    W = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=LR)

    def epoch() -> None:
        order = torch.randperm(len(y))
        for start in range(0, len(y), BATCH):
            rows = order[start : start + BATCH]
            cost = torch.mean((X[rows] @ W + b - y[rows]) ** 2)
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()

    return epoch


def torch_loader(X: Any, y: Any) -> Callable[[], object]:
    """The same with a DataLoader, as tutorials have it."""
    import torch

    rows = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True)
    W = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=LR)

    def epoch() -> None:
        for x, t in loader:
            cost = torch.mean((x @ W + b - t) ** 2)
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()

    return epoch


def against_sklearn(X: Any, y: Any, problem: dl.Problem) -> Row:
    from sklearn.linear_model import SGDRegressor

    model = SGDRegressor(penalty=None, learning_rate="constant", eta0=2 * LR, max_iter=1, tol=None)
    ours = epochs_of(problem, batch_size=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = take_turns({"ours": ours, "sklearn": lambda: model.fit(X, y)}, ROUNDS)
    return against("batches of 1", "scikit-learn's SGDRegressor", times["ours"], times["sklearn"], 3)


def against_torch(problem: dl.Problem, loop: Callable[[], object], what: str, scale: float, goal: float) -> Row:
    ours = take_turns({"ours": epochs_of(problem, batch_size=BATCH)}, ROUNDS)["ours"]
    loop()
    started = time.perf_counter()
    loop()
    theirs = scale * (time.perf_counter() - started)
    return against(f"batches of {BATCH}", what, ours, [theirs] * ROUNDS, goal)


def against(batches: str, what: str, ours: list[float], theirs: list[float], goal: float) -> Row:
    ratio = median_ratio(theirs, ours)
    return Row(
        f"{batches}, {N:,} x {D}: an epoch",
        f"{1e3 * statistics.median(ours):.0f} ms; {what} {1e3 * statistics.median(theirs):,.0f} ms",
        f"{ratio:.1f} times as fast",
        f"at least {goal:g}",
        ratio >= goal,
    )


def full_batch(n: int, d: int, goal: float | None) -> Row:
    """The cost and the gradient of all rows, and a step: one reading of X against the two products of NumPy."""
    X, y = data(n, d)
    engine = Minibatch()
    engine.initialize(dl.Problem(X, y, bias=False), dl.Descent(lr=1e-9, epochs=1000))
    W = np.zeros(d)

    def ours() -> None:
        engine.snapshot()
        engine.run_epoch(1e-9)

    def theirs() -> None:
        r = X @ W - y
        W[:] -= 1e-9 * (2 / n) * (X.T @ r) + 0 * (r @ r)

    def several(step: Callable[[], object]) -> None:
        for _ in range(STEPS):  # in a row: OpenBLAS's threads wait for more work by spinning, a while into others' time
            step()

    times = take_turns({"ours": partial(several, ours), "numpy": partial(several, theirs)}, ROUNDS)
    ratio = median_ratio(times["numpy"], times["ours"])
    own, its = (1e3 * statistics.median(times[name]) / STEPS for name in ("ours", "numpy"))
    return Row(
        f"all rows, {n:,} x {d}: a step",
        f"{own:.1f} ms; NumPy {its:.1f} ms",
        f"{ratio:.2f} times as fast",
        "" if goal is None else f"at least {goal:g}",
        None if goal is None else ratio >= goal,
    )


def streamed(X: Any, y: Any) -> Row:
    """An epoch whose rows are read from Parquet as it goes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with TemporaryDirectory() as folder:
        columns = {f"x{j}": X[:, j] for j in range(D)} | {"y": y}
        for i in range(4):
            part = {name: values[i * N // 4 : (i + 1) * N // 4] for name, values in columns.items()}
            pq.write_table(pa.table(part), Path(folder) / f"{i}.parquet", row_group_size=100_000)
        epoch = epochs_of(dl.Problem(folder, target="y"), 0, batch_size=BATCH)
        seconds = statistics.median(take_turns({"streamed": epoch}, 3)["streamed"])
    return Row(f"batches of {BATCH}, {N:,} x {D} in Parquet: an epoch that reads them", f"{1e3 * seconds:.0f} ms")


def main() -> None:
    X, y = data()
    problem = dl.Problem(X, y)
    few = 20  # the DataLoader takes half a minute for all rows: it has a twentieth of them
    rows = [
        against_sklearn(X, y, problem),
        against_torch(problem, torch_slices(X, y), "PyTorch, slices", 1, 5),
        against_torch(problem, torch_loader(X[: N // few], y[: N // few]), "PyTorch, DataLoader", few, 50),
        full_batch(20_000, 2_000, 2),
        full_batch(N, D, None),
        streamed(X, y),
    ]
    report(
        "minibatch",
        "Epochs of mini-batches, float64",
        rows,
        f"Compiled before it is timed; each epoch draws its own order. The DataLoader's time is of 1/{few} of the "
        f"rows, times {few}. scikit-learn's fit also checks its input.",
    )
