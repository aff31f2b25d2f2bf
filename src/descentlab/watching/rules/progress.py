"""How far a loss has come, judged against its own noise and against a model that has learned nothing."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from descentlab.typing import FloatArray
from descentlab.watching.rules.observation import Observation

CERTAIN_Z = 3.09  # standard errors: noise alone exceeds them in one of a thousand loops, on one side
MIN_ORDERED = 7  # losses, fewer than ten, of which each is below the one before: by chance once in 7! = 5,040 loops
N_TREND_BLOCKS = 10  # whose means Kendall's test compares
VISIBLE_FALL = 0.15  # of the first loss: a fall that a loop must be able to show before it is said not to fall
LITTLE_LEARNED = 0.5  # of the loss of a model that has learned nothing


class Fall(NamedTuple):
    """The mean of the first tenth of the losses minus that of the last quarter, and its standard error."""

    size: float
    error: float
    first: float

    @property
    def is_seen(self) -> bool:
        """Whether it is beyond what noise makes in 999 of 1,000 loops that do not fall."""
        return self.size > CERTAIN_Z * self.error

    @property
    def is_ruled_out(self) -> bool:
        """Whether a fall by :data:`VISIBLE_FALL` would have been seen in 999 of 1,000 loops, and none was."""
        return not self.is_seen and self.size + CERTAIN_Z * self.error < VISIBLE_FALL * abs(self.first)


def measure_fall(loss: FloatArray) -> Fall:
    """The fall of finite losses; the errors of both means come from differences of neighbors, free of the trend."""
    early, late = loss[: max(len(loss) // 10, 5)], loss[len(loss) * 3 // 4 :]
    error = math.hypot(*(_noise(each) / math.sqrt(len(each)) for each in (early, late) if len(each)))
    return Fall(float(early.mean() - late.mean()), error, float(early.mean()))


def _noise(loss: FloatArray) -> float:
    """The standard deviation of losses around their trend."""
    return float(np.sqrt(np.mean(np.diff(loss) ** 2) / 2)) if len(loss) > 1 else math.inf


def is_still_falling(loss: FloatArray) -> bool:
    """Kendall's test on the means of ten blocks: noise alone is called a fall in fewer than 1 of 1,000 loops."""
    if len(loss) < N_TREND_BLOCKS:
        return bool(len(loss) >= MIN_ORDERED and np.all(np.diff(loss) < 0))
    means = np.array([block.mean() for block in np.array_split(loss, N_TREND_BLOCKS)])
    n = len(means)
    score = sum(np.sign(means[:i] - means[i]).sum() for i in range(1, n))
    return bool((score - 1) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18) > CERTAIN_Z)


def remaining_share(observation: Observation) -> float | None:
    """The loss of the last quarter over that of a model that has learned nothing, or over the first losses.

    None where a loss may be negative, so that no share can be given; infinity if it is not finite.
    """
    loss = observation.loss
    if not len(loss):
        return None
    late = float(np.median(loss[len(loss) * 3 // 4 :]))
    if not math.isfinite(late):
        return math.inf
    finite = loss[np.isfinite(loss)]
    early = float(np.median(finite[: max(len(finite) // 20, 1)]))
    reference = observation.baseline_loss if observation.baseline_loss else early
    return late / reference if reference > 0 and finite.min() >= 0 else None


def has_learned_little(observation: Observation, share: float = LITTLE_LEARNED) -> bool:
    """Whether more than this share of the loss is left; a loop that went up has learned nothing."""
    remaining = remaining_share(observation)
    return remaining is not None and remaining > share
