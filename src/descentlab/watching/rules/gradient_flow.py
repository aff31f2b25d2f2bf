"""Verdicts on gradients that never come as far as a parameter, or never move one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from descentlab.messages import message, pluralize
from descentlab.watching.verdict import WatchFinding, caution_finding, fact_finding, problem_finding

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Observation

CERTAIN_PASSES = 20  # passes without a step that leave no doubt while a loop is still running
CERTAIN_STEPS = 3  # steps with the same mistake


def detect_no_backward(observation: Observation) -> WatchFinding | None:
    """The model is called, and ``backward`` never."""
    recorder = observation.recorder
    is_certain = recorder.forward_passes >= CERTAIN_PASSES or (
        observation.ended and observation.error is None and recorder.forward_passes > 0
    )
    if (
        recorder.backward_calls
        or recorder.gradients.received_ids
        or not is_certain
        or recorder.zero_grad_check.has_new_gradient
    ):
        return None
    values = {"forwards": recorder.forward_passes, "updates": pluralize(recorder.steps, "update")}
    return problem_finding(
        "no_backward", message("watch.no_backward", **values), forwards=recorder.forward_passes, steps=recorder.steps
    )


def detect_loss_detached(observation: Observation) -> WatchFinding | None:
    """A loss that no gradient can be taken of."""
    if not observation.recorder.loss_is_detached or observation.recorder.backward_passes:
        return None
    n_trainable = sum(each.requires_grad for each in observation.recorder.model.parameters())
    explanation = message("watch.detached") if n_trainable else message("watch.all_frozen")
    return problem_finding("frozen", explanation, requiring=n_trainable)


def detect_gradient_never_arrives(observation: Observation) -> WatchFinding | None:
    """Backward passes and steps, and never a gradient: the loss was given a graph that begins behind the model."""
    recorder = observation.recorder
    all_params = {id(p): p for p in (*recorder.model.parameters(), *recorder.gradients.parameters)}.values()
    if (
        recorder.gradient_arrived
        or recorder.gradients.received_ids
        or any(each.grad is not None for each in all_params)
    ):
        return None
    if (
        recorder.loss_is_detached
        or recorder.backward_calls < CERTAIN_STEPS
        or recorder.steps < CERTAIN_STEPS
        or not all(map(recorder.is_unchanged, recorder.sampled_params))
    ):
        return None
    values = {"losses": recorder.backward_calls, "steps": recorder.steps}
    return problem_finding("frozen", message("watch.unreached", **values), **values)


def detect_no_step(observation: Observation) -> WatchFinding | None:
    """Gradients come, and the optimizer is never asked to step."""
    recorder = observation.recorder
    is_certain = recorder.backward_passes >= CERTAIN_PASSES or (
        observation.ended and observation.error is None and recorder.backward_passes > 0
    )
    if recorder.steps or not is_certain:
        return None
    if not all(
        map(recorder.is_unchanged, recorder.sampled_params)
    ):  # by another optimizer, while this one waits for its turn perhaps
        stepped_elsewhere = caution_finding(
            "no_step", message("watch.stepped_elsewhere", backwards=recorder.backward_passes)
        )
        return stepped_elsewhere if observation.ended else None
    return problem_finding(
        "no_step", message("watch.no_step", backwards=recorder.backward_passes), backwards=recorder.backward_passes
    )


def detect_zero_grad_after_backward(observation: Observation) -> WatchFinding | None:
    """``zero_grad`` between ``backward`` and ``step``."""
    check, steps = observation.recorder.zero_grad_check, observation.recorder.steps
    if check.cleared_too_early_steps < max(CERTAIN_STEPS, 0.9 * min(steps, CERTAIN_PASSES)):
        return None
    return problem_finding(
        "cleared_too_soon",
        message("watch.cleared_too_soon", steps=check.cleared_too_early_steps),
        steps=check.cleared_too_early_steps,
    )


def detect_not_in_optimizer(observation: Observation) -> WatchFinding | None:
    """Parameters that ask for gradients, and that nobody moves."""
    recorder = observation.recorder
    not_moved = [
        each
        for each in recorder.params_missing_from_optimizer()
        if id(each) in recorder.initial_values and recorder.is_unchanged(each)
    ]
    unregistered_ids = set(map(id, recorder.unregistered.values()))
    unregistered = [each for each in not_moved if id(each) in unregistered_ids and each.grad is not None]
    not_moved = [each for each in not_moved if id(each) not in unregistered_ids]
    if not (not_moved or unregistered) or recorder.steps < CERTAIN_STEPS:
        return None
    if not not_moved:
        summary = message("watch.in_a_list", names=observation.quoted_param_names(unregistered))
        return problem_finding("not_in_optimizer", summary, names=observation.quoted_param_names(unregistered))
    all_trainable = len(not_moved) == sum(each.requires_grad for each in recorder.model.parameters())
    summary = message("watch.optimizer_of_another", count=pluralize(len(not_moved), "parameter"))
    if not all_trainable:
        summary = message("watch.not_in_optimizer", names=observation.quoted_param_names(not_moved))
    return problem_finding("not_in_optimizer", summary, names=observation.quoted_param_names(not_moved))


def detect_no_gradient(observation: Observation) -> WatchFinding | None:
    """Parameters that the optimizer holds and that no gradient reaches."""
    recorder = observation.recorder
    optimized = [each for group in recorder.optimizer.param_groups for each in group["params"]]
    without_gradient = [
        each for each in optimized if each.requires_grad and id(each) not in recorder.gradients.received_ids
    ]
    if (
        not without_gradient
        or recorder.steps < CERTAIN_STEPS
        or not recorder.backward_calls
        or len(without_gradient) == len(optimized)
    ):
        return None
    return caution_finding(
        "frozen",
        message("watch.no_gradient", names=observation.quoted_param_names(without_gradient)),
        names=observation.quoted_param_names(without_gradient),
    )


def detect_frozen_parameters(observation: Observation) -> WatchFinding | None:
    """Parameters that ask for no gradient: meant, more often than not."""
    frozen = [each for each in observation.recorder.model.parameters() if not each.requires_grad]
    if not frozen or not observation.recorder.steps:
        return None
    return fact_finding(
        "frozen",
        message("watch.frozen_by_choice", names=observation.quoted_param_names(frozen)),
        names=observation.quoted_param_names(frozen),
    )
