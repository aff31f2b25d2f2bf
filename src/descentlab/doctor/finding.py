"""A finding: one thing the doctor concludes, with its evidence, its reason, the next step and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from descentlab.messages import Message


class Severity(StrEnum):
    """How much a finding matters to the run asked about."""

    PROBLEM = "problem"  # it keeps the run from its minimum
    CAUTION = "caution"  # it may mislead, or will matter next
    FACT = "fact"  # worth knowing


@dataclass(frozen=True)
class Finding:
    """One conclusion.

    Attributes:
        name: the finding's own name; ``docs/findings/NAME.md`` explains it.
        severity: how much it matters.
        messages: the verdict and its reason, in sentences.
        evidence: the numbers it rests on, by name.
        advice: the next step, if there is one.
        reference: where its theorem is proved, if it rests on one.
        topic: what it is about: the ``run``, what was ``observed``, ``held_out`` rows, or the ``data``.
    """

    name: str
    severity: Severity
    messages: tuple[Message, ...]
    evidence: Mapping[str, object] = field(default_factory=dict)
    advice: Message | None = None
    reference: str | None = None
    topic: str = "run"

    def text(self, lang: str | None = None) -> str:
        """The conclusion and the next step, as one paragraph."""
        messages = (*self.messages, *((self.advice,) if self.advice else ()))
        return " ".join(message.text(lang) for message in messages)

    def __str__(self) -> str:
        return self.text()
