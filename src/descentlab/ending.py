"""How a run ended: a reason by name, the numbers behind it, and the sentences that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from descentlab.text import Sentence, number, sentence


NOT_NUMBERS = ("reason", "sentences")


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
        epoch: how many epochs of updates were made; for ``converged``, the first recorded epoch that met the
            tolerance.
        cost: the mean squared error there.
        least_cost: the mean squared error at the point the descent was bound for.
        excess: how far the objective still is above that point, as a mean squared error.
        left: ``excess`` as a part of what it was at the start.
        gradient_norm: the gradient's norm there.
        growth: the cost there over the cost at the start.
        lr, lr_bound: the learning rate, and the one above which full-batch descent diverges in this
            convention; None for an optimizer that no bound is known for.
        factor, column: what an epoch multiplies the error by in its worst direction, and the column that
            direction mostly lies along; None where full-batch theory does not cover the run.
        sentences: what to tell a person.
    """

    reason: Reason
    epoch: int
    cost: float
    least_cost: float
    excess: float
    left: float
    gradient_norm: float
    growth: float
    lr: float
    lr_bound: float | None
    factor: float | None
    column: str | None
    sentences: tuple[Sentence, ...] = ()

    @property
    def is_finding(self) -> bool:
        """Whether something went wrong: diverged, overflowed or stalled."""
        return self.reason in (Reason.DIVERGED, Reason.OVERFLOWED, Reason.STALLED)

    def text(self, lang: str | None = None) -> str:
        """The ending in words, one sentence a line."""
        return "\n".join(each.text(lang) for each in self.sentences)

    def __str__(self) -> str:
        return self.text()

    def numbers(self) -> dict[str, object]:
        """Every number for a machine: JSON-safe, with None for what is not finite."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in NOT_NUMBERS}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }


def rest(excess: float, at_start: float, least_cost: float) -> Sentence:
    """What is left to gain: in percent of the least possible cost, or of the start where that is 0."""
    if excess == 0 or at_start == 0:
        return sentence("ending.rest_nothing")
    if least_cost > 0 and excess > 9 * least_cost:
        return sentence("ending.rest_times", times=1 + excess / least_cost, least_cost=least_cost)
    whole, key = (least_cost, "ending.rest_above") if least_cost > 0 else (at_start, "ending.rest_left")
    return sentence(key, percent=f"{100 * excess / whole:.3g}", least_cost=least_cost)


def factor_in_words(factor: float) -> str:
    """A factor per epoch, with the digits that tell it from 1: ``1 - 6.4e-08``."""
    gap = abs(factor) - 1
    if factor == 1 or abs(gap) >= 1e-4:
        return number(factor)
    return f"{'-' if factor < 0 else ''}{'(' if factor < 0 else ''}1 {'-' if gap < 0 else '+'} {abs(gap):.2g}{')' if factor < 0 else ''}"


def words(
    reason: Reason, numbers: dict[str, object], *, slow: bool, near: bool, unbounded: bool
) -> tuple[Sentence, ...]:
    """The sentences of an ending.

    Args:
        reason: why the run ended.
        numbers: the values that the sentences name.
        slow: whether a slow direction is worth naming.
        near: whether the end is within 1 % of the minimum.
        unbounded: whether no learning rate would converge (momentum of 1 and more).
    """
    said = [sentence(f"ending.{reason}", **numbers)]
    lr, bound = float(str(numbers["lr"])), numbers["lr_bound"]
    if unbounded:
        said.append(sentence("ending.momentum_one", **numbers))
    elif isinstance(bound, float) and math.isfinite(bound) and lr > bound and numbers["factor"] is not None:
        said.append(sentence("ending.above_bound", ratio=lr / bound, half=bound / 2, **numbers))
    elif reason in (Reason.DIVERGED, Reason.OVERFLOWED):
        known = isinstance(bound, float) and math.isfinite(bound)
        said.append(sentence("ending.not_full_batch" if known else "ending.no_bound", **numbers))
    elif slow and not near:
        said.append(sentence("ending.slow", **numbers))
    return tuple(said)
