"""What printed losses alone say, without the data: growth gives the curvature, and the curvature the bound.

Near the end of a diverging run one direction outweighs the others, and the losses are ``c + k g^(2t)`` with g the
factor by which an epoch multiplies its error. Their differences do not know the floor c:

    g = sqrt((L3 - L2) / (L2 - L1))

A growing error changes sides every epoch, so the recursion of :mod:`descentlab.descent.recursion` has the root r =
-g, which gives x = lr * curvature, and the largest stable rate is ``lr * limit / x``:

    plain        x = 1 + g
    heavy ball   x = (1 + mu + g + mu / g) / (1 - tau)
    Nesterov     x = 1 + g^2 / ((1 + mu) g + mu)

That takes one direction alone to grow. What holds without it, of plain descent, is proved by
:mod:`descentlab.doctor.losses.moment_bounds`. Under momentum only this is certain: losses that diverge had a rate
above the
bound, and a heavy ball that was started at rest swings only where lr times a curvature is above ``(1 - sqrt(mu))^2``.

Of losses that fall, g and -g are both a reading, and only the limit and the pace can be told. They prove no rate
stable: a steep direction may grow from an error too small to show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.doctor.finding import Finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.losses import findings as said
from descentlab.doctor.losses.diagnosis import LossDiagnosis
from descentlab.doctor.losses.growth_rate import Pace, convex, least_fading, levels_at, pace
from descentlab.doctor.losses.moment_bounds import SHARE, most_pace
from descentlab.doctor.losses.parsing import Printed, read
from descentlab.errors import SettingError, finite_number, whole_number
from descentlab.theory.full_batch import NEAR

__all__ = ["LossDiagnosis", "of_losses"]

WIDE = 1.25  # a bound is not given as one number where the ends of its range are this many times apart
LONG, LONGER = 1000, 10  # too slow: more epochs to come than this, and this many times those printed
NOTHING = 1e-3  # a range that begins this far below its end begins at 0
ROUGHLY = 0.2  # a limit is given where the ends of its range are within this part of it
ENOUGH, STEADY = 5, 0.25  # under momentum, growth is so many losses with one pace, told to so much of what it adds
RATES = (1e-100, 1e100)  # rates that leave room for a bound in float64
BLOWN_UP = 100.0  # losses that rose this many times have diverged, however unevenly


@dataclass(frozen=True)
class Given:
    """The losses and the settings they came from.

    Attributes:
        losses: the finite ones, three or more, not all equal.
        lost: how many entries after them are nan or infinite.
        descent: the settings; every: epochs from one print to the next.
    """

    losses: Printed
    lost: int
    descent: Descent
    every: int

    @property
    def plain(self) -> bool:
        """Whether there is no momentum: then losses are sums of powers."""
        return self.descent.momentum == 0

    def factor(self, ratio: float) -> float:
        """What an epoch multiplies the error by, from what a print multiplies the loss by."""
        return float(ratio ** (0.5 / self.every))

    def bound(self, factor: float, overshooting: bool = True) -> float:
        """The largest stable rate of a direction whose error this factor multiplies; inf where none is told."""
        mu, tau, g = self.descent.momentum, self.descent.dampening, factor if overshooting else -factor
        if g == math.inf:
            return 0.0
        if self.plain:
            x = 1 + g
        elif self.descent.nesterov:
            x = 1 + g * g / ((1 + mu) * g + mu) if (1 + mu) * abs(g) > mu else math.nan
        else:
            x = (1 + mu + g + mu / g) / (1 - tau) if tau < 1 and g else math.nan
        return self.descent.lr * self.descent.limit() / x if x > 0 else math.inf

    def range(self, most: float, least: float) -> tuple[float, float]:
        """The bound where P is between these; from 0 where the first is far beyond the second."""
        low, high = self.bound(self.factor(most)), self.bound(self.factor(least))
        return (low if low > NOTHING * high else 0.0), high

    def found(self, verdict: Verdict, findings: list[Finding], growth: float = 1.0, **numbers: Any) -> LossDiagnosis:
        """The diagnosis, with what the entries that are no numbers and the distance of the prints add to it."""
        if self.lost:
            findings = [*findings, said.lost(self.lost, float(self.losses.values[-1]) * growth)]
        if self.every > 1 and not self.plain:
            findings = [*findings, said.between(self.every)]
        return LossDiagnosis(verdict, self.descent.lr, findings=tuple(findings), **numbers)


def of_losses(
    losses: object,
    lr: float | None,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    every: int = 1,
) -> LossDiagnosis:
    """Read printed losses: whether they diverge, the largest stable rate, the pace, the limit.

    Args:
        losses: three or more in the order printed, as numbers, texts, or one text such as ``"36.4, 43.9, 53.0"``.
            Texts say how precisely they were printed; ``nan`` and ``inf`` may stand at the end.
        lr: the learning rate that gave them.
        momentum, dampening, nesterov: as in ``torch.optim.SGD``.
        every: how many epochs lie between two of them.

    Raises:
        SettingError: an entry is no number, or negative; nan or infinity stands before a number; fewer than three
            finite losses; all equal; no rate, or a setting outside what it may be.

    >>> found = of_losses("36.4, 43.9, 53.0", 0.01)
    >>> found.verdict.value, round(found.lr_bound, 5), round(found.lr_over_bound, 2)
    ('diverges', 0.00952, 1.05)
    """
    if lr is None:
        raise SettingError("losses_no_lr")
    descent = Descent(lr=lr, momentum=momentum, dampening=dampening, nesterov=nesterov)
    finite_number("lr", descent.lr, *RATES)
    every = whole_number("every", every, 1)
    printed = read(losses)
    count = printed.finite
    later = np.flatnonzero(np.isfinite(printed.values[count:]))
    if later.size:
        raise SettingError("losses_gap", entry=count + 1, given=str(printed.values[count]))
    if count < 3:
        raise SettingError("losses_few", count=count)
    finite = Printed(printed.values[:count], printed.halves[:count])
    if (finite.values == finite.values[0]).all():
        raise SettingError("losses_equal", count=count, value=float(finite.values[0]))
    with np.errstate(all="ignore"):  # losses may lie 10^600 apart; what comes out infinite is told as nothing
        return _judged(Given(finite, len(printed.values) - count, descent, every))


def _judged(given: Given) -> LossDiagnosis:
    """Which of the ways losses go this is: they rise, fall, level off, swing, or do what one descent cannot."""
    v, h = given.losses
    steps = np.diff(v)
    sure = np.abs(steps) > h[1:] + h[:-1]
    ways = np.sign(steps[sure])
    turns = int(np.count_nonzero(ways[1:] != ways[:-1]))
    rises = bool(steps[-1] > 0)
    limit = given.descent.limit()
    broken = convex(given.losses) if given.plain else None
    if broken is not None:
        blown_up = rises and bool(v[-1] > BLOWN_UP * v[0])
        return given.found(
            Verdict.DIVERGES if blown_up else Verdict.UNKNOWN, [said.not_plain(given.losses, broken, blown_up)]
        )
    if not sure[-1] and (rises or steps[-1] == 0):
        return given.found(Verdict.UNKNOWN, [said.level(float(v[-1]))])
    if given.descent.momentum > 1 or math.isinf(limit):
        return given.found(
            Verdict.DIVERGES if limit == 0 and rises else Verdict.UNKNOWN,
            [said.no_bound(given.descent)],
        )
    at_end = pace(given.losses, given.plain)
    lasting = at_end.kept >= ENOUGH or (turns == 0 and len(v) >= ENOUGH)
    grows = rises and (given.plain or (lasting and at_end.high - at_end.low < STEADY * (at_end.low - 1)))
    if grows or (rises and turns == 0):
        return _rising(given, at_end, grows)
    return _falling(given, at_end) if given.plain or turns == 0 else _swinging(given)


def _rising(given: Given, at_end: Pace, sure: bool) -> LossDiagnosis:
    """Growth: the bound from its pace. Not sure where momentum may only be swinging up."""
    alone = given.range(at_end.high, max(at_end.low, 1.0))
    whole = given.range(most_pace(given.losses), at_end.low) if given.plain else (0.0, given.descent.lr)
    main = given.range(most_pace(given.losses, SHARE), at_end.low) if given.plain else (0.0, math.inf)
    told = next((ends for ends in (whole, alone, main) if 0 < ends[0] <= ends[1] <= WIDE * ends[0]), None)
    told = told if at_end.ratio >= 1 else None
    factor = given.factor(at_end.ratio) if told else None
    bound = min(max(given.bound(factor), told[0]), told[1]) if told and factor else None
    found = [said.growth(given.descent.lr, bound, told or whole, whole, factor, sure, told is alone)]
    found += said.unsettled(given.losses, at_end, alone[1] / alone[0] if 0 < alone[0] <= alone[1] else math.inf)
    if not sure:
        return given.found(Verdict.UNKNOWN, found, at_end.high)
    return given.found(
        Verdict.DIVERGES,
        found,
        at_end.ratio,
        lr_bound=bound,
        lr_bound_range=whole,
        curvature=given.descent.limit() / bound if bound else None,
        factor=None if factor is None else -factor,
    )


def _falling(given: Given, at_end: Pace) -> LossDiagnosis:
    """A pace and a limit: two readings of the first, and the second only from above while slower ones may show up."""
    last = float(given.losses.values[-1])
    if not 0 < at_end.ratio < 1:
        return given.found(Verdict.UNKNOWN, [said.steady(last)])
    factor = given.factor(at_end.ratio)
    least, limit, most = levels_at(given.losses, at_end.stride)
    nothing = least == 0 and most <= NEAR * last
    told = (nothing or most - least <= ROUGHLY * most) and (given.plain or at_end.settled)
    epochs = None
    if told:
        left = NEAR if nothing else NEAR * limit / (last - limit) if last > limit else math.inf
        epochs = max(math.ceil(given.every * math.log(left) / math.log(at_end.ratio)), 0) if left < 1 else 0
    printed = (len(given.losses.values) - 1) * given.every
    slow = epochs is not None and epochs > max(LONG, LONGER * printed)
    level = None if not told else 0.0 if nothing else limit
    # Some direction seen fades no slower than this; under momentum, only what is settled tells.
    quickest = given.factor(least_fading(given.losses) if given.plain else at_end.high)
    slow_bound, swing_bound = given.bound(quickest, overshooting=False), given.bound(factor)
    found = [said.fall(factor, level, epochs, slow), said.readings(given.descent.lr, slow_bound, swing_bound)]
    found += said.unsettled(given.losses, at_end, math.inf)
    return given.found(
        Verdict.TOO_SLOW if slow else Verdict.MONOTONE if at_end.settled else Verdict.UNKNOWN,
        found,
        lr_bound_range=(0.0, slow_bound) if given.plain and math.isfinite(slow_bound) else None,
        factor=factor,
        limit=level,
        epochs_to_tolerance=epochs,
    )


def _swinging(given: Given) -> LossDiagnosis:
    """Losses that momentum lets swing, beyond their rounding: they converge where their peaks fall."""
    v = given.losses.values
    peaks = v[1:-1][(v[1:-1] > v[:-2]) & (v[1:-1] >= v[2:])]
    if len(peaks) < 2 or not (np.diff(peaks) < 0).all() or not v[-1] < peaks[0]:
        return given.found(Verdict.UNKNOWN, [said.swing_unclear(given.descent)])
    mu, tau = given.descent.momentum, given.descent.dampening
    heavy = not given.descent.nesterov and mu < 1
    # From rest and undampened, an error whose roots are real and positive only shrinks: a rise needs a curvature from
    # (1 - sqrt(mu))^2 / lr on. Dampening spares the first step, whose push can take any error to the other side.
    proved = heavy and tau == 0
    most = given.descent.lr * given.descent.limit() / (1 - math.sqrt(mu)) ** 2 if proved else None
    return given.found(
        Verdict.OSCILLATING,
        [said.swings(given.descent, peaks, math.sqrt(mu) if heavy else None)],
        factor=math.sqrt(mu) if heavy else None,
        lr_bound_range=None if most is None else (0.0, most),
    )
