"""The minimum of a problem, read off the factor without any step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_UP, Context

import numpy as np

from descentlab.messages import Message, message
from descentlab.messages.document import Block, Preformatted, make_blocks, message_blocks
from descentlab.problem.least_squares import Fit
from descentlab.problem.regression import Regression
from descentlab.problem.scaling import Scaling
from descentlab.problem.statistics import Statistics
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

FLOAT64_DIGITS = 15.9  # the decimal digits of a float64
MAX_CERTAIN_DIGITS = math.floor(FLOAT64_DIGITS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Minimum(Statistics):
    """The parameters of least cost, ``argmin_p J(p)``, with certified digits and the :class:`Statistics` of the fit.

    Where several parameter vectors have the least cost it is the one nearest to the start, which is the one that
    descent converges to.

    Attributes:
        parameters: the names of the entries of ``params``: features in order, then the bias.
        params: (p,) in the data's units.
        cost: the mean squared error there, without the ridge penalty.
        cost_error: a bound on its error, as ``digits`` bounds that of the parameters.
        rank: the number of directions that the data determines.
        null_directions: for each direction that it does not determine, a message that names its columns.
        digits: (p,) how many decimal digits of each entry are certain: rounding cannot have changed them, neither
            in the data as given (to the last place of a float64) nor in this computation. 0 for an entry that is 0
            up to rounding.

    >>> import descentlab as dl
    >>> minimum = dl.Problem([[1.0], [2.0], [3.0]], [3.0, 5.0, 7.0]).solve()
    >>> minimum.params.round(9), minimum.rank, minimum.min_digits > 13
    (array([2., 1.]), 2, True)
    """

    cost: float
    cost_error: float
    rank: int
    null_directions: tuple[Message, ...]
    digits: FloatArray

    @classmethod
    def from_regression(
        cls, regression: Regression, scaling: Scaling, parameters: tuple[str, ...], start: FloatArray
    ) -> Minimum:
        """The minimum nearest to ``start``, a vector of scaled parameters."""
        fit = regression.fit
        with np.errstate(divide="ignore", invalid="ignore"):  # errors may be inf, params 0: no digits
            params, errors = _nearest_minimizer(fit, scaling, start)
            digits = -np.log10(errors / np.abs(params))
        digits = np.clip(np.nan_to_num(digits, nan=0.0), 0.0, FLOAT64_DIGITS)
        rank = len(params) - len(fit.dependent)
        null_directions = fit.describe_null_space(parameters, scaling.bias)
        return cls(
            regression=regression,
            parameters=parameters,
            params=params.copy(),
            cost=fit.cost,
            cost_error=fit.cost_error,
            rank=rank,
            null_directions=null_directions,
            digits=digits,
        )

    @property
    def min_digits(self) -> float:
        """The certain digits of every entry: the least of ``digits``."""
        return float(self.digits.min())


@make_blocks.register
def _(result: Minimum) -> list[Block]:
    params = [
        message("minimum.param", name=name, value=f"{value:.10g}", digits=f"{digits:.1f}").text()
        for name, value, digits in zip(result.parameters, result.params, result.digits, strict=True)
    ]
    nearest = (message("minimum.nearest"), *result.null_directions) if result.null_directions else ()
    return [
        *message_blocks([describe_cost(result.cost, result.cost_error)]),
        Preformatted("\n".join(params)),
        *message_blocks(nearest),
    ]


def describe_cost(cost: float, error: float) -> Message:
    """The least cost in the digits that are certain, at most six; where none is, what it is at most."""
    if math.isinf(error):
        return message("minimum.cost_unknown")
    if error > 0 and error >= cost / 2:
        upper_bound = Context(prec=2, rounding=ROUND_UP).create_decimal_from_float(cost + error)
        return message("minimum.cost_is_rounding", cost=f"{float(upper_bound):.2g}")
    return message("minimum.cost", cost=format_to_certain_digits(cost, error))


def certain_digits(value: float, error: float) -> int:
    """How many digits of a positive value an error of at most ``error`` leaves certain, at least 0.

    >>> certain_digits(2.0, 0.001), certain_digits(9.2e-15, 1.3e-16), certain_digits(1.0, 3.0)
    (4, 2, 0)
    """
    if not error > 0 or not value > 0:
        return MAX_CERTAIN_DIGITS if not error > 0 else 0
    return min(MAX_CERTAIN_DIGITS, max(1 - math.ceil(math.log10(error / value)), 0)) if math.isfinite(error) else 0


def format_to_certain_digits(value: float, error: float, digits: int = 6) -> str:
    """A value in its certain digits, at least one and at most ``digits``."""
    return f"{value:.{max(min(digits, certain_digits(value, error)), 1)}g}"


def _nearest_minimizer(fit: Fit, scaling: Scaling, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The minimizer nearest to ``start`` in the data's units, and bounds on its errors.

    The minimizers are ``p + N c`` with N the flat directions; in the scaled parameters ``M (p + N c)`` the distance
    to ``start`` is least at ``c = -(M N)^+ (M p - start)``.
    """
    params, errors = fit.params[:, 0], fit.error_bounds[:, 0]
    if not fit.dependent:
        return params, errors
    M = scaling.to_scaled(np.eye(len(params))).T
    norms = np.linalg.norm(M @ fit.null_space, axis=0)
    N, shifts = fit.null_space / norms, fit.error_bounds[:, 1:] / norms
    inverse = np.linalg.pinv(M @ N)
    offset = M @ params - start
    c = -inverse @ offset
    remaining = offset + M @ N @ c  # orthogonal to the flat directions
    # An error in p or N changes the answer directly, through c, and by turning N against what remains.
    direct_error = errors + shifts @ np.abs(c)
    rotation_error = np.abs(N @ inverse @ inverse.T) @ (shifts.T @ np.abs(M.T @ remaining))
    solution_norm = np.linalg.norm(inverse, 2) * (np.linalg.norm(M @ params) + np.linalg.norm(start))
    magnitude = np.abs(params) + np.linalg.cond(M @ N) * solution_norm * np.abs(N).sum(axis=1)
    projected_error = np.abs(np.eye(len(params)) - N @ inverse @ M) @ direct_error
    return params + N @ c, projected_error + rotation_error + 32 * UNIT_ROUNDOFF * len(params) * magnitude
