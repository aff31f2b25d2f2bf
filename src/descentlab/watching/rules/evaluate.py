"""All rules of the watch, and their evaluation on one observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from descentlab.doctor.finding import Finding, Severity
from descentlab.messages import Message
from descentlab.watching.rules import (
    batch,
    by_hand,
    exceptions,
    gradient_flow,
    layers,
    learning_rate,
    loop_setup,
    loss_progress,
    model_form,
    settings,
)
from descentlab.watching.rules.learning_rate import MIN_STEPS_BASELINE, MIN_STEPS_FAST, MIN_STEPS_SLOW
from descentlab.watching.rules.observation import CERTAIN_STEPS, Observation
from descentlab.watching.rules.rule import Rule

CAUTION, FACT = Severity.CAUTION, Severity.FACT

STALLED = ("no_signal", "not_learning", "lr_far_under", "stopped_early")  # how a loop that cannot learn looks
UNITS = ("dead_units", "saturated", "vanishing_gradient", "zero_gradient")  # how its layers look
EFFECTS = (*STALLED, *UNITS, "above_limit", "model_form", "bad_start", "exploding", "imbalance")

# In the order of the report: causes before their effects.
RULES: tuple[Rule, ...] = (
    Rule("not_finite", loop_setup.detect_nonfinite_data, is_exclusive=True),
    Rule("integer_target", loop_setup.detect_integer_target, suppresses=("no_step", "no_backward")),
    Rule("float_target", loop_setup.detect_float_target, suppresses=("no_step", "no_backward")),
    Rule("output_form", loop_setup.detect_output_form, CAUTION,
         suppresses=(*EFFECTS, "not_finite", "overwritten", "loss_choice", "target_range", "data_scale"),
         why_unchecked=loop_setup.why_loss_unchecked),
    Rule("target_range", exceptions.detect_label_out_of_range, suppresses=("no_step", "no_backward")),
    Rule("output_form", exceptions.detect_missing_sigmoid, suppresses=("no_step", "no_backward")),
    Rule("small_batches", exceptions.detect_batch_norm_of_one_row, suppresses=("no_step", "no_backward")),
    Rule("ascent", by_hand.detect_ascent, CAUTION, suppresses=(*EFFECTS, "not_finite", "output_form"),
         min_steps=CERTAIN_STEPS),
    Rule("stale_graph", loop_setup.detect_stale_graph, suppresses=("no_step",)),
    Rule("broadcast", loop_setup.detect_broadcast, suppresses=(*EFFECTS, "data_scale"),
         why_unchecked=loop_setup.why_loss_unchecked),
    Rule("target_range", batch.detect_target_range, suppresses=(*EFFECTS, "not_finite"),
         why_unchecked=batch.why_batch_unchecked),
    Rule("nothing_seen", loop_setup.detect_loop_not_seen, CAUTION),
    Rule("no_backward", gradient_flow.detect_no_backward),
    Rule("frozen", gradient_flow.detect_loss_detached),
    Rule("frozen", gradient_flow.detect_gradient_never_arrives),
    Rule("frozen", settings.detect_model_replaced, CAUTION, suppresses=EFFECTS),
    Rule("no_step", gradient_flow.detect_no_step, suppresses=("zero_gradient", "eval_mode")),
    Rule("no_step", gradient_flow.detect_stepped_elsewhere, CAUTION, suppresses=("zero_gradient", "eval_mode")),
    Rule("cleared_too_soon", gradient_flow.detect_zero_grad_after_backward,
         suppresses=("frozen", "not_finite", *EFFECTS), min_steps=CERTAIN_STEPS),
    Rule("cleared_too_soon", settings.detect_discarded_gradients, CAUTION, suppresses=STALLED,
         min_steps=CERTAIN_STEPS),
    Rule("lr_zero", learning_rate.detect_lr_zero, suppresses=(*EFFECTS, "eval_mode", "loss_choice", "data_scale"),
         min_steps=MIN_STEPS_FAST),
    Rule("no_zero_grad", loop_setup.detect_no_zero_grad, suppresses=(*EFFECTS, "unusual_setting"),
         why_unchecked=loop_setup.why_zero_grad_unchecked),
    Rule("schedule_unmoved", settings.detect_schedule_unmoved, CAUTION, suppresses=EFFECTS, min_steps=MIN_STEPS_SLOW),
    Rule("dead_schedule", learning_rate.detect_schedule_decayed_too_early,
         suppresses=(*EFFECTS, "data_scale", "loss_choice"), min_steps=MIN_STEPS_SLOW),
    Rule("not_in_optimizer", model_form.detect_layers_made_in_forward, suppresses=EFFECTS, min_steps=CERTAIN_STEPS),
    Rule("not_in_optimizer", gradient_flow.detect_not_in_optimizer, suppresses=EFFECTS, min_steps=CERTAIN_STEPS),
    Rule("not_in_optimizer", gradient_flow.detect_unregistered, suppresses=EFFECTS),
    Rule("repeated_data", batch.detect_repeated_data, CAUTION,
         suppresses=("no_signal", "not_learning", "imbalance", "stopped_early"), min_steps=CERTAIN_STEPS),
    Rule("output_range", batch.detect_output_range,
         suppresses=(*EFFECTS, "data_scale", "loss_choice"), why_unchecked=loop_setup.why_loss_unchecked),
    Rule("loss_choice", batch.detect_regression_of_classes, CAUTION, suppresses=STALLED,
         why_unchecked=loop_setup.why_loss_unchecked),
    Rule("gradient_scale", settings.detect_gradient_scale, CAUTION, suppresses=EFFECTS, min_steps=CERTAIN_STEPS),
    Rule("overwritten", settings.detect_overwritten, CAUTION, suppresses=(*EFFECTS, "data_scale"),
         min_steps=CERTAIN_STEPS),
    Rule("half_precision", model_form.detect_half_precision, CAUTION, suppresses=STALLED),
    Rule("eval_mode", loop_setup.detect_left_in_eval_mode, CAUTION, min_steps=CERTAIN_STEPS),
    Rule("eval_mode", loop_setup.detect_never_in_train_mode, CAUTION),
    Rule("eval_mode", model_form.detect_part_in_eval_mode, CAUTION),
    Rule("unusual_setting", settings.detect_unusual_setting, CAUTION, suppresses=EFFECTS),
    Rule("unusual_setting", model_form.detect_high_dropout, CAUTION, suppresses=EFFECTS),
    Rule("weight_decay", learning_rate.detect_weight_decay_too_large, CAUTION, suppresses=(*STALLED, *UNITS),
         min_steps=MIN_STEPS_SLOW),
    Rule("group_rate", settings.detect_dead_group, CAUTION, suppresses=EFFECTS, min_steps=CERTAIN_STEPS),
    Rule("bad_start", layers.detect_symmetric_start, CAUTION, suppresses=(*STALLED, *UNITS, "model_form"),
         min_steps=CERTAIN_STEPS),
    Rule("exploding", layers.detect_exploding_states, CAUTION, suppresses=("bad_start", "above_limit", *STALLED),
         why_unchecked=layers.why_layers_unchecked),
    Rule("bad_start", layers.detect_start_of_wrong_size, CAUTION,
         suppresses=(*STALLED, *UNITS, "above_limit"), why_unchecked=layers.why_layers_unchecked),
    Rule("small_batches", model_form.detect_small_batches, CAUTION, suppresses=("not_learning", "no_signal")),
    Rule("data_scale", batch.detect_target_scale, CAUTION, suppresses=(*STALLED, "model_form")),
    Rule("data_scale", batch.detect_input_scale, CAUTION,
         suppresses=("no_signal", "not_learning", "lr_far_under", "stopped_early", "model_form")),
    Rule("above_limit", learning_rate.detect_lr_above_limit,
         suppresses=("no_signal", "dead_units", "saturated", "zero_gradient", "model_form", "exploding"),
         min_steps=MIN_STEPS_FAST, why_unchecked=learning_rate.why_limit_unchecked),
    Rule("above_limit", learning_rate.detect_limit_outgrown, suppresses=("no_signal",)),
    Rule("above_limit", learning_rate.detect_large_updates,
         suppresses=("no_signal", "dead_units", "saturated", "zero_gradient", "model_form")),
    Rule("not_finite", loop_setup.detect_nonfinite, suppresses=("no_signal", "zero_gradient", "dead_units")),
    Rule("dead_units", layers.detect_dead_units, suppresses=(*STALLED, "zero_gradient", "frozen", "model_form"),
         why_unchecked=layers.why_layers_unchecked),
    Rule("frozen", gradient_flow.detect_no_gradient, CAUTION, suppresses=("model_form",), min_steps=CERTAIN_STEPS),
    Rule("frozen", model_form.detect_random_frozen, CAUTION, suppresses=(*STALLED, "model_form")),
    Rule("vanishing_gradient", layers.detect_vanishing_gradient, CAUTION, suppresses=(*STALLED, "model_form"),
         why_unchecked=layers.why_layers_unchecked),
    Rule("saturated", layers.detect_saturated_units, CAUTION, suppresses=(*STALLED, "model_form"),
         why_unchecked=layers.why_layers_unchecked),
    Rule("zero_gradient", loop_setup.detect_zero_gradient, suppresses=("no_signal", "lr_far_under"),
         min_steps=CERTAIN_STEPS),
    Rule("lr_far_under", learning_rate.detect_lr_too_small, suppresses=("no_signal", "model_form", "stopped_early"),
         min_steps=MIN_STEPS_SLOW, why_unchecked=learning_rate.why_limit_unchecked),
    Rule("lr_far_under", learning_rate.detect_tiny_updates, suppresses=("no_signal", "model_form", "stopped_early")),
    Rule("model_form", model_form.detect_shared_layers, CAUTION, suppresses=("no_signal", "stopped_early")),
    Rule("model_form", model_form.detect_no_activation, CAUTION, suppresses=("no_signal", "stopped_early")),
    Rule("model_form", model_form.detect_bottleneck, CAUTION, suppresses=("no_signal",)),
    Rule("imbalance", batch.detect_imbalance, CAUTION, suppresses=("no_signal",),
         why_unchecked=batch.why_batch_unchecked),
    Rule("overfit", batch.detect_overfitting, CAUTION, why_unchecked=batch.why_overfitting_unchecked),
    Rule("no_signal", learning_rate.detect_no_better_than_baseline, CAUTION, min_steps=MIN_STEPS_BASELINE,
         why_unchecked=learning_rate.why_baseline_unchecked),
    Rule("stopped_early", batch.detect_stopped_early, CAUTION),
    Rule("frozen", gradient_flow.detect_frozen_parameters, FACT),
    Rule("repeated_data", batch.detect_constant_columns, FACT),
)  # fmt: skip
# The first that concludes leads a report in which no other rule found a problem or a caution.
FALLBACK_RULES: tuple[Rule, ...] = (
    Rule("update_by_hand", by_hand.detect_update_without_effect),
    Rule("raised", loss_progress.detect_raised_at_once),
    Rule("raised", loss_progress.detect_raised_later, CAUTION),
    Rule("not_learning", loss_progress.detect_not_learning, CAUTION, min_steps=MIN_STEPS_SLOW),
    Rule("not_enough_seen", loss_progress.detect_not_enough_seen, FACT),
    Rule("healthy", loss_progress.detect_healthy, FACT),
)


class Evaluation(NamedTuple):
    """The conclusions from one observation.

    Attributes:
        findings: causes before effects; ``healthy`` or ``not_learning`` leads where no rule found anything.
        passed: names of findings that were checked and not found.
        unchecked: why a check was not possible, by the name of its finding.
    """

    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    unchecked: Mapping[str, Message]


def evaluate_rules(observation: Observation) -> Evaluation:
    """Apply every rule once.

    >>> evaluation = evaluate_rules(Observation(steps=60, checked_steps=59, stale_steps=59))
    >>> [finding.name for finding in evaluation.findings]
    ['no_zero_grad']
    >>> "no_zero_grad" in evaluation.passed, "stale_graph" in evaluation.passed
    (False, True)
    """
    concluded = [(rule, finding) for rule in RULES if (finding := rule.evaluate(observation)) is not None]
    for rule, finding in concluded:
        if rule.is_exclusive:
            return Evaluation((finding,), (), {})
    concluded = _without_effects(concluded)
    findings = tuple(finding for _, finding in concluded)
    suppressed = {name for rule, _ in concluded for name in rule.suppresses} - {each.name for each in findings}
    considered = RULES
    if all(finding.severity is FACT for finding in findings):
        fallbacks = (rule.evaluate(observation) for rule in FALLBACK_RULES)
        findings = (next(filter(None, fallbacks)), *findings)
        considered += tuple(rule for rule in FALLBACK_RULES if rule.name == "not_learning")
    open_rules = [rule for rule in considered if rule.name not in suppressed | {each.name for each in findings}]
    reasons = ((rule.name, rule.reason_unchecked(observation)) for rule in open_rules)
    unchecked = {name: reason for name, reason in reasons if reason is not None}
    passed = dict.fromkeys(rule.name for rule in open_rules if rule.name not in unchecked)
    return Evaluation(findings, tuple(passed), unchecked)


def _without_effects(concluded: list[tuple[Rule, Finding]]) -> list[tuple[Rule, Finding]]:
    """Leave out what an earlier conclusion suppresses, and what is only another sentence of the same name."""
    kept: list[tuple[Rule, Finding]] = []
    for rule, finding in concluded:
        suppressed = {name for earlier, _ in kept for name in earlier.suppresses}
        if finding.name not in suppressed | {each.name for _, each in kept}:
            kept.append((rule, finding))
    return kept
