"""The judge of watched loops: mistakes in how a loop is put together, and causes before their effects."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from descentlab.messages import format_rounded, message
from descentlab.watching.rules import gradient_flow, learning_rate, loss_progress
from descentlab.watching.rules.gradient_flow import CERTAIN_PASSES, CERTAIN_STEPS
from descentlab.watching.verdict import WatchFinding, caution_finding, problem_finding

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.watching.recorder import LoopRecorder

FLOAT_TARGET_ERROR = re.compile(
    r"cast to the desired output type (Long|Int|Bool)|Found dtype (Long|Int|Bool) but expected"
    r"|`-` operator, with a bool tensor"
)
STALE_GRAPH_ERROR = re.compile(r"modified by an inplace operation|backward through the graph a second time")
CLASS_TARGET_ERROR = re.compile(r"expected (target dtype to be|scalar type) Long")


@dataclass(frozen=True, eq=False)
class Observation:
    """One loop to be judged: what was seen of it, whether it has ended, and with which exception."""

    recorder: LoopRecorder
    ended: bool = False
    error: BaseException | None = None

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """What theory says, where it is exact: one linear hypothesis, squared errors, always the same batch."""
        recorder = self.recorder
        if (
            recorder.early_losses.linear_model is None
            or not recorder.same_batch_check.always_same
            or recorder.gradients.modified_steps
        ):
            return None
        return recorder.early_losses.linear_model.diagnose(recorder.optimizer, recorder.steps)

    def quoted_param_names(self, parameters: list[Any]) -> tuple[str, ...]:
        """Parameters by name, in backticks."""
        return tuple(f"`{self.recorder.param_names.get(id(each), '?')}`" for each in parameters)


def evaluate_rules(observation: Observation) -> tuple[WatchFinding, ...]:
    """Every verdict, causes before effects; ``progress_finding`` alone where nothing is wrong."""
    findings = [finding for rule in WATCH_RULES if (finding := rule(observation)) is not None]
    nonfinite = tuple(each for each in findings if each.name == "not_finite")
    if nonfinite and nonfinite[0].numbers["kind"] in ("input", "target"):
        return nonfinite
    reported = _drop_consequences(findings)
    return (
        reported
        if any(each.severity != "fact" for each in reported)
        else (loss_progress.progress_finding(observation), *reported)
    )


def _drop_consequences(findings: list[WatchFinding]) -> tuple[WatchFinding, ...]:
    """What follows from a cause that was named is not a mistake of its own."""
    names = {each.name for each in findings}
    suppressed = {effect for cause, effects in SUPPRESSED_FINDINGS.items() if cause in names for effect in effects}
    return tuple(each for each in findings if each.name not in suppressed)


def detect_wrong_target_dtype(observation: Observation) -> WatchFinding | None:
    """Targets that the loss cannot take: whole numbers where it wants fractions, or the other way round."""
    error_text = str(observation.error) if isinstance(observation.error, RuntimeError) else ""
    if FLOAT_TARGET_ERROR.search(error_text):
        return problem_finding("integer_target", message("watch.integer_target", message=error_text))
    if CLASS_TARGET_ERROR.search(error_text):
        return problem_finding("float_target", message("watch.float_target", message=error_text))
    return None


def detect_stale_graph(observation: Observation) -> WatchFinding | None:
    """A loss whose graph reaches into an earlier step's, which has been freed or overwritten since."""
    error_text = str(observation.error) if isinstance(observation.error, RuntimeError) else ""
    return (
        problem_finding("stale_graph", message("watch.stale_graph")) if STALE_GRAPH_ERROR.search(error_text) else None
    )


def detect_output_form(observation: Observation) -> WatchFinding | None:
    """Outputs in a form that the loss does not take."""
    messages_by_defect = {
        "softmax_twice": message("watch.softmax_twice"),
        "sigmoid_twice": message("watch.sigmoid_twice"),
        "not_logarithms": message("watch.not_logarithms"),
        "softmax_of_one": message("watch.softmax_of_one"),
        "softmax_over_rows": message("watch.softmax_over_rows"),
        "negated": message("watch.negated"),
        "swapped": message("watch.swapped"),
    }
    defect = observation.recorder.early_losses.output_defect
    return None if defect is None else caution_finding("output_form", messages_by_defect[defect], form=defect)


def detect_broadcast(observation: Observation) -> WatchFinding | None:
    """(N,) against (N, 1)."""
    shape = observation.recorder.early_losses.graph.broadcast_shape
    if shape is None:
        return None
    return problem_finding(
        "broadcast", message("watch.broadcast", n=shape[0], pairs=shape[0] * shape[1]), rows=shape[0]
    )


def detect_loop_not_seen(observation: Observation) -> WatchFinding | None:
    """A loop that never touched what is watched."""
    recorder = observation.recorder
    if (
        recorder.forward_passes
        or recorder.backward_calls
        or recorder.steps
        or not observation.ended
        or observation.error is not None
    ):
        return None
    return caution_finding("nothing_seen", message("watch.nothing_seen"))


def detect_no_zero_grad(observation: Observation) -> WatchFinding | None:
    """Gradients that are never cleared between steps."""
    check = observation.recorder.zero_grad_check
    if check.checked_steps < CERTAIN_STEPS or check.stale_steps < 0.9 * check.checked_steps:
        return None
    numbers = {"uncleared": check.stale_steps, "checked": check.checked_steps}
    return problem_finding("no_zero_grad", message("watch.no_zero_grad", **numbers), **numbers)


def detect_nonfinite(observation: Observation) -> WatchFinding | None:
    """NaN or infinity, with the first tensor that had it."""
    recorder = observation.recorder
    if recorder.nonfinite is None:
        recorder.record_nonfinite_gradient()
    origin = recorder.nonfinite
    if origin is None:
        return None
    advice = message("watch.look_there")
    if origin.where in ("input", "target"):
        advice = message("watch.clean_the_data")
    elif learning_rate.detect_lr_above_limit(observation) is not None:
        advice = message("watch.overflowed")
    elif learning_rate.loss_over_minimum(observation) > learning_rate.BLOWN_UP_RATIO:
        advice = message("watch.grew", times=format_rounded(learning_rate.loss_over_minimum(observation)))
    numbers = {"kind": origin.where, "tensor": origin.name, "step": origin.step}
    return problem_finding("not_finite", message("watch.not_finite", where=origin.location_message), advice, **numbers)


def detect_zero_gradient(observation: Observation) -> WatchFinding | None:
    """Gradients that arrive and are all zero, though there is something left to lose."""
    recorder = observation.recorder
    if recorder.gradients.consecutive_zero_steps < CERTAIN_STEPS or not recorder.last_loss > 1e-12:
        return None
    values = {"steps": recorder.gradients.consecutive_zero_steps, "loss": recorder.last_loss}
    return problem_finding("zero_gradient", message("watch.zero_gradient", **values), **values)


def detect_eval_mode(observation: Observation) -> WatchFinding | None:
    """``model.eval()`` in the middle of training, and no way back."""
    passes = observation.recorder.train_eval_count
    if not passes.train_passes:
        return _detect_never_in_train_mode(observation)
    if passes.consecutive_eval_passes < max(CERTAIN_PASSES // 2, 0.5 * passes.eval_passes, 0.3 * passes.train_passes):
        return None
    mode_matters = _has_mode_dependent_layers(observation)
    if not mode_matters:
        return None
    values = {"training": passes.train_passes, "last": passes.consecutive_eval_passes}
    return caution_finding("eval_mode", message("watch.eval_mode", **values), **values)


def _detect_never_in_train_mode(observation: Observation) -> WatchFinding | None:
    """``model.eval()`` before the loop, as models come from where they were saved for use."""
    passes = observation.recorder.train_eval_count.eval_passes
    if passes < CERTAIN_STEPS or not _has_mode_dependent_layers(observation):
        return None
    return caution_finding("eval_mode", message("watch.never_training", passes=passes), passes=passes)


def _has_mode_dependent_layers(observation: Observation) -> bool:
    """Whether the model has layers that do something else in training."""
    class_names = [type(each).__name__ for each in observation.recorder.model.modules() if getattr(each, "p", 1)]
    return any("Dropout" in kind or "BatchNorm" in kind for kind in class_names)


WATCH_RULES: tuple[Callable[[Observation], WatchFinding | None], ...] = (
    detect_wrong_target_dtype, detect_stale_graph, detect_broadcast, detect_output_form, detect_loop_not_seen,
    gradient_flow.detect_no_backward, gradient_flow.detect_loss_detached,
    gradient_flow.detect_gradient_never_arrives, gradient_flow.detect_no_step,
    gradient_flow.detect_zero_grad_after_backward, learning_rate.detect_lr_zero, detect_no_zero_grad,
    learning_rate.detect_lr_above_limit, detect_nonfinite, learning_rate.detect_schedule_decayed_too_early,
    gradient_flow.detect_not_in_optimizer,
    gradient_flow.detect_no_gradient, detect_zero_gradient, learning_rate.detect_lr_too_small, detect_eval_mode,
    learning_rate.detect_weight_decay_too_large,
    learning_rate.detect_no_better_than_baseline, gradient_flow.detect_frozen_parameters,
)  # fmt: skip
SUPPRESSED_FINDINGS = {
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
