"""Dividing rows into folds: the fold of each row, and the factor of each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data import CSV_OPTIONS
from descentlab.data.columns import check_column, choose_features
from descentlab.data.design.choose import NO_DESIGN, DesignRequest, request_design
from descentlab.data.selection import ColumnSelection
from descentlab.errors import DataError, SettingError, check_choice, check_int
from descentlab.factor.build import find_design
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import IncrementalFactor
from descentlab.messages import pluralize
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import check_keywords, keyword_names
from descentlab.typing import FloatArray, IntArray

SPLITMIX64_INCREMENT = 0x9E3779B97F4A7C15
SPLITMIX64_MULTIPLIER_1 = 0xBF58476D1CE4E5B9
SPLITMIX64_MULTIPLIER_2 = 0x94D049BB133111EB


def split(
    X: object,
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
    **reading: Any,
) -> tuple[Factor, ...]:
    """Divide rows into k folds, in one pass: a factor of the features and the target for each.

    Rows ``k m, ..., k m + k - 1`` go to k different folds, in an order drawn from the seed and their numbers
    (:func:`assign_folds`). So sizes differ by at most one, and the result does not depend on blocks, files or
    workers. Up to 8,192 rows a fold are in memory.

    Args:
        X, y, target, features, drop, weights, formula, categories, missing, reading: as in :class:`Problem`; X may be
            a problem with rows, too.
        folds: k, at least 2 and at most the number of rows.
        seed: of the order.
        shuffle: False assigns the rows in turn: row i, from 0, to fold ``i mod k``.

    Raises:
        DataError: the rows cannot be used, or X is a factor, which has no rows.
        SettingError: a setting is outside its range.

    >>> import descentlab as dl
    >>> first, second = dl.split([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0], folds=2, shuffle=False)
    >>> first.means.tolist(), second.means.tolist()  # rows 0 and 2, rows 1 and 3: mean of x, mean of y
    ([2.0, 2.0], [3.0, 3.5])
    """
    check_keywords(reading, (*CSV_OPTIONS, *keyword_names(split)))
    request = request_design(formula, categories, True, y)
    selection = select_rows(X, y, target, features, weights, missing, reading, drop, request)
    return build_fold_factors(selection, folds, seed, shuffle)


def assign_folds(start: int, count: int, folds: int, seed: int = 0, shuffle: bool = True) -> IntArray:
    """(count,) the fold, from 0, of each row from number ``start`` on; it depends on nothing but the arguments.

    Without ``shuffle`` row i goes to fold ``i mod folds``. With it every ``folds`` successive rows are ordered by
    the SplitMix64 hashes of the seed and their numbers (G. Steele, D. Lea and C. Flood, *Fast splittable pseudorandom
    number generators*, OOPSLA 2014).

    >>> assign_folds(0, 6, folds=3, shuffle=False).tolist(), sorted(assign_folds(0, 6, folds=3).tolist())
    ([0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2])
    """
    if not shuffle:
        return np.arange(start, start + count) % folds
    first = start // folds * folds
    row = np.arange(first, first + -(-(start + count - first) // folds) * folds, dtype=np.uint64)
    keys = _splitmix64(_splitmix64(np.array([seed], dtype=np.uint64)) + row)
    order: IntArray = np.argsort(keys.reshape(-1, folds), axis=1, kind="stable").ravel()
    return order[start - first : start - first + count]


def _splitmix64(z: Any) -> Any:
    """The SplitMix64 hash of (m,) 64-bit numbers."""
    z = (z + np.uint64(1)) * np.uint64(SPLITMIX64_INCREMENT)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(SPLITMIX64_MULTIPLIER_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SPLITMIX64_MULTIPLIER_2)
    return z ^ (z >> np.uint64(31))


def select_rows(
    X: object,
    y: object,
    target: str | None,
    features: Any,
    weights: object,
    missing: str,
    reading: Mapping[str, Any],
    drop: Any = None,
    request: DesignRequest = NO_DESIGN,
) -> ColumnSelection:
    """The rows to divide, given as for :class:`Problem`; X may be a problem, too.

    Raises:
        DataError: the rows cannot be used, or X is a factor, which has no rows.
        SettingError: a setting is outside its range, or given together with a problem, which has its own.
    """
    check_choice("missing", missing, ("error", "drop"))
    if isinstance(X, Factor) or (isinstance(X, Problem) and not X.has_rows):
        raise DataError("folds_of_factor")
    if not isinstance(X, Problem):
        selection = ColumnSelection(X, y, target, features, weights, missing, reading, drop, request)
        find_design(selection)
        return selection
    settings = {"y": y, "target": target, "features": features, "drop": drop, "weights": weights, **reading}
    settings |= {"formula": request.formula, "categories": request.categories}
    conflicting = [name for name, value in settings.items() if value is not None]
    if conflicting:
        raise SettingError("problem_holds", names=conflicting)
    return X.selection


def add_to_folds(
    values: FloatArray, weights: FloatArray | None, fold_of_row: IntArray, fold_builders: Sequence[IncrementalFactor]
) -> None:
    """Add each of (m, k) rows, with its weight if any, to its fold."""
    for j in np.unique(fold_of_row).tolist():
        fold_builders[j].add(values[fold_of_row == j], None if weights is None else weights[fold_of_row == j])


def build_fold_factors(selection: ColumnSelection, folds: int, seed: int, shuffle: bool) -> tuple[Factor, ...]:
    """The factor of each fold, in one pass over the rows.

    Raises:
        DataError: the rows cannot be used.
        SettingError: fewer than 2 folds, or more than rows.
    """
    k, seed = check_int("folds", folds, 2), check_int("seed", seed, 0)
    fold_builders = [IncrementalFactor((*selection.features, selection.target)) for _ in range(k)]
    rows = 0
    for values, weights in selection.blocks():
        fold_of_row = assign_folds(rows, len(values), k, seed, shuffle)
        rows += len(values)
        add_to_folds(values, weights, fold_of_row, fold_builders)
    if rows < k:
        raise SettingError("folds_rows", folds=k, rows=pluralize(rows, "row"))
    return tuple(builder.result() for builder in fold_builders)


def align_fold_columns(factors: Sequence[Factor], target: str | None, features: Any) -> tuple[Factor, ...]:
    """Folds given as factors, with the features and the target in the first one's order.

    Raises:
        DataError: a fold lacks a column.
        SettingError: fewer than 2 folds.
    """
    check_int("folds", len(factors), 2)
    target = check_column(target, factors[0].columns, {}) if target else factors[0].columns[-1]
    columns = (*choose_features(features, factors[0].columns, {}, target, None), target)
    for j, factor in enumerate(factors):
        lacking = [name for name in columns if name not in factor.columns]
        if lacking:
            raise DataError("fold_columns", fold=j + 1, names=lacking, columns=factor.columns)
    return tuple(factor.select(columns) for factor in factors)
