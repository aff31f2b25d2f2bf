"""Dealing rows out to folds: which rows are meant, which fold a row belongs to, and the factor of each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data.selection import Selection, choose, known
from descentlab.errors import DataError, SettingError, one_of, whole_number
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import Gathered
from descentlab.messages import counted
from descentlab.problem.problem import Problem
from descentlab.typing import Array, Integers

WEYL, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64


def fold_of(start: int, count: int, folds: int, seed: int = 0, shuffle: bool = True) -> Integers:
    """(count,) the fold, from 0, of each row from number ``start`` on: it rests on nothing but these numbers.

    Without ``shuffle`` row i goes to fold ``i mod folds``. With it each run of ``folds`` rows is put in the order of
    what SplitMix64 makes of the seed and their numbers (G. Steele, D. Lea and C. Flood, *Fast splittable pseudorandom
    number generators*, OOPSLA 2014), so that sizes differ by at most one, wherever the rows end.
    """
    if not shuffle:
        return np.arange(start, start + count) % folds
    first = start // folds * folds
    row = np.arange(first, first + -(-(start + count - first) // folds) * folds, dtype=np.uint64)
    keys = _mixed(_mixed(np.array([seed], dtype=np.uint64)) + row)
    order: Integers = np.argsort(keys.reshape(-1, folds), axis=1, kind="stable").ravel()
    return order[start - first : start - first + count]


def _mixed(z: Any) -> Any:
    """SplitMix64's scrambling of (m,) 64-bit numbers."""
    z = (z + np.uint64(1)) * np.uint64(WEYL)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    return z ^ (z >> np.uint64(31))


def selected(
    X: object, y: object, target: str | None, features: Any, weights: object, missing: str, reading: Mapping[str, Any]
) -> Selection:
    """The rows that are to be divided, named as in :class:`Problem`; X may be a problem, too.

    Raises:
        DataError: the rows cannot be used, or X is a factor, which has none.
        SettingError: a setting is outside what it may be, or beside a problem, which holds it already.
    """
    one_of("missing", missing, ("error", "drop"))
    if isinstance(X, Factor) or (isinstance(X, Problem) and not X.has_rows):
        raise DataError("folds_of_factor")
    if not isinstance(X, Problem):
        return Selection(X, y, target, features, weights, missing, reading)
    given = {"y": y, "target": target, "features": features, "weights": weights, **reading}
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise SettingError("problem_holds", names=named)
    return X.selection


def deal(values: Array, weights: Array | None, goes: Integers, parts: Sequence[Gathered]) -> None:
    """Add each of (m, k) rows, with its weight if any, to the part that it goes to."""
    for j in np.unique(goes).tolist():
        parts[j].add(values[goes == j], None if weights is None else weights[goes == j])


def dealt(selection: Selection, folds: int, seed: int, shuffle: bool) -> tuple[Factor, ...]:
    """The factor of each fold, features and target, in one pass over the rows.

    Raises:
        DataError: the rows cannot be used.
        SettingError: fewer than 2 folds, or more than rows.
    """
    k, seed = whole_number("folds", folds, 2), whole_number("seed", seed, 0)
    parts = [Gathered((*selection.features, selection.target)) for _ in range(k)]
    rows = 0
    for values, weights in selection.blocks():
        goes = fold_of(rows, len(values), k, seed, shuffle)
        rows += len(values)
        deal(values, weights, goes, parts)
    if rows < k:
        raise SettingError("folds_rows", folds=k, rows=counted(rows, "row"))
    return tuple(part.factor() for part in parts)


def alike(factors: Sequence[Factor], target: str | None, features: Any) -> tuple[Factor, ...]:
    """Folds that came as factors, with the features and the target in the first one's order.

    Raises:
        DataError: a fold lacks a column.
        SettingError: fewer than 2 folds.
    """
    whole_number("folds", len(factors), 2)
    target = known(target, factors[0].columns, {}) if target else factors[0].columns[-1]
    columns = (*choose(features, factors[0].columns, {}, target, None), target)
    for j, factor in enumerate(factors):
        lacking = [name for name in columns if name not in factor.columns]
        if lacking:
            raise DataError("fold_columns", fold=j + 1, names=lacking, columns=factor.columns)
    return tuple(factor.select(columns) for factor in factors)
