"""Checks of the learning rate: against its limit, against 0, its schedule and its weight decay."""

from __future__ import annotations

import math

import numpy as np

from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray
from descentlab.watching.history import CurvatureMeasurement
from descentlab.watching.rules.observation import FLAT_LOSS_RTOL, Observation
from descentlab.watching.rules.progress import (
    CERTAIN_Z,
    VISIBLE_FALL,
    has_learned_little,
    is_still_falling,
    measure_fall,
)
from descentlab.watching.rules.rule import Evidence, make_evidence

ABOVE_LIMIT_RATIO = 1.02  # times its limit: the error of Lanczos is smaller
LR_TOO_SMALL_RATIO = 1e-3
LARGE_INPUT_RMS = 30.0  # of inputs: standardized ones have 1
LARGE_UPDATE_RATIO = 0.05  # of a weight, at one step; about 0.001 is usual
HUGE_UPDATE_RATIO = 0.2
HUGE_START_UPDATE_RATIO = 0.5  # at the first step, of weights that do not start next to 0
LEAST_START_SCALE = 0.1  # times the root of the inputs
SPIKE_RATIO = 2.0  # times the first loss
SETTLED_RTOL = 0.01  # of a loss, from one quarter of the steps to the next
LITTLE_MOVED = 0.02  # of a weight, in the whole loop
SHRUNK_SHARE = 0.2  # of a weight's size at the start
MAX_SAID_RATIO = 1000.0  # of a limit that the optimizer's own scaling moves
MIN_STEPS_FAST = 3  # steps from which a fast change can be seen
MIN_STEPS_SLOW = 20  # steps from which a slow change can be seen
MIN_STEPS_BASELINE = 50


def median_or_nan(values: FloatArray) -> float:
    """The median of some losses; nan if there are none."""
    return float(np.median(values)) if len(values) else math.nan


def last_quarter_loss(observation: Observation) -> float:
    """The median of the last quarter of the losses."""
    return median_or_nan(observation.loss[len(observation.loss) * 3 // 4 :])


def why_limit_unchecked(observation: Observation) -> Message | None:
    """Why lr cannot be compared with the largest stable rate; None where it can."""
    if observation.lr_over_limit is not None:
        return None
    if observation.curvature_error is not None:
        return message("watch.refused", reason=observation.curvature_error)
    measured = [each for each in observation.measurements if math.isfinite(each.sharpness)]
    if not measured:
        return message("watch.not_measured")
    if measured[-1].limit is None:
        if observation.updates_by_hand:
            return message("watch.no_limit_by_hand")
        return message("watch.no_limit", optimizer=observation.optimizer_class)
    if not observation.one_backward_per_step:
        return message("watch.several_passes")
    if observation.gradients_accumulate:  # this also looks as if gradients were clipped
        return message("watch.summed_up")
    if not observation.gradients_unmodified:
        return message("watch.altered", altered=observation.modified_steps, compared=observation.compared_steps)
    return message("watch.not_measured")


def _largest_ratio(observation: Observation) -> float | None:
    """The rate over its limit: the median, or the first ratio if that is larger."""
    ratio = observation.lr_over_limit
    if ratio is None or observation.steps < MIN_STEPS_FAST:
        return None
    return ratio if observation.is_exact or not observation.lr_ratios else max(ratio, observation.lr_ratios[0])


def _overflowed_after_growth(observation: Observation) -> bool:
    origin, loss = observation.nonfinite, observation.loss
    overflowed = origin is not None and origin.where in ("gradient", "parameter", "output", "loss")
    return overflowed and bool(np.isfinite(loss[0])) and float(np.nanmax(loss)) > loss[0]


def exceeds_lr_limit(observation: Observation) -> bool:
    """Whether lr is above its limit and the loss shows it. At the edge of stability the loss of a network falls."""
    ratio = _largest_ratio(observation)
    if ratio is None or ratio < ABOVE_LIMIT_RATIO:
        return False
    first, late = observation.loss[0], last_quarter_loss(observation)
    rose = late >= first or not math.isfinite(late) or (late >= 0.9 * first and ratio >= 2)
    if _overflowed_after_growth(observation):
        return True
    return bool(rose) and (observation.always_same_batch or _rose_beyond_noise(observation))


def _rose_beyond_noise(observation: Observation) -> bool:
    """Whether noise does not explain that a loss of mini-batches has not fallen.

    For Adam and its kind curvature is scaled by the gradients of the past, which small batches leave too small; a rate
    is only too large there if its steps are large for the weights.
    """
    if not np.isfinite(observation.loss).all():
        return True
    loss, fall = observation.loss, measure_fall(observation.loss)
    peak, noise = float(loss[: max(len(loss) // 10, 5)].max()), fall.error * math.sqrt(len(loss) / 4)
    if peak > SPIKE_RATIO * float(loss[0]) > 0 and peak > float(loss[0]) + 2 * CERTAIN_Z * noise:
        return True  # it fell only from where the rate had thrown it
    if -fall.size > CERTAIN_Z * fall.error and -fall.size > VISIBLE_FALL * abs(fall.first):
        return True
    if any(each.is_adaptive for each in observation.measurements):
        return not fall.is_seen and largest_update_ratio(observation) > LARGE_UPDATE_RATIO
    return not fall.is_seen


def largest_update_ratio(observation: Observation) -> float:
    """The largest share of its size that a step changes in any weight; nan if it was not measured."""
    weights = [each for each in observation.params if each.is_weight]
    ratios = [each.update_ratio for each in weights if each.update_ratio >= 0]
    return max(ratios, default=math.nan)


def first_outgrown_measurement(observation: Observation) -> CurvatureMeasurement | None:
    """Where curvature first exceeded the limit of a rate that was below it, before numbers overflowed."""
    ratio = _largest_ratio(observation)
    if ratio is None or ratio >= ABOVE_LIMIT_RATIO or not _overflowed_after_growth(observation):
        return None
    outgrown = (each for each in observation.measurements if each.ratio is not None and each.ratio > ABOVE_LIMIT_RATIO)
    return next(outgrown, None)


def detect_lr_above_limit(observation: Observation) -> Evidence | None:
    """A rate above its limit, and a loss that shows it."""
    ratio = _largest_ratio(observation)
    if ratio is None or not exceeds_lr_limit(observation):
        return None
    lr = (
        float(observation.lr[0]) if observation.is_exact else _lr_of_ratio(observation, ratio)
    ) or observation.lr.max()
    largest = observation.exact_lr_bound or lr / ratio
    if ratio > MAX_SAID_RATIO and any(each.is_adaptive for each in observation.measurements):
        return _large_update_evidence(observation, lr)
    messages = [message("watch.above_limit", lr=lr, ratio=ratio, most=largest)]
    if observation.input_rms > LARGE_INPUT_RMS:
        messages.append(message("watch.input_scale", size=observation.input_rms))
    advice = message("watch.take_less", half=largest / 2)
    return make_evidence(*messages, advice=advice, lr=lr, ratio=ratio, largest=largest)


def detect_large_updates(observation: Observation) -> Evidence | None:
    """Steps that change weights by a fifth of their size and more, and a loss that has not fallen or has risen."""
    loss = observation.loss
    if len(loss) < MIN_STEPS_FAST or not has_learned_little(observation, 0.9):
        return None
    weights = [each for each in observation.params if each.is_weight and each.start_scale > LEAST_START_SCALE]
    began_huge = any(each.start_update_ratio > HUGE_START_UPDATE_RATIO for each in weights)
    stays_large = largest_update_ratio(observation) > HUGE_UPDATE_RATIO
    has_fallen = bool(np.isfinite(loss).all()) and measure_fall(loss).is_seen
    if not began_huge and (has_fallen or not stays_large):
        return None
    return _large_update_evidence(observation, float(observation.lr.max()))


def _large_update_evidence(observation: Observation, lr: float) -> Evidence:
    starts = (each.start_update_ratio for each in observation.params if each.is_weight)
    moved = max(largest_update_ratio(observation), *(each for each in starts if math.isfinite(each)))
    explanation = message("watch.above_limit_moves", lr=lr, part=100 * moved)
    advice = message("watch.take_less_of", half=lr * 0.005 / moved)
    return make_evidence(explanation, advice=advice, lr=lr, update_ratio=moved)


def detect_tiny_updates(observation: Observation) -> Evidence | None:
    """Steps that have moved no weight by a fiftieth of its size in the whole loop, and a loss that is where it was."""
    loss, moved = observation.loss, largest_update_ratio(observation)
    if len(loss) < MIN_STEPS_SLOW or not 0 < moved * observation.steps < LITTLE_MOVED:
        return None
    tenth = max(len(loss) // 10, 1)
    early, late = median_or_nan(loss[:tenth]), median_or_nan(loss[-tenth:])
    if not late > 0.95 * early or not has_learned_little(observation, 0.8) or not observation.lr[-1] > 0:
        return None
    lr, fall = float(observation.lr.max()), 1 - late / early
    values = {"lr": lr, "part": 100 * moved, "fall": 100 * max(fall, 0.0)}
    explanation = message("watch.lr_moves_little", updates=pluralize(observation.steps, "update"), **values)
    advice = message("watch.take_more_of", larger=lr * 0.001 / moved)
    return make_evidence(explanation, advice=advice, update_ratio=moved, **values)


def detect_limit_outgrown(observation: Observation) -> Evidence | None:
    """A rate that was below its limit at first, until curvature grew."""
    first = first_outgrown_measurement(observation)
    if first is None:
        return None
    numbers = {"step": first.step + 1, "lr": first.lr}
    explanation = message("watch.outgrown", ratio=first.ratio or math.nan, **numbers)
    return make_evidence(explanation, advice=message("watch.take_less_later"), ratio=first.ratio, **numbers)


def detect_lr_too_small(observation: Observation) -> Evidence | None:
    """A rate so far below its limit that nothing moves."""
    ratio, loss = observation.lr_over_limit, observation.loss
    if ratio is None or not 0 < ratio < LR_TOO_SMALL_RATIO or len(loss) < MIN_STEPS_SLOW or observation.is_on_plateau:
        return None
    tenth = max(len(loss) // 10, 1)
    early, late = median_or_nan(loss[:tenth]), median_or_nan(loss[-tenth:])
    if not late > (1 - FLAT_LOSS_RTOL) * early:
        return None
    lr, fall = _lr_of_ratio(observation, ratio), 1 - late / early
    updates, numbers = pluralize(observation.steps, "update"), {"lr": lr, "part": 100 * ratio}
    explanation = (
        message("watch.lr_far_under", fall=100 * fall, updates=updates, **numbers)
        if fall > 1e-9
        else message("watch.lr_far_under_not_lower", updates=updates, **numbers)
    )
    advice = message("watch.take_more", larger=lr / ratio / 10)
    return make_evidence(explanation, advice=advice, lr=lr, ratio=ratio, fall=fall)


def _lr_of_ratio(observation: Observation, ratio: float) -> float:
    """The rate of the measurement whose ratio to the limit is nearest to this one; it may be an early rate."""
    measured = [each for each in observation.measurements if each.ratio is not None]
    if observation.is_exact or not measured:
        return float(observation.lr[-1])
    return min(measured, key=lambda each: abs((each.ratio or 0.0) - ratio)).lr


def detect_weight_decay_too_large(observation: Observation) -> Evidence | None:
    """A weight decay that forgets within ten steps what was learned, and a loss that stays high.

    SGD and AdamW take ``lr * weight_decay`` of every parameter at each step; Adam and its kind take as much as of a
    gradient, of which 1 is large for a parameter of 1.
    """
    decay, loss = observation.weight_decay, observation.loss
    if decay > 0 and _shrank_to_nothing(observation):
        return make_evidence(
            message("watch.heavy_decay", decay=decay), advice=message("watch.heavy_decay_advice"), weight_decay=decay
        )
    acts_through_scale = (
        any(each.is_adaptive for each in observation.measurements) and not observation.weight_decay_decoupled
    )
    if not (decay >= 1 if acts_through_scale else observation.weight_decay_lr * decay >= 0.1):
        return None
    if len(loss) < MIN_STEPS_SLOW or not last_quarter_loss(observation) > 0.5 * abs(float(loss[0])):
        return None
    advice = message("watch.heavy_decay_advice")
    return make_evidence(message("watch.heavy_decay", decay=decay), advice=advice, weight_decay=decay)


def _shrank_to_nothing(observation: Observation) -> bool:
    """Whether every weight has lost nearly all of its size, and little was learned."""
    weights = [each for each in observation.params if each.is_weight and each.start_rms > 0]
    shrunk = bool(weights) and max(each.rms / each.start_rms for each in weights) < SHRUNK_SHARE
    return shrunk and has_learned_little(observation, 0.8)


def detect_lr_zero(observation: Observation) -> Evidence | None:
    """A rate of 0 at every step."""
    steps = observation.steps
    if steps < MIN_STEPS_FAST or not observation.current_lrs:
        return None
    if any(observation.current_lrs) or observation.lr.any():
        return None
    explanation = message("watch.lr_zero", updates=pluralize(steps, "update"))
    return make_evidence(explanation, advice=message("watch.lr_zero_advice"), steps=steps)


def detect_schedule_decayed_too_early(observation: Observation) -> Evidence | None:
    """A schedule that has taken the rate below a thousandth while the loss was still falling.

    The decrease in the steps before that, over the sum of their rates, says what the first rate would still gain.
    """
    loss, lr = observation.loss, observation.lr
    if len(lr) < MIN_STEPS_SLOW or not lr.max() > 0:
        return None
    live_steps = np.flatnonzero(lr >= lr.max() / 1000)
    dead_from = int(live_steps[-1]) + 1
    window = min(50, dead_from // 3)
    if len(lr) - dead_from < max(10, 0.3 * len(lr)) or window < 2:
        return None
    recent = loss[dead_from - 2 * window : dead_from]
    if not np.isfinite(recent).all():
        return None
    if dead_from <= len(lr) // 2 and has_learned_little(observation):
        return _dead_schedule_evidence(observation, dead_from, median_or_nan(recent))
    before, after = median_or_nan(recent[:window]), median_or_nan(recent[window:])
    noise = float(np.std(np.diff(recent))) / math.sqrt(2 * window)
    share = window / lr[dead_from - window : dead_from].sum()
    remaining_decrease = (before - after) / abs(before) * lr.max() * share if before else 0.0
    if before - after <= 4 * noise or remaining_decrease < 0.1:
        return None
    return _dead_schedule_evidence(observation, dead_from, after)


def _dead_schedule_evidence(observation: Observation, dead_from: int, loss: float) -> Evidence:
    lr = observation.lr
    first, last, step = float(lr.max()), float(lr[-1]), dead_from * observation.stride + 1
    numbers = {"step": step, "first": first, "loss": loss}
    explanation = message("watch.dead_schedule", last=last, steps=observation.steps, **numbers)
    return make_evidence(explanation, advice=message("watch.dead_schedule_advice"), last=last, **numbers)


def detect_no_better_than_baseline(observation: Observation) -> Evidence | None:
    """A loss that settles at that of the targets' mean: inputs and targets do not belong together."""
    loss, baseline = observation.loss, observation.baseline_loss
    if baseline is None or not baseline > 0 or len(loss) < MIN_STEPS_BASELINE:
        return None
    quarter = len(loss) // 4
    third, last = median_or_nan(loss[2 * quarter : 3 * quarter]), median_or_nan(loss[3 * quarter :])
    rtol = 0.02 if observation.always_same_batch else 0.05
    if not (abs(third / baseline - 1) < rtol and abs(last / baseline - 1) < rtol):
        return None
    if is_still_falling(loss[len(loss) // 2 :]) and last < (1 - SETTLED_RTOL) * third:
        return None
    explanation = message("watch.no_signal", loss=last, baseline=baseline)
    return make_evidence(explanation, advice=message("watch.check_pairs"), loss=last, baseline=baseline)


def why_baseline_unchecked(observation: Observation) -> Message | None:
    """The loss of a constant prediction is known where targets are single numbers or classes."""
    return message("watch.no_baseline") if observation.baseline_loss is None else None
