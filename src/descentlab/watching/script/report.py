"""What the watch on one loop of a script has found, without a reference to its model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from descentlab.messages import to_json_types
from descentlab.watching.watch import Watch


@dataclass
class LoopReport:
    """The report on one loop.

    Attributes:
        place: the file and line where its optimizer was created; empty if that is not a file of the script's folder.
        model, optimizer: the names of their classes; of tensors that no module holds, their own names.
        steps: the updates made.
        names: what is wrong; empty for a healthy loop.
        findings: every finding, as in the other JSON reports.
        passed: the names of findings that were checked and not found.
        unchecked: why others could not be checked, by name.
        text: the report in words.
        count: how many loops this one describes: later ones from the same line with the same names are only counted.
    """

    place: str
    model: str
    optimizer: str
    steps: int
    names: tuple[str, ...]
    findings: list[dict[str, Any]]
    passed: tuple[str, ...]
    unchecked: dict[str, str]
    text: str
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The report in the types of JSON."""
        content: dict[str, Any] = to_json_types(asdict(self))
        return content


def make_report(watch: Watch, place: str) -> LoopReport:
    """The report on a watch that has ended, in the current language."""
    seen = watch.observation
    return LoopReport(
        place,
        seen.model_class,
        seen.optimizer_class,
        seen.steps,
        watch.names,
        to_json_types([each.to_dict() for each in watch.findings]),
        watch.passed,
        {name: reason.text() for name, reason in watch.unchecked.items()},
        watch.text(),
    )


def add_report(reports: list[LoopReport], report: LoopReport) -> None:
    """Add a report, or count it with one from the same line that names the same."""
    for each in reports:
        if (each.place, each.names, each.optimizer) == (report.place, report.names, report.optimizer):
            each.count += 1
            return
    reports.append(report)
