"""The verdict as a finding: what becomes of the run, in words, with what is left to gain and how long it would take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from descentlab.descent.recursion import nesterov_stable_interval
from descentlab.descent.residual_polynomial import FACTOR_TOLERANCE
from descentlab.doctor.directions import DirectionNamer
from descentlab.doctor.finding import Finding, caution_finding, fact_finding, problem_finding
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.references import BOTTOU_REFERENCE, POLYAK_REFERENCE, SAAD_REFERENCE
from descentlab.doctor.remedies import MIN_MOMENTUM
from descentlab.doctor.run_context import RunContext
from descentlab.messages import Message, format_distinct, format_rounded, message, pluralize
from descentlab.run.termination import format_percent, remaining_message
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import MAX_UPDATES


def outcome_finding(context: RunContext) -> Finding:
    """What becomes of the run."""
    outcome, forecast = context.forecast.verdict, context.forecast
    if outcome is Verdict.UNKNOWN:
        return _unknown_finding(context) if forecast.simulated_updates is None else _too_long_finding(context)
    if outcome is Verdict.DIVERGES:
        return _divergence_finding(context)
    if forecast.epochs_to_tolerance == 0 == forecast.epochs_to_coefficients:
        messages = [
            message("finding.at_the_minimum", within=context.within_percent),
            *_unfelt_instability_messages(context),
        ]
        return (caution_finding if context.theory.unstable else fact_finding)("at_the_minimum", *messages)
    return _convergence_finding(context) if outcome.converges else _too_slow_finding(context)


def _unknown_finding(context: RunContext) -> Finding:
    descent, problem = context.theory.descent, context.theory.problem
    assert descent.batch_size is not None
    steps = math.ceil(problem.n / descent.batch_size)
    lr_bound = context.theory.lr_bound
    messages = [message("finding.mini_batches", size=descent.batch_size, rows=problem.n, steps=steps)]
    if descent.is_sgd and math.isfinite(lr_bound) and lr_bound > 0:
        ratio = descent.lr / lr_bound
        key = "finding.mini_batches_above" if ratio > 1 else "finding.mini_batches_below"
        messages.append(message(key, lr=descent.lr, bound=lr_bound, ratio=ratio, percent=format_percent(ratio)))
    numbers: dict[str, Any] = {"batch_size": descent.batch_size, "steps_per_epoch": steps}
    if descent.is_sgd:
        numbers["lr_bound_of_the_average_step"] = lr_bound
    advice = message("advice.mini_batches")
    return caution_finding("mini_batches", *messages, advice=advice, reference=BOTTOU_REFERENCE, **numbers)


def _too_long_finding(context: RunContext) -> Finding:
    """More epochs than can be simulated in seconds: the result of the first of them."""
    forecast, epochs = context.forecast, context.theory.descent.epochs
    counts = {"walked": pluralize(forecast.simulated_updates or 0), "epochs": pluralize(epochs)}
    main_message = message("finding.too_long_to_walk", cost=forecast.cost, **counts)
    return caution_finding(
        "too_long_to_walk", main_message, walked=forecast.simulated_updates, epochs=epochs, cost=forecast.cost
    )


def _unfelt_instability_messages(context: RunContext) -> list[Message]:
    """A rate that would diverge, if the start had an error where it does."""
    theory = context.theory
    if not theory.unstable or theory.diverges:
        return []
    factor = float(
        theory.convergence_factors[
            np.argmax(np.where(theory.residual_polynomial.diverges, np.abs(theory.convergence_factors), 0.0))
        ]
    )
    return [message("finding.unstable_unfelt", factor=factor)]


def _divergence_finding(context: RunContext) -> Finding:
    theory, forecast = context.theory, context.forecast
    descent = theory.descent
    if theory.accumulated_gradient_factor > 1:
        factor = theory.accumulated_gradient_factor
        main_message = message("finding.diverges_accumulating", factor=format_distinct(factor))
        return problem_finding("diverges", main_message, advice=message("advice.zero_grad"), factor=factor)
    if not forecast.closed_form:
        key = "finding.diverges_walked" if forecast.cost is not None else "finding.overflows_walked"
        costs: dict[str, Any] = {"cost": forecast.cost, "first_cost": initial_cost(theory)}
        return problem_finding("diverges", message(key, epochs=pluralize(descent.epochs), **costs), **costs)
    mode = theory.dominant_mode
    numbers: dict[str, Any] = {"factor": mode.factor, "lr": descent.lr, "lr_bound": theory.lr_bound}
    momentum = descent.effective_momentum
    if momentum > 1:
        key = "finding.diverges_nesterov" if descent.nesterov else "finding.diverges_momentum"
        messages = [message(key, momentum=momentum, factor=mode.factor_text)]
        if descent.nesterov:
            messages.append(message("finding.nesterov_window", **nesterov_stable_interval(descent.momentum)))
        advice = message("advice.momentum_one")
        return problem_finding("diverges", *messages, advice=advice, reference=POLYAK_REFERENCE, **numbers)
    direction = DirectionNamer(theory.problem).describe(theory.spectrum.directions[:, mode.direction])
    if abs(abs(mode.factor) - 1) <= FACTOR_TOLERANCE:  # two roots of size 1 meet
        messages = [message("finding.diverges_linearly", direction=direction, momentum=momentum)]
    else:
        key = "finding.diverges_along" if mode.direction else "finding.diverges"
        messages = [message(key, direction=direction, factor=mode.factor_text)]
    messages += [message("finding.changes_sides")] * (mode.factor < 0)
    return problem_finding("diverges", *messages, reference=SAAD_REFERENCE, **numbers)


def _convergence_finding(context: RunContext) -> Finding:
    forecast, epochs = context.forecast, context.theory.descent.epochs
    key = "finding.converges_swinging" if forecast.oscillates else "finding.converges_smoothly"
    epochs_to_tolerance = forecast.epochs_to_tolerance
    messages = [
        message(key, since=since_message(context), stays=stays_message(context)),
        _final_cost_message(context),
        *_furthest_messages(context),
        *_unfelt_instability_messages(context),
    ]
    if epochs_to_tolerance is not None and epochs_to_tolerance > epochs:
        messages.insert(1, message("finding.leaves_again", epochs=pluralize(epochs), within=context.within_percent))
    make = caution_finding if context.misses_coefficients else fact_finding
    numbers: dict[str, Any] = {"epochs": epochs, "epochs_to_tolerance": epochs_to_tolerance}
    numbers["epochs_to_coefficients"] = forecast.epochs_to_coefficients
    return make("converges", *messages, **numbers, cost=forecast.cost)


def since_message(context: RunContext) -> Message:
    """From when on it is within the tolerance, as the beginning of a clause."""
    needed = context.forecast.epochs_to_tolerance
    return message("answer.since" if needed else "answer.from_start", needed=needed)


def stays_message(context: RunContext) -> Message:
    """What stays within the tolerance, as a clause: the cost, or every coefficient where that decides."""
    kind = "coefficients" if context.theory.judges_coefficients(context.within) else "cost"
    return message(f"stays.{kind}", within=context.within_percent)


def _too_slow_finding(context: RunContext) -> Finding:
    forecast, theory = context.forecast, context.theory
    descent, epochs_to_tolerance = theory.descent, forecast.epochs_to_tolerance
    never_converges = forecast.closed_form and epochs_to_tolerance is None
    error_shrinks = theory.dominant_mode.one_minus_factor > 0 and abs(theory.dominant_mode.factor) <= 1
    error_stays = bool(
        (
            theory.residual_polynomial.is_marginal
            & ~theory.residual_polynomial.oscillates
            & (theory.initial_error != 0)
        ).any()
    )
    first_key = "too_slow" if not never_converges or error_shrinks else "stays_off" if error_stays else "never_shrinks"
    first_key = "never_settles" if theory.accumulated_gradient_factor > 1 - FACTOR_TOLERANCE else first_key
    messages = [
        message(f"finding.{first_key}" if descent.is_sgd else "finding.too_slow_walked"),
        _final_cost_message(context),
    ]
    if forecast.converged_at_end:
        messages.append(message("finding.near_by_chance", within=context.within_percent))
    messages += [*_furthest_messages(context), *_unfelt_instability_messages(context)]
    if epochs_to_tolerance is not None:
        times = format_rounded(epochs_to_tolerance / descent.epochs)
        messages.append(
            message("finding.needs", needed=pluralize(epochs_to_tolerance), within=context.within_percent, times=times)
        )
    elif never_converges and error_shrinks:
        messages.append(message("finding.beyond_counting", within=context.within_percent, most=MAX_UPDATES))
    elif not forecast.closed_form and descent.is_sgd:
        messages.append(message("finding.not_within", epochs=pluralize(descent.epochs), within=context.within_percent))
    numbers: dict[str, Any] = {"epochs_to_tolerance": epochs_to_tolerance, "epochs": descent.epochs}
    advice = _faster_settings_advice(context)
    return problem_finding("too_slow", *messages, advice=advice, **numbers, cost=forecast.cost)


def _final_cost_message(context: RunContext) -> Message:
    """The cost after the last update, and what is left to gain."""
    theory, forecast = context.theory, context.forecast
    assert forecast.params is not None
    scaled_params = theory.problem.scaling.to_scaled(forecast.params)
    start = theory.problem.scaled_params(theory.descent.start)
    suboptimality, initial_suboptimality = theory.suboptimality(scaled_params), theory.suboptimality(start)
    fraction_remaining = suboptimality / initial_suboptimality if initial_suboptimality > 0 else 0.0
    loss_message: Message | str = ""
    if theory.cost_scale != 1 and forecast.cost is not None:
        loss_message = message(
            "finding.own_loss", loss=forecast.cost * theory.cost_scale, reduction=theory.descent.reduction
        )
    epochs, remaining_text = (
        pluralize(theory.descent.epochs),
        remaining_message(theory, suboptimality, fraction_remaining, context.within),
    )
    return message("finding.after", epochs=epochs, cost=forecast.cost, own=loss_message, rest=remaining_text)


def _furthest_messages(context: RunContext) -> list[Message]:
    """The coefficients that are furthest off, and when all are there: a cost near its minimum can hide them."""
    if not context.furthest:
        return []
    messages = [message("finding.furthest", furthest=[each.message for each in context.furthest])]
    needed = context.forecast.epochs_to_coefficients
    if needed is not None and not context.theory.judges_coefficients(context.within):
        messages.append(message("finding.coefficients_need", needed=pluralize(needed), within=context.within_percent))
    return messages


def _faster_settings_advice(context: RunContext) -> Message | None:
    """What would be quicker: another rate, or momentum."""
    descent, epochs_to_tolerance = context.theory.descent, context.forecast.epochs_to_tolerance
    best, pair = context.rates.get("fastest"), context.rates.get("fastest_pair")
    if best is None or best.epochs is None or pair is None or pair.epochs is None or not descent.is_sgd:
        return None
    values = {"lr": best.lr_text, "epochs": pluralize(best.epochs), "momentum": pair.momentum_text}
    values |= {"pair_lr": pair.lr_text, "pair_epochs": pluralize(pair.epochs)}
    if descent.momentum:
        improves = epochs_to_tolerance is None or pair.epochs < 0.9 * epochs_to_tolerance
        return (
            message("advice.pair" if pair.momentum > MIN_MOMENTUM else "advice.plain", **values) if improves else None
        )
    momentum_helps = pair.epochs < 0.9 * best.epochs
    if epochs_to_tolerance is not None and best.epochs > 0.9 * epochs_to_tolerance:
        return message("advice.only_momentum", **values) if momentum_helps else None
    return message("advice.quicker" if momentum_helps else "advice.another_rate", **values)


def initial_cost(theory: FullBatchTheory) -> float:
    """The mean squared error at the start."""
    return float(theory.problem.quadratic.cost(theory.problem.scaled_params(theory.descent.start)))
