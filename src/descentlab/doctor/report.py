"""A diagnosis in words, for a terminal of 80 columns, and as one object for a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from descentlab.doctor.finding import SEVERITY_MARKS, Finding, Severity
from descentlab.doctor.forecast import Verdict
from descentlab.messages import (
    LINE_WIDTH,
    Table,
    current_language,
    format_epochs,
    message,
    pluralize,
    to_json_types,
    use_language,
    wrap,
)

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.doctor.directions import Direction

DIAGNOSIS_SCHEMA = "descentlab.diagnosis/1"


class Section(NamedTuple):
    """Findings that belong together, under one heading."""

    title: str
    findings: list[Finding]


def diagnosis_to_text(diagnosis: Diagnosis, lang: str | None = None, name: str = "") -> str:
    """The diagnosis in plain sentences and tables."""
    with use_language(lang or current_language()):
        title = f"{name}: {title_line(diagnosis)}" if name else title_line(diagnosis)
        lines = [*wrap(title, LINE_WIDTH).split("\n"), verdict_line(diagnosis.verdict)]
        run, *others = map(_section_lines, group_findings(diagnosis))
        for block in (run, *(table.to_lines() for table in make_tables(diagnosis)), *others):
            lines += ["", *block]
        pages = ", ".join(dict.fromkeys(finding.name for finding in diagnosis.findings))
        lines += ["", *wrap(message("report.pages", names=pages).text(), LINE_WIDTH).split("\n")]
        return "\n".join(lines)


def _section_lines(section: Section) -> list[str]:
    lines = [section.title]
    for finding in section.findings:
        lines += wrap(finding.text(), LINE_WIDTH, f"{SEVERITY_MARKS[finding.severity]} ").split("\n")
    return lines


def title_line(diagnosis: Diagnosis) -> str:
    """What was asked about, in one line."""
    problem, descent = diagnosis.problem, diagnosis.descent
    epochs = pluralize(descent.epochs).text()
    return f"{problem.title}; " + ", ".join([*descent.summary, *problem.summary, epochs])


def verdict_line(verdict: Verdict) -> str:
    """The verdict in the reader's language."""
    word = verdict.replace("-", "_").replace(" ", "_")
    return message("report.verdict", verdict=message(f"verdict.{word}")).text()


def group_findings(diagnosis: Diagnosis) -> list[Section]:
    """The findings by what they are about; the run's own come first, always."""
    groups: dict[str, list[Finding]] = {"run": [], "observed": [], "held_out": [], "data": []}
    for finding in diagnosis.findings:
        groups[finding.topic].append(finding)
    notices = [Finding("notice", Severity.FACT, (notice,)) for notice in diagnosis.problem.notices]
    groups["data"] += notices
    return [
        Section(message(f"about.{topic}").text(), findings)
        for topic, findings in groups.items()
        if findings or topic == "run"
    ]


def make_tables(diagnosis: Diagnosis) -> list[Table]:
    """The rates to use, and what each remedy buys."""
    within_percent = f"{100 * diagnosis.within:.3g}"

    def heading(name: str) -> str:
        return message(f"column.{name}", within=within_percent).text()

    # The tables are about plain full-batch SGD; where something else was asked about, they say so.
    descent = diagnosis.descent
    describe_run = descent.is_sgd and descent.schedule is None and diagnosis.verdict is not Verdict.UNKNOWN
    report_tables = []
    if diagnosis.rates:
        rows = [
            (
                message(f"rate.{rate.name}").text(),
                rate.lr_text,
                rate.momentum_text,
                format_epochs(rate.epochs),
            )
            for rate in diagnosis.rates.values()
        ]
        headings = tuple(map(heading, ("rate", "lr", "momentum", "epochs")))
        report_tables.append(
            Table(
                message("report.rates" if describe_run else "report.rates_beside", within=within_percent).text(),
                headings,
                rows,
            )
        )
    if diagnosis.remedies:
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
        headings = tuple(map(heading, ("remedy", "bound", "best", "epochs", "at_yours", "condition")))
        report_tables.append(
            Table(
                message(_remedies_title(diagnosis, describe_run), within=within_percent).text(),
                headings,
                remedies,
            )
        )
    return report_tables


def _remedies_title(diagnosis: Diagnosis, describe_run: bool) -> str:
    """What the remedies are about: one change each, and where no rate converges as asked, that besides."""
    if not diagnosis.descent.zero_grad:
        return "report.remedies_cleared"
    if diagnosis.descent.momentum >= 1:
        return "report.remedies_without_momentum"
    return "report.remedies" if describe_run else "report.remedies_beside"


def _format_short(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def diagnosis_to_dict(diagnosis: Diagnosis, lang: str | None = None) -> dict[str, Any]:
    """The diagnosis for a machine: JSON-safe, numbers that are not finite as None."""
    problem, descent, forecast = diagnosis.problem, diagnosis.descent, diagnosis.forecast
    with use_language(lang or current_language()):
        content = {
            "schema": DIAGNOSIS_SCHEMA,
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
            "loss": None if diagnosis.cost is None else diagnosis.cost * diagnosis.cost_scale,
            "least_cost": diagnosis.least_cost,
            "goal": dict(zip(problem.parameters, diagnosis.goal.tolist(), strict=True)),
            "condition": diagnosis.condition,
            "slowest": _direction_to_dict(diagnosis.slowest),
            "fastest": _direction_to_dict(diagnosis.fastest),
            "rates": [
                {
                    "name": rate.name,
                    "lr": rate.lr,
                    "momentum": rate.momentum,
                    "epochs": rate.epochs,
                    "shown": rate.lr_text,
                    "shown_momentum": rate.momentum_text,
                }
                for rate in diagnosis.rates.values()
            ],
            "remedies": [
                {("shown" if name == "lr_text" else name): value for name, value in vars(remedy).items()}
                for remedy in diagnosis.remedies
            ],
            "findings": [
                {
                    "name": finding.name,
                    "weight": finding.severity.value,
                    "about": finding.topic,
                    "text": " ".join(map(str, finding.messages)),
                    "advice": finding.advice,
                    "evidence": dict(finding.numbers),
                    "source": finding.reference,
                }
                for finding in diagnosis.findings
            ],
            "validation": None if diagnosis.validation is None else diagnosis.validation.to_dict(),
            "curve": None
            if diagnosis.curve is None
            else {"updates": diagnosis.curve.updates.tolist(), "cost": diagnosis.curve.cost.tolist()},
            "notices": problem.notices,
        }
        json_content: dict[str, Any] = to_json_types(content)
    return json_content


def _direction_to_dict(direction: Direction | None) -> dict[str, Any] | None:
    if direction is None:
        return None
    return {
        "factor": direction.factor,
        "gap": direction.one_minus_factor,
        "curvature": direction.curvature,
        "columns": direction.columns,
        "name": direction.name,
    }
