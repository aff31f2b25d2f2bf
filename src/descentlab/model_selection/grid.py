"""The rates, ridges and numbers of updates that a cross-validation tries on every training set."""

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
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

LR_FRACTIONS = (0.99, 0.9, 0.6, 0.3, 0.1, 0.03)  # of the smallest bound: the rates tried where none is given


@dataclass(frozen=True, eq=False)
class ParameterGrid:
    """The settings tried on every training set.

    Attributes:
        descent: the settings and the largest number of epochs; its rate is replaced.
        rates: those given; None tries fractions of the smallest bound.
        ridges: those tried.
        problem_options: ``bias``, ``center`` and ``standardize``, as :class:`Problem` takes them.
        user_choice: the user's rate, tried in addition to the fractions, and the user's ridge.
    """

    descent: Descent
    rates: tuple[float, ...] | None
    ridges: tuple[float, ...]
    problem_options: Mapping[str, Any]
    user_choice: tuple[float, float] | None = None

    @classmethod
    def from_arguments(
        cls, data: object, descent: Descent, lr: Any, ridge: Any, problem_options: Mapping[str, bool | None]
    ) -> ParameterGrid:
        """The grid of a cross-validation's keywords; None means the problem's own setting, if there is one.

        Raises:
            SettingError: a rate is not positive, or a grid is empty.
        """
        explicit = {name: value for name, value in {**problem_options, "ridge": ridge}.items() if value is not None}
        resolved: dict[str, Any] = _default_problem_options(data) | explicit
        ridges = _as_tuple("ridge", resolved.pop("ridge"))
        rates = None if lr is None else _as_tuple("lr", lr)
        for rate in rates or ():
            replace(descent, lr=rate)  # raises for an invalid rate before any row is read
        return cls(descent, rates, ridges, resolved)

    def make_problems(self, training: Sequence[Factor]) -> list[list[Problem]]:
        """Each training set with each ridge."""
        return [[Problem(factor, ridge=each, **self.problem_options) for each in self.ridges] for factor in training]

    def compute_lr_bounds(self, problems: Sequence[Sequence[Problem]]) -> FloatArray:
        """(k, r) the largest stable rate on each training set."""
        return np.array([[FullBatchTheory(problem, self.descent).lr_bound for problem in row] for row in problems])

    def make_descents(self, lr_bound: float) -> list[Descent]:
        """One descent for each rate; ``lr_bound`` is the smallest of :meth:`compute_lr_bounds`.

        Raises:
            SettingError: no rate was given, and there is no bound to choose one from.
        """
        rates = self._candidate_rates(lr_bound) if self.rates is None else self.rates
        return [replace(self.descent, lr=rate) for rate in rates]

    def _candidate_rates(self, lr_bound: float) -> tuple[float, ...]:
        has_lr_bound = self.descent.effective_momentum < 1 and 0 < lr_bound < np.inf
        if not has_lr_bound and self.user_choice is None:
            raise SettingError("no_lr_unbounded")
        user_rates = () if self.user_choice is None else self.user_choice[:1]
        fractions = (_round_down(fraction * lr_bound) for fraction in LR_FRACTIONS if has_lr_bound)
        return tuple(dict.fromkeys([*user_rates, *fractions]))


def _round_down(rate: float) -> float:
    """The rate rounded down to 3 digits, so that messages print it in full."""
    return float(Context(prec=3, rounding=ROUND_FLOOR).create_decimal_from_float(rate))


def _default_problem_options(data: object) -> dict[str, Any]:
    """The hypothesis and the ridge that are not given: the problem's, if there is one."""
    if not isinstance(data, Problem):
        return {"bias": True, "center": False, "standardize": False, "ridge": 0.0}
    center = data.center and not data.standardize  # which also centers
    return {"bias": data.bias, "center": center, "standardize": data.standardize, "ridge": data.ridge}


def _as_tuple(setting: str, value: Any) -> tuple[Any, ...]:
    """One value or several as a tuple."""
    values = (value,) if np.ndim(value) == 0 else tuple(value)
    if not values:
        raise SettingError("grid_empty", setting=setting)
    return values
