"""Robust standard errors against the formula on the rows, written out, and what refuses them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.problem.covariance import ROBUST_KINDS, least_squares_root
from tests.rational import solve_singular

rng = np.random.default_rng(7)
X = rng.normal(size=(60, 3)) + np.array([0, 5, 1000])
Y = X @ [1, -1, 0.5] + rng.normal(size=60) * (1 + X[:, 0] ** 2)
W = rng.integers(1, 4, 60)


def written_out(X: Any, y: Any, w: Any, kind: str, bias: bool) -> Any:
    """White's covariance of ``sqrt(w)`` times the rows, by the pseudoinverse."""
    Z = np.column_stack([X, np.ones(len(y))]) if bias else X
    Z, y = np.sqrt(w)[:, None] * Z, np.sqrt(w) * y
    P = np.linalg.pinv(Z)
    e, h = y - Z @ (P @ y), np.einsum("ij,ji->i", Z, P)
    n, k = Z.shape
    c = {"HC0": 1.0, "HC1": n / (n - k), "HC2": 1 / (1 - h), "HC3": 1 / (1 - h) ** 2}[kind]
    return (P * (e**2 * c)) @ P.T


@pytest.mark.parametrize("kind", ROBUST_KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_robust_covariances(kind: str, bias: bool) -> None:
    fit = dl.Problem(X, Y, bias=bias).solve()
    robust = fit.robust(kind)
    expected = written_out(X, Y, np.ones(60), kind, bias)
    np.testing.assert_allclose(robust.standard_errors, np.sqrt(np.diagonal(expected)), rtol=1e-8)
    np.testing.assert_allclose(robust.covariance, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())
    slopes = fit.params[:3]
    wald = slopes @ np.linalg.solve(expected[:3, :3], slopes) / 3
    assert robust.f == pytest.approx(wald, rel=1e-7)
    assert (robust.sigma, robust.r2, robust.aic) == (fit.sigma, fit.r2, fit.aic)
    assert robust.digits_of("standard_errors").min() > 6


@pytest.mark.parametrize("kind", ROBUST_KINDS)
def test_weights_repeat_rows_or_scale_them(kind: str) -> None:
    frequency = dl.Problem(X, Y, weights=W).solve().robust(kind)
    repeated = dl.Problem(np.repeat(X, W, axis=0), np.repeat(Y, W)).solve().robust(kind)
    np.testing.assert_allclose(frequency.standard_errors, repeated.standard_errors, rtol=1e-9)
    analytic = dl.Problem(X, Y, weights=W, weights_are="analytic").solve().robust(kind)
    expected = np.sqrt(np.diagonal(written_out(X, Y, W, kind, bias=True)))
    np.testing.assert_allclose(analytic.standard_errors, expected, rtol=1e-8)


def test_far_from_zero_and_in_any_unit() -> None:
    """A clock in nanoseconds, whose integers float64 cannot hold, has the robust errors of its differences."""
    ticks = np.sort(rng.integers(0, 60 * 10**9, 100))
    y = 1e-9 * ticks + rng.normal(size=100)
    near, far = dl.Problem(ticks, y).solve(), dl.Problem(ticks + 1_700_000_000 * 10**9, y).solve()
    for kind in ("HC0", "HC3"):
        np.testing.assert_allclose(far.robust(kind).standard_errors[0], near.robust(kind).standard_errors[0], rtol=1e-9)
    seconds = dl.Problem(ticks * 1e-130, y).solve().robust()
    np.testing.assert_allclose(seconds.standard_errors[0], near.robust().standard_errors[0] * 1e130, rtol=1e-9)


def test_a_dependent_column_changes_nothing() -> None:
    robust = dl.Problem(np.column_stack([X, X[:, 0]]), Y).solve().robust()
    whole = dl.Problem(X, Y).solve().robust()
    np.testing.assert_allclose(robust.standard_errors[[1, 2, 4]], whole.standard_errors[1:], rtol=1e-9)
    assert np.isnan(robust.standard_errors[[0, 3]]).all()
    assert robust.f == pytest.approx(whole.f, rel=1e-9)


def test_rows_are_streamed() -> None:
    many = rng.normal(size=(20_000, 2))
    y = many @ [1, 2] + rng.normal(size=20_000) * np.abs(many[:, 0])
    found = dl.Problem(many, y).solve().robust("HC2").standard_errors
    expected = np.sqrt(np.diagonal(written_out(many, y, np.ones(20_000), "HC2", bias=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_what_has_no_robust_errors_says_why() -> None:
    single = np.column_stack([np.arange(6.0), [1, 0, 0, 0, 0, 0]])
    y = [0.0, 2, 1, 4, 3, 6]
    with pytest.raises(dl.DataError, match=r"\(1\).*HC1"):
        dl.Problem(single, y).solve().robust("HC3")
    assert np.isfinite(dl.Problem(single, y).solve().robust("HC1").standard_errors).all()
    problem = dl.Problem(X, Y)
    with pytest.raises(dl.DataError, match="factor does not contain the rows"):
        dl.Problem(problem.factor).solve().robust()
    with pytest.raises(dl.SettingError, match="ridge"):
        problem.with_changes(ridge=0.1).solve().robust()
    with pytest.raises(dl.SettingError, match="HC0, HC1, HC2, HC3"):
        problem.solve().robust("HC4")


def test_digits_of_robust_errors_are_never_too_many() -> None:
    """HC3 in fractions, on columns that are nearly dependent."""
    for seed in range(5):
        r = np.random.default_rng(seed)
        x = r.integers(-50, 50, 10)
        whole = np.column_stack([x + 10**6, x * 10**5 + r.integers(-9, 9, 10)])
        y = r.integers(-99, 99, 10)
        robust = dl.Problem(whole.astype(float), y.astype(float)).solve().robust()
        rows = [[Fraction(int(v)) for v in (*row, 1)] for row in whole]
        gram = [[sum((a[i] * a[j] for a in rows), Fraction(0)) for j in range(3)] for i in range(3)]
        maps = [solve_singular([[*line, v] for line, v in zip(gram, row, strict=True)])[0] for row in rows]  # G z_i
        params = [sum(m[j] * int(v) for m, v in zip(maps, y, strict=True)) for j in range(3)]
        for j in range(3):
            terms = []
            for row, m, v in zip(rows, maps, y, strict=True):
                e = int(v) - sum(p * z for p, z in zip(params, row, strict=True))
                terms.append((m[j] * e / (1 - sum(a * b for a, b in zip(m, row, strict=True)))) ** 2)
            relative = abs(Fraction(float(robust.standard_errors[j])) ** 2 / sum(terms, Fraction(0)) - 1) / 2
            assert robust.digits_of("standard_errors")[j] <= -np.log10(float(relative) + 1e-17)
            assert robust.digits_of("standard_errors")[j] > 3


@pytest.mark.parametrize("bias", [True, False])
def test_the_spread_of_ridge_coefficients_is_that_of_a_linear_map(bias: bool) -> None:
    problem = dl.Problem(X, Y, bias=bias, ridge=0.2)
    Z = np.column_stack([X, np.ones(60)])[:, : 3 + bias]
    G = np.linalg.inv(Z.T @ Z + np.diag([12.0, 12, 12, 0][: 3 + bias]))
    fit = problem.solve()
    root = least_squares_root(fit.regression)
    np.testing.assert_allclose(root.root @ root.root.T, G @ Z.T @ Z @ G, rtol=1e-7, atol=1e-12)
    norms = np.linalg.norm(root.root, axis=1)
    assert (root.errors > 0).all()
    assert (root.errors < 1e-9 * norms).all()


def test_the_logarithms_of_the_weights_are_added_up() -> None:
    def total(problem: dl.Problem) -> float:
        return problem.solve().regression.sum_log_weights()

    assert total(dl.Problem(X, Y)) == 0
    weighted = dl.Problem(X, Y, weights=W)
    assert total(weighted) == pytest.approx(np.log(W).sum())
    assert np.isnan([total(dl.Problem(weighted.factor)), total(dl.Problem(X, Y, weights=W - 1))]).all()
