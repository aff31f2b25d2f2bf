"""The findings about printed losses, in words: the verdict with its number, the advice, then what qualifies them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.recursion import nesterov_stable_interval, stability_limit
from descentlab.doctor.finding import (
    Finding,
    Severity,
    caution_finding,
    fact_finding,
    make_finding,
    problem_finding,
)
from descentlab.doctor.losses.growth_rate import GrowthEstimate
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.doctor.references import POLYAK_REFERENCE
from descentlab.messages import format_distinct, message, pluralize
from descentlab.typing import FloatArray

Interval = tuple[float, float]

MAX_FACTOR_DIGITS = 6  # factors that agree to this many digits are not said to differ
SETTLED_RANGE_RATIO = 1.001  # a range this narrow needs no word on how far the growth had settled
FLOAT32_MAX = float(np.finfo(np.float32).max)
FLOAT32_MARGIN = 1e-6  # part of the float32 range; squares overflow before their mean does
PRINT_MORE = message("advice.losses_print_more")


def divergence_finding(
    lr: float,
    lr_bound: float | None,
    *,
    shown_interval: Interval,
    full_interval: Interval,
    factor: float | None,
    is_certain: bool,
    is_single_mode: bool,
) -> Finding:
    """That losses diverge, or may diverge, and the bound that follows.

    Args:
        lr, lr_bound: the rate and its bound; None for a bound that is not known.
        shown_interval: the range of the bound in the sentence.
        full_interval: the range of the bound without further assumptions.
        factor: by what an epoch multiplies the error; None if it is not known.
        is_certain: whether they diverge.
        is_single_mode: whether ``shown_interval`` assumes that a single direction grows; else it assumes that no
            direction grows that is too small to matter.
    """
    make = problem_finding if is_certain else caution_finding
    name = "losses_diverge" if is_certain else "losses_upswing"
    numbers: dict[str, Any] = {"lr": lr, "lr_bound": lr_bound}
    numbers |= {"lr_bound_low": full_interval[0], "lr_bound_high": full_interval[1]}
    if lr_bound is None:
        key = "losses.bound_between" if full_interval[0] > 0 else "losses.bound_below"
        claim = message(key, lr=lr, **_format_interval(full_interval, 4))
        caveats = [message("losses.hidden")] * (full_interval[0] > 0)
        advice = (
            message("advice.losses_halve", half=_round_directed(lr / 2, 3, math.floor)) if is_certain else PRINT_MORE
        )
    else:
        lr_over_bound, digits = lr / lr_bound, _justified_digits(lr_bound, *shown_interval)
        decimals = max(digits, 1 + math.ceil(-math.log10(lr_over_bound - 1)) if lr_over_bound > 1 else digits)
        values = {"lr_bound": f"{lr_bound:.{digits + 1}g}", "times": f"{lr_over_bound:.{min(decimals, 6)}g}"}
        claim = message("losses.bound", lr=lr, **_format_interval(shown_interval, digits + 1), **values)
        caveats = [message("losses.hidden")]
        if is_single_mode:
            low = _format_interval(full_interval, 3)["low"]
            high = _format_interval(full_interval, digits + 1)["high"]
            key = "losses.bound_anyway" if full_interval[0] > 0 else "losses.bound_at_most"
            caveats = [message("losses.single_direction"), message(key, low=low, high=high)]
            numbers |= {"alone_low": shown_interval[0], "alone_high": shown_interval[1]}
        numbers |= {"factor": None if factor is None else -factor, "lr_over_bound": lr_over_bound}
        half = _round_directed(lr_bound / 2, 3, math.floor)
        advice = message("advice.losses_diverge", half=half) if is_certain else PRINT_MORE
    reference = POLYAK_REFERENCE if is_certain and lr_bound is not None else None
    if not is_certain:
        caveats = [message("losses.if_growing", claim=claim), *caveats]
        return make(name, message("losses.upswing"), advice=advice, caveats=tuple(caveats), **numbers)
    messages = [message("losses.diverge", claim=claim)]
    messages += [] if factor is None else [message("losses.grow", factor=-factor)]
    caveats.append(message("losses.ascent"))
    return make(name, *messages, advice=advice, reference=reference, caveats=tuple(caveats), **numbers)


def unsettled_findings(
    finding: Finding, losses: PrintedLosses, estimate: GrowthEstimate, range_ratio: float
) -> list[Finding]:
    """The finding, with how far the pace had settled if that is in doubt.

    ``range_ratio`` is the ratio of the ends of the bound's range.
    """
    if estimate.is_settled or range_ratio < SETTLED_RANGE_RATIO:
        return [finding]
    if len(losses.values) == 3 and finding.name == "losses_fall":
        return [finding, caution_finding("losses_unsettled", message("losses.three"), losses=3)]
    if len(losses.values) == 3:
        return [replace(finding, caveats=(*finding.caveats, message("losses.three")))]
    steps = np.diff(losses.values[-4:])
    if not ((steps > 0).all() or (steps < 0).all()):  # they turn: no factor leads from one step to the next
        return [finding]
    before, last = float(steps[1] / steps[0]), float(steps[2] / steps[1])
    if not before < math.inf > last:
        return [finding]
    texts = ((f"{before:.{digits}g}", f"{last:.{digits}g}") for digits in range(3, MAX_FACTOR_DIGITS + 1))
    distinct = next((pair for pair in texts if pair[0] != pair[1]), None)
    if distinct is None:
        return [finding]
    main_message = message("losses.unsettled", before=distinct[0], last=distinct[1])
    unsettled = caution_finding("losses_unsettled", main_message, advice=PRINT_MORE, before=before, last=last)
    return [finding, unsettled]


def decay_finding(lr: float, factor: float, limit: float | None, epochs: int | None, is_slow: bool) -> Finding:
    """The pace of falling losses, and where they would level off."""
    numbers: dict[str, Any] = {"lr": lr, "factor": factor, "limit": limit, "epochs_to_tolerance": epochs}
    factor_text = format_distinct(factor) if 1 - factor > 1e-4 else f"1 - {1 - factor:.2g}"
    pace = message("losses.pace", factor=factor_text)
    messages = [message("losses.too_slow") if is_slow else message("losses.fall", lr=lr), pace]
    if limit is None or epochs is None:
        messages.append(message("losses.limit_unknown"))
        return fact_finding("losses_fall", *messages, advice=PRINT_MORE, **numbers)
    count = pluralize(epochs)
    messages.append(
        message("losses.limit", limit=limit, epochs=count) if limit else message("losses.limit_zero", epochs=count)
    )
    if is_slow:
        advice, caveats = message("advice.losses_too_slow"), (message("losses.no_proof"),)
        return problem_finding("losses_too_slow", *messages, advice=advice, caveats=caveats, **numbers)
    advice = message("advice.losses_continue" if epochs else "advice.losses_stop", epochs=count)
    return fact_finding("losses_fall", *messages, advice=advice, **numbers)


def two_explanations_finding(lr: float, monotone_lr_bound: float, oscillating_lr_bound: float) -> Finding:
    """The two explanations that falling losses allow."""
    messages = [message("losses.two_readings")]
    if math.isfinite(monotone_lr_bound):
        messages.append(message("losses.reading_same_side", slow_bound=monotone_lr_bound))
    if math.isfinite(oscillating_lr_bound):
        percent = format_distinct(100 * lr / oscillating_lr_bound, 100)
        messages.append(message("losses.reading_to_and_fro", swing_bound=oscillating_lr_bound, percent=percent))
    return fact_finding(
        "losses_two_readings",
        *messages,
        advice=message("advice.losses_two_readings"),
        reference=POLYAK_REFERENCE,
        lr=lr,
        bound_at_most=monotone_lr_bound,
        bound_if_overshooting=oscillating_lr_bound,
    )


def not_full_batch_finding(losses: PrintedLosses, entry: int, diverged: bool) -> Finding:
    """Losses that plain full-batch descent at one rate cannot give."""
    before, value, after = losses.values[entry - 2 : entry + 1].tolist()
    numbers: dict[str, Any] = {"entry": entry, "before": before, "value": value, "after": after}
    messages = [message("losses.not_plain", **numbers), message("losses.not_plain_rule")]
    if diverged:
        messages.insert(0, message("losses.blown_up", first=float(losses.values[0]), last=float(losses.values[-1])))
    severity = Severity.PROBLEM if diverged else Severity.CAUTION
    return make_finding(severity, "losses_not_plain", *messages, advice=message("advice.losses_not_plain"), **numbers)


def no_bound_finding(descent: Descent) -> Finding:
    """Settings under which losses determine no bound: momentum above 1, or dampening 1."""
    mu = descent.momentum
    if mu > 1 and descent.nesterov:
        main_message = message("finding.nesterov_window", **nesterov_stable_interval(mu))
    else:
        main_message = message("ending.momentum_one" if mu > 1 else "losses.dampened", momentum=mu)
    severity = Severity.PROBLEM if stability_limit(**descent.momentum_settings) == 0 else Severity.CAUTION
    return make_finding(
        severity,
        "losses_no_bound",
        main_message,
        advice=message("advice.momentum_one" if mu > 1 else "advice.dampened"),
        momentum=mu,
    )


def oscillation_finding(descent: Descent, peaks: FloatArray, factor: float | None) -> Finding:
    """Oscillations that shrink."""
    first, last = float(peaks[0]), float(peaks[-1])
    messages = [message("losses.swing", momentum=descent.momentum, first=first, last=last)]
    messages += [message("losses.swing_factor", factor=factor)] * (factor is not None)
    return fact_finding(
        "losses_swing",
        *messages,
        advice=message("advice.losses_swing"),
        reference=POLYAK_REFERENCE,
        caveats=(message("losses.no_proof"),),
        first_peak=first,
        last_peak=last,
        factor=factor,
    )


def nonfinite_finding(count: int, next_loss: float) -> Finding:
    """The entries after the last number: the overflow of such growth, or too early for it."""
    numbers: dict[str, Any] = {"count": count, "next": next_loss}
    if not next_loss < FLOAT32_MAX * FLOAT32_MARGIN:
        return problem_finding("losses_overflow", message("losses.overflow", count=count), **numbers)
    main_message = message("losses.nan_too_soon", largest=f"{FLOAT32_MAX:.2g}", **numbers)
    return problem_finding("losses_nan_too_soon", main_message, advice=message("advice.losses_nan_too_soon"), **numbers)


def _format_interval(interval: Interval, digits: int) -> dict[str, str]:
    """The ends of a range with this many digits, rounded outwards."""
    low, high = _round_directed(interval[0], digits, math.floor), _round_directed(interval[1], digits, math.ceil)
    return {"low": f"{low:.{digits}g}", "high": f"{high:.{digits}g}"}


def _justified_digits(value: float, low: float, high: float) -> int:
    """How many digits of a number its range leaves it, from 2 to 6."""
    relative_width = (high - low) / value
    return min(max(math.ceil(-math.log10(relative_width)), 2), 6) if relative_width > 0 else 6


def _round_directed(value: float, digits: int, round_to_int: Callable[[Decimal], int]) -> float:
    """A number rounded down or up to this many digits."""
    if not 0 < value < math.inf:
        return value
    decimals = digits - 1 - math.floor(math.log10(value))
    return float(Decimal(round_to_int(Decimal(repr(value)).scaleb(decimals))).scaleb(-decimals))
