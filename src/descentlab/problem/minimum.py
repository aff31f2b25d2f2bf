"""The minimum of a problem: where descent ends if it converges, read off the factor without any step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descentlab.factor.householder import UNIT
from descentlab.messages import Sentence, sentence
from descentlab.problem.spectrum import flat_directions
from descentlab.typing import Array

if TYPE_CHECKING:
    from descentlab.problem.problem import Problem


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
        with np.errstate(divide="ignore", invalid="ignore"):  # errors may be inf, params 0: no digits
            params, errors = _nearest(problem, start)
            digits = -np.log10(errors / np.abs(params))
        digits = np.clip(np.nan_to_num(digits, nan=0.0), 0.0, MOST_DIGITS)
        fit = problem.fit
        rank = len(params) - len(fit.dependent)
        return cls(problem.parameters, params.copy(), fit.cost, rank, flat_directions(problem), digits)

    @property
    def reliable_digits(self) -> float:
        """The digits vouched for in every entry: the least of ``digits``."""
        return float(self.digits.min())

    def text(self, lang: str | None = None) -> str:
        """The minimum in words: every parameter by name, with the digits vouched for."""
        lines = [sentence("minimum.cost", cost=self.cost).text(lang)]
        for name, value, digits in zip(self.parameters, self.params, self.digits, strict=True):
            lines.append(sentence("minimum.param", name=name, value=f"{value:.10g}", digits=f"{digits:.1f}").text(lang))
        if self.flat:
            lines += [sentence("minimum.nearest").text(lang), *(direction.text(lang) for direction in self.flat)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def _nearest(problem: Problem, start: Array) -> tuple[Array, Array]:
    """The minimiser nearest to ``start`` in the data's units, and bounds on its errors.

    All minimisers are ``p + N c`` with N the flat directions; in the descended coordinates ``M (p + N c)`` the
    distance to ``start`` is least at ``c = -(M N)^+ (M p - start)``.
    """
    fit = problem.fit
    params, errors = fit.params[:, 0], fit.errors[:, 0]
    if not fit.dependent:
        return params, errors
    M = problem.coordinates.from_units(np.eye(len(params))).T
    sizes = np.linalg.norm(M @ fit.null, axis=0)
    N, shifts = fit.null / sizes, fit.errors[:, 1:] / sizes
    inverse = np.linalg.pinv(M @ N)
    away = M @ params - start
    c = -inverse @ away
    left = away + M @ N @ c  # orthogonal to the flat directions
    # What moves p or N moves the answer: directly, by the c that answers it, and by the turn of N against `left`.
    direct = errors + shifts @ np.abs(c)
    turned = np.abs(N @ inverse @ inverse.T) @ (shifts.T @ np.abs(M.T @ left))
    size = np.linalg.norm(inverse, 2) * (np.linalg.norm(M @ params) + np.linalg.norm(start))
    rounded = 4 * UNIT * len(params) * (np.abs(params) + np.linalg.cond(M @ N) * size * np.abs(N).sum(axis=1))
    return params + N @ c, np.abs(np.eye(len(params)) - N @ inverse @ M) @ direct + turned + rounded
