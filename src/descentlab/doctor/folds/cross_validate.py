"""Folds: rows divided once into k factors, from which every training set of a cross-validation is merged.

The rows are read one time. Fold j is validated on with its factor, and the fit is to the merge of the other folds'
factors, whose own means and deviations centre and scale it: nothing of fold j leaks into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Context
from itertools import accumulate
from typing import Any

import numpy as np

from descentlab.arrays import Array
from descentlab.data.selection import Selection, choose, known
from descentlab.descent import Descent
from descentlab.doctor.folds.course import Course, cost_on, numbers, spaced
from descentlab.doctor.folds.crossvalidation import CrossValidation
from descentlab.doctor.folds.dealing import Fold, fold_of
from descentlab.errors import DataError, SettingError, one_of, whole_number
from descentlab.factor import Factor
from descentlab.problem import Problem
from descentlab.text import Sentence
from descentlab.theory import Theory

DENSE, DOUBLING = 128, 64  # numbers of updates tried: every one up to here, then so many as they double
FRACTIONS = (0.99, 0.9, 0.6, 0.3, 0.1, 0.03)  # of the smallest bound: the rates tried where none is given


def split(
    X: object,
    y: object = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: object = None,
    missing: str = "error",
    folds: int = 5,
    seed: int = 0,
    shuffle: bool = True,
    **reading: Any,
) -> tuple[Factor, ...]:
    """The rows divided into folds, in one pass: a factor for each, of the features and the target.

    Of every ``folds`` rows in a row each goes to another fold, in an order drawn from the seed and the rows' number:
    sizes differ by at most one, and blocks, files and workers may cut the rows anywhere. It holds up to 8,192 rows
    a fold in memory.

    Args:
        X, y, target, features, weights, missing, reading: as in :class:`Problem`; X may be a problem with rows, too.
        folds: how many, at least 2 and at most the number of rows.
        seed: of the order.
        shuffle: False deals the rows out in turn: row i, from 0, goes to fold ``i mod folds``.

    Raises:
        DataError: the rows cannot be used, or X is a factor, which has none.
        SettingError: a setting is outside what it may be.
    """
    return _divided(_selection(X, y, target, features, weights, missing, reading), folds, seed, shuffle)


def cross_validate(
    data: object,
    y: object = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: object = None,
    missing: str = "error",
    folds: int = 5,
    seed: int = 0,
    shuffle: bool = True,
    lr: float | Sequence[float] | Array | None = None,
    epochs: int = 1000,
    ridge: float | Sequence[float] | Array | None = None,
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
    """The learning rate, the number of updates and the ridge that predict best, by the mean cost on held-out folds.

    Args:
        data, y, target, features, weights, missing, reading: as in :class:`Problem`. ``data`` may also be a problem
            with rows, whose hypothesis and ridge are then the default; or a sequence of factors, which are the folds.
        folds, seed, shuffle: how to divide rows; see :func:`split`.
        lr: one rate or several. None tries 0.99, 0.9, 0.6, 0.3, 0.1 and 0.03 of the smallest bound of any fold at any
            ridge, so that none diverges.
        epochs: the most updates tried.
        ridge: one or several; the default is the problem's, or 0.
        bias, center, standardize: as in :class:`Problem`; the default is the problem's, or a bias alone.
        reduction, momentum, dampening, nesterov, weight_decay: as in :class:`Descent`. Rates for a ``sum`` are those
            of a training set; the result says what they are on all rows.

    Raises:
        DataError, SettingError: the rows or a setting cannot be used; fewer than 2 folds, or more than rows; a fold
            of no weight; folds of different columns.
    """
    settings = {"reduction": reduction, "momentum": momentum, "dampening": dampening, "nesterov": nesterov}
    descent = Descent(lr=1.0, epochs=epochs, weight_decay=weight_decay, **settings)  # type: ignore[arg-type]
    rates = None if lr is None else [replace(descent, lr=rate) for rate in _values("lr", lr)]
    kind: dict[str, Any] = {"bias": bias, "center": center, "standardize": standardize, "ridge": ridge}
    kind = {name: default if kind[name] is None else kind[name] for name, default in _kind(data).items()}
    ridges = _values("ridge", kind.pop("ridge"))
    notices: tuple[Sentence, ...] = ()
    if isinstance(data, list | tuple) and data and all(isinstance(each, Factor) for each in data):
        if y is not None or weights is not None:
            raise SettingError("factor_with_rows")
        whole_number("folds", len(data), 2)
        factors = _alike(data, target, features)
    else:
        selection = _selection(data, y, target, features, weights, missing, reading)
        factors = _divided(selection, folds, seed, shuffle)
        notices = tuple(selection.notices)
    for j, factor in enumerate(factors):
        if not factor.weight > 0:
            raise DataError("fold_weight", fold=j + 1, rows=factor.rows)
    problems = [[Problem(train, ridge=each, **kind) for each in ridges] for train in others(factors)]
    bounds = np.array([[Theory(problem, descent).lr_bound for problem in row] for row in problems])
    if rates is None:
        rates = [replace(descent, lr=rate) for rate in _some_rates(descent, float(bounds.min()))]
    ranges = spaced(descent.epochs, DENSE, DOUBLING)
    fold_cost, limit = _held_out(factors, problems, rates, ranges)
    return CrossValidation(
        rows=np.array([factor.rows for factor in factors]),
        weights=np.array([factor.weight for factor in factors]),
        lr=np.array([each.lr for each in rates]),
        ridge=np.array([problem.ridge for problem in problems[0]]),
        updates=numbers(ranges),
        fold_cost=fold_cost,
        limit_fold_cost=limit,
        lr_bound=bounds,
        reduction=descent.reduction,
        rates_given=lr is not None,
        notices=notices,
    )


def others(factors: Sequence[Factor]) -> list[Factor]:
    """For each fold the factor of all other folds, by about 3 merges a fold."""
    empty = Factor.empty(factors[0].columns)
    before = accumulate(factors[:-1], Factor.merge, initial=empty)
    after = list(accumulate(reversed(factors[1:]), lambda later, factor: factor.merge(later), initial=empty))
    return [first.merge(second) for first, second in zip(before, reversed(after), strict=True)]


def _held_out(
    factors: Sequence[Factor], problems: list[list[Problem]], descents: list[Descent], ranges: list[range]
) -> tuple[Array, Array]:
    """(k, a, r, u) costs on each fold, inf for a rate that diverges, and (k, r) costs after convergence."""
    costs = np.empty((len(factors), len(descents), len(problems[0]), len(numbers(ranges))))
    limit = np.empty((len(factors), len(problems[0])))
    for j, (factor, row) in enumerate(zip(factors, problems, strict=True)):
        for k, problem in enumerate(row):
            held = cost_on(problem, factor)
            limit[j, k] = held.cost(Theory(problem, descents[0]).destination)
            for i, descent in enumerate(descents):
                diverges = Theory(problem, descent).diverges
                costs[j, i, k] = np.inf if diverges else Course(problem, descent, held).held_out(ranges)
    return costs, limit


def _divided(selection: Selection, folds: int, seed: int, shuffle: bool) -> tuple[Factor, ...]:
    k, seed = whole_number("folds", folds, 2), whole_number("seed", seed, 0)
    parts = [Fold((*selection.features, selection.target)) for _ in range(k)]
    rows = 0
    for values, weights in selection.blocks():
        goes = fold_of(rows, len(values), k, seed, shuffle)
        rows += len(values)
        for j in np.unique(goes).tolist():
            parts[j].add(values[goes == j], None if weights is None else weights[goes == j])
    if rows < k:
        raise SettingError("folds_rows", folds=k, rows=rows)
    return tuple(part.whole() for part in parts)


def _selection(
    X: object, y: object, target: str | None, features: Any, weights: object, missing: str, reading: Mapping[str, Any]
) -> Selection:
    """The rows that are to be divided."""
    one_of("missing", missing, ("error", "drop"))
    if isinstance(X, Factor) or (isinstance(X, Problem) and X._selection is None):
        raise DataError("folds_of_factor")
    if not isinstance(X, Problem):
        return Selection(X, y, target, features, weights, missing, reading)
    given = {"y": y, "target": target, "features": features, "weights": weights, **reading}
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise SettingError("problem_holds", names=named)
    assert X._selection is not None
    return X._selection


def _alike(factors: Sequence[Factor], target: str | None, features: Any) -> tuple[Factor, ...]:
    """Folds that came as factors, with the features and the target in the first one's order."""
    target = known(target, factors[0].columns, {}) if target else factors[0].columns[-1]
    columns = (*choose(features, factors[0].columns, {}, target, None), target)
    for j, factor in enumerate(factors):
        lacking = [name for name in columns if name not in factor.columns]
        if lacking:
            raise DataError("fold_columns", fold=j + 1, names=lacking, columns=factor.columns)
    return tuple(factor.select(columns) for factor in factors)


def _kind(data: object) -> dict[str, Any]:
    """The hypothesis and the ridge where they are not given: the problem's, if there is one."""
    if not isinstance(data, Problem):
        return {"bias": True, "center": False, "standardize": False, "ridge": 0.0}
    centred = data.center and not data.standardize  # which centres, too
    return {"bias": data.bias, "center": centred, "standardize": data.standardize, "ridge": data.ridge}


def _values(setting: str, given: Any) -> tuple[Any, ...]:
    """One value or several, as several."""
    values = (given,) if np.ndim(given) == 0 else tuple(given)
    if not values:
        raise SettingError("grid_empty", setting=setting)
    return values


def _some_rates(descent: Descent, bound: float) -> tuple[float, ...]:
    """Fractions of the bound, rounded down to 3 digits so that they are what they are printed as."""
    if descent.momentum >= 1 or not 0 < bound < np.inf:
        raise SettingError("no_lr_unbounded")
    short = Context(prec=3, rounding=ROUND_FLOOR).create_decimal_from_float
    return tuple(float(short(part * bound)) for part in FRACTIONS)
