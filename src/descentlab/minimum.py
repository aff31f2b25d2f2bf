"""The minimum of a problem: where descent ends if it converges, read off the factor without any step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.spectrum import flat_directions
from descentlab.text import Sentence, sentence

if TYPE_CHECKING:
    from descentlab.problem import Problem

Array = np.ndarray[Any, np.dtype[np.float64]]

MOST_DIGITS = 15.9  # a float64 holds no more


@dataclass(frozen=True, eq=False)
class Minimum:
    """The lowest point of a problem's cost.

    Attributes:
        parameters: what the entries of ``params`` belong to: features in order, then the bias.
        params: (p,) the minimiser, in the data's units; of several, the one nearest to the start.
        cost: its mean squared error (without the ridge penalty).
        rank: how many directions the data determines.
        flat: for each direction it does not determine, a sentence that names the columns.
        digits: (p,) decimal digits of each entry that rounding cannot have touched, neither in the data as
            given (to the last place of a float64) nor in this computation. 0 where there are none, as for an
            entry that is 0 up to rounding.
    """

    parameters: tuple[str, ...]
    params: Array
    cost: float
    rank: int
    flat: tuple[Sentence, ...]
    digits: Array

    @classmethod
    def of(cls, problem: Problem, start: Array) -> Minimum:
        """The minimum nearest to ``start``, a vector of the descended coordinates."""
        solution = problem.quadratic.minimise(start)
        params = problem.coordinates.to_units(solution.params)
        errors = np.abs(solution.errors)
        d = len(problem.features)
        errors[:d] /= problem.coordinates.scales
        if problem.bias:
            errors[d:] += np.abs(problem.coordinates.means) @ errors[:d]
        with np.errstate(divide="ignore", invalid="ignore"):
            digits = -np.log10(errors / np.abs(params))
        digits = np.clip(np.nan_to_num(digits, nan=0.0), 0.0, MOST_DIGITS)
        cost = float(problem.quadratic.cost(solution.params))
        return cls(problem.parameters, params, cost, problem.quadratic.modes.rank, flat_directions(problem), digits)

    @property
    def reliable_digits(self) -> float:
        """The digits vouched for in every entry: the least of ``digits``."""
        return float(self.digits.min())

    def text(self, lang: str | None = None) -> str:
        """The minimum in words: every parameter by name, with the digits vouched for."""
        lines = [sentence("minimum.cost", cost=self.cost).text(lang)]
        for name, value, digits in zip(self.parameters, self.params, self.digits, strict=True):
            lines.append(sentence("minimum.param", name=name, value=f"{value:.10g}", digits=f"{digits:.1f}").text(lang))
        lines += [direction.text(lang) for direction in self.flat]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()
