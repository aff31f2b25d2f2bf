"""The triangle against plain NumPy, and the bound on its rounding against extended precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from descentlab.factor.qr import householder, tpqrt
from descentlab.typing import UNIT_ROUNDOFF

rng = np.random.default_rng(5)
SHAPES = ((1, 1), (1, 4), (3, 4), (20, 3), (512, 12), (700, 45), (5000, 12), (8192, 3))


def fresh(values: Any) -> Any:
    """A copy for ``qr_of_rows`` to overwrite, in the type that it takes."""
    return np.array(values, dtype=householder.working_dtype(*values.shape), order="F")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_triangle_as_numpy(shape: tuple[int, int]) -> None:
    rows = rng.normal(size=shape)
    R, error = householder.qr_of_rows(fresh(rows))
    expected = np.zeros((shape[1], shape[1]))
    plain = np.linalg.qr(rows, mode="r")
    expected[: len(plain)] = plain * np.where(np.diagonal(plain) < 0, -1.0, 1.0)[:, None]
    np.testing.assert_allclose(R, expected, atol=1e-12 * float(np.linalg.norm(rows)))
    assert (np.diagonal(R) >= 0).all()
    assert error < 1e-12


def awkward(kind: str, n: int, p: int) -> Any:
    """Rows whose rounding errors all have the same sign, and ordinary rows."""
    rows = np.full((n, p), 0.3)
    if kind == "normal":
        rows = rng.normal(size=(n, p))
    elif kind == "repeating":
        rows = np.tile(rng.random((p + 3, p)), (n // (p + 3) + 1, 1))[:n]
    elif kind == "constant":
        rows[:p] += np.eye(p)
        rows[rng.integers(0, n, 5 * p), rng.integers(0, p, 5 * p)] = 0.7
    elif kind == "two values":
        rows = 0.1 + 0.2 * (rng.random((n, p)) < 0.5)
        rows[:p] += np.eye(p)
    elif kind == "spread":
        rows = np.exp(3 * rng.normal(size=(n, p)))
    return rows


def moved(rows: Any, R: Any) -> float:
    """How far the rows have to move, relative to each column's norm, for R to be their exact triangle.

    With Q = rows R^-1 and S = Q'Q - I, the moves that do are U (K - S/2) R for the orthogonal factor U of Q and any
    skew K, to first order; the least in the scaled Frobenius norm has K M + M K = (S M - M S) / 2, M = R D^-2 R'.
    """
    Q, exact = rows.astype(np.longdouble), R.astype(np.longdouble)
    for j in range(len(R)):
        Q[:, j] = (Q[:, j] - Q[:, :j] @ exact[:j, j]) / exact[j, j]
    S = (Q.T @ Q - np.eye(len(R))).astype(np.float64)
    norms = np.linalg.norm(R, axis=0)
    M = (R / norms**2) @ R.T
    values, V = np.linalg.eigh(M)
    K = V @ (V.T @ (S @ M - M @ S) @ V / 2 / (values[:, None] + values)) @ V.T
    return float((np.linalg.norm((K - S / 2) @ R, axis=0) / norms).max())


@pytest.mark.slow
@pytest.mark.skipif(bool(np.finfo(np.longdouble).eps > 1e-18), reason="needs a long double wider than float64")
@pytest.mark.parametrize("kind", ["normal", "repeating", "constant", "two values", "spread"])
@pytest.mark.parametrize(("n", "p"), [(60, 5), (512, 50), (5000, 12), (8192, 3), (1200, 100)])
def test_rounding_stays_within_its_bound(kind: str, n: int, p: int) -> None:
    rows = awkward(kind, n, p)
    few = householder.working_dtype(n, p) is np.longdouble
    R, error = householder.qr_of_rows(fresh(rows))
    assert moved(rows, R) <= (1.5 if few else 1.0) * error  # of few rows the bound is all but exact
    assert error <= (2 if few else 1000) * UNIT_ROUNDOFF

    first, second = householder.qr_of_rows(fresh(rows[: n // 2])), householder.qr_of_rows(fresh(rows[n // 2 :]))
    R, joint = householder.merge_triangles(first.R, second.R, 10**6)
    assert moved(rows, R) <= joint + max(first.relative_error, second.relative_error)


def test_zero_rows_and_columns_stay_zero() -> None:
    rows = np.zeros((7, 3))
    rows[:, 1] = 2.0
    R, _ = householder.qr_of_rows(fresh(rows))
    np.testing.assert_allclose(np.linalg.norm(R, axis=0), [0.0, 2 * np.sqrt(7), 0.0])
    assert not householder.qr_of_rows(fresh(np.zeros((5, 3)))).R.any()


def test_scipys_wrapper_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SciPy's LAPACK cannot be called directly."""
    rows = rng.normal(size=(5000, 9))
    direct = householder.qr_of_rows(fresh(rows))
    joint = householder.merge_triangles(direct.R, direct.R, 10**6)
    assert tpqrt._tpqrt_pointer() is not None
    monkeypatch.setattr(tpqrt, "_tpqrt_pointer", lambda: None)
    wrapped = householder.qr_of_rows(fresh(rows))
    assert (wrapped.R == direct.R).all()
    assert (householder.merge_triangles(wrapped.R, wrapped.R, 10**6).R == joint.R).all()


@pytest.mark.parametrize("shape", [(30, 2), (1500, 20)], ids=str)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_block_is_augmented_centered_and_weighted(shape: tuple[int, int], kind: Any, weighted: bool) -> None:
    values, origin = rng.normal(size=shape).astype(kind), rng.normal(size=shape[1])
    weights = rng.integers(0, 4, shape[0]) if weighted else None
    rows = np.column_stack([np.ones(len(values)), values.astype(float) - origin])
    rows *= np.sqrt(np.ones(len(values)) if weights is None else weights)[:, None]
    R, error = householder.qr_of_block(values, origin, weights)
    expected = np.linalg.qr(rows, mode="r")
    np.testing.assert_allclose(R, expected * np.sign(np.diagonal(expected))[:, None], atol=1e-10)
    assert error == householder.qr_of_rows(fresh(rows)).relative_error


@pytest.mark.parametrize("shape", [(20, 3), (5000, 12), (300, 256), (90, 256)], ids=str)
def test_a_matrix_in_the_fastest_way(shape: tuple[int, int]) -> None:
    rows = rng.normal(size=shape)
    before = rows.copy()
    R, error = householder.qr_of_matrix(rows)
    np.testing.assert_allclose(R.T @ R, rows.T @ rows, atol=1e-10)
    assert (np.tril(R, -1) == 0).all()
    assert (np.diagonal(R) >= 0).all()
    assert 0 < error < 1e-12
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize(
    ("rows", "p", "few"), [(4096, 11, True), (4096, 12, False), (4097, 1, False), (2048, 16, True), (2049, 16, False)]
)
def test_few_rows_are_those_within_both_limits(rows: int, p: int, few: bool) -> None:
    """4,096 rows, and 2^19 = 2,048 x 16^2 operations."""
    assert householder.working_dtype(rows, p) is (np.longdouble if few else np.float64)
    error = householder.merge_triangles(np.eye(p), np.eye(p), rows).relative_error
    assert error == (UNIT_ROUNDOFF + 3 * p * householder.EXTENDED_UNIT_ROUNDOFF if few else (4 + p) * UNIT_ROUNDOFF)


@pytest.mark.parametrize(
    ("m", "levels"), [(0, 0), (8, 0), (1024, 0), (1025, 1), (2048, 1), (2049, 2), (4096, 2), (4097, 3)]
)
def test_the_bound_counts_the_levels_of_merging(m: int, levels: int) -> None:
    """A panel of m rows costs 4 + m / 4 + p units, a merge of two triangles 4 + p."""
    assert householder.relative_error_bound(m, 3) == (4 + min(m, 1024) / 4 + 3 + levels * 7) * UNIT_ROUNDOFF
