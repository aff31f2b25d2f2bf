"""Verdicts on pace: the rate against its limit, losses that do not fall, and rates that die too soon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from descentlab.messages import format_rounded, message, pluralize
from descentlab.typing import FloatArray
from descentlab.watching.verdict import WatchFinding, caution_finding, problem_finding

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Observation

ABOVE_LIMIT_RATIO = 1.02  # times its limit: what Lanczos leaves open is less
LR_TOO_SMALL_RATIO = 1e-3
FLAT_LOSS_RTOL = 0.01  # of the loss
BLOWN_UP_RATIO = 1000.0  # times its least: a loss that a mistake elsewhere has broken is not that large before
LARGE_INPUT_RMS = 30.0  # of inputs: standardized ones have 1
MIN_STEPS_FAST, MIN_STEPS_SLOW = 3, 20  # steps from which a fast, or a slow, thing can be told


def median_lr_ratio(observation: Observation) -> float | None:
    """The rate over its limit, over the whole run: the exact one, else the middle of those measured; None if unknown.

    Where several backward passes add up to one step, one pass's curvature is only a part, and nothing is known.
    """
    recorder = observation.recorder
    if observation.diagnosis is not None and observation.diagnosis.lr_ratio is not None:
        return observation.diagnosis.lr_ratio
    ratios = recorder.history.lr_ratios
    if not ratios or not has_one_backward_per_step(observation) or not uses_unmodified_gradients(observation):
        return None
    return float(np.median(ratios))


def has_one_backward_per_step(observation: Observation) -> bool:
    """Whether each step follows from one backward pass."""
    return observation.recorder.backward_passes <= observation.recorder.steps + 1


def uses_unmodified_gradients(observation: Observation) -> bool:
    """Whether steps use the gradients that backward passes made, and not some that were clipped or scaled since."""
    return 2 * observation.recorder.gradients.modified_steps <= observation.recorder.gradients.compared_steps


def detect_lr_above_limit(observation: Observation) -> WatchFinding | None:
    """A rate above its limit, and a loss that shows it. Networks at the edge of stability are quiet: theirs falls."""
    recorder = observation.recorder
    lr_ratio = median_lr_ratio(observation)
    ratios = recorder.history.lr_ratios
    if lr_ratio is None or recorder.steps < MIN_STEPS_FAST:
        return None
    lr_ratio = max(lr_ratio, ratios[0] if ratios and observation.diagnosis is None else lr_ratio)
    loss = recorder.history.loss
    late = median_or_nan(loss[len(loss) * 3 // 4 :])
    overflowed = recorder.nonfinite is not None and recorder.nonfinite.where in (
        "gradient",
        "parameter",
        "output",
        "loss",
    )
    loss_grew = float(np.nanmax(loss)) > loss[0] if np.isfinite(loss[0]) else False
    loss_rose = late >= loss[0] or not math.isfinite(late) or (late >= 0.9 * loss[0] and lr_ratio >= 2)
    if lr_ratio < ABOVE_LIMIT_RATIO and overflowed and loss_grew:
        return _detect_limit_outgrown(observation)
    if lr_ratio < ABOVE_LIMIT_RATIO or not (loss_rose or (overflowed and loss_grew)):
        return None
    lr = float(recorder.history.lr[0]) or float(recorder.history.lr.max())
    values = {"lr": lr, "ratio": format_rounded(lr_ratio), "most": _lr_bound(observation, lr_ratio, lr)}
    advice = message("watch.take_less", half=_lr_bound(observation, lr_ratio, lr) / 2)
    summary = message("watch.above_limit", **values)
    input_scale_messages = (
        [message("watch.input_scale", size=format_rounded(recorder.early_losses.input_rms))]
        if recorder.early_losses.input_rms > LARGE_INPUT_RMS
        else []
    )
    return problem_finding(
        "above_limit", summary, *input_scale_messages, advice, lr=lr, ratio=lr_ratio, largest=values["most"]
    )


def _detect_limit_outgrown(observation: Observation) -> WatchFinding | None:
    """A rate that was below its limit at first, until curvature grew."""
    late = [
        probe
        for probe in observation.recorder.history.measurements
        if probe.ratio is not None and probe.ratio > ABOVE_LIMIT_RATIO
    ]
    if not late:
        return None
    first = late[0]
    values = {"step": first.step + 1, "lr": first.lr}
    summary = message("watch.outgrown", ratio=format_rounded(first.ratio or math.nan), **values)
    return problem_finding("above_limit", summary, message("watch.take_less_later"), ratio=first.ratio, **values)


def loss_over_minimum(observation: Observation) -> float:
    """The last finite loss over the least one so far, or 1."""
    loss = observation.recorder.history.loss
    loss = loss[np.isfinite(loss)]
    return float(loss[-1] / loss.min()) if len(loss) and loss.min() > 0 else 1.0


def is_on_plateau(observation: Observation) -> bool | None:
    """Whether the loss hardly depends on the parameters where they are, as where outputs are saturated.

    There a curvature a is next to nothing: moving every parameter p to 0 would change ``a |p|^2 / 2`` of the loss.
    None where that is not measured; where theory is exact, a curvature says what it says.
    """
    recorder = observation.recorder
    measurement = recorder.history.measurements[-1] if recorder.history.measurements else None
    if measurement is None or not math.isfinite(measurement.sharpness) or observation.diagnosis is not None:
        return None if observation.diagnosis is None else False
    loss = float(recorder.history.loss[-1])
    return measurement.sharpness * recorder.gradients.scaled_norms()[1] ** 2 < 2 * FLAT_LOSS_RTOL * abs(loss)


def detect_lr_too_small(observation: Observation) -> WatchFinding | None:
    """A rate so far below its limit that nothing moves."""
    recorder = observation.recorder
    lr_ratio, loss = median_lr_ratio(observation), recorder.history.loss
    if (
        lr_ratio is None
        or not 0 < lr_ratio < LR_TOO_SMALL_RATIO
        or len(loss) < MIN_STEPS_SLOW
        or is_on_plateau(observation)
    ):
        return None
    tenth = max(len(loss) // 10, 1)
    early, late = median_or_nan(loss[:tenth]), median_or_nan(loss[-tenth:])
    if not late > (1 - FLAT_LOSS_RTOL) * early:
        return None
    lr = float(recorder.history.lr[-1])
    relative_decrease = 1 - late / early
    values = {
        "lr": lr,
        "part": format_rounded(100 * lr_ratio),
        "fall": format_rounded(100 * relative_decrease) if abs(relative_decrease) > 1e-9 else "0",
        "updates": pluralize(recorder.steps, "update"),
    }
    advice = message("watch.take_more", larger=lr / lr_ratio / 10)
    return problem_finding(
        "lr_far_under", message("watch.lr_far_under", **values), advice, lr=lr, ratio=lr_ratio, fall=relative_decrease
    )


def detect_weight_decay_too_large(observation: Observation) -> WatchFinding | None:
    """A weight decay that forgets within ten steps what was learned, and a loss that stays high.

    SGD and AdamW take ``lr * weight_decay`` of every parameter at each step; Adam and its kind take as much as of a
    gradient, of which 1 is large for a parameter of 1.
    """
    recorder, loss = observation.recorder, observation.recorder.history.loss
    group = max(recorder.optimizer.param_groups, key=lambda each: float(each.get("weight_decay", 0.0)))
    weight_decay, lr = float(group.get("weight_decay", 0.0)), float(group.get("lr", 0.0))
    is_adaptive = any(probe.is_adaptive for probe in recorder.history.measurements) and not group.get(
        "decoupled_weight_decay", False
    )
    is_too_large = weight_decay >= 1 if is_adaptive else lr * weight_decay >= 0.1
    if (
        not is_too_large
        or len(loss) < MIN_STEPS_SLOW
        or not median_or_nan(loss[len(loss) * 3 // 4 :]) > 0.5 * abs(float(loss[0]))
    ):
        return None
    return caution_finding("weight_decay", message("watch.heavy_decay", decay=weight_decay), weight_decay=weight_decay)


def detect_lr_zero(observation: Observation) -> WatchFinding | None:
    """A rate of 0 at every step."""
    recorder = observation.recorder
    group_lrs = [float(group.get("lr", math.nan)) for group in recorder.optimizer.param_groups]
    if recorder.steps < MIN_STEPS_FAST or any(group_lrs) or recorder.history.lr.any():
        return None
    return problem_finding(
        "lr_zero", message("watch.lr_zero", updates=pluralize(recorder.steps, "update")), steps=recorder.steps
    )


def detect_schedule_decayed_too_early(observation: Observation) -> WatchFinding | None:
    """A schedule that has taken the rate below a thousandth while the loss was still falling.

    What the loss lost in the steps before that, over the sum of their rates, says what the first rate would still gain.
    """
    record = observation.recorder.history
    loss, lr = record.loss, record.lr
    if len(lr) < MIN_STEPS_SLOW or not lr.max() > 0:
        return None
    live_steps = np.flatnonzero(lr >= lr.max() / 1000)
    dead_from = int(live_steps[-1]) + 1
    if len(lr) - dead_from < max(10, 0.3 * len(lr)):
        return None
    window = min(50, dead_from // 3)
    if window < 2 or not np.isfinite(loss[dead_from - 2 * window : dead_from]).all():
        return None
    before, after = (
        median_or_nan(loss[dead_from - 2 * window : dead_from - window]),
        median_or_nan(loss[dead_from - window : dead_from]),
    )
    noise = float(np.std(np.diff(loss[dead_from - 2 * window : dead_from]))) / math.sqrt(2 * window)
    remaining_decrease = (
        (before - after) / abs(before) * lr.max() * window / lr[dead_from - window : dead_from].sum() if before else 0.0
    )
    if before - after <= 4 * noise or remaining_decrease < 0.1:
        return None
    values = {"step": dead_from * record.stride + 1, "first": float(lr.max()), "last": float(lr[-1]), "loss": after}
    message_values = values | {"last": format_rounded(values["last"]), "steps": record.steps}
    return problem_finding("dead_schedule", message("watch.dead_schedule", **message_values), **values)


def detect_no_better_than_baseline(observation: Observation) -> WatchFinding | None:
    """A loss that settles where that of the targets' mean is: inputs and targets do not belong together."""
    recorder = observation.recorder
    loss = recorder.history.loss
    baseline = recorder.early_losses.targets.baseline_loss(recorder.early_losses.loss_over_mse or 1.0)
    if baseline is None or not baseline > 0 or len(loss) < 50:
        return None
    quarter = len(loss) // 4
    third, last = median_or_nan(loss[2 * quarter : 3 * quarter]), median_or_nan(loss[3 * quarter :])
    rtol = 0.02 if recorder.same_batch_check.always_same else 0.05
    if not (abs(third / baseline - 1) < rtol and abs(last / baseline - 1) < rtol):
        return None
    values = {"loss": last, "baseline": baseline}
    return caution_finding("no_signal", message("watch.no_signal", **values), message("watch.check_pairs"), **values)


def _lr_bound(observation: Observation, lr_ratio: float, lr: float) -> float:
    lr_bound = observation.diagnosis.lr_bound if observation.diagnosis is not None else None
    return lr_bound if lr_bound else lr / lr_ratio


def median_or_nan(values: FloatArray) -> float:
    """The middle of some losses; not a number where there are none."""
    return float(np.median(values)) if len(values) else math.nan
