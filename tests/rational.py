"""Least squares in exact rational arithmetic: the slow twin that does not round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Vector = list[Fraction]


def fractions(values: Iterable[Any]) -> Vector:
    """Floats as the numbers they are, strings as the decimals they say."""
    return [Fraction(value) for value in values]


def floats(columns: Sequence[Vector]) -> Any:
    """(n, d) float64 array of exact columns, each value rounded once."""
    return np.array([[float(value) for value in column] for column in columns], dtype=np.float64).T


def least_squares(
    columns: Sequence[Vector], target: Vector, *, bias: bool = True, start: Sequence[Any] | None = None
) -> Vector:
    """The minimiser of ``|X w + b - y|^2`` nearest to ``start`` (default 0), the bias last."""
    columns = [*columns, *([[Fraction(1)] * len(target)] if bias else [])]
    gram = [[_dot(a, b) for b in columns] + [_dot(a, target)] for a in columns]
    params, null = solve_singular(gram)
    if not null:
        return params
    # Nearest: the difference to the start is orthogonal to every null vector.
    away = [s - v for s, v in zip(fractions(start or [0] * len(params)), params, strict=True)]
    steps, _ = solve_singular([[_dot(a, b) for b in null] + [_dot(a, away)] for a in null])
    return [v + sum(c * n[i] for c, n in zip(steps, null, strict=True)) for i, v in enumerate(params)]


def correct_digits(computed: Iterable[float], exact: Sequence[Fraction]) -> Any:
    """How many decimal digits of each number are right: -log10 of the relative error; inf where it is exact."""
    return np.array([_correct(Fraction(float(c)), e) for c, e in zip(computed, exact, strict=True)])


def _correct(computed: Fraction, exact: Fraction) -> float:
    if computed == exact:
        return math.inf
    return -math.log10(abs(computed - exact) / abs(exact)) if exact else -math.inf


def _dot(a: Vector, b: Vector) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def solve_singular(rows: list[Vector]) -> tuple[Vector, list[Vector]]:
    """One solution of the consistent square system [A | b], and a basis of the null space of A."""
    n = len(rows)
    pivots: list[int] = []
    for j in range(n):
        k = len(pivots)
        found = next((i for i in range(k, n) if rows[i][j]), None)
        if found is None:
            continue
        rows[k], rows[found] = rows[found], rows[k]
        rows[k] = [value / rows[k][j] for value in rows[k]]
        for i in range(n):
            if i != k and rows[i][j]:
                factor = rows[i][j]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
        pivots.append(j)
    solution = [Fraction(0)] * n
    for k, j in enumerate(pivots):
        solution[j] = rows[k][n]
    null = []
    for free in sorted(set(range(n)) - set(pivots)):
        vector = [Fraction(int(j == free)) for j in range(n)]
        for k, j in enumerate(pivots):
            vector[j] = -rows[k][free]
        null.append(vector)
    return solution, null
