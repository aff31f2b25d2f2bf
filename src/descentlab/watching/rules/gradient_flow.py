"""Checks of gradients that never reach a parameter, or never move one."""

from __future__ import annotations

from descentlab.messages import message, pluralize
from descentlab.watching.rules.observation import CERTAIN_PASSES, CERTAIN_STEPS, Observation
from descentlab.watching.rules.rule import Evidence, make_evidence


def detect_no_backward(observation: Observation) -> Evidence | None:
    """The model is called, and ``backward`` never."""
    forwards, steps = observation.forward_passes, observation.steps
    if observation.backward_calls or observation.optimizer_gradient or observation.has_unused_gradient:
        return None
    if forwards < CERTAIN_PASSES and not (observation.ended_without_error and forwards > 0):
        return None
    explanation = message("watch.no_backward", forwards=forwards, updates=pluralize(steps, "update"))
    return make_evidence(explanation, advice=message("watch.no_backward_advice"), forwards=forwards, steps=steps)


def detect_loss_detached(observation: Observation) -> Evidence | None:
    """A loss that no gradient can be taken of."""
    if not observation.loss_is_detached or observation.backward_passes:
        return None
    if observation.n_trainable:
        explanation, advice = message("watch.detached"), message("watch.detached_advice")
    else:
        explanation, advice = message("watch.all_frozen"), message("watch.all_frozen_advice")
    return make_evidence(explanation, advice=advice, requiring=observation.n_trainable)


def detect_gradient_never_arrives(observation: Observation) -> Evidence | None:
    """Backward passes and steps, and never a gradient: the graph of the loss does not begin at the model."""
    losses, steps = observation.backward_calls, observation.steps
    if observation.any_gradient or observation.loss_is_detached or not observation.sampled_params_unchanged:
        return None
    if losses < CERTAIN_STEPS or steps < CERTAIN_STEPS:
        return None
    explanation = message("watch.unreached", losses=losses, steps=steps)
    return make_evidence(explanation, advice=message("watch.unreached_advice"), losses=losses, steps=steps)


def detect_no_step(observation: Observation) -> Evidence | None:
    """Gradients come, and the optimizer never makes a step."""
    backwards = observation.backward_passes
    if observation.steps or not observation.sampled_params_unchanged:
        return None
    if backwards < CERTAIN_PASSES and not (observation.ended_without_error and backwards > 0):
        return None
    explanation = message("watch.no_step", backwards=backwards)
    return make_evidence(explanation, advice=message("watch.no_step_advice"), backwards=backwards)


def detect_stepped_elsewhere(observation: Observation) -> Evidence | None:
    """The parameters change although the optimizer never makes a step. While the loop runs, its turn may still come."""
    backwards = observation.backward_passes
    if observation.steps or observation.sampled_params_unchanged or not observation.ended:
        return None
    if backwards < CERTAIN_PASSES and (observation.error is not None or not backwards):
        return None
    explanation = message("watch.stepped_elsewhere", backwards=backwards)
    return make_evidence(explanation, advice=message("watch.stepped_elsewhere_advice"), backwards=backwards)


def detect_zero_grad_after_backward(observation: Observation) -> Evidence | None:
    """``zero_grad`` between ``backward`` and ``step``."""
    steps = observation.cleared_too_early_steps
    if steps < max(CERTAIN_STEPS, 0.9 * observation.arrived_steps):
        return None
    explanation = message("watch.cleared_too_soon", steps=steps)
    return make_evidence(explanation, advice=message("watch.cleared_too_soon_advice"), steps=steps)


def detect_not_in_optimizer(observation: Observation) -> Evidence | None:
    """Parameters that require gradients and that no optimizer moves."""
    names = observation.unmoved_params
    if not names or observation.steps < CERTAIN_STEPS:
        return None
    if len(names) == observation.n_trainable:
        explanation = message("watch.optimizer_of_another", count=pluralize(len(names), "parameter"))
        return make_evidence(explanation, advice=message("watch.optimizer_of_another_advice"), names=names)
    explanation = message("watch.not_in_optimizer", names=names)
    return make_evidence(explanation, advice=message("watch.not_in_optimizer_advice"), names=names)


def detect_unregistered(observation: Observation) -> Evidence | None:
    """Layers in a plain list, which ``model.parameters()`` does not contain."""
    names = observation.unregistered_params
    if not names or observation.unmoved_params or observation.steps < CERTAIN_STEPS:
        return None
    return make_evidence(message("watch.in_a_list", names=names), advice=message("watch.in_a_list_advice"), names=names)


def detect_no_gradient(observation: Observation) -> Evidence | None:
    """Parameters in the optimizer that no gradient reaches."""
    names = observation.params_without_gradient
    if not names or len(names) == observation.n_optimized:
        return None
    if observation.steps < CERTAIN_STEPS or not observation.backward_calls:
        return None
    explanation = message("watch.no_gradient", names=names)
    return make_evidence(explanation, advice=message("watch.no_gradient_advice"), names=names)


def detect_frozen_parameters(observation: Observation) -> Evidence | None:
    """Parameters that require no gradient: usually on purpose."""
    names = observation.frozen_params
    if not names or not observation.steps:
        return None
    return make_evidence(message("watch.frozen_by_choice", names=names), names=names)
