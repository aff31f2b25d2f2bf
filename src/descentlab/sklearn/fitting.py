"""One target's descent, from an estimator's settings to what was fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.engines import Engine, make_engine
from descentlab.engines.base import Snapshots, safe_norm
from descentlab.errors import DivergenceError, SettingError, check_choice, check_int
from descentlab.factor.factor import Factor
from descentlab.messages import message, pluralize
from descentlab.model_selection.validation import Validation, validate
from descentlab.model_selection.validation_curve import log_spaced_ranges, make_held_out_cost
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending, Reason
from descentlab.run.loop import FinalState, Loop
from descentlab.run.termination import decide_ending
from descentlab.sklearn import auto_settings
from descentlab.sklearn.advice import divergence_advice, divergence_error
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

DEFAULT_BATCH_EPOCHS = (
    100  # of mini-batches, or with a schedule, where none are given: there is no closed form to count by
)
SUM_OF_MEAN = {"mean": "sum", "half_mean": "half_sum"}
MAX_SNAPSHOTS = 64  # at most so many epochs are looked at to judge the ending
HISTORY_DENSE_EPOCHS, HISTORY_EPOCHS_PER_DOUBLING = (
    32,
    8,
)  # epochs of the history: each up to here, then so many as they double

MakeFeatureBlocks = Callable[[], Iterator[auto_settings.FeatureBlock]]


@dataclass(frozen=True, eq=False)
class FitResult:
    """One target, fitted.

    Attributes:
        theory: of what was descended, and how: its ``problem_finding`` and ``descent``.
        params: (p,) in the data's units: features in order, then the intercept if there is one.
        updates: epochs of updates made to get there.
        ending: why it ended.
        snapshots: (epochs, params, costs, gradient norms) of the history, in the data's units; the end last.
        validation: what early stopping saw.
        engine: that made the steps.
    """

    theory: FullBatchTheory
    params: FloatArray
    updates: int
    ending: Ending
    snapshots: Snapshots
    validation_cost: FloatArray | None
    validation: Validation | None
    engine: str

    @property
    def problem(self) -> Problem:
        return self.theory.problem

    @property
    def descent(self) -> Descent:
        return self.theory.descent

    @property
    def converged(self) -> bool:
        """Whether it is within 1 % of the minimum's cost, or, where that is 0, of every coefficient."""
        return bool(self.theory.is_converged(self.problem.scaling.to_scaled(self.params)))


def scaling_options(settings: Any) -> dict[str, bool]:
    """What is done to columns inside, as :class:`descentlab.Problem` takes it.

    Means are taken off wherever the rate is automatic: that changes neither hypothesis nor ridge.
    """
    standardize = should_standardize(settings)
    return {"standardize": standardize, "center": bool(settings.fit_intercept) and isinstance(settings.lr, str)}


def should_standardize(settings: Any) -> bool:
    """Whether columns are standardized inside: unless said, just where the rate is automatic and no ridge minds it."""
    if isinstance(settings.standardize, str) and settings.standardize == "auto":
        return isinstance(settings.lr, str) and not settings.ridge
    if not isinstance(settings.standardize, bool | np.bool_):
        raise SettingError("estimator_standardize", given=repr(settings.standardize))
    return bool(settings.standardize)


def make_descent(
    settings: Any, problem: Problem, blocks: MakeFeatureBlocks, start: FloatArray | None, seed: int
) -> Descent:
    """The descent that an estimator's settings ask for on this problem, with every ``auto`` decided.

    Raises:
        SettingError: a setting is outside what it may be.
    """
    is_minibatch = settings.batch_size is not None
    momentum = settings.momentum
    if isinstance(momentum, str):
        check_choice("momentum", momentum, ("auto",))
    if isinstance(settings.lr, str):
        check_choice("lr", settings.lr, ("auto",))
    draft = Descent(
        lr=1.0 if isinstance(settings.lr, str) else settings.lr,
        reduction=settings.reduction,
        epochs=DEFAULT_BATCH_EPOCHS if settings.epochs is None else settings.epochs,
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
    if is_minibatch and has_unequal_weights(problem):
        draft = _as_sum_reduction(problem, draft)
    if isinstance(settings.lr, str):
        _check_momentum_converges(draft)
        eigenvalues = problem.spectrum(draft.reduction).eigenvalues + draft.weight_decay
        if is_minibatch:
            draft = replace(draft, lr=auto_settings.choose_minibatch_lr(problem, blocks(), draft))
        elif isinstance(momentum, str) and not draft.nesterov:
            lr, beta = auto_settings.choose_heavy_ball(eigenvalues, draft.dampening)
            draft = replace(draft, lr=lr, momentum=beta)
        else:
            draft = replace(draft, lr=auto_settings.choose_lr(eigenvalues, draft.momentum_settings))
    if settings.epochs is None and draft.schedule is None and not is_minibatch:
        draft = replace(
            draft,
            epochs=auto_settings.count_epochs_to_rounding(FullBatchTheory(problem, draft)) or DEFAULT_BATCH_EPOCHS,
        )
    return replace(draft, average=_averaging_start(settings, draft.epochs))


def has_unequal_weights(problem: Problem) -> bool:
    """Whether some rows weigh more than others."""
    if problem.selection.weights is None:
        return False
    weights = problem.rows().weights
    return weights is not None and bool(np.ptp(weights))


def _as_sum_reduction(problem: Problem, descent: Descent) -> Descent:
    """The descent of a mean over each batch as one of its sum, over what a batch weighs on average.

    A mean over a batch forgets how much the batch weighs: its minimum is not that of all rows, and with one row a batch
    no weight counts at all.
    """
    assert descent.batch_size is not None
    if descent.reduction not in SUM_OF_MEAN:
        return descent
    mean_batch_weight = problem.weight / problem.n * min(descent.batch_size, problem.n)
    return replace(descent, reduction=SUM_OF_MEAN[descent.reduction], lr=descent.lr / mean_batch_weight)


def _check_momentum_converges(descent: Descent) -> None:
    """Raise DivergenceError where no rate suits the momentum, so that there is none to choose."""
    if descent.momentum >= 1 and not (descent.nesterov and descent.batch_size is None):
        raise DivergenceError("estimator_momentum_auto", momentum=descent.momentum)
    if descent.momentum and descent.dampening >= 1:
        raise DivergenceError("estimator_dampening", momentum=descent.momentum)


def should_average(settings: Any) -> bool:
    """Whether iterates are averaged: where it was asked for, or for mini-batches at an automatic rate.

    Raises:
        SettingError: it is something else, or was asked for beside early stopping.
    """
    if isinstance(settings.average, str):
        check_choice("average", settings.average, ("auto",))
        return settings.batch_size is not None and isinstance(settings.lr, str) and not settings.early_stopping
    is_requested = settings.average is not None and settings.average is not False
    if is_requested and settings.early_stopping:
        raise SettingError("estimator_average")
    return is_requested


def _averaging_start(settings: Any, epochs: int) -> int | None:
    """The epochs after which iterates are averaged; half of them where no number was given."""
    if not should_average(settings):
        return None
    average = settings.average
    return epochs // 2 if isinstance(average, str | bool | np.bool_) else check_int("average", average, 0)


def fit_target(
    settings: Any,
    problem: Problem,
    blocks: MakeFeatureBlocks,
    held_out: Factor | None,
    start: FloatArray | None,
    seed: int,
) -> FitResult:
    """Descend to the end, or to the epoch at which the held-out cost is least.

    Raises:
        DivergenceError: the rate is beyond its bound, or the run diverged.
        SettingError, EngineError: what cannot be run, and what could be.
    """
    descent = make_descent(settings, problem, blocks, start, seed)
    theory = FullBatchTheory(problem, descent)
    if theory.unstable:
        raise divergence_error(theory, settings)
    validation = None if held_out is None else validate(problem, descent, held_out)
    updates = descent.epochs if validation is None else validation.best_updates
    loop = _run_loop(problem, replace(descent, epochs=max(updates, 1), every=-(-max(updates, 1) // MAX_SNAPSHOTS)))
    params = None if validation is None else validation.best_params
    if validation is None and settings.epochs is None and _converged_to_rounding(theory):
        params = problem.solve(start).params
    final = loop.final_state
    if not updates:
        final = replace(final, current=final.recorded_snapshots[0].select(slice(1)))
    elif params is not None:
        # The path may be lost in rounding; its end is known, so a stop on the way does not count.
        end = _snapshot_at(problem, descent, problem.scaled_params(params), updates)
        final = replace(final, current=end, stop_reason=None)
    ending = decide_ending(final)
    if ending.reason in (Reason.DIVERGED, Reason.OVERFLOWED):
        raise DivergenceError("estimator_diverged", ending=ending.text(), cures=divergence_advice(theory, settings))
    if validation is not None and updates < descent.epochs and ending.reason is Reason.OUT_OF_EPOCHS:
        ending = _early_stopped_ending(ending, descent.epochs, validation.best_cost)
    snapshots = _history_snapshots(loop.engine, final, descent, updates)
    validation_costs = (
        None if held_out is None else np.asarray(make_held_out_cost(problem, held_out).cost(snapshots.params))
    )
    snapshots = snapshots._replace(params=problem.scaling.to_original(snapshots.params))
    if params is not None:
        snapshots.params[-1] = params  # with the digits that the way there and back would cost
    return FitResult(
        theory, snapshots.params[-1], updates, ending, snapshots, validation_costs, validation, loop.engine.name
    )


def _run_loop(problem: Problem, descent: Descent) -> Loop:
    """The descent, at its end."""
    engine = make_engine("auto", problem, descent)
    engine.initialize(problem, descent)
    loop = Loop(problem, descent, engine)
    loop.run()
    return loop


def _snapshot_at(problem: Problem, descent: Descent, scaled_params: FloatArray, updates: int) -> Snapshots:
    """What is seen at descended parameters (p,) after so many updates."""
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = gradient_scale(descent.reduction, problem.weight) * problem.quadratic.gradient(scaled_params)
        cost = problem.quadratic.cost(scaled_params)
    return Snapshots(
        np.array([updates + 1]), scaled_params[None], np.array([float(cost)]), np.array([safe_norm(gradient)])
    )


def _converged_to_rounding(theory: FullBatchTheory) -> bool:
    """Whether as many epochs as were counted leave only rounding: then the minimum itself is what is reported."""
    if theory.weight_decay or theory.descent.schedule is not None:
        return False
    needed_epochs = auto_settings.count_epochs_to_rounding(theory)
    return needed_epochs is not None and theory.descent.epochs >= needed_epochs


def _early_stopped_ending(ending: Ending, epochs: int, held_out_cost: float) -> Ending:
    """The ending of a descent that was stopped where the held-out cost is least, which is no want of epochs."""
    message_values = {"epochs": pluralize(epochs), "epoch": ending.epoch, "held": held_out_cost, "cost": ending.cost}
    return replace(ending, reason=Reason.STOPPED).with_messages(message("estimator.stopped_early", **message_values))


def _history_snapshots(engine: Engine, final: FinalState, descent: Descent, updates: int) -> Snapshots:
    """The epochs of the history, then the end: those that were walked, or any that a closed form can be asked for."""
    if not updates:
        return final.current
    if not engine.random_access:
        snapshots = [look.select(look.epochs <= updates) for look in final.recorded_snapshots]
    else:
        engine = make_engine(engine.name, final.problem, descent)
        engine.initialize(final.problem, descent)
        ranges = log_spaced_ranges(updates - 1, HISTORY_DENSE_EPOCHS, HISTORY_EPOCHS_PER_DOUBLING)
        snapshots = [
            look for each in ranges for look in engine.snapshots_at(range(each.start + 1, each.stop + 1, each.step))
        ]
    return Snapshots(*(np.concatenate(arrays) for arrays in zip(*snapshots, final.current, strict=True)))
