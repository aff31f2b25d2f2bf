"""Measures curvature now and then, on the graph of the loop's own loss or on a fixed batch."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

from descentlab.errors import EngineError
from descentlab.watching.curvature import lanczos
from descentlab.watching.curvature.fixed_batch import FixedBatchLoss
from descentlab.watching.curvature.stability_limits import Preconditioning
from descentlab.watching.history import ADAPTIVE_WARMUP_STEPS, CurvatureMeasurement
from descentlab.watching.hooks import find_watch_hook_ids
from descentlab.watching.pace import LossTrend, TimeBudget
from descentlab.watching.state_guard import has_foreign_hooks, preserve_state

SHORTEST_IN_BACKWARDS = 12  # backward passes of the loop, which the fewest products and what goes with them take


class CurvatureProbe:
    """Measures curvature when it is due, and stops for the rest of the loop once that fails.

    Args:
        every: measure every N steps; 0 never; None as often as ``time_share`` allows.
        time_share: the part of the time that measuring may take in the long run, see
            :mod:`descentlab.watching.pace`.
        fixed_batch: the batch to measure on; None for the one that the loop's own loss is of.

    Attributes:
        unavailable_reason: why curvature cannot be measured; None where it can.
        trend: of the loss; a loop in trouble is measured more often.
        backward_seconds: what a backward pass of the loop takes; infinite until it is known.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        every: int | None,
        time_share: float,
        fixed_batch: FixedBatchLoss | None = None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.every, self.fixed_batch = every, fixed_batch
        self.trend = LossTrend()
        self.budget = TimeBudget(time_share, self.trend)
        self.backward_seconds = math.inf
        self.unavailable_reason: Exception | None = None
        self._last_vector: Any = None
        self._last_step, self._last_seconds = -1, 0.0

    def is_due(self, step: int) -> bool:
        """Whether it is time, before the update that follows this many."""
        if self.unavailable_reason is not None or self._last_step == step or self.every == 0:
            return False
        if self.every:
            return step % self.every == 0
        return self.budget.allows(max(self._last_seconds, SHORTEST_IN_BACKWARDS * self.backward_seconds))

    def measure(self, loss: Any, step: int) -> CurvatureMeasurement | None:
        """The curvature of this loss, for which nothing is evaluated again; or of the loss on the fixed batch.

        None if it cannot be measured: not yet, never, or because the loss is of another model.
        """
        import torch

        scaling = Preconditioning.from_optimizer(self.optimizer)
        if scaling is None or (scaling.is_adaptive and self.every is None and step < ADAPTIVE_WARMUP_STEPS):
            return None  # the optimizer's scaling is not known yet
        if has_foreign_hooks(self.model, scaling.parameters, find_watch_hook_ids(scaling.parameters)):
            self.unavailable_reason = EngineError("watch_hooks")
            return None
        started = perf_counter()
        deadline = math.inf if self.every else started + self.budget.left
        try:
            with preserve_state(self.model), torch.enable_grad():
                top_eigenvalue = self._find_top_eigenvalue(loss, scaling, deadline)
        except LookupError:
            return None
        except Exception as error:  # an operation without a second derivative, or no memory left for one
            self.unavailable_reason = error.with_traceback(None)  # its frames would keep the graph
            return None
        if top_eigenvalue is None:
            return None
        self._last_vector, self._last_step = top_eigenvalue.vector, step
        self._last_seconds = perf_counter() - started
        self.budget.spent += self._last_seconds
        limit = scaling.stability_limit
        if limit is not None:
            limit = limit / scaling.lr if scaling.lr else math.inf
        value, bound, _, n_products = top_eigenvalue
        return CurvatureMeasurement(step, value, bound, limit, scaling.lr, n_products, scaling.is_adaptive)

    def _find_top_eigenvalue(
        self, loss: Any, scaling: Preconditioning, deadline: float
    ) -> lanczos.TopEigenvalue | None:
        def search(loss: Any, parameters: list[Any]) -> lanczos.TopEigenvalue:
            product = lanczos.make_hessian_vector_product(loss, parameters, scaling.scale, scaling.weight_decay)
            start = lanczos.make_start_vector(parameters, self._last_vector)
            return lanczos.find_top_eigenvalue(product, start, deadline=deadline)

        if self.fixed_batch is None:
            return search(loss, scaling.parameters)
        return self.fixed_batch.evaluate(scaling.parameters, search)
