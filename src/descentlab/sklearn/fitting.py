"""One target's descent, from an estimator's settings to what was fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_factor
from descentlab.engines import Look, engine_for, length
from descentlab.errors import DivergenceError, SettingError, one_of, whole_number
from descentlab.factor.factor import Factor
from descentlab.messages import counted, sentence
from descentlab.model_selection.validation import Validation, validate
from descentlab.model_selection.validation_curve import cost_on, spaced
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending, Reason
from descentlab.run.loop import Loop
from descentlab.run.termination import judge
from descentlab.sklearn import auto_settings
from descentlab.sklearn.advice import beyond, cures
from descentlab.theory.full_batch import Theory
from descentlab.typing import Array

BATCH_EPOCHS = 100  # of mini-batches, or with a schedule, where none are given: there is no closed form to count by
SUMS = {"mean": "sum", "half_mean": "half_sum"}
LOOKS = 64  # at most so many epochs are looked at to judge the ending
DENSE, DOUBLING = 32, 8  # epochs of the history: each up to here, then so many as they double

Blocks = Callable[[], Iterator[auto_settings.Block]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """One target, fitted.

    Attributes:
        theory: of what was descended, and how: its ``problem`` and ``descent``.
        params: (p,) in the data's units: features in order, then the intercept if there is one.
        updates: epochs of updates made to get there.
        ending: why it ended.
        looks: (epochs, params, costs, gradient norms) of the history, in the data's units; the end last.
        validation: what early stopping saw.
        engine: that made the steps.
    """

    theory: Theory
    params: Array
    updates: int
    ending: Ending
    looks: Look
    validation_cost: Array | None
    validation: Validation | None
    engine: str

    @property
    def problem(self) -> Problem:
        return self.theory.problem

    @property
    def descent(self) -> Descent:
        return self.theory.descent

    @property
    def arrived(self) -> bool:
        """Whether it is within 1 % of the minimum's cost, or, where that is 0, of every coefficient."""
        return bool(self.theory.near(self.problem.coordinates.from_units(self.params)))


def moved(settings: Any) -> dict[str, bool]:
    """What is done to columns inside, as :class:`descentlab.Problem` takes it.

    Means are taken off wherever the rate is automatic: that changes neither hypothesis nor ridge.
    """
    standardize = scaled(settings)
    return {"standardize": standardize, "center": bool(settings.fit_intercept) and isinstance(settings.lr, str)}


def scaled(settings: Any) -> bool:
    """Whether columns are standardized inside: unless said, just where the rate is automatic and no ridge minds it."""
    if isinstance(settings.standardize, str) and settings.standardize == "auto":
        return isinstance(settings.lr, str) and not settings.ridge
    if not isinstance(settings.standardize, bool | np.bool_):
        raise SettingError("estimator_standardize", given=repr(settings.standardize))
    return bool(settings.standardize)


def descent_of(settings: Any, problem: Problem, blocks: Blocks, start: Array | None, seed: int) -> Descent:
    """The descent that an estimator's settings ask for on this problem, with every ``auto`` decided.

    Raises:
        SettingError: a setting is outside what it may be.
    """
    batches = settings.batch_size is not None
    momentum = settings.momentum
    if isinstance(momentum, str):
        one_of("momentum", momentum, ("auto",))
    if isinstance(settings.lr, str):
        one_of("lr", settings.lr, ("auto",))
    draft = Descent(
        lr=1.0 if isinstance(settings.lr, str) else settings.lr,
        reduction=settings.reduction,
        epochs=BATCH_EPOCHS if settings.epochs is None else settings.epochs,
        momentum=0.0 if isinstance(momentum, str) else momentum,
        dampening=settings.dampening,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        schedule=settings.schedule,
        batch_size=settings.batch_size,
        shuffle=settings.shuffle,
        seed=seed,
        start=start,
    )
    if batches and uneven(problem):
        draft = _summed(problem, draft)
    if isinstance(settings.lr, str):
        _refuse_hopeless(draft)
        curvature = problem.spectrum(draft.reduction).eigenvalues + draft.weight_decay
        if batches:
            draft = replace(draft, lr=auto_settings.batch_rate(problem, blocks(), draft))
        elif isinstance(momentum, str) and not draft.nesterov:
            lr, beta = auto_settings.pair(curvature, draft.dampening)
            draft = replace(draft, lr=lr, momentum=beta)
        else:
            draft = replace(draft, lr=auto_settings.rate(curvature, draft.recursion))
    if settings.epochs is None and draft.schedule is None and not batches:
        draft = replace(draft, epochs=auto_settings.epochs(Theory(problem, draft)) or BATCH_EPOCHS)
    return replace(draft, average=_average_from(settings, draft.epochs))


def uneven(problem: Problem) -> bool:
    """Whether some rows weigh more than others."""
    if problem.selection.weights is None:
        return False
    weights = problem.rows().weights
    return weights is not None and bool(np.ptp(weights))


def _summed(problem: Problem, descent: Descent) -> Descent:
    """The descent of a mean over each batch as one of its sum, over what a batch weighs on average.

    A mean over a batch forgets how much the batch weighs: its minimum is not that of all rows, and with one row a batch
    no weight counts at all.
    """
    assert descent.batch_size is not None
    if descent.reduction not in SUMS:
        return descent
    each = problem.weight / problem.n * min(descent.batch_size, problem.n)
    return replace(descent, reduction=SUMS[descent.reduction], lr=descent.lr / each)


def _refuse_hopeless(descent: Descent) -> None:
    """Raise DivergenceError where no rate suits the momentum, so that there is none to choose."""
    if descent.momentum >= 1 and not (descent.nesterov and descent.batch_size is None):
        raise DivergenceError("estimator_momentum_auto", momentum=descent.momentum)
    if descent.momentum and descent.dampening >= 1:
        raise DivergenceError("estimator_dampening", momentum=descent.momentum)


def averages(settings: Any) -> bool:
    """Whether iterates are averaged: where it was asked for, or for mini-batches at an automatic rate.

    Raises:
        SettingError: it is something else, or was asked for beside early stopping.
    """
    if isinstance(settings.average, str):
        one_of("average", settings.average, ("auto",))
        return settings.batch_size is not None and isinstance(settings.lr, str) and not settings.early_stopping
    asked = settings.average is not None and settings.average is not False
    if asked and settings.early_stopping:
        raise SettingError("estimator_average")
    return asked


def _average_from(settings: Any, epochs: int) -> int | None:
    """The epochs after which iterates are averaged; half of them where no number was given."""
    if not averages(settings):
        return None
    given = settings.average
    return epochs // 2 if isinstance(given, str | bool | np.bool_) else whole_number("average", given, 0)


def fitted(
    settings: Any, problem: Problem, blocks: Blocks, held: Factor | None, start: Array | None, seed: int
) -> Fitted:
    """Descend to the end, or to the epoch at which the held-out cost is least.

    Raises:
        DivergenceError: the rate is beyond its bound, or the run diverged.
        SettingError, EngineError: what cannot be run, and what could be.
    """
    descent = descent_of(settings, problem, blocks, start, seed)
    theory = Theory(problem, descent)
    if theory.unstable:
        raise beyond(theory, settings)
    validation = None if held is None else validate(problem, descent, held)
    updates = descent.epochs if validation is None else validation.best_updates
    loop = _walked(problem, replace(descent, epochs=max(updates, 1), every=-(-max(updates, 1) // LOOKS)))
    params = None if validation is None else validation.best_params
    if validation is None and settings.epochs is None and _at_the_limit(theory):
        params = problem.solve(start).params
    if not updates:
        loop.last = loop.kept[0].at(slice(1))
    elif params is not None:
        loop.last = _look_at(problem, descent, problem.start(params), updates)
        loop.cause = None  # the way there may be lost in rounding; where it leads is not
    ending = judge(loop)
    if ending.reason in (Reason.DIVERGED, Reason.OVERFLOWED):
        raise DivergenceError("estimator_diverged", ending=ending.text(), cures=cures(theory, settings))
    if validation is not None and updates < descent.epochs and ending.reason is Reason.OUT_OF_EPOCHS:
        ending = _early(ending, descent.epochs, validation.best_cost)
    looks = _looks(loop, descent, updates)
    costs = None if held is None else np.asarray(cost_on(problem, held).cost(looks.params))
    looks = looks._replace(params=problem.coordinates.to_units(looks.params))
    if params is not None:
        looks.params[-1] = params  # with the digits that the way there and back would cost
    return Fitted(theory, looks.params[-1], updates, ending, looks, costs, validation, loop.mover.name)


def _walked(problem: Problem, descent: Descent) -> Loop:
    """The descent, at its end."""
    mover = engine_for("auto", problem, descent)
    mover.start(problem, descent)
    loop = Loop(problem, descent, mover)
    loop.run()
    return loop


def _look_at(problem: Problem, descent: Descent, here: Array, updates: int) -> Look:
    """What is seen at descended parameters (p,) after so many updates."""
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = gradient_factor(descent.reduction, problem.weight) * problem.quadratic.gradient(here)
        cost = problem.quadratic.cost(here)
    return Look(np.array([updates + 1]), here[None], np.array([float(cost)]), np.array([length(gradient)]))


def _at_the_limit(theory: Theory) -> bool:
    """Whether as many epochs as were counted leave only rounding: then the minimum itself is what is reported."""
    if theory.decay or theory.descent.schedule is not None:
        return False
    needed = auto_settings.epochs(theory)
    return needed is not None and theory.descent.epochs >= needed


def _early(ending: Ending, epochs: int, held: float) -> Ending:
    """The ending of a descent that was stopped where the held-out cost is least, which is no want of epochs."""
    there = {"epochs": counted(epochs), "epoch": ending.epoch, "held": held, "cost": ending.cost}
    return replace(ending, reason=Reason.STOPPED).saying(sentence("estimator.stopped_early", **there))


def _looks(loop: Loop, descent: Descent, updates: int) -> Look:
    """The epochs of the history, then the end: those that were walked, or any that a closed form can be asked for."""
    assert loop.last is not None
    end = loop.last
    if not updates:
        return end
    if not loop.mover.jumps:
        seen = [look.at(look.epochs <= updates) for look in loop.kept]
    else:
        mover = engine_for(loop.mover.name, loop.problem, descent)
        mover.start(loop.problem, descent)
        ranges = spaced(updates - 1, DENSE, DOUBLING)
        seen = [look for each in ranges for look in mover.visit(range(each.start + 1, each.stop + 1, each.step))]
    return Look(*(np.concatenate(part) for part in zip(*seen, end, strict=True)))
