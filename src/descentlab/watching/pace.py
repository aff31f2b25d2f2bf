"""How closely a watch looks at which step, so that it takes a small share of the time, from the first step on.

A watch may have taken, after ``t`` seconds of the loop,

    share t + min(0.03 t, 3 ms)       where the loss falls,
    share t + 30 ms                   where it does not fall,
    0.3 t + 100 ms                    where it has risen far above its start, or is not finite,

with a share of its own for each kind of work: a loop in trouble is looked at more closely.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

DETAIL_SHARE = 0.0025  # of the time, for looking at a step closely
EARLY_SHARE, EARLY_SECONDS = 0.03, 0.003
NOT_FALLING_SECONDS = 0.03
RISING_SHARE, RISING_SECONDS = 0.3, 0.1
DETAILED_STEPS = 64  # the first steps: mistakes in a loop are there from the start
CHECK_INTERVAL = 17  # steps from one that may be detailed to the next, later; a prime, as epochs have round lengths
N_FIRST_LOSSES = 4
JUDGED_STEPS = 8  # steps after which a loss that does not fall counts
FALLEN_RATIO = 0.9  # of the first losses: a loss below it falls
RECENT_WEIGHT = 0.2  # of the last loss in the recent mean


class LossTrend:
    """The first losses and the recent ones, in three numbers."""

    def __init__(self) -> None:
        self.steps, self._first_losses = 0, list[float]()
        self.first = self.recent = 0.0

    def add(self, loss: float) -> None:
        """One more loss."""
        self.steps += 1
        if self.steps > N_FIRST_LOSSES:
            self.recent += RECENT_WEIGHT * (loss - self.recent)
            return
        self.recent = loss
        self._first_losses.append(loss)
        if self.steps in (1, N_FIRST_LOSSES):
            self.first = sum(self._first_losses) / self.steps

    @property
    def is_rising(self) -> bool:
        """Whether the recent loss is twice as high as the first, or not finite."""
        return self.steps > 0 and not self.recent - self.first <= abs(self.first)

    @property
    def is_falling(self) -> bool:
        """Whether it has fallen, or it is too early to tell."""
        return self.steps < JUDGED_STEPS or self.recent < self.first - (1 - FALLEN_RATIO) * abs(self.first)


class TimeBudget:
    """The seconds that one kind of work may take.

    Args:
        share: of the time, in the long run.
        trend: of the loss.

    >>> budget = TimeBudget(0.01, LossTrend())
    >>> budget.began = budget.began - 10  # ten seconds ago
    >>> budget.spent = 0.09
    >>> budget.allows(0.01), budget.allows(0.02)
    (True, False)
    """

    def __init__(self, share: float, trend: LossTrend) -> None:
        self.share, self.trend = share, trend
        self.began, self.spent = perf_counter(), 0.0

    @property
    def left(self) -> float:
        """Seconds that may be taken now."""
        t = perf_counter() - self.began
        if self.trend.is_rising:
            return RISING_SHARE * t + RISING_SECONDS - self.spent
        early = min(EARLY_SHARE * t, EARLY_SECONDS)
        return self.share * t + (early if self.trend.is_falling else NOT_FALLING_SECONDS) - self.spent

    def allows(self, seconds: float) -> bool:
        """Whether work that takes this long may begin."""
        return seconds <= self.left


class DetailPace:
    """Which steps are looked at closely: 1 to 5, 9, 17, 33 and so on always, others where there is time.

    Others are those among the first 64 and every seventeenth after them.
    """

    def __init__(self, trend: LossTrend) -> None:
        self.trend, self.budget = trend, TimeBudget(DETAIL_SHARE, trend)
        self._last_seconds, self._step_seconds = 0.0, 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """The block is a part of a detailed step; what it takes is spent."""
        began = perf_counter()
        try:
            yield
        finally:
            seconds = perf_counter() - began
            self.budget.spent += seconds
            self._step_seconds += seconds

    def is_detailed(self, step: int) -> bool:
        """Whether the step after this many is looked at closely; to be asked once a step."""
        if self._step_seconds:
            self._last_seconds, self._step_seconds = self._step_seconds, 0.0
        if step <= N_FIRST_LOSSES or step & (step - 1) == 0:
            return True
        is_candidate = step < DETAILED_STEPS or step % CHECK_INTERVAL == 0
        return is_candidate and self.budget.allows(self._last_seconds)
