"""What a watch adds to a PyTorch loop, at its default level, by how long a step takes without it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import descentlab as dl
from benchmarks.measure import Row, report

WIDTHS = (16, 256, 512)  # of the hidden layers: steps of some 0.3, 1 and 3 ms
SECONDS, ROUNDS = 4.0, 5  # a loop is as long as that; measuring curvature is spread over it


def main() -> None:
    rows = [row(width) for width in WIDTHS]
    report(
        "watch",
        "A watch on a PyTorch loop",
        rows,
        f"A network of two hidden layers, 256 rows a batch, Adam, one thread. Loops of {SECONDS:g} s with and without "
        f"a watch take turns {ROUNDS} times; the figure is the median over turns of the median step, and of the mean "
        "step, which holds the curvatures measured on the way.",
    )


def loop(width: int) -> Callable[[Any], tuple[float, float]]:
    """A function that runs the loop beside a watch or none, and gives the median and mean seconds of a step."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    X, y = torch.randn(256, 32), torch.randn(256, 1)
    layers = [torch.nn.Linear(32, width), torch.nn.Tanh(), torch.nn.Linear(width, width), torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))
    optimizer, loss_fn = torch.optim.Adam(model.parameters(), lr=1e-4), torch.nn.MSELoss()

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(X), y).backward()
        optimizer.step()

    def run(watched: Any) -> tuple[float, float]:
        seconds = []
        with dl.watch(model, optimizer, loss_fn) if watched else nullcontext():
            began = time.perf_counter()
            while time.perf_counter() - began < SECONDS:
                started = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - started)
        return statistics.median(seconds), statistics.fmean(seconds)

    return run


def row(width: int) -> Row:
    run = loop(width)
    pairs = [(run(False), run(True)) for _ in range(ROUNDS)]
    plain = statistics.median(without[0] for without, _ in pairs)
    typical = statistics.median(beside[0] - without[0] for without, beside in pairs)
    added = statistics.median(beside[1] / without[1] - 1 for without, beside in pairs)
    slow = plain >= 1e-3
    return Row(
        f"a step of {1e3 * plain:.2f} ms",
        f"{1e6 * typical:.0f} microseconds more",
        f"{100 * added:.1f} % more in all",
        "under 5 %" if slow else "",
        added < 0.05 if slow else None,
    )
