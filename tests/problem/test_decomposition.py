"""Singular values of many columns keep the digits of one-sided Jacobi; independent columns are found all at once."""

from __future__ import annotations

import numpy as np
import pytest

import descentlab as dl
from descentlab.problem import least_squares
from descentlab.problem.decomposition import MIN_LARGE_COLUMNS, decompose

COLUMNS = MIN_LARGE_COLUMNS + 6


def orthonormal(rows: int, seed: int) -> np.ndarray:
    Q: np.ndarray = np.linalg.qr(np.random.default_rng(seed).normal(size=(rows, COLUMNS)))[0]
    return Q


@pytest.mark.parametrize("smallest", [0.5, 1e-12], ids=["equally scaled", "badly scaled"])
def test_small_singular_values_have_their_digits(smallest: float) -> None:
    expected = np.geomspace(1.0, smallest, COLUMNS)
    U, s, V = decompose(orthonormal(90, 1) * expected)
    np.testing.assert_allclose(s, expected, rtol=1e-13)
    np.testing.assert_allclose((U * s) @ V.T, orthonormal(90, 1) * expected, atol=1e-14)
    np.testing.assert_allclose(V.T @ V, np.eye(COLUMNS), atol=1e-13)


def test_nearly_equal_columns_are_left_to_jacobi(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = orthonormal(90, 2)
    matrix[:, -1] = matrix[:, 0] + 1e-7 * matrix[:, -1]
    monkeypatch.setattr("descentlab.problem.decomposition._decompose_by_jacobi", lambda given: given.shape)
    assert decompose(matrix) == matrix.shape


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_independent_columns_are_found_all_at_once(bias: bool, ridge: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(120, COLUMNS)) + 5, rng.normal(size=120)
    at_once = dl.Problem(X, y, bias=bias, ridge=ridge).fit
    monkeypatch.setattr(least_squares, "MIN_LARGE_COLUMNS", COLUMNS + 1)
    one_by_one = dl.Problem(X, y, bias=bias, ridge=ridge).fit
    np.testing.assert_allclose(at_once.params, one_by_one.params, rtol=1e-11)
    np.testing.assert_allclose(at_once.error_bounds, one_by_one.error_bounds, rtol=1e-6)
    assert at_once.cost == pytest.approx(one_by_one.cost, rel=1e-12)


@pytest.mark.parametrize("rows", [120, COLUMNS // 2], ids=["a copy", "few rows"])
def test_a_dependent_column_among_many_is_found(rows: int) -> None:
    X = np.random.default_rng(4).normal(size=(rows, COLUMNS))
    X[:, 50] = 2 * X[:, 7] - X[:, 20]
    dependent = dl.Problem(X, X[:, 0] + 1).fit.dependent
    assert dependent == ((50,) if rows > COLUMNS else tuple(range(rows - 1, COLUMNS)))


def test_a_change_of_coordinates_keeps_the_fit() -> None:
    problem = dl.Problem([[1.0, 5.0], [2.0, 1.0], [4.0, 2.0], [3.0, 7.0]], [1.0, 3.0, 4.0, 2.0])
    assert problem.with_changes(standardize=True).fit is problem.fit
    assert problem.with_changes(features=["x1"]).fit.params.shape == (2, 1)
    penalized = problem.with_changes(ridge=0.5)
    assert not np.allclose(penalized.with_changes(standardize=True).fit.params, penalized.fit.params)
