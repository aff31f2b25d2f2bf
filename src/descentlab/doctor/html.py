"""Findings as HTML, for a notebook: the sentences and tables that a terminal gets, from the pieces of ``markup``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from descentlab.doctor.finding import Finding
from descentlab.doctor.report import MARKS, Table, headline, sections, tables, verdict_line
from descentlab.messages import Sentence, sentence
from descentlab.messages.html import heading, listed, page, paragraph, table

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.doctor.losses.diagnosis import LossDiagnosis


def of_diagnosis(diagnosis: Diagnosis) -> str:
    """The same sentences and tables as :func:`descentlab.doctor.report.text`."""
    run, *others = ([heading(each.title), _findings(each.findings)] for each in sections(diagnosis))
    shown = [table(*each) for each in tables(diagnosis)]
    return page(
        paragraph(headline(diagnosis)),
        paragraph(verdict_line(diagnosis.verdict), strong=True),
        *run,
        *shown,
        *(part for other in others for part in other),
    )


def of_losses(found: LossDiagnosis) -> str:
    """The verdict on printed losses, and what it rests on."""
    return page(paragraph(verdict_line(found.verdict), strong=True), _findings(found.findings))


def of_sentences(said: Iterable[Sentence], tables: Iterable[Table] = ()) -> str:
    """Sentences, a paragraph each, then tables."""
    return page(*map(paragraph, said), *(table(*each) for each in tables))


def _findings(findings: Iterable[Finding]) -> str:
    """Findings with their marks."""
    return listed(
        (MARKS[each.weight], sentence(f"weight.{each.weight}").text(), each.weight.value, each.text())
        for each in findings
    )
