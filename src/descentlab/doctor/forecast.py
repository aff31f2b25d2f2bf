"""What a descent will do: the verdict, and the numbers that it rests on, before any of it is run.

A full-batch SGD descent at a constant rate is told in closed form. A schedule, another optimizer, or gradients that
add up beside momentum are walked on the factor, where an epoch costs the same for any number of rows. Mini-batches
are beyond full-batch theory, and the verdict says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from descentlab.arrays import Array, Integers
from descentlab.descent import Descent
from descentlab.doctor.aim import Aim
from descentlab.doctor.overflow import QUANTITIES, TYPES, Overflow, overflow
from descentlab.engines import Engine, Look, engine_for
from descentlab.problem import Problem
from descentlab.response import Response
from descentlab.theory import Theory

ROUNDING = 1e-13  # a factor no further beyond 1 is 1, as far as float64 can tell
GONE = -20.0  # a direction whose error an epoch multiplies by less than exp of this swings no more that anyone sees
CURVE = 160  # points of a predicted curve


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


def forecast(theory: Theory, aim: Aim, within: float) -> Forecast:
    """What will become of the descent that a theory is about."""
    descent, problem = theory.descent, theory.problem
    if descent.batch_size is not None:
        return Forecast(Verdict.UNKNOWN)
    if descent.foreseeable and descent.schedule is None:
        return _closed(theory, aim)
    return _walked(theory, engine_for("exact" if descent.foreseeable else "replay", problem, descent), within)


def whole_batch(problem: Problem, descent: Descent) -> Descent:
    """The descent without its batch size where a batch holds every row: that is full-batch descent."""
    size = descent.batch_size
    return replace(descent, batch_size=None) if size is not None and size >= problem.n else descent


def _closed(theory: Theory, aim: Aim) -> Forecast:
    descent = theory.descent
    response = aim.response(descent.lr, descent.recursion)
    diverges = bool(np.abs(theory.factors).max() > 1 + ROUNDING)
    near = not bool(aim.outside(response.at(np.array([[descent.epochs]])))[0])
    swinging = bool((response.swings & (response.log > GONE)).any())
    verdict = Verdict.OSCILLATING if swinging else Verdict.MONOTONE
    if diverges or not near:
        verdict = Verdict.DIVERGES if diverges else Verdict.TOO_SLOW
    params, cost = _after(theory, descent)
    return Forecast(
        verdict,
        swinging,
        None if diverges else aim.settled(descent.lr, descent.recursion),
        params,
        cost,
        near,
        overflow(theory),
        _curve(theory, descent.epochs),
        closed_form=True,
    )


def _after(theory: Theory, descent: Descent) -> tuple[Array | None, float | None]:
    """Parameters in the data's units and the cost after the last update, as the exact engine has them."""
    engine = engine_for("exact", theory.problem, descent)
    engine.start(theory.problem, descent)
    look = next(iter(engine.visit([descent.epochs + 1])))
    with np.errstate(over="ignore", invalid="ignore"):
        params = theory.problem.coordinates.to_units(look.params[0])
    return _finite(params, float(look.cost[0]))


def _finite(params: Array, cost: float) -> tuple[Array | None, float | None]:
    return params if np.isfinite(params).all() else None, cost if math.isfinite(cost) else None


def _curve(theory: Theory, epochs: int) -> Curve:
    updates = _sampled(epochs)
    h = Response.of(theory.descent.lr * theory.curvature, **theory.descent.recursion).at(updates[:, None])
    with np.errstate(over="ignore", invalid="ignore"):
        moved = np.where(theory.error == 0, 0.0, h * theory.error)
        cost = theory.problem.quadratic.cost(theory.destination + moved @ theory.spectrum.directions.T)
    return Curve(updates, np.where(np.isnan(cost), np.inf, cost))


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
    first = max(float(curve.cost[0]), float(problem.quadratic.cost(np.zeros(len(problem.parameters)))))
    later = curve.cost[len(curve.cost) // 2 :]
    if cost is None or (not near and cost > first and cost >= later.max() * (1 - 1e-9)):
        verdict = Verdict.DIVERGES
    elif not near:
        verdict = Verdict.TOO_SLOW
    else:
        verdict = Verdict.OSCILLATING if rose else Verdict.MONOTONE
    settled = last_outside + 1 if near else None
    return Forecast(verdict, rose, settled, params, cost, near, found, curve)


def _note_overflow(found: Overflow, theory: Theory, look: Look, done: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.abs(theory.problem.coordinates.to_units(look.params)).max(axis=1)
    for kind in TYPES:
        top = float(np.finfo(kind).max)
        for name, size in (("weights", weights), ("gradient", look.gradient_norm), ("cost", theory.scale * look.cost)):
            beyond = np.flatnonzero(~(size <= top))
            if beyond.size and found[kind][name] is None:
                found[kind][name] = done + int(beyond[0])
