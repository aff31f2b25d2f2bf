"""A diagnosis as a document: the answer and what to do, what was asked, the findings, the tables, the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from descentlab.doctor.code import code_lines
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.finding import GOOD_MARK, Finding, check_bullets, fact_finding, finding_bullets, page_paragraph
from descentlab.doctor.forecast import Verdict
from descentlab.doctor.headline import reached_message
from descentlab.doctor.remedies import Remedy
from descentlab.messages import Table, format_epochs, message, pluralize
from descentlab.messages.document import Block, Heading, Paragraph, Preformatted, make_blocks
from descentlab.theory.full_batch import FullBatchTheory

FINDINGS_BEHIND_MORE = ("overflow", "worst_case_rate")  # a longer report has them
CODE_INDENT = "  "


@make_blocks.register
def diagnosis_blocks(
    diagnosis: Diagnosis, name: str = "", code: str | Sequence[str] = "descentlab", more: bool = False
) -> list[Block]:
    """The diagnosis as blocks, in the current language; the arguments are those of :meth:`Diagnosis.text`."""
    title = title_line(diagnosis)
    (run_title, run_findings), *others = group_findings(diagnosis)
    if not more:
        run_findings = [each for each in run_findings if each.name not in FINDINGS_BEHIND_MORE]
    shown = _without_repetition(diagnosis, run_findings)
    blocks = [*answer_blocks(diagnosis, code), Paragraph(f"{name}: {title}" if name else title)]
    blocks += [Heading(run_title), *finding_bullets(shown), *make_tables(diagnosis, more)]
    for topic_title, findings in others:
        blocks += [Heading(topic_title), *finding_bullets(findings)]
        shown = [*shown, *findings]
    blocks += [Heading(str(message("about.checks"))), *check_bullets(diagnosis.checked, diagnosis.unchecked)]
    blocks.append(page_paragraph(each for each in shown if each.name != "notice"))
    return blocks if more or not diagnosis.rates else [*blocks, Paragraph(str(message("report.more")))]


def answer_blocks(diagnosis: Diagnosis, code: str | Sequence[str] = "descentlab") -> list[Block]:
    """The verdict, and what to do: in words, as lines to paste, and what changing only the rate would do."""
    predicted, answered = diagnosis.headline, diagnosis.observed_headline or diagnosis.headline
    blocks: list[Block] = [Paragraph(f"{answered.mark} {answered.answer}", strong=True)]
    if answered is predicted:
        return [*blocks, *_action_blocks(diagnosis, code)]
    blocks += [Paragraph(str(message("report.do_this", action=answered.action)))] * (answered.action is not None)
    if not diagnosis.verdict.fails:  # what the settings give once the loop does as stated
        return [*blocks, Paragraph(f"{predicted.mark} {message('report.corrected', answer=predicted.answer)}")]
    blocks.append(Paragraph(f"{predicted.mark} {message('report.corrected_still', answer=predicted.answer)}"))
    return [*blocks, *_action_blocks(diagnosis, code)]


def _action_blocks(diagnosis: Diagnosis, code: str | Sequence[str]) -> list[Block]:
    action, recommendation = diagnosis.headline.action, diagnosis.recommendation
    if action is None:
        return []
    is_good = diagnosis.headline.mark == GOOD_MARK
    blocks: list[Block] = [Paragraph(str(action if is_good else message("report.do_this", action=action)))]
    if recommendation is None or is_good:
        return blocks
    lines = code
    if isinstance(code, str):
        lines = code_lines(code, diagnosis.problem, diagnosis.descent, recommendation)
    blocks.append(Preformatted("\n".join(f"{CODE_INDENT}{line}" for line in lines)))
    rate_only = recommendation.rate_only
    if rate_only is not None:
        theory = FullBatchTheory(diagnosis.problem, diagnosis.descent)
        reached = reached_message(theory, diagnosis.within, rate_only)
        blocks.append(Paragraph(str(message("report.rate_only", lr=rate_only.text_of("lr"), reached=reached))))
    return blocks


def title_line(diagnosis: Diagnosis) -> str:
    """What was asked about, in one line."""
    problem, descent = diagnosis.problem, diagnosis.descent
    epochs = pluralize(descent.epochs).text()
    return f"{problem.title}; " + ", ".join([*descent.summary, *problem.summary, epochs])


def _without_repetition(diagnosis: Diagnosis, findings: list[Finding]) -> list[Finding]:
    """The findings without what the answer above has said: the bound, and what changing only the rate would do."""
    if diagnosis.headline.answer.key == "answer.above_bound":
        findings = [replace(each, messages=each.messages[1:]) if each.name == "bound" else each for each in findings]
    recommendation = diagnosis.recommendation
    if recommendation is not None:
        findings = [replace(each, advice=None) if each.name == "too_slow" else each for each in findings]
    says_rate = recommendation is not None and (recommendation.rate_only or recommendation.remedy == "fastest_rate")
    return [each for each in findings if each.messages and not (says_rate and each.name == "lower_rate")]


def group_findings(diagnosis: Diagnosis) -> list[tuple[str, list[Finding]]]:
    """The findings by topic, each group with its title; the run's own come first, always."""
    groups: dict[str, list[Finding]] = {"run": [], "observed": [], "held_out": [], "data": []}
    for finding in diagnosis.findings:
        groups[finding.topic].append(finding)
    groups["data"] += [fact_finding("notice", notice) for notice in diagnosis.problem.notices]
    return [
        (str(message(f"about.{topic}")), findings) for topic, findings in groups.items() if findings or topic == "run"
    ]


def make_tables(diagnosis: Diagnosis, more: bool = True) -> list[Table]:
    """What each remedy gains; with ``more``, also the recommended rates, and the remedies' bounds."""
    within_percent = f"{100 * diagnosis.within:.3g}"
    # The tables are about plain full-batch SGD; if something else was asked about, their titles say so.
    descent = diagnosis.descent
    describe_run = descent.is_sgd and descent.schedule is None and diagnosis.verdict is not Verdict.UNKNOWN

    def table(title: str, rows: Sequence[Mapping[str, str]]) -> list[Table]:
        headings = tuple(str(message(f"column.{name}", within=within_percent)) for name in (rows[0] if rows else ()))
        cells = [tuple(row.values()) for row in rows]
        return [Table(str(message(title, within=within_percent)), headings, cells)] if rows else []

    remedies = table(_remedies_title(diagnosis, describe_run), [*map(_remedy_cells(diagnosis), diagnosis.remedies)])
    if not more:
        return remedies
    rates = [
        {
            "rate": str(message(f"rate.{rate.name}")),
            "lr": rate.lr_text,
            "momentum": rate.momentum_text,
            "epochs": format_epochs(rate.epochs),
        }
        for rate in diagnosis.rates.values()
    ]
    bounds = [
        {
            "remedy": remedy.title.text(),
            "bound": _format_short(remedy.lr_bound),
            "condition": _format_short(remedy.condition, 3),
        }
        for remedy in diagnosis.remedies
    ]
    rates_title = "report.rates" if describe_run else "report.rates_beside"
    return [*remedies, *table(rates_title, rates), *table("report.bounds", bounds)]


def _remedy_cells(diagnosis: Diagnosis) -> Callable[[Remedy], dict[str, str]]:
    """Makes the row of a remedy: its epochs to the cost and to the coefficients, or to these if they decide."""
    has_one_aim = FullBatchTheory(diagnosis.problem, diagnosis.descent).judges_coefficients(diagnosis.within)

    def cells(remedy: Remedy) -> dict[str, str]:
        for_cost, for_coefficients = format_epochs(remedy.epochs), format_epochs(remedy.epochs_to_coefficients)
        epochs = {"epochs": for_cost} if has_one_aim else {"cost": for_cost, "coefficients": for_coefficients}
        return {
            "remedy": remedy.title.text(),
            "best": remedy.lr_text or "-",
            **epochs,
            "at_yours": format_epochs(remedy.epochs_at_lr),
        }

    return cells


def _remedies_title(diagnosis: Diagnosis, describe_run: bool) -> str:
    """Each remedy is one change; where no rate converges as asked, that changes too."""
    if not diagnosis.descent.zero_grad:
        return "report.remedies_cleared"
    if diagnosis.descent.momentum >= 1:
        return "report.remedies_without_momentum"
    return "report.remedies" if describe_run else "report.remedies_beside"


def _format_short(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"
