"""Curvatures against NumPy on the Hessian, and, where columns differ a billionfold, against more digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from tests.descent.test_recursion import SETTINGS, after

rng = np.random.default_rng(12)
X, y = rng.normal(size=(50, 3)) * [1, 4, 0.3] + [0, 2, -1], rng.normal(size=50)
Z = np.column_stack([X, np.ones(50)])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_eigenvalues_and_directions_of_the_hessian(reduction: str, ridge: float) -> None:
    spectrum = dl.Problem(X, y, ridge=ridge).spectrum(reduction)
    hessian = gradient_scale(reduction, 50) * (Z.T @ Z + 50 * ridge * np.diag([1.0, 1, 1, 0]))
    np.testing.assert_allclose(spectrum.eigenvalues, np.linalg.eigvalsh(hessian)[::-1], rtol=1e-11)
    V = spectrum.directions
    np.testing.assert_allclose(hessian @ V, V * spectrum.eigenvalues, atol=1e-11 * spectrum.lambda_max)
    assert spectrum.lambda_max == spectrum.eigenvalues[0]
    assert spectrum.lambda_min == spectrum.eigenvalues[-1]
    assert spectrum.condition == spectrum.lambda_max / spectrum.lambda_min
    assert spectrum.minimax_lr == 2 / (spectrum.lambda_max + spectrum.lambda_min)
    assert (spectrum.rank, spectrum.null_directions, spectrum.reduction) == (4, (), reduction)


@pytest.mark.parametrize("settings", [{"center": True}, {"standardize": True}, {"bias": False, "standardize": True}])
def test_eigenvalues_in_the_descended_coordinates(settings: dict[str, Any]) -> None:
    problem = dl.Problem(X, y, **settings)
    rows = problem.scaled_rows().X
    descended = np.column_stack([rows, np.ones(50)]) if problem.bias else rows
    hessian = 2 / 50 * descended.T @ descended
    np.testing.assert_allclose(problem.spectrum().eigenvalues, np.linalg.eigvalsh(hessian)[::-1], rtol=1e-11)


def smallest_inverse(columns: Any) -> Any:
    """Singular values by one-sided Jacobi in extended precision, to high relative accuracy."""
    A = columns.astype(np.longdouble)
    for _ in range(30):
        for i in range(A.shape[1]):
            for j in range(i):
                a, b, c = A[:, i] @ A[:, i], A[:, j] @ A[:, j], A[:, i] @ A[:, j]
                if c == 0:
                    continue
                zeta = (b - a) / (2 * c)
                t = np.copysign(1, zeta) / (abs(zeta) + np.sqrt(1 + zeta**2))
                cos = 1 / np.sqrt(1 + t**2)
                A[:, i], A[:, j] = cos * A[:, i] - cos * t * A[:, j], cos * t * A[:, i] + cos * A[:, j]
    return np.sort(np.sqrt((A**2).sum(axis=0)))[::-1].astype(np.float64)


@pytest.mark.parametrize("scales", [(1, 1e-9, 1), (1e9, 1, 1e-3), (1e-9, 1e9, 1)])
@pytest.mark.parametrize("duplicate", [False, True])
def test_small_eigenvalues_keep_their_digits(scales: tuple[float, float, float], duplicate: bool) -> None:
    columns = X * scales
    truth = smallest_inverse(np.column_stack([columns, np.ones(50)]))
    if duplicate:  # sqrt(2) times the column has the same curvature as the column twice
        doubled = columns * [1, np.sqrt(2), 1]
        truth = smallest_inverse(np.column_stack([doubled, np.ones(50)]))
        columns = np.column_stack([columns, columns[:, 1]])
    spectrum = dl.Problem(columns, y).spectrum()
    assert spectrum.rank == 4
    np.testing.assert_allclose(spectrum.eigenvalues[:4], 2 / 50 * truth**2, rtol=1e-11)
    assert not spectrum.eigenvalues[4:].any()
    assert len(spectrum.null_directions) == duplicate


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_descent_converges_below_the_bound_and_not_above(settings: dict[str, Any], decay: float) -> None:
    spectrum = dl.Problem(X, y).spectrum()
    bound = spectrum.lr_bound(weight_decay=decay, **settings)
    steepest = spectrum.lambda_max + decay
    assert after(20_000, 0.999 * bound * steepest, **settings) < 1e-3
    assert after(20_000, 1.001 * bound * steepest, **settings) > 1e3


def test_plain_descent_by_a_loop_over_the_rows() -> None:
    bound = dl.Problem(X, y).spectrum().lr_bound()
    for ratio, converges in ((0.999, True), (1.001, False)):
        p = np.zeros(4)
        for _ in range(20_000):
            p -= ratio * bound * 2 / 50 * Z.T @ (Z @ p - y)
        assert (np.linalg.norm(Z.T @ (Z @ p - y)) < 1e-3) is np.bool_(converges)


def test_the_lesson() -> None:
    spectrum = dl.Problem([1, 2, 3], [1, 2, 3], bias=False).spectrum()
    assert spectrum.lambda_max == pytest.approx(28 / 3, rel=1e-15)
    assert spectrum.lr_bound() == pytest.approx(2 / (28 / 3), rel=1e-15)
    assert dl.Problem([1, 2, 3], [1, 2, 3], bias=False).spectrum("sum").lr_bound() == pytest.approx(1 / 14, rel=1e-15)
    assert spectrum.dominant_parameter(0) == "x"


def test_no_curvature_no_bound() -> None:
    spectrum = dl.Problem([0.0, 0.0], [1, 2], bias=False).spectrum()
    assert (spectrum.rank, spectrum.lambda_max, spectrum.lambda_min, spectrum.condition) == (0, 0.0, 0.0, 1.0)
    assert spectrum.lr_bound() == spectrum.minimax_lr == np.inf
    assert spectrum.lr_bound(weight_decay=0.5) == 4.0
    assert dl.Problem(X, y).spectrum().lr_bound(momentum=1.5) == 0.0
