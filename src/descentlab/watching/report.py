"""A watched loop in words: for a terminal of 80 columns, and for a notebook, with what was measured and how."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from descentlab.doctor.finding import Weight
from descentlab.messages import Sentence, counted, language, number, rounded, sentence, speaking, wrapped
from descentlab.messages.html import listed, page, paragraph
from descentlab.watching.plot import svg
from descentlab.watching.rules.judge import judge, no_zero_grad
from descentlab.watching.rules.learning_rate import as_they_came, one_pass_each, ratio_of

if TYPE_CHECKING:
    from descentlab.watching.rules.judge import Case

MARKS = {Weight.PROBLEM: "!", Weight.CAUTION: "?", Weight.FACT: "-"}


def text(case: Case, lang: str | None = None) -> str:
    """The verdicts, then the notes."""
    with speaking(lang or language()):
        lines = [wrapped(str(headline(case)))]
        lines += [wrapped(f"{MARKS[each.level]} {each.name}: {each.text()}", rest="  ") for each in judge(case)]
        lines += [wrapped(f"- {each}", rest="  ") for each in notes(case)]
    return "\n".join(lines)


def html(case: Case) -> str:
    """The same sentences, and a picture."""
    items = [
        (MARKS[each.level], sentence(f"weight.{each.level}").text(), each.level.value, f"`{each.name}`: {each.text()}")
        for each in judge(case)
    ]
    items += [(MARKS[Weight.FACT], sentence("weight.fact").text(), "fact", str(each)) for each in notes(case)]
    return page(paragraph(headline(case), strong=True), listed(items), svg(case.sight.record))


def headline(case: Case) -> Sentence:
    """What was watched, and how far it has come."""
    sight = case.sight
    kinds = {"model": type(sight.model).__name__, "optimizer": type(sight.optimizer).__name__}
    updates = counted(sight.steps, "update")
    if not case.ended:
        return sentence("watch.running", **kinds, updates=updates)
    if case.error is not None:
        return sentence("watch.raised", **kinds, updates=updates, error=type(case.error).__name__)
    return sentence("watch.ended", **kinds, updates=updates)


def notes(case: Case) -> list[Sentence]:
    """What the numbers rest on, and what could not be told."""
    sight = case.sight
    said = [*_doctor(case), *_curvature(case)]
    fixed = sight.prober.fixed
    if sight.record.probes and fixed is not None:
        said.append(sentence("watch.fixed_batch", rows=counted(fixed.rows or 1, "row")))
        said += [sentence("watch.fixed_evaluating")] if fixed.evaluating else []
    elif sight.record.probes and not sight.sameness.always:
        said.append(sentence("watch.own_batch"))
    if sight.random and fixed is None:
        said.append(sentence("watch.random"))
    if sight.failure is not None:
        kind = type(sight.failure).__name__
        said.append(sentence("watch.failed", error=f"{kind}: {sight.failure}"))
    return said


def _doctor(case: Case) -> list[Sentence]:
    diagnosis = case.diagnosis
    if diagnosis is None:
        return []
    key = sentence(f"verdict.{diagnosis.verdict.replace('-', '_').replace(' ', '_')}")
    bound = diagnosis.lr_bound if diagnosis.lr_bound is not None else math.nan
    return [sentence("watch.doctor", verdict=key, lr=diagnosis.descent.lr, bound=bound)]


def _curvature(case: Case) -> list[Sentence]:
    """The curvature last measured, and the limit there."""
    sight = case.sight
    probes = sight.record.probes
    if sight.prober.refused is not None:
        reason = str(sight.prober.refused).partition("\n")[0].strip() or type(sight.prober.refused).__name__
        return [sentence("watch.refused", reason=reason)]
    probes = [probe for probe in probes if math.isfinite(probe.sharpness)]
    if not probes:
        return []
    last = probes[-1]
    values = {"sharpness": number(last.sharpness), "error": rounded(last.error, 2), "step": last.step + 1}
    said = [sentence("watch.sharpness", **values)]
    if last.limit is None:
        said.append(sentence("watch.no_limit", optimizer=type(sight.optimizer).__name__))
    elif sight.steps and not one_pass_each(case):
        said.append(sentence("watch.several_passes"))
    elif no_zero_grad(case) is not None:  # before it looks as if gradients were clipped
        said.append(sentence("watch.summed_up"))
    elif not as_they_came(case):
        said.append(sentence("watch.altered", altered=sight.gradients.altered, compared=sight.gradients.compared))
    elif ratio_of(case) is not None and last.ratio is not None and math.isfinite(last.limit):
        part = rounded(100 * last.ratio)
        said.append(sentence("watch.limit", lr=last.lr, limit=number(last.limit), part=part))
    return said
