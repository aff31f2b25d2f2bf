"""Why a run ended: the reason, the numbers and the messages."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from descentlab.descent.reductions import gradient_scale
from descentlab.engines.base import safe_norm
from descentlab.messages import Message, format_rounded, message, pluralize
from descentlab.problem.minimum import certain_digits, format_to_certain_digits
from descentlab.run.coefficients import furthest_coefficients
from descentlab.run.ending import Ending, Reason
from descentlab.run.loop import FinalState
from descentlab.theory.full_batch import DEFAULT_WITHIN, FullBatchTheory
from descentlab.theory.learning_rates import NO_MOMENTUM, fastest_rate
from descentlab.theory.settling_time import ConvergenceCriterion

NEGLIGIBLE_FRACTION = 1e-20  # of the initial suboptimality: less is only rounding
TIMES_FROM_RATIO = 10  # suboptimality over the minimum's cost, from which on it is stated in times, not in percent


def decide_ending(final: FinalState) -> Ending:
    """The ending of a run: converged, stalled, diverged, overflowed, out of epochs or stopped."""
    problem, descent, last = final.problem, final.descent, final.current
    epoch = int(last.epochs[0]) - 1
    lr = float(descent.learning_rates(np.array([max(epoch - 1, 0)]))[0])
    # A schedule may end at 0, which is not a rate: the smallest positive one leaves errors as they are, too.
    theory = FullBatchTheory(problem, replace(descent, lr=lr or np.finfo(float).tiny))
    cost, norm = float(last.cost[0]), float(last.gradient_norm[0])
    suboptimality = theory.suboptimality(last.params[0])
    initial_suboptimality = theory.suboptimality(problem.scaled_params(descent.start))
    reason = _find_reason(final, theory)
    dominant_mode = theory.dominant_mode if descent.has_closed_form else None
    coefficients_converged = bool(theory.are_coefficients_converged(last.params[0])) if theory.knows_limit else None
    ending = Ending(
        reason=reason,
        epoch=epoch,
        converged_epoch=_find_converged_epoch(final, theory) if reason is Reason.CONVERGED else None,
        cost=cost,
        least_cost=theory.least_cost,
        suboptimality=suboptimality,
        fraction_remaining=_ratio(suboptimality, initial_suboptimality, if_both_zero=0.0),
        gradient_norm=norm,
        cost_ratio=_ratio(cost, final.initial_cost, if_both_zero=1.0),
        lr=lr,
        lr_bound=theory.lr_bound if descent.is_sgd and theory.is_exact else None,
        convergence_factor=dominant_mode.factor if dominant_mode else None,
        column=dominant_mode.column if dominant_mode else None,
        coefficients_converged=coefficients_converged,
        furthest=furthest_coefficients(theory, last.params[0]) if coefficients_converged is False else (),
    )
    return ending.with_messages(*_ending_messages(ending, final, theory))


def _ratio(value: float, reference: float, if_both_zero: float) -> float:
    if reference > 0:
        return value / reference
    return math.inf if value > 0 else if_both_zero


def _find_converged_epoch(final: FinalState, theory: FullBatchTheory) -> int:
    """The first recorded epoch with a small gradient near the minimum, by bisection."""
    chunks = [*final.recorded_snapshots, final.current]
    epochs = np.concatenate([chunk.epochs for chunk in chunks])
    params = np.concatenate([chunk.params for chunk in chunks])
    norms = np.concatenate([chunk.gradient_norm for chunk in chunks])
    # Weight decay keeps the gradient from becoming small: then being near the limit point is enough.
    is_small = (norms <= final.gradient_tolerance) | (theory.weight_decay > 0)
    low, high = -1, len(epochs) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if is_small[middle] and theory.is_converged(params[middle]):
            high = middle
        else:
            low = middle
    return int(epochs[high])


def _find_reason(final: FinalState, theory: FullBatchTheory) -> Reason:
    if final.stop_reason is not None and final.stop_reason is not Reason.CONVERGED:
        return final.stop_reason
    last_params = np.concatenate([chunk.params for chunk in final.recorded_snapshots[-3:]])[-3:]
    is_unchanged = len(last_params) == 3 and bool((last_params == final.current.params).all())
    if (
        final.current.gradient_norm[0] <= final.gradient_tolerance < math.inf
        or is_unchanged
        or _decay_balances_gradient(final, theory)
    ):
        return Reason.CONVERGED if theory.is_converged(final.current.params[0]) else Reason.STALLED
    if theory.unstable and final.current.cost[0] > final.initial_cost:
        return Reason.DIVERGED
    return Reason.OUT_OF_EPOCHS


def _decay_balances_gradient(final: FinalState, theory: FullBatchTheory) -> bool:
    """Whether the sum of the gradient and weight decay's part is as small as a small gradient."""
    if not theory.weight_decay or not theory.is_exact:
        return False
    params, problem = final.current.params[0], final.problem
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = gradient_scale(final.descent.reduction, problem.weight) * problem.quadratic.gradient(params)
        return bool(safe_norm(gradient + theory.weight_decay * params) <= final.gradient_tolerance < math.inf)


def _ending_messages(ending: Ending, final: FinalState, theory: FullBatchTheory) -> list[Message]:
    """How the run ended, then what explains it."""
    descent, lr_bound = final.descent, ending.lr_bound
    epochs, updates = pluralize(ending.epoch), pluralize(ending.epoch, "update")
    is_near = theory.is_exact and bool(theory.is_converged(final.current.params[0]))
    numbers: dict[str, object] = {
        **ending.to_dict(),
        "factor": theory.dominant_mode.factor_text,
        "lr_bound": lr_bound,
        "growth": ending.cost_ratio,
        "first_cost": final.initial_cost,
        "dtype": descent.dtype,
        "momentum": descent.effective_momentum,
        "epochs": epochs,
        "elapsed": message("ending.elapsed_updates", updates=updates) if descent.batch_size is None else epochs,
        "rest": remaining_message(theory, ending.suboptimality, ending.fraction_remaining),
        "furthest": [each.message for each in ending.furthest],
    }
    is_stuck = ending.reason is Reason.STALLED and ending.gradient_norm > final.gradient_tolerance
    messages = [message("ending.unmoved" if is_stuck else f"ending.{ending.reason}", **numbers)]
    if is_near and ending.reason is Reason.OUT_OF_EPOCHS:
        messages = [message("ending.near_minimum", **numbers)]
    if ending.reason is Reason.CONVERGED and not theory.fits_exactly and theory.judges_coefficients():
        messages = [message("ending.coefficients_converged", **numbers)]
    elif ending.reason is Reason.CONVERGED and ending.gradient_norm > final.gradient_tolerance and theory.weight_decay:
        messages = [message("ending.balanced", **numbers)]
    if is_near and ending.furthest and ending.reason in (Reason.CONVERGED, Reason.OUT_OF_EPOCHS):
        key = "ending.cost_converged" if ending.reason is Reason.CONVERGED else "ending.cost_near_minimum"
        messages = [message(key, **numbers), *_coefficient_advice(theory)]
    if ending.reason is Reason.CONVERGED:
        return messages
    has_diverged = ending.reason in (Reason.DIVERGED, Reason.OVERFLOWED)
    if not theory.is_exact:
        messages.append(message("ending.accumulates"))
    elif lr_bound is None:
        messages += [message("ending.no_bound")] * has_diverged
    elif descent.effective_momentum >= 1 and abs(theory.dominant_mode.factor) >= 1:  # Nesterov's may converge at 1
        messages.append(message("ending.momentum_one", **numbers))
    elif 0 < lr_bound < ending.lr:
        key = "ending.above_bound" if ending.convergence_factor is not None else "ending.above_full_batch"
        key = key if descent.schedule is None else "ending.above_scheduled"
        half = lr_bound / 2
        messages.append(message(key, ratio=ending.lr / lr_bound, half=half, **numbers))
        if key == "ending.above_bound":
            bound = theory.standardized_lr_bound
            advice = "ending.half_bound" if bound is None else "ending.standardize"
            messages.append(message(advice, bound=bound, half=half))
    elif has_diverged:
        messages.append(message("ending.not_full_batch", **numbers))
    elif ending.convergence_factor is not None and descent.schedule is None and not is_near:
        messages.append(message("ending.slow", **numbers))
    return messages


def _coefficient_advice(theory: FullBatchTheory) -> list[Message]:
    """How long the coefficients take at this rate, and on standardized columns where these are far faster."""
    descent, messages = theory.descent, []
    if descent.has_closed_form and descent.schedule is None and descent.batch_size is None:
        criterion = ConvergenceCriterion.for_coefficients(theory)
        needed = None if theory.diverges else criterion.epochs_to_tolerance(descent.lr, descent.momentum_settings)
        messages = [] if needed is None else [message("ending.coefficients_need", needed=pluralize(needed))]
    if theory.standardized_lr_bound is not None and not theory.is_regularized:
        messages += _standardized_message(replace(theory, problem=theory.problem.with_changes(standardize=True)))
    return messages


def _standardized_message(theory: FullBatchTheory) -> list[Message]:
    """The fastest rate on standardized columns, and the epochs that cost and coefficients take there."""
    criteria = ConvergenceCriterion.from_theory(theory), ConvergenceCriterion.for_coefficients(theory)
    rate = fastest_rate(criteria[0], theory.regularized_lambda_max)
    epochs = [each.epochs_to_tolerance(rate.lr, NO_MOMENTUM) for each in criteria] if rate else [None]
    needed = [count for count in epochs if count is not None]
    if rate is None or len(needed) < len(epochs):
        return []
    return [message("ending.standardize_coefficients", lr=rate.lr_text, epochs=pluralize(max(needed)))]


def remaining_message(
    theory: FullBatchTheory, suboptimality: float, fraction_remaining: float, within: float = DEFAULT_WITHIN
) -> Message:
    """The suboptimality relative to the minimum's cost, or to its initial value if the minimum's cost is 0.

    Args:
        theory: of the descent.
        suboptimality: the objective minus its least value, as a mean squared error.
        fraction_remaining: the suboptimality over its initial value.
        within: the tolerance.
    """
    if not theory.is_exact or suboptimality == 0 or fraction_remaining < NEGLIGIBLE_FRACTION:
        return message("ending.rest_nothing" if theory.is_exact else "ending.rest_unknown")
    if theory.fits_exactly:
        return message("ending.rest_left", percent=format_percent(fraction_remaining))
    if theory.judges_coefficients(within):
        is_above = suboptimality > theory.least.possible_tolerance(within)
        values = {"known": known_least_cost(theory), "within": format_percent(within)}
        return message("ending.rest_hidden_above" if is_above else "ending.rest_hidden", **values)
    certain = theory.least.certain_suboptimality_digits(suboptimality)
    if not certain:
        return message("ending.rest_rounding")
    ratio = suboptimality / theory.least.value
    percent = format_percent(ratio, certain)
    if theory.is_regularized:
        return message("ending.rest_penalised", percent=percent)
    least_cost = theory.rounded_least_cost
    if ratio > TIMES_FROM_RATIO:
        return message("ending.rest_times", times=1 + ratio, least_cost=least_cost)
    return message("ending.rest_above", percent=percent, least_cost=least_cost)


def known_least_cost(theory: FullBatchTheory) -> Message:
    """What is known of the least cost, as a clause: its certain digits, or what it is at most."""
    least = theory.least
    digits = certain_digits(least.value, least.error)
    if not math.isfinite(least.error):
        return message("least.unknown")
    if not digits:
        return message("least.at_most", cost=format_rounded(least.value + least.error, 2))
    return message(
        "least.digits", digits=pluralize(digits, "digit"), cost=format_to_certain_digits(least.value, least.error)
    )


def format_percent(fraction: float, digits: int = 3) -> str:
    """A fraction in percent, to at most three digits, without the sign."""
    return f"{100 * fraction:.{min(digits, 3)}g}"
