"""One target's descent, from an estimator's settings to what was fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.reductions import gradient_scale
from descentlab.engines import Engine, make_engine
from descentlab.engines.base import Snapshots, safe_norm
from descentlab.errors import DivergenceError, SettingError, check_choice, check_int
from descentlab.factor.factor import Factor
from descentlab.messages import message, pluralize
from descentlab.model_selection.validation import validate
from descentlab.model_selection.validation_curve import log_spaced_ranges, make_held_out_cost
from descentlab.problem.problem import Problem
from descentlab.run.ending import Ending, Reason
from descentlab.run.loop import FinalState, Loop
from descentlab.run.termination import decide_ending
from descentlab.sklearn import auto_settings
from descentlab.sklearn.advice import divergence_advice, divergence_error
from descentlab.sklearn.fit_result import FitResult
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray

DEFAULT_BATCH_EPOCHS = 100  # with mini-batches or a schedule, for which no closed form counts the epochs needed
SUM_OF_MEAN = {"mean": "sum", "half_mean": "half_sum"}
MAX_SNAPSHOTS = 64  # epochs that the ending is judged by
HISTORY_DENSE_EPOCHS = 32  # the history has every epoch up to here,
HISTORY_EPOCHS_PER_DOUBLING = 8  # then so many for each doubling

MakeFeatureBlocks = Callable[[], Iterator[auto_settings.FeatureBlock]]


def scaling_options(settings: Any) -> dict[str, bool]:
    """How columns are centered and scaled for the descent, as arguments of :class:`descentlab.Problem`.

    An automatic rate centers the columns, which changes neither hypothesis nor ridge.
    """
    standardize = should_standardize(settings)
    return {"standardize": standardize, "center": bool(settings.fit_intercept) and isinstance(settings.lr, str)}


def should_standardize(settings: Any) -> bool:
    """Whether columns are standardized for the descent; ``"auto"``: if the rate is automatic and there is no ridge."""
    if isinstance(settings.standardize, str) and settings.standardize == "auto":
        return isinstance(settings.lr, str) and not settings.ridge
    if not isinstance(settings.standardize, bool | np.bool_):
        raise SettingError("estimator_standardize", given=repr(settings.standardize))
    return bool(settings.standardize)


def center_if_undetermined(settings: Any, problem: Problem) -> Problem:
    """The problem on columns that are only centered, where the choice is ours and it decides which minimum is reached.

    Descent from 0 to the end reaches the minimum of least norm in the columns that it descends on. Several are minima
    if a column is a combination of others; on centered ones that is the one of least norm in the data's units.
    """
    is_free_choice = isinstance(settings.standardize, str) and settings.epochs is None and not settings.early_stopping
    if not (is_free_choice and problem.standardize and has_dependent_columns(problem)):
        return problem
    return problem.with_changes(standardize=False, center=problem.bias)


def has_dependent_columns(problem: Problem) -> bool:
    """Whether a column that is not constant is a combination of others, so that the minimum is not one point."""
    return any(not problem.factor.is_constant[j] for j in problem.fit.dependent)


def make_descent(
    settings: Any, problem: Problem, blocks: MakeFeatureBlocks, start: FloatArray | None, seed: int
) -> Descent:
    """The descent that an estimator's settings describe, with every ``auto`` replaced by its value.

    Raises:
        SettingError: a setting has an invalid value.
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
        needed_epochs = auto_settings.count_epochs_to_rounding(FullBatchTheory(problem, draft))
        draft = replace(draft, epochs=needed_epochs or DEFAULT_BATCH_EPOCHS)
    return replace(draft, average=_averaging_start(settings, draft.epochs))


def has_unequal_weights(problem: Problem) -> bool:
    """Whether some rows weigh more than others."""
    if problem.selection.weights is None:
        return False
    weights = problem.rows().weights
    return weights is not None and bool(np.ptp(weights))


def _as_sum_reduction(problem: Problem, descent: Descent) -> Descent:
    """Descend on the sum over each batch, divided by the mean weight of a batch, instead of on its mean.

    A mean over a batch drops the weight of the batch. Its minimum is therefore not that of all rows, and with one row
    in a batch no weight counts at all.
    """
    assert descent.batch_size is not None
    if descent.reduction not in SUM_OF_MEAN:
        return descent
    mean_batch_weight = problem.weight / problem.n * min(descent.batch_size, problem.n)
    return replace(descent, reduction=SUM_OF_MEAN[descent.reduction], lr=descent.lr / mean_batch_weight)


def _check_momentum_converges(descent: Descent) -> None:
    """Raise DivergenceError if every rate diverges with this momentum."""
    if descent.momentum >= 1 and not (descent.nesterov and descent.batch_size is None):
        raise DivergenceError("estimator_momentum_auto", momentum=descent.momentum)
    if descent.momentum and descent.dampening >= 1:
        raise DivergenceError("estimator_dampening", momentum=descent.momentum)


def should_average(settings: Any) -> bool:
    """Whether iterates are averaged; ``"auto"``: for mini-batches at an automatic rate.

    Raises:
        SettingError: an invalid value, or averaging together with early stopping.
    """
    if isinstance(settings.average, str):
        check_choice("average", settings.average, ("auto",))
        return settings.batch_size is not None and isinstance(settings.lr, str) and not settings.early_stopping
    is_requested = settings.average is not None and settings.average is not False
    if is_requested and settings.early_stopping:
        raise SettingError("estimator_average")
    return is_requested


def _averaging_start(settings: Any, epochs: int) -> int | None:
    """The epoch after which iterates are averaged: half of all epochs unless a number was given."""
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
        DivergenceError: the rate is above the stability bound, or the run diverged.
        SettingError, EngineError: the settings cannot be run; the message names those that can.
    """
    descent = make_descent(settings, problem, blocks, start, seed)
    theory = FullBatchTheory(problem, descent)
    if theory.unstable:
        raise divergence_error(theory, settings)
    validation = None if held_out is None else validate(problem, descent, held_out)
    updates = descent.epochs if validation is None else validation.best_updates
    loop = _run_loop(problem, replace(descent, epochs=max(updates, 1), every=-(-max(updates, 1) // MAX_SNAPSHOTS)))
    params = None if validation is None else validation.best_params
    reached_limit = validation is None and settings.epochs is None and _converged_to_rounding(theory)
    if reached_limit:
        params = problem.solve(start).params
    final = loop.final_state
    if not updates:
        final = replace(final, current=final.recorded_snapshots[0].select(slice(1)))
    elif params is not None:
        # Rounding may have stopped the run on its way; its end is known, so that stop does not count.
        end = _snapshot_at(problem, descent, problem.scaled_params(params), updates)
        final = replace(final, current=end, stop_reason=None)
    ending = decide_ending(final)
    if ending.reason in (Reason.DIVERGED, Reason.OVERFLOWED):
        verdict, *rest = map(str, ending.messages)
        advice = divergence_advice(theory, settings)
        raise DivergenceError("estimator_diverged", ending=verdict, cures=advice, rest=" ".join(rest))
    if validation is not None and updates < descent.epochs and ending.reason is Reason.OUT_OF_EPOCHS:
        ending = _early_stopped_ending(ending, descent.epochs, validation.best_cost)
    snapshots = _history_snapshots(loop.engine, final, descent, updates)
    cost_held_out = None if held_out is None else make_held_out_cost(problem, held_out).cost
    validation_costs = None if cost_held_out is None else np.asarray(cost_held_out(snapshots.params))
    snapshots = snapshots._replace(params=problem.scaling.to_original(snapshots.params))
    if params is not None:
        snapshots.params[-1] = params  # scaling and unscaling would cost digits
    params, engine = snapshots.params[-1], loop.engine.name
    return FitResult(theory, params, updates, ending, snapshots, validation_costs, validation, engine, reached_limit)


def _run_loop(problem: Problem, descent: Descent) -> Loop:
    """The loop after its last epoch."""
    engine = make_engine("auto", problem, descent)
    engine.initialize(problem, descent)
    loop = Loop(problem, descent, engine)
    loop.run()
    return loop


def _snapshot_at(problem: Problem, descent: Descent, scaled_params: FloatArray, updates: int) -> Snapshots:
    """The snapshot of scaled parameters (p,) after this many updates."""
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = gradient_scale(descent.reduction, problem.weight) * problem.quadratic.gradient(scaled_params)
        cost = problem.quadratic.cost(scaled_params)
    return Snapshots(
        np.array([updates + 1]), scaled_params[None], np.array([float(cost)]), np.array([safe_norm(gradient)])
    )


def _converged_to_rounding(theory: FullBatchTheory) -> bool:
    """Whether these epochs leave only rounding errors, so that the minimum itself is reported."""
    if theory.weight_decay or theory.descent.schedule is not None:
        return False
    needed_epochs = auto_settings.count_epochs_to_rounding(theory)
    return needed_epochs is not None and theory.descent.epochs >= needed_epochs


def _early_stopped_ending(ending: Ending, epochs: int, held_out_cost: float) -> Ending:
    """The ending of a descent that was stopped at the lowest held-out cost."""
    message_values = {"epochs": pluralize(epochs), "epoch": ending.epoch, "held": held_out_cost, "cost": ending.cost}
    return replace(ending, reason=Reason.STOPPED).with_messages(message("estimator.stopped_early", **message_values))


def _history_snapshots(engine: Engine, final: FinalState, descent: Descent, updates: int) -> Snapshots:
    """The epochs of the history, then the end: those that the engine visited, or any of a closed form."""
    if not updates:
        return final.current
    if not engine.random_access:
        snapshots = [chunk.select(chunk.epochs <= updates) for chunk in final.recorded_snapshots]
    else:
        engine = make_engine(engine.name, final.problem, descent)
        engine.initialize(final.problem, descent)
        ranges = log_spaced_ranges(updates - 1, HISTORY_DENSE_EPOCHS, HISTORY_EPOCHS_PER_DOUBLING)
        snapshots = [
            chunk for each in ranges for chunk in engine.snapshots_at(range(each.start + 1, each.stop + 1, each.step))
        ]
    return Snapshots(*(np.concatenate(arrays) for arrays in zip(*snapshots, final.current, strict=True)))
