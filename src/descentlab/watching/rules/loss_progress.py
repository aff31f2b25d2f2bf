"""Whether a watched loop learns: a loss that falls, one that had little left to gain, and one that does neither."""

from __future__ import annotations

import math

import numpy as np

from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray
from descentlab.watching.rules.exceptions import explain_error
from descentlab.watching.rules.learning_rate import (
    ABOVE_LIMIT_RATIO,
    MIN_STEPS_SLOW,
    last_quarter_loss,
    median_or_nan,
)
from descentlab.watching.rules.observation import FLAT_LOSS_RTOL, Observation
from descentlab.watching.rules.progress import measure_fall
from descentlab.watching.rules.rule import Evidence, make_evidence

INTERRUPTIONS = ("KeyboardInterrupt", "SystemExit", "GeneratorExit")  # exceptions that are no mistake of the loop
NEGLIGIBLE_LOSS = 1e-8  # of any loss: the rounding of residuals in float32
BASELINE_FRACTION = 0.5  # of the loss of predicting the mean
LARGE_TARGET_RATIO = 100.0  # times the outputs: targets that take long to reach
MIN_DECREASE = 1e-3  # of the first loss, to be called a decrease ...
MIN_DECREASE_STEPS = 50  # ... after so many steps
NEGLIGIBLE_GAIN = 1e-3  # of a loss that is as good as fitted


def detect_raised_at_once(observation: Observation) -> Evidence | None:
    """An exception before the first step."""
    return (
        None
        if observation.steps
        else _raised_evidence(observation, message("watch.raised_at_once", error=observation.error))
    )


def detect_raised_later(observation: Observation) -> Evidence | None:
    """An exception after steps in which nothing was wrong."""
    updates = pluralize(observation.steps, "update")
    return _raised_evidence(observation, message("watch.raised_later", error=observation.error, updates=updates))


def _raised_evidence(observation: Observation, verdict: Message) -> Evidence | None:
    if observation.error is None or observation.error in INTERRUPTIONS:
        return None
    module = observation.raising_module
    place = []
    if module is not None:
        key = "watch.raised_in_given" if module.shapes else "watch.raised_in"
        values = {"name": module.name, "description": module.description}
        place = [message(key, **values, **({"shapes": module.shapes} if module.shapes else {}))]
    cause, advice = explain_error(observation.error_text)
    return make_evidence(verdict, *([cause] if cause else []), *place, advice=advice, error=observation.error)


def detect_not_learning(observation: Observation) -> Evidence | None:
    """A loss that does not fall although it had something to gain."""
    if not _is_flat(observation) or was_already_fitted(observation):
        return None
    *messages, advice = _not_learning_messages(observation)
    return make_evidence(*messages, advice=advice, **_progress_numbers(observation))


def detect_not_enough_seen(observation: Observation) -> Evidence | None:
    """Steps of which too little was seen to call the loop healthy."""
    if not observation.steps:
        return None
    updates = pluralize(observation.steps, "update")
    if not observation.backward_passes:
        explanation = message("watch.not_enough_backward", updates=updates)
        return make_evidence(explanation, advice=message("watch.not_enough_backward_advice"), steps=observation.steps)
    if len(observation.loss) and not np.isfinite(observation.loss[-1]):
        explanation = message("watch.not_enough_loss", updates=updates)
        return make_evidence(explanation, advice=message("watch.not_enough_loss_advice"), steps=observation.steps)
    if observation.forward_passes:
        return None
    numbers = _progress_numbers(observation)
    explanation = message("watch.not_enough_forward", updates=updates, first=numbers["first"], last=numbers["last"])
    return make_evidence(explanation, advice=message("watch.not_enough_forward_advice"), **numbers)


def detect_healthy(observation: Observation) -> Evidence:
    """Nothing was found."""
    if not len(observation.loss):
        return make_evidence(message("watch.too_early"), advice=message("watch.too_early_advice"), steps=0)
    numbers = _progress_numbers(observation)
    updates, ratio = pluralize(observation.steps, "update"), observation.lr_over_limit
    messages = [message("watch.healthy", updates=updates, first=numbers["first"], last=numbers["last"])]
    if _is_flat(observation):
        messages.append(message("watch.fitted"))
    elif ratio is not None and ratio > ABOVE_LIMIT_RATIO:
        messages.append(message("watch.healthy_edge", part=100 * ratio))
    advice = "watch.healthy_advice"
    if _is_hidden_by_noise(observation):
        messages.append(message("watch.spread", spread=float(np.std(observation.loss))))
        advice = "watch.spread_advice"
    return make_evidence(*messages, advice=message(advice), **numbers)


def _is_hidden_by_noise(observation: Observation) -> bool:
    """Whether mini-batches vary so much that a fall of the loss is not seen."""
    loss = observation.loss
    if observation.always_same_batch or len(loss) < MIN_STEPS_SLOW or not np.isfinite(loss).all():
        return False
    return not measure_fall(loss).is_seen


def has_decreased(loss: FloatArray) -> bool:
    """Whether a loss is below where it began: the first step, or, where batches vary, the first tenth."""
    first, late = float(loss[0]), median_or_nan(loss[len(loss) * 3 // 4 :])
    late += MIN_DECREASE * abs(first) if len(loss) >= MIN_DECREASE_STEPS else 0.0
    return late < first or (late < median_or_nan(loss[: max(len(loss) // 10, 1)]) and late <= first + 0.5 * abs(first))


def was_already_fitted(observation: Observation) -> bool:
    """Whether little was left to gain from the first step on, so that a loss need not fall.

    Either the loss is far below that of a model that has learned nothing, or the gradient is small for the curvature:
    a quadratic of curvature a, at a slope g, has g^2 / 2a to gain. Where there is no curvature either, as where
    outputs are saturated, a small gradient says nothing.
    """
    first, late, baseline = float(observation.loss[0]), last_quarter_loss(observation), observation.baseline_loss
    if abs(late) < NEGLIGIBLE_LOSS:
        return True
    if baseline is not None and baseline > 0 and late < BASELINE_FRACTION * baseline and late <= 1.1 * first:
        return True
    if late > (1 + FLAT_LOSS_RTOL) * first or not observation.gradients_unmodified:
        return False
    if not observation.measurements or observation.is_on_plateau is not False:
        return False
    # A gradient of 0 that no step has used was cleared in place after the last step.
    cleared_in_place = observation.gradient_norm == 0 and not observation.consecutive_zero_steps
    gain_limit = 2 * NEGLIGIBLE_GAIN * abs(late) * observation.measurements[-1].sharpness
    return not cleared_in_place and observation.gradient_norm**2 < gain_limit


def _is_flat(observation: Observation) -> bool:
    loss = observation.loss
    if len(loss) < MIN_STEPS_SLOW or not (math.isfinite(loss[0]) and math.isfinite(observation.last_loss)):
        return False
    if observation.has_learned_loss or observation.discarded_passes >= 0.5 * observation.steps:
        return False  # adversaries: the loss is a critic's, or passes of the other's loss go through this model
    if has_decreased(loss):
        return False
    return observation.always_same_batch or measure_fall(loss).is_ruled_out


def _progress_numbers(observation: Observation) -> dict[str, object]:
    first, last = float(observation.loss[0]), float(observation.loss[-1])
    return {"steps": observation.steps, "first": first, "last": last, "ratio": observation.lr_over_limit}


def _not_learning_messages(observation: Observation) -> list[Message]:
    """The losses, the reason if it is known, and the next step."""
    loss, ratio = observation.loss, observation.lr_over_limit
    first, last = float(loss[0]), observation.last_loss
    if not observation.always_same_batch:
        first, last = median_or_nan(loss[: max(len(loss) // 10, 1)]), last_quarter_loss(observation)
    updates = pluralize(observation.steps, "update")
    messages = [message("watch.not_learning", updates=updates, first=first, last=last)]
    spread = float(np.std(loss))
    if not observation.always_same_batch and spread > abs(first - last):
        messages.append(message("watch.spread", spread=spread))
    target_ratio = observation.target_rms / observation.output_rms if observation.output_rms else math.nan
    if target_ratio > LARGE_TARGET_RATIO:
        scale = message("watch.target_scale", times=target_ratio)
        return [*messages, scale, message("watch.target_scale_advice")]
    if observation.is_on_plateau:
        return [*messages, message("watch.plateau"), message("watch.plateau_advice")]
    rate = message("watch.rate_known", part=100 * ratio) if ratio is not None else None
    return [*messages, rate or message("watch.rate_unknown"), message("watch.not_learning_advice")]
