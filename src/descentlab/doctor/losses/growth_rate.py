"""By what factor printed losses leave, or near, a floor: from their differences, with the range that rounding leaves.

Where one direction outweighs the others, the losses are ``c + k P^t``. Differences are free of the floor c, so

    P^s = (L(t+2s) - L(t+s)) / (L(t+s) - L(t))      for every t and every stride s

and each such triple, with half a unit in the last place to either side of its numbers, gives an interval for P. The
longest run of last losses on which all intervals meet is what one direction explains.

Of growing losses of plain full-batch descent the range is proved, if one direction alone grows: its P is at least what
:func:`descentlab.doctor.losses.moment_bounds.least_pace` finds, and at most every ratio of differences, which the
fading directions make too large. Where the first is above the second, more than one grows, and no ratio bounds P.

All other ranges are extrapolations: those of falling losses, and those under momentum, whose losses are no sums of
powers with weights of one sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from descentlab.doctor.losses.moment_bounds import least_pace
from descentlab.doctor.losses.parsing import Printed
from descentlab.typing import Array

WINDOW = 300  # losses looked back on
SLOWEST = 20.0  # how often its last change a ratio may still have before it, where nothing says when it settles
NEARLY = 0.1  # falling losses have settled where their ratio comes this much nearer to 1 still
HIDDEN = 2.0  # what other directions may add unseen, in units of rounding: it biases P by as much


@dataclass(frozen=True)
class Pace:
    """How losses change from print to print near their end.

    Attributes:
        ratio: P, by which their distance from the floor is multiplied from one print to the next; nan where unknown.
        low, high: what P may be. Of growing losses of plain descent: if one direction alone grows; low is above high
            where that is refuted.
        kept: how many of the last losses one direction explains to the last digit printed; at least 3.
        settled: whether that is more than three, which one direction nearly always explains, or nearly so.
        stride: how far apart the last three losses are that tell P best.
    """

    ratio: float
    low: float
    high: float
    kept: int
    settled: bool
    stride: int


def convex(losses: Printed) -> int | None:
    """The first entry (from 1) at which losses break ``L(t)^2 <= L(t-1) L(t+1)`` beyond their rounding, or None."""
    v, h = losses
    roots = np.sqrt(v[:-2] + h[:-2]) * np.sqrt(v[2:] + h[2:])
    broken = np.flatnonzero(v[1:-1] - h[1:-1] > roots * (1 + 1e-12))
    return int(broken[0]) + 2 if broken.size else None


def pace(losses: Printed, plain: bool) -> Pace:
    """The pace at the end of three or more finite losses.

    Args:
        losses: at equal distances. Of the last three, no two neighbours are equal.
        plain: whether they come from plain full-batch descent, which narrows the range.
    """
    recent = Printed(losses.values[-WINDOW:], losses.halves[-WINDOW:])
    v, h = recent
    rising = bool(v[-1] > v[-2])
    signed = v if rising else -v
    lows, highs = _meeting(signed, h)
    if lows[-1] > highs[-1]:  # the last three turn
        found = Pace(math.nan, 0.0, math.inf, 3, False, 1)
    else:
        kept = len(v) - int(np.argmax(lows <= highs))
        late = max(3, (kept + 1) // 2)  # the later half: other directions weigh least there
        found = _of_last(signed[-late:], h[-late:] * (HIDDEN if kept > 3 else 1.0), kept)
        if kept == 3:
            found = _unsettled(found, recent, plain)
    if not (plain and rising):
        return found
    low, high = max(least_pace(recent), 1.0), _most_alone(signed, h)
    ratio = low if math.isnan(found.ratio) else min(max(found.ratio, low), max(high, low))
    return replace(found, ratio=ratio, low=low, high=high)


def _most_alone(v: Array, h: Array) -> float:
    """What P is at most if it alone is above 1: every ratio of differences, at any stride."""
    strides = range(1, (len(v) - 1) // 2 + 1)
    return min(float(high[high > 0].min(initial=math.inf)) for high in (_triples(v, h, s)[1] for s in strides))


def _triples(v: Array, h: Array, stride: int) -> tuple[Array, Array, Array]:
    """For every three losses this far apart: the least and the largest P their rounding allows, and P or nan."""
    a, b, c = v[: -2 * stride], v[stride:-stride], v[2 * stride :]
    ha, hb, hc = h[: -2 * stride], h[stride:-stride], h[2 * stride :]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        most, least = b + hb - a + ha, b - hb - a - ha
        low = np.maximum(c - hc - b - hb, 0.0) / most
        high = np.where(least > 0, np.maximum(c + hc - b + hb, 0.0) / least, np.inf)
        low, high = np.where(most > 0, low, np.inf), np.where(most > 0, high, 0.0)  # they turn: no P fits
        at = np.where((b > a) & (c > b), (c - b) / (b - a), np.nan)
        return np.power(low, 1 / stride), np.power(high, 1 / stride), np.power(at, 1 / stride)


def _meeting(v: Array, h: Array) -> tuple[Array, Array]:
    """(m - 2,) where the intervals of all triples from entry i on meet: the largest low, the smallest high."""
    low, high = np.zeros(len(v) - 2), np.full(len(v) - 2, np.inf)
    for stride in range(1, (len(v) - 1) // 2 + 1):
        lo, hi, _ = _triples(v, h, stride)
        low[: len(lo)], high[: len(lo)] = np.maximum(low[: len(lo)], lo), np.minimum(high[: len(lo)], hi)
    return np.maximum.accumulate(low[::-1])[::-1], np.minimum.accumulate(high[::-1])[::-1]


def _of_last(v: Array, h: Array, kept: int) -> Pace:
    """P from losses that one direction explains: where their intervals meet, and what the narrowest says."""
    lows, highs = _meeting(v, h)
    best = (math.inf, math.nan, 1)
    for stride in range(1, (len(v) - 1) // 2 + 1):
        lo, hi, at = _triples(v[-2 * stride - 1 :], h[-2 * stride - 1 :], stride)
        if (math.isfinite(at[0]) and hi[0] - lo[0] < best[0]) or math.isnan(best[1]):
            best = (float(hi[0] - lo[0]), float(at[0]), stride)
    return Pace(best[1], float(lows[0]), float(highs[0]), kept, kept > 3, best[2])


def _unsettled(found: Pace, losses: Printed, plain: bool) -> Pace:
    """The range where the last three losses stand alone: as far as their ratio may be from where it settles."""
    rising = bool(losses.values[-1] > losses.values[-2])
    steps = np.diff(losses.values if rising else -losses.values)
    same_way = int(np.argmin(np.append(steps[::-1] > 0, False)))  # how many of the last steps go the same way
    last = found.ratio
    if same_way < 3 and rising:
        # What other directions add is partly floor: the ratio of losses has all of that, the ratio of differences none.
        least = _ratio(losses)
        return replace(found, low=min(found.low, least), high=found.high + max(last - least, 0.0))
    if same_way < 4 and not rising:
        return replace(found, high=1.0)
    ratios = steps[1:] / np.where(steps[:-1] == 0, 1.0, steps[:-1])
    changes = np.diff(ratios[len(ratios) - same_way + 1 :])
    change, ahead = float(changes[-1]), SLOWEST * float(changes[-1])
    if same_way >= 4 and change * changes[-2] >= 0 and abs(change) * (1 + 1 / SLOWEST) < abs(changes[-2]):
        shrinks = change / float(changes[-2])
        ahead = change * shrinks / (1 - shrinks)  # a geometric approach (A. Aitken, 1926)
    reach = abs(ahead) if plain else max(abs(ahead), 3 * float(np.abs(changes[-4:]).max()))
    if rising:
        low, high = max(min(found.low, last + ahead) - reach, 0.0), max(found.high, last + ahead) + reach
        return replace(found, low=low, high=high)
    if plain and reach < NEARLY * (1 - last):
        return replace(found, high=min(max(found.high, last + ahead) + reach, 1.0), settled=True)
    return replace(found, high=1.0)  # slower directions show later


def _ratio(losses: Printed) -> float:
    """The largest ratio of a loss to the one before it, at the least that rounding allows."""
    v, h = losses
    with np.errstate(over="ignore", divide="ignore"):
        return float((np.maximum(v[1:] - h[1:], 0.0) / (v[:-1] + h[:-1])).max())


def least_fading(losses: Printed) -> float:
    """What the smallest P_i of falling losses of plain descent is at most: any ratio of differences is their mean."""
    _, high, _ = _triples(-losses.values, losses.halves, 1)
    return float(high.min())


def levels_at(losses: Printed, stride: int) -> tuple[float, float, float]:
    """Where losses that fade by one factor level off: the least, the likely and the largest that rounding allows.

    ``L3 - (L3 - L2)^2 / ((L3 - L2) - (L2 - L1))`` (A. Aitken, 1926), for the last three losses ``stride`` apart.
    """
    v, h = losses.values[-1::-stride][:3], losses.halves[-1::-stride][:3]
    corners = np.stack(np.meshgrid(*([0, -1, 1],) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    c, b, a = (v + corners * HIDDEN * h).T
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = c - (c - b) ** 2 / ((c - b) - (b - a))
    limits = np.where((a > b) & (b - c < a - b), np.clip(limits, 0.0, c), np.where(c >= b, c, 0.0))
    return float(limits.min()), float(limits[0]), float(limits.max())
