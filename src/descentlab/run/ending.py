"""How a run ended: a reason by name, its numbers, and its messages."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from descentlab.messages import Message
from descentlab.run.coefficients import CoefficientError

FIELDS_WITHOUT_NUMBER = ("reason", "messages", "furthest")
# The names of these fields in JSON and in the catalog.
STORED_NAMES = {
    "converged_epoch": "since",
    "suboptimality": "excess",
    "fraction_remaining": "left",
    "cost_ratio": "growth",
    "convergence_factor": "factor",
}


class Reason(StrEnum):
    """Why a run ended. Each has a message under ``ending.`` in the catalog. ``converged`` is about the cost."""

    CONVERGED = "converged"
    STALLED = "stalled"
    DIVERGED = "diverged"
    OVERFLOWED = "overflowed"
    OUT_OF_EPOCHS = "out_of_epochs"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Ending:
    """The end of a run.

    Attributes:
        reason: by name.
        epoch: epochs of updates made; ``cost``, ``suboptimality`` and ``gradient_norm`` are those after the last.
        converged_epoch: for ``converged``, the first recorded epoch at which the gradient was small and the cost near
            the minimum's; else None.
        cost: the mean squared error.
        least_cost: the mean squared error at the limit point of the descent.
        suboptimality: the objective minus its value at the limit point, as a mean squared error.
        fraction_remaining: ``suboptimality`` over its initial value.
        gradient_norm: the gradient's norm.
        cost_ratio: the cost over its initial value; 1 if both are 0.
        lr, lr_bound: the learning rate (under a schedule, that of the last epoch), and the one above which
            full-batch descent diverges in this reduction; None for an optimizer without a known bound.
        convergence_factor, column: by how much an epoch multiplies the error in its slowest direction, and the
            column with the largest weight in it; None if full-batch theory does not cover the run.
        coefficients_converged: whether every coefficient is within 1% of itself at the limit point, which a cost near
            its minimum does not imply; None where the limit point is not known.
        furthest: the coefficients that are not, the furthest first, at most three.
        messages: the ending in words.
    """

    reason: Reason
    epoch: int
    converged_epoch: int | None
    cost: float
    least_cost: float
    suboptimality: float
    fraction_remaining: float
    gradient_norm: float
    cost_ratio: float
    lr: float
    lr_bound: float | None
    convergence_factor: float | None
    column: str | None
    coefficients_converged: bool | None = None
    furthest: tuple[CoefficientError, ...] = ()
    messages: tuple[Message, ...] = field(default=(), repr=False)

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong: diverged, overflowed or stalled."""
        return self.reason in (Reason.DIVERGED, Reason.OVERFLOWED, Reason.STALLED)

    def text(self, lang: str | None = None) -> str:
        """The ending in words, one message a line."""
        return "\n".join(each.text(lang) for each in self.messages)

    def __str__(self) -> str:
        return self.text()

    def with_messages(self, *messages: Message) -> Ending:
        """The same ending with other messages."""
        return replace(self, messages=messages)

    def to_dict(self) -> dict[str, object]:
        """Every number and ``furthest`` as JSON-ready values; None if a number is not finite."""
        names = [field.name for field in fields(self) if field.name not in FIELDS_WITHOUT_NUMBER]
        values = {STORED_NAMES.get(name, name): getattr(self, name) for name in names}
        numbers = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        return numbers | {"furthest": [each._asdict() for each in self.furthest]}
