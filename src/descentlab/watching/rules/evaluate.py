"""All rules of the watch, and their evaluation on one observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from descentlab.doctor.finding import Finding, Severity
from descentlab.messages import Message
from descentlab.watching.rules import gradient_flow, learning_rate, loop_setup, loss_progress
from descentlab.watching.rules.learning_rate import MIN_STEPS_BASELINE, MIN_STEPS_FAST, MIN_STEPS_SLOW
from descentlab.watching.rules.observation import CERTAIN_STEPS, Observation
from descentlab.watching.rules.rule import Rule

CAUTION, FACT = Severity.CAUTION, Severity.FACT

# In the order of the report: causes before their effects.
RULES: tuple[Rule, ...] = (
    Rule("not_finite", loop_setup.detect_nonfinite_data, is_exclusive=True),
    Rule("integer_target", loop_setup.detect_integer_target, suppresses=("no_step", "no_backward")),
    Rule("float_target", loop_setup.detect_float_target, suppresses=("no_step", "no_backward")),
    Rule("stale_graph", loop_setup.detect_stale_graph, suppresses=("no_step",)),
    Rule("broadcast", loop_setup.detect_broadcast, suppresses=("no_signal", "above_limit"),
         why_unchecked=loop_setup.why_loss_unchecked),
    Rule("output_form", loop_setup.detect_output_form, CAUTION,
         suppresses=("no_signal", "not_finite", "zero_gradient", "lr_far_under"),
         why_unchecked=loop_setup.why_loss_unchecked),
    Rule("nothing_seen", loop_setup.detect_loop_not_seen, CAUTION),
    Rule("no_backward", gradient_flow.detect_no_backward),
    Rule("frozen", gradient_flow.detect_loss_detached),
    Rule("frozen", gradient_flow.detect_gradient_never_arrives),
    Rule("no_step", gradient_flow.detect_no_step, suppresses=("zero_gradient", "eval_mode")),
    Rule("no_step", gradient_flow.detect_stepped_elsewhere, CAUTION, suppresses=("zero_gradient", "eval_mode")),
    Rule("cleared_too_soon", gradient_flow.detect_zero_grad_after_backward,
         suppresses=("frozen", "zero_gradient", "no_signal", "lr_far_under"), min_steps=CERTAIN_STEPS),
    Rule("lr_zero", learning_rate.detect_lr_zero, suppresses=("no_signal", "lr_far_under", "eval_mode"),
         min_steps=MIN_STEPS_FAST),
    Rule("no_zero_grad", loop_setup.detect_no_zero_grad, suppresses=("above_limit",),
         why_unchecked=loop_setup.why_zero_grad_unchecked),
    Rule("above_limit", learning_rate.detect_lr_above_limit, suppresses=("no_signal",), min_steps=MIN_STEPS_FAST,
         why_unchecked=learning_rate.why_limit_unchecked),
    Rule("above_limit", learning_rate.detect_limit_outgrown, suppresses=("no_signal",)),
    Rule("not_finite", loop_setup.detect_nonfinite, suppresses=("no_signal", "zero_gradient")),
    Rule("dead_schedule", learning_rate.detect_schedule_decayed_too_early, suppresses=("no_signal", "lr_far_under"),
         min_steps=MIN_STEPS_SLOW),
    Rule("not_in_optimizer", gradient_flow.detect_not_in_optimizer, suppresses=("no_signal", "lr_far_under"),
         min_steps=CERTAIN_STEPS),
    Rule("not_in_optimizer", gradient_flow.detect_unregistered, suppresses=("no_signal", "lr_far_under")),
    Rule("frozen", gradient_flow.detect_no_gradient, CAUTION, min_steps=CERTAIN_STEPS),
    Rule("zero_gradient", loop_setup.detect_zero_gradient, suppresses=("no_signal", "lr_far_under"),
         min_steps=CERTAIN_STEPS),
    Rule("lr_far_under", learning_rate.detect_lr_too_small, suppresses=("no_signal",), min_steps=MIN_STEPS_SLOW,
         why_unchecked=learning_rate.why_limit_unchecked),
    Rule("eval_mode", loop_setup.detect_left_in_eval_mode, CAUTION, min_steps=CERTAIN_STEPS),
    Rule("eval_mode", loop_setup.detect_never_in_train_mode, CAUTION),
    Rule("weight_decay", learning_rate.detect_weight_decay_too_large, CAUTION, suppresses=("no_signal",),
         min_steps=MIN_STEPS_SLOW),
    Rule("no_signal", learning_rate.detect_no_better_than_baseline, CAUTION, min_steps=MIN_STEPS_BASELINE,
         why_unchecked=learning_rate.why_baseline_unchecked),
    Rule("frozen", gradient_flow.detect_frozen_parameters, FACT),
)  # fmt: skip
# The first that concludes leads a report in which no other rule found a problem or a caution.
FALLBACK_RULES: tuple[Rule, ...] = (
    Rule("raised", loss_progress.detect_raised_at_once),
    Rule("raised", loss_progress.detect_raised_later, CAUTION),
    Rule("not_learning", loss_progress.detect_not_learning, CAUTION, min_steps=MIN_STEPS_SLOW),
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
    suppressed = {name for rule, _ in concluded for name in rule.suppresses}
    findings = tuple(finding for _, finding in concluded if finding.name not in suppressed)
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
