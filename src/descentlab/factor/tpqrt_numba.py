"""A whole block of rows reflected into its triangle in one compiled call: the steps, and so the bits, of ``triangle``.

What :class:`descentlab.factor.tpqrt.Reflector` calls a dozen times a block, taking Python's lock back after each, is
called
here through the same pointer. Two threads were measured 1.2 times as fast as one that way, and 1.6 times this way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.dependencies import jit
from descentlab.errors import require
from descentlab.typing import Array

numba: Any = require("numba", "numba", "fast", "compiled")
require("numba.experimental.function_type", "numba", "fast", "compiled")  # what hands a pointer over at run time
types: Any = numba.types

ROWS = 64  # taken out of a block at a time: they stay in the first-level cache
READ = types.Array(types.float64, 2, "A", readonly=True)
LINE = types.Array(types.float64, 1, "C", readonly=True)
TPQRT = types.int64(*[types.uintp] * 12)  # it returns nothing; what an int64 would be returned in is not looked at
PLANE, CUBE = types.float64[:, ::1], types.float64[:, :, ::1]


class Pointer(types.WrapperAddressProtocol):  # type: ignore[misc]
    """``tpqrt`` at an address, as an argument: a compiled function that held it could not be kept on disk."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __wrapper_address__(self) -> int:
        return self.address

    def signature(self) -> Any:
        return TPQRT


@jit(
    types.void(
        READ, LINE, LINE, types.int64, types.FunctionType(TPQRT), CUBE, PLANE, types.float64[::1], types.int32[::1]
    )
)
def reflect(
    values: Array,
    origin: Array,
    roots: Array,
    piece: int,
    tpqrt: Any,
    triangles: Array,
    buffer: Array,
    work: Array,
    sizes: Any,
) -> None:
    """The triangle of ``[1, values - origin]``, rows times their roots, into ``triangles[0]``.

    Args:
        values, origin: (n, k) and (k,).
        roots: (n,) of the weights, or none.
        piece: rows that are reflected at a time.
        tpqrt: LAPACK's.
        triangles: (number of pieces, p, p) of zeros, p = k + 1; each column by column in memory.
        buffer: (p, at least ``piece``) room for a piece, column by column.
        work: room for LAPACK.
        sizes: room for its integers: m, p, l, width, the distance of columns, info; p and width are given.
    """
    n, k = values.shape
    count = len(triangles)
    p, width = sizes[1:].ctypes.data, sizes[3:].ctypes.data
    m, triangular, apart, info = (
        sizes[0:].ctypes.data,
        sizes[2:].ctypes.data,
        sizes[4:].ctypes.data,
        sizes[5:].ctypes.data,
    )
    T, room = work.ctypes.data, work[sizes[1] * sizes[3] :].ctypes.data
    for i in range(count):
        begin, rows = i * piece, min(piece, n - i * piece)
        for first in range(0, rows, ROWS):
            last = min(first + ROWS, rows)
            for r in range(first, last):
                buffer[0, r] = 1.0
            for j in range(k):
                for r in range(first, last):
                    buffer[j + 1, r] = values[begin + r, j] - origin[j]
            if roots.size:
                for j in range(k + 1):
                    for r in range(first, last):
                        buffer[j, r] *= roots[begin + r]
        sizes[0], sizes[2], sizes[4] = rows, 0, buffer.shape[1]
        tpqrt(m, p, triangular, width, triangles[i].ctypes.data, p, buffer.ctypes.data, apart, T, width, room, info)
    sizes[0], sizes[2], sizes[4] = k + 1, k + 1, k + 1
    step = 1
    while step < count:
        for i in range(0, count - step, 2 * step):
            into, other = triangles[i].ctypes.data, triangles[i + step].ctypes.data
            tpqrt(m, p, triangular, width, into, p, other, apart, T, width, room, info)
        step *= 2


def block(address: int, values: Array, origin: Array, roots: Array | None, piece: int, width: int, room: int) -> Array:
    """(p, p) the triangle of a block, column by column in memory; its diagonal may be negative.

    Args:
        address: of LAPACK's ``tpqrt``.
        values, origin, roots, piece: as :func:`reflect` takes them; no roots for no weights.
        width: how many columns LAPACK takes at a time.
        room: rows between columns in memory, so that they do not all want the same lines of the cache.
    """
    n, p = len(values), len(origin) + 1
    triangles, width = np.zeros((-(-n // piece), p, p)), min(width, p)
    sizes = np.array([0, p, 0, width, 0, 0], dtype=np.int32)
    given = np.empty(0) if roots is None else roots
    buffer = np.empty((p, min(piece, n) + room))
    reflect(values, origin, given, piece, Pointer(address), triangles, buffer, np.empty(2 * p * width), sizes)
    R: Array = triangles[0].T
    return R
