"""A diagnosis in words, for a terminal of 80 columns, and as one object for a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from descentlab.doctor.finding import Finding, Weight
from descentlab.doctor.forecast import Verdict
from descentlab.messages import counted, jsonable, language, number, padded, sentence, speaking, width, wrapped

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.doctor.directions import Direction

SCHEMA = "descentlab.diagnosis/1"
COLUMNS = 80
MARKS = {Weight.PROBLEM: "✗", Weight.CAUTION: "!", Weight.FACT: "·"}
LONG = 10_000_000  # counts from here on are shown in powers of ten in tables


class Table(NamedTuple):
    """A table as a person reads it: a title, the headings of its columns, and rows of cells."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def text(self) -> list[str]:
        """Its lines: the first column takes what the others leave of 80."""
        narrow = [max(width(row[i]) for row in [self.headings, *self.rows]) for i in range(1, len(self.headings))]
        first = min(
            max(width(row[0]) for row in [self.headings, *self.rows]), COLUMNS - 2 - sum(narrow) - 2 * len(narrow)
        )

        def line(cells: Sequence[str]) -> str:
            rest = (padded(cell, columns, right=True) for cell, columns in zip(cells[1:], narrow, strict=True))
            return "  " + "  ".join([padded(cells[0], first), *rest])

        return [self.title, line(self.headings), *(line(row) for row in self.rows)]


class Section(NamedTuple):
    """Findings that belong together, under one heading."""

    title: str
    findings: list[Finding]


def text(diagnosis: Diagnosis, lang: str | None = None, name: str = "") -> str:
    """The diagnosis in plain sentences and tables."""
    with speaking(lang or language()):
        asked = f"{name}: {headline(diagnosis)}" if name else headline(diagnosis)
        lines = [*wrapped(asked, COLUMNS).split("\n"), verdict_line(diagnosis.verdict)]
        run, *others = map(_told, sections(diagnosis))
        for part in (run, *(table.text() for table in tables(diagnosis)), *others):
            lines += ["", *part]
        pages = ", ".join(dict.fromkeys(finding.name for finding in diagnosis.findings))
        lines += ["", *wrapped(sentence("report.pages", names=pages).text(), COLUMNS).split("\n")]
        return "\n".join(lines)


def _told(section: Section) -> list[str]:
    lines = [section.title]
    for finding in section.findings:
        lines += wrapped(finding.text(), COLUMNS, f"{MARKS[finding.weight]} ").split("\n")
    return lines


def headline(diagnosis: Diagnosis) -> str:
    """What was asked about, in one line."""
    problem, descent = diagnosis.problem, diagnosis.descent
    epochs = counted(descent.epochs).text()
    return f"{problem.headline}; " + ", ".join([*descent.summary, *problem.summary, epochs])


def verdict_line(verdict: Verdict) -> str:
    """The verdict in the reader's language."""
    word = verdict.replace("-", "_").replace(" ", "_")
    return sentence("report.verdict", verdict=sentence(f"verdict.{word}")).text()


def sections(diagnosis: Diagnosis) -> list[Section]:
    """The findings by what they are about; the run's own come first, always."""
    groups: dict[str, list[Finding]] = {"run": [], "observed": [], "held_out": [], "data": []}
    for finding in diagnosis.findings:
        groups[finding.about].append(finding)
    notices = [Finding("notice", Weight.FACT, (notice,)) for notice in diagnosis.problem.notices]
    groups["data"] += notices
    return [
        Section(sentence(f"about.{about}").text(), found) for about, found in groups.items() if found or about == "run"
    ]


def tables(diagnosis: Diagnosis) -> list[Table]:
    """The rates to use, and what each remedy buys."""
    percent = f"{100 * diagnosis.within:.3g}"

    def heading(name: str) -> str:
        return sentence(f"column.{name}", within=percent).text()

    # The tables are about plain full-batch SGD; where something else was asked about, they say so.
    asked = diagnosis.descent
    settled = asked.is_sgd and asked.schedule is None and diagnosis.verdict is not Verdict.UNKNOWN
    found = []
    if diagnosis.rates:
        rows = [
            (
                sentence(f"rate.{rate.name}").text(),
                rate.shown,
                rate.shown_momentum,
                count(rate.epochs),
            )
            for rate in diagnosis.rates.values()
        ]
        headings = tuple(map(heading, ("rate", "lr", "momentum", "epochs")))
        found.append(
            Table(sentence("report.rates" if settled else "report.rates_beside", within=percent).text(), headings, rows)
        )
    if diagnosis.remedies:
        remedies = [
            (
                remedy.title.text(),
                _short(remedy.lr_bound),
                remedy.shown or "-",
                count(remedy.epochs),
                count(remedy.epochs_at_lr),
                _short(remedy.condition, 3),
            )
            for remedy in diagnosis.remedies
        ]
        headings = tuple(map(heading, ("remedy", "bound", "best", "epochs", "at_yours", "condition")))
        found.append(
            Table(
                sentence(_remedies_title(diagnosis, settled), within=percent).text(),
                headings,
                remedies,
            )
        )
    return found


def _remedies_title(diagnosis: Diagnosis, settled: bool) -> str:
    """What the remedies are about: one change each, and where no rate converges as asked, that besides."""
    if not diagnosis.descent.zero_grad:
        return "report.remedies_cleared"
    if diagnosis.descent.momentum >= 1:
        return "report.remedies_without_momentum"
    return "report.remedies" if settled else "report.remedies_beside"


def _short(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def count(epochs: int | None) -> str:
    """A number of epochs as a table has it."""
    if epochs is None:
        return sentence("report.never").text()
    return number(epochs) if epochs < LONG else f"{epochs:.3g}"


def to_dict(diagnosis: Diagnosis, lang: str | None = None) -> dict[str, Any]:
    """The diagnosis for a machine: JSON-safe, numbers that are not finite as None."""
    problem, descent, forecast = diagnosis.problem, diagnosis.descent, diagnosis.forecast
    with speaking(lang or language()):
        content = {
            "schema": SCHEMA,
            "problem": problem.to_dict(),
            "descent": descent.to_dict(),
            "within": diagnosis.within,
            "verdict": diagnosis.verdict.value,
            "oscillates": forecast.oscillates,
            "lr_bound": diagnosis.lr_bound,
            "lr_ratio": diagnosis.lr_ratio,
            "epochs_to_tolerance": diagnosis.epochs_to_tolerance,
            "overflow_epoch": diagnosis.overflow_epoch,
            "overflow": diagnosis.overflow,
            "params": diagnosis.params,
            "cost": diagnosis.cost,
            "loss": None if diagnosis.cost is None else diagnosis.cost * diagnosis.scale,
            "least_cost": diagnosis.least_cost,
            "goal": dict(zip(problem.parameters, diagnosis.goal.tolist(), strict=True)),
            "condition": diagnosis.condition,
            "slowest": _direction(diagnosis.slowest),
            "fastest": _direction(diagnosis.fastest),
            "rates": [asdict(rate) for rate in diagnosis.rates.values()],
            "remedies": [vars(remedy) for remedy in diagnosis.remedies],
            "findings": [
                {
                    "name": finding.name,
                    "weight": finding.weight.value,
                    "about": finding.about,
                    "text": " ".join(map(str, finding.said)),
                    "advice": finding.advice,
                    "evidence": dict(finding.evidence),
                    "source": finding.source,
                }
                for finding in diagnosis.findings
            ],
            "validation": None if diagnosis.validation is None else diagnosis.validation.to_dict(),
            "curve": None
            if diagnosis.curve is None
            else {"updates": diagnosis.curve.updates.tolist(), "cost": diagnosis.curve.cost.tolist()},
            "notices": problem.notices,
        }
        found: dict[str, Any] = jsonable(content)
    return found


def _direction(direction: Direction | None) -> dict[str, Any] | None:
    if direction is None:
        return None
    return {
        "factor": direction.factor,
        "gap": direction.gap,
        "curvature": direction.curvature,
        "columns": direction.columns,
        "name": direction.name,
    }
