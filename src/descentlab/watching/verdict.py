"""A verdict on a watched loop: its name, how much it matters, the sentences that say so, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from descentlab.doctor.finding import Severity
from descentlab.messages import Message


@dataclass(frozen=True)
class WatchFinding:
    """One conclusion.

    Attributes:
        name: what went wrong, in a word such as ``detect_no_zero_grad``; or ``progress_finding``.
        severity: ``problem_finding``, ``caution_finding`` or ``fact_finding``.
        messages: what was seen, and what to do.
        numbers: what the sentences rest on, by name.
    """

    name: str
    severity: Severity
    messages: tuple[Message, ...]
    numbers: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        """The sentences, as one paragraph."""
        return " ".join(each.text(lang) for each in self.messages)

    def __str__(self) -> str:
        return self.text()


def problem_finding(name: str, *messages: Message, **numbers: object) -> WatchFinding:
    """What keeps the loop from doing what it should."""
    return WatchFinding(name, Severity.PROBLEM, messages, numbers)


def caution_finding(name: str, *messages: Message, **numbers: object) -> WatchFinding:
    """What may be meant, and is a mistake more often."""
    return WatchFinding(name, Severity.CAUTION, messages, numbers)


def fact_finding(name: str, *messages: Message, **numbers: object) -> WatchFinding:
    """What is worth knowing."""
    return WatchFinding(name, Severity.FACT, messages, numbers)
