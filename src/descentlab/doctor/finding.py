"""A finding: one conclusion about a run, about data, or about a watched loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from descentlab.messages import Message, message
from descentlab.messages.document import Block, Bullet, Paragraph


class Severity(StrEnum):
    """How much a finding matters."""

    PROBLEM = "problem"  # it keeps the run from its minimum
    CAUTION = "caution"  # it may mislead, or will matter next
    FACT = "fact"  # worth knowing


SEVERITY_MARKS = {Severity.PROBLEM: "✗", Severity.CAUTION: "!", Severity.FACT: "·"}
GOOD_MARK, UNKNOWN_MARK = "✓", "?"  # of what is fine, and of what could not be checked


@dataclass(frozen=True)
class Finding:
    """One conclusion of :func:`descentlab.diagnose`, of :func:`descentlab.diagnose_losses`, or of a watch.

    Attributes:
        name: a stable name such as ``diverges``. The page :attr:`docs` explains it.
        severity: how much it matters.
        messages: the verdict first, then its reason, a sentence each.
        numbers: the numbers that the sentences use, by name, in full precision.
        advice: the next step, if there is one.
        caveats: what qualifies the verdict; said after the advice.
        reference: where the theorem that it uses is proved, if it uses one.
        topic: what it is about: the ``run``, what was ``observed``, ``held_out`` rows, or the ``data``.

    >>> import descentlab as dl
    >>> finding = dl.diagnose(dl.Problem([[1.0], [2.0]], [2.0, 4.0]), lr=1.0, epochs=10).findings[0]
    >>> finding.name, finding.severity.value, finding.docs
    ('diverges', 'problem', 'src/descentlab/doctor/pages/diverges.md')
    """

    name: str
    severity: Severity
    messages: tuple[Message, ...]
    numbers: Mapping[str, object] = field(default_factory=dict)
    advice: Message | None = None
    reference: str | None = None
    topic: str = "run"
    caveats: tuple[Message, ...] = ()

    @property
    def docs(self) -> str:
        """The page that explains this finding, in the repository; ``descentlab explain NAME`` prints it."""
        return f"src/descentlab/doctor/pages/{self.name}.md"

    def text(self, lang: str | None = None) -> str:
        """The conclusion, the next step and what qualifies them, as one paragraph."""
        messages = (*self.messages, *((self.advice,) if self.advice else ()), *self.caveats)
        return " ".join(each.text(lang) for each in messages)

    def to_dict(self) -> dict[str, object]:
        """The finding as an entry of a JSON report, in the current language."""
        return {
            "name": self.name,
            "weight": self.severity.value,
            "about": self.topic,
            "text": " ".join(map(str, (*self.messages, *self.caveats))),
            "advice": self.advice,
            "evidence": dict(self.numbers),
            "source": self.reference,
        }

    def __str__(self) -> str:
        return self.text()


def make_finding(
    severity: Severity,
    name: str,
    /,
    *messages: Message,
    advice: Message | None = None,
    reference: str | None = None,
    topic: str = "run",
    caveats: tuple[Message, ...] = (),
    **numbers: object,
) -> Finding:
    """A finding of this severity; keywords other than the named ones are its numbers."""
    return Finding(name, severity, messages, numbers, advice, reference, topic, caveats)


problem_finding = partial(make_finding, Severity.PROBLEM)
caution_finding = partial(make_finding, Severity.CAUTION)
fact_finding = partial(make_finding, Severity.FACT)


def finding_bullets(findings: Iterable[Finding]) -> list[Block]:
    """The findings with their marks, as blocks of a document, in the current language."""
    return [
        Bullet(SEVERITY_MARKS[each.severity], str(message(f"weight.{each.severity}")), each.severity.value, each.text())
        for each in findings
    ]


def page_paragraph(findings: Iterable[Finding]) -> Paragraph:
    """How to read the pages of these findings."""
    return Paragraph(str(message("report.pages", names=list(dict.fromkeys(each.name for each in findings)))))


def check_bullets(checked: Sequence[Message], unchecked: Sequence[Message]) -> list[Block]:
    """What was checked and is fine, and what could not be checked, as one bullet each."""
    lists = (("checked", GOOD_MARK, checked), ("unchecked", UNKNOWN_MARK, unchecked))
    return [
        Bullet(mark, str(message(f"report.{kind}_mark")), kind, str(message(f"report.{kind}", items=list(phrases))))
        for kind, mark, phrases in lists
        if phrases
    ]
