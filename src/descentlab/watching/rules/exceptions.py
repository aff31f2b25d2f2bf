"""The cause of an exception that ended a loop, read from its text."""

from __future__ import annotations

import re

from descentlab.messages import Message, message
from descentlab.watching.rules.observation import Observation
from descentlab.watching.rules.rule import Evidence, make_evidence

NO_PROBABILITY_ERROR = re.compile(r"all elements of input should be between 0 and 1")
TARGET_OUTSIDE_ERROR = re.compile(r"all elements of target should be between 0 and 1")
LABEL_ERROR = re.compile(r"Target (-?\d+) is out of bounds")
ONE_ROW_ERROR = re.compile(r"more than 1 value per channel")
IN_PLACE_ERROR = re.compile(r"modified by an inplace operation")
# The first that matches: its cause and its advice.
CAUSES = (
    ("watch.cause_in_place", "watch.cause_in_place_advice",
     re.compile(r"leaf Variable that requires grad|modified by an inplace operation")),
    ("watch.cause_target_form", "watch.cause_target_form_advice",
     re.compile(r"multi-target not supported|Expected target size|0D or 1D target|target with class probabilities")),
    ("watch.cause_not_scalar", "watch.cause_not_scalar_advice",
     re.compile(r"implicitly created only for scalar outputs")),
    ("watch.cause_device", "watch.cause_device_advice",
     re.compile(r"on the same device|Expected all tensors to be on")),
    ("watch.cause_index", "watch.cause_index_advice", re.compile(r"index out of range in self")),
    ("watch.cause_dtype", "watch.cause_dtype_advice",
     re.compile(r"have the same dtype|dtypes? .*(?:same|equal)|should be the same|expected scalar type"
                r"|'indices' to have|Found dtype|must be (?:Float|Long)")),
    ("watch.cause_shape", "watch.cause_shape_advice",
     re.compile(r"cannot be multiplied|size mismatch|must match the size|size of tensor|batch_size|Target size"
                r"|to have \d+ channels|Expected \dD|shape .* is invalid|Sizes of tensors|input size"
                r"|not broadcastable")),
)  # fmt: skip


def detect_missing_sigmoid(observation: Observation) -> Evidence | None:
    """``BCELoss`` on numbers that are not between 0 and 1."""
    if not NO_PROBABILITY_ERROR.search(observation.error_text):
        return None
    return make_evidence(message("watch.no_sigmoid"), advice=message("watch.no_sigmoid_advice"), form="no_sigmoid")


def detect_label_out_of_range(observation: Observation) -> Evidence | None:
    """Classes that have no output, or targets of a binary loss outside 0 and 1."""
    text = observation.error_text
    match = LABEL_ERROR.search(text)
    if match:
        label = int(match[1])
        explanation = message("watch.label_out_of_bounds", label=label)
        return make_evidence(explanation, advice=message("watch.label_out_of_bounds_advice"), label=label)
    if not TARGET_OUTSIDE_ERROR.search(text):
        return None
    return make_evidence(message("watch.target_outside", message=text), advice=message("watch.signed_labels_advice"))


def detect_batch_norm_of_one_row(observation: Observation) -> Evidence | None:
    """Batch normalization over a single row."""
    if not ONE_ROW_ERROR.search(observation.error_text):
        return None
    explanation = message("watch.batch_norm_one_row", message=observation.error_text)
    return make_evidence(explanation, advice=message("watch.batch_norm_rows_advice"))


def explain_error(text: str) -> tuple[Message | None, Message]:
    """The cause of an exception, or its own text, and what to do."""
    for key, advice_key, pattern in CAUSES:
        if pattern.search(text):
            return message(key, message=text), message(advice_key)
    return (message("watch.torch_says", message=text) if text else None), message("watch.raised_advice")
