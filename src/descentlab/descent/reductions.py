"""The four reductions of squares to a cost, and the scale of their gradients."""

from __future__ import annotations

from descentlab.errors import check_choice

# The factor c in gradient = c X'(Xw - y), as multiples of (1 / total weight, 1).
REDUCTIONS = {"mean": (2.0, 0.0), "half_mean": (1.0, 0.0), "sum": (0.0, 2.0), "half_sum": (0.0, 1.0)}


def gradient_scale(reduction: str, weight: float) -> float:
    """The c in ``gradient = c X'(Xw - y)``: the only difference between the reductions.

    ``mean`` 2/n, ``half_mean`` 1/n, ``sum`` 2, ``half_sum`` 1, with n the total weight of the rows. Descents with
    equal ``lr * c`` have the same trajectory.

    >>> [gradient_scale(reduction, 10.0) for reduction in REDUCTIONS]
    [0.2, 0.1, 2.0, 1.0]
    """
    per_weight, constant = REDUCTIONS[check_choice("reduction", reduction, REDUCTIONS)]
    return per_weight / weight + constant
