"""The first two lines of a diagnosis: the verdict with its number, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from descentlab.doctor.finding import GOOD_MARK, SEVERITY_MARKS, Finding, Severity
from descentlab.doctor.findings.outcome import initial_cost
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.remedies import Remedy
from descentlab.doctor.run_context import RunContext
from descentlab.messages import Message, format_distinct, format_rounded, message, pluralize

SETTING_FINDINGS = (
    "forgotten_zero_grad",
    "momentum_one",
    "dampened",
    "short_schedule",
)  # the setting has to change before the rate
RECOMMENDED_REMEDIES = ("center", "standardize", "momentum", "tuned_momentum")  # these keep the minimum as it is
MIN_SPEEDUP = 2.0  # a change that saves less than half of the epochs is not recommended


class Headline(NamedTuple):
    """The answer to what was asked.

    Attributes:
        mark: how grave it is: ✓ for a descent that converges, else the mark of the finding behind it.
        answer: the verdict, with the number that decides it.
        action: what to do next; None where nothing can be recommended.
    """

    mark: str
    answer: Message
    action: Message | None


def make_headline(context: RunContext, findings: Sequence[Finding], remedies: Sequence[Remedy]) -> Headline:
    """The verdict on the descent as asked, and what to do."""
    converges = context.forecast.verdict.converges
    mark = GOOD_MARK if converges else SEVERITY_MARKS[findings[0].severity]
    return Headline(mark, _answer(context), _action(context, findings, remedies))


def observed_headline(findings: Sequence[Finding]) -> Headline | None:
    """What is wrong in the user's own loop, if its losses show it: then this is the answer."""
    for finding in findings:
        if finding.topic == "observed" and finding.severity is Severity.PROBLEM:
            return Headline(SEVERITY_MARKS[finding.severity], finding.messages[0], finding.advice)
    return None


def _answer(context: RunContext) -> Message:
    forecast, descent, theory = context.forecast, context.theory.descent, context.theory
    values: dict[str, object] = {
        "lr": descent.lr,
        "epochs": pluralize(descent.epochs),
        "within": context.within_percent,
        "cost": forecast.cost,
    }
    if forecast.verdict is Verdict.UNKNOWN:
        if forecast.simulated_updates is None:
            return message("answer.mini_batches", size=descent.batch_size, rows=theory.problem.n)
        return message("answer.too_long", simulated=pluralize(forecast.simulated_updates), **values)
    if forecast.verdict is Verdict.DIVERGES:
        return _divergence_answer(context)
    needed = forecast.epochs_to_tolerance
    if forecast.verdict is Verdict.TOO_SLOW:
        if needed is None:
            return message("answer.not_settled", **values)
        times = format_rounded(needed / descent.epochs)
        return message("answer.too_slow", needed=pluralize(needed), times=times, **values)
    return message("answer.converges" if needed else "answer.at_the_minimum", needed=needed, **values)


def _divergence_answer(context: RunContext) -> Message:
    forecast, descent, theory = context.forecast, context.theory.descent, context.theory
    if theory.accumulated_gradient_factor > 1:
        return message("answer.accumulates", factor=format_distinct(theory.accumulated_gradient_factor))
    if not forecast.closed_form:
        key = "answer.grows" if forecast.cost is not None else "answer.overflows"
        costs = {"cost": forecast.cost, "first_cost": initial_cost(theory)}
        return message(key, epochs=pluralize(descent.epochs), **costs)
    if descent.effective_momentum > 1:
        return message("answer.momentum_above_one", momentum=descent.effective_momentum)
    ratio = descent.lr / theory.lr_bound
    return message("answer.above_bound", lr=descent.lr, ratio=format_distinct(ratio), bound=theory.lr_bound)


def _action(context: RunContext, findings: Sequence[Finding], remedies: Sequence[Remedy]) -> Message | None:
    """What to do: change the setting at fault, else the rate, and scale the columns where that is much faster."""
    advice = {finding.name: finding.advice for finding in findings if finding.advice is not None}
    verdict, outcome = context.forecast.verdict, findings[0]
    if verdict is Verdict.UNKNOWN:
        return outcome.advice or message("action.fewer_epochs")
    for name in ("held_out",) if verdict.converges else SETTING_FINDINGS:
        if name in advice:
            return advice[name]
    if verdict.converges:
        return _keep_action(context)
    if verdict is Verdict.DIVERGES and outcome.advice is not None:
        return outcome.advice
    return _rate_action(context, remedies) or outcome.advice


def _keep_action(context: RunContext) -> Message:
    best, needed, epochs = context.own_best_rate, context.forecast.epochs_to_tolerance, context.theory.descent.epochs
    if needed is not None and needed > epochs:  # within the tolerance at the last epoch, but not to stay
        return message("action.more_epochs", needed=pluralize(needed), epochs=pluralize(epochs))
    if best is None or best.epochs is None or needed is None or best.epochs * MIN_SPEEDUP > needed:
        return message("action.keep")
    return message("action.keep_or_faster", lr=best.lr_text, epochs=pluralize(best.epochs))


def _rate_action(context: RunContext, remedies: Sequence[Remedy]) -> Message | None:
    """The fastest rate, or the change that makes descent at least twice as fast, or both."""
    descent, best = context.theory.descent, context.own_best_rate
    names = RECOMMENDED_REMEDIES[:2] * (not context.theory.is_regularized) + RECOMMENDED_REMEDIES[2:]
    usable = [(each.epochs, each) for each in remedies if each.name in names and each.epochs is not None]
    rate = None
    if best is not None and best.epochs is not None:
        rate = message("action.rate", use=_use_message(context, best.lr_text, best.epochs))
        usable = [(epochs, each) for epochs, each in usable if epochs * MIN_SPEEDUP <= best.epochs]
    if not usable:
        return rate
    epochs, remedy = min(usable, key=lambda pair: pair[0])
    pair = context.rates.get("fastest_pair")
    momentum = pair.momentum_text if pair and remedy.name == "tuned_momentum" else f"{remedy.momentum:.6g}"
    step = message(f"action.{remedy.name.removeprefix('tuned_')}", momentum=momentum)
    recommendation = message("action.remedy", step=step, use=_use_message(context, remedy.lr_text, epochs))
    if best is None or best.epochs is None or not _is_sgd_at_constant_rate(context):
        return recommendation
    if best.epochs <= descent.epochs:
        return message("action.rate_or_remedy", rate=rate, step=step, lr=remedy.lr_text, epochs=pluralize(epochs))
    own = {"own_lr": best.lr_text, "own_epochs": pluralize(best.epochs)}
    return message("action.remedy_not_rate", remedy=recommendation, **own)


def _is_sgd_at_constant_rate(context: RunContext) -> bool:
    descent = context.theory.descent
    return descent.is_sgd and descent.schedule is None


def _use_message(context: RunContext, lr_text: str | None, epochs: int) -> Message:
    """Which rate to use: of SGD, and with more epochs than asked for, where that is so."""
    longer = "_longer" if epochs > context.theory.descent.epochs else ""
    values = {"lr": lr_text, "epochs": pluralize(epochs), "within": context.within_percent}
    key = f"action.use{longer}" if _is_sgd_at_constant_rate(context) else f"action.use_plain{longer}"
    return message(key, **values)
