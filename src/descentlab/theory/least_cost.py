"""How far rounding may have moved the least cost, and what may still be said of a cost that is near it.

A cost J is within a part w of the least cost if its suboptimality ``J - least <= w * least``. Rounding of the data may
have moved both sides: the least cost by ``error``; and, with D the columns as a matrix and r and e bounds on what
rounding moves of D p* and of D relative to D, the square root of the suboptimality by ``r + e sqrt(J - least)``. So a
cost is

    surely within if      (sqrt(J - least) (1 + e) + r)^2 <= w (least - error)
    surely not within if  (sqrt(J - least) (1 - e) - r)^2 >  w (least + error)

and between the two rounding decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_UNDECIDED_PART = 0.2  # of a tolerance that rounding may leave undecided


@dataclass(frozen=True)
class LeastCost:
    """The least value of an objective, as a mean squared error, with bounds on what rounding moved.

    Attributes:
        value: the least objective.
        error: a bound on its error.
        shift: r, a bound on the error of the square root of a suboptimality near 0.
        relative_shift: e, the same relative to it.

    >>> LeastCost(2.0, 0.001, 1e-4, 1e-9).decides(0.01), LeastCost(2.0, 0.5, 1e-4, 1e-9).decides(0.01)
    (True, False)
    """

    value: float
    error: float
    shift: float
    relative_shift: float

    def sure_tolerance(self, within: float) -> float:
        """The suboptimality up to which a cost is surely within ``within`` of the least; 0 if none is."""
        root = math.sqrt(max(within * (self.value - self.error), 0.0)) - self.shift
        return max(root / (1 + self.relative_shift), 0.0) ** 2

    def possible_tolerance(self, within: float) -> float:
        """The suboptimality above which a cost is surely not within ``within`` of the least; inf if none is."""
        root = math.sqrt(within * (self.value + self.error)) + self.shift
        return (root / (1 - self.relative_shift)) ** 2 if self.relative_shift < 1 else math.inf

    def decides(self, within: float) -> bool:
        """Whether the least cost is known well enough to tell, but for a fifth of the tolerance, which costs are."""
        sure, possible = self.sure_tolerance(within), self.possible_tolerance(within)
        return sure > 0 and possible - sure <= MAX_UNDECIDED_PART * possible < math.inf

    def certain_suboptimality_digits(self, suboptimality: float) -> int:
        """How many digits of a suboptimality, as a part of the least cost, are certain; 0 where it may be 0."""
        root = math.sqrt(suboptimality)
        relative_error = 2 * (self.relative_shift + self.shift / root) if root else math.inf
        relative_error += self.error / self.value if self.value and math.isfinite(self.error) else 0.0
        return max(1 - math.ceil(math.log10(relative_error)), 0) if relative_error < 1 else 0
