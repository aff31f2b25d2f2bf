"""LAPACK's ``tpqrt``, called so that other threads run meanwhile: SciPy's own wrapper holds Python's lock.

SciPy publishes its LAPACK to other compiled code (``scipy.linalg.cython_lapack``); the same pointers are called here
through ctypes, which lets the lock go. The pointer's own description is compared with what is called, and where it
differs the wrapper is used: the same numbers, one thread at a time.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from descentlab.typing import Array

INTEGER, VALUES = "int *", "__pyx_t_5scipy_6linalg_13cython_lapack_d *"
# m, n, l, nb, A, lda, B, ldb, T, ldt, work, info
ARGUMENTS = [INTEGER] * 4 + [VALUES, INTEGER, VALUES, INTEGER, VALUES, INTEGER, VALUES, INTEGER]

WORTH = 2000  # blocks of a thousand rows and more after which a process has worked as long as compiling takes


class Blocks:
    """Whether blocks are reflected in a compiled call each: where numba is loaded anyhow, or once it pays to load it.

    The bits are the same, so that only the time depends on what this process has done before.
    """

    def __init__(self) -> None:
        self.seen = 0

    def compiled(self) -> Callable[..., Array] | None:
        """:func:`descentlab.factor.tpqrt_numba.block` with its pointer; None where Python calls LAPACK for every
        piece.
        """
        self.seen += 1
        if not ("numba" in sys.modules or self.seen > WORTH):
            return None
        return _block()


BLOCKS = Blocks()


@cache
def _block() -> Callable[..., Array] | None:
    pointer = _pointer()
    if pointer is None or find_spec("numba") is None:
        return None
    from descentlab.factor.tpqrt_numba import block

    address: Any = ctypes.cast(pointer, ctypes.c_void_p).value  # type: ignore[arg-type]
    return partial(block, address)


class Reflector:
    """Rows reflected into triangles, and triangles into one another; what is below a diagonal is left alone.

    Attributes:
        triangles: (k, p, p) of them, each upper triangular and column by column in memory: ``triangles[i].T``.
    """

    def __init__(self, triangles: Array, width: int) -> None:
        """``width``: how many columns LAPACK takes at a time."""
        self.triangles, (_, p, _) = triangles, triangles.shape
        self.p: int = p
        self.width = min(width, p)
        self._T, self._work = np.empty((self.width, p), order="F"), np.empty(self.width * p)
        self._info = ctypes.c_int()
        self._call = _pointer()

    def take(self, i: int, rows: Array) -> None:
        """(m, p) rows, column by column in memory, into triangle ``i``. They are overwritten."""
        if self._call is None:
            self.triangles[i] = _wrapped(self.triangles[i].T, rows, 0, self.width).T
        else:
            self._reflect(i, rows.ctypes.data, len(rows), rows.strides[1] // 8, 0)

    def join(self, i: int, j: int) -> None:
        """Triangle ``j`` into triangle ``i``. It is overwritten."""
        if self._call is None:
            self.triangles[i] = _wrapped(self.triangles[i].T, self.triangles[j].T, self.p, self.width).T
        else:
            self._reflect(i, self._address(j), self.p, self.p, self.p)

    def _address(self, i: int) -> int:
        start: int = self.triangles.ctypes.data
        return start + 8 * i * self.p * self.p

    def _reflect(self, i: int, rows: int, m: int, lead: int, triangular: int) -> None:
        sizes = [ctypes.c_int(size) for size in (m, self.p, triangular, self.width, lead)]
        of_m, of_p, of_l, of_width, of_lead = map(ctypes.byref, sizes)
        info = ctypes.byref(self._info)
        assert self._call is not None
        self._call(
            *(of_m, of_p, of_l, of_width, self._address(i), of_p, rows, of_lead),
            *(self._T.ctypes.data, of_width, self._work.ctypes.data, info),
        )
        if self._info.value:
            raise ValueError(f"tpqrt: argument {-self._info.value}")


def _wrapped(triangle: Array, rows: Array, triangular: int, width: int) -> Array:
    """The same by SciPy's wrapper."""
    from scipy.linalg.lapack import dtpqrt

    R: Array = dtpqrt(triangular, width, triangle, rows)[0]
    return R


@cache
def _pointer() -> Callable[..., Any] | None:
    """The function itself; None where SciPy describes another than the one that is called here."""
    from scipy.linalg import cython_lapack

    capsule = cython_lapack.__pyx_capi__.get("dtpqrt")
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    described = b"" if capsule is None else name(capsule)
    if described != f"void ({', '.join(ARGUMENTS)})".encode():
        return None
    kinds = [ctypes.c_void_p] * len(ARGUMENTS)
    made: Callable[..., Any] = ctypes.CFUNCTYPE(None, *kinds)(pointer(capsule, described))
    return made
