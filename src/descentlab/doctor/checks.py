"""Two lists that tell a reader how far a diagnosis goes: what was checked and is fine, and what could not be checked.

A check is fine where it applies and none of its findings was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from descentlab.doctor.finding import Finding, Severity
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.run_context import RunContext
from descentlab.messages import Message, message, pluralize
from descentlab.problem.problem import Problem


class Check(NamedTuple):
    """One check: the message of that name says that it is fine.

    Attributes:
        name: the key of its message, after ``checked.``.
        findings: the findings that say that it is not fine.
        applies: whether it is made for such a descent and such data.
    """

    name: str
    findings: tuple[str, ...]
    applies: Callable[[RunContext], bool]


def _problem(context: RunContext) -> Problem:
    return context.theory.problem


def _n_features(context: RunContext) -> int:
    return len(_problem(context).features)


def _is_below_bound(context: RunContext) -> bool:
    descent, theory = context.theory.descent, context.theory
    is_bounded = descent.is_sgd and theory.is_exact and descent.batch_size is None and descent.schedule is None
    return is_bounded and descent.effective_momentum < 1 and descent.lr < theory.lr_bound


CHECKS = (
    Check("bound", (), _is_below_bound),
    Check("overflow", ("overflow",), lambda context: context.forecast.verdict is not Verdict.UNKNOWN),
    Check("missing", ("notice.rows_dropped",), lambda context: True),
    Check("independent", ("dependent_columns", "nearly_collinear"), lambda context: _n_features(context) > 1),
    Check("scales", ("scales_apart",), lambda context: _n_features(context) > 1 and not _problem(context).standardize),
    Check("offsets", ("far_from_zero",), lambda context: _problem(context).bias and not _problem(context).center),
    Check("float32", ("float32_cannot_resolve",), lambda context: not _problem(context).center),
    Check("target", ("constant_target", "target_copied"), lambda context: _problem(context).bias),
)


def checked_messages(context: RunContext, findings: Sequence[Finding]) -> tuple[Message, ...]:
    """What was checked and is fine, a phrase each."""
    made = {finding.name for finding in findings if finding.name != "overflow" or finding.severity is Severity.PROBLEM}
    made |= {notice.key for notice in _problem(context).notices}
    phrases = [
        message(f"checked.{check.name}")
        for check in CHECKS
        if check.applies(context) and made.isdisjoint(check.findings)
    ]
    return (*phrases, *([message("checked.observed")] if "observed_agrees" in made else []))


def unchecked_messages(context: RunContext, has_observed: bool, has_held_out: bool) -> tuple[Message, ...]:
    """What could not be checked, and why, a phrase each."""
    descent, simulated = context.theory.descent, context.forecast.simulated_updates
    phrases = {
        "batches": descent.batch_size is not None,
        "optimizer": not descent.is_sgd,
        "schedule": descent.is_sgd and descent.schedule is not None,
        "zero_grad": descent.is_sgd and not descent.zero_grad and not descent.has_closed_form,
        "epochs": simulated is not None,
        "observed": not has_observed,
        "held_out": not has_held_out,
    }
    values = {"optimizer": descent.optimizer, "simulated": pluralize(simulated or 0)}
    return tuple(message(f"unchecked.{name}", **values) for name, is_so in phrases.items() if is_so)
