"""LAPACK's ``tpqrt``, called so that other threads run meanwhile: SciPy's own wrapper holds Python's lock.

SciPy publishes its LAPACK to other compiled code (``scipy.linalg.cython_lapack``); the same pointers are called here
through ctypes, which lets the lock go. The pointer's own description is compared with what is called, and where it
differs the wrapper is used: the same numbers, one thread at a time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from descentlab.arrays import Array

INTEGER, VALUES = "int *", "__pyx_t_5scipy_6linalg_13cython_lapack_d *"
# m, n, l, nb, A, lda, B, ldb, T, ldt, work, info
ARGUMENTS = [INTEGER] * 4 + [VALUES, INTEGER, VALUES, INTEGER, VALUES, INTEGER, VALUES, INTEGER]


def reflected(triangle: Array, rows: Array, triangular: int, width: int) -> Array:
    """``rows`` (m, p) reflected into ``triangle`` (p, p), blocks of ``width`` columns at a time.

    Both are float64, column by column in memory, and overwritten. ``triangular`` of the rows are upper triangular.
    Returns ``triangle``; what lies below its diagonal is neither read nor written.
    """
    call = _pointer()
    if call is None:
        from scipy.linalg.lapack import dtpqrt

        R: Array = dtpqrt(triangular, width, triangle, rows, overwrite_a=1, overwrite_b=1)[0]
        return R
    (m, p), info = rows.shape, ctypes.c_int()
    T, work = np.empty((width, p), order="F"), np.empty(width * p)
    sizes = [ctypes.c_int(size) for size in (m, p, triangular, width, p, max(m, 1), width)]
    of_m, of_p, of_l, of_width, lead, lead_rows, lead_t = map(ctypes.byref, sizes)
    call(
        *(of_m, of_p, of_l, of_width, triangle.ctypes.data, lead, rows.ctypes.data, lead_rows),
        *(T.ctypes.data, lead_t, work.ctypes.data, ctypes.byref(info)),
    )
    if info.value:
        raise ValueError(f"tpqrt: argument {-info.value}")
    return triangle


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
