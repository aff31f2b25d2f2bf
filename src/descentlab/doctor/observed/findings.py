"""The findings about observed numbers: what :mod:`descentlab.doctor.observed.compare` concludes, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.observed.causes import other_start_or_rate, printed_cost
from descentlab.doctor.observed.comparison import Guess, Inquiry, named
from descentlab.doctor.observed.losses import OVERFLOW
from descentlab.doctor.observed.rounding import SINGLE
from descentlab.messages import Sentence, counted, number, sentence
from descentlab.theory.full_batch import Theory
from descentlab.theory.overflow import overflow

PASSING = 1e-4  # a relative difference that needs no explanation


def cause(case: Inquiry, guess: Guess, kind: str, count: int = 1) -> Finding:
    """A cause that reproduces the numbers, as a finding; one of so many that do."""
    numbers = len(case.seen.epochs)
    said = [_verdict(case), guess.said]
    if kind != case.descent.reduction:
        said.append(sentence("observed.and_printed", kind=named(kind)))
    key = "observed.fits" if guess.slack else "observed.reproduces" if numbers > 1 else "observed.reproduces_one"
    said.append(sentence(key, count=numbers))
    evidence, advice = {**_rate(case), **guess.evidence, "numbers": numbers}, guess.advice
    if count > 1:
        said.append(sentence("observed.rivals", count=count))
        evidence, advice = {**evidence, "rivals": count}, sentence("advice.rivals", advice=guess.advice)
    return Finding(guess.name, Weight.PROBLEM, tuple(said), evidence, advice, about="observed")


def agrees(case: Inquiry, shift: int, every: int | None = None) -> Finding:
    """That the numbers are what theory gives; if they were printed every so many epochs."""
    seen, losses = case.seen, case.losses
    at = seen.at(losses, shift)
    finite = np.flatnonzero(seen.finite)
    i = int(finite[-1]) if finite.size else 0
    values = {"epoch": int(seen.epochs[i]), "predicted": float(at[i]), "observed": float(seen.losses.values[i])}
    said = [sentence("observed.agrees", **values) if finite.size else sentence("observed.agrees_lost", **values)]
    if every is not None:
        said.insert(0, sentence("observed.agrees_every", every=every, count=seen.count))
    worst, words = _differences(case, shift)
    said += words
    if _bound(case) is not None:
        said.append(sentence("observed.rate_above" if _above(case) else "observed.rate_below", **_rate_words(case)))
    evidence = {**_rate(case), **values, "difference": worst, "printed": "before" if shift < 0 else "after"}
    evidence |= {"every": every} if every is not None else {}
    return Finding("observed_agrees", Weight.FACT, tuple(said), evidence, about="observed")


def _differences(case: Inquiry, shift: int) -> tuple[float, list[Sentence]]:
    """The greatest relative difference above the floor, and what explains that and those at the floor."""
    seen, off = case.seen, case.seen.off(case.losses, shift)
    floor = seen.at(case.rounding(SINGLE), shift)
    most = seen.at(seen.drifted(case.losses, case.drift), shift)
    with np.errstate(invalid="ignore"):
        low = seen.finite & (np.abs(seen.losses.values - seen.at(case.losses, shift)) > seen.losses.halves + most)
    worst, words = float(np.nanmax(np.where(low, np.nan, off), initial=0.0)), []
    if worst > PASSING:
        last = int(seen.epochs[np.flatnonzero(seen.finite)[-1]]) + shift
        said = {"percent": f"{100 * worst:.2g}", "updates": counted(last, "update")}
        words.append(sentence("observed.rounding", **said))
    if low.any():
        words.append(sentence("observed.floor", floor=float(f"{floor[low].max():.1g}")))
    return worst, words


def distance(case: Inquiry) -> float:
    """How far the numbers are from theory, by the shift that fits best."""
    return min(float(np.nansum(np.minimum(case.seen.off(case.losses, shift), 10.0))) for shift in case.seen.shifts)


def unexplained(case: Inquiry) -> list[Finding]:
    """That it is not the rate, and what is left to check, in order."""
    seen, losses = case.seen, case.losses
    shift = min(seen.shifts, key=lambda each: float(np.nansum(np.minimum(seen.off(losses, each), 10.0))))
    at = seen.at(losses, shift)
    allowed = seen.drifted(losses, case.drift) + case.rounding(SINGLE)
    wrong = np.flatnonzero(~seen.fits(at, seen.at(allowed, shift)))
    i = int(wrong[0]) if wrong.size else 0
    values = {"epoch": int(seen.epochs[i]), "predicted": float(at[i]), "observed": float(seen.losses.values[i])}
    evidence = {**_rate(case), **values}
    said = [_verdict(case), sentence("observed.differs", **values)]
    name = "not_the_rate" if _bound(case) is not None and not _above(case) else "observed_differs"
    if not seen.finite[i] and at[i] < OVERFLOW:
        return _lost(case, name, said, evidence, i)
    advice = sentence("advice.not_the_rate")
    if seen.finite[0] and int(seen.epochs[0]) + min(seen.shifts) == 0:
        start = float(case.own(case.problem.quadratic.cost(case.problem.start(case.descent.start))))
        right = abs(start - seen.losses.values[0]) <= seen.losses.halves[0] + 1e-4 * start
        said.append(sentence("observed.first_right" if right else "observed.first_wrong", start_loss=start))
        advice = sentence("advice.not_the_rate_update" if right else "advice.not_the_rate_start")
        if not right and other_start_or_rate.another_start_fits(case):
            said.append(sentence("observed.start_possible"))
        evidence["start_loss"] = start
    return [Finding(name, Weight.PROBLEM, tuple(said), evidence, advice, about="observed")]


def _lost(case: Inquiry, name: str, said: list[Sentence], evidence: dict[str, object], i: int) -> list[Finding]:
    """A loss that is nan or infinite where the stated descent has a number: suddenly, or from the first one on."""
    if case.seen.finite[:i].any():
        words, advice = (*said, sentence("observed.until_then")), sentence("advice.losses_nan_too_soon")
        return [Finding(name, Weight.PROBLEM, words, evidence, advice, about="observed")]
    advice = sentence("advice.not_the_rate_nan")
    found = [Finding(name, Weight.PROBLEM, tuple(said), evidence, advice, about="observed")]
    for notice in case.problem.notices:
        if notice.key == "notice.rows_dropped":
            cause = sentence("observed.nan_in_data", notice=notice)
            found.append(_likely("nan_in_data", (cause,), {}, sentence("advice.nan_in_data")))
    if len(found) > 1:  # a nan in the rows needs no other reason
        return found
    for guess in printed_cost.gradient_convention(case):
        if case.seen.agrees(guess.losses, np.zeros_like(guess.losses)) is not None:
            words = (guess.said, sentence("observed.overflows_too"))
            found.append(_likely(guess.name, words, guess.evidence, guess.advice))
            break
    words, epoch = (sentence("observed.stale_nan"),), int(case.seen.epochs[i])
    numbers = _rate_needed(case, epoch)
    if numbers:
        words = (*words, sentence("observed.rate_needed", epoch=epoch, **numbers))
    return [*found, _likely("stale_weights", words, numbers, sentence("advice.stale_weights"))]


def _rate_needed(case: Inquiry, epoch: int) -> dict[str, object]:
    """The rate from which the stated descent, in float32, would print such a number by that epoch.

    It prints inf from where a squared error is beyond float32, and nan only from where a weight is: several updates
    later, since gradients are not squared.
    """
    bound = case.theory.lr_bound
    if not (case.settled and 0 < bound < 1e200 and case.theory.error.any()):
        return {}
    number = float(case.seen.losses.values[case.seen.epochs == epoch][0])
    kind, updates = "weights" if math.isnan(number) else "cost", max(epoch + min(case.seen.shifts), 1)

    def beyond(lr: float) -> bool:
        at = overflow(Theory(case.problem, replace(case.descent, lr=lr)))["float32"][kind]
        return at is not None and at <= updates

    low = high = bound
    while not beyond(high):
        low, high = high, 2 * high
        if high > 1e40 * bound:
            return {}
    while high > 1.001 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return {"needed": high, "times": high / case.descent.lr}


def _verdict(case: Inquiry) -> Sentence:
    """What the rate has to do with it."""
    if _bound(case) is None:
        return sentence("observed.not_these_settings", lr=case.descent.lr)
    return sentence("observed.not_only_the_rate" if _above(case) else "observed.not_the_rate", **_rate_words(case))


def _bound(case: Inquiry) -> float | None:
    """The largest stable rate, where one is known."""
    return case.theory.lr_bound if case.descent.is_sgd and case.theory.applies else None


def _above(case: Inquiry) -> bool:
    bound = _bound(case)
    return bound is not None and case.descent.lr > bound


def _rate_words(case: Inquiry) -> dict[str, object]:
    lr, bound = case.descent.lr, case.theory.lr_bound
    ratio = lr / bound if bound > 0 else math.inf
    percent = f"{100 * ratio:.3g}" if ratio < 0.995 else number(100 * ratio)
    return {"lr": lr, "lr_bound": bound, "percent": percent, "times": number(ratio)}


def _rate(case: Inquiry) -> dict[str, object]:
    return {"lr": case.descent.lr, "lr_bound": _bound(case)}


def beyond_theory(said: Sentence) -> Finding:
    """That nothing exact can be held against the numbers, and why."""
    return Finding("observed_beyond_theory", Weight.FACT, (said,), about="observed")


def _likely(name: str, said: tuple[Sentence, ...], evidence: Mapping[str, object], advice: Sentence) -> Finding:
    """A cause that cannot be proved from the numbers."""
    return Finding(name, Weight.CAUTION, said, evidence, advice, about="observed")
