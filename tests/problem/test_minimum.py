"""The minimum: the one that descent reaches, its flat directions in words, and digits that are never too many."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.problem.minimum import describe_cost
from tests.problem.campaign import overclaims, random_problems
from tests.rational import correct_digits, floats, least_squares

x1 = [Fraction(v) for v in (1, 4, 2, 8, 5, 7, 3)]
x2 = [Fraction(v) for v in (3, 1, 4, 1, 5, 9, 2)]
y = [Fraction(v) for v in (2, 7, 1, 8, 2, 8, 1)]
ZERO, SEVEN = [Fraction(0)] * 7, [Fraction(7)] * 7
HOT = [[Fraction(int(i % 3 == j)) for i in range(7)] for j in range(3)]
COMBINED = [2 * a - b + 5 for a, b in zip(x1, x2, strict=True)]

# name: columns, bias, rank, what is said of the flat directions
CASES: dict[str, tuple[Any, bool, int, list[str]]] = {
    "whole": ([x1, x2], True, 3, []),
    "duplicate": ([x1, x2, x1], True, 3, ["`x3` = `x1` in every row"]),
    "combination": ([x1, x2, COMBINED], True, 3, ["`x3` = 2·`x1` - `x2` + 5 in every row"]),
    "constant": ([x1, SEVEN], True, 2, ["`x2` is 7 in every row"]),
    "constant without bias": ([x1, SEVEN], False, 2, []),
    "one-hot": (HOT, True, 3, ["`x3` = -`x1` - `x2` + 1 in every row"]),
    "one-hot without bias": (HOT, False, 3, []),
    "zero": ([x1, ZERO], False, 1, ["`x2` is zero in every row"]),
    "zero with bias": ([ZERO, x1], True, 2, ["`x1` is 0 in every row"]),
    "all zero": ([ZERO], False, 0, ["`x` is zero in every row"]),
    "two relations": ([x1, x1, x2, x2], True, 3, ["`x2` = `x1` in every row", "`x4` = `x3` in every row"]),
    "scales": ([[v * 10**9 for v in x1], x2, [v / 8 for v in x1]], True, 3, ["`x3` = 1.25e-10·`x1` in every row"]),
    "few rows": ([x1[:2], x2[:2], y[:2]], True, 2, ["`x2` = ", "`x3` = "]),
}
STARTS = (None, 1)
COORDINATES: tuple[dict[str, bool], ...] = ({}, {"center": True}, {"standardize": True})


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Any, bool, int, list[str]]:
    return CASES[request.param]


def problem(case: tuple[Any, bool, int, list[str]], **settings: Any) -> dl.Problem:
    columns, bias, *_ = case
    return dl.Problem(floats(columns), [float(v) for v in y[: len(columns[0])]], bias=bias, **settings)


def test_rank_and_flat_directions_by_name(case: tuple[Any, bool, int, list[str]]) -> None:
    minimum = problem(case).solve()
    assert minimum.rank == case[2]
    assert len(minimum.null_directions) == len(case[3])
    for found, expected in zip(minimum.null_directions, case[3], strict=True):
        assert expected in found.text("en")
        assert found.text("ko")


@pytest.mark.parametrize("start", STARTS)
def test_the_nearest_minimiser_exactly(case: tuple[Any, bool, int, list[str]], start: int | None) -> None:
    """Against rational arithmetic, in the data's own coordinates."""
    columns, bias, *_ = case
    begin = None if start is None else [k + 1 for k in range(len(columns) + bias)]
    minimum = problem(case).solve(begin)
    exact = least_squares(columns, y[: len(columns[0])], bias=bias, start=begin)
    correct = correct_digits(minimum.params, exact)
    vouched = minimum.digits > 0
    assert (minimum.digits[vouched] <= correct[vouched]).all()
    np.testing.assert_allclose(minimum.params, [float(v) for v in exact], rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("case", [name for name in CASES if name != "scales"], indirect=True)  # pinv loses those
@pytest.mark.parametrize("settings", COORDINATES, ids=lambda s: next(iter(s), "plain"))
@pytest.mark.parametrize("start", STARTS)
def test_the_nearest_minimiser_is_where_descent_ends(
    case: tuple[Any, bool, int, list[str]], settings: dict[str, Any], start: int | None
) -> None:
    """Against pinv in the coordinates descended on, and against a plain loop of updates."""
    if settings.get("center") and not case[1]:
        return
    given = problem(case, **settings)
    begin = None if start is None else np.arange(1.0, len(given.parameters) + 1)
    rows = given.scaled_rows()
    Z = np.column_stack([rows.X, np.ones(len(rows.y))]) if given.bias else rows.X
    p0 = given.scaled_params(begin)
    limit = p0 + np.linalg.pinv(Z, rcond=1e-12) @ (rows.y - Z @ p0)
    minimum = given.solve(begin)
    np.testing.assert_allclose(minimum.params, given.scaling.to_original(limit), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(minimum.cost, np.mean((Z @ limit - rows.y) ** 2), rtol=1e-9, atol=1e-25)
    curvature = np.linalg.eigvalsh(Z.T @ Z)
    condition = curvature[-1] / max(curvature[curvature > 1e-9 * curvature[-1]].min(initial=np.inf), 1e-9)
    if condition > 1e4:
        return  # a loop would take for ever
    p = p0.copy()
    for _ in range(min(round(20 * condition), 40_000)):  # e^-20 of the error is left in the flattest direction
        p -= (1 / max(curvature[-1], 1e-9)) * (Z.T @ (Z @ p - rows.y))
    np.testing.assert_allclose(given.scaling.to_original(p), minimum.params, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_digits_of_nearest_minimisers_are_never_too_many() -> None:
    """Random dependent integer columns, exact answers, scales 1e9 apart."""
    rng = np.random.default_rng(11)
    for _ in range(300):
        d = int(rng.integers(1, 4))
        base = rng.integers(-30, 30, (12, d)) + int(rng.choice([0, 0, 10**6]))
        whole = np.column_stack([base, base @ rng.integers(-3, 4, (d, 2)) + rng.integers(-5, 5, 2)])
        whole = whole[:, rng.permutation(d + 2)] * 2 ** rng.integers(0, int(rng.choice([1, 30])), d + 2)
        target = rng.integers(-99, 99, 12)
        start = [int(v) for v in rng.integers(-9, 9, d + 3)]
        columns = [[Fraction(int(v)) for v in column] for column in whole.T]
        exact = least_squares(columns, [Fraction(int(v)) for v in target], start=start)
        minimum = dl.Problem(whole.astype(float), target.astype(float)).solve(start)
        correct = correct_digits(minimum.params, exact)
        vouched = minimum.digits > 0
        assert (minimum.digits[vouched] <= correct[vouched] - 0.3).all()


def test_a_minimum_in_words() -> None:
    minimum = problem(CASES["duplicate"]).solve()
    text = minimum.text("en")
    assert str(minimum) == text
    for name in minimum.parameters:
        assert name in text
    assert "`x3` = `x1`" in text
    assert "nearest to the start" in text
    assert "nearest" not in problem(CASES["whole"]).solve().text("en")
    assert minimum.text("ko") != text


def test_a_coefficient_that_is_zero_has_no_digits() -> None:
    minimum = dl.Problem(np.array([[1.0, 1], [2, -1], [3, -1], [4, 1]]), [1, 2, 3, 4.0]).solve()
    np.testing.assert_allclose(minimum.params, [1, 0, 0], atol=1e-15)
    assert minimum.digits[1] == minimum.digits[2] == minimum.min_digits == 0.0
    assert minimum.digits[0] > 14
    assert minimum.cost < 1e-30


def test_no_digit_is_vouched_for_where_many_rows_hide_whether_a_column_depends_on_another() -> None:
    """x2 - x1 is 20 units in the last place: the data determines 2^50, compression of 5,000 rows cannot see it."""
    r = np.random.default_rng(0)
    x1 = 1 + r.integers(0, 2**20, 5000) / 2**20
    x2 = np.clip(x1 + 2.0**-50 * r.integers(-8, 9, 5000), 1, 2 - 2**-52)
    minimum = dl.Problem(np.column_stack([x1, x2]), 4 * x1 + (x2 - x1) * 2.0**50).solve()
    assert minimum.digits.max() < 1


def test_what_a_division_gives_exactly_stays_exact() -> None:
    """A reciprocal and a product are two roundings: the lesson's weight was 1 - 1e-16, and its cost not 0."""
    minimum = dl.Problem([1, 2, 3], [1, 2, 3], bias=False).solve()
    assert minimum.params.tolist() == [1.0]
    assert minimum.cost == 0.0


def test_no_digit_is_certain_where_rounding_decides_what_a_ridge_is_on() -> None:
    """Whether a column is constant but for its last place decides its scale, and with it the ridge on its weight."""
    X = [[3.0], [3.0000000000000004], [3.0]]
    minimum = dl.Problem(X, [1.0, 2, 4], standardize=True, ridge=1.0).solve()
    assert minimum.min_digits == 0
    assert "not determined by the data" in minimum.text("en")
    assert dl.Problem([[3.0], [3.0], [3.0]], [1.0, 2, 4], standardize=True, ridge=1.0).solve().digits[1] > 14


def test_digits_and_cost_bounds_hold_for_random_problems() -> None:
    wrong = [found for problem in islice(random_problems(0), 400) if (found := overclaims(problem))]
    assert not wrong


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (0.6, "minimum.cost_is_rounding"),
        (0.5, "minimum.cost_is_rounding"),
        (0.4, "minimum.cost"),
        (0.0, "minimum.cost"),
    ],
)
def test_a_cost_is_told_if_less_than_half_of_it_is_rounding(error: float, said: str) -> None:
    assert describe_cost(1.0, error).key == said
