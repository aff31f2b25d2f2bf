"""Call LAPACK's ``tpqrt`` without Python's global lock, which SciPy's wrapper holds, so that threads run in parallel.

``tpqrt`` reduces a triangle and the rows below it to one triangle. SciPy publishes the pointers of its LAPACK
functions to compiled code (``scipy.linalg.cython_lapack``); they are called here through ctypes, which releases the
lock. If the published signature differs from the expected one, SciPy's wrapper is used: the results are equal.
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

COMPILE_AFTER_CALLS = 2000  # blocks; by then a process has worked for as long as importing and compiling takes


class CompiledBlockQR:
    """Decides whether blocks are reduced by the compiled kernel, which imports numba.

    It is used if numba is imported already, or if the process has worked for longer than the import takes. Both
    ways give equal results, so this changes only the time.

    Attributes:
        calls: the number of blocks so far.
    """

    def __init__(self) -> None:
        self.calls = 0

    def get(self) -> Callable[..., FloatArray] | None:
        """:func:`descentlab.factor.qr.tpqrt_numba.compute_block_qr` with its first argument; None if it is not used."""
        self.calls += 1
        return _load_block_qr() if "numba" in sys.modules or self.calls > COMPILE_AFTER_CALLS else None


compiled_block_qr = CompiledBlockQR()


@cache
def _load_block_qr() -> Callable[..., FloatArray] | None:
    pointer = _tpqrt_pointer()
    if pointer is None or find_spec("numba") is None:
        return None
    from descentlab.factor.qr.tpqrt_numba import compute_block_qr

    address: Any = ctypes.cast(pointer, ctypes.c_void_p).value  # type: ignore[arg-type]
    return partial(compute_block_qr, address)


class TpqrtWorkspace:
    """Triangles, and the memory that LAPACK needs to reduce rows into them.

    Args:
        triangles: (k, p, p) array; ``triangles[i].T`` is an upper triangular matrix in Fortran order.
        block_size: the number of columns that LAPACK reduces at a time.
    """

    def __init__(self, triangles: FloatArray, block_size: int) -> None:
        self.triangles, (_, self.p, _) = triangles, triangles.shape
        self.block_size = min(block_size, self.p)
        self._T, self._work = np.empty((self.block_size, self.p), order="F"), np.empty(self.block_size * self.p)
        self._info = ctypes.c_int()
        self._call = _tpqrt_pointer()

    def add_rows(self, i: int, rows: FloatArray) -> None:
        """Reduce (m, p) rows in Fortran order into triangle ``i``. The rows are overwritten."""
        self._tpqrt(i, rows, 0)

    def merge(self, i: int, j: int) -> None:
        """Reduce triangle ``j`` into triangle ``i``. Triangle ``j`` is overwritten."""
        self._tpqrt(i, self.triangles[j].T, self.p)

    def _tpqrt(self, i: int, rows: FloatArray, trapezoidal_rows: int) -> None:
        if self._call is None:
            from scipy.linalg.lapack import dtpqrt

            self.triangles[i] = dtpqrt(trapezoidal_rows, self.block_size, self.triangles[i].T, rows)[0].T
            return
        sizes = (len(rows), self.p, trapezoidal_rows, self.block_size, rows.strides[1] // 8)
        m, p, l, nb, ldb = (ctypes.byref(ctypes.c_int(size)) for size in sizes)  # noqa: E741 (LAPACK's name)
        triangle, T, work = self.triangles[i].ctypes.data, self._T.ctypes.data, self._work.ctypes.data
        self._call(m, p, l, nb, triangle, p, rows.ctypes.data, ldb, T, nb, work, ctypes.byref(self._info))
        if self._info.value:
            raise ValueError(f"tpqrt: argument {-self._info.value}")


@cache
def _tpqrt_pointer() -> Callable[..., Any] | None:
    """LAPACK's function; None if SciPy's signature differs from TPQRT_SIGNATURE."""
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
