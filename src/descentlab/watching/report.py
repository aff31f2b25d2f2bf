"""A watched loop in words: for a terminal of 80 columns, and for a notebook, with what was measured and how."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from descentlab.doctor.finding import Severity
from descentlab.messages import Message, current_language, format_rounded, message, pluralize, use_language, wrap
from descentlab.messages.html import html_bullet_list, html_fragment, html_paragraph
from descentlab.watching.plot import watch_history_to_svg
from descentlab.watching.rules.judge import detect_no_zero_grad, evaluate_rules
from descentlab.watching.rules.learning_rate import (
    has_one_backward_per_step,
    median_lr_ratio,
    uses_unmodified_gradients,
)

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Observation

WATCH_MARKS = {Severity.PROBLEM: "!", Severity.CAUTION: "?", Severity.FACT: "-"}


def observation_to_text(observation: Observation, lang: str | None = None) -> str:
    """The verdicts, then the notes."""
    with use_language(lang or current_language()):
        lines = [wrap(str(watch_title(observation)))]
        lines += [
            wrap(f"{WATCH_MARKS[each.severity]} {each.name}: {each.text()}", subsequent_indent="  ")
            for each in evaluate_rules(observation)
        ]
        lines += [wrap(f"- {each}", subsequent_indent="  ") for each in note_messages(observation)]
    return "\n".join(lines)


def observation_to_html(observation: Observation) -> str:
    """The same sentences, and a picture."""
    items = [
        (
            WATCH_MARKS[each.severity],
            message(f"weight.{each.severity}").text(),
            each.severity.value,
            f"`{each.name}`: {each.text()}",
        )
        for each in evaluate_rules(observation)
    ]
    items += [
        (WATCH_MARKS[Severity.FACT], message("weight.fact").text(), "fact", str(each))
        for each in note_messages(observation)
    ]
    return html_fragment(
        html_paragraph(watch_title(observation), strong=True),
        html_bullet_list(items),
        watch_history_to_svg(observation.recorder.history),
    )


def watch_title(observation: Observation) -> Message:
    """What was watched, and how far it has come."""
    recorder = observation.recorder
    class_names = {"model": type(recorder.model).__name__, "optimizer": type(recorder.optimizer).__name__}
    updates = pluralize(recorder.steps, "update")
    if not observation.ended:
        return message("watch.running", **class_names, updates=updates)
    if observation.error is not None:
        return message("watch.raised", **class_names, updates=updates, error=type(observation.error).__name__)
    return message("watch.ended", **class_names, updates=updates)


def note_messages(observation: Observation) -> list[Message]:
    """What the numbers rest on, and what could not be told."""
    recorder = observation.recorder
    messages = [*_diagnosis_messages(observation), *_curvature_messages(observation)]
    fixed_batch = recorder.curvature_probe.fixed_batch
    if recorder.history.measurements and fixed_batch is not None:
        messages.append(message("watch.fixed_batch", rows=pluralize(fixed_batch.n_rows or 1, "row")))
        messages += [message("watch.fixed_evaluating")] if fixed_batch.used_eval_mode else []
    elif recorder.history.measurements and not recorder.same_batch_check.always_same:
        messages.append(message("watch.own_batch"))
    if recorder.uses_randomness and fixed_batch is None:
        messages.append(message("watch.random"))
    if recorder.internal_error is not None:
        error_name = type(recorder.internal_error).__name__
        messages.append(message("watch.failed", error=f"{error_name}: {recorder.internal_error}"))
    return messages


def _diagnosis_messages(observation: Observation) -> list[Message]:
    diagnosis = observation.diagnosis
    if diagnosis is None:
        return []
    verdict_message = message(f"verdict.{diagnosis.verdict.replace('-', '_').replace(' ', '_')}")
    lr_bound = diagnosis.lr_bound if diagnosis.lr_bound is not None else math.nan
    return [message("watch.doctor", verdict=verdict_message, lr=diagnosis.descent.lr, bound=lr_bound)]


def _curvature_messages(observation: Observation) -> list[Message]:
    """The curvature last measured, and the limit there."""
    recorder = observation.recorder
    measurements = recorder.history.measurements
    if recorder.curvature_probe.unavailable_reason is not None:
        reason = (
            str(recorder.curvature_probe.unavailable_reason).partition("\n")[0].strip()
            or type(recorder.curvature_probe.unavailable_reason).__name__
        )
        return [message("watch.refused", reason=reason)]
    measurements = [probe for probe in measurements if math.isfinite(probe.sharpness)]
    if not measurements:
        return []
    last = measurements[-1]
    values = {"sharpness": last.sharpness, "error": format_rounded(last.error, 2), "step": last.step + 1}
    messages = [message("watch.sharpness", **values)]
    if last.limit is None:
        messages.append(message("watch.no_limit", optimizer=type(recorder.optimizer).__name__))
    elif recorder.steps and not has_one_backward_per_step(observation):
        messages.append(message("watch.several_passes"))
    elif detect_no_zero_grad(observation) is not None:  # before it looks as if gradients were clipped
        messages.append(message("watch.summed_up"))
    elif not uses_unmodified_gradients(observation):
        messages.append(
            message(
                "watch.altered", altered=recorder.gradients.modified_steps, compared=recorder.gradients.compared_steps
            )
        )
    elif median_lr_ratio(observation) is not None and last.ratio is not None and math.isfinite(last.limit):
        percent = format_rounded(100 * last.ratio)
        messages.append(message("watch.limit", lr=last.lr, limit=last.limit, part=percent))
    return messages
