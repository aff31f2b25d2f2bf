"""A watched loop in words, for a terminal of 80 columns and for a notebook: what is wrong, and what to do, first."""

from __future__ import annotations

import math
from collections.abc import Iterable

from descentlab.doctor.finding import SEVERITY_MARKS, Severity, page_paragraph
from descentlab.messages import Message, format_rounded, message, pluralize
from descentlab.messages.document import Block, Bullet, Heading, Paragraph
from descentlab.watching.rules.evaluate import Evaluation
from descentlab.watching.rules.learning_rate import why_limit_unchecked
from descentlab.watching.rules.observation import Observation


def watch_blocks(observation: Observation, evaluation: Evaluation) -> list[Block]:
    """The verdict, what to do, the findings, then what was checked and what could not be."""
    first, *others = evaluation.findings
    headline = message(f"watch_title.{first.name}").text()
    details = [_bullet(first.severity, f"`{first.name}`: {' '.join(map(str, first.messages))}")]
    details += [_bullet(each.severity, f"`{each.name}`: {each.text()}") for each in others]
    return [
        Paragraph(f"{SEVERITY_MARKS[first.severity]} {headline} (`{first.name}`)", strong=True),
        *([Paragraph(first.advice.text())] if first.advice else []),
        Heading(watch_title(observation).text()),
        *details,
        *(_bullet(Severity.FACT, each.text()) for each in note_messages(observation)),
        *map(Paragraph, _checked_lines(observation, evaluation)),
        page_paragraph(evaluation.findings),
    ]


def _bullet(severity: Severity, text: str) -> Bullet:
    return Bullet(SEVERITY_MARKS[severity], message(f"weight.{severity}").text(), severity.value, text)


def watch_title(observation: Observation) -> Message:
    """The names of model and optimizer, and the number of updates."""
    optimizer = message("watch.by_hand") if observation.updates_by_hand else observation.optimizer_class
    class_names = {"model": observation.model_class, "optimizer": optimizer}
    updates = pluralize(observation.steps, "update")
    if not observation.ended:
        return message("watch.running", **class_names, updates=updates)
    if observation.error is not None:
        return message("watch.raised", **class_names, updates=updates, error=observation.error)
    return message("watch.ended", **class_names, updates=updates)


def note_messages(observation: Observation) -> list[Message]:
    """Notes on the measurements."""
    messages = [*_diagnosis_messages(observation), *_curvature_messages(observation)]
    if observation.measurements and observation.fixed_batch_rows is not None:
        messages.append(message("watch.fixed_batch", rows=pluralize(observation.fixed_batch_rows, "row")))
        messages += [message("watch.fixed_evaluating")] if observation.fixed_batch_in_eval_mode else []
    elif observation.measurements and not observation.always_same_batch:
        messages.append(message("watch.own_batch"))
    if observation.uses_randomness and observation.fixed_batch_rows is None:
        messages.append(message("watch.random"))
    if observation.internal_error is not None:
        messages.append(message("watch.failed", error=observation.internal_error))
    return messages


def _check_labels(names: Iterable[str]) -> dict[str, None]:
    """Checks in words, each once and in order; several findings may belong to one check."""
    return dict.fromkeys(message(f"watch_check.{name}").text() for name in names if name != "healthy")


def _checked_lines(observation: Observation, evaluation: Evaluation) -> list[str]:
    """The passed checks, and the checks that were not possible with their reasons; empty before the first step."""
    if not observation.steps:
        return []
    lines = []
    found = _check_labels(finding.name for finding in evaluation.findings)
    passed = [label for label in _check_labels(evaluation.passed) if label not in found]
    if passed:
        lines.append(message("watch.passed", checks="; ".join(passed)).text())
    reasons: dict[str, list[str]] = {}
    for name, reason in evaluation.unchecked.items():
        reasons.setdefault(reason.text(), []).append(name)
    lines += [
        message("watch.unchecked", checks="; ".join(_check_labels(names)), reason=reason).text()
        for reason, names in reasons.items()
    ]
    return lines


def _diagnosis_messages(observation: Observation) -> list[Message]:
    diagnosis = observation.diagnosis
    if diagnosis is None:
        return []
    verdict = message(f"verdict.{diagnosis.verdict.replace('-', '_').replace(' ', '_')}")
    lr_bound = diagnosis.lr_bound if diagnosis.lr_bound is not None else math.nan
    return [message("watch.doctor", verdict=verdict, lr=diagnosis.descent.lr, bound=lr_bound)]


def _curvature_messages(observation: Observation) -> list[Message]:
    """The curvature last measured, and the limit there."""
    measured = [each for each in observation.measurements if math.isfinite(each.sharpness)]
    if not measured or observation.curvature_error is not None:
        return []
    last = measured[-1]
    values = {"sharpness": last.sharpness, "error": format_rounded(last.error, 2), "step": last.step + 1}
    messages = [message("watch.sharpness", **values)]
    gradient_is_of_one_pass = observation.one_backward_per_step and not observation.gradients_accumulate
    if last.ratio is None or not gradient_is_of_one_pass or why_limit_unchecked(observation) is not None:
        return messages
    if last.limit and math.isfinite(last.limit):
        percent = format_rounded(100 * last.ratio)
        messages.append(message("watch.limit", lr=last.lr, limit=last.limit, part=percent))
    return messages
