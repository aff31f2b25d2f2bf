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
from descentlab.typing import Array

UNIT = float(np.finfo(np.float64).eps) / 2  # a float64 is within this of the number it stands for, relatively
EXTENDED_UNIT = float(np.finfo(np.longdouble).eps) / 2  # 64 bits on x86, 113 on some ARM; elsewhere a float64's 53
WIDTH, WIDE, MANY = 8, 32, 256  # columns that LAPACK takes at a time, measured fastest: few of few, more from MANY on
PIECE = 1024  # longer pieces are faster, also on several threads, and drift further: see `make bench` and the tests
APART = 8  # rows of room between a piece's columns: 8 kB apart they would all want the same few lines of the cache
FEW, LITTLE = 4096, 1 << 19  # rows, and multiplications, up to which extended precision costs some 10 ms at most


class Triangle(NamedTuple):
    """R (p, p), upper triangular with a non-negative diagonal, and the relative ``error`` of its columns."""

    R: Array
    error: float


def precision(rows: int, p: int) -> type[np.floating[Any]]:
    """The type to reflect (rows, p) values in: few of them deserve more digits than a float64 has."""
    return np.longdouble if rows <= FEW and rows * p * p <= LITTLE else np.float64


def of_rows(rows: Any) -> Triangle:
    """The triangle of (m, p) rows, held in the type that :func:`precision` names. ``rows`` are overwritten."""
    m, p = rows.shape
    if rows.dtype == np.longdouble:
        return Triangle(_extended(rows), UNIT + (m + p) * EXTENDED_UNIT)
    return of_pieces((np.asfortranarray(rows[i : i + PIECE]) for i in range(0, m, PIECE)), m, p)


def of_pieces(pieces: Iterable[Array], m: int, p: int) -> Triangle:
    """The same of m float64 rows that come in pieces of PIECE, column by column in memory; the last may be shorter."""
    starts = range(0, m, PIECE)
    reflector = tpqrt.Reflector(np.zeros((max(len(starts), 1), p, p)), _width(p))
    for i, piece in enumerate(pieces):
        reflector.take(i, piece)
    left = list(range(len(starts)))
    while len(left) > 1:
        for i, j in zip(left[::2], left[1::2], strict=False):
            reflector.join(i, j)
        left = left[::2]
    return Triangle(upright(reflector.triangles[0].T), _error(m, p))


def of_block(values: Array, origin: Array, weights: Any) -> Triangle | None:
    """The same of the rows ``[1, values - origin]``, times their weights' roots, in a compiled call; None without."""
    block = tpqrt.BLOCKS.compiled()
    if block is None:
        return None
    n, p = len(values), len(origin) + 1
    roots = None if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))
    R = block(np.asarray(values, dtype=np.float64), origin, roots, PIECE, _width(p), APART)
    return Triangle(upright(R), _error(n, p))


def _error(m: int, p: int) -> float:
    """The error of m rows in pieces that were joined two by two."""
    joints = max(-(-m // PIECE) - 1, 0).bit_length()
    return (4 + min(m, PIECE) / 4 + p + joints * (4 + p)) * UNIT


def joined(first: Array, second: Array, rows: int) -> Triangle:
    """The triangle of two stacked triangles that stand for so many ``rows`` together."""
    p = len(first)
    if precision(max(rows, 2 * p), p) is np.longdouble:
        return of_rows(np.vstack([first, second]).astype(np.longdouble))
    reflector = tpqrt.Reflector(np.array([first.T, second.T], order="C"), _width(p))
    reflector.join(0, 1)
    return Triangle(upright(reflector.triangles[0].T), (4 + p) * UNIT)


def _width(p: int) -> int:
    return WIDTH if p < MANY else WIDE


def _extended(rows: Any) -> Array:
    """The same in extended precision, column by column; rounded to float64 at the end."""
    m, p = rows.shape
    for j in range(min(m, p)):
        v = rows[j:, j].copy()
        length = np.sqrt(v @ v)
        if length > 0:
            v[0] += np.copysign(length, v[0])
            rows[j:, j:] -= np.outer(v * (2 / (v @ v)), v @ rows[j:, j:])
    R = np.zeros((p, p))
    R[:m] = np.triu(rows[:p])
    return upright(R)


def upright(R: Array) -> Array:
    """The same triangle with a non-negative diagonal: a row may change sign as a whole."""
    upright: Array = R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None] + 0.0  # no minus zero
    return upright
