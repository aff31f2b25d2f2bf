"""Loops as people write them: each is run with a watch around it, or without one, from the same seeds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch as torch  # loops import it from here

from descentlab.watching.watch import Watch

nn = torch.nn
F = torch.nn.functional


class Loop:
    """A model, its optimizer, its loss, and the loop itself, which knows nothing of a watch."""

    def __init__(self, model: Any, optimizer: Any, loss_fn: Any, losses: Callable[[], Iterable[float]]) -> None:
        self.model, self.optimizer, self.loss_fn, self._losses = model, optimizer, loss_fn, losses

    def body(self) -> list[float]:
        """Run it to its end."""
        return [float(each) for each in self._losses()]


def seeded(make: Callable[[], Loop]) -> Loop:
    """The loop, made from seeds that are always the same."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return make()


@cache
def watched(make: Callable[[], Loop], **settings: Any) -> Watch:
    """The watch after the loop, whatever that raised; each loop runs once for the same settings."""
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


def sgd(model: Any, lr: float = 0.05, **settings: Any) -> Any:
    return torch.optim.SGD(model.parameters(), lr=lr, **settings)


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

    def body() -> Iterator[float]:
        for epoch in range(epochs):
            optimizer.zero_grad()
            loss = loss_fn(model(X), y)
            loss.backward()
            optimizer.step()
            yield loss.item()
            after(epoch)

    return Loop(model, optimizer, loss_fn, body)


def fit(model: Any, lr: float = 0.05, loss_fn: Any = F.mse_loss, epochs: int = 120, **settings: Any) -> Loop:
    """The plain loop with SGD on the usual rows; ``settings`` of the optimizer."""
    return plain(model, sgd(model, lr, **settings), *rows(), loss_fn, epochs)


def batches(n: int, size: int) -> Any:
    """Indices of mini-batches, shuffled by NumPy's own generator."""
    order = np.random.default_rng(0).permutation(n)
    return [torch.as_tensor(order[start : start + size]) for start in range(0, n, size)]
