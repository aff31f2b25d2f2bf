"""The four conventions for a cost, and the one number in which they differ."""

from __future__ import annotations

from descentlab.errors import one_of

# The factor c in gradient = c X'(Xw - y), as multiples of (1 / total weight, 1).
CONVENTIONS = {"mean": (2.0, 0.0), "half_mean": (1.0, 0.0), "sum": (0.0, 2.0), "half_sum": (0.0, 1.0)}


def gradient_factor(reduction: str, weight: float) -> float:
    """The c in ``gradient = c X'(Xw - y)``: the one number in which the conventions differ.

    ``mean`` 2/n, ``half_mean`` 1/n, ``sum`` 2, ``half_sum`` 1, with n the total weight of the rows. The same
    ``lr * c`` gives the same trajectory.
    """
    per_weight, plain = CONVENTIONS[one_of("reduction", reduction, CONVENTIONS)]
    return per_weight / weight + plain
