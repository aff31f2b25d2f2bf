"""Cross-validation from k factors: every training set is the merge of the other folds' factors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from descentlab.data import CSV_OPTIONS
from descentlab.data.design.choose import request_design
from descentlab.descent.descent import Descent
from descentlab.errors import DataError, SettingError
from descentlab.factor.factor import Factor
from descentlab.messages import Message, pluralize
from descentlab.model_selection.cross_validation import CrossValidation
from descentlab.model_selection.grid import ParameterGrid
from descentlab.model_selection.splitting import align_fold_columns, build_fold_factors, select_rows
from descentlab.model_selection.validation_curve import (
    ValidationCurve,
    concatenate_ranges,
    log_spaced_ranges,
    make_held_out_cost,
)
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import DESCENT_FIELDS, check_keywords, keyword_names
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.typing import FloatArray


def cross_validate(
    data: object,
    y: object = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    weights: object = None,
    formula: str | None = None,
    categories: Sequence[str] | str | None = None,
    missing: str = "error",
    folds: int = 5,
    seed: int = 0,
    shuffle: bool = True,
    lr: float | Sequence[float] | FloatArray | None = None,
    epochs: int = 1000,
    ridge: float | Sequence[float] | FloatArray | None = None,
    bias: bool | None = None,
    center: bool | None = None,
    standardize: bool | None = None,
    reduction: str = "mean",
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    **reading: Any,
) -> CrossValidation:
    """The learning rate, the number of updates and the ridge with the least mean cost on held-out folds.

        cost(lr, ridge, t) = sum_j w_j MSE_j(p_j(t)) / sum_j w_j

    with p_j(t) the parameters after t updates on all folds but j, MSE_j the mean squared error on fold j and w_j its
    weight. The rows are read once, into a factor for each fold; means and standard deviations for centering and
    scaling are those of the training folds, so that nothing of fold j leaks into p_j.

    Args:
        data, y, target, features, drop, weights, formula, categories, missing, reading: as in :class:`Problem`.
            ``data`` may also be a problem with rows, whose hypothesis and ridge are then the default; or a sequence of
            factors, which are the folds.
        folds, seed, shuffle: how to divide rows; see :func:`descentlab.split`.
        lr: one rate or several. None tries 0.99, 0.9, 0.6, 0.3, 0.1 and 0.03 of the smallest bound of any fold at any
            ridge, so that none diverges.
        epochs: the largest number of updates tried.
        ridge: one or several; the default is the problem's, or 0.
        bias, center, standardize: as in :class:`Problem`; the default is the problem's, or a bias alone.
        reduction, momentum, dampening, nesterov, weight_decay: as in :class:`Descent`. Rates for a ``sum`` are those
            of a training set; the result says what they are on all rows.

    Raises:
        DataError: the rows cannot be used, a fold has no weight, or folds have different columns.
        SettingError: a setting is outside its range; fewer than 2 folds, or more than rows.

    >>> import numpy as np, descentlab as dl
    >>> x = np.linspace(-1, 1, 30)
    >>> found = dl.cross_validate(x, 2 * x + 0.1 * np.sin(50 * x), folds=3, epochs=100, ridge=[0.0, 0.5])
    >>> found.best.ridge, found.cost.shape == (len(found.lr), 2, 101)
    (0.0, True)
    """
    unsupported = [name for name in reading if name in DESCENT_FIELDS]
    if unsupported:
        raise SettingError("folds_closed_form", names=unsupported)
    check_keywords(reading, (*CSV_OPTIONS, *keyword_names(cross_validate)))
    step_options: dict[str, Any] = {"reduction": reduction, "momentum": momentum, "dampening": dampening}
    descent = Descent(lr=1.0, epochs=epochs, nesterov=nesterov, weight_decay=weight_decay, **step_options)
    problem_options = {"bias": bias, "center": center, "standardize": standardize}
    request = request_design(formula, categories, bias is not False, y)
    if bias is None and request.parsed is not None:
        problem_options["bias"] = request.parsed.bias
    grid = ParameterGrid.from_arguments(data, descent, lr, ridge, problem_options)
    notices: tuple[Message, ...] = ()
    if isinstance(data, list | tuple) and data and all(isinstance(each, Factor) for each in data):
        if y is not None or weights is not None:
            raise SettingError("factor_with_rows")
        factors = align_fold_columns(data, target, features)
    else:
        selection = select_rows(data, y, target, features, weights, missing, reading, drop, request)
        factors = build_fold_factors(selection, folds, seed, shuffle)
        notices = tuple(selection.notices)
    return evaluate_grid(grid, factors, notices)


def evaluate_grid(
    grid: ParameterGrid,
    factors: Sequence[Factor],
    notices: tuple[Message, ...] = (),
    training_factors: Sequence[Factor] | None = None,
) -> CrossValidation:
    """Hold out each fold from a descent, for every point of a grid.

    Args:
        grid: the settings to try.
        factors: the held-out rows of each fold.
        notices: how the rows were read.
        training_factors: the rows of each fold's descent (default: those of all other folds).

    Raises:
        DataError: a fold has no weight, or a training set cannot be used.
        SettingError: no rate was given, and there is no bound to choose one from.
    """
    for j, factor in enumerate(factors):
        if not factor.weight > 0:
            raise DataError("fold_weight", fold=j + 1, rows=pluralize(factor.rows, "row"))
    problems = grid.make_problems(training_factors or merge_leaving_one_out(factors))
    lr_bounds = grid.compute_lr_bounds(problems)
    descents = grid.make_descents(float(lr_bounds.min()))
    ranges = log_spaced_ranges(grid.descent.epochs)
    fold_cost, limit_fold_cost = _compute_fold_costs(factors, problems, descents, ranges)
    return CrossValidation(
        rows=np.array([factor.rows for factor in factors]),
        weights=np.array([factor.weight for factor in factors]),
        lr=np.array([descent.lr for descent in descents]),
        ridge=np.array([problem.ridge for problem in problems[0]]),
        updates=concatenate_ranges(ranges),
        fold_cost=fold_cost,
        limit_fold_cost=limit_fold_cost,
        lr_bound=lr_bounds,
        reduction=grid.descent.reduction,
        has_user_rates=grid.rates is not None,
        notices=notices,
        user_choice=grid.user_choice,
    )


def merge_leaving_one_out(factors: Sequence[Factor]) -> list[Factor]:
    """For each fold the factor of all other folds, with about 3 merges a fold."""
    empty = Factor.empty(factors[0].columns)
    before = accumulate(factors[:-1], Factor.merge, initial=empty)
    after = list(accumulate(reversed(factors[1:]), lambda later, factor: factor.merge(later), initial=empty))
    return [first.merge(second) for first, second in zip(before, reversed(after), strict=True)]


def _compute_fold_costs(
    factors: Sequence[Factor], problems: list[list[Problem]], descents: list[Descent], ranges: list[range]
) -> tuple[FloatArray, FloatArray]:
    """(k, a, r, u) costs on each fold, inf for a rate that diverges, and (k, r) costs after convergence."""
    costs = np.empty((len(factors), len(descents), len(problems[0]), len(concatenate_ranges(ranges))))
    limit_fold_cost = np.empty((len(factors), len(problems[0])))
    for j, (factor, row) in enumerate(zip(factors, problems, strict=True)):
        for k, problem in enumerate(row):
            held_out_quadratic = make_held_out_cost(problem, factor)
            limit_fold_cost[j, k] = held_out_quadratic.cost(FullBatchTheory(problem, descents[0]).limit_point)
            for i, descent in enumerate(descents):
                diverges = FullBatchTheory(problem, descent).unstable
                costs[j, i, k] = (
                    np.inf if diverges else ValidationCurve(problem, descent, held_out_quadratic).held_out_costs(ranges)
                )
    return costs, limit_fold_cost
