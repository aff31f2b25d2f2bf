"""Checks of loops that move parameters themselves: the sign of the update, and whether it moves them at all."""

from __future__ import annotations

import re

import numpy as np

from descentlab.messages import message
from descentlab.watching.rules.observation import CERTAIN_STEPS, Observation
from descentlab.watching.rules.rule import Evidence, make_evidence

LEAF_ERROR = re.compile(r"leaf Variable that requires grad")
ASSIGNED_ERROR = re.compile(r"cannot assign '.*Tensor' as parameter '(\w+)'")
NO_GRADIENT_ERROR = re.compile(r"NoneType|does not require grad")


def detect_ascent(observation: Observation) -> Evidence | None:
    """``W += lr * W.grad``: a rate below 0 is read from every update."""
    known = observation.lr[np.isfinite(observation.lr)]
    if not observation.updates_by_hand or len(known) < CERTAIN_STEPS or not (known < 0).all():
        return None
    first, last, lr = float(observation.loss[0]), observation.last_loss, -float(known[-1])
    explanation = message("watch.ascent", lr=lr, first=first, last=last)
    return make_evidence(explanation, advice=message("watch.ascent_advice"), lr=lr, first=first, last=last)


def detect_update_without_effect(observation: Observation) -> Evidence | None:
    """An exception at, or after, an update that autograd records, or that makes a new tensor."""
    text, name = observation.error_text, observation.replaced_parameter
    assigned = ASSIGNED_ERROR.search(text)
    if LEAF_ERROR.search(text) and observation.raising_module is None:
        explanation, name = message("watch.update_recorded"), "W"
    elif assigned:
        explanation, name = message("watch.update_assigned", name=assigned[1]), f"layer.{assigned[1]}"
    elif name is not None and NO_GRADIENT_ERROR.search(text):
        explanation = message("watch.update_replaced", name=name)
    else:
        return None
    says = message("watch.torch_says", message=text)
    return make_evidence(explanation, says, advice=message("watch.update_by_hand_advice", name=name), tensor=name)
