"""Whether a watched loop learns: a loss that falls, one that had nowhere left to fall, and one that does neither."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from descentlab.messages import Message, format_rounded, message, pluralize
from descentlab.typing import FloatArray
from descentlab.watching.rules.learning_rate import (
    ABOVE_LIMIT_RATIO,
    FLAT_LOSS_RTOL,
    MIN_STEPS_SLOW,
    is_on_plateau,
    median_lr_ratio,
    median_or_nan,
    uses_unmodified_gradients,
)
from descentlab.watching.verdict import WatchFinding, caution_finding, fact_finding

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Observation

NEGLIGIBLE_LOSS = 1e-8  # of any loss: what float32 leaves of residuals
BASELINE_FRACTION = 0.5  # of the loss of predicting the mean
LARGE_TARGET_RATIO = 100.0  # times the outputs: targets that take long to reach
MIN_DECREASE, MIN_DECREASE_STEPS = 1e-3, 50  # what a loss has to lose in so many steps to be called falling
NEGLIGIBLE_GAIN = 1e-3  # of a loss: what is left to gain where it is as good as fitted


def progress_finding(observation: Observation) -> WatchFinding:
    """Nothing found, with what was looked at; ``not_learning`` where the loss does not fall all the same."""
    recorder = observation.recorder
    loss = recorder.history.loss
    if len(loss) == 0:
        return fact_finding("healthy", message("watch.too_early"), steps=0)
    values = {"updates": pluralize(recorder.steps, "update"), "first": float(loss[0]), "last": recorder.last_loss}
    lr_ratio = median_lr_ratio(observation)
    numbers = {"steps": recorder.steps, "first": values["first"], "last": values["last"], "ratio": lr_ratio}
    enough_steps = len(loss) >= MIN_STEPS_SLOW and math.isfinite(loss[0]) and math.isfinite(recorder.last_loss)
    is_flat = enough_steps and not has_decreased(loss)
    if is_flat and not was_already_fitted(observation):
        return caution_finding("not_learning", *_not_learning_messages(observation, lr_ratio), **numbers)
    messages = [message("watch.healthy", **values)]
    if is_flat:
        messages.append(message("watch.fitted"))
    elif lr_ratio is not None and lr_ratio > ABOVE_LIMIT_RATIO:
        messages.append(message("watch.healthy_edge", part=format_rounded(100 * lr_ratio)))
    return fact_finding("healthy", *messages, **numbers)


def _not_learning_messages(observation: Observation, lr_ratio: float | None) -> list[Message]:
    """What was looked at, the reason where one is known, and where to look."""
    recorder, loss = observation.recorder, observation.recorder.history.loss
    first, last = float(loss[0]), recorder.last_loss
    if not recorder.same_batch_check.always_same:
        first, last = median_or_nan(loss[: max(len(loss) // 10, 1)]), median_or_nan(loss[len(loss) * 3 // 4 :])
    messages = [message("watch.not_learning", updates=pluralize(recorder.steps, "update"), first=first, last=last)]
    spread = float(np.std(loss))
    if not recorder.same_batch_check.always_same and spread > abs(first - last):
        messages.append(message("watch.spread", spread=format_rounded(spread)))
    target_ratio = (
        recorder.early_losses.targets.rms() / recorder.early_losses.output_rms
        if recorder.early_losses.output_rms
        else math.nan
    )
    if target_ratio > LARGE_TARGET_RATIO:
        return [*messages, message("watch.target_scale", times=format_rounded(target_ratio))]
    if is_on_plateau(observation):
        return [*messages, message("watch.plateau")]
    unknown_lr_ratio = message("watch.rate_unknown")
    lr_ratio_message = (
        unknown_lr_ratio if lr_ratio is None else message("watch.rate_known", part=format_rounded(100 * lr_ratio))
    )
    return [*messages, lr_ratio_message, message("watch.not_learning_advice")]


def has_decreased(loss: FloatArray) -> bool:
    """Whether a loss has come below where it began: one step, or, where batches vary about it, the first tenth."""
    first, late = float(loss[0]), median_or_nan(loss[len(loss) * 3 // 4 :])
    late += MIN_DECREASE * abs(first) if len(loss) >= MIN_DECREASE_STEPS else 0.0
    return late < first or (late < median_or_nan(loss[: max(len(loss) // 10, 1)]) and late <= first + 0.5 * abs(first))


def was_already_fitted(observation: Observation) -> bool:
    """Whether little was left to gain from the first step on: then a loss that stays where it is is as it should be.

    Either the loss is far below that of a model that has learned nothing, or the gradient is small for the curvature:
    a quadratic of curvature a, at a slope g, has g^2 / 2a to gain. Where there is no curvature either, as where
    outputs are saturated, a small gradient says nothing.
    """
    recorder = observation.recorder
    loss = recorder.history.loss
    first, late = float(loss[0]), median_or_nan(loss[len(loss) * 3 // 4 :])
    if abs(late) < NEGLIGIBLE_LOSS:
        return True
    baseline = recorder.early_losses.targets.baseline_loss(recorder.early_losses.loss_over_mse or 1.0)
    if baseline is not None and baseline > 0 and late < BASELINE_FRACTION * baseline and late <= 1.1 * first:
        return True
    if late > (1 + FLAT_LOSS_RTOL) * first or not uses_unmodified_gradients(observation):
        return False
    if not recorder.history.measurements or is_on_plateau(observation) is not False:
        return False
    gradient_norm = recorder.gradients.scaled_norms()[0]
    cleared_in_place = (
        gradient_norm == 0 and not recorder.gradients.consecutive_zero_steps
    )  # in place, after the last step
    return (
        not cleared_in_place
        and gradient_norm**2 < 2 * NEGLIGIBLE_GAIN * abs(late) * recorder.history.measurements[-1].sharpness
    )
