"""Checks of the batches: scales, rows that do not vary, labels, and data that is the same again and again."""

from __future__ import annotations

import math

from descentlab.messages import Message, message, pluralize
from descentlab.watching.rules.learning_rate import exceeds_lr_limit
from descentlab.watching.rules.observation import Observation
from descentlab.watching.rules.progress import has_learned_little, is_still_falling, remaining_share
from descentlab.watching.rules.rule import Evidence, make_evidence

LARGE_INPUT_SIZE, SMALL_INPUT_SIZE = 20.0, 0.02  # rms of inputs; standardized ones have 1
LARGE_COLUMN_RATIO = 200.0  # of the deviations of two columns
LARGE_COLUMN_SIZE = 5.0  # rms of inputs whose columns are of very different sizes
LARGE_TARGET_SIZE = 20.0  # times the outputs, at the start and at the end
MAJORITY_SHARE = 0.9  # of one label
JUST_BEGUN_RANGE = 1.25  # of the last loss: the first one of a loop that has just begun
MAX_SHORT_STEPS = 150  # of a loop that may have been stopped too early
FAST_FALL = 0.06  # of a loss, in the last third of a loop
JUST_BEGUN_FALL = 0.003  # in the last half, of a loss that is still that of a model that has learned nothing
MIN_REPEATED_ROWS = 4  # of a batch
MIN_SAME_RANDOM_PASSES = 3
MIN_CLASSES, MAX_CLASSES = 3, 100  # whole numbers that may be classes
LEAST_CLASS_SHARE = 0.3  # of an even share: counts of events have rarer numbers


def detect_repeated_data(observation: Observation) -> Evidence | None:
    """Rows that are equal, one batch again and again out of a larger data set, or the same random numbers."""
    batch = observation.batch
    if batch.identical_rows and batch.n_rows >= MIN_REPEATED_ROWS:
        if batch.input_std == 0 and batch.input_mean == 0:
            return make_evidence(message("watch.zero_inputs"), advice=message("watch.zero_inputs_advice"))
        explanation = message("watch.identical_rows", rows=batch.n_rows)
        return make_evidence(explanation, advice=message("watch.identical_rows_advice"), rows=batch.n_rows)
    if observation.always_same_batch and observation.loader_rows > batch.n_rows > 0 and observation.steps > 5:
        explanation = message("watch.same_batch", rows=pluralize(batch.n_rows, "row"), of=observation.loader_rows)
        return make_evidence(explanation, advice=message("watch.same_batch_advice"), rows=batch.n_rows)
    same = observation.same_random_passes
    if same < MIN_SAME_RANDOM_PASSES or same < observation.random_passes:
        return None
    return make_evidence(message("watch.same_random"), advice=message("watch.same_random_advice"), passes=same)


def detect_constant_columns(observation: Observation) -> Evidence | None:
    """Columns that never vary: usually harmless."""
    batch = observation.batch
    if not 0 < batch.constant_columns < batch.n_columns:
        return None
    explanation = message("watch.constant_columns", constant=batch.constant_columns, columns=batch.n_columns)
    return make_evidence(explanation, constant=batch.constant_columns)


def detect_input_scale(observation: Observation) -> Evidence | None:
    """Inputs far from a size of 1, or columns of very different sizes, in a loop that learns little."""
    batch = observation.batch
    size = math.hypot(batch.input_mean, batch.input_std)
    if not (has_learned_little(observation) or exceeds_lr_limit(observation)):
        return None
    if batch.column_ratio > LARGE_COLUMN_RATIO and size > LARGE_COLUMN_SIZE:
        explanation = message("watch.column_scale", times=batch.column_ratio)
        return make_evidence(explanation, advice=message("watch.standardize_advice"), times=batch.column_ratio)
    if size > LARGE_INPUT_SIZE or 0 < size < SMALL_INPUT_SIZE:
        key = "watch.large_inputs" if size > 1 else "watch.small_inputs"
        return make_evidence(message(key, size=size), advice=message("watch.standardize_advice"), size=size)
    return None


def detect_target_scale(observation: Observation) -> Evidence | None:
    """Targets so far from the outputs that the steps have not come near them."""
    batch, size = observation.batch, observation.target_rms
    if batch.comparison not in ("squared", "absolute") or not size > LARGE_TARGET_SIZE:
        return None
    if not size > LARGE_TARGET_SIZE * observation.output_rms or not has_learned_little(observation):
        return None
    values = {"size": size, "times": size / observation.output_rms if observation.output_rms else math.inf}
    return make_evidence(message("watch.target_size", **values), advice=message("watch.target_scale_advice"), **values)


def detect_imbalance(observation: Observation) -> Evidence | None:
    """One label in nine of ten rows, and a model that predicts nothing else."""
    batch = observation.batch
    share = max(batch.label_shares, default=0.0)
    if batch.comparison not in ("binary", "classes") or not MAJORITY_SHARE <= share < 1:
        return None
    if not batch.predicted_share > 0.999:
        return None
    values = {"label": batch.label_shares.index(share), "part": 100 * share}
    return make_evidence(message("watch.imbalance", **values), advice=message("watch.imbalance_advice"), **values)


def detect_target_range(observation: Observation) -> Evidence | None:
    """Targets of a binary cross entropy that are not between 0 and 1."""
    batch = observation.batch
    if batch.comparison != "binary" or (batch.target_min >= 0 and batch.target_max <= 1):
        return None
    values = {"lowest": batch.target_min, "highest": batch.target_max}
    advice = message("watch.signed_labels_advice" if batch.target_min < 0 else "watch.labels_from_one_advice")
    return make_evidence(message("watch.target_range", **values), advice=advice, **values)


def detect_regression_of_classes(observation: Observation) -> Evidence | None:
    """Squared or absolute errors for what look like classes."""
    batch = observation.batch
    shares = [each for each in batch.label_shares if each > 0]
    if batch.comparison not in ("squared", "absolute") or not batch.whole or not shares:
        return None
    if batch.one_hot or batch.label_shares[:2] == batch.label_shares:
        if not has_learned_little(observation) or len(shares) < 2:
            return None
        if batch.one_hot:
            return make_evidence(
                message("watch.regression_of_one_hot"), advice=message("watch.regression_of_one_hot_advice")
            )
        return make_evidence(message("watch.regression_of_binary"), advice=message("watch.regression_of_binary_advice"))
    n_classes = len(batch.label_shares)
    is_even = min(batch.label_shares) > LEAST_CLASS_SHARE / n_classes
    if not MIN_CLASSES <= n_classes <= MAX_CLASSES or not is_even or observation.steps < 2:
        return None
    values = {"classes": n_classes, "highest": n_classes - 1}
    advice = message("watch.regression_of_classes_advice", classes=n_classes)
    return make_evidence(message("watch.regression_of_classes", **values), advice=advice, **values)


def detect_output_range(observation: Observation) -> Evidence | None:
    """Targets that the last operation of the model cannot reach."""
    batch, model = observation.batch, observation.model
    if batch.comparison not in ("squared", "absolute") or batch.outside_share < 0.05:
        return None
    values = {"operation": model.last_operation, "part": 100 * batch.outside_share, "lowest": batch.target_min,
              "highest": batch.target_max}  # fmt: skip
    return make_evidence(message("watch.output_range", **values), advice=message("watch.output_range_advice"), **values)


def detect_overfitting(observation: Observation) -> Evidence | None:
    """A loss on other rows that rises again while that of training falls on."""
    pairs = [(step, loss) for step, loss in observation.validation if math.isfinite(loss)]
    if len(pairs) < 4:
        return None
    at, lowest = min(pairs, key=lambda pair: pair[1])
    last, share = pairs[-1][1], remaining_share(observation)
    if not (last > 1.1 * lowest > 0 and at < 0.7 * pairs[-1][0]) or share is None or share > 0.9:
        return None
    explanation = message("watch.overfit", updates=pluralize(at, "update"), lowest=lowest, last=last)
    return make_evidence(explanation, advice=message("watch.overfit_advice"), step=at, lowest=lowest, last=last)


def why_overfitting_unchecked(observation: Observation) -> Message | None:
    """Overfitting shows only on rows that are not trained on."""
    return None if observation.validation else message("watch.no_validation")


def why_batch_unchecked(observation: Observation) -> Message | None:
    """Targets are seen only in a loss of the model's output."""
    return None if observation.batch.comparison else message("watch.no_loss_graph")


def detect_stopped_early(observation: Observation) -> Evidence | None:
    """A loss that was still falling when the loop ended, fast, or from where a model that has learned nothing is."""
    loss, remaining = observation.loss, remaining_share(observation)
    if not observation.ended_without_error or len(loss) < 5 or remaining is None or not 0.5 < remaining < 1.5:
        return None
    has_just_begun = remaining > 0.9 and float(loss[0]) < JUST_BEGUN_RANGE * float(loss[-1])
    if observation.steps > MAX_SHORT_STEPS or observation.discarded_passes:
        return None
    if not has_just_begun and (remaining < 0.7 or observation.baseline_loss is None):
        return None
    n = len(loss) if has_just_begun else max(len(loss) * 2 // 3, 1)
    recent = loss[-n:]
    before, after = float(recent[: n // 2].mean()), float(recent[n // 2 :].mean())
    fall = 1 - after / before if before > 0 else 0.0
    if not is_still_falling(recent) or fall < (JUST_BEGUN_FALL if has_just_begun else FAST_FALL):
        return None
    values = {"fall": 100 * fall, "last": after}
    explanation = message("watch.stopped_early", updates=pluralize(n - n // 2, "update"), **values)
    return make_evidence(explanation, advice=message("watch.stopped_early_advice"), **values)
