"""Turns the state of a recorder into an observation of plain numbers, so that rules need no tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from descentlab.watching.by_hand import UpdatesByHand
from descentlab.watching.inspect.raising_module import find_raising_module
from descentlab.watching.inspect.replaced_parameter import find_replaced_parameter
from descentlab.watching.recorder import LoopRecorder
from descentlab.watching.rules.observation import Observation
from descentlab.watching.sampling.model_facts import describe_model, describe_settings
from descentlab.watching.sampling.summary import batch_record, layer_records, param_records


def observe(recorder: LoopRecorder, ended: bool = False, error: BaseException | None = None) -> Observation:
    """Make an observation of the loop so far.

    Args:
        recorder: of the loop. A gradient of the last step that is not finite is noted in it.
        ended: whether the loop has ended.
        error: the exception that ended it.
    """
    recorder.record_nonfinite_gradient()
    history, passes = recorder.history, recorder.train_eval_count
    fixed_batch, failure = recorder.curvature_probe.fixed_batch, recorder.internal_error
    return Observation(
        model_class=type(recorder.model).__name__,
        optimizer_class=type(recorder.optimizer).__name__,
        updates_by_hand=isinstance(recorder.optimizer, UpdatesByHand),
        ended=ended,
        error=None if error is None else type(error).__name__,
        runtime_error=str(error) if isinstance(error, RuntimeError) else "",
        error_text=(_first_line(error) or "").rstrip("."),
        raising_module=find_raising_module(error, recorder.model),
        replaced_parameter=find_replaced_parameter(error, recorder.model),
        steps=recorder.steps,
        forward_passes=recorder.forward_passes,
        backward_passes=recorder.backward_passes,
        backward_calls=recorder.backward_calls,
        train_passes=passes.train_passes,
        eval_passes=passes.eval_passes,
        consecutive_eval_passes=passes.consecutive_eval_passes,
        has_mode_dependent_layers=_has_mode_dependent_layers(recorder.model),
        loss=history.loss,
        lr=history.lr,
        stride=history.stride,
        measurements=tuple(history.measurements),
        lr_ratios=tuple(history.lr_ratios),
        curvature_error=_first_line(recorder.curvature_probe.unavailable_reason),
        nonfinite=recorder.nonfinite,
        uses_randomness=recorder.uses_randomness,
        fixed_batch_rows=None if fixed_batch is None else fixed_batch.n_rows or 1,
        fixed_batch_in_eval_mode=fixed_batch is not None and fixed_batch.used_eval_mode,
        internal_error=None if failure is None else f"{type(failure).__name__}: {failure}",
        **_loss_fields(recorder),
        **_parameter_fields(recorder),
        **_gradient_fields(recorder),
        **_theory_fields(recorder),
        **_sampled_fields(recorder),
    )


def _loss_fields(recorder: LoopRecorder) -> dict[str, Any]:
    early = recorder.early_losses
    return {
        "last_loss": recorder.last_loss,
        "loss_is_detached": recorder.loss_is_detached,
        "loss_graph_seen": early.graph.includes_output,
        "broadcast_shape": early.graph.broadcast_shape,
        "expanded_shapes": early.graph.expanded_shapes,
        "output_defect": early.output_defect or ("negated" if _is_negated(recorder) else None),
        "has_log_of_softmax": recorder.sampler.has_log_of_softmax,
        "has_learned_loss": recorder.sampler.has_learned_loss,
        "baseline_loss": early.targets.baseline_loss(early.loss_over_mse or 1.0),
        "always_same_batch": recorder.same_batch_check.always_same,
        "input_rms": early.input_rms,
        "output_rms": early.output_rms,
        "target_rms": early.targets.rms(),
    }


def _has_closure(recorder: LoopRecorder) -> bool:
    """Whether the optimizer itself calls for several passes a step."""
    return type(recorder.optimizer).__name__ == "LBFGS"


def _is_negated(recorder: LoopRecorder) -> bool:
    """Whether every sampled loss enters with a minus sign."""
    sampler = recorder.sampler
    return 0 < len(sampler.batches) == sampler.negated_passes


def _parameter_fields(recorder: LoopRecorder) -> dict[str, Any]:
    groups, received = recorder.optimizer.param_groups, recorder.gradients.received_ids
    decayed = max(groups, key=lambda group: float(group.get("weight_decay", 0.0)))
    parameters = list(recorder.model.parameters())
    optimized = [each for group in groups for each in group["params"]]
    unmoved, unregistered = _unmoved_params(recorder)
    return {
        "current_lrs": tuple(float(group.get("lr", math.nan)) for group in groups),
        "weight_decay": float(decayed.get("weight_decay", 0.0)),
        "weight_decay_lr": float(decayed.get("lr", 0.0)),
        "weight_decay_decoupled": bool(decayed.get("decoupled_weight_decay", False)),
        "n_trainable": sum(each.requires_grad for each in parameters),
        "n_optimized": len(optimized),
        "frozen_params": _quoted_names(recorder, (each for each in parameters if not each.requires_grad)),
        "unmoved_params": unmoved,
        "unregistered_params": unregistered,
        "params_without_gradient": _quoted_names(
            recorder, (each for each in optimized if each.requires_grad and id(each) not in received)
        ),
    }


def _gradient_fields(recorder: LoopRecorder) -> dict[str, Any]:
    gradients, clearing = recorder.gradients, recorder.zero_grad_check
    received = bool(gradients.received_ids)
    known = (*recorder.model.parameters(), *gradients.parameters)
    any_gradient = recorder.gradient_arrived or received or any(each.grad is not None for each in known)
    # Parameters are compared with their start only where a rule uses the answer: it may wait for the device.
    may_be_unchanged = not recorder.steps or not any_gradient
    has_measurement = bool(recorder.history.measurements)
    gradient_norm, param_norm = gradients.scaled_norms() if has_measurement else (math.nan, math.nan)
    return {
        "any_gradient": any_gradient,
        "optimizer_gradient": received,
        "has_unused_gradient": clearing.has_new_gradient,
        "sampled_params_unchanged": may_be_unchanged and all(map(recorder.is_unchanged, recorder.sampled_params)),
        "checked_steps": clearing.checked_steps,
        "stale_steps": clearing.stale_steps,
        "cleared_too_early_steps": clearing.cleared_too_early_steps,
        "arrived_steps": clearing.arrived_steps,
        "compared_steps": gradients.compared_steps,
        "modified_steps": gradients.modified_steps,
        "consecutive_zero_steps": gradients.consecutive_zero_steps,
        "gradient_norm": gradient_norm,
        "param_norm": param_norm,
    }


def _theory_fields(recorder: LoopRecorder) -> dict[str, Any]:
    linear_model = recorder.early_losses.linear_model
    if linear_model is None or not recorder.same_batch_check.always_same or recorder.gradients.modified_steps:
        return {}
    diagnosis = linear_model.diagnose(recorder.optimizer, recorder.steps)
    if diagnosis is None:
        return {}
    return {"diagnosis": diagnosis, "exact_lr_ratio": diagnosis.lr_ratio, "exact_lr_bound": diagnosis.lr_bound,
            "is_exact": True}  # fmt: skip


def _sampled_fields(recorder: LoopRecorder) -> dict[str, Any]:
    sampler, clearing = recorder.sampler, recorder.zero_grad_check
    overwrites = sampler.overwrites
    return {
        "layers": layer_records(sampler),
        "params": param_records(sampler, recorder.param_names, recorder.model),
        "batch": batch_record(sampler.batches),
        "model": describe_model(recorder.model, sampler),
        "settings": describe_settings(recorder.optimizer),
        "overwrite_checks": overwrites.n_compared,
        "overwrites": overwrites.n_changed,
        "undone_overwrites": overwrites.n_undone,
        "first_overwrite": overwrites.first_step or 0,
        "random_passes": sampler.random_passes,
        "same_random_passes": sampler.same_random_passes,
        "loader_rows": max(sampler.loader_rows, 0),
        "loss_scale": recorder.loss_scale,
        "kept_shares": tuple(recorder.gradients.kept_shares),
        "used_norms": tuple(map(float, sampler.parameters.used_norms)),
        "discarded_passes": clearing.discarded_passes,
        "discarding_steps": 0 if _has_closure(recorder) else clearing.discarding_steps,
        "counted_passes": clearing.counted_passes,
        "steps_without_pass": recorder.steps_without_pass,
        "validation": tuple(sampler.validation.losses),
    }


def _quoted_names(recorder: LoopRecorder, parameters: Iterable[Any]) -> tuple[str, ...]:
    """Names of parameters, in backticks."""
    return tuple(f"`{recorder.param_names.get(id(each), '?')}`" for each in parameters)


def _unmoved_params(recorder: LoopRecorder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of unchanged parameters that the optimizer does not contain: of the model, and of layers in a list."""
    known = [each for each in recorder.params_missing_from_optimizer() if id(each) in recorder.initial_values]
    known = [each for each in known if each.grad is not None or id(each) not in recorder.frozen_at_start]
    unmoved = [each for each in known if recorder.is_unchanged(each)]
    unregistered_ids = set(map(id, recorder.unregistered.values()))
    of_model = [each for each in unmoved if id(each) not in unregistered_ids]
    in_a_list = [each for each in unmoved if id(each) in unregistered_ids and each.grad is not None]
    return _quoted_names(recorder, of_model), _quoted_names(recorder, in_a_list)


def _has_mode_dependent_layers(model: Any) -> bool:
    """Whether the model has layers that do something else in training."""
    class_names = [type(each).__name__ for each in model.modules() if getattr(each, "p", 1)]
    return any("Dropout" in name or "BatchNorm" in name for name in class_names)


def _first_line(error: BaseException | None) -> str | None:
    return None if error is None else str(error).partition("\n")[0].strip() or type(error).__name__
