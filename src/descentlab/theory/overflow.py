"""After how many updates numbers leave the range of their type, exactly, though float64 itself cannot hold them."""

from __future__ import annotations

import math

import numpy as np

from descentlab.descent.residual_polynomial import Response
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array, Flags

TYPES = ("float32", "float64")
QUANTITIES = ("weights", "gradient", "cost")
FARTHEST = 1e15  # updates; growth that takes longer is none that anyone will see
FIRST_LOOK, LONGEST_LOOK, MOST_LOOKS = 32, 1 << 14, 40  # updates looked at in one go, and how often

ROUNDS = 3  # towards the update from which on it is looked for

Overflow = dict[str, dict[str, int | None]]


def overflow(theory: Theory) -> Overflow:
    """For each type, after how many updates a weight, the gradient and the cost first leave its range.

    A weight is one in the data's units, in a loop that computes in float64: beyond the range of float32 it still
    goes on, and beyond that of float64 it does not, since a gradient that is infinite takes the weights along in the
    next update. The gradient is that of the descended coordinates, the cost in the descent's own reduction. None
    where it never happens: the descent is stable, or has no error to grow.
    """
    if not theory.diverges:
        return {kind: dict.fromkeys(QUANTITIES) for kind in TYPES}
    moving = (theory.curvature > 0) & (theory.error != 0)
    error, curvature = theory.error[moving], theory.curvature[moving]
    response = Response.of(theory.descent.lr * curvature, **theory.descent.recursion)
    directions, to_units = theory.spectrum.directions[:, moving], theory.problem.coordinates.to_units
    # Each is linear in h, so that it can be taken at a small fraction of its size.
    weights = to_units((directions * error).T), to_units(theory.destination)
    gradient = (directions * (theory.spectrum.eigenvalues[moving] * error)).T, np.zeros(len(directions))
    quadratic, scale = theory.problem.quadratic, math.sqrt(theory.scale / theory.problem.weight)
    root_of_cost = (
        scale * (quadratic.A @ (directions * error)).T,
        scale * (quadratic.A @ theory.destination - quadratic.t),
    )
    found: Overflow = {}
    for kind in TYPES:
        top = math.log(np.finfo(kind).max)
        found[kind] = {
            "weights": _first(response, *weights, top, np.inf),
            "gradient": _first(response, *gradient, top, np.inf),
            "cost": _first(response, *root_of_cost, top / 2, 2),
        }
    of_float64, gradient_at = found["float64"], found["float64"]["gradient"]
    if of_float64["weights"] is not None and gradient_at is not None:
        of_float64["weights"] = min(of_float64["weights"], gradient_at + 1)
    return found


def _first(response: Response, parts: Array, rest: Array, top: float, norm: float) -> int | None:
    """The first update after which the norm of ``h @ parts + rest`` is beyond ``exp(top)``.

    It is looked for from where errors that all pulled the same way would get there, one update after another: so many
    of them that it is exact, unless errors of all but constant size swing for millions of updates. Then it is the
    update up to which it has certainly not happened.
    """

    def beyond(updates: Array) -> Flags:
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.linalg.norm(
                response.at(updates[:, None], shrink=top) @ parts + rest * math.exp(-top), norm, axis=1
            )
        found: Flags = ~(size <= 1)
        return found

    if beyond(np.zeros(1))[0]:
        return 0
    low, count = 1.0, FIRST_LOOK
    for _ in range(ROUNDS):  # the later, the better is known what errors have come to
        low = _earliest(response, np.abs(parts), float(np.linalg.norm(rest, norm)), top, norm, low)
    for _ in range(MOST_LOOKS):
        if not low < FARTHEST:
            return None
        updates = low + np.arange(count, dtype=np.float64)
        found = np.flatnonzero(beyond(updates))
        if found.size:
            return int(updates[found[0]])
        low, count = float(updates[-1]) + 1, min(2 * count, LONGEST_LOOK)
    return int(low)


def _earliest(response: Response, parts: Array, rest: float, top: float, norm: float, low: float) -> float:
    """An update, not before ``low``, up to which no sum of these parts can be beyond ``exp(top)``.

    By a bound on h that only grows.
    """
    since = low

    def bound(t: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.linalg.norm(response.ceiling(t, top, since) @ parts, norm)) + rest * math.exp(-top)

    high = 2 * low
    while bound(high) <= 1 and high < FARTHEST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if bound(middle) > 1 else (middle, high)
    return low
