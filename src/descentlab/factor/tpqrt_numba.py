"""A whole block of rows reflected into its triangle in one compiled call: the steps, and so the bits, of ``triangle``.

What :class:`descentlab.factor.tpqrt.TpqrtWorkspace` calls a dozen times a block, taking Python's lock back after
each, is called
here through the same pointer. Two threads were measured 1.2 times as fast as one that way, and 1.6 times this way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.dependencies import jit, require
from descentlab.typing import FloatArray

numba: Any = require("numba", "numba", "fast", "compiled")
require("numba.experimental.function_type", "numba", "fast", "compiled")  # what hands a pointer over at run time
types: Any = numba.types

COPY_ROWS = 64  # taken out of a block at a time: they stay in the first-level cache
MATRIX_RO = types.Array(types.float64, 2, "A", readonly=True)
VECTOR_RO = types.Array(types.float64, 1, "C", readonly=True)
TPQRT_TYPE = types.int64(*[types.uintp] * 12)  # it returns nothing; what an int64 would be returned in is not looked at
MATRIX_RW, TENSOR3_RW = types.float64[:, ::1], types.float64[:, :, ::1]


class TpqrtPointer(types.WrapperAddressProtocol):  # type: ignore[misc]
    """``tpqrt`` at an address, as an argument: a compiled function that held it could not be kept on disk."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __wrapper_address__(self) -> int:
        return self.address

    def signature(self) -> Any:
        return TPQRT_TYPE


@jit(
    types.void(
        MATRIX_RO,
        VECTOR_RO,
        VECTOR_RO,
        types.int64,
        types.FunctionType(TPQRT_TYPE),
        TENSOR3_RW,
        MATRIX_RW,
        types.float64[::1],
        types.int32[::1],
    )
)
def block_qr_kernel(
    values: FloatArray,
    origin: FloatArray,
    sqrt_weights: FloatArray,
    panel_rows: int,
    tpqrt: Any,
    triangles: FloatArray,
    buffer: FloatArray,
    work: FloatArray,
    lapack_ints: Any,
) -> None:
    """The triangle of ``[1, values - origin]``, rows times their roots, into ``triangles[0]``.

    Args:
        values, origin: (n, k) and (k,).
        sqrt_weights: (n,) of the weights, or none.
        panel_rows: rows that are reflected at a time.
        tpqrt: LAPACK's.
        triangles: (number of pieces, p, p) of zeros, p = k + 1; each column by column in memory.
        buffer: (p, at least ``panel_rows``) room for a piece, column by column.
        work: room for LAPACK.
        lapack_ints: room for its integers: m, p, l, width, the distance of columns, info; p and width are given.
    """
    n, k = values.shape
    count = len(triangles)
    p, block_size = lapack_ints[1:].ctypes.data, lapack_ints[3:].ctypes.data
    m, trapezoidal_rows, ldb, info = (
        lapack_ints[0:].ctypes.data,
        lapack_ints[2:].ctypes.data,
        lapack_ints[4:].ctypes.data,
        lapack_ints[5:].ctypes.data,
    )
    T, lapack_work = work.ctypes.data, work[lapack_ints[1] * lapack_ints[3] :].ctypes.data
    for i in range(count):
        begin, rows = i * panel_rows, min(panel_rows, n - i * panel_rows)
        for first in range(0, rows, COPY_ROWS):
            last = min(first + COPY_ROWS, rows)
            for r in range(first, last):
                buffer[0, r] = 1.0
            for j in range(k):
                for r in range(first, last):
                    buffer[j + 1, r] = values[begin + r, j] - origin[j]
            if sqrt_weights.size:
                for j in range(k + 1):
                    for r in range(first, last):
                        buffer[j, r] *= sqrt_weights[begin + r]
        lapack_ints[0], lapack_ints[2], lapack_ints[4] = rows, 0, buffer.shape[1]
        tpqrt(
            m,
            p,
            trapezoidal_rows,
            block_size,
            triangles[i].ctypes.data,
            p,
            buffer.ctypes.data,
            ldb,
            T,
            block_size,
            lapack_work,
            info,
        )
    lapack_ints[0], lapack_ints[2], lapack_ints[4] = k + 1, k + 1, k + 1
    step = 1
    while step < count:
        for i in range(0, count - step, 2 * step):
            first_triangle, second_triangle = triangles[i].ctypes.data, triangles[i + step].ctypes.data
            tpqrt(
                m,
                p,
                trapezoidal_rows,
                block_size,
                first_triangle,
                p,
                second_triangle,
                ldb,
                T,
                block_size,
                lapack_work,
                info,
            )
        step *= 2


def compute_block_qr(
    address: int,
    values: FloatArray,
    origin: FloatArray,
    sqrt_weights: FloatArray | None,
    panel_rows: int,
    block_size: int,
    row_padding: int,
) -> FloatArray:
    """(p, p) the triangle of a block, column by column in memory; its diagonal may be negative.

    Args:
        address: of LAPACK's ``tpqrt``.
        values, origin, sqrt_weights, panel_rows: as :func:`block_qr_kernel` takes them; no roots for no weights.
        block_size: how many columns LAPACK takes at a time.
        row_padding: rows between columns in memory, so that they do not all want the same lines of the cache.
    """
    n, p = len(values), len(origin) + 1
    triangles, block_size = np.zeros((-(-n // panel_rows), p, p)), min(block_size, p)
    lapack_ints = np.array([0, p, 0, block_size, 0, 0], dtype=np.int32)
    sqrt_weights_or_empty = np.empty(0) if sqrt_weights is None else sqrt_weights
    buffer = np.empty((p, min(panel_rows, n) + row_padding))
    block_qr_kernel(
        values,
        origin,
        sqrt_weights_or_empty,
        panel_rows,
        TpqrtPointer(address),
        triangles,
        buffer,
        np.empty(2 * p * block_size),
        lapack_ints,
    )
    R: FloatArray = triangles[0].T
    return R
