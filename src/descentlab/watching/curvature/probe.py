"""Probing: when curvature is measured, and one measurement, on the graph that a loop's loss has or on a fixed batch."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

from descentlab.errors import EngineError
from descentlab.watching.curvature import lanczos
from descentlab.watching.curvature.fixed_batch import Fixed
from descentlab.watching.curvature.stability_limits import Scaling, scaling
from descentlab.watching.history import SETTLED, Probe
from descentlab.watching.hooks import inert
from descentlab.watching.state_guard import hooked, untouched


class Prober:
    """Measures now and then, and gives up where it cannot.

    Args:
        every: measure every so many steps; 0 never; None as often as ``share`` allows.
        share: the part of the time that measuring may take, at most.
        fixed: the batch to measure on; None for the one that the loop's own loss is of.

    Attributes:
        refused: why curvature cannot be measured; None where it can.
        own: ids of the watch's own hooks on parameters.
    """

    def __init__(self, model: Any, optimizer: Any, every: int | None, share: float, fixed: Fixed | None = None) -> None:
        self.model, self.optimizer, self.every, self.share, self.fixed = model, optimizer, every, share, fixed
        self.own: frozenset[int] = frozenset()
        self.refused: Exception | None = None
        self._vector: Any = None
        self._next, self._last = 0.0, -1

    def due(self, step: int) -> bool:
        """Whether it is time, before the update that follows this many."""
        if self.refused is not None or self._last == step or self.every == 0:
            return False
        return step % self.every == 0 if self.every else perf_counter() >= self._next

    def measure(self, loss: Any, step: int) -> Probe | None:
        """The curvature of this very loss, for which nothing is evaluated again; or of the loss on the fixed batch.

        None where that cannot be told: not yet, never, or because the loss is somebody else's.
        """
        import torch

        seen = scaling(self.optimizer)
        if seen is None or (seen.adapts and self.every is None and step < SETTLED):
            return None  # how the optimizer scales gradients is not known yet
        own = self.own if self.fixed is None else inert(seen.parameters)  # copies have no hooks
        if hooked(self.model, seen.parameters, own):
            self.refused = EngineError("watch_hooks")
            return None
        began = perf_counter()
        try:
            with untouched(self.model), torch.enable_grad():
                found = self._sharpest(loss, seen)
        except LookupError:
            return None
        except Exception as error:  # an operation without a second derivative, or no memory left for one
            self.refused = error.with_traceback(None)  # its frames would keep the graph
            return None
        if found is None:
            return None
        self._vector, self._last = found.vector, step
        now = perf_counter()
        self._next = now + (now - began) * (1 / self.share - 1)
        limit = None if seen.most is None else seen.most / seen.lr if seen.lr else math.inf
        return Probe(step, found.value, found.error, limit, seen.lr, found.products, seen.adapts)

    def _sharpest(self, loss: Any, seen: Scaling) -> lanczos.Sharpest | None:
        def search(loss: Any, parameters: list[Any]) -> lanczos.Sharpest:
            product = lanczos.curved(loss, parameters, seen.scale, seen.decay)
            return lanczos.lanczos(product, lanczos.start_vector(parameters, self._vector))

        return search(loss, seen.parameters) if self.fixed is None else self.fixed.measured(seen.parameters, search)
