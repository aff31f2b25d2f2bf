"""The judge of watched loops: mistakes in how a loop is put together, and causes before their effects."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from descentlab.text import counted, rounded, sentence
from descentlab.watching import pace
from descentlab.watching.verdict import Verdict, caution, fact, problem

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.watching.sight import Sight

MANY = 20  # passes without a step that leave no doubt while a loop is still running
SURE = 3  # steps with the same mistake
WANTS_FLOAT = re.compile(r"can't be cast to the desired output type (Long|Int)|Found dtype (Long|Int) but expected")
WANTS_CLASSES = re.compile(r"expected (target dtype to be|scalar type) Long")


@dataclass(frozen=True, eq=False)
class Case:
    """One loop to be judged: what was seen of it, whether it has ended, and with which exception."""

    sight: Sight
    ended: bool = False
    error: BaseException | None = None

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """What theory says, where it is exact: one linear hypothesis, squared errors, always the same batch."""
        sight = self.sight
        if sight.linear is None or not sight.sameness.always or sight.gradients.altered:
            return None
        return sight.linear.diagnose(sight.optimizer, sight.steps)

    def names(self, parameters: list[Any]) -> tuple[str, ...]:
        """Parameters by name, in backticks."""
        return tuple(f"`{self.sight.names.get(id(each), '?')}`" for each in parameters)


def judge(case: Case) -> tuple[Verdict, ...]:
    """Every verdict, causes before effects; ``healthy`` alone where nothing is wrong."""
    found = [verdict for rule in ORDER if (verdict := rule(case)) is not None]
    if not any(each.name == "not_finite" and each.numbers["kind"] in ("input", "target") for each in found):
        return _without_consequences(found) or (pace.healthy(case),)
    return tuple(each for each in found if each.name == "not_finite") or (pace.healthy(case),)


def _without_consequences(found: list[Verdict]) -> tuple[Verdict, ...]:
    """What follows from a cause that was named is not a mistake of its own."""
    names = {each.name for each in found}
    silent = {effect for cause, effects in EFFECTS.items() if cause in names for effect in effects}
    kept = tuple(each for each in found if each.name not in silent)
    return kept if any(each.level != "fact" for each in kept) or not kept else ()  # facts go beside `healthy`


def wrong_type(case: Case) -> Verdict | None:
    """Targets that the loss cannot take: whole numbers where it wants fractions, or the other way round."""
    words = str(case.error) if isinstance(case.error, RuntimeError) else ""
    if WANTS_FLOAT.search(words):
        return problem("integer_target", sentence("watch.integer_target", message=words))
    if WANTS_CLASSES.search(words):
        return problem("float_target", sentence("watch.float_target", message=words))
    return None


def broadcast(case: Case) -> Verdict | None:
    """(N,) against (N, 1)."""
    wide = case.sight.found.wide
    if wide is None:
        return None
    return problem("broadcast", sentence("watch.broadcast", n=wide[0], pairs=wide[0] * wide[1]), rows=wide[0])


def nothing_seen(case: Case) -> Verdict | None:
    """A loop that never touched what is watched."""
    sight = case.sight
    if sight.forwards or sight.losses or sight.steps or not case.ended or case.error is not None:
        return None
    return caution("nothing_seen", sentence("watch.nothing_seen"))


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
    if sight.steps or not sure or not all(map(sight.unmoved, sight.marked)):
        return None
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
    if not lost or sight.steps < SURE:
        return None
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


def no_zero_grad(case: Case) -> Verdict | None:
    """Gradients that are never cleared between steps."""
    clearing = case.sight.clearing
    if clearing.checked < SURE or clearing.uncleared < 0.9 * clearing.checked:
        return None
    numbers = {"uncleared": clearing.uncleared, "checked": clearing.checked}
    return problem("no_zero_grad", sentence("watch.no_zero_grad", **numbers), **numbers)


def not_finite(case: Case) -> Verdict | None:
    """NaN or infinity, with the first tensor that had it."""
    sight = case.sight
    if sight.trouble is None:
        sight.check_gradients()
    trouble = sight.trouble
    if trouble is None:
        return None
    advice = sentence("watch.look_there")
    if trouble.kind in ("input", "target"):
        advice = sentence("watch.clean_the_data")
    elif pace.above_limit(case) is not None:
        advice = sentence("watch.overflowed")
    elif pace.growth(case) > pace.GROWN:
        advice = sentence("watch.grew", times=rounded(pace.growth(case)))
    numbers = {"kind": trouble.kind, "tensor": trouble.name, "step": trouble.step}
    return problem("not_finite", sentence("watch.not_finite", where=trouble.words), advice, **numbers)


def zero_gradient(case: Case) -> Verdict | None:
    """Gradients that arrive and are all zero, though there is something left to lose."""
    sight = case.sight
    if sight.gradients.zero_steps < SURE or not sight.value > 1e-12:
        return None
    values = {"steps": sight.gradients.zero_steps, "loss": sight.value}
    return problem("zero_gradient", sentence("watch.zero_gradient", **values), **values)


def eval_mode(case: Case) -> Verdict | None:
    """``model.eval()`` in the middle of training, and no way back."""
    modes = case.sight.modes
    if not modes.training or modes.last < max(MANY // 2, 0.5 * modes.evaluating, 0.3 * modes.training):
        return None
    acting = any(
        "Dropout" in type(each).__name__ or "BatchNorm" in type(each).__name__ for each in case.sight.model.modules()
    )
    if not acting:
        return None
    values = {"training": modes.training, "last": modes.last}
    return caution("eval_mode", sentence("watch.eval_mode", **values), **values)


ORDER: tuple[Callable[[Case], Verdict | None], ...] = (
    wrong_type, broadcast, nothing_seen, no_backward, detached, unreached, no_step, cleared_too_soon, pace.lr_zero, no_zero_grad,
    pace.above_limit, not_finite, pace.dead_schedule, not_in_optimizer, no_gradient, zero_gradient, pace.lr_far_under,
    eval_mode, pace.no_signal, frozen_by_choice,
)  # fmt: skip
EFFECTS = {
    "integer_target": ("no_step", "no_backward"),
    "float_target": ("no_step", "no_backward"),
    "broadcast": ("no_signal", "above_limit"),
    "no_zero_grad": ("above_limit",),
    "cleared_too_soon": ("frozen", "zero_gradient", "no_signal", "lr_far_under"),
    "not_in_optimizer": ("no_signal", "lr_far_under"),
    "lr_zero": ("no_signal", "lr_far_under", "eval_mode"),
    "lr_far_under": ("no_signal",),
    "zero_gradient": ("no_signal", "lr_far_under"),
    "dead_schedule": ("no_signal", "lr_far_under"),
    "no_step": ("zero_gradient", "eval_mode"),
    "above_limit": ("no_signal",),
    "not_finite": ("no_signal", "zero_gradient"),
}
