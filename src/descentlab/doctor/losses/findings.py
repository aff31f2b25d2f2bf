"""The findings about printed losses, in words: the verdict with its number, the advice, then what qualifies them."""

from __future__ import annotations

import math
from dataclasses import replace
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
from descentlab.doctor.losses.divergence import PRINT_MORE, rate_in_words
from descentlab.doctor.losses.growth_rate import GrowthEstimate
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.doctor.references import POLYAK_REFERENCE
from descentlab.messages import format_distinct, message, pluralize
from descentlab.typing import FloatArray

MAX_FACTOR_DIGITS = 6  # factors that agree to this many digits are not said to differ
SETTLED_RANGE_RATIO = 1.001  # a range this narrow needs no word on how far the growth had settled
FLOAT32_MAX = float(np.finfo(np.float32).max)
FLOAT32_MARGIN = 1e-6  # part of the float32 range; squares overflow before their mean does


def unsettled_findings(
    finding: Finding, losses: PrintedLosses, estimate: GrowthEstimate, range_ratio: float
) -> list[Finding]:
    """The finding, with how far the pace had settled if that is in doubt.

    ``range_ratio`` is the ratio of the ends of the bound's range.
    """
    if estimate.is_settled or range_ratio < SETTLED_RANGE_RATIO or len(losses.values) == 2:
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


def decay_finding(lr: float | None, factor: float, limit: float | None, epochs: int | None, is_slow: bool) -> Finding:
    """The pace of falling losses, and where they would level off."""
    numbers: dict[str, Any] = {"lr": lr, "factor": factor, "limit": limit, "epochs_to_tolerance": epochs}
    factor_text = format_distinct(factor) if 1 - factor > 1e-4 else f"1 - {1 - factor:.2g}"
    pace = message("losses.pace", factor=factor_text)
    messages = [message("losses.too_slow") if is_slow else message("losses.fall"), pace]
    caveats = (message("losses.no_proof"),)
    if limit is None or epochs is None:
        messages.append(message("losses.limit_unknown"))
        return fact_finding("losses_fall", *messages, advice=PRINT_MORE, caveats=caveats, **numbers)
    count = pluralize(epochs)
    key = "limit_zero" if not limit else "limit" if epochs else "limit_now"
    messages.append(message(f"losses.{key}", limit=limit, epochs=count))
    if is_slow:
        advice = message("advice.losses_too_slow")
        return problem_finding("losses_too_slow", *messages, advice=advice, caveats=caveats, **numbers)
    advice = message("advice.losses_continue" if epochs else "advice.losses_stop", epochs=count)
    return fact_finding("losses_fall", *messages, advice=advice, caveats=caveats, **numbers)


def two_explanations_finding(lr: float | None, monotone_lr_bound: float, oscillating_lr_bound: float) -> Finding:
    """The two explanations that falling losses allow; bounds are multiples of the rate where that is None."""
    messages = [message("losses.two_readings")]
    if math.isfinite(monotone_lr_bound):
        slow_bound = rate_in_words(lr, monotone_lr_bound)
        messages.append(message("losses.reading_same_side", slow_bound=slow_bound))
    if math.isfinite(oscillating_lr_bound):
        percent = format_distinct(100 * (1.0 if lr is None else lr) / oscillating_lr_bound, 100)
        swing_bound = rate_in_words(lr, oscillating_lr_bound)
        messages.append(message("losses.reading_to_and_fro", swing_bound=swing_bound, percent=percent))
    numbers = {"bound_at_most": monotone_lr_bound, "bound_if_overshooting": oscillating_lr_bound}
    return fact_finding(
        "losses_two_readings",
        *messages,
        advice=message("advice.losses_two_readings"),
        reference=POLYAK_REFERENCE,
        lr=lr,
        **(dict.fromkeys(numbers) if lr is None else numbers),
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


def nonfinite_finding(count: int, next_loss: float, is_minimum: bool = False) -> Finding:
    """The entries after the last number: the overflow of such growth, or too early for it.

    ``is_minimum`` says that the growth, and so the next loss, may be larger than known.
    """
    numbers: dict[str, Any] = {"count": count, "next": next_loss}
    if not next_loss < FLOAT32_MAX * FLOAT32_MARGIN:
        return problem_finding("losses_overflow", message("losses.overflow", count=count), **numbers)
    if is_minimum:
        return caution_finding("losses_overflow", message("losses.overflow_maybe", count=count), **numbers)
    main_message = message("losses.nan_too_soon", largest=f"{FLOAT32_MAX:.2g}", **numbers)
    return problem_finding("losses_nan_too_soon", main_message, advice=message("advice.losses_nan_too_soon"), **numbers)
