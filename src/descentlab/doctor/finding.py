"""A finding: one conclusion about a run, about data, or about a watched loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from descentlab.messages import Message


class Severity(StrEnum):
    """How much a finding matters."""

    PROBLEM = "problem"  # it keeps the run from its minimum
    CAUTION = "caution"  # it may mislead, or will matter next
    FACT = "fact"  # worth knowing


SEVERITY_MARKS = {Severity.PROBLEM: "✗", Severity.CAUTION: "!", Severity.FACT: "·"}


@dataclass(frozen=True)
class Finding:
    """One conclusion of :func:`descentlab.diagnose`, of :func:`descentlab.diagnose_losses`, or of a watch.

    Attributes:
        name: a stable name such as ``diverges``. The page :attr:`docs` explains it.
        severity: how much it matters.
        messages: the verdict first, then its reason, a sentence each.
        numbers: the numbers that the sentences use, by name, in full precision.
        advice: the next step, if there is one.
        reference: where the theorem that it uses is proved, if it uses one.
        topic: what it is about: the ``run``, what was ``observed``, ``held_out`` rows, or the ``data``.

    >>> import descentlab as dl
    >>> finding = dl.diagnose(dl.Problem([[1.0], [2.0]], [2.0, 4.0]), lr=1.0, epochs=10).findings[0]
    >>> finding.name, finding.severity.value, finding.docs
    ('diverges', 'problem', 'docs/findings/diverges.md')
    """

    name: str
    severity: Severity
    messages: tuple[Message, ...]
    numbers: Mapping[str, object] = field(default_factory=dict)
    advice: Message | None = None
    reference: str | None = None
    topic: str = "run"

    @property
    def docs(self) -> str:
        """The page that explains this finding, in the repository."""
        return f"docs/findings/{self.name}.md"

    def text(self, lang: str | None = None) -> str:
        """The conclusion and the next step, as one paragraph."""
        messages = (*self.messages, *((self.advice,) if self.advice else ()))
        return " ".join(message.text(lang) for message in messages)

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
    **numbers: object,
) -> Finding:
    """A finding of this severity, written as a call; the keywords that are left are its numbers."""
    return Finding(name, severity, messages, numbers, advice, reference, topic)


problem_finding = partial(make_finding, Severity.PROBLEM)
caution_finding = partial(make_finding, Severity.CAUTION)
fact_finding = partial(make_finding, Severity.FACT)
