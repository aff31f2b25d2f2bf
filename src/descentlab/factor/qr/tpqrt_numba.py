"""Reduce a block of rows to its triangle in one compiled call: the steps, and so the bits, of ``householder``.

:class:`descentlab.factor.qr.tpqrt.TpqrtWorkspace` makes a dozen calls for each block and takes Python's global lock
again after each of them. With two threads it is 1.2 to 1.4 times as fast as with one thread; this kernel calls the
same pointer and is 1.5 to 1.7 times as fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.dependencies import jit, require
from descentlab.typing import FloatArray

numba: Any = require("numba", "numba", "fast", "compiled")
require("numba.experimental.function_type", "numba", "fast", "compiled")  # passes function pointers as arguments
types: Any = numba.types

COPY_ROWS = 64  # rows copied at a time stay in the first-level cache
MATRIX_RO = types.Array(types.float64, 2, "A", readonly=True)
VECTOR_RO = types.Array(types.float64, 1, "C", readonly=True)
VECTOR, MATRIX, TENSOR3 = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
INTS = types.int32[::1]
TPQRT_TYPE = types.int64(*[types.uintp] * 12)  # numba needs a return type; the returned value is never read
TPQRT = types.FunctionType(TPQRT_TYPE)


class TpqrtPointer(types.WrapperAddressProtocol):  # type: ignore[misc]
    """The address of ``tpqrt`` as an argument. A kernel that contained the address could not be cached on disk."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __wrapper_address__(self) -> int:
        return self.address

    def signature(self) -> Any:
        return TPQRT_TYPE


@jit(types.void(MATRIX_RO, VECTOR_RO, VECTOR_RO, types.int64, types.int64, MATRIX))
def copy_panel(
    values: FloatArray, origin: FloatArray, sqrt_weights: FloatArray, begin: int, rows: int, out: FloatArray
) -> None:
    """Copy ``rows`` rows of ``sqrt_weights [1, values - origin]`` to ``out`` in Fortran order."""
    for first in range(0, rows, COPY_ROWS):
        last = min(first + COPY_ROWS, rows)
        for r in range(first, last):
            out[0, r] = 1.0
        for j in range(len(origin)):
            for r in range(first, last):
                out[j + 1, r] = values[begin + r, j] - origin[j]
        if sqrt_weights.size:
            for j in range(len(origin) + 1):
                for r in range(first, last):
                    out[j, r] *= sqrt_weights[begin + r]


@jit(types.void(TPQRT, types.int64, types.int64, MATRIX, MATRIX, VECTOR, INTS))
def call_tpqrt(
    tpqrt: Any,
    m: int,
    trapezoidal_rows: int,
    triangle: FloatArray,
    rows: FloatArray,
    work: FloatArray,
    ints: Any,
) -> None:
    """Reduce ``m`` rows, which are in Fortran order, into ``triangle``."""
    # LAPACK takes pointers to integers. The caller owns the array, so that it outlives the call.
    ints[0], ints[2], ints[4] = m, trapezoidal_rows, rows.shape[1]
    m_ref, p_ref, l_ref = ints[0:].ctypes.data, ints[1:].ctypes.data, ints[2:].ctypes.data
    nb_ref, ldb_ref, info_ref = ints[3:].ctypes.data, ints[4:].ctypes.data, ints[5:].ctypes.data
    A, B = triangle.ctypes.data, rows.ctypes.data
    T, lapack_work = work.ctypes.data, work[ints[1] * ints[3] :].ctypes.data
    tpqrt(m_ref, p_ref, l_ref, nb_ref, A, p_ref, B, ldb_ref, T, nb_ref, lapack_work, info_ref)


@jit(types.void(TPQRT, MATRIX_RO, VECTOR_RO, VECTOR_RO, types.int64, TENSOR3, MATRIX, VECTOR, INTS))
def block_qr_kernel(
    tpqrt: Any,
    values: FloatArray,
    origin: FloatArray,
    sqrt_weights: FloatArray,
    panel_rows: int,
    triangles: FloatArray,
    buffer: FloatArray,
    work: FloatArray,
    ints: Any,
) -> None:
    """Compute R of ``sqrt_weights [1, values - origin]`` into ``triangles[0]``.

    Args:
        tpqrt: LAPACK's function.
        values, origin: (n, k) and (k,).
        sqrt_weights: (n,), or empty without weights.
        panel_rows: the number of rows in a panel.
        triangles: (number of panels, p, p) zeros with p = k + 1, each in Fortran order.
        buffer: (p, at least ``panel_rows``) memory for a panel.
        work: (2 p block_size,) memory for LAPACK.
        ints: LAPACK's m, p, l, block_size, ldb and info; p and block_size are given.
    """
    n, count, p = len(values), len(triangles), len(origin) + 1
    for i in range(count):
        begin = i * panel_rows
        rows = min(panel_rows, n - begin)
        copy_panel(values, origin, sqrt_weights, begin, rows, buffer)
        call_tpqrt(tpqrt, rows, 0, triangles[i], buffer, work, ints)
    step = 1
    while step < count:
        for i in range(0, count - step, 2 * step):
            call_tpqrt(tpqrt, p, p, triangles[i], triangles[i + step], work, ints)
        step *= 2


def compute_block_qr(
    address: int,
    values: FloatArray,
    origin: FloatArray,
    sqrt_weights: FloatArray | None,
    panel_rows: int,
    block_size: int,
    padding_rows: int,
) -> FloatArray:
    """Compute (p, p) R of a block, in Fortran order; its diagonal may be negative.

    Args:
        address: of LAPACK's ``tpqrt``.
        values, origin, sqrt_weights, panel_rows: as in :func:`block_qr_kernel`; None without weights.
        block_size: the number of columns that LAPACK reduces at a time.
        padding_rows: rows between the columns of a panel in memory.
    """
    n, p = len(values), len(origin) + 1
    block_size = min(block_size, p)
    if sqrt_weights is None:
        sqrt_weights = np.empty(0)
    triangles = np.zeros((-(-n // panel_rows), p, p))
    buffer, work = np.empty((p, min(panel_rows, n) + padding_rows)), np.empty(2 * p * block_size)
    ints, tpqrt = np.array([0, p, 0, block_size, 0, 0], dtype=np.int32), TpqrtPointer(address)
    block_qr_kernel(tpqrt, values, origin, sqrt_weights, panel_rows, triangles, buffer, work, ints)
    R: FloatArray = triangles[0].T
    return R
