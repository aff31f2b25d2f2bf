"""The minimum of a problem: where descent ends if it converges, read off the factor without any step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descentlab.messages import Message, format_number, message
from descentlab.messages.document import Block, Preformatted, Presentable, make_blocks, message_blocks
from descentlab.problem.spectrum import describe_null_directions
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

if TYPE_CHECKING:
    from descentlab.problem.problem import Problem


FLOAT64_DIGITS = 15.9  # a float64 holds no more


@dataclass(frozen=True, eq=False)
class Minimum(Presentable):
    """The lowest point of a problem's cost.

    Attributes:
        parameters: what the entries of ``params`` belong to: features in order, then the bias.
        params: (p,) the minimiser, in the data's units; of several, the one nearest to the start.
        cost: its mean squared error (without the ridge penalty).
        rank: how many directions the data determines.
        null_directions: for each direction it does not determine, a sentence that names the columns.
        digits: (p,) decimal digits of each entry that rounding cannot have touched, neither in the data as
            given (to the last place of a float64) nor in this computation. 0 where there are none, as for an
            entry that is 0 up to rounding.
    """

    parameters: tuple[str, ...]
    params: FloatArray
    cost: float
    rank: int
    null_directions: tuple[Message, ...]
    digits: FloatArray

    @classmethod
    def from_problem(cls, problem: Problem, start: FloatArray) -> Minimum:
        """The minimum nearest to ``start``, a vector of the descended coordinates."""
        with np.errstate(divide="ignore", invalid="ignore"):  # errors may be inf, params 0: no digits
            params, errors = _nearest_minimizer(problem, start)
            digits = -np.log10(errors / np.abs(params))
        digits = np.clip(np.nan_to_num(digits, nan=0.0), 0.0, FLOAT64_DIGITS)
        fit = problem.fit
        rank = len(params) - len(fit.dependent)
        return cls(problem.parameters, params.copy(), fit.cost, rank, describe_null_directions(problem), digits)

    @property
    def min_digits(self) -> float:
        """The digits vouched for in every entry: the least of ``digits``."""
        return float(self.digits.min())


@make_blocks.register
def _(result: Minimum) -> list[Block]:
    params = [
        message("minimum.param", name=name, value=f"{value:.10g}", digits=f"{digits:.1f}").text()
        for name, value, digits in zip(result.parameters, result.params, result.digits, strict=True)
    ]
    nearest = (message("minimum.nearest"), *result.null_directions) if result.null_directions else ()
    return [
        *message_blocks([message("minimum.cost", cost=format_number(result.cost))]),
        Preformatted("\n".join(params)),
        *message_blocks(nearest),
    ]


def _nearest_minimizer(problem: Problem, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The minimiser nearest to ``start`` in the data's units, and bounds on its errors.

    All minimisers are ``p + N c`` with N the flat directions; in the descended coordinates ``M (p + N c)`` the
    distance to ``start`` is least at ``c = -(M N)^+ (M p - start)``.
    """
    fit = problem.fit
    params, errors = fit.params[:, 0], fit.error_bounds[:, 0]
    if not fit.dependent:
        return params, errors
    M = problem.scaling.to_scaled(np.eye(len(params))).T
    norms = np.linalg.norm(M @ fit.null_space, axis=0)
    N, shifts = fit.null_space / norms, fit.error_bounds[:, 1:] / norms
    inverse = np.linalg.pinv(M @ N)
    offset = M @ params - start
    c = -inverse @ offset
    remaining_offset = offset + M @ N @ c  # orthogonal to the flat directions
    # What moves p or N moves the answer: directly, by the c that answers it, and by the turn of N against `left`.
    direct_error = errors + shifts @ np.abs(c)
    rotation_error = np.abs(N @ inverse @ inverse.T) @ (shifts.T @ np.abs(M.T @ remaining_offset))
    solution_norm = np.linalg.norm(inverse, 2) * (np.linalg.norm(M @ params) + np.linalg.norm(start))
    rounding_error = (
        4
        * UNIT_ROUNDOFF
        * len(params)
        * (np.abs(params) + np.linalg.cond(M @ N) * solution_norm * np.abs(N).sum(axis=1))
    )
    return params + N @ c, np.abs(
        np.eye(len(params)) - N @ inverse @ M
    ) @ direct_error + rotation_error + rounding_error
