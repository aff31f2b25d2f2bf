"""Upper triangular R with ``R'R = Z'Z`` by Householder reflections, with a bound on its rounding error.

Rows are cut into panels of ``PANEL_ROWS``, and the panels' triangles are merged in pairs. In repetitive data all
rounding errors have the same sign, so they add up over one panel and a few merges instead of over all rows.

An error bound e means: R is the exact triangle of rows in which each column changed by at most e times its norm
(N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., theorem 19.4). The constants were measured
on repetitive data; ``tests/factor/test_householder.py`` checks them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from descentlab.factor.qr import tpqrt
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

EXTENDED_UNIT_ROUNDOFF = float(np.finfo(np.longdouble).eps) / 2  # the significand has 53, 64 or 113 bits
# LAPACK's block size (columns at a time), measured fastest below and from WIDE_FROM_COLUMNS columns on
LAPACK_BLOCK_SIZE, LAPACK_BLOCK_SIZE_WIDE, WIDE_FROM_COLUMNS = 8, 32, 256
PANEL_ROWS = 1024  # longer panels are faster but accumulate more rounding
PADDING_ROWS = 8  # between a panel's columns in memory: columns 8 kB apart would compete for the same cache lines
# Up to this size, extended precision takes at most about 10 ms.
EXTENDED_MAX_ROWS, EXTENDED_MAX_FLOPS = 4096, 1 << 19


class TriangularFactor(NamedTuple):
    """R (p, p), upper triangular with a non-negative diagonal, and the bound on its columns' relative error."""

    R: FloatArray
    relative_error: float


def working_dtype(rows: int, p: int) -> type[np.floating[Any]]:
    """Long double for (rows, p) values that are few enough, else float64."""
    return np.longdouble if rows <= EXTENDED_MAX_ROWS and rows * p * p <= EXTENDED_MAX_FLOPS else np.float64


def qr_of_block(values: FloatArray, origin: FloatArray, weights: Any) -> TriangularFactor:
    """R of ``diag(sqrt(weights)) [1, values - origin]`` for (n, k) values, (k,) origin and (n,) weights or None."""
    n, p = len(values), len(origin) + 1
    if working_dtype(n, p) is np.longdouble:
        return qr_of_rows(_augment(values, origin, weights, np.empty((n, p), np.longdouble, order="F")))
    compiled_result = qr_of_block_compiled(values, origin, weights)
    return compiled_result or qr_of_panels(augmented_panels(values, origin, weights), n, p)


def qr_of_block_compiled(values: FloatArray, origin: FloatArray, weights: Any) -> TriangularFactor | None:
    """:func:`qr_of_block` in float64 by the compiled kernel; None if it is not used."""
    compute_block_qr = tpqrt.compiled_block_qr.get()
    if compute_block_qr is None:
        return None
    n, p = len(values), len(origin) + 1
    sqrt_weights = None if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))
    values = np.asarray(values, dtype=np.float64)
    R = compute_block_qr(values, origin, sqrt_weights, PANEL_ROWS, _block_size(p), PADDING_ROWS)
    return TriangularFactor(with_nonnegative_diagonal(R), relative_error_bound(n, p))


def qr_of_rows(rows: Any) -> TriangularFactor:
    """R of (m, p) rows in the type that :func:`working_dtype` returns. ``rows`` are overwritten."""
    m, p = rows.shape
    if rows.dtype == np.longdouble:
        return TriangularFactor(_householder_longdouble(rows), UNIT_ROUNDOFF + (m + p) * EXTENDED_UNIT_ROUNDOFF)
    return qr_of_panels((np.asfortranarray(rows[i : i + PANEL_ROWS]) for i in range(0, m, PANEL_ROWS)), m, p)


def qr_of_matrix(rows: FloatArray) -> TriangularFactor:
    """R (p, p) of (m, p) rows in the fastest way: long double for few rows, LAPACK's own blocks for many columns."""
    m, p = rows.shape
    dtype = working_dtype(m, p)
    if p < WIDE_FROM_COLUMNS or dtype is np.longdouble:
        return qr_of_rows(rows.astype(dtype, order="F"))
    R = np.zeros((p, p))
    R[: min(m, p)] = np.linalg.qr(rows, mode="r")
    return TriangularFactor(with_nonnegative_diagonal(R), (4 + m / 4 + p) * UNIT_ROUNDOFF)


def qr_of_panels(panels: Iterable[FloatArray], m: int, p: int) -> TriangularFactor:
    """R of m float64 rows in panels of PANEL_ROWS rows in Fortran order; the last panel may be shorter."""
    count = -(-m // PANEL_ROWS)
    workspace = tpqrt.TpqrtWorkspace(np.zeros((max(count, 1), p, p)), _block_size(p))
    for i, panel in enumerate(panels):
        workspace.add_rows(i, panel)
    step = 1
    while step < count:
        for i in range(0, count - step, 2 * step):
            workspace.merge(i, i + step)
        step *= 2
    return TriangularFactor(with_nonnegative_diagonal(workspace.triangles[0].T), relative_error_bound(m, p))


def augmented_panels(values: FloatArray, origin: FloatArray, weights: Any) -> Iterator[FloatArray]:
    """Panels of ``diag(sqrt(weights)) [1, values - origin]``, all in one buffer, which stays in the core's cache."""
    buffer = np.empty((min(PANEL_ROWS, len(values)) + PADDING_ROWS, len(origin) + 1), order="F")
    for start in range(0, len(values), PANEL_ROWS):
        rows = slice(start, start + PANEL_ROWS)
        panel = values[rows]
        yield _augment(panel, origin, None if weights is None else weights[rows], buffer[: len(panel)])


def _augment(values: FloatArray, origin: FloatArray, weights: Any, out: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    out[:, 0] = 1
    np.subtract(values, origin, out=out[:, 1:], dtype=out.dtype)
    if weights is not None:
        out *= np.sqrt(np.asarray(weights, dtype=out.dtype))[:, None]
    return out


def relative_error_bound(m: int, p: int) -> float:
    """The bound if (m, p) rows are reduced in panels, in float64."""
    merge_levels = max(-(-m // PANEL_ROWS) - 1, 0).bit_length()
    return (4 + min(m, PANEL_ROWS) / 4 + p + merge_levels * (4 + p)) * UNIT_ROUNDOFF


def merge_triangles(first: FloatArray, second: FloatArray, rows: int) -> TriangularFactor:
    """R of two stacked triangles that represent ``rows`` rows in total."""
    p = len(first)
    if working_dtype(max(rows, 2 * p), p) is np.longdouble:
        return qr_of_rows(np.vstack([first, second]).astype(np.longdouble))
    workspace = tpqrt.TpqrtWorkspace(np.array([first.T, second.T], order="C"), _block_size(p))
    workspace.merge(0, 1)
    return TriangularFactor(with_nonnegative_diagonal(workspace.triangles[0].T), (4 + p) * UNIT_ROUNDOFF)


def _block_size(p: int) -> int:
    return LAPACK_BLOCK_SIZE if p < WIDE_FROM_COLUMNS else LAPACK_BLOCK_SIZE_WIDE


def _householder_longdouble(rows: Any) -> FloatArray:
    """R of the rows, reflected column by column in long double and rounded to float64."""
    m, p = rows.shape
    for j in range(min(m, p)):
        v = rows[j:, j].copy()
        norm = np.sqrt(v @ v)
        if norm > 0:
            v[0] += np.copysign(norm, v[0])
            rows[j:, j:] -= np.outer(v * (2 / (v @ v)), v @ rows[j:, j:])
    R = np.zeros((p, p))
    R[:m] = np.triu(rows[:p])
    return with_nonnegative_diagonal(R)


def with_nonnegative_diagonal(R: FloatArray) -> FloatArray:
    """Change the signs of rows so that no diagonal entry is negative."""
    result: FloatArray = R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None] + 0.0  # + 0.0 removes -0.0
    return result
