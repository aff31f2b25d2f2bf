"""The judge of watched loops: mistakes in how a loop is put together, and causes before their effects."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from descentlab.messages import rounded, sentence
from descentlab.watching.rules import gradient_flow, learning_rate, loss_progress
from descentlab.watching.rules.gradient_flow import MANY, SURE
from descentlab.watching.verdict import Verdict, caution, problem

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.watching.recorder import Sight

WANTS_FLOAT = re.compile(
    r"cast to the desired output type (Long|Int|Bool)|Found dtype (Long|Int|Bool) but expected"
    r"|`-` operator, with a bool tensor"
)
STALE = re.compile(r"modified by an inplace operation|backward through the graph a second time")
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
        if sight.study.linear is None or not sight.sameness.always or sight.gradients.altered:
            return None
        return sight.study.linear.diagnose(sight.optimizer, sight.steps)

    def names(self, parameters: list[Any]) -> tuple[str, ...]:
        """Parameters by name, in backticks."""
        return tuple(f"`{self.sight.names.get(id(each), '?')}`" for each in parameters)


def judge(case: Case) -> tuple[Verdict, ...]:
    """Every verdict, causes before effects; ``healthy`` alone where nothing is wrong."""
    found = [verdict for rule in ORDER if (verdict := rule(case)) is not None]
    broken = tuple(each for each in found if each.name == "not_finite")
    if broken and broken[0].numbers["kind"] in ("input", "target"):
        return broken
    kept = _without_consequences(found)
    return kept if any(each.level != "fact" for each in kept) else (loss_progress.healthy(case), *kept)


def _without_consequences(found: list[Verdict]) -> tuple[Verdict, ...]:
    """What follows from a cause that was named is not a mistake of its own."""
    names = {each.name for each in found}
    silent = {effect for cause, effects in EFFECTS.items() if cause in names for effect in effects}
    return tuple(each for each in found if each.name not in silent)


def wrong_type(case: Case) -> Verdict | None:
    """Targets that the loss cannot take: whole numbers where it wants fractions, or the other way round."""
    words = str(case.error) if isinstance(case.error, RuntimeError) else ""
    if WANTS_FLOAT.search(words):
        return problem("integer_target", sentence("watch.integer_target", message=words))
    if WANTS_CLASSES.search(words):
        return problem("float_target", sentence("watch.float_target", message=words))
    return None


def stale_graph(case: Case) -> Verdict | None:
    """A loss whose graph reaches into an earlier step's, which has been freed or overwritten since."""
    words = str(case.error) if isinstance(case.error, RuntimeError) else ""
    return problem("stale_graph", sentence("watch.stale_graph")) if STALE.search(words) else None


def output_form(case: Case) -> Verdict | None:
    """Outputs in a form that the loss does not take."""
    words = {
        "softmax_twice": sentence("watch.softmax_twice"),
        "sigmoid_twice": sentence("watch.sigmoid_twice"),
        "not_logarithms": sentence("watch.not_logarithms"),
        "softmax_of_one": sentence("watch.softmax_of_one"),
        "softmax_over_rows": sentence("watch.softmax_over_rows"),
        "negated": sentence("watch.negated"),
        "swapped": sentence("watch.swapped"),
    }
    form = case.sight.study.form
    return None if form is None else caution("output_form", words[form], form=form)


def broadcast(case: Case) -> Verdict | None:
    """(N,) against (N, 1)."""
    wide = case.sight.study.found.wide
    if wide is None:
        return None
    return problem("broadcast", sentence("watch.broadcast", n=wide[0], pairs=wide[0] * wide[1]), rows=wide[0])


def nothing_seen(case: Case) -> Verdict | None:
    """A loop that never touched what is watched."""
    sight = case.sight
    if sight.forwards or sight.losses or sight.steps or not case.ended or case.error is not None:
        return None
    return caution("nothing_seen", sentence("watch.nothing_seen"))


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
    elif learning_rate.above_limit(case) is not None:
        advice = sentence("watch.overflowed")
    elif learning_rate.growth(case) > learning_rate.GROWN:
        advice = sentence("watch.grew", times=rounded(learning_rate.growth(case)))
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
    if not modes.training:
        return _never_training(case)
    if modes.last < max(MANY // 2, 0.5 * modes.evaluating, 0.3 * modes.training):
        return None
    acting = _acting(case)
    if not acting:
        return None
    values = {"training": modes.training, "last": modes.last}
    return caution("eval_mode", sentence("watch.eval_mode", **values), **values)


def _never_training(case: Case) -> Verdict | None:
    """``model.eval()`` before the loop, as models come from where they were saved for use."""
    passes = case.sight.modes.evaluating
    if passes < SURE or not _acting(case):
        return None
    return caution("eval_mode", sentence("watch.never_training", passes=passes), passes=passes)


def _acting(case: Case) -> bool:
    """Whether the model has layers that do something else in training."""
    kinds = [type(each).__name__ for each in case.sight.model.modules() if getattr(each, "p", 1)]
    return any("Dropout" in kind or "BatchNorm" in kind for kind in kinds)


ORDER: tuple[Callable[[Case], Verdict | None], ...] = (
    wrong_type, stale_graph, broadcast, output_form, nothing_seen, gradient_flow.no_backward, gradient_flow.detached,
    gradient_flow.unreached, gradient_flow.no_step, gradient_flow.cleared_too_soon, learning_rate.lr_zero, no_zero_grad,
    learning_rate.above_limit, not_finite, learning_rate.dead_schedule, gradient_flow.not_in_optimizer,
    gradient_flow.no_gradient, zero_gradient, learning_rate.lr_far_under, eval_mode, learning_rate.heavy_decay,
    learning_rate.no_signal, gradient_flow.frozen_by_choice,
)  # fmt: skip
EFFECTS = {
    "integer_target": ("no_step", "no_backward"),
    "float_target": ("no_step", "no_backward"),
    "broadcast": ("no_signal", "above_limit"),
    "stale_graph": ("no_step",),
    "output_form": ("no_signal", "not_finite", "zero_gradient", "lr_far_under"),
    "weight_decay": ("no_signal",),
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
