"""The only judge of endings: what a loop came to, with the numbers and the words for it."""

from __future__ import annotations

import math

import numpy as np

from descentlab.descent.reductions import gradient_scale
from descentlab.engines import safe_norm
from descentlab.messages import Message, message
from descentlab.run.ending import Ending, Reason
from descentlab.run.loop import Loop
from descentlab.theory.full_batch import FullBatchTheory

NEGLIGIBLE_FRACTION = 1e-20  # a part of what there was to gain that is only rounding
TIMES_FROM_RATIO = 10  # from how many times the minimum's cost on it is said in times, not in percent


def make_ending(loop: Loop) -> Ending:
    """The ending of a loop that has stopped."""
    assert loop.current is not None
    problem, descent, last = loop.problem, loop.descent, loop.current
    epoch = int(last.epochs[0]) - 1
    lr = float(descent.learning_rates(np.array([max(epoch - 1, 0)]))[0])
    theory = FullBatchTheory(problem, descent, lr)
    params = last.params[0]
    cost, norm = float(last.cost[0]), float(last.gradient_norm[0])
    suboptimality, initial_suboptimality = (
        theory.suboptimality(params),
        theory.suboptimality(problem.scaled_params(descent.start)),
    )
    reason = _find_reason(loop, theory)
    dominant_mode = theory.dominant_mode if descent.has_closed_form else None
    ending = Ending(
        reason=reason,
        epoch=epoch,
        converged_epoch=_find_converged_epoch(loop, theory) if reason is Reason.CONVERGED else None,
        cost=cost,
        least_cost=theory.least_cost,
        suboptimality=suboptimality,
        fraction_remaining=suboptimality / initial_suboptimality
        if initial_suboptimality > 0
        else math.inf
        if suboptimality > 0
        else 0.0,
        gradient_norm=norm,
        cost_ratio=cost / loop.initial_cost if loop.initial_cost > 0 else math.inf if cost > 0 else 1.0,
        lr=lr,
        lr_bound=theory.lr_bound if descent.is_sgd and theory.is_exact else None,
        convergence_factor=dominant_mode.factor if dominant_mode else None,
        column=dominant_mode.column if dominant_mode else None,
        messages=(),
    )
    return ending.with_messages(*_ending_messages(ending, loop, theory))


def _find_converged_epoch(loop: Loop, theory: FullBatchTheory) -> int:
    """The first recorded epoch from which the gradient is small and the minimum near, by halving."""
    assert loop.current is not None
    chunks = [*loop.recorded_snapshots, loop.current]
    epochs = np.concatenate([look.epochs for look in chunks])
    params = np.concatenate([look.params for look in chunks])
    norms = np.concatenate([look.gradient_norm for look in chunks])
    is_small = (norms <= loop.gradient_tolerance) | (
        theory.weight_decay > 0
    )  # under weight decay the gradient never is: nearness has to do
    low, high = -1, len(epochs) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if is_small[middle] and theory.is_converged(params[middle]):
            high = middle
        else:
            low = middle
    return int(epochs[high])


def _find_reason(loop: Loop, theory: FullBatchTheory) -> Reason:
    assert loop.current is not None
    if loop.stop_reason is not None and loop.stop_reason is not Reason.CONVERGED:
        return loop.stop_reason
    last_params = np.concatenate([look.params for look in loop.recorded_snapshots[-3:]])[-3:]
    is_unchanged = len(last_params) == 3 and bool((last_params == loop.current.params).all())
    if (
        loop.current.gradient_norm[0] <= loop.gradient_tolerance < math.inf
        or is_unchanged
        or _decay_balances_gradient(loop, theory)
    ):
        return Reason.CONVERGED if theory.is_converged(loop.current.params[0]) else Reason.STALLED
    if theory.unstable and loop.current.cost[0] > loop.initial_cost:
        return Reason.DIVERGED
    return Reason.OUT_OF_EPOCHS


def _decay_balances_gradient(loop: Loop, theory: FullBatchTheory) -> bool:
    """Whether weight decay and the gradient cancel: what is left of them is as small as a small gradient."""
    assert loop.current is not None
    if not theory.weight_decay or not theory.is_exact:
        return False
    params, problem = loop.current.params[0], loop.problem
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = gradient_scale(loop.descent.reduction, problem.weight) * problem.quadratic.gradient(params)
        return bool(safe_norm(gradient + theory.weight_decay * params) <= loop.gradient_tolerance < math.inf)


def _ending_messages(ending: Ending, loop: Loop, theory: FullBatchTheory) -> list[Message]:
    """What to tell: how it ended, then the one thing that explains it."""
    assert loop.current is not None
    descent, lr_bound = loop.descent, ending.lr_bound
    numbers: dict[str, object] = {
        **ending.to_dict(),
        "factor": theory.dominant_mode.factor_text,
        "lr_bound": lr_bound,
        "growth": ending.cost_ratio,
        "first_cost": loop.initial_cost,
        "dtype": descent.dtype,
        "momentum": descent.effective_momentum,
        "rest": remaining_message(theory, ending.suboptimality, ending.fraction_remaining),
    }
    is_stuck = ending.reason is Reason.STALLED and ending.gradient_norm > loop.gradient_tolerance
    messages = [message("ending.unmoved" if is_stuck else f"ending.{ending.reason}", **numbers)]
    if ending.reason is Reason.CONVERGED and ending.gradient_norm > loop.gradient_tolerance and theory.weight_decay:
        messages = [message("ending.balanced", **numbers)]
    if ending.reason is Reason.CONVERGED:
        return messages
    has_diverged = ending.reason in (Reason.DIVERGED, Reason.OVERFLOWED)
    if not theory.is_exact:
        messages.append(message("ending.accumulates"))
    elif lr_bound is None:
        messages += [message("ending.no_bound")] * has_diverged
    elif descent.effective_momentum >= 1 and abs(theory.dominant_mode.factor) >= 1:  # Nesterov's can converge at 1
        messages.append(message("ending.momentum_one", **numbers))
    elif 0 < lr_bound < ending.lr:
        key = "ending.above_bound" if ending.convergence_factor is not None else "ending.above_full_batch"
        key = key if descent.schedule is None else "ending.above_scheduled"
        messages.append(message(key, ratio=ending.lr / lr_bound, half=lr_bound / 2, **numbers))
        standardized_lr_bound = theory.standardized_lr_bound if key == "ending.above_bound" else None
        messages += [message("ending.standardize", bound=standardized_lr_bound)] * (standardized_lr_bound is not None)
    elif has_diverged:
        messages.append(message("ending.not_full_batch", **numbers))
    elif (
        ending.convergence_factor is not None
        and descent.schedule is None
        and not theory.is_converged(loop.current.params[0])
    ):
        messages.append(message("ending.slow", **numbers))
    return messages


def remaining_message(theory: FullBatchTheory, suboptimality: float, fraction_remaining: float) -> Message:
    """What is left to gain: against the minimum's cost, or against the start's where the minimum's is 0.

    Args:
        theory: of the descent.
        suboptimality: how far the objective is above the least, as a mean squared error.
        fraction_remaining: that as a part of what it was at the start.
    """
    if not theory.is_exact or suboptimality == 0 or fraction_remaining < NEGLIGIBLE_FRACTION:
        return message("ending.rest_nothing" if theory.is_exact else "ending.rest_unknown")
    if theory.fits_exactly:
        return message("ending.rest_left", percent=format_percent(fraction_remaining))
    if theory.is_regularized:
        return message("ending.rest_penalised", percent=format_percent(suboptimality / theory.least_objective))
    ratio = suboptimality / theory.least_cost
    if ratio > TIMES_FROM_RATIO:
        return message("ending.rest_times", times=1 + ratio, least_cost=theory.least_cost)
    return message("ending.rest_above", percent=format_percent(ratio), least_cost=theory.least_cost)


def format_percent(fraction: float) -> str:
    """A part as a percentage, to three digits, without its sign."""
    return f"{100 * fraction:.3g}"
