"""The coefficients that have not converged: a cost near its minimum can hide them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descentlab.messages import Message, format_rounded, message
from descentlab.theory.full_batch import DEFAULT_WITHIN, FullBatchTheory
from descentlab.typing import FloatArray

MAX_NAMED_COEFFICIENTS = 3
MAX_COEFFICIENT_DIGITS = 17


class CoefficientError(NamedTuple):
    """A coefficient that is not yet where descent takes it, in the data's units."""

    name: str
    value: float
    at_minimum: float

    @property
    def message(self) -> Message:
        """Both values, with the digits that tell them apart."""
        for digits in range(3, MAX_COEFFICIENT_DIGITS):
            value, at_minimum = format_rounded(self.value, digits), format_rounded(self.at_minimum, digits)
            if value != at_minimum:
                break
        return message("coefficient.off", name=self.name, value=value, goal=at_minimum)


def furthest_coefficients(
    theory: FullBatchTheory, params: FloatArray, within: float = DEFAULT_WITHIN
) -> tuple[CoefficientError, ...]:
    """At most three coefficients that are off by more than ``within`` of themselves, the furthest first.

    Of those that are about as far off, relative to themselves, the one that moves the predictions most comes first.

    Args:
        theory: of the descent; its limit point is where the coefficients should be.
        params: (p,) scaled parameters.
        within: the tolerance.
    """
    errors, problem, factor = theory.coefficient_errors(params), theory.problem, theory.problem.factor
    values, goal = problem.scaling.to_original(params), problem.scaling.to_original(theory.limit_point)
    column_rms = np.append(np.hypot(factor.means, factor.std)[:-1], 1.0)[: len(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        order = np.lexsort((-np.abs(values - goal) * column_rms, -np.round(errors, 1)))
    return tuple(
        CoefficientError(problem.parameters[j], float(values[j]), float(goal[j])) for j in order if errors[j] > within
    )[:MAX_NAMED_COEFFICIENTS]
