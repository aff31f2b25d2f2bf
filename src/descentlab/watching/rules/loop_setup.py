"""Checks of how a loop is put together: types and shapes, ``zero_grad``, modes, numbers that are not finite."""

from __future__ import annotations

import re

from descentlab.messages import Message, message
from descentlab.watching.rules.exceptions import IN_PLACE_ERROR
from descentlab.watching.rules.learning_rate import exceeds_lr_limit, first_outgrown_measurement
from descentlab.watching.rules.observation import CERTAIN_PASSES, CERTAIN_STEPS, Observation
from descentlab.watching.rules.rule import Evidence, make_evidence

FLOAT_TARGET_ERROR = re.compile(
    r"cast to the desired output type (Long|Int|Bool)|Found dtype (Long|Int|Bool) but expected"
    r"|`-` operator, with a bool tensor"
)
STALE_GRAPH_ERROR = re.compile(r"modified by an inplace operation|backward through the graph a second time")
CLASS_TARGET_ERROR = re.compile(r"expected (target dtype to be|scalar type) Long")
BLOWN_UP_RATIO = 1000.0  # times its lowest: a loss that a mistake elsewhere has broken is not that large before
NEGLIGIBLE_LAST_LOSS = 1e-12  # below it, gradients that are 0 are right


def detect_integer_target(observation: Observation) -> Evidence | None:
    """Integer or boolean targets for a loss that needs floats."""
    error = observation.runtime_error
    if not FLOAT_TARGET_ERROR.search(error):
        return None
    return make_evidence(
        message("watch.integer_target", message=error), advice=message("watch.integer_target_advice"), error=error
    )


def detect_float_target(observation: Observation) -> Evidence | None:
    """Float targets for a loss that needs classes."""
    error = observation.runtime_error
    if not CLASS_TARGET_ERROR.search(error):
        return None
    return make_evidence(
        message("watch.float_target", message=error), advice=message("watch.float_target_advice"), error=error
    )


def detect_stale_graph(observation: Observation) -> Evidence | None:
    """A loss whose graph reaches into an earlier step, whose tensors have been freed or overwritten since."""
    error = observation.runtime_error
    is_in_place = bool(IN_PLACE_ERROR.search(error))
    if not STALE_GRAPH_ERROR.search(error) or (is_in_place and not observation.steps):
        return None
    key = "watch.stale_stepped_advice" if is_in_place else "watch.stale_graph_advice"
    key = "watch.stale_lbfgs_advice" if observation.optimizer_class == "LBFGS" else key
    return make_evidence(message("watch.stale_graph"), advice=message(key))


def detect_output_form(observation: Observation) -> Evidence | None:
    """Outputs in a form that the loss does not take."""
    messages_by_defect = {
        "softmax_twice": (message("watch.softmax_twice"), message("watch.softmax_twice_advice")),
        "sigmoid_twice": (message("watch.sigmoid_twice"), message("watch.sigmoid_twice_advice")),
        "not_logarithms": (message("watch.not_logarithms"), message("watch.not_logarithms_advice")),
        "softmax_of_one": (message("watch.softmax_of_one"), message("watch.softmax_of_one_advice")),
        "softmax_over_rows": (message("watch.softmax_over_rows"), message("watch.softmax_over_rows_advice")),
        "negated": (message("watch.negated"), message("watch.negated_advice")),
        "no_sigmoid": (message("watch.no_sigmoid"), message("watch.no_sigmoid_advice")),
        "maximized": (message("watch.maximized"), message("watch.maximized_advice")),
        "swapped": (message("watch.swapped"), message("watch.swapped_advice")),
    }
    defect = observation.output_defect or ("maximized" if _is_maximized(observation) else None)
    if defect is None:
        return None
    explanation, advice = messages_by_defect[defect]
    return make_evidence(explanation, advice=advice, form=defect)


def _is_maximized(observation: Observation) -> bool:
    """Whether an optimizer climbs a loss that is an error or a cross entropy."""
    return observation.settings.maximize and bool(observation.batch.comparison)


def detect_broadcast(observation: Observation) -> Evidence | None:
    """(N,) against (N, 1), and every other pair of shapes that an operation has to expand."""
    if observation.broadcast_shape is None and observation.expanded_shapes is not None:
        given, made = observation.expanded_shapes
        explanation = message("watch.broadcast_shapes", given=given, made=made)
        return make_evidence(explanation, advice=message("watch.broadcast_shapes_advice"), given=given, made=made)
    if observation.broadcast_shape is None:
        return None
    n, n_targets = observation.broadcast_shape
    explanation = message("watch.broadcast", n=n, pairs=n * n_targets)
    return make_evidence(explanation, advice=message("watch.broadcast_advice"), rows=n)


def why_loss_unchecked(observation: Observation) -> Message | None:
    """The graph of a loss tells only if the model's output is in it."""
    return None if observation.loss_graph_seen else message("watch.no_loss_graph")


def detect_loop_not_seen(observation: Observation) -> Evidence | None:
    """A loop that never touched what is watched."""
    if observation.forward_passes or observation.backward_passes or observation.steps:
        return None
    if not observation.ended_without_error:
        return None
    return make_evidence(message("watch.nothing_seen"), advice=message("watch.nothing_seen_advice"))


def detect_no_zero_grad(observation: Observation) -> Evidence | None:
    """Gradients that are never cleared between steps."""
    if not observation.gradients_accumulate:
        return None
    numbers = {"uncleared": observation.stale_steps, "checked": observation.checked_steps}
    explanation = message("watch.no_zero_grad", **numbers)
    advice = "watch.no_zero_grad_by_hand_advice" if observation.updates_by_hand else "watch.no_zero_grad_advice"
    return make_evidence(explanation, advice=message(advice), **numbers)


def why_zero_grad_unchecked(observation: Observation) -> Message | None:
    """It takes steps after each of which another backward pass followed."""
    return message("watch.few_compared") if observation.checked_steps < CERTAIN_STEPS else None


def detect_nonfinite_data(observation: Observation) -> Evidence | None:
    """NaN or infinity in the inputs or the targets."""
    origin = observation.nonfinite
    if origin is None or origin.where not in ("input", "target"):
        return None
    return _nonfinite_evidence(observation, message("watch.clean_the_data"))


def detect_nonfinite(observation: Observation) -> Evidence | None:
    """NaN or infinity that the loop has made, with the first tensor that contained it."""
    origin = observation.nonfinite
    if origin is None or origin.where in ("input", "target"):
        return None
    growth = observation.loss_over_minimum
    if exceeds_lr_limit(observation) or first_outgrown_measurement(observation):
        return _nonfinite_evidence(observation, message("watch.smaller_rate"), message("watch.overflowed"))
    if growth > BLOWN_UP_RATIO:
        grew = message("watch.grew", times=growth)
        return _nonfinite_evidence(observation, message("watch.smaller_rate"), grew)
    if observation.has_log_of_softmax:
        return _nonfinite_evidence(observation, message("watch.log_of_softmax_advice"), message("watch.log_of_softmax"))
    return _nonfinite_evidence(observation, message("watch.look_there"))


def _nonfinite_evidence(observation: Observation, advice: Message, *explanation: Message) -> Evidence:
    origin = observation.nonfinite
    assert origin is not None
    numbers = {"kind": origin.where, "tensor": origin.name, "step": origin.step}
    return make_evidence(
        message("watch.not_finite", where=origin.location_message), *explanation, advice=advice, **numbers
    )


def detect_zero_gradient(observation: Observation) -> Evidence | None:
    """Gradients that arrive and are all zero although the loss is not."""
    steps, loss = observation.consecutive_zero_steps, observation.last_loss
    if steps < CERTAIN_STEPS or not loss > NEGLIGIBLE_LAST_LOSS:
        return None
    explanation = message("watch.zero_gradient", steps=steps, loss=loss)
    return make_evidence(explanation, advice=message("watch.zero_gradient_advice"), steps=steps, loss=loss)


def detect_left_in_eval_mode(observation: Observation) -> Evidence | None:
    """``model.eval()`` in the middle of training, and no ``model.train()`` after it."""
    training, last = observation.train_passes, observation.consecutive_eval_passes
    if not training or not observation.has_mode_dependent_layers:
        return None
    if last < max(CERTAIN_PASSES // 2, 0.5 * observation.eval_passes, 0.3 * training):
        return None
    explanation = message("watch.eval_mode", training=training, last=last)
    return make_evidence(explanation, advice=message("watch.eval_mode_advice"), training=training, last=last)


def detect_never_in_train_mode(observation: Observation) -> Evidence | None:
    """``model.eval()`` before the loop, as in models that were saved for use."""
    passes = observation.eval_passes
    if observation.train_passes or passes < CERTAIN_STEPS or not observation.has_mode_dependent_layers:
        return None
    explanation = message("watch.never_training", passes=passes)
    return make_evidence(explanation, advice=message("watch.never_training_advice"), passes=passes)
