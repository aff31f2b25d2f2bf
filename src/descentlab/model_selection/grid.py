"""Trials: which rates and ridges every training set of a cross-validation is tried with, for how many updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Context
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError
from descentlab.factor.factor import Factor
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

FRACTIONS = (0.99, 0.9, 0.6, 0.3, 0.1, 0.03)  # of the smallest bound: the rates tried where none is given


@dataclass(frozen=True, eq=False)
class Trials:
    """What is tried on every training set.

    Attributes:
        descent: how to step and for how many epochs; its rate is replaced.
        rates: those asked for; None tries fractions of the smallest bound.
        ridges: those tried.
        hypothesis: ``bias``, ``center`` and ``standardize``, as :class:`Problem` takes them.
        own: the asker's rate and ridge: a rate to try beside the fractions, and one of the ridges.
    """

    descent: Descent
    rates: tuple[float, ...] | None
    ridges: tuple[float, ...]
    hypothesis: Mapping[str, Any]
    own: tuple[float, float] | None = None

    @classmethod
    def of(cls, data: object, descent: Descent, lr: Any, ridge: Any, hypothesis: Mapping[str, bool | None]) -> Trials:
        """What the keywords of a cross-validation ask for; of what is None, the problem's own, if there is one.

        Raises:
            SettingError: a rate is not positive, or a grid is empty.
        """
        given = {name: value for name, value in {**hypothesis, "ridge": ridge}.items() if value is not None}
        shape: dict[str, Any] = _hypothesis(data) | given
        ridges = _values("ridge", shape.pop("ridge"))
        rates = None if lr is None else _values("lr", lr)
        for rate in rates or ():
            replace(descent, lr=rate)  # which refuses what is no rate, before any row is read
        return cls(descent, rates, ridges, shape)

    def problems(self, training: Sequence[Factor]) -> list[list[Problem]]:
        """Each training set with each ridge."""
        return [[Problem(factor, ridge=each, **self.hypothesis) for each in self.ridges] for factor in training]

    def bounds(self, problems: Sequence[Sequence[Problem]]) -> Array:
        """(k, r) the largest stable rate on each training set."""
        return np.array([[Theory(problem, self.descent).lr_bound for problem in row] for row in problems])

    def descents(self, bound: float) -> list[Descent]:
        """One descent a rate.

        Args:
            bound: the smallest of :meth:`bounds`.

        Raises:
            SettingError: no rate was given, and none can be told from the bound.
        """
        rates = self._fractions(bound) if self.rates is None else self.rates
        return [replace(self.descent, lr=rate) for rate in rates]

    def _fractions(self, bound: float) -> tuple[float, ...]:
        known = self.descent.effective_momentum < 1 and 0 < bound < np.inf
        if not known and self.own is None:
            raise SettingError("no_lr_unbounded")
        own = () if self.own is None else self.own[:1]
        return tuple(dict.fromkeys([*own, *(_short(part * bound) for part in FRACTIONS if known)]))


def _short(rate: float) -> float:
    """Rounded down to 3 digits, so that it is what it is printed as."""
    return float(Context(prec=3, rounding=ROUND_FLOOR).create_decimal_from_float(rate))


def _hypothesis(data: object) -> dict[str, Any]:
    """The hypothesis and the ridge where they are not given: the problem's, if there is one."""
    if not isinstance(data, Problem):
        return {"bias": True, "center": False, "standardize": False, "ridge": 0.0}
    centred = data.center and not data.standardize  # which centres, too
    return {"bias": data.bias, "center": centred, "standardize": data.standardize, "ridge": data.ridge}


def _values(setting: str, given: Any) -> tuple[Any, ...]:
    """One value or several, as several."""
    values = (given,) if np.ndim(given) == 0 else tuple(given)
    if not values:
        raise SettingError("grid_empty", setting=setting)
    return values
