"""By what factor printed losses leave, or near, a floor: from their differences, with the range that rounding leaves.

Where one direction outweighs the others, the losses are ``c + k P^t``. Differences are free of the floor c, so

    P^s = (L(t+2s) - L(t+s)) / (L(t+s) - L(t))      for every t and every stride s

and each such triple, with half a unit in the last place to either side of its numbers, gives an interval for P. The
longest run of last losses on which all intervals meet is what one direction explains.

Of growing losses of plain full-batch descent the range is proved, if one direction alone grows: its P is at least what
:func:`descentlab.doctor.losses.moment_bounds.growth_lower_bound` finds, and at most every ratio of differences, which
the fading directions make too large. Where the first is above the second, more than one grows, and no ratio bounds P.

All other ranges are extrapolations: those of falling losses, and those under momentum, whose losses are not sums of
powers with weights of one sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from descentlab.doctor.losses.moment_bounds import growth_lower_bound
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.typing import FloatArray

MAX_LOSSES = 300  # losses looked back on
# How many times its last change a ratio may still drift where nothing shows that it settles.
MAX_DRIFT_FACTOR = 20.0
SETTLED_FRACTION = 0.1  # falling losses have settled where their ratio comes this much nearer to 1 still
LOOP_NOISE_RTOL = 1e-5  # what a loop in float32 may do to a loss, however few digits are printed
BIAS_ULPS = 2.0  # what other directions may add unseen, in units of rounding: it biases P by as much


@dataclass(frozen=True)
class GrowthEstimate:
    """How losses change from print to print near their end.

    Attributes:
        ratio: P, by which their distance from the floor is multiplied from one print to the next; nan where unknown.
        low, high: what P may be. Of growing losses of plain descent: if one direction alone grows; low is above high
            where that is refuted.
        n_used: how many of the last losses one direction explains to the last digit printed; at least 3.
        is_settled: whether that is more than three, which one direction nearly always explains, or nearly so.
        stride: how far apart the last three losses are that tell P best.
    """

    ratio: float
    low: float
    high: float
    n_used: int
    is_settled: bool
    stride: int


def first_convexity_violation(losses: PrintedLosses) -> int | None:
    """The first entry (from 1) at which losses break ``L(t)^2 <= L(t-1) L(t+1)`` beyond their rounding, or None."""
    v, h = losses.values, np.maximum(losses.half_ulps, LOOP_NOISE_RTOL * losses.values)
    roots = np.sqrt(v[:-2] + h[:-2]) * np.sqrt(v[2:] + h[2:])
    violations = np.flatnonzero(v[1:-1] - h[1:-1] > roots * (1 + 1e-12))
    return int(violations[0]) + 2 if violations.size else None


def estimate_growth(losses: PrintedLosses, has_no_momentum: bool) -> GrowthEstimate:
    """The pace at the end of two or more finite losses.

    Args:
        losses: at equal distances; two only if they rise. Of the last three, no two neighbours are equal.
        has_no_momentum: whether they come from plain full-batch descent, which narrows the range.
    """
    recent = PrintedLosses(losses.values[-MAX_LOSSES:], losses.half_ulps[-MAX_LOSSES:])
    v, h = recent
    rising = bool(v[-1] > v[-2])
    if len(v) == 2:
        low = max(growth_lower_bound(recent), 1.0) if has_no_momentum else 1.0
        return GrowthEstimate(math.nan, low, math.inf, 2, False, 1)
    signed = v if rising else -v
    lows, highs = _intersect_suffixes(signed, h)
    if lows[-1] > highs[-1]:  # the last three turn
        estimate = GrowthEstimate(math.nan, 0.0, math.inf, 3, False, 1)
    else:
        n_used = len(v) - int(np.argmax(lows <= highs))
        n_late = max(3, (n_used + 1) // 2)  # the later half: other directions weigh least there
        estimate = _estimate_from_last(signed[-n_late:], h[-n_late:] * (BIAS_ULPS if n_used > 3 else 1.0), n_used)
        if n_used == 3:
            estimate = _widen_unsettled(estimate, recent, has_no_momentum)
    if not (has_no_momentum and rising):
        return estimate
    low, high = max(growth_lower_bound(recent), 1.0), _upper_bound_single_mode(signed, h)
    ratio = low if math.isnan(estimate.ratio) else min(max(estimate.ratio, low), max(high, low))
    return replace(estimate, ratio=ratio, low=low, high=high)


def _upper_bound_single_mode(v: FloatArray, h: FloatArray) -> float:
    """What P is at most if it alone is above 1: every ratio of differences, at any stride."""
    strides = range(1, (len(v) - 1) // 2 + 1)
    return min(float(high[high > 0].min(initial=math.inf)) for high in (ratio_intervals(v, h, s)[1] for s in strides))


def largest_ratio_of_differences(losses: PrintedLosses) -> float:
    """The largest ratio of differences, per print, at the least that rounding allows; 0 if there is none."""
    v, h = losses.values[-MAX_LOSSES:], losses.half_ulps[-MAX_LOSSES:]
    strides = range(1, (len(v) - 1) // 2 + 1)
    lows = [low[np.isfinite(low)].max(initial=0.0) for low, _, _ in (ratio_intervals(v, h, s) for s in strides)]
    return float(max(lows, default=0.0))


def ratio_intervals(v: FloatArray, h: FloatArray, stride: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For every three losses this far apart: the least and the largest P their rounding allows, and P or nan."""
    a, b, c = v[: -2 * stride], v[stride:-stride], v[2 * stride :]
    ha, hb, hc = h[: -2 * stride], h[stride:-stride], h[2 * stride :]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        max_step, min_step = b + hb - a + ha, b - hb - a - ha
        low = np.maximum(c - hc - b - hb, 0.0) / max_step
        high = np.where(min_step > 0, np.maximum(c + hc - b + hb, 0.0) / min_step, np.inf)
        low, high = np.where(max_step > 0, low, np.inf), np.where(max_step > 0, high, 0.0)  # they turn: no P fits
        ratio = np.where((b > a) & (c > b), (c - b) / (b - a), np.nan)
        return np.power(low, 1 / stride), np.power(high, 1 / stride), np.power(ratio, 1 / stride)


def _intersect_suffixes(v: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(m - 2,) where the intervals of all triples from entry i on meet: the largest low, the smallest high."""
    low, high = np.zeros(len(v) - 2), np.full(len(v) - 2, np.inf)
    for stride in range(1, (len(v) - 1) // 2 + 1):
        lo, hi, _ = ratio_intervals(v, h, stride)
        low[: len(lo)], high[: len(lo)] = np.maximum(low[: len(lo)], lo), np.minimum(high[: len(lo)], hi)
    return np.maximum.accumulate(low[::-1])[::-1], np.minimum.accumulate(high[::-1])[::-1]


def _estimate_from_last(v: FloatArray, h: FloatArray, n_used: int) -> GrowthEstimate:
    """P from losses that one direction explains: where their intervals meet, and what the narrowest says."""
    lows, highs = _intersect_suffixes(v, h)
    best = (math.inf, math.nan, 1)
    for stride in range(1, (len(v) - 1) // 2 + 1):
        lo, hi, ratio = ratio_intervals(v[-2 * stride - 1 :], h[-2 * stride - 1 :], stride)
        if (math.isfinite(ratio[0]) and hi[0] - lo[0] < best[0]) or math.isnan(best[1]):
            best = (float(hi[0] - lo[0]), float(ratio[0]), stride)
    return GrowthEstimate(best[1], float(lows[0]), float(highs[0]), n_used, n_used > 3, best[2])


def _widen_unsettled(estimate: GrowthEstimate, losses: PrintedLosses, has_no_momentum: bool) -> GrowthEstimate:
    """The range where the last three losses stand alone: as far as their ratio may be from where it settles."""
    rising = bool(losses.values[-1] > losses.values[-2])
    steps = np.diff(losses.values if rising else -losses.values)
    n_same_sign = int(np.argmin(np.append(steps[::-1] > 0, False)))  # how many of the last steps go the same way
    last_ratio = estimate.ratio
    if n_same_sign < 3 and rising:
        # What other directions add is partly floor: the ratio of losses has all of that, the ratio of differences none.
        loss_ratio = _max_loss_ratio(losses)
        return replace(
            estimate, low=min(estimate.low, loss_ratio), high=estimate.high + max(last_ratio - loss_ratio, 0.0)
        )
    if n_same_sign < 4 and not rising:
        return replace(estimate, high=1.0)
    ratios = steps[1:] / np.where(steps[:-1] == 0, 1.0, steps[:-1])
    changes = np.diff(ratios[len(ratios) - n_same_sign + 1 :])
    change, remaining_drift = float(changes[-1]), MAX_DRIFT_FACTOR * float(changes[-1])
    if n_same_sign >= 4 and change * changes[-2] >= 0 and abs(change) * (1 + 1 / MAX_DRIFT_FACTOR) < abs(changes[-2]):
        shrinkage = change / float(changes[-2])
        remaining_drift = change * shrinkage / (1 - shrinkage)  # a geometric approach (A. Aitken, 1926)
    margin = (
        abs(remaining_drift) if has_no_momentum else max(abs(remaining_drift), 3 * float(np.abs(changes[-4:]).max()))
    )
    if rising:
        low, high = (
            max(min(estimate.low, last_ratio + remaining_drift) - margin, 0.0),
            max(estimate.high, last_ratio + remaining_drift) + margin,
        )
        return replace(estimate, low=low, high=high)
    if has_no_momentum and margin < SETTLED_FRACTION * (1 - last_ratio):
        return replace(
            estimate, high=min(max(estimate.high, last_ratio + remaining_drift) + margin, 1.0), is_settled=True
        )
    return replace(estimate, high=1.0)  # slower directions show later


def _max_loss_ratio(losses: PrintedLosses) -> float:
    """The largest ratio of a loss to the one before it, at the least that rounding allows."""
    v, h = losses
    with np.errstate(over="ignore", divide="ignore"):
        return float((np.maximum(v[1:] - h[1:], 0.0) / (v[:-1] + h[:-1])).max())


def fastest_decay_bound(losses: PrintedLosses) -> float:
    """What the smallest P_i of falling losses of plain descent is at most: any ratio of differences is their mean."""
    _, high, _ = ratio_intervals(-losses.values, losses.half_ulps, 1)
    return float(high.min())


def aitken_limits(losses: PrintedLosses, stride: int) -> tuple[float, float, float]:
    """Where losses that fade by one factor level off: the least, the likely and the largest that rounding allows.

    ``L3 - (L3 - L2)^2 / ((L3 - L2) - (L2 - L1))`` (A. Aitken, 1926), for the last three losses ``stride`` apart.
    """
    v, h = losses.values[-1::-stride][:3], losses.half_ulps[-1::-stride][:3]
    corners = np.stack(np.meshgrid(*([0, -1, 1],) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    c, b, a = (v + corners * BIAS_ULPS * h).T
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = c - (c - b) ** 2 / ((c - b) - (b - a))
    limits = np.where((a > b) & (b - c < a - b), np.clip(limits, 0.0, c), np.where(c >= b, c, 0.0))
    return float(limits.min()), float(limits[0]), float(limits.max())
