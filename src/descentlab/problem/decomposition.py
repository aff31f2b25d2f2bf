"""Singular values with their digits, and in a time that does not depend on what else the machine does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from descentlab.typing import FloatArray

MIN_LARGE_COLUMNS = 64  # with fewer columns, no decomposition takes a time that anyone would notice
MAX_NORM_RATIO = 4.0  # columns whose norms differ by at most this factor are equally scaled
MAX_CONDITION = 1e6  # of singular values by divide and conquer


@contextmanager
def one_blas_thread(columns: int) -> Iterator[None]:
    """For many columns, compute in one thread: beside other work the threads of a BLAS wait for one another, and a
    decomposition of 700 columns takes ten times as long.
    """
    if columns < MIN_LARGE_COLUMNS:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


def decompose(matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """U (m, k), singular values s (k,) and V (k, k) of a matrix (m, k) of full rank, small values with their digits.

    The relative error of a singular value is of the order of a unit of rounding times ``cond(M D^-1)``, where D holds
    the norms of the columns, by one-sided Jacobi (LAPACK ``gejsv``; Drmac and Veselic, SIAM J. Matrix Anal. Appl. 29,
    2008), and times ``cond(M)`` by divide and conquer (``gesdd``), which is six times as fast. ``cond(M) <= max(D) /
    min(D) cond(M D^-1)``: for many columns of nearly equal norms the fast one has the same digits.
    """
    with one_blas_thread(matrix.shape[1]):
        if matrix.shape[1] >= MIN_LARGE_COLUMNS:
            norms = np.linalg.norm(matrix, axis=0)
            if norms.max() <= MAX_NORM_RATIO * norms.min():
                U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
                if s[0] <= MAX_CONDITION * s[-1]:
                    return U, s, Vt.T
        return _decompose_by_jacobi(matrix)


def _decompose_by_jacobi(matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    from scipy.linalg.lapack import dgejsv

    s, U, V, work, _, info = dgejsv(matrix, joba=0, jobu=0, jobv=0, jobr=0, jobp=0)
    if info != 0:
        raise np.linalg.LinAlgError(f"gejsv: info = {info}")
    return U[:, : len(s)], s * (work[0] / work[1]), V
