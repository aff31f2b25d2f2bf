"""A verdict on a watched loop: its name, how much it matters, the sentences that say so, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from descentlab.doctor.finding import Weight
from descentlab.messages import Sentence


@dataclass(frozen=True)
class Verdict:
    """One conclusion.

    Attributes:
        name: what went wrong, in a word such as ``no_zero_grad``; or ``healthy``.
        level: ``problem``, ``caution`` or ``fact``.
        sentences: what was seen, and what to do.
        numbers: what the sentences rest on, by name.
    """

    name: str
    level: Weight
    sentences: tuple[Sentence, ...]
    numbers: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        """The sentences, as one paragraph."""
        return " ".join(each.text(lang) for each in self.sentences)

    def __str__(self) -> str:
        return self.text()


def problem(name: str, *sentences: Sentence, **numbers: object) -> Verdict:
    """What keeps the loop from doing what it should."""
    return Verdict(name, Weight.PROBLEM, sentences, numbers)


def caution(name: str, *sentences: Sentence, **numbers: object) -> Verdict:
    """What may be meant, and is a mistake more often."""
    return Verdict(name, Weight.CAUTION, sentences, numbers)


def fact(name: str, *sentences: Sentence, **numbers: object) -> Verdict:
    """What is worth knowing."""
    return Verdict(name, Weight.FACT, sentences, numbers)
