"""The findings about printed losses: what :mod:`descentlab.doctor.losses.diagnose` concludes, in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.recursion import nesterov_stable_interval, stability_limit
from descentlab.doctor.finding import Finding, Severity
from descentlab.doctor.losses.growth_rate import GrowthEstimate
from descentlab.doctor.losses.parsing import PrintedLosses
from descentlab.messages import Message, format_distinct, format_given, message, pluralize
from descentlab.typing import FloatArray

Interval = tuple[float, float]

SETTLED_RANGE_RATIO = 1.001  # a range this narrow needs no word on how far the growth had settled
FLOAT32_MAX, FLOAT32_MARGIN = (
    float(np.finfo(np.float32).max),
    1e-6,
)  # of float32; squares overflow before their mean does
HEAVY_BALL_REFERENCE = "B. Polyak, Some methods of speeding up the convergence of iteration methods (1964)"


def divergence_finding(
    lr: float,
    lr_bound: float | None,
    shown_interval: Interval,
    full_interval: Interval,
    factor: float | None,
    is_certain: bool,
    is_single_mode: bool,
) -> Finding:
    """That losses diverge, or may, and which bound that implies.

    Args:
        lr, lr_bound, factor: the rate, the bound, and what an epoch multiplies the error by; None where they are not
        told. shown_interval, full_interval: the range that the bound is told in, and what it may be in any case.
        is_certain: whether they diverge.
        is_single_mode: whether the first range takes one direction alone to grow; else, none that is too small to
        matter.
    """
    evidence: dict[str, object] = {
        "lr": lr,
        "lr_bound": lr_bound,
        "lr_bound_low": full_interval[0],
        "lr_bound_high": full_interval[1],
    }
    main_message = message("losses.grow_unknown") if factor is None else message("losses.grow", factor=-factor)
    messages = [main_message if is_certain else message("losses.upswing")]
    name = "losses_diverge" if is_certain else "losses_upswing"
    if lr_bound is None:
        messages.append(
            message(
                "losses.bound_between" if full_interval[0] > 0 else "losses.bound_below",
                lr=lr,
                **_format_interval(full_interval, 4),
            )
        )
        messages += [message("losses.hidden")] * (full_interval[0] > 0)
        return Finding(name, _severity(is_certain), tuple(messages), evidence, _print_more_advice())
    lr_over_bound, digits = lr / lr_bound, _justified_digits(lr_bound, *shown_interval)
    decimals = max(digits, 1 + math.ceil(-math.log10(lr_over_bound - 1)) if lr_over_bound > 1 else digits)
    values = _format_interval(shown_interval, digits + 1) | {
        "lr_bound": f"{lr_bound:.{digits}g}",
        "times": f"{lr_over_bound:.{min(decimals, 6)}g}",
    }
    if not is_single_mode:
        messages += [message("losses.bound", lr=lr, **values), message("losses.hidden")]
    else:
        key = "losses.bound_anyway" if full_interval[0] > 0 else "losses.bound_at_most"
        ends = {
            "low": _format_interval(full_interval, 3)["low"],
            "high": _format_interval(full_interval, digits + 1)["high"],
        }
        messages += [message("losses.bound_alone", lr=lr, **values), message(key, **ends)]
        evidence |= {"alone_low": shown_interval[0], "alone_high": shown_interval[1]}
    evidence |= {"factor": None if factor is None else -factor, "lr_over_bound": lr_over_bound}
    if not is_certain:
        return Finding(name, _severity(is_certain), tuple(messages), evidence, _print_more_advice())
    advice = message("advice.losses_diverge", half=lr_bound / 2)
    return Finding(name, _severity(is_certain), tuple(messages), evidence, advice, HEAVY_BALL_REFERENCE)


def unsettled_findings(losses: PrintedLosses, estimate: GrowthEstimate, range_ratio: float) -> list[Finding]:
    """How far the pace had settled, where that is in doubt; ``range_ratio`` is the ratio of the ends of the bound's
    range.
    """
    if estimate.is_settled or range_ratio < SETTLED_RANGE_RATIO:
        return []
    if len(losses.values) == 3:
        return [Finding("losses_unsettled", Severity.CAUTION, (message("losses.three"),), {"losses": 3})]
    steps = np.diff(losses.values[-4:])
    if not ((steps > 0).all() or (steps < 0).all()):  # they turn: no factor leads from one step to the next
        return []
    before, last = float(steps[1] / steps[0]), float(steps[2] / steps[1])
    if not before < math.inf > last:
        return []
    evidence = {"before": before, "last": last}
    main_message = message("losses.unsettled", before=before, last=last)
    return [Finding("losses_unsettled", Severity.CAUTION, (main_message,), evidence, _print_more_advice())]


def decay_finding(factor: float, limit: float | None, epochs: int | None, is_slow: bool) -> Finding:
    """The pace of falling losses, and where they would level off."""
    factor_text = _format_near_one(factor)
    messages = [message("losses.too_slow" if is_slow else "losses.fall", factor=factor_text)]
    if limit is None or epochs is None:
        messages.append(message("losses.limit_unknown"))
    elif limit == 0:
        messages.append(message("losses.limit_zero", epochs=pluralize(epochs)))
    else:
        messages.append(message("losses.limit", limit=limit, epochs=pluralize(epochs)))
    evidence = {"factor": factor, "limit": limit, "epochs_to_tolerance": epochs}
    name, severity = ("losses_too_slow", Severity.PROBLEM) if is_slow else ("losses_fall", Severity.FACT)
    return Finding(name, severity, tuple(messages), evidence, message("advice.losses_too_slow") if is_slow else None)


def two_explanations_finding(lr: float, monotone_lr_bound: float, oscillating_lr_bound: float) -> Finding:
    """The two readings that falling losses allow."""
    messages = [message("losses.two_readings")]
    if math.isfinite(monotone_lr_bound):
        messages.append(message("losses.reading_same_side", slow_bound=monotone_lr_bound))
    if math.isfinite(oscillating_lr_bound):
        percent = format_distinct(100 * lr / oscillating_lr_bound, 100)
        messages.append(message("losses.reading_to_and_fro", swing_bound=oscillating_lr_bound, percent=percent))
    messages.append(message("losses.no_proof"))
    evidence = {"lr": lr, "bound_at_most": monotone_lr_bound, "bound_if_overshooting": oscillating_lr_bound}
    return Finding(
        "losses_two_readings",
        Severity.FACT,
        tuple(messages),
        evidence,
        message("advice.losses_two_readings"),
        HEAVY_BALL_REFERENCE,
    )


def constant_step_finding(last: float) -> Finding:
    """Losses that fall by steps that do not shrink."""
    return Finding("losses_steady", Severity.CAUTION, (message("losses.steady"),), {"last": last}, _print_more_advice())


def flat_finding(value: float) -> Finding:
    """Losses that stand still to the digits printed."""
    messages = (message("losses.level", value=value),)
    return Finding("losses_level", Severity.CAUTION, messages, {"value": value}, message("advice.losses_level"))


def not_full_batch_finding(losses: PrintedLosses, entry: int, diverged: bool) -> Finding:
    """Losses that plain full-batch descent at one rate cannot give."""
    before, value, after = losses.values[entry - 2 : entry + 1].tolist()
    messages = [
        message("losses.not_plain", entry=entry, value=value, before=format_given(before), after=format_given(after))
    ]
    if diverged:
        messages.insert(0, message("losses.blown_up", first=float(losses.values[0]), last=float(losses.values[-1])))
    evidence = {"entry": entry, "before": before, "value": value, "after": after}
    return Finding(
        "losses_not_plain", _severity(diverged), tuple(messages), evidence, message("advice.losses_not_plain")
    )


def no_bound_finding(descent: Descent) -> Finding:
    """Settings under which losses tell no bound: momentum above 1, or dampening 1."""
    if descent.momentum > 1 and descent.nesterov:
        main_message = message("finding.nesterov_window", **nesterov_stable_interval(descent.momentum))
    else:
        main_message = message(
            "ending.momentum_one" if descent.momentum > 1 else "losses.dampened", momentum=descent.momentum
        )
    messages = (main_message,)
    return Finding(
        "losses_no_bound",
        _severity(stability_limit(**descent.momentum_settings) == 0),
        messages,
        {"momentum": descent.momentum},
    )


def oscillation_finding(descent: Descent, peaks: FloatArray, factor: float | None) -> Finding:
    """Swings that shrink."""
    first, last = float(peaks[0]), float(peaks[-1])
    messages = [message("losses.swing", momentum=descent.momentum, first=first, last=last)]
    if factor is not None:
        messages.append(message("losses.swing_factor", factor=factor))
    messages.append(message("losses.no_proof"))
    evidence = {"first_peak": first, "last_peak": last, "factor": factor}
    return Finding("losses_swing", Severity.FACT, tuple(messages), evidence, None, HEAVY_BALL_REFERENCE)


def unclear_oscillation_finding(descent: Descent) -> Finding:
    """Swings too few to tell."""
    messages = (message("losses.swing_unclear", momentum=descent.momentum),)
    return Finding(
        "losses_swing_unclear", Severity.CAUTION, messages, {"momentum": descent.momentum}, _print_more_advice()
    )


def nonfinite_finding(count: int, next_loss: float) -> Finding:
    """The entries after the last number: the overflow of such growth, or too soon for it."""
    evidence = {"count": count, "next": next_loss}
    if not next_loss < FLOAT32_MAX * FLOAT32_MARGIN:
        return Finding("losses_overflow", Severity.PROBLEM, (message("losses.overflow", count=count),), evidence)
    messages = (message("losses.nan_too_soon", count=count, next=next_loss, largest=f"{FLOAT32_MAX:.2g}"),)
    return Finding("losses_nan_too_soon", Severity.PROBLEM, messages, evidence, message("advice.losses_nan_too_soon"))


def spacing_finding(every: int) -> Finding:
    """What prints some epochs apart do not show under momentum."""
    return Finding("losses_every", Severity.CAUTION, (message("losses.every", every=every),), {"every": every})


def _severity(is_certain: bool) -> Severity:
    return Severity.PROBLEM if is_certain else Severity.CAUTION


def _print_more_advice() -> Message:
    return message("advice.losses_print_more")


def _format_interval(interval: Interval, digits: int) -> dict[str, str]:
    """The ends of a range with so many digits, rounded away from its middle."""
    low, high = _round_directed(interval[0], digits, math.floor), _round_directed(interval[1], digits, math.ceil)
    return {"low": f"{low:.{digits}g}", "high": f"{high:.{digits}g}"}


def _justified_digits(value: float, low: float, high: float) -> int:
    """How many digits of a number its range leaves it, from 2 to 6."""
    relative_width = (high - low) / value
    return min(max(math.ceil(-math.log10(relative_width)), 2), 6) if relative_width > 0 else 6


def _round_directed(value: float, digits: int, round_to_int: Callable[[Decimal], int]) -> float:
    """A number rounded down or up to so many digits."""
    if not 0 < value < math.inf:
        return value
    decimals = digits - 1 - math.floor(math.log10(value))
    return float(Decimal(round_to_int(Decimal(repr(value)).scaleb(decimals))).scaleb(-decimals))


def _format_near_one(factor: float) -> str:
    """A factor with the digits that tell it from 1."""
    return format_distinct(factor) if 1 - factor > 1e-4 else f"1 - {1 - factor:.2g}"
