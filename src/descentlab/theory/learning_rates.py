"""The rates to use: the best for this start, found on the exact trajectory, beside those of the textbook.

``2 / (lambda_min + lambda_max)`` is plain descent's best rate for the worst start, and

    lr = 4 / (sqrt(lambda_max) + sqrt(lambda_min))^2,   momentum = ((sqrt(kappa) - 1) / (sqrt(kappa) + 1))^2

the best pair for the heavy ball (B. Polyak, *Some methods of speeding up the convergence of iteration methods*,
1964). A real start is hardly ever the worst one, and a nearby rate is often far faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Context, Decimal

import numpy as np

from descentlab.descent import recursion as stability
from descentlab.descent.recursion import Recursion
from descentlab.descent.residual_polynomial import Response
from descentlab.theory.full_batch import Theory
from descentlab.theory.settling_time import Aim
from descentlab.typing import Array

PLAIN = Recursion(momentum=0.0, dampening=0.0, nesterov=False)
GRID, ZOOM, ROUNDS = 32, 9, 6  # rates tried first, then around the best, and how often
BESIDE = np.geomspace(0.5, 8, 9)  # times the rate that damps a direction most, looked at where errors swing
SWINGING = 64  # of so many directions at most is the swing of errors looked at during the search
KEPT = 2  # valleys followed to their bottom
PAIRS = 14  # momentums, and rates for each, tried at once
SHORT, LONGEST = 6, 17  # digits of a rate to type in, at least, and from how many on all of them
ALIKE = 0.01  # the part of its epochs that a shortened rate may take more or less
DIGITS = 1e-7  # relative precision of the epochs that rates are compared by


@dataclass(frozen=True)
class Rate:
    """A learning rate with its momentum, and what it costs.

    Attributes:
        name: ``textbook``, ``fastest`` (without momentum), ``own_momentum``, ``heavy_ball`` or ``fastest_pair``.
        lr, momentum: in the asker's own convention.
        epochs: until the descent stays at its aim; None for never.
        shown, shown_momentum: the same to type in, with as few digits as take equally many epochs, to a hundredth.
    """

    name: str
    lr: float
    momentum: float
    epochs: int | None
    shown: str
    shown_momentum: str

    @classmethod
    def of(cls, name: str, aim: Aim, lr: float, recursion: Recursion, epochs: int | None) -> Rate:
        """The rate with its epochs, which are :meth:`Aim.settled`.

        Shown, it is rounded down, away from its bound; the momentum is rounded up, in the digits that tell it from 1:
        up is slower, and down might be beyond the bound.
        """
        momentum = recursion["momentum"]
        for digits in range(SHORT, LONGEST):
            short_lr = float(_cut(Decimal(repr(lr)), digits))
            short = float(1 - _cut(1 - Decimal(repr(momentum)), digits - 2))
            typed = aim.settled(short_lr, {**recursion, "momentum": short})
            if typed == epochs or (typed and epochs and abs(typed - epochs) <= max(1, ALIKE * epochs)):
                return cls(name, lr, momentum, epochs, typeable(short_lr), typeable(short))
        return cls(name, lr, momentum, epochs, typeable(lr), typeable(momentum))


def typeable(value: float) -> str:
    """The shortest decimal that is this float.

    >>> typeable(1.60308e-05), typeable(0.99999457), typeable(2.0)
    ('1.60308e-05', '0.99999457', '2')
    """
    return repr(value).removesuffix(".0")


def _cut(value: Decimal, digits: int) -> Decimal:
    """A number rounded towards 0, to so many digits."""
    return Context(prec=digits, rounding=ROUND_DOWN).plus(value)


def textbook(aim: Aim, largest: float, smallest: float) -> Rate:
    """Plain descent's best rate for the worst start."""
    lr = 2 / (largest + smallest)
    return Rate.of("textbook", aim, lr, PLAIN, aim.settled(lr, PLAIN))


def heavy_ball(aim: Aim, largest: float, smallest: float) -> Rate:
    """Polyak's pair: the heavy ball's best for the worst start."""
    high, low = math.sqrt(largest), math.sqrt(smallest)
    lr, recursion = 4 / (high + low) ** 2, with_momentum(((high - low) / (high + low)) ** 2)
    return Rate.of("heavy_ball", aim, lr, recursion, aim.settled(lr, recursion))


def rates_to_use(theory: Theory, aim: Aim) -> dict[str, Rate]:
    """The rates by name: those without momentum, with the asker's own, and with the best; none where nothing curves."""
    largest, smallest = theory.largest, theory.smallest
    if not smallest > 0 or not math.isfinite(largest):
        return {}
    own = theory.descent.recursion
    found = [textbook(aim, largest, smallest), fastest(aim, largest)]
    found += [fastest(aim, largest, own)] if 0 < own["momentum"] < 1 and theory.descent.is_sgd else []
    polyak = heavy_ball(aim, largest, smallest)
    found += [polyak, fastest_pair(aim, largest, polyak)]
    return {rate.name: rate for rate in found if rate is not None}


def with_momentum(momentum: float) -> Recursion:
    """The heavy ball's settings."""
    return Recursion(momentum=momentum, dampening=0.0, nesterov=False)


def fastest(aim: Aim, largest: float, recursion: Recursion = PLAIN) -> Rate | None:
    """The learning rate with which a descent with these settings is soonest at its aim, for good.

    Without momentum that is the best there is; where errors swing the epochs jump from rate to rate, and it is the
    best of the many tried. None where no rate ever is.
    """
    limit = stability.limit(**recursion)
    if limit == 0:
        return None
    limit = limit if math.isfinite(limit) else 100.0
    if not aim.curvature.size:  # there is no error to lose
        return Rate.of(_name(recursion), aim, limit / 2 / largest, recursion, 0)

    def estimate(below: Array) -> Array:
        response = aim.response(limit * (1 - below) / largest, recursion)
        smooth = recursion["momentum"] == 0 or len(aim.curvature) > SWINGING
        return aim.estimate(response, DIGITS) if smooth else aim.counts(response, DIGITS)

    below = _grid(aim, largest, limit, recursion)
    epochs = estimate(below)
    candidates: list[float] = []
    for i in _valleys(epochs):
        left, right = below[max(i - 1, 0)], below[min(i + 1, len(below) - 1)]
        best, at = float(epochs[i]), float(below[i])
        for _ in range(ROUNDS if recursion["momentum"] == 0 else ROUNDS // 2):
            points = np.union1d(np.geomspace(left, right, ZOOM), at)
            found = estimate(points)
            j = int(np.argmin(found))
            best, at = float(found[j]), float(points[j])
            left, right = float(points[max(j - 1, 0)]), float(points[min(j + 1, len(points) - 1)])
        if math.isfinite(best):
            candidates.append(at)
    exact = [(aim.settled(lr, recursion), lr) for lr in (limit * (1 - at) / largest for at in candidates)]
    done = [(count, lr) for count, lr in exact if count is not None]
    if not done:
        return None
    least, lr = min(done)
    return Rate.of(_name(recursion), aim, lr, recursion, least)


def _name(recursion: Recursion) -> str:
    return "own_momentum" if recursion["momentum"] else "fastest"


def _grid(aim: Aim, largest: float, limit: float, recursion: Recursion) -> Array:
    """How far below the bound to look, as parts of it, ascending: every decade, and where a step ends a direction.

    Below half the bound of plain descent every error shrinks the faster the larger the rate.
    """
    condition = largest / float(aim.curvature.min())
    near = max(min(0.05 / condition, 0.25), 1e-14)
    # At lr = 1 / curvature a plain step leaves nothing of that error. With momentum roots meet where it is damped most,
    # and a little above that it swings, by less than the aim, and is there sooner.
    swinging = recursion["momentum"] > 0 and len(aim.curvature) <= SWINGING
    most = stability.damped_most(**recursion) * (BESIDE if swinging else np.ones(1))
    steps = 1 - (most[:, None] * (largest / limit) / aim.curvature).ravel()
    grids = [np.geomspace(near, 0.5, GRID), steps[(steps > near) & (steps < 1)]]
    if recursion["momentum"]:
        grids += [1 - np.geomspace(1e-6, 1e-3, GRID // 4), 1 - np.geomspace(1e-3, 0.5, GRID)]
    return np.unique(np.concatenate(grids))


def _valleys(epochs: Array) -> list[int]:
    """The lowest local minima, best first."""
    padded = np.concatenate([[np.inf], epochs, [np.inf]])
    low = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]) & np.isfinite(epochs))
    return [int(i) for i in low[np.argsort(epochs[low], kind="stable")][:KEPT]]


def fastest_pair(aim: Aim, largest: float, polyak: Rate) -> Rate:
    """The learning rate and momentum with which the heavy ball is soonest at its aim: by search, so near the best.

    Searched by how far the momentum falls short of 1, and by how far the rate stays below its bound; ``polyak``, the
    textbook's pair, is what it has to beat.
    """
    if not aim.curvature.size:
        return replace(polyak, name="fastest_pair")
    shorts = (max(1 - polyak.momentum, 1e-9) / 30, 1.0)
    below = (1e-4, 1 - 1e-3)
    best = (np.inf, 0.0, 0.0)
    for _ in range(ROUNDS):
        momentum = np.repeat(1 - np.geomspace(*shorts, PAIRS), PAIRS)
        lr = np.tile(1 - np.geomspace(*below, PAIRS), PAIRS) * 2 * (1 + momentum) / largest
        found = aim.estimate(Response.of(lr[:, None] * aim.curvature, momentum[:, None]), DIGITS)
        j = int(np.argmin(found))
        best = min(best, (float(found[j]), float(lr[j]), float(momentum[j])))
        shorts = _around(1 - best[2], shorts, 1e-12, 1.0)
        below = _around(1 - best[1] * largest / (2 * (1 + best[2])), below, 1e-9, 1 - 1e-6)
    recursion = with_momentum(best[2])
    pair = Rate.of("fastest_pair", aim, best[1], recursion, aim.settled(best[1], recursion))
    swinging = 0 < best[2] < 1 and len(aim.curvature) <= SWINGING
    finer = fastest(aim, largest, recursion) if swinging else None
    done = [each for each in (polyak, pair, finer) if each is not None and each.epochs is not None] or [polyak]
    return replace(min(done, key=lambda each: each.epochs or 0), name="fastest_pair")


def _around(centre: float, ends: tuple[float, float], least: float, most: float) -> tuple[float, float]:
    """A third of the way, in decades, on both sides."""
    width = (ends[1] / ends[0]) ** (1 / 6)
    return max(centre / width, least), min(centre * width, most)
