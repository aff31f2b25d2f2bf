"""A diagnosis as a document: the answer and what to do, what was asked, the findings, the tables, the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.finding import Finding, check_bullets, fact_finding, finding_bullets, page_paragraph
from descentlab.doctor.forecast import Verdict
from descentlab.messages import Table, format_epochs, message, pluralize
from descentlab.messages.document import Block, Heading, Paragraph, make_blocks


@make_blocks.register
def diagnosis_blocks(diagnosis: Diagnosis, name: str = "") -> list[Block]:
    """The diagnosis as blocks, in the current language; ``name`` is what to call the data."""
    title = title_line(diagnosis)
    predicted, answered = diagnosis.headline, diagnosis.observed_headline or diagnosis.headline
    blocks: list[Block] = [Paragraph(f"{answered.mark} {answered.answer}", strong=True)]
    blocks += [Paragraph(str(answered.action))] * (answered.action is not None)
    if answered is not predicted:  # what the settings give once the loop does as stated
        key = "report.corrected_still" if diagnosis.verdict.fails else "report.corrected"
        blocks.append(Paragraph(f"{predicted.mark} {message(key, answer=predicted.answer)}"))
    blocks.append(Paragraph(f"{name}: {title}" if name else title))
    (run_title, run_findings), *others = group_findings(diagnosis)
    blocks += [Heading(run_title), *finding_bullets(_without_repetition(diagnosis, run_findings))]
    blocks += make_tables(diagnosis)
    for topic_title, findings in others:
        blocks += [Heading(topic_title), *finding_bullets(findings)]
    blocks += [Heading(str(message("about.checks"))), *check_bullets(diagnosis.checked, diagnosis.unchecked)]
    return [*blocks, page_paragraph(diagnosis.findings)]


def title_line(diagnosis: Diagnosis) -> str:
    """What was asked about, in one line."""
    problem, descent = diagnosis.problem, diagnosis.descent
    epochs = pluralize(descent.epochs).text()
    return f"{problem.title}; " + ", ".join([*descent.summary, *problem.summary, epochs])


def _without_repetition(diagnosis: Diagnosis, findings: list[Finding]) -> list[Finding]:
    """The findings without the sentence about the bound, where the answer above has said it."""
    if diagnosis.headline.answer.key != "answer.above_bound":
        return findings
    shortened = [replace(each, messages=each.messages[1:]) if each.name == "bound" else each for each in findings]
    return [each for each in shortened if each.messages]


def group_findings(diagnosis: Diagnosis) -> list[tuple[str, list[Finding]]]:
    """The findings by topic, each group with its title; the run's own come first, always."""
    groups: dict[str, list[Finding]] = {"run": [], "observed": [], "held_out": [], "data": []}
    for finding in diagnosis.findings:
        groups[finding.topic].append(finding)
    groups["data"] += [fact_finding("notice", notice) for notice in diagnosis.problem.notices]
    return [
        (str(message(f"about.{topic}")), findings) for topic, findings in groups.items() if findings or topic == "run"
    ]


def make_tables(diagnosis: Diagnosis) -> list[Table]:
    """The recommended rates, and what each remedy gains."""
    within_percent = f"{100 * diagnosis.within:.3g}"
    # The tables are about plain full-batch SGD; if something else was asked about, their titles say so.
    descent = diagnosis.descent
    describe_run = descent.is_sgd and descent.schedule is None and diagnosis.verdict is not Verdict.UNKNOWN

    def table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[Table]:
        headings = tuple(str(message(f"column.{name}", within=within_percent)) for name in columns)
        return [Table(str(message(title, within=within_percent)), headings, rows)] if rows else []

    rates = [
        (str(message(f"rate.{rate.name}")), rate.lr_text, rate.momentum_text, format_epochs(rate.epochs))
        for rate in diagnosis.rates.values()
    ]
    remedies = [
        (
            remedy.title.text(),
            _format_short(remedy.lr_bound),
            remedy.lr_text or "-",
            format_epochs(remedy.epochs),
            format_epochs(remedy.epochs_at_lr),
            _format_short(remedy.condition, 3),
        )
        for remedy in diagnosis.remedies
    ]
    rates_title = "report.rates" if describe_run else "report.rates_beside"
    return [
        *table(rates_title, ("rate", "lr", "momentum", "epochs"), rates),
        *table(
            _remedies_title(diagnosis, describe_run),
            ("remedy", "bound", "best", "epochs", "at_yours", "condition"),
            remedies,
        ),
    ]


def _remedies_title(diagnosis: Diagnosis, describe_run: bool) -> str:
    """Each remedy is one change; where no rate converges as asked, that changes too."""
    if not diagnosis.descent.zero_grad:
        return "report.remedies_cleared"
    if diagnosis.descent.momentum >= 1:
        return "report.remedies_without_momentum"
    return "report.remedies" if describe_run else "report.remedies_beside"


def _format_short(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"
