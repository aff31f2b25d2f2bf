"""The four conventions for a cost, and the one number in which they differ."""

from __future__ import annotations

from descentlab.errors import check_choice

# The factor c in gradient = c X'(Xw - y), as multiples of (1 / total weight, 1).
REDUCTIONS = {"mean": (2.0, 0.0), "half_mean": (1.0, 0.0), "sum": (0.0, 2.0), "half_sum": (0.0, 1.0)}


def gradient_scale(reduction: str, weight: float) -> float:
    """The c in ``gradient = c X'(Xw - y)``: the one number in which the conventions differ.

    ``mean`` 2/n, ``half_mean`` 1/n, ``sum`` 2, ``half_sum`` 1, with n the total weight of the rows. The same
    ``lr * c`` gives the same trajectory.
    """
    per_weight, constant = REDUCTIONS[check_choice("reduction", reduction, REDUCTIONS)]
    return per_weight / weight + constant
