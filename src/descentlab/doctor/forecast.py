"""What a descent will do: the verdict, and the numbers that it rests on, before any of it is run.

A full-batch SGD descent at a constant rate is told in closed form. A schedule, another optimizer, or gradients that
add up beside momentum are walked on the factor, where an epoch costs the same for any number of rows. Mini-batches
are beyond full-batch theory, and so many epochs may be asked for that nobody waits for the walk: the verdict says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.residual_polynomial import ROUNDING
from descentlab.engines import Engine, Look, engine_for
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory
from descentlab.theory.overflow import QUANTITIES, TYPES, Overflow, overflow
from descentlab.theory.settling_time import Aim
from descentlab.typing import Array, Integers

GONE = -20.0  # a direction whose error an epoch multiplies by less than exp of this swings no more that anyone sees
CURVE = 160  # points of a predicted curve
MOST_WALKED = 100_000  # updates that are walked one by one: some seconds
TREND = 16  # updates from which an optimizer whose steps have a size of their own can be said to run away


class Verdict(StrEnum):
    """What becomes of a run."""

    DIVERGES = "diverges"
    TOO_SLOW = "too slow"
    MONOTONE = "converges-monotone"
    OSCILLATING = "converges-oscillating"
    UNKNOWN = "cannot tell"

    @property
    def converges(self) -> bool:
        return self in (Verdict.MONOTONE, Verdict.OSCILLATING)

    @property
    def fails(self) -> bool:
        """Whether the run will not be at the minimum."""
        return self in (Verdict.DIVERGES, Verdict.TOO_SLOW)


@dataclass(frozen=True, eq=False)
class Curve:
    """The mean squared error after some numbers of updates; inf beyond the range of float64."""

    updates: Integers
    cost: Array


@dataclass(frozen=True, eq=False)
class Forecast:
    """What will become of one descent.

    Attributes:
        verdict: in a word.
        oscillates: whether errors change sides on their way; None where that is not known.
        epochs_to_tolerance: the number of updates from which on it stays at its aim; None for never, or not within
            the epochs asked for where the descent had to be walked.
        params: (p,) after its last update, in the data's units; None where that is not known or no number.
        cost: the mean squared error there.
        near: whether it is then at its aim.
        overflow: after how many updates which quantity leaves the range of which type, however late.
        curve: the predicted cost.
        closed_form: whether all this comes without a single step.
        walked: the updates that were walked, if fewer than were asked for.
    """

    verdict: Verdict
    oscillates: bool | None = None
    epochs_to_tolerance: int | None = None
    params: Array | None = None
    cost: float | None = None
    near: bool | None = None
    overflow: Overflow | None = None
    curve: Curve | None = None
    closed_form: bool = False
    walked: int | None = None


def forecast(theory: Theory, aim: Aim, within: float) -> Forecast:
    """What will become of the descent that a theory is about."""
    descent, problem = theory.descent, theory.problem
    if descent.batch_size is not None:
        return Forecast(Verdict.UNKNOWN)
    if descent.foreseeable and descent.schedule is None:
        return _closed(theory, aim)
    engine = engine_for("exact" if descent.foreseeable else "replay", problem, descent)
    if engine.jumps or descent.epochs <= MOST_WALKED:
        return _walked(theory, engine, within)
    beginning = replace(theory, descent=replace(descent, epochs=MOST_WALKED))
    found = _walked(beginning, engine, within)
    if found.verdict is Verdict.DIVERGES:
        return found
    return replace(found, verdict=Verdict.UNKNOWN, epochs_to_tolerance=None, near=None, walked=MOST_WALKED)


def whole_batch(problem: Problem, descent: Descent) -> Descent:
    """The descent without its batch size where a batch holds every row once: that is full-batch descent."""
    size = descent.batch_size
    whole = size is not None and size >= problem.n and not descent.replacement
    return replace(descent, batch_size=None) if whole else descent


def _closed(theory: Theory, aim: Aim) -> Forecast:
    descent = theory.descent
    response = aim.response(descent.lr, descent.recursion)
    updates = np.array([[descent.epochs]])
    near = not bool(aim.outside(response.at(updates))[0])
    # Without swinging it changes sides once at most: where torch does not dampen the first update.
    passed = ~response.swings & (response.at(updates, shrink=updates * response.log) < 0)
    swinging = bool(((response.swings & (response.log > GONE)) | passed).any())
    settled = None if theory.diverges else aim.settled(descent.lr, descent.recursion)
    verdict = Verdict.OSCILLATING if swinging else Verdict.MONOTONE
    if theory.diverges:
        verdict = Verdict.DIVERGES
    elif not near or settled is None:
        verdict = Verdict.TOO_SLOW
    params, cost = _after(theory, descent)
    sampled = _sampled(descent.epochs)
    return Forecast(
        verdict,
        swinging,
        settled,
        params,
        cost,
        near,
        overflow(theory),
        Curve(sampled, theory.cost_after(sampled)),
        closed_form=True,
    )


def _after(theory: Theory, descent: Descent) -> tuple[Array | None, float | None]:
    """Parameters in the data's units and the cost after the last update, as the exact engine has them.

    Where only rounding could grow, without it.
    """
    if theory.unstable and not theory.diverges:
        end = np.array([descent.epochs])
        params = theory.problem.coordinates.to_units(theory.params_after(end)[0])
        return _finite(params, float(theory.cost_after(end)[0]))
    engine = engine_for("exact", theory.problem, descent)
    engine.start(theory.problem, descent)
    look = next(iter(engine.visit([descent.epochs + 1])))
    with np.errstate(over="ignore", invalid="ignore"):
        params = theory.problem.coordinates.to_units(look.params[0])
    return _finite(params, float(look.cost[0]))


def _finite(params: Array, cost: float) -> tuple[Array | None, float | None]:
    return params if np.isfinite(params).all() else None, cost if math.isfinite(cost) else None


def _sampled(epochs: int) -> Integers:
    """Numbers of updates from 0 to ``epochs``: each at first, then evenly spread by their logarithm."""
    spread = np.round(np.geomspace(1, epochs, CURVE)).astype(np.int64)
    dense = np.arange(min(CURVE // 4, epochs) + 1)
    return np.union1d(dense, spread)


def _walked(theory: Theory, engine: Engine, within: float) -> Forecast:
    """A descent without closed form, walked on the factor to its last update."""
    problem, descent = theory.problem, theory.descent
    engine.start(problem, descent)
    updates = _sampled(descent.epochs)
    costs, last_outside, done = [], -1, 0
    found: Overflow = {kind: dict.fromkeys(QUANTITIES) for kind in TYPES}
    rose, previous, look = False, math.inf, None
    for look in engine.visit(range(1, descent.epochs + 2)):
        outside = np.flatnonzero(~theory.near(look.params, within))
        last_outside = done + int(outside[-1]) if outside.size else last_outside
        wanted = updates[(updates >= done) & (updates < done + len(look.cost))] - done
        costs.append(look.cost[wanted])
        rose |= bool((look.cost > np.append(previous, look.cost[:-1]) * (1 + 1e-12)).any())
        previous = float(look.cost[-1])
        _note_overflow(found, theory, look, done)
        done += len(look.cost)
        if not math.isfinite(previous):
            break
    assert look is not None
    curve = Curve(
        updates[: sum(map(len, costs))], np.where(np.isnan(np.concatenate(costs)), np.inf, np.concatenate(costs))
    )
    near = last_outside < done - 1
    with np.errstate(over="ignore", invalid="ignore"):
        params, cost = _finite(problem.coordinates.to_units(look.params[-1]), float(look.cost[-1]))
    growing = theory.accumulating
    if cost is None or (growing > 1 + ROUNDING if growing else not near and _runs_away(theory, curve)):
        verdict = Verdict.DIVERGES
    elif not near or growing > 1 - ROUNDING:
        verdict = Verdict.TOO_SLOW
    else:
        verdict = Verdict.OSCILLATING if rose else Verdict.MONOTONE
    near_for_good = near and not growing > 1 - ROUNDING
    settled = last_outside + 1 if near_for_good else None
    return Forecast(verdict, rose, settled, params, cost, near, found, curve)


def _runs_away(theory: Theory, curve: Curve) -> bool:
    """Whether the cost ends as high as it ever was, above that of the start and of zero parameters.

    An optimizer whose steps do not shrink with the gradient may pass the minimum and turn: there it has to have risen
    for a while, and to have doubled meanwhile.
    """
    problem, descent = theory.problem, theory.descent
    first = max(float(curve.cost[0]), float(problem.quadratic.cost(np.zeros(len(problem.parameters)))))
    last, later = float(curve.cost[-1]), curve.cost[len(curve.cost) // 2 :]
    if not last > first or last < later.max() * (1 - 1e-9):
        return False
    return descent.is_sgd or (descent.epochs >= TREND and last > 2 * float(later[0]) and last > 2 * first)


def _note_overflow(found: Overflow, theory: Theory, look: Look, done: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.abs(theory.problem.coordinates.to_units(look.params)).max(axis=1)
    for kind in TYPES:
        top = float(np.finfo(kind).max)
        for name, size in (("weights", weights), ("gradient", look.gradient_norm), ("cost", theory.scale * look.cost)):
            beyond = np.flatnonzero(~(size <= top))
            if beyond.size and found[kind][name] is None:
                found[kind][name] = done + int(beyond[0])
