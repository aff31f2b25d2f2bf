"""A watched loop in words, for a terminal of 80 columns and for a notebook: what is wrong, and what to do, first."""

from __future__ import annotations

import math
from collections.abc import Iterable

from descentlab.doctor.finding import SEVERITY_MARKS, Finding, Severity
from descentlab.messages import (
    Message,
    current_language,
    format_rounded,
    message,
    pluralize,
    use_language,
    wrap,
)
from descentlab.messages.html import html_bullet_list, html_fragment, html_paragraph
from descentlab.watching.history import WatchHistory
from descentlab.watching.plot import watch_history_to_svg
from descentlab.watching.rules.evaluate import Evaluation
from descentlab.watching.rules.learning_rate import why_limit_unchecked
from descentlab.watching.rules.observation import Observation

FACT_MARK = SEVERITY_MARKS[Severity.FACT]


def watch_to_text(observation: Observation, evaluation: Evaluation, lang: str | None = None) -> str:
    """The verdict, what to do, the findings, then what was checked and what could not be."""
    with use_language(lang or current_language()):
        first = evaluation.findings[0]
        lines = [wrap(f"{SEVERITY_MARKS[first.severity]} {headline(first)}", subsequent_indent="  ")]
        lines += [wrap(str(first.advice), initial_indent="  ")] if first.advice else []
        lines += ["", wrap(str(watch_title(observation)))]
        lines += [
            wrap(
                f"{SEVERITY_MARKS[each.severity]} {each.name}: {_details(each, each is first)}", subsequent_indent="  "
            )
            for each in evaluation.findings
        ]
        lines += [wrap(f"{FACT_MARK} {each}", subsequent_indent="  ") for each in note_messages(observation)]
        lines += _checked_lines(observation, evaluation)
    return "\n".join(lines)


def watch_to_html(observation: Observation, evaluation: Evaluation, history: WatchHistory) -> str:
    """The same sentences, and a plot."""
    first = evaluation.findings[0]
    items = [(each.severity, f"`{each.name}`: {_details(each, each is first)}") for each in evaluation.findings] + [
        (Severity.FACT, str(each)) for each in note_messages(observation)
    ]
    bullets = [
        (SEVERITY_MARKS[severity], message(f"weight.{severity}").text(), severity.value, text)
        for severity, text in items
    ]
    return html_fragment(
        html_paragraph(headline(first), strong=True),
        html_paragraph(first.advice) if first.advice else "",
        html_paragraph(watch_title(observation)),
        html_bullet_list(bullets),
        *map(html_paragraph, _checked_lines(observation, evaluation, wrapped=False)),
        watch_history_to_svg(history),
    )


def headline(finding: Finding) -> str:
    """A finding in a few words."""
    return f"{message(f'watch_title.{finding.name}')} (`{finding.name}`)"


def _details(finding: Finding, is_first: bool) -> str:
    """The sentences of a finding; the advice of the first one stands at the top already."""
    return " ".join(map(str, finding.messages)) if is_first else finding.text()


def watch_title(observation: Observation) -> Message:
    """What was watched, and how far it has come."""
    class_names = {"model": observation.model_class, "optimizer": observation.optimizer_class}
    updates = pluralize(observation.steps, "update")
    if not observation.ended:
        return message("watch.running", **class_names, updates=updates)
    if observation.error is not None:
        return message("watch.raised", **class_names, updates=updates, error=observation.error)
    return message("watch.ended", **class_names, updates=updates)


def note_messages(observation: Observation) -> list[Message]:
    """What was measured, and how."""
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


def _checked_lines(observation: Observation, evaluation: Evaluation, wrapped: bool = True) -> list[str]:
    """What was checked and is fine, and what could not be checked, and why; nothing before the first step."""
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
    return ["", *(wrap(line, subsequent_indent="  ") for line in lines)] if wrapped and lines else lines


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
