"""A rule: a pure function of an observation, with its severity and its relation to other rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from descentlab.doctor.finding import Finding, Severity
from descentlab.messages import Message, message
from descentlab.watching.rules.observation import Observation


class Evidence(NamedTuple):
    """The conclusion of a check: sentences, the next step, and the numbers in them."""

    messages: tuple[Message, ...]
    advice: Message | None
    numbers: Mapping[str, object]


def make_evidence(*messages: Message, advice: Message | None = None, **numbers: object) -> Evidence:
    """:class:`Evidence`, written as a call."""
    return Evidence(messages, advice, numbers)


@dataclass(frozen=True)
class Rule:
    """One mistake that the watch knows.

    Attributes:
        name: the name of its finding; ``doctor/pages/NAME.md`` explains it. Several rules may share a name.
        check: a pure function that returns evidence, or None where the mistake was not seen.
        severity: of its finding.
        suppresses: names of findings that follow from this one and are not reported beside it.
        min_steps: steps that it takes to tell.
        why_unchecked: returns why the check was not possible, or None where it was.
        is_exclusive: whether nothing else is reported beside this finding.
    """

    name: str
    check: Callable[[Observation], Evidence | None]
    severity: Severity = Severity.PROBLEM
    suppresses: tuple[str, ...] = ()
    min_steps: int = 1
    why_unchecked: Callable[[Observation], Message | None] = lambda observation: None
    is_exclusive: bool = False

    def evaluate(self, observation: Observation) -> Finding | None:
        """The finding of this rule, if there is one."""
        evidence = self.check(observation)
        if evidence is None:
            return None
        return Finding(self.name, self.severity, evidence.messages, evidence.numbers, evidence.advice)

    def reason_unchecked(self, observation: Observation) -> Message | None:
        """Why this rule could not be checked; None where it could."""
        if observation.steps < self.min_steps:
            return message("watch.few_steps", steps=self.min_steps)
        return self.why_unchecked(observation)
