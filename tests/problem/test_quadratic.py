"""The quadratic against plain NumPy on the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl


def made(bias: bool = True, ridge: float = 0.0, **settings: Any) -> tuple[dl.Problem, Any, Any]:
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(40, 3)) * [1, 5, 0.1] + [0, 3, 1], rng.normal(size=40)
    problem = dl.Problem(X, y, bias=bias, ridge=ridge, **settings)
    return problem, np.column_stack([X, np.ones(40)]) if bias else X, y


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_values_and_gradient_are_those_of_the_rows(bias: bool, ridge: float) -> None:
    problem, Z, y = made(bias, ridge)
    quadratic = problem.quadratic
    params = np.random.default_rng(0).normal(size=(5, Z.shape[1]))
    cost = np.mean((params @ Z.T - y) ** 2, axis=1)
    penalty = ridge * np.sum(params[:, :3] ** 2, axis=1)
    np.testing.assert_allclose(quadratic.cost(params), cost, rtol=1e-13)
    np.testing.assert_allclose(quadratic.objective(params), cost + penalty, rtol=1e-13)
    ridges = np.append([40 * ridge] * 3, [0.0] * bias)
    for p in params:
        np.testing.assert_allclose(quadratic.gradient(p), Z.T @ (Z @ p - y) + ridges * p, rtol=1e-11)
        np.testing.assert_allclose(
            np.sum((quadratic.augmented @ p - quadratic.augmented_target) ** 2) / 40, quadratic.objective(p), rtol=1e-13
        )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_modes_are_the_singular_value_decomposition(bias: bool, ridge: float) -> None:
    problem, _, _ = made(bias, ridge)
    U, s, V = problem.quadratic.svd
    np.testing.assert_allclose((U * s) @ V.T, problem.quadratic.augmented, atol=1e-12)
    np.testing.assert_allclose(V.T @ V, np.eye(len(V)), atol=1e-14)
    np.testing.assert_allclose(s, np.linalg.svd(problem.quadratic.augmented, compute_uv=False), rtol=1e-12)
    assert problem.quadratic.null_basis.shape == (len(V), 0)


def test_modes_of_flat_directions() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20, 2)) * [1e6, 1]
    problem = dl.Problem(np.column_stack([X, X[:, 1], X[:, 1] + 1]), rng.normal(size=20))
    modes, flat = problem.quadratic.svd, problem.quadratic.null_basis
    assert modes.rank == 3
    np.testing.assert_allclose(modes.V.T @ modes.V, np.eye(5), atol=1e-14)
    np.testing.assert_allclose(problem.quadratic.A @ flat, 0, atol=1e-9)
    plain = np.linalg.svd(np.column_stack([X[:, :1], X[:, 1], X[:, 1], X[:, 1] + 1, np.ones(20)]), compute_uv=False)
    np.testing.assert_allclose(modes.s, plain[:3], rtol=1e-9)


def test_far_parameters_cost_infinity_without_a_warning() -> None:
    problem, _, _ = made()
    assert problem.cost([1e200, 0, 0, 0]) == np.inf
    assert np.isfinite(problem.gradient([1e200, 0, 0, 0])).all()
