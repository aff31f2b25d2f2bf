"""Checks of the learning rate: against its limit, against 0, its schedule and its weight decay."""

from __future__ import annotations

import math

import numpy as np

from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray
from descentlab.watching.history import CurvatureMeasurement
from descentlab.watching.rules.observation import FLAT_LOSS_RTOL, Observation
from descentlab.watching.rules.rule import Evidence, make_evidence

ABOVE_LIMIT_RATIO = 1.02  # times its limit: the error of Lanczos is smaller
LR_TOO_SMALL_RATIO = 1e-3
LARGE_INPUT_RMS = 30.0  # of inputs: standardized ones have 1
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
    return bool(rose) or _overflowed_after_growth(observation)


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
    lr = float(observation.lr[0]) or float(observation.lr.max())
    largest = observation.exact_lr_bound or lr / ratio
    messages = [message("watch.above_limit", lr=lr, ratio=ratio, most=largest)]
    if observation.input_rms > LARGE_INPUT_RMS:
        messages.append(message("watch.input_scale", size=observation.input_rms))
    advice = message("watch.take_less", half=largest / 2)
    return make_evidence(*messages, advice=advice, lr=lr, ratio=ratio, largest=largest)


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
    lr, fall = float(observation.lr[-1]), 1 - late / early
    explanation = message(
        "watch.lr_far_under",
        lr=lr,
        part=100 * ratio,
        fall=100 * fall if abs(fall) > 1e-9 else 0,
        updates=pluralize(observation.steps, "update"),
    )
    advice = message("watch.take_more", larger=lr / ratio / 10)
    return make_evidence(explanation, advice=advice, lr=lr, ratio=ratio, fall=fall)


def detect_weight_decay_too_large(observation: Observation) -> Evidence | None:
    """A weight decay that forgets within ten steps what was learned, and a loss that stays high.

    SGD and AdamW take ``lr * weight_decay`` of every parameter at each step; Adam and its kind take as much as of a
    gradient, of which 1 is large for a parameter of 1.
    """
    decay, loss = observation.weight_decay, observation.loss
    acts_through_scale = (
        any(each.is_adaptive for each in observation.measurements) and not observation.weight_decay_decoupled
    )
    if not (decay >= 1 if acts_through_scale else observation.weight_decay_lr * decay >= 0.1):
        return None
    if len(loss) < MIN_STEPS_SLOW or not last_quarter_loss(observation) > 0.5 * abs(float(loss[0])):
        return None
    advice = message("watch.heavy_decay_advice")
    return make_evidence(message("watch.heavy_decay", decay=decay), advice=advice, weight_decay=decay)


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
    before, after = median_or_nan(recent[:window]), median_or_nan(recent[window:])
    noise = float(np.std(np.diff(recent))) / math.sqrt(2 * window)
    share = window / lr[dead_from - window : dead_from].sum()
    remaining_decrease = (before - after) / abs(before) * lr.max() * share if before else 0.0
    if before - after <= 4 * noise or remaining_decrease < 0.1:
        return None
    first, last, step = float(lr.max()), float(lr[-1]), dead_from * observation.stride + 1
    numbers = {"step": step, "first": first, "loss": after}
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
    explanation = message("watch.no_signal", loss=last, baseline=baseline)
    return make_evidence(explanation, advice=message("watch.check_pairs"), loss=last, baseline=baseline)


def why_baseline_unchecked(observation: Observation) -> Message | None:
    """The loss of a constant prediction is known where targets are single numbers or classes."""
    return message("watch.no_baseline") if observation.baseline_loss is None else None
