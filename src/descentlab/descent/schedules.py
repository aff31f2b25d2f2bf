"""Learning-rate schedules: the factor of lr in each epoch k = 0, 1, ..., in closed form, named as in ``torch.optim``.

A schedule is any function from epochs done (an integer array) to multipliers; these have a text form for the command
line, such as ``step:30:0.1``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np

from descentlab.errors import SettingError, check_float, check_int
from descentlab.typing import FloatArray, IntArray

Schedule = Callable[[Any], Any]


class ScheduleBase:
    """A schedule of this module; printed as :func:`parse_schedule` reads it."""

    def __call__(self, k: Any) -> Any:
        """The multipliers of epochs k."""
        raise NotImplementedError

    @property
    def total(self) -> float:
        """The sum of the multipliers over all epochs: how far a descent can come; inf if it has no bound."""
        return math.inf

    def __str__(self) -> str:
        name = next(name for name, schedule_class in SCHEDULES.items() if schedule_class is type(self))
        numbers = (getattr(self, each.name) for each in fields(self))  # type: ignore[arg-type]
        return ":".join([name, *(f"{number:g}" for number in numbers)])


@dataclass(frozen=True)
class StepLR(ScheduleBase):
    """``gamma ** (k // size)``: ``torch.optim.lr_scheduler.StepLR``."""

    size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_int("size", self.size, 1)

    def __call__(self, k: Any) -> Any:
        return float(self.gamma) ** (np.asarray(k) // self.size)

    @property
    def total(self) -> float:
        return self.size / (1 - self.gamma) if self.gamma < 1 else math.inf


@dataclass(frozen=True)
class ExponentialLR(ScheduleBase):
    """``gamma ** k``: ``torch.optim.lr_scheduler.ExponentialLR``."""

    gamma: float

    def __call__(self, k: Any) -> Any:
        return self.gamma ** np.asarray(k, dtype=np.float64)

    @property
    def total(self) -> float:
        return 1 / (1 - self.gamma) if self.gamma < 1 else math.inf


@dataclass(frozen=True)
class CosineAnnealingLR(ScheduleBase):
    """``least + (1 - least) (1 + cos(pi k / epochs)) / 2``: ``CosineAnnealingLR``, which rises after ``epochs``."""

    epochs: int
    min_factor: float = 0.0

    def __post_init__(self) -> None:
        check_int("epochs", self.epochs, 1)

    def __call__(self, k: Any) -> Any:
        fraction = np.asarray(k, dtype=np.float64) / self.epochs
        return self.min_factor + (1 - self.min_factor) * (1 + np.cos(np.pi * fraction)) / 2


@dataclass(frozen=True)
class LinearLR(ScheduleBase):
    """From ``start_factor`` to ``end_factor`` over ``epochs``, then constant: ``torch.optim.lr_scheduler.LinearLR``."""

    epochs: int
    start_factor: float = 1 / 3
    end_factor: float = 1.0

    def __post_init__(self) -> None:
        check_int("epochs", self.epochs, 1)

    def __call__(self, k: Any) -> Any:
        return self.start_factor + (self.end_factor - self.start_factor) * np.minimum(
            np.asarray(k, dtype=np.float64) / self.epochs, 1.0
        )

    @property
    def total(self) -> float:
        return self.start_factor * (self.epochs + 1) / 2 if self.end_factor == 0 else math.inf


@dataclass(frozen=True)
class InverseDecay(ScheduleBase):
    """``1 / (1 + decay * k)``: the rate of Robbins and Monro (1951), the classical one for mini-batches."""

    decay: float

    def __call__(self, k: Any) -> Any:
        return 1.0 / (1.0 + self.decay * np.asarray(k, dtype=np.float64))


SCHEDULES = {
    "step": StepLR,
    "exponential": ExponentialLR,
    "cosine": CosineAnnealingLR,
    "linear": LinearLR,
    "inverse": InverseDecay,
}


def parse_schedule(text: str) -> Schedule:
    """A schedule from its name and numbers, such as ``step:30:0.1`` or ``cosine:200``.

    Raises:
        SettingError: the schedule is unknown or its numbers are invalid; the message shows every form.

    >>> str(parse_schedule("step:30:0.1")), parse_schedule("step:30:0.1")([0, 29, 30]).round(12).tolist()
    ('step:30:0.1', [1.0, 1.0, 0.1])
    """
    name, *arguments = text.split(":")
    schedule_class = SCHEDULES.get(name)
    if schedule_class is None or len(arguments) > len(fields(schedule_class)):
        raise SettingError("schedule", given=text, forms=schedule_syntax())
    values: list[float] = []
    for field, value in zip(fields(schedule_class), arguments, strict=False):
        try:
            number = float(value)
        except ValueError as cause:
            raise SettingError("schedule", given=text, forms=schedule_syntax()) from cause
        label = f"schedule {name} {field.name}"
        values.append(check_int(label, number, 1) if field.type == "int" else check_float(label, number, 0.0))
    try:
        schedule: Schedule = schedule_class(*values)
    except TypeError as cause:
        raise SettingError("schedule", given=text, forms=schedule_syntax()) from cause
    return schedule


def schedule_syntax() -> tuple[str, ...]:
    """The text form of each schedule."""
    return tuple(
        ":".join([name, *(field.name for field in fields(schedule_class))])
        for name, schedule_class in SCHEDULES.items()
    )


def learning_rates(lr: float, schedule: Schedule | None, k: IntArray) -> FloatArray:
    """(m,) learning rates after (m,) numbers of epochs k.

    Raises:
        SettingError: the schedule returns something other than finite, non-negative multipliers.
    """
    if schedule is None:
        return np.full(len(k), lr)
    try:
        with np.errstate(over="ignore"), catch_warnings():  # an overflow raises SettingError below
            simplefilter("error", DeprecationWarning)  # NumPy 1 makes one number of an array of one, and warns
            multipliers = np.asarray(schedule(k), dtype=np.float64)
        if multipliers.shape != k.shape:
            raise TypeError("a scalar schedule")
    except (TypeError, ValueError, DeprecationWarning):  # a function of one number, as for torch's LambdaLR
        multipliers = np.array([_multiplier(schedule(int(each))) for each in k])
    with np.errstate(over="ignore"):
        lrs = lr * multipliers
    if not (np.isfinite(lrs).all() and (lrs >= 0).all()):
        invalid = multipliers[~np.isfinite(lrs) | ~(lrs >= 0)][0]
        raise SettingError("schedule_values", given=repr(float(invalid)))
    return lrs


def _multiplier(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as cause:
        raise SettingError("schedule_values", given=repr(value)) from cause
