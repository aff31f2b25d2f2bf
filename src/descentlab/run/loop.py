"""The one loop: it visits epochs, keeps what is to be kept, and notices when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.engines import Engine, Look, length
from descentlab.problem.problem import Problem
from descentlab.run.ending import Reason
from descentlab.typing import Flags

Progress = Callable[[int, int], None]

TOLERANCE = 1e-6  # what calls a gradient small where the settings give no tolerance


class Loop:
    """One descent under way. Parameters are the descended ones.

    Attributes:
        kept: the looks recorded for the history, in order.
        last: the last look, of one epoch: where the run stands.
        cause: why it was stopped, if it was.
        first_cost: the cost before the first update.
        small: the gradient's norm below which it counts as small.
    """

    def __init__(
        self,
        problem: Problem,
        descent: Descent,
        mover: Engine,
        stop: Callable[[Look], bool] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.problem, self.descent, self.mover = problem, descent, mover
        self.stop, self.progress = stop, progress
        self.recorded = descent.recorded()
        self.kept: list[Look] = []
        self.last: Look | None = None
        self.cause: Reason | None = None
        self.first_cost = np.nan
        zero = problem.coordinates.to_units(np.zeros(len(problem.parameters)))
        with np.errstate(over="ignore"):
            self.cost_at_zero = problem.cost(zero)
            tolerance = TOLERANCE if descent.tolerance is None else descent.tolerance
            at_zero = length(problem.gradient(zero, descent.reduction))
            start = problem.coordinates.to_units(problem.start(descent.start))
            # Where the gradient is zero at zero, as for a target of zeros, the start's is the measure.
            self.small = tolerance * (at_zero or length(problem.gradient(start, descent.reduction)))

    def run(self) -> None:
        """Visit the epochs, until the last one or a reason to stop."""
        for look in self._looks():
            if self.last is None:
                self.first_cost = float(look.cost[0])
            for part in self._parts(look):
                self._take(part)
                if self.cause is None and self.stop is not None and self.stop(self._in_units(part)):
                    self.cause = Reason.STOPPED
                if self.cause is not None:
                    break
            if self.cause is not None:
                return
            if self.progress is not None:
                self.progress(min(int(look.epochs[-1]), self.descent.epochs), self.descent.epochs)

    def _parts(self, look: Look) -> Iterator[Look]:
        """The look as a whole; epoch by epoch where the caller wants to see each."""
        if self.stop is None:
            yield look
        else:
            yield from (look.at(slice(i, i + 1)) for i in range(len(look.epochs)))

    def _in_units(self, look: Look) -> Look:
        return look._replace(params=self.problem.coordinates.to_units(look.params))

    def _looks(self) -> Iterator[Look]:
        # Between recorded epochs, an engine that steps looks on where a look is free, so as to stop in time.
        every_one = not self.mover.jumps and self.descent.batch_size is None
        visits: Iterable[int] = range(1, self.descent.epochs + 1) if every_one else self.recorded
        yield from self.mover.visit(visits)
        yield from self.mover.visit([self.descent.epochs + 1])

    def _take(self, look: Look) -> None:
        """Keep a look, up to the epoch at which the run has to stop if there is one in it."""
        look = look._replace(cost=np.where(np.isnan(look.cost), np.inf, look.cost))  # inf - inf is past inf
        ends = self._ends(look)
        if not ends.any():
            self._keep(look)
            return
        end = int(np.argmax(ends))
        before, found = look.upto(end), look.at(slice(end, end + 1))
        self._keep(before)
        if self.mover.jumps:
            found = self._first_end(int(self.last.epochs[0]) if self.last else 0, found)
        beyond = bool(self._beyond(found)[0])
        finite = bool(np.isfinite(found.cost[0]) and np.isfinite(found.params).all())
        if not np.isfinite(found.params).all() and self.last is not None:
            # Past the range, infinities cancel to nan: the last numbers there were say more.
            infinite = np.full(1, np.inf)
            found = Look(found.epochs, self.last.params, infinite, infinite)
        self._keep(found)
        # A small gradient is only a reason to stop; whether the run converged, the verdict says.
        self.cause = (Reason.DIVERGED if finite else Reason.OVERFLOWED) if beyond else Reason.CONVERGED

    def _keep(self, look: Look) -> None:
        if not len(look.epochs):
            return
        self.last = look.at(slice(-1, None))
        chosen = (look.epochs <= self.descent.epochs) & ((look.epochs - 1) % self.recorded.step == 0)
        if chosen.any():
            self.kept.append(look.at(chosen))

    def _beyond(self, look: Look) -> Flags:
        """Where the cost has outgrown its limit, or is no number any more."""
        limit = self.descent.growth_limit * max(self.first_cost, self.cost_at_zero)
        finite = np.isfinite(look.cost) & np.isfinite(look.params).all(axis=1)
        return ~finite | (look.cost > limit)

    def _ends(self, look: Look) -> Flags:
        """Where the run has to stop: beyond the limit, or within the tolerance if one was given."""
        beyond = self._beyond(look)
        return beyond if self.descent.tolerance is None else beyond | (look.gradient_norm <= self.small)

    def _first_end(self, low: int, found: Look) -> Look:
        """The first epoch after ``low`` at which to stop, known to be no later than the one found: by narrowing."""
        high = int(found.epochs[0])
        while high - low > 1:
            step = max(1, (high - low) // 64)
            look = next(iter(self.mover.visit(range(low + step, high, step))))
            epochs, ends = [low, *look.epochs.tolist(), high], [False, *self._ends(look).tolist(), True]
            first = ends.index(True)
            low, high = epochs[first - 1], epochs[first]
        return next(iter(self.mover.visit([high])))
