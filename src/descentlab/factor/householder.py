"""Triangles: the upper triangular R with ``R'R = Z'Z``, by Householder reflections, and what rounding does to it.

Nothing is squared on the way. Rows are cut into pieces and the pieces' triangles joined two by two, so that
rounding errors, which in repetitive data all push the same way, add up over a piece and a few joints instead of
over all rows. An error bound e given here means: R is the exact triangle of rows moved by at most e times each
column's norm (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., theorem 19.4, with constants
measured on repetitive data; ``tests/test_triangle.py`` holds them to it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from descentlab.factor import tpqrt
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

EXTENDED_UNIT_ROUNDOFF = (
    float(np.finfo(np.longdouble).eps) / 2
)  # 64 bits on x86, 113 on some ARM; elsewhere a float64's 53
LAPACK_BLOCK_SIZE, LAPACK_BLOCK_SIZE_WIDE, WIDE_FROM_COLUMNS = (
    8,
    32,
    256,
)  # columns that LAPACK takes at a time, measured fastest: few of few, more from MANY on
PANEL_ROWS = (
    1024  # longer pieces are faster, also on several threads, and drift further: see `make bench` and the tests
)
PADDING_ROWS = (
    8  # rows of room between a piece's columns: 8 kB apart they would all want the same few lines of the cache
)
EXTENDED_MAX_ROWS, EXTENDED_MAX_FLOPS = (
    4096,
    1 << 19,
)  # rows, and multiplications, up to which extended precision costs some 10 ms at most


class TriangularFactor(NamedTuple):
    """R (p, p), upper triangular with a non-negative diagonal, and the relative ``relative_error`` of its columns."""

    R: FloatArray
    relative_error: float


def working_dtype(rows: int, p: int) -> type[np.floating[Any]]:
    """The type to reflect (rows, p) values in: few of them deserve more digits than a float64 has."""
    return np.longdouble if rows <= EXTENDED_MAX_ROWS and rows * p * p <= EXTENDED_MAX_FLOPS else np.float64


def qr_of_rows(rows: Any) -> TriangularFactor:
    """The triangle of (m, p) rows, held in the type that :func:`working_dtype` names. ``rows`` are overwritten."""
    m, p = rows.shape
    if rows.dtype == np.longdouble:
        return TriangularFactor(_householder_longdouble(rows), UNIT_ROUNDOFF + (m + p) * EXTENDED_UNIT_ROUNDOFF)
    return qr_of_panels((np.asfortranarray(rows[i : i + PANEL_ROWS]) for i in range(0, m, PANEL_ROWS)), m, p)


def qr_of_panels(panels: Iterable[FloatArray], m: int, p: int) -> TriangularFactor:
    """The same of m float64 rows that come in pieces of PIECE, column by column in memory; the last may be shorter."""
    starts = range(0, m, PANEL_ROWS)
    workspace = tpqrt.TpqrtWorkspace(np.zeros((max(len(starts), 1), p, p)), _block_size(p))
    for i, panel in enumerate(panels):
        workspace.add_rows(i, panel)
    remaining = list(range(len(starts)))
    while len(remaining) > 1:
        for i, j in zip(remaining[::2], remaining[1::2], strict=False):
            workspace.merge(i, j)
        remaining = remaining[::2]
    return TriangularFactor(with_nonnegative_diagonal(workspace.triangles[0].T), _relative_error_bound(m, p))


def qr_of_block(values: FloatArray, origin: FloatArray, weights: Any) -> TriangularFactor | None:
    """The same of the rows ``[1, values - origin]``, times their weights' roots, in a compiled call; None without."""
    compute_block_qr = tpqrt.compiled_block_qr.get()
    if compute_block_qr is None:
        return None
    n, p = len(values), len(origin) + 1
    sqrt_weights = None if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))
    R = compute_block_qr(
        np.asarray(values, dtype=np.float64), origin, sqrt_weights, PANEL_ROWS, _block_size(p), PADDING_ROWS
    )
    return TriangularFactor(with_nonnegative_diagonal(R), _relative_error_bound(n, p))


def _relative_error_bound(m: int, p: int) -> float:
    """The error of m rows in pieces that were joined two by two."""
    merge_levels = max(-(-m // PANEL_ROWS) - 1, 0).bit_length()
    return (4 + min(m, PANEL_ROWS) / 4 + p + merge_levels * (4 + p)) * UNIT_ROUNDOFF


def merge_triangles(first: FloatArray, second: FloatArray, rows: int) -> TriangularFactor:
    """The triangle of two stacked triangles that stand for so many ``rows`` together."""
    p = len(first)
    if working_dtype(max(rows, 2 * p), p) is np.longdouble:
        return qr_of_rows(np.vstack([first, second]).astype(np.longdouble))
    workspace = tpqrt.TpqrtWorkspace(np.array([first.T, second.T], order="C"), _block_size(p))
    workspace.merge(0, 1)
    return TriangularFactor(with_nonnegative_diagonal(workspace.triangles[0].T), (4 + p) * UNIT_ROUNDOFF)


def _block_size(p: int) -> int:
    return LAPACK_BLOCK_SIZE if p < WIDE_FROM_COLUMNS else LAPACK_BLOCK_SIZE_WIDE


def _householder_longdouble(rows: Any) -> FloatArray:
    """The same in extended precision, column by column; rounded to float64 at the end."""
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
    """The same triangle with a non-negative diagonal: a row may change sign as a whole."""
    result: FloatArray = R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None] + 0.0  # no minus zero
    return result
