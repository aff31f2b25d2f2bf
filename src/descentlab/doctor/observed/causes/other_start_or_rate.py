"""What may have gone wrong around a descent: weights left over, another rate, another start.

Each hypothesis is a function of an :class:`Inquiry` that yields guesses, simulated exactly, to be held against what
was observed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from descentlab.descent.reductions import gradient_factor
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.comparison import AMONG, Guess, Inquiry
from descentlab.doctor.observed.losses import TIGHT
from descentlab.doctor.observed.rounding import Floor
from descentlab.messages import counted, sentence
from descentlab.typing import Array

TRAIL = 20_000  # updates of an earlier run among which a later start is looked for
ENOUGH = 4  # numbers from which a rate may be solved for
HALVINGS = 40  # as many digits of a rate as any loss can tell


def stale_weights(case: Inquiry) -> Iterator[Guess]:
    """Weights left over from an earlier run: the numbers go on where that one had come to."""
    if not case.settled:
        return
    updates = case.seen.updates
    runs = dict.fromkeys((case.descent.epochs * times for times in (1, 2, 3)), AMONG)
    for before, among in (runs | dict.fromkeys(_along_the_way(case), TRAIL)).items():
        params = simulation.stated(case.problem, case.descent, updates + before)
        floor = Floor.of(case.problem, case.descent, updates + before, params)
        said = sentence("observed.stale_weights", updates=counted(before, "update"))
        advice = sentence("advice.stale_weights")
        evidence, goal = {"updates_before": before}, case.theory.least_cost
        costs = case.cost(params)
        yield case.guess("stale_weights", costs, said, advice, evidence, among=among, goal=goal, floor=floor)


def _along_the_way(case: Inquiry) -> Iterator[int]:
    """After how many updates the first number seen would be printed."""
    seen = case.seen
    if not seen.finite[0] or seen.finite.sum() < 3:
        return
    most = min(max(10 * case.descent.epochs, 1000), TRAIL)
    trail = case.own(case.cost(simulation.stated(case.problem, case.descent, np.arange(1, most + 1))))
    close = np.flatnonzero(np.abs(trail - seen.losses.values[0]) <= seen.losses.halves[0] + 1e-5 * trail) + 1
    yield from (int(at - seen.updates[0]) for at in close[:8] if at > seen.updates[0])


def another_rate(case: Inquiry) -> Iterator[Guess]:
    """Another rate than the one stated: a power of ten off, or whatever the first update tells.

    What it did to the loss is a parabola in the rate, ``J(p - lr g) = J(p) - lr |g|^2 + lr^2 g'H g / 2``, whose two
    roots for the loss seen are narrowed down by the last number.
    """
    if not case.settled or case.problem.ridge or case.descent.weight_decay:
        return
    stated = case.descent.lr
    solved = _first_updates(case) if case.seen.finite.sum() >= ENOUGH else ()
    for lr in (*(stated * 10.0**power for power in (-1, 1, -2, 2, -3, 3)), *solved):
        if not 0 < lr < np.inf:
            continue
        said = sentence("observed.another_rate", acting=lr, lr=stated, times=lr / stated)
        advice, evidence = sentence("advice.another_rate_acts"), {"acting": lr, "times": lr / stated}
        goal, choice = case.theory.least_cost, {"form": case.own, "among": 100, "slack": 0.5}
        yield case.guess("another_rate", case.stated(lr=lr), said, advice, evidence, goal=goal, **choice)


def _first_updates(case: Inquiry) -> Iterator[float]:
    """The rates that give the loss seen after one update."""
    problem, descent, seen = case.problem, case.descent, case.seen
    start, scale = problem.start(descent.start), case.theory.scale
    g = problem.quadratic.gradient(start) * gradient_factor(descent.reduction, problem.weight)
    with np.errstate(over="ignore", invalid="ignore"):
        bend, fall = scale * float(np.sum((problem.quadratic.A @ g) ** 2)) / problem.weight, float(g @ g)
        before = scale * float(problem.quadratic.cost(start))
    times = 1 + descent.momentum if descent.nesterov else 1.0
    for shift in seen.shifts:
        at = np.flatnonzero((seen.epochs + shift == 1) & seen.finite)
        if not at.size or not 0 < bend < np.inf:
            continue
        value, half = float(seen.losses.values[at[0]]), float(seen.losses.halves[at[0]])
        for way in (-1.0, 1.0):
            ends = [
                (fall + way * np.sqrt(max(fall * fall - 4 * bend * (before - loss), 0.0))) / (2 * bend * times)
                for loss in (value - half, value + half)
            ]
            if min(ends) > 0 and max(ends) < np.inf:
                yield _narrowed(case, min(ends), max(ends), shift)


def _narrowed(case: Inquiry, low: float, high: float, shift: int) -> float:
    """The rate between two at which the last number seen is predicted, by halving, if it lies between."""
    last = int(np.flatnonzero(case.seen.finite)[-1])
    updates = case.seen.epochs[last : last + 1] + shift

    def above(lr: float) -> bool:
        at = case.own(case.cost(simulation.stated(case.problem, replace(case.descent, lr=lr), updates)))
        return bool(at[0] > case.seen.losses.values[last])

    at_low = above(low)
    if at_low == above(high):
        return (low + high) / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) == at_low else (low, middle)
    return (low + high) / 2


def other_start(case: Inquiry) -> Iterator[Guess]:
    """Another start: with the same features and rate every loss is ``least + sum_i k_i f_i^(2t)``, k_i >= 0.

    Said only if a third more or less of the rate would not fit as well.
    """
    seen = case.seen
    found = _fitted(case) if _fittable(case) else None
    if found is None or any(_close(case, _fitted(case, times)) for times in (0.75, 4 / 3)):
        return
    k, losses = found
    whole = np.zeros(len(seen.updates))
    whole[np.searchsorted(seen.updates, seen.epochs + seen.shifts[0])] = losses
    start_loss = float(case.own(case.problem.quadratic.cost(case.problem.start(case.descent.start))))
    said = sentence("observed.other_start", seen=float(seen.losses.values[seen.finite][0]), start_loss=start_loss)
    choice = {"form": case.own, "among": 100, "slack": 1.0}
    advice, costs = sentence("advice.other_start"), whole / case.theory.scale
    yield case.guess("other_start", costs, said, advice, _where(case, k), goal=case.theory.least_cost, **choice)


def another_start_fits(case: Inquiry) -> bool:
    """Whether some start explains every number, though it may be that other rates do so as well."""
    return _fittable(case) and _close(case, _fitted(case))


def _fittable(case: Inquiry) -> bool:
    """Whether losses are sums of powers, and there are more of them than powers."""
    plain = case.settled and not (case.descent.momentum or case.problem.ridge or case.descent.weight_decay)
    return plain and int(case.seen.finite.sum()) >= case.theory.spectrum.rank + 2


def _fitted(case: Inquiry, times: float = 1.0) -> tuple[Array, Array] | None:
    """The k_i at the first epoch seen that fit best, and the losses (m,) they give; None beyond float64.

    By non-negative least squares (C. Lawson and R. Hanson, *Solving least squares problems*, 1974, ch. 23), relative
    to what each number's rounding allows.

    Args:
        case: what is asked about.
        times: the rate is so many times the one stated.
    """
    from scipy.optimize import nnls

    seen, finite = case.seen, case.seen.finite
    curvatures = case.theory.spectrum.eigenvalues[: case.theory.spectrum.rank]
    least = float(case.own(np.array(case.theory.least_cost)))
    weights = 1 / (seen.losses.halves[finite] + TIGHT[0] * seen.losses.values[finite])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        powers = np.abs(1 - times * case.descent.lr * curvatures) ** (2.0 * (seen.epochs - seen.epochs[0])[:, None])
        columns = powers[finite] * weights[:, None]
        sizes = columns.max(axis=0, initial=0.0)
        if not np.isfinite(columns).all() or not (sizes > 0).all() or not sizes.size:
            return None
        k = nnls(columns / sizes, (seen.losses.values[finite] - least) * weights)[0] / sizes
        return k, powers @ k + least


def _close(case: Inquiry, fitted: tuple[Array, Array] | None) -> bool:
    """Whether fitted losses are the numbers seen to twice their rounding."""
    return fitted is not None and bool(case.seen.fits(fitted[1], case.seen.losses.halves).all())


def _where(case: Inquiry, k: Array) -> dict[str, object]:
    """Where the start lies, as far as losses tell: at which distances along the directions; at which points, if one."""
    distances = np.sqrt(2 * k / case.theory.spectrum.eigenvalues[: len(k)])
    found: dict[str, object] = {"distances": distances.tolist()}
    if len(case.problem.parameters) == 1:
        points = [case.theory.destination + way * distances for way in (-1.0, 1.0)]
        found["starts"] = [float(case.problem.coordinates.to_units(point)[0]) for point in points]
    return found
