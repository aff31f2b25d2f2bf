"""Dealing rows out to folds: which rows are meant, which fold a row belongs to, and the factor of each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data.selection import ColumnSelection, check_column, choose_features
from descentlab.errors import DataError, SettingError, check_choice, check_int
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import IncrementalFactor
from descentlab.messages import pluralize
from descentlab.problem.problem import Problem
from descentlab.typing import FloatArray, IntArray

SPLITMIX64_INCREMENT, SPLITMIX64_MULTIPLIER_1, SPLITMIX64_MULTIPLIER_2 = (
    0x9E3779B97F4A7C15,
    0xBF58476D1CE4E5B9,
    0x94D049BB133111EB,
)  # of SplitMix64


def assign_folds(start: int, count: int, folds: int, seed: int = 0, shuffle: bool = True) -> IntArray:
    """(count,) the fold, from 0, of each row from number ``start`` on: it rests on nothing but these numbers.

    Without ``shuffle`` row i goes to fold ``i mod folds``. With it each run of ``folds`` rows is put in the order of
    what SplitMix64 makes of the seed and their numbers (G. Steele, D. Lea and C. Flood, *Fast splittable pseudorandom
    number generators*, OOPSLA 2014), so that sizes differ by at most one, wherever the rows end.
    """
    if not shuffle:
        return np.arange(start, start + count) % folds
    first = start // folds * folds
    row = np.arange(first, first + -(-(start + count - first) // folds) * folds, dtype=np.uint64)
    keys = _splitmix64(_splitmix64(np.array([seed], dtype=np.uint64)) + row)
    order: IntArray = np.argsort(keys.reshape(-1, folds), axis=1, kind="stable").ravel()
    return order[start - first : start - first + count]


def _splitmix64(z: Any) -> Any:
    """SplitMix64's scrambling of (m,) 64-bit numbers."""
    z = (z + np.uint64(1)) * np.uint64(SPLITMIX64_INCREMENT)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(SPLITMIX64_MULTIPLIER_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SPLITMIX64_MULTIPLIER_2)
    return z ^ (z >> np.uint64(31))


def select_rows(
    X: object, y: object, target: str | None, features: Any, weights: object, missing: str, reading: Mapping[str, Any]
) -> ColumnSelection:
    """The rows that are to be divided, named as in :class:`Problem`; X may be a problem, too.

    Raises:
        DataError: the rows cannot be used, or X is a factor, which has none.
        SettingError: a setting is outside what it may be, or beside a problem, which holds it already.
    """
    check_choice("missing", missing, ("error", "drop"))
    if isinstance(X, Factor) or (isinstance(X, Problem) and not X.has_rows):
        raise DataError("folds_of_factor")
    if not isinstance(X, Problem):
        return ColumnSelection(X, y, target, features, weights, missing, reading)
    settings = {"y": y, "target": target, "features": features, "weights": weights, **reading}
    conflicting = [name for name, value in settings.items() if value is not None]
    if conflicting:
        raise SettingError("problem_holds", names=conflicting)
    return X.selection


def add_to_folds(
    values: FloatArray, weights: FloatArray | None, fold_of_row: IntArray, fold_builders: Sequence[IncrementalFactor]
) -> None:
    """Add each of (m, k) rows, with its weight if any, to the part that it goes to."""
    for j in np.unique(fold_of_row).tolist():
        fold_builders[j].add(values[fold_of_row == j], None if weights is None else weights[fold_of_row == j])


def build_fold_factors(selection: ColumnSelection, folds: int, seed: int, shuffle: bool) -> tuple[Factor, ...]:
    """The factor of each fold, features and target, in one pass over the rows.

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
    """Folds that came as factors, with the features and the target in the first one's order.

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
