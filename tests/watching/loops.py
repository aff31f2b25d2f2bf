"""Loops as people write them: each is run with a watch around it, or without one, from the same seeds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from descentlab.watching.watch import Watch

torch = pytest.importorskip("torch")
nn = torch.nn
F = torch.nn.functional


class Loop:
    """A model, its optimizer, its loss, and the loop itself, which knows nothing of a watch."""

    def __init__(self, model: Any, optimizer: Any, loss_fn: Any, body: Callable[[], list[float]]) -> None:
        self.model, self.optimizer, self.loss_fn, self.body = model, optimizer, loss_fn, body


def seeded(make: Callable[[], Loop]) -> Loop:
    """The loop, made from seeds that are always the same."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return make()


def watched(make: Callable[[], Loop], **settings: Any) -> Watch:
    """The watch after the loop, whatever that raised."""
    import descentlab as dl

    loop = seeded(make)
    watch = dl.watch(loop.model, loop.optimizer, loop.loss_fn, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of some of these mistakes; the watch has to see them by itself
        try:
            with watch:
                loop.body()
        except RuntimeError:
            assert watch.error is not None
    assert watch.recorder.internal_error is None
    return watch


def rows(n: int = 96, d: int = 6) -> tuple[Any, Any]:
    """Inputs, and targets (n, 1) that a line and a little more explain."""
    X = torch.randn(n, d, generator=torch.Generator().manual_seed(1))
    W = torch.linspace(-1, 1, d)[:, None]
    return X, X @ W + 0.3 * torch.sin(3 * X[:, :1]) + 0.5


def mlp(d: int = 6, out: int = 1) -> Any:
    return nn.Sequential(nn.Linear(d, 24), nn.ReLU(), nn.Linear(24, out))


def plain(
    model: Any,
    optimizer: Any,
    X: Any,
    y: Any,
    loss_fn: Any = F.mse_loss,
    epochs: int = 120,
    after: Callable[[int], None] = lambda epoch: None,
) -> Loop:
    """The loop of every tutorial; ``after`` is called at the end of each epoch."""

    def body() -> list[float]:
        losses = []
        for epoch in range(epochs):
            optimizer.zero_grad()
            loss = loss_fn(model(X), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            after(epoch)
        return losses

    return Loop(model, optimizer, loss_fn, body)


def batches(n: int, size: int) -> Any:
    """Indices of mini-batches, shuffled by NumPy's own generator."""
    order = np.random.default_rng(0).permutation(n)
    return [torch.as_tensor(order[start : start + size]) for start in range(0, n, size)]
