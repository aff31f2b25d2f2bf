"""The loop over epochs: it records snapshots and stops at divergence, overflow, tolerance or the caller's word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.engines.base import Engine, Snapshots, safe_norm
from descentlab.problem.problem import Problem
from descentlab.run.ending import Reason
from descentlab.typing import BoolArray

EpochCallback = Callable[[int, int], None]

DEFAULT_GRADIENT_RTOL = 1e-6  # of the gradient's norm at zero parameters: a smaller gradient is called small


@dataclass(frozen=True)
class FinalState:
    """A loop that has stopped; everything that decides how it ended. Parameters are scaled.

    Attributes:
        problem, descent: what was run.
        recorded_snapshots: those of the history, in order.
        current: the state after the last update, of one epoch.
        initial_cost: the cost before the first update.
        gradient_tolerance: the gradient's norm below which it counts as small.
        stop_reason: why the loop stopped before its last epoch; None if it did not.
    """

    problem: Problem
    descent: Descent
    recorded_snapshots: Sequence[Snapshots]
    current: Snapshots
    initial_cost: float
    gradient_tolerance: float
    stop_reason: Reason | None


class Loop:
    """One descent in progress; the attributes are those of :class:`FinalState`."""

    def __init__(
        self,
        problem: Problem,
        descent: Descent,
        engine: Engine,
        stop: Callable[[Snapshots], bool] | None = None,
        progress: EpochCallback | None = None,
    ) -> None:
        self.problem, self.descent, self.engine = problem, descent, engine
        self.stop, self.progress = stop, progress
        self.recorded_epochs = descent.recorded_epochs()
        self.recorded_snapshots: list[Snapshots] = []
        self.current: Snapshots | None = None
        self.stop_reason: Reason | None = None
        self.initial_cost = np.nan
        zero_params = problem.scaling.to_original(np.zeros(len(problem.parameters)))
        with np.errstate(over="ignore"):
            self.cost_at_zero = problem.cost(zero_params)
            tolerance = DEFAULT_GRADIENT_RTOL if descent.tolerance is None else descent.tolerance
            norm_at_zero = safe_norm(problem.gradient(zero_params, descent.reduction))
            start = problem.scaling.to_original(problem.scaled_params(descent.start))
            # If the gradient is zero at zero, as for a target of zeros, the start's is the reference.
            self.gradient_tolerance = tolerance * (
                norm_at_zero or safe_norm(problem.gradient(start, descent.reduction))
            )

    def run(self) -> None:
        """Visit the epochs until the last one or a reason to stop."""
        for snapshots in self._iterate_snapshots():
            if self.current is None:
                self.initial_cost = float(snapshots.cost[0])
            for chunk in self._split(snapshots):
                self._process(chunk)
                if self.stop_reason is None and self.stop is not None and self.stop(self._to_original(chunk)):
                    self.stop_reason = Reason.STOPPED
                if self.stop_reason is not None:
                    break
            if self.stop_reason is not None:
                return
            if self.progress is not None:
                self.progress(min(int(snapshots.epochs[-1]), self.descent.epochs), self.descent.epochs)

    @property
    def final_state(self) -> FinalState:
        """The state after :meth:`run`."""
        assert self.current is not None
        return FinalState(
            self.problem,
            self.descent,
            self.recorded_snapshots,
            self.current,
            self.initial_cost,
            self.gradient_tolerance,
            self.stop_reason,
        )

    def _split(self, snapshots: Snapshots) -> Iterator[Snapshots]:
        """All snapshots at once; epoch by epoch if the caller checks each."""
        if self.stop is None:
            yield snapshots
        else:
            yield from (snapshots.select(slice(i, i + 1)) for i in range(len(snapshots.epochs)))

    def _to_original(self, snapshots: Snapshots) -> Snapshots:
        return snapshots._replace(params=self.problem.scaling.to_original(snapshots.params))

    def _iterate_snapshots(self) -> Iterator[Snapshots]:
        # A stepping engine also visits the epochs between recorded ones if that costs nothing, to stop in time.
        visits_all = not self.engine.random_access and self.descent.batch_size is None
        visits: Iterable[int] = range(1, self.descent.epochs + 1) if visits_all else self.recorded_epochs
        yield from self.engine.snapshots_at(visits)
        yield from self.engine.snapshots_at([self.descent.epochs + 1])

    def _process(self, snapshots: Snapshots) -> None:
        """Record snapshots, up to the epoch at which the run has to stop if there is one among them."""
        # inf - inf: the cost is beyond inf
        snapshots = snapshots._replace(cost=np.where(np.isnan(snapshots.cost), np.inf, snapshots.cost))
        should_stop = self._should_stop(snapshots)
        if not should_stop.any():
            self._record(snapshots)
            return
        first_stop = int(np.argmax(should_stop))
        before, final = snapshots.head(first_stop), snapshots.select(slice(first_stop, first_stop + 1))
        self._record(before)
        if self.engine.random_access:
            final = self._find_first_stop(int(self.current.epochs[0]) if self.current else 0, final)
        has_diverged = bool(self._has_diverged(final)[0])
        is_finite = bool(np.isfinite(final.cost[0]) and np.isfinite(final.params).all())
        if not np.isfinite(final.params).all() and self.current is not None:
            # Infinities cancel to nan, so the last finite parameters are kept.
            infinite = np.full(1, np.inf)
            final = Snapshots(final.epochs, self.current.params, infinite, infinite)
        self._record(final)
        # A small gradient is only a reason to stop; `decide_ending` decides whether the run converged.
        self.stop_reason = (Reason.DIVERGED if is_finite else Reason.OVERFLOWED) if has_diverged else Reason.CONVERGED

    def _record(self, snapshots: Snapshots) -> None:
        if not len(snapshots.epochs):
            return
        self.current = snapshots.select(slice(-1, None))
        epochs = snapshots.epochs
        is_recorded = (epochs <= self.descent.epochs) & ((epochs - 1) % self.recorded_epochs.step == 0)
        if is_recorded.any():
            self.recorded_snapshots.append(snapshots.select(is_recorded))

    def _has_diverged(self, snapshots: Snapshots) -> BoolArray:
        """Where the cost exceeds its limit or is not finite."""
        cost_limit = self.descent.growth_limit * max(self.initial_cost, self.cost_at_zero)
        finite = np.isfinite(snapshots.cost) & np.isfinite(snapshots.params).all(axis=1)
        return ~finite | (snapshots.cost > cost_limit)

    def _should_stop(self, snapshots: Snapshots) -> BoolArray:
        """Where the run has to stop: beyond the limit, or within the tolerance if one was given."""
        should_stop = self._has_diverged(snapshots)
        if self.descent.tolerance is not None:
            should_stop |= snapshots.gradient_norm <= self.gradient_tolerance
        return should_stop

    def _find_first_stop(self, low: int, latest: Snapshots) -> Snapshots:
        """The first epoch after ``low`` at which to stop, by narrowing; it is not later than ``latest``."""
        high = int(latest.epochs[0])
        while high - low > 1:
            step = max(1, (high - low) // 64)
            snapshots = next(iter(self.engine.snapshots_at(range(low + step, high, step))))
            epochs = [low, *snapshots.epochs.tolist(), high]
            first = [False, *self._should_stop(snapshots).tolist(), True].index(True)
            low, high = epochs[first - 1], epochs[first]
        return next(iter(self.engine.snapshots_at([high])))
