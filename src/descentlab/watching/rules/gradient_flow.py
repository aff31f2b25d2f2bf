"""Verdicts on gradients that never come as far as a parameter, or never move one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from descentlab.messages import counted, sentence
from descentlab.watching.verdict import Verdict, caution, fact, problem

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Case

MANY = 20  # passes without a step that leave no doubt while a loop is still running
SURE = 3  # steps with the same mistake


def no_backward(case: Case) -> Verdict | None:
    """The model is called, and ``backward`` never."""
    sight = case.sight
    sure = sight.forwards >= MANY or (case.ended and case.error is None and sight.forwards > 0)
    if sight.losses or sight.gradients.got or not sure or sight.clearing.fresh:
        return None
    values = {"forwards": sight.forwards, "updates": counted(sight.steps, "update")}
    return problem("no_backward", sentence("watch.no_backward", **values), forwards=sight.forwards, steps=sight.steps)


def detached(case: Case) -> Verdict | None:
    """A loss that no gradient can be taken of."""
    if not case.sight.detached or case.sight.backwards:
        return None
    asking = sum(each.requires_grad for each in case.sight.model.parameters())
    key = sentence("watch.detached") if asking else sentence("watch.all_frozen")
    return problem("frozen", key, requiring=asking)


def unreached(case: Case) -> Verdict | None:
    """Backward passes and steps, and never a gradient: the loss was given a graph that begins behind the model."""
    sight = case.sight
    everything = {id(p): p for p in (*sight.model.parameters(), *sight.gradients.held)}.values()
    if sight.reached or sight.gradients.got or any(each.grad is not None for each in everything):
        return None
    if sight.detached or sight.losses < SURE or sight.steps < SURE or not all(map(sight.unmoved, sight.marked)):
        return None
    values = {"losses": sight.losses, "steps": sight.steps}
    return problem("frozen", sentence("watch.unreached", **values), **values)


def no_step(case: Case) -> Verdict | None:
    """Gradients come, and the optimizer is never asked to step."""
    sight = case.sight
    sure = sight.backwards >= MANY or (case.ended and case.error is None and sight.backwards > 0)
    if sight.steps or not sure:
        return None
    if not all(map(sight.unmoved, sight.marked)):  # by another optimizer, while this one waits for its turn perhaps
        elsewhere = caution("no_step", sentence("watch.stepped_elsewhere", backwards=sight.backwards))
        return elsewhere if case.ended else None
    return problem("no_step", sentence("watch.no_step", backwards=sight.backwards), backwards=sight.backwards)


def cleared_too_soon(case: Case) -> Verdict | None:
    """``zero_grad`` between ``backward`` and ``step``."""
    clearing, steps = case.sight.clearing, case.sight.steps
    if clearing.emptied < max(SURE, 0.9 * min(steps, MANY)):
        return None
    return problem(
        "cleared_too_soon", sentence("watch.cleared_too_soon", steps=clearing.emptied), steps=clearing.emptied
    )


def not_in_optimizer(case: Case) -> Verdict | None:
    """Parameters that ask for gradients, and that nobody moves."""
    sight = case.sight
    lost = [each for each in sight.strangers() if id(each) in sight.at_start and sight.unmoved(each)]
    hidden = set(map(id, sight.hidden.values()))
    unknown = [each for each in lost if id(each) in hidden and each.grad is not None]
    lost = [each for each in lost if id(each) not in hidden]
    if not (lost or unknown) or sight.steps < SURE:
        return None
    if not lost:
        said = sentence("watch.in_a_list", names=case.names(unknown))
        return problem("not_in_optimizer", said, names=case.names(unknown))
    everything = len(lost) == sum(each.requires_grad for each in sight.model.parameters())
    said = sentence("watch.optimizer_of_another", count=counted(len(lost), "parameter"))
    if not everything:
        said = sentence("watch.not_in_optimizer", names=case.names(lost))
    return problem("not_in_optimizer", said, names=case.names(lost))


def no_gradient(case: Case) -> Verdict | None:
    """Parameters that the optimizer holds and that no gradient reaches."""
    sight = case.sight
    held = [each for group in sight.optimizer.param_groups for each in group["params"]]
    without = [each for each in held if each.requires_grad and id(each) not in sight.gradients.got]
    if not without or sight.steps < SURE or not sight.losses or len(without) == len(held):
        return None
    return caution("frozen", sentence("watch.no_gradient", names=case.names(without)), names=case.names(without))


def frozen_by_choice(case: Case) -> Verdict | None:
    """Parameters that ask for no gradient: meant, more often than not."""
    frozen = [each for each in case.sight.model.parameters() if not each.requires_grad]
    if not frozen or not case.sight.steps:
        return None
    return fact("frozen", sentence("watch.frozen_by_choice", names=case.names(frozen)), names=case.names(frozen))
