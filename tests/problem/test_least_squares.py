"""The fit against exact rational arithmetic: the answer, what is dependent, and the bounds on its errors."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from descentlab import Factor, Problem
from descentlab.problem.least_squares import solve_least_squares
from tests.rational import Vector, correct_digits, floats, least_squares

KINDS = ("integers", "decimals", "offset", "scales", "collinear", "powers", "hilbert", "grouped", "timestamps")
HOW = ("block", "rows", "merged", "repeated", "weighted", "standardized")


def made(kind: str, rng: np.random.Generator) -> tuple[list[Vector], Vector]:
    """Exact decimal columns and target of a kind, the target anywhere between an exact fit and noise alone."""
    d = int(rng.integers(1, 5))
    n = int(rng.integers(d + 3, 25))
    unit = Fraction(1, 10 ** int(rng.integers(1, 4)))

    def decimals(low: int, high: int) -> Vector:
        return [int(v) * unit for v in rng.integers(low, high, n)]

    if kind == "integers":
        columns = [[Fraction(int(v)) for v in rng.integers(-100, 100, n)] for _ in range(d)]
    elif kind == "offset":
        offset = 10 ** int(rng.integers(3, 10))
        columns = [[offset + v for v in decimals(0, 1000)] for _ in range(d)]
    elif kind == "scales":
        powers = [Fraction(10) ** int(e) for e in rng.integers(-9, 10, d)]
        columns = [[power * v for v in decimals(-1000, 1000)] for power in powers]
    elif kind == "collinear":
        x = decimals(-1000, 1000)
        columns = [
            x,
            [
                v + Fraction(int(e), 10 ** int(rng.integers(3, 9)))
                for v, e in zip(x, rng.integers(-9, 9, n), strict=True)
            ],
        ]
    elif kind == "powers":
        x = decimals(0, 100)
        columns = [[v**k for v in x] for k in range(1, int(rng.integers(3, 8)))]
    elif kind == "hilbert":
        columns = [[Fraction(1, i + j + 1) for i in range(n)] for j in range(min(d + 2, 6))]
    elif kind == "grouped":  # rows of a group are rounded alike, so that errors do not cancel
        group = rng.integers(0, d + 4, n)
        columns = [[column[g] for g in group] for column in (decimals(-50, 50)[: d + 4] + [unit] * n for _ in range(d))]
    elif kind == "timestamps":
        times = np.sort(rng.integers(0, 864_000, n))
        columns = [[1_700_000_000 + Fraction(int(v), 100) for v in times]]
    else:
        columns = [decimals(-1000, 1000) for _ in range(d)]
    weights = [int(v) * unit for v in rng.integers(-20, 20, len(columns))]
    noise = int(rng.choice([0, 1, 100, 10_000]))
    target = [
        7
        + sum(w * column[i] for w, column in zip(weights, columns, strict=True))
        + int(rng.integers(-noise, noise + 1)) * unit
        for i in range(n)
    ]
    return columns, target


def factor_of(values: Any, how: str, rng: np.random.Generator) -> Factor:
    """The same rows, compressed in different ways; all have the same minimiser."""
    names = [*(f"x{j}" for j in range(values.shape[1] - 1)), "y"]
    if how == "rows":
        factor = Factor.empty(names)
        for row in values:
            factor = factor.update(row[None])
        return factor
    if how == "merged":
        factor = Factor.from_block(values[1:], names).merge(Factor.from_block(values[:1], names))
        return factor.merge(factor)
    if how == "repeated":
        return Factor.from_block(np.repeat(values, int(rng.integers(400, 900)), axis=0), names)
    if how == "weighted":
        return Factor.from_block(values, names, np.full(len(values), 0.3))
    return Factor.from_block(values, names)


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_never_more_digits_than_are_right(kind: str, how: str) -> None:
    """Data given as decimals and rounded to float64, against the exact solution of the decimals."""
    rng = np.random.default_rng([KINDS.index(kind), HOW.index(how)])
    modest = []
    for _ in range(8 if how in ("repeated", "rows") else 40):
        columns, target = made(kind, rng)
        bias = bool(rng.integers(2))
        factor = factor_of(np.column_stack([floats(columns), floats([target])]), how, rng)
        minimum = Problem(factor, bias=bias, standardize=how == "standardized").solve()
        if minimum.null_directions:  # groups and powers of few values can repeat themselves; see test_minimum
            continue
        correct = correct_digits(minimum.params, least_squares(columns, target, bias=bias))
        vouched = minimum.digits > 0
        assert (minimum.digits[vouched] <= correct[vouched] - 0.3).all()  # twice the error would still be covered
        modest.append(np.median(np.minimum(correct, 15.9) - minimum.digits))
    assert np.median(modest) < 5.0  # careful, and still worth reading


def test_errors_hold_for_moved_data() -> None:
    """Move every value by half a unit in its last place, at random: the answers stay within the bounds."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3)) + [100, 0, -3]
    y = X @ [1.0, -2, 0.5] + rng.normal(size=30)
    names, none = ("a", "b", "c", "y"), np.zeros(3)
    here = solve_least_squares(Factor.from_block(np.column_stack([X, y]), names), True, none)
    for _ in range(50):
        values = np.column_stack([X, y])
        values = values + rng.choice([-0.5, 0.5], values.shape) * np.spacing(values)
        there = solve_least_squares(Factor.from_block(values, names), True, none)
        assert (np.abs(there.params - here.params) <= here.error_bounds + there.error_bounds).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("offset", [0, 50, 10**6])
def test_dependent_columns_are_found_whatever_their_scale(bias: bool, offset: int) -> None:
    rng = np.random.default_rng(offset)
    for _ in range(50):
        d = int(rng.integers(2, 7))
        X = rng.integers(-50, 50, (40, d)) + float(offset)
        mix = rng.integers(-3, 4, (d, 2))
        scales = 10.0 ** rng.integers(-9, 9, d + 2)
        values = np.column_stack([X, X @ mix]) * scales
        order = rng.permutation(d + 2)
        factor = Factor.from_block(
            np.column_stack([values[:, order], rng.random(40)]), [*(f"x{j}" for j in range(d + 2)), "y"]
        )
        found = solve_least_squares(factor, bias, np.zeros(d + 2))
        assert len(found.dependent) == 2
        flat = values[:, order] @ found.null_space[: d + 2] + (found.null_space[d + 2] if bias else 0)
        assert (np.abs(flat) <= 1e-13 * np.abs(values[:, order]) @ np.abs(found.null_space[: d + 2]) + 1e-300).all()


def test_independent_columns_stay_independent() -> None:
    rng = np.random.default_rng(8)
    x = rng.random(60)
    values = np.column_stack([x, x + 1e-9 * rng.random(60), 1e9 + rng.random(60), 1e-12 * rng.random(60), x])
    assert solve_least_squares(Factor.from_block(values, tuple("abcdy")), True, np.zeros(4)).dependent == ()


def test_ridge_leaves_nothing_flat() -> None:
    """Against the normal equations in plain NumPy."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=20)
    X, y = np.column_stack([x, x, rng.normal(size=20) + 3]), rng.normal(size=20)
    penalty = np.array([0.5, 0.5, 0.25])
    found = solve_least_squares(Factor.from_block(np.column_stack([X, y]), tuple("abcy")), True, penalty)
    centred = X - X.mean(axis=0)
    W = np.linalg.solve(centred.T @ centred + 20 * np.diag(penalty), centred.T @ y)
    assert found.dependent == ()
    np.testing.assert_allclose(found.params[:, 0], [*W, y.mean() - X.mean(axis=0) @ W], rtol=1e-12)
    assert found.cost == pytest.approx(np.mean((X @ W + found.params[3, 0] - y) ** 2))
    assert (found.error_bounds < 1e-12).all()


def test_what_rounding_decides_is_not_vouched_for() -> None:
    """Columns that differ in their last place only: rounding, not the data, would choose the answer."""
    x = np.random.default_rng(0).random(30) + 1.0
    minimum = Problem(np.column_stack([x, x + np.spacing(x)]), x).solve()
    assert minimum.null_directions
    two = Problem(np.column_stack([x, x + 30 * np.spacing(x) * np.arange(30)]), np.sin(x)).solve()
    assert two.min_digits < 2


def test_what_compression_may_have_rounded_away_is_not_vouched_for() -> None:
    """A column that the data, but not the factor, tells from another one: both their weights may be anything."""
    rng = np.random.default_rng(6)
    x, z = rng.random((2, 60))
    factor = Factor.from_block(np.column_stack([z, x, x + 1e-9 * rng.random(60), x + z]), tuple("abcy"))
    rounded = replace(factor, rounding_error=factor.rounding_error + 1e-6)
    found = solve_least_squares(rounded, True, np.zeros(3))
    assert found.dependent == (2,)
    assert np.isinf(found.error_bounds[:3, 0]).tolist() == [False, True, True]
