"""The first two lines of a diagnosis: the verdict with its number, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from descentlab.doctor.finding import GOOD_MARK, SEVERITY_MARKS, Finding, Severity
from descentlab.doctor.findings.outcome import initial_cost, since_message, stays_message
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.recommendation import Recommendation
from descentlab.doctor.run_context import RunContext
from descentlab.messages import Message, format_distinct, format_rounded, message, pluralize
from descentlab.run.termination import format_percent
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import shortest_repr


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


def make_headline(context: RunContext, findings: Sequence[Finding], recommendation: Recommendation | None) -> Headline:
    """The verdict on the descent as asked, and what to do."""
    is_good = context.forecast.verdict.converges and not context.misses_coefficients
    mark = GOOD_MARK if is_good else SEVERITY_MARKS[findings[0].severity]
    return Headline(mark, _answer(context), _action(context, findings, recommendation))


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
    return _convergence_answer(context, values)


def _convergence_answer(context: RunContext, values: Mapping[str, object]) -> Message:
    """From which epoch on the cost, and every coefficient, stays within the tolerance."""
    forecast = context.forecast
    needed, for_coefficients = forecast.epochs_to_tolerance, forecast.epochs_to_coefficients
    values = {**values, "since": since_message(context), "stays": stays_message(context)}
    if context.misses_coefficients:
        return message("answer.cost_converges", furthest=context.furthest[0].message, **values)
    if not needed and not for_coefficients:
        return message("answer.at_the_minimum", **values)
    if for_coefficients is None or context.theory.judges_coefficients(
        context.within
    ):  # not known or not to stay, or same
        return message("answer.converges", **values)
    return message("answer.converges_both", for_coefficients=for_coefficients, **values)


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


def _action(context: RunContext, findings: Sequence[Finding], recommendation: Recommendation | None) -> Message | None:
    """What to do: what is recommended, else what the findings advise."""
    verdict, outcome = context.forecast.verdict, findings[0]
    if verdict is Verdict.UNKNOWN:
        return outcome.advice or message("action.fewer_epochs")
    if verdict.converges and not context.misses_coefficients:
        early_stop = next((each.advice for each in findings if each.name == "held_out"), None)
        return early_stop or _keep_action(context, recommendation)
    return outcome.advice if recommendation is None else _recommended_action(context, recommendation)


def _keep_action(context: RunContext, recommendation: Recommendation | None) -> Message:
    needed, epochs = context.forecast.epochs_to_tolerance, context.theory.descent.epochs
    if needed is not None and needed > epochs:  # within the tolerance at the last epoch, but not to stay
        return message("action.more_epochs", needed=pluralize(needed), epochs=pluralize(epochs))
    if recommendation is None:
        return message("action.keep")
    return message("action.keep_or_faster", faster=_recommended_action(context, recommendation))


def _recommended_action(context: RunContext, recommendation: Recommendation) -> Message:
    """The settings to change, one step after another, and the epochs that it then takes."""
    settings, needed = recommendation.settings, pluralize(recommendation.needed)
    lr, momentum = recommendation.text_of("lr"), recommendation.text_of("momentum")
    lr = lr or shortest_repr(context.theory.descent.lr)
    values = {"needed": needed, "reached": reached_message(context.theory, context.within, recommendation)}
    first = [message("advice.zero_grad")] * ("zero_grad" in settings)
    if recommendation.remedy == "more_epochs":
        return message("action.longer", **values)
    if "lr" not in settings and "schedule" not in settings:
        action = message("action.cleared", **values)
    else:
        is_plain = not {"optimizer", "schedule"} & settings.keys()
        use = message("action.use" if is_plain else "action.use_plain", lr=lr)
        use = message("action.use_longer", use=use, needed=needed) if "epochs" in settings else use
        key = next((name for name in ("standardize", "center", "momentum") if name in settings), "rate")
        action = message(f"action.{key}", use=use, momentum=momentum, **values)
    if "momentum" in settings and action.key != "action.momentum":
        first.append(message("action.momentum_first", momentum=momentum))
    for sentence in reversed(first):
        action = message("action.then", first=sentence, then=action)
    return action


def reached_message(theory: FullBatchTheory, within: float, recommendation: Recommendation) -> Message:
    """After how many epochs the cost, and every coefficient, is within the tolerance, as a clause."""
    for_cost, for_coefficients = recommendation.epochs_to_tolerance, recommendation.epochs_to_coefficients
    values = {"within": format_percent(within), "epochs": pluralize(for_cost or 0)}
    if theory.judges_coefficients(within):
        return message("reached.exactly", **values)
    if for_coefficients is None:
        return message("reached.cost", **values)
    if for_coefficients == for_cost:
        return message("reached.together", **values)
    return message("reached.both", for_coefficients=pluralize(for_coefficients), **values)
