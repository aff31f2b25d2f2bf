"""Turns what a recorder holds into an observation of plain numbers. Everything that needs torch to be read is here."""

from __future__ import annotations

import math
from typing import Any

from descentlab.watching.recorder import LoopRecorder
from descentlab.watching.rules.observation import Observation


def observe(recorder: LoopRecorder, ended: bool = False, error: BaseException | None = None) -> Observation:
    """What a recorder has seen of its loop so far.

    Args:
        recorder: what the hooks report to. A gradient of the last step that is not finite is noted in it.
        ended: whether the loop has ended.
        error: the exception that ended it.
    """
    recorder.record_nonfinite_gradient()
    history, early, gradients = recorder.history, recorder.early_losses, recorder.gradients
    passes, clearing = recorder.train_eval_count, recorder.zero_grad_check
    optimizer, parameters = recorder.optimizer, list(recorder.model.parameters())
    decayed = max(optimizer.param_groups, key=lambda group: float(group.get("weight_decay", 0.0)))
    received = gradients.received_ids
    any_gradient = (
        recorder.gradient_arrived
        or bool(received)
        or any(each.grad is not None for each in (*parameters, *gradients.parameters))
    )
    # The first and the last parameter are compared with their start only where a rule asks for it.
    may_be_unchanged = not recorder.steps or not any_gradient
    unmoved, unregistered = _unmoved_params(recorder)
    optimized = [each for group in optimizer.param_groups for each in group["params"]]
    unreached = [each for each in optimized if each.requires_grad and id(each) not in received]
    diagnosis = None
    if early.linear_model is not None and recorder.same_batch_check.always_same and not gradients.modified_steps:
        diagnosis = early.linear_model.diagnose(optimizer, recorder.steps)
    gradient_norm, param_norm = gradients.scaled_norms() if history.measurements else (math.nan, math.nan)
    fixed_batch = recorder.curvature_probe.fixed_batch
    return Observation(
        model_class=type(recorder.model).__name__,
        optimizer_class=type(optimizer).__name__,
        ended=ended,
        error=None if error is None else type(error).__name__,
        runtime_error=str(error) if isinstance(error, RuntimeError) else "",
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
        last_loss=recorder.last_loss,
        current_lrs=tuple(float(group.get("lr", math.nan)) for group in optimizer.param_groups),
        measurements=tuple(history.measurements),
        lr_ratios=tuple(history.lr_ratios),
        curvature_error=_first_line(recorder.curvature_probe.unavailable_reason),
        loss_is_detached=recorder.loss_is_detached,
        any_gradient=any_gradient,
        optimizer_gradient=bool(received),
        has_unused_gradient=clearing.has_new_gradient,
        sampled_params_unchanged=may_be_unchanged and all(map(recorder.is_unchanged, recorder.sampled_params)),
        n_trainable=sum(each.requires_grad for each in parameters),
        n_optimized=len(optimized),
        frozen_params=_quoted_names(recorder, [each for each in parameters if not each.requires_grad]),
        unmoved_params=unmoved,
        unregistered_params=unregistered,
        params_without_gradient=_quoted_names(recorder, unreached),
        checked_steps=clearing.checked_steps,
        stale_steps=clearing.stale_steps,
        cleared_too_early_steps=clearing.cleared_too_early_steps,
        compared_steps=gradients.compared_steps,
        modified_steps=gradients.modified_steps,
        consecutive_zero_steps=gradients.consecutive_zero_steps,
        gradient_norm=gradient_norm,
        param_norm=param_norm,
        nonfinite=recorder.nonfinite,
        loss_graph_seen=early.graph.includes_output,
        broadcast_shape=early.graph.broadcast_shape,
        output_defect=early.output_defect,
        baseline_loss=early.targets.baseline_loss(early.loss_over_mse or 1.0),
        always_same_batch=recorder.same_batch_check.always_same,
        input_rms=early.input_rms,
        output_rms=early.output_rms,
        target_rms=early.targets.rms(),
        weight_decay=float(decayed.get("weight_decay", 0.0)),
        weight_decay_lr=float(decayed.get("lr", 0.0)),
        weight_decay_decoupled=bool(decayed.get("decoupled_weight_decay", False)),
        is_exact=diagnosis is not None,
        exact_lr_ratio=None if diagnosis is None else diagnosis.lr_ratio,
        exact_lr_bound=None if diagnosis is None else diagnosis.lr_bound,
        diagnosis=diagnosis,
        uses_randomness=recorder.uses_randomness,
        fixed_batch_rows=None if fixed_batch is None else fixed_batch.n_rows or 1,
        fixed_batch_in_eval_mode=fixed_batch is not None and fixed_batch.used_eval_mode,
        internal_error=None
        if recorder.internal_error is None
        else f"{type(recorder.internal_error).__name__}: {recorder.internal_error}",
    )


def _quoted_names(recorder: LoopRecorder, parameters: list[Any]) -> tuple[str, ...]:
    """Names of parameters, in backticks."""
    return tuple(f"`{recorder.param_names.get(id(each), '?')}`" for each in parameters)


def _unmoved_params(recorder: LoopRecorder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of unchanged parameters that the optimizer does not contain: of the model, and of layers in a list."""
    known = [each for each in recorder.params_missing_from_optimizer() if id(each) in recorder.initial_values]
    unmoved = [each for each in known if recorder.is_unchanged(each)]
    unregistered_ids = set(map(id, recorder.unregistered.values()))
    of_model = [each for each in unmoved if id(each) not in unregistered_ids]
    in_a_list = [each for each in unmoved if id(each) in unregistered_ids and each.grad is not None]
    return _quoted_names(recorder, of_model), _quoted_names(recorder, in_a_list)


def _has_mode_dependent_layers(model: Any) -> bool:
    """Whether the model has layers that do something else in training."""
    class_names = [type(each).__name__ for each in model.modules() if getattr(each, "p", 1)]
    return any("Dropout" in name or "BatchNorm" in name for name in class_names)


def _first_line(error: Exception | None) -> str | None:
    return None if error is None else str(error).partition("\n")[0].strip() or type(error).__name__
