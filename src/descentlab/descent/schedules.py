"""Learning-rate schedules: what multiplies lr in each epoch, in closed form, named as in ``torch.optim``.

A schedule is any function from updates already made (an integer array) to multipliers; these are the usual
ones, written so that they can be printed and given on a command line, as in ``step:30:0.1``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from descentlab.errors import SettingError, finite_number, whole_number
from descentlab.typing import Array, Integers

Schedule = Callable[[Any], Any]


class Named:
    """A schedule of this module; printed as :func:`parse` reads it."""

    def __str__(self) -> str:
        numbers = (getattr(self, each.name) for each in fields(self))  # type: ignore[arg-type]
        return ":".join([type(self).__name__.lower(), *(f"{number:g}" for number in numbers)])


@dataclass(frozen=True)
class Step(Named):
    """``gamma ** (k // size)``: ``torch.optim.lr_scheduler.StepLR``."""

    size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        whole_number("size", self.size, 1)

    def __call__(self, k: Any) -> Any:
        return float(self.gamma) ** (np.asarray(k) // self.size)


@dataclass(frozen=True)
class Exponential(Named):
    """``gamma ** k``: ``torch.optim.lr_scheduler.ExponentialLR``."""

    gamma: float

    def __call__(self, k: Any) -> Any:
        return self.gamma ** np.asarray(k, dtype=np.float64)


@dataclass(frozen=True)
class Cosine(Named):
    """``least + (1 - least) (1 + cos(pi k / epochs)) / 2``: ``CosineAnnealingLR``, which rises again after."""

    epochs: int
    least: float = 0.0

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)

    def __call__(self, k: Any) -> Any:
        part = np.asarray(k, dtype=np.float64) / self.epochs
        return self.least + (1 - self.least) * (1 + np.cos(np.pi * part)) / 2


@dataclass(frozen=True)
class Linear(Named):
    """From ``first`` to ``last`` over ``epochs``, then constant: ``torch.optim.lr_scheduler.LinearLR``."""

    epochs: int
    first: float = 1 / 3
    last: float = 1.0

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)

    def __call__(self, k: Any) -> Any:
        return self.first + (self.last - self.first) * np.minimum(np.asarray(k, dtype=np.float64) / self.epochs, 1.0)


@dataclass(frozen=True)
class Inverse(Named):
    """``1 / (1 + decay * k)``: the rate of Robbins and Monro (1951), the classical one for mini-batches."""

    decay: float

    def __call__(self, k: Any) -> Any:
        return 1.0 / (1.0 + self.decay * np.asarray(k, dtype=np.float64))


NAMED = {"step": Step, "exponential": Exponential, "cosine": Cosine, "linear": Linear, "inverse": Inverse}


def parse(text: str) -> Schedule:
    """A schedule from its name and numbers, such as ``step:30:0.1`` or ``cosine:200``.

    Raises:
        SettingError: no such schedule, or not its numbers; the message shows every form.
    """
    name, *given = text.split(":")
    kind = NAMED.get(name)
    if kind is None or len(given) > len(fields(kind)):
        raise SettingError("schedule", given=text, forms=forms())
    values: list[float] = []
    for field, value in zip(fields(kind), given, strict=False):
        try:
            number = float(value)
        except ValueError as cause:
            raise SettingError("schedule", given=text, forms=forms()) from cause
        label = f"schedule {name} {field.name}"
        values.append(whole_number(label, number, 1) if field.type == "int" else finite_number(label, number, 0.0))
    try:
        schedule: Schedule = kind(*values)
    except TypeError as cause:
        raise SettingError("schedule", given=text, forms=forms()) from cause
    return schedule


def forms() -> tuple[str, ...]:
    """How each named schedule is written."""
    return tuple(":".join([name, *(field.name for field in fields(kind))]) for name, kind in NAMED.items())


def rates(lr: float, schedule: Schedule | None, k: Integers) -> Array:
    """The learning rate after k updates, for an array of k.

    Raises:
        SettingError: the schedule gives something other than finite, non-negative multipliers.
    """
    if schedule is None:
        return np.full(len(k), lr)
    try:
        with np.errstate(over="ignore"):  # what overflows is refused below
            multipliers = np.asarray(schedule(k), dtype=np.float64)
        if multipliers.shape != k.shape:
            raise TypeError("a scalar schedule")
    except (TypeError, ValueError):  # a plain function of one number, as for torch's LambdaLR
        multipliers = np.array([_multiplier(schedule(int(each))) for each in k])
    with np.errstate(over="ignore"):
        found = lr * multipliers
    if not (np.isfinite(found).all() and (found >= 0).all()):
        wrong = multipliers[~np.isfinite(found) | ~(found >= 0)][0]
        raise SettingError("schedule_values", given=repr(float(wrong)))
    return found


def _multiplier(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError) as cause:
        raise SettingError("schedule_values", given=repr(given)) from cause
