"""The findings about printed losses: what :mod:`descentlab.doctor.losses.diagnose` concludes, in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.recursion import nesterov_window
from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.losses.growth_rate import Pace
from descentlab.doctor.losses.parsing import Printed
from descentlab.messages import Sentence, counted, number, sentence
from descentlab.typing import Array

Ends = tuple[float, float]

SETTLED = 1.001  # a range this narrow needs no word on how far the growth had settled
LARGEST, MARGIN = float(np.finfo(np.float32).max), 1e-6  # of float32; squares overflow before their mean does
POLYAK = "B. Polyak, Some methods of speeding up the convergence of iteration methods (1964)"


def growth(
    lr: float, bound: float | None, told: Ends, whole: Ends, factor: float | None, sure: bool, alone: bool
) -> Finding:
    """That losses diverge, or may, and which bound that implies.

    Args:
        lr, bound, factor: the rate, the bound, and what an epoch multiplies the error by; None where they are not told.
        told, whole: the range that the bound is told in, and what it may be in any case.
        sure: whether they diverge.
        alone: whether the first range takes one direction alone to grow; else, none that is too small to matter.
    """
    evidence: dict[str, object] = {"lr": lr, "lr_bound": bound, "lr_bound_low": whole[0], "lr_bound_high": whole[1]}
    first = sentence("losses.grow_unknown") if factor is None else sentence("losses.grow", factor=-factor)
    said = [first if sure else sentence("losses.upswing")]
    name = "losses_diverge" if sure else "losses_upswing"
    if bound is None:
        said.append(
            sentence("losses.bound_between" if whole[0] > 0 else "losses.bound_below", lr=lr, **_ends(whole, 4))
        )
        said += [sentence("losses.hidden")] * (whole[0] > 0)
        return Finding(name, _weight(sure), tuple(said), evidence, _more())
    times, digits = lr / bound, _digits(bound, *told)
    decimals = max(digits, 1 + math.ceil(-math.log10(times - 1)) if times > 1 else digits)
    values = _ends(told, digits + 1) | {"lr_bound": f"{bound:.{digits}g}", "times": f"{times:.{min(decimals, 6)}g}"}
    if not alone:
        said += [sentence("losses.bound", lr=lr, **values), sentence("losses.hidden")]
    else:
        key = "losses.bound_anyway" if whole[0] > 0 else "losses.bound_at_most"
        ends = {"low": _ends(whole, 3)["low"], "high": _ends(whole, digits + 1)["high"]}
        said += [sentence("losses.bound_alone", lr=lr, **values), sentence(key, **ends)]
        evidence |= {"alone_low": told[0], "alone_high": told[1]}
    evidence |= {"factor": None if factor is None else -factor, "lr_over_bound": times}
    if not sure:
        return Finding(name, _weight(sure), tuple(said), evidence, _more())
    advice = sentence("advice.losses_diverge", half=_rounded(bound / 2, 3, math.floor))
    return Finding(name, _weight(sure), tuple(said), evidence, advice, POLYAK)


def unsettled(losses: Printed, at_end: Pace, apart: float) -> list[Finding]:
    """How far the pace had settled, where that is in doubt; ``apart`` is the ratio of the ends of the bound's range."""
    if at_end.settled or apart < SETTLED:
        return []
    if len(losses.values) == 3:
        return [Finding("losses_unsettled", Weight.CAUTION, (sentence("losses.three"),), {"losses": 3})]
    steps = np.diff(losses.values[-4:])
    if not ((steps > 0).all() or (steps < 0).all()):  # they turn: no factor leads from one step to the next
        return []
    before, last = float(steps[1] / steps[0]), float(steps[2] / steps[1])
    if not before < math.inf > last:
        return []
    evidence = {"before": before, "last": last}
    said = sentence("losses.unsettled", before=before, last=last)
    return [Finding("losses_unsettled", Weight.CAUTION, (said,), evidence, _more())]


def fall(factor: float, limit: float | None, epochs: int | None, slow: bool) -> Finding:
    """The pace of falling losses, and where they would level off."""
    shown = _near_one(factor)
    said = [sentence("losses.too_slow" if slow else "losses.fall", factor=shown)]
    if limit is None or epochs is None:
        said.append(sentence("losses.limit_unknown"))
    elif limit == 0:
        said.append(sentence("losses.limit_zero", epochs=counted(epochs)))
    else:
        said.append(sentence("losses.limit", limit=limit, epochs=counted(epochs)))
    evidence = {"factor": factor, "limit": limit, "epochs_to_tolerance": epochs}
    name, weight = ("losses_too_slow", Weight.PROBLEM) if slow else ("losses_fall", Weight.FACT)
    return Finding(name, weight, tuple(said), evidence, sentence("advice.losses_too_slow") if slow else None)


def readings(lr: float, slow_bound: float, swing_bound: float) -> Finding:
    """The two readings that falling losses allow."""
    said = [sentence("losses.two_readings")]
    if math.isfinite(slow_bound):
        said.append(sentence("losses.reading_same_side", slow_bound=slow_bound))
    if math.isfinite(swing_bound):
        percent = number(100 * lr / swing_bound)
        said.append(sentence("losses.reading_to_and_fro", swing_bound=swing_bound, percent=percent))
    said.append(sentence("losses.no_proof"))
    evidence = {"lr": lr, "bound_at_most": slow_bound, "bound_if_overshooting": swing_bound}
    return Finding(
        "losses_two_readings", Weight.FACT, tuple(said), evidence, sentence("advice.losses_two_readings"), POLYAK
    )


def steady(last: float) -> Finding:
    """Losses that fall by steps that do not shrink."""
    return Finding("losses_steady", Weight.CAUTION, (sentence("losses.steady"),), {"last": last}, _more())


def level(value: float) -> Finding:
    """Losses that stand still to the digits printed."""
    said = (sentence("losses.level", value=value),)
    return Finding("losses_level", Weight.CAUTION, said, {"value": value}, sentence("advice.losses_level"))


def not_plain(losses: Printed, entry: int, blown_up: bool) -> Finding:
    """Losses that plain full-batch descent at one rate cannot give."""
    before, value, after = losses.values[entry - 2 : entry + 1].tolist()
    said = [sentence("losses.not_plain", entry=entry, value=value, before=before, after=after)]
    if blown_up:
        said.insert(0, sentence("losses.blown_up", first=float(losses.values[0]), last=float(losses.values[-1])))
    evidence = {"entry": entry, "before": before, "value": value, "after": after}
    return Finding("losses_not_plain", _weight(blown_up), tuple(said), evidence, sentence("advice.losses_not_plain"))


def no_bound(descent: Descent) -> Finding:
    """Settings under which losses tell no bound: momentum above 1, or dampening 1."""
    if descent.momentum > 1 and descent.nesterov:
        words = sentence("finding.nesterov_window", **nesterov_window(descent.momentum))
    else:
        words = sentence(
            "ending.momentum_one" if descent.momentum > 1 else "losses.dampened", momentum=descent.momentum
        )
    said = (words,)
    return Finding("losses_no_bound", _weight(descent.limit() == 0), said, {"momentum": descent.momentum})


def swings(descent: Descent, peaks: Array, factor: float | None) -> Finding:
    """Swings that shrink."""
    first, last = float(peaks[0]), float(peaks[-1])
    said = [sentence("losses.swing", momentum=descent.momentum, first=first, last=last)]
    if factor is not None:
        said.append(sentence("losses.swing_factor", factor=factor))
    said.append(sentence("losses.no_proof"))
    evidence = {"first_peak": first, "last_peak": last, "factor": factor}
    return Finding("losses_swing", Weight.FACT, tuple(said), evidence, None, POLYAK)


def swing_unclear(descent: Descent) -> Finding:
    """Swings too few to tell."""
    said = (sentence("losses.swing_unclear", momentum=descent.momentum),)
    return Finding("losses_swing_unclear", Weight.CAUTION, said, {"momentum": descent.momentum}, _more())


def lost(count: int, next_loss: float) -> Finding:
    """The entries after the last number: the overflow of such growth, or too soon for it."""
    evidence = {"count": count, "next": next_loss}
    if not next_loss < LARGEST * MARGIN:
        return Finding("losses_overflow", Weight.PROBLEM, (sentence("losses.overflow", count=count),), evidence)
    said = (sentence("losses.nan_too_soon", count=count, next=next_loss, largest=f"{LARGEST:.2g}"),)
    return Finding("losses_nan_too_soon", Weight.PROBLEM, said, evidence, sentence("advice.losses_nan_too_soon"))


def between(every: int) -> Finding:
    """What prints some epochs apart do not show under momentum."""
    return Finding("losses_every", Weight.CAUTION, (sentence("losses.every", every=every),), {"every": every})


def _weight(sure: bool) -> Weight:
    return Weight.PROBLEM if sure else Weight.CAUTION


def _more() -> Sentence:
    return sentence("advice.losses_print_more")


def _ends(ends: Ends, digits: int) -> dict[str, str]:
    """The ends of a range with so many digits, rounded away from its middle."""
    low, high = _rounded(ends[0], digits, math.floor), _rounded(ends[1], digits, math.ceil)
    return {"low": f"{low:.{digits}g}", "high": f"{high:.{digits}g}"}


def _digits(value: float, low: float, high: float) -> int:
    """How many digits of a number its range leaves it, from 2 to 6."""
    apart = (high - low) / value
    return min(max(math.ceil(-math.log10(apart)), 2), 6) if apart > 0 else 6


def _rounded(value: float, digits: int, way: Callable[[Decimal], int]) -> float:
    """A number rounded down or up to so many digits."""
    if not 0 < value < math.inf:
        return value
    places = digits - 1 - math.floor(math.log10(value))
    return float(Decimal(way(Decimal(repr(value)).scaleb(places))).scaleb(-places))


def _near_one(factor: float) -> str:
    """A factor with the digits that tell it from 1."""
    return number(factor) if 1 - factor > 1e-4 else f"1 - {1 - factor:.2g}"
