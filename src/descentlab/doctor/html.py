"""Findings as HTML, for a notebook: the sentences and tables that a terminal gets, from the pieces of ``markup``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from descentlab.doctor.finding import SEVERITY_MARKS, Finding
from descentlab.doctor.report import group_findings, make_tables, title_line, verdict_line
from descentlab.messages import message
from descentlab.messages.html import html_bullet_list, html_fragment, html_heading, html_paragraph, html_table

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.doctor.losses.diagnosis import LossDiagnosis


def diagnosis_to_html(diagnosis: Diagnosis) -> str:
    """The same sentences and tables as :func:`descentlab.doctor.report.text`."""
    run, *others = ([html_heading(each.title), _findings_to_html(each.findings)] for each in group_findings(diagnosis))
    html_tables = [html_table(*each) for each in make_tables(diagnosis)]
    return html_fragment(
        html_paragraph(title_line(diagnosis)),
        html_paragraph(verdict_line(diagnosis.verdict), strong=True),
        *run,
        *html_tables,
        *(block for other in others for block in other),
    )


def losses_to_html(diagnosis: LossDiagnosis) -> str:
    """The verdict on printed losses, and what it rests on."""
    return html_fragment(
        html_paragraph(verdict_line(diagnosis.verdict), strong=True), _findings_to_html(diagnosis.findings)
    )


def _findings_to_html(findings: Iterable[Finding]) -> str:
    """Findings with their marks."""
    return html_bullet_list(
        (SEVERITY_MARKS[each.severity], message(f"weight.{each.severity}").text(), each.severity.value, each.text())
        for each in findings
    )
