"""The findings about observed numbers: what :mod:`descentlab.doctor.observed.compare_observed` concludes, in words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.doctor.finding import Finding, caution_finding, fact_finding, problem_finding
from descentlab.doctor.observed.causes import other_start_or_rate, printed_cost
from descentlab.doctor.observed.comparison import Hypothesis, ObservedComparison, cost_form_message
from descentlab.doctor.observed.losses import OVERFLOW_LOSS
from descentlab.messages import Message, format_distinct, message, pluralize
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.overflow import overflow_updates
from descentlab.typing import FLOAT32_UNIT_ROUNDOFF

NEGLIGIBLE_RTOL = 1e-4  # a relative difference that needs no explanation


def cause_finding(comparison: ObservedComparison, hypothesis: Hypothesis, form: str, count: int = 1) -> Finding:
    """A cause that reproduces the numbers, as a finding; ``count`` causes do."""
    n_losses = len(comparison.observed.epochs)
    messages = [hypothesis.explanation]
    if form != comparison.descent.reduction:
        messages.append(message("observed.and_printed", kind=cost_form_message(form)))
    key = (
        "observed.fits"
        if hypothesis.extra_tolerance
        else "observed.reproduces"
        if n_losses > 1
        else "observed.reproduces_one"
    )
    messages.append(message(key, count=n_losses))
    evidence, advice = {**_lr_evidence(comparison), **hypothesis.evidence, "numbers": n_losses}, hypothesis.advice
    if count > 1:
        messages.append(message("observed.rivals", count=count))
        evidence, advice = {**evidence, "rivals": count}, message("advice.rivals", advice=hypothesis.advice)
    caveats = (_lr_verdict_message(comparison),)
    return problem_finding(hypothesis.name, *messages, advice=advice, topic="observed", caveats=caveats, **evidence)


def agreement_finding(comparison: ObservedComparison, offset: int, every: int | None = None) -> Finding:
    """The finding that the numbers match the theory, perhaps printed ``every`` N epochs."""
    observed, losses = comparison.observed, comparison.losses
    predicted = observed.predictions_at(losses, offset)
    finite = np.flatnonzero(observed.is_finite)
    i = int(finite[-1]) if finite.size else 0
    values = {
        "epoch": int(observed.epochs[i]),
        "predicted": float(predicted[i]),
        "observed": float(observed.losses.values[i]),
    }
    messages = [message("observed.agrees", **values) if finite.size else message("observed.agrees_lost", **values)]
    if every is not None:
        messages.insert(0, message("observed.agrees_every", every=every, count=observed.count))
    max_difference, difference_messages = _difference_messages(comparison, offset)
    messages += difference_messages
    if _lr_bound(comparison) is not None:
        messages.append(
            message(
                "observed.rate_above" if _is_above_bound(comparison) else "observed.rate_below",
                **_rate_message_values(comparison),
            )
        )
    numbers = _lr_evidence(comparison) | values
    numbers |= {"difference": max_difference, "printed": "before" if offset < 0 else "after"}
    numbers |= {"every": every} if every is not None else {}
    return fact_finding("observed_agrees", *messages, topic="observed", **numbers)


def _difference_messages(comparison: ObservedComparison, offset: int) -> tuple[float, list[Message]]:
    """The greatest relative difference above the floor, and what explains that and those at the floor."""
    observed, relative_errors = comparison.observed, comparison.observed.relative_error(comparison.losses, offset)
    tolerance = observed.predictions_at(comparison.rounding_tolerance(FLOAT32_UNIT_ROUNDOFF), offset)
    max_drift = observed.predictions_at(observed.drift_tolerance(comparison.losses, comparison.float32_drift), offset)
    with np.errstate(invalid="ignore"):
        at_floor = observed.is_finite & (
            np.abs(observed.losses.values - observed.predictions_at(comparison.losses, offset))
            > observed.losses.half_ulps + max_drift
        )
    max_difference, messages = float(np.nanmax(np.where(at_floor, np.nan, relative_errors), initial=0.0)), []
    if max_difference > NEGLIGIBLE_RTOL:
        last = int(observed.epochs[np.flatnonzero(observed.is_finite)[-1]]) + offset
        values = {"percent": f"{100 * max_difference:.2g}", "updates": pluralize(last, "update")}
        messages.append(message("observed.rounding", **values))
    if at_floor.any():
        messages.append(message("observed.floor", floor=float(f"{tolerance[at_floor].max():.1g}")))
    return max_difference, messages


def mismatch(comparison: ObservedComparison) -> float:
    """How far the numbers are from theory, by the shift that fits best."""
    return min(
        float(np.nansum(np.minimum(comparison.observed.relative_error(comparison.losses, offset), 10.0)))
        for offset in comparison.observed.update_offsets
    )


def unexplained_findings(comparison: ObservedComparison) -> list[Finding]:
    """That it is not the rate, and what is left to check, in order."""
    observed, losses = comparison.observed, comparison.losses
    tolerance = observed.drift_tolerance(losses, comparison.float32_drift) + comparison.rounding_tolerance(
        FLOAT32_UNIT_ROUNDOFF
    )

    def first_wrong(offset: int) -> int:
        predicted, allowed = (observed.predictions_at(each, offset) for each in (losses, tolerance))
        return int(np.argmin(np.append(observed.matches(predicted, allowed), False)))

    # The shift by which most of the first losses are right; of several, the one that fits best.
    offset = min(
        observed.update_offsets,
        key=lambda each: (
            -first_wrong(each),
            float(np.nansum(np.minimum(observed.relative_error(losses, each), 10.0))),
        ),
    )
    predicted = observed.predictions_at(losses, offset)
    i = first_wrong(offset) % len(observed.epochs)
    values = {
        "epoch": int(observed.epochs[i]),
        "predicted": float(predicted[i]),
        "observed": float(observed.losses.values[i]),
    }
    evidence = {**_lr_evidence(comparison), **values}
    messages = [_lr_verdict_message(comparison), message("observed.differs", **values)]
    name = (
        "not_the_rate" if _lr_bound(comparison) is not None and not _is_above_bound(comparison) else "observed_differs"
    )
    if name == "not_the_rate":
        percent = _rate_message_values(comparison)["percent"]
        messages = [message("observed.differs_not_rate", percent=percent, **values)]
    if not observed.is_finite[i] and predicted[i] < OVERFLOW_LOSS:
        return _nonfinite_findings(comparison, name, messages, evidence, i)
    advice = message("advice.not_the_rate")
    if observed.is_finite[0] and int(observed.epochs[0]) + min(observed.update_offsets) == 0:
        start_loss = float(
            comparison.in_user_reduction(
                comparison.problem.quadratic.cost(comparison.problem.scaled_params(comparison.descent.start))
            )
        )
        start_matches = abs(start_loss - observed.losses.values[0]) <= observed.losses.half_ulps[0] + 1e-4 * start_loss
        if start_matches:
            advice = message("advice.not_the_rate_update", start_loss=start_loss)
        else:
            advice = message("advice.not_the_rate_start")
            messages.append(message("observed.first_wrong", start_loss=start_loss))
            messages += [message("observed.start_possible")] * other_start_or_rate.start_can_explain(comparison)
        evidence["start_loss"] = start_loss
    return [problem_finding(name, *messages, advice=advice, topic="observed", **evidence)]


def _nonfinite_findings(
    comparison: ObservedComparison, name: str, messages: list[Message], evidence: dict[str, Any], index: int
) -> list[Finding]:
    """A loss that is nan or infinite where the stated descent has a number: suddenly, or from the first one on."""
    if comparison.observed.is_finite[:index].any():
        messages = [*messages, message("observed.until_then")]
        advice = message("advice.losses_nan_too_soon")
        return [problem_finding(name, *messages, advice=advice, topic="observed", **evidence)]
    advice = message("advice.not_the_rate_nan")
    findings = [problem_finding(name, *messages, advice=advice, topic="observed", **evidence)]
    for notice in comparison.problem.notices:
        if notice.key == "notice.rows_dropped":
            cause = message("observed.nan_in_data", notice=notice)
            findings.append(
                caution_finding("nan_in_data", cause, advice=message("advice.nan_in_data"), topic="observed")
            )
    if len(findings) > 1:  # a nan in the rows needs no other reason
        return findings
    for hypothesis in printed_cost.different_gradient_reduction(comparison):
        if comparison.observed.find_approximate_offset(hypothesis.losses, np.zeros_like(hypothesis.losses)) is not None:
            messages = [hypothesis.explanation, message("observed.overflows_too")]
            numbers: dict[str, Any] = dict(hypothesis.evidence)
            findings.append(
                caution_finding(hypothesis.name, *messages, advice=hypothesis.advice, topic="observed", **numbers)
            )
            break
    messages, epoch = [message("observed.stale_nan")], int(comparison.observed.epochs[index])
    numbers = _lr_needed_to_overflow(comparison, epoch)
    messages += [message("observed.rate_needed", epoch=epoch, **numbers)] * bool(numbers)
    advice = message("advice.stale_weights")
    return [*findings, caution_finding("stale_weights", *messages, advice=advice, topic="observed", **numbers)]


def _lr_needed_to_overflow(comparison: ObservedComparison, epoch: int) -> dict[str, Any]:
    """The rate from which the stated descent, in float32, would print such a number by that epoch.

    It prints inf from where a squared error is beyond float32, and nan only from where a weight is: several updates
    later, since gradients are not squared.
    """
    lr_bound = comparison.theory.lr_bound
    if not (comparison.has_closed_form and 0 < lr_bound < 1e200 and comparison.theory.initial_error.any()):
        return {}
    loss = float(comparison.observed.losses.values[comparison.observed.epochs == epoch][0])
    quantity, updates = (
        "weights" if math.isnan(loss) else "cost",
        max(epoch + min(comparison.observed.update_offsets), 1),
    )

    def overflows(lr: float) -> bool:
        first_update = overflow_updates(FullBatchTheory(comparison.problem, replace(comparison.descent, lr=lr)))[
            "float32"
        ][quantity]
        return first_update is not None and first_update <= updates

    low = high = lr_bound
    while not overflows(high):
        low, high = high, 2 * high
        if high > 1e40 * lr_bound:
            return {}
    while high > 1.001 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if overflows(middle) else (middle, high)
    return {"needed": high, "times": high / comparison.descent.lr}


def _lr_verdict_message(comparison: ObservedComparison) -> Message:
    """What the rate has to do with it."""
    if _lr_bound(comparison) is None:
        return message("observed.not_these_settings", lr=comparison.descent.lr)
    return message(
        "observed.not_only_the_rate" if _is_above_bound(comparison) else "observed.not_the_rate",
        **_rate_message_values(comparison),
    )


def _lr_bound(comparison: ObservedComparison) -> float | None:
    """The largest stable rate, where one is known."""
    return comparison.theory.lr_bound if comparison.descent.is_sgd and comparison.theory.is_exact else None


def _is_above_bound(comparison: ObservedComparison) -> bool:
    lr_bound = _lr_bound(comparison)
    return lr_bound is not None and comparison.descent.lr > lr_bound


def _rate_message_values(comparison: ObservedComparison) -> dict[str, Any]:
    lr, lr_bound = comparison.descent.lr, comparison.theory.lr_bound
    ratio = lr / lr_bound if lr_bound > 0 else math.inf
    return {"lr": lr, "lr_bound": lr_bound, "percent": format_distinct(100 * ratio, 100), "times": ratio}


def _lr_evidence(comparison: ObservedComparison) -> dict[str, Any]:
    return {"lr": comparison.descent.lr, "lr_bound": _lr_bound(comparison)}


def not_comparable_finding(reason: Message) -> Finding:
    """Why the numbers cannot be compared with the theory."""
    return fact_finding("observed_beyond_theory", reason, topic="observed")
