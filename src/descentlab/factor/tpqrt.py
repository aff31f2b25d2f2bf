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

from descentlab.typing import FloatArray

INT_P, DOUBLE_P = "int *", "__pyx_t_5scipy_6linalg_13cython_lapack_d *"
# m, n, l, nb, A, lda, B, ldb, T, ldt, work, info
TPQRT_SIGNATURE = [INT_P] * 4 + [DOUBLE_P, INT_P, DOUBLE_P, INT_P, DOUBLE_P, INT_P, DOUBLE_P, INT_P]

COMPILE_AFTER_CALLS = (
    2000  # blocks of a thousand rows and more after which a process has worked as long as compiling takes
)


class CompiledBlockQR:
    """Whether blocks are reflected in a compiled call each: where numba is loaded anyhow, or once it pays to load it.

    The bits are the same, so that only the time depends on what this process has done before.
    """

    def __init__(self) -> None:
        self.calls = 0

    def get(self) -> Callable[..., FloatArray] | None:
        """:func:`descentlab.factor.tpqrt_numba.block` with its pointer; None where Python calls LAPACK for every
        piece.
        """
        self.calls += 1
        if not ("numba" in sys.modules or self.calls > COMPILE_AFTER_CALLS):
            return None
        return _load_block_qr()


compiled_block_qr = CompiledBlockQR()


@cache
def _load_block_qr() -> Callable[..., FloatArray] | None:
    pointer = _tpqrt_pointer()
    if pointer is None or find_spec("numba") is None:
        return None
    from descentlab.factor.tpqrt_numba import compute_block_qr

    address: Any = ctypes.cast(pointer, ctypes.c_void_p).value  # type: ignore[arg-type]
    return partial(compute_block_qr, address)


class TpqrtWorkspace:
    """Rows reflected into triangles, and triangles into one another; what is below a diagonal is left alone.

    Attributes:
        triangles: (k, p, p) of them, each upper triangular and column by column in memory: ``triangles[i].T``.
    """

    def __init__(self, triangles: FloatArray, block_size: int) -> None:
        """``block_size``: how many columns LAPACK takes at a time."""
        self.triangles, (_, p, _) = triangles, triangles.shape
        self.p: int = p
        self.block_size = min(block_size, p)
        self._T, self._work = np.empty((self.block_size, p), order="F"), np.empty(self.block_size * p)
        self._info = ctypes.c_int()
        self._tpqrt_call = _tpqrt_pointer()

    def add_rows(self, i: int, rows: FloatArray) -> None:
        """(m, p) rows, column by column in memory, into triangle ``i``. They are overwritten."""
        if self._tpqrt_call is None:
            self.triangles[i] = _tpqrt_scipy(self.triangles[i].T, rows, 0, self.block_size).T
        else:
            self._tpqrt(i, rows.ctypes.data, len(rows), rows.strides[1] // 8, 0)

    def merge(self, i: int, j: int) -> None:
        """Triangle ``j`` into triangle ``i``. It is overwritten."""
        if self._tpqrt_call is None:
            self.triangles[i] = _tpqrt_scipy(self.triangles[i].T, self.triangles[j].T, self.p, self.block_size).T
        else:
            self._tpqrt(i, self._triangle_address(j), self.p, self.p, self.p)

    def _triangle_address(self, i: int) -> int:
        start: int = self.triangles.ctypes.data
        return start + 8 * i * self.p * self.p

    def _tpqrt(self, i: int, rows_address: int, m: int, ldb: int, trapezoidal_rows: int) -> None:
        lapack_ints = [ctypes.c_int(value) for value in (m, self.p, trapezoidal_rows, self.block_size, ldb)]
        m_ref, p_ref, l_ref, nb_ref, ldb_ref = map(ctypes.byref, lapack_ints)
        info_ref = ctypes.byref(self._info)
        assert self._tpqrt_call is not None
        self._tpqrt_call(
            *(m_ref, p_ref, l_ref, nb_ref, self._triangle_address(i), p_ref, rows_address, ldb_ref),
            *(self._T.ctypes.data, nb_ref, self._work.ctypes.data, info_ref),
        )
        if self._info.value:
            raise ValueError(f"tpqrt: argument {-self._info.value}")


def _tpqrt_scipy(triangle: FloatArray, rows: FloatArray, trapezoidal_rows: int, block_size: int) -> FloatArray:
    """The same by SciPy's wrapper."""
    from scipy.linalg.lapack import dtpqrt

    R: FloatArray = dtpqrt(trapezoidal_rows, block_size, triangle, rows)[0]
    return R


@cache
def _tpqrt_pointer() -> Callable[..., Any] | None:
    """The function itself; None where SciPy describes another than the one that is called here."""
    from scipy.linalg import cython_lapack

    capsule = cython_lapack.__pyx_capi__.get("dtpqrt")
    get_name, get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = b"" if capsule is None else get_name(capsule)
    if signature != f"void ({', '.join(TPQRT_SIGNATURE)})".encode():
        return None
    argument_types = [ctypes.c_void_p] * len(TPQRT_SIGNATURE)
    tpqrt: Callable[..., Any] = ctypes.CFUNCTYPE(None, *argument_types)(get_pointer(capsule, signature))
    return tpqrt
