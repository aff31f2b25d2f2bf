"""How a run ended: a reason by name, the numbers behind it, and the sentences that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from descentlab.messages import Message

NON_NUMERIC_FIELDS = ("reason", "messages")
# What a stored ending and the catalog call these fields.
STORED_NAMES = {
    "converged_epoch": "since",
    "suboptimality": "excess",
    "fraction_remaining": "left",
    "cost_ratio": "growth",
    "convergence_factor": "factor",
}


class Reason(StrEnum):
    """Why a run ended. Each has a sentence under ``ending.`` in the catalogue."""

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
        epoch: how many epochs of updates were made; cost, excess and gradient_norm are those after the last of them.
        converged_epoch: for ``converged``, the first recorded epoch at which the gradient was small and the cost near
        the
            minimum's; else None.
        cost: the mean squared error there.
        least_cost: the mean squared error at the point the descent was bound for.
        suboptimality: how far the objective still is above that point, as a mean squared error.
        fraction_remaining: ``suboptimality`` as a part of what it was at the start.
        gradient_norm: the gradient's norm there.
        cost_ratio: the cost there over the cost at the start; 1 where both are 0.
        lr, lr_bound: the learning rate (under a schedule, that of the last epoch), and the one above which
            full-batch descent diverges in this convention; None for an optimizer that no bound is known for.
        convergence_factor, column: what an epoch multiplies the error by in its worst direction, and the column that
            direction mostly lies along; None where full-batch theory does not cover the run.
        messages: what to tell a person.
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
    messages: tuple[Message, ...] = field(default=(), repr=False)

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong: diverged, overflowed or stalled."""
        return self.reason in (Reason.DIVERGED, Reason.OVERFLOWED, Reason.STALLED)

    def text(self, lang: str | None = None) -> str:
        """The ending in words, one sentence a line."""
        return "\n".join(each.text(lang) for each in self.messages)

    def __str__(self) -> str:
        return self.text()

    def with_messages(self, *messages: Message) -> Ending:
        """The same ending with its sentences."""
        return replace(self, messages=messages)

    def to_dict(self) -> dict[str, object]:
        """Every number for a machine: JSON-safe, with None for what is not finite."""
        names = [field.name for field in fields(self) if field.name not in NON_NUMERIC_FIELDS]
        values = {STORED_NAMES.get(name, name): getattr(self, name) for name in names}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
