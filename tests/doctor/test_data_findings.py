"""Facts about the data, each on columns made to show just that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.findings.data import data_findings, variance_inflation

rng = np.random.default_rng(8)
A, B, C = rng.normal(size=(3, 100))
Y = A - B + rng.normal(size=100)


def told(X: Any, y: Any = Y, **settings: Any) -> dict[str, Any]:
    return {finding.name: finding for finding in all_facts(dl.Problem(X, y, **settings))}


def all_facts(problem: dl.Problem) -> list[Any]:
    return data_findings(problem, variance_inflation(problem))


def columns(*each: Any) -> Any:
    return np.column_stack(each)


def test_ordinary_columns_have_nothing_to_tell() -> None:
    assert told(columns(A, B, C)) == {}


def test_a_duplicate_is_named_with_its_relation() -> None:
    found = told(columns(A, B, 2 * A - B + 5))["dependent_columns"]
    assert "`x3` = 2·`x1` - `x2` + 5" in found.text("en")
    assert found.numbers["columns"] == ["x3"]
    assert "Leaving out `x3`" in found.text("en")


def test_a_constant_column_is_one_with_the_intercept() -> None:
    assert "`x2` is 7 in every row" in told(columns(A, np.full(100, 7.0)))["dependent_columns"].text("en")


def test_nearly_collinear_columns_and_how_much_is_left_of_them() -> None:
    X = columns(A, B, A + B + 0.01 * C)
    found = told(X)["nearly_collinear"]
    left = 100 / variance_inflation(dl.Problem(X, Y)).max()
    assert f"Only {left:.2g}% of the variance" in found.text("en")
    assert set(found.numbers["variance_inflation"]) == {"x1", "x2", "x3"}


def test_variance_inflation_is_one_over_one_minus_r_squared() -> None:
    X = columns(A, B, A + 0.5 * B + 0.3 * C)
    slow = []
    for j in range(3):
        others = np.column_stack([np.delete(X, j, axis=1), np.ones(100)])
        residual = X[:, j] - others @ np.linalg.lstsq(others, X[:, j], rcond=None)[0]
        slow.append(X[:, j].var() / residual.var())
    np.testing.assert_allclose(variance_inflation(dl.Problem(X, Y)), slow, rtol=1e-10)
    without = []
    for j in range(3):
        others = np.delete(X, j, axis=1)
        residual = X[:, j] - others @ np.linalg.lstsq(others, X[:, j], rcond=None)[0]
        without.append((X[:, j] ** 2).sum() / (residual**2).sum())
    np.testing.assert_allclose(variance_inflation(dl.Problem(X, Y, bias=False)), without, rtol=1e-10)


def test_scales_that_are_far_apart() -> None:
    found = told(columns(A, 1e4 * B))["scales_apart"]
    assert "`x2` is" in found.text("en")
    assert 5e3 < found.numbers["ratio"] < 2e4
    assert "scales_apart" not in told(columns(A, 1e4 * B), standardize=True)


def test_a_mean_that_dwarfs_the_spread() -> None:
    found = told(columns(A + 1000, B))["far_from_zero"]
    assert found.numbers["mean_over_spread"]["x1"] == pytest.approx((A + 1000).mean() / A.std(), rel=1e-9)
    assert "far_from_zero" not in told(columns(A + 1000, B), center=True)


def test_a_column_that_float32_would_flatten() -> None:
    timestamps = 1_700_000_000 + 60.0 * np.arange(100)
    found = told(columns(timestamps, A))["float32_cannot_resolve"]
    assert "it would round `x1` to multiples of" in found.text("en")
    rounded = np.unique(timestamps.astype(np.float32))
    assert len(rounded) < 60  # what the finding says, seen
    assert "float32_cannot_resolve" not in told(columns(A + 100, B))


def test_a_target_that_does_not_vary() -> None:
    assert "is 3 in every row" in told(columns(A, B), np.full(100, 3.0))["constant_target"].text("en")


def test_a_target_that_a_column_copies() -> None:
    found = told(columns(A, B), 2 * B + 1)["target_copied"]
    assert found.numbers["columns"] == ["x2"]
    assert "target_copied" not in told(A[:, None], 2 * A)  # with one column it is simply an exact fit


def test_the_gravest_comes_first_and_every_one_has_words_in_both_languages() -> None:
    problem = dl.Problem(columns(A + 1e6, 1e4 * B, A + 1e6), Y)
    found = all_facts(problem)
    assert {each.name for each in found} >= {"dependent_columns", "far_from_zero"}
    weights = ["problem", "caution", "fact"]
    assert [weights.index(each.severity) for each in found] == sorted(weights.index(each.severity) for each in found)
    for each in found:
        assert each.text("ko") != each.text("en")
