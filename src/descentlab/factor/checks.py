"""A block of rows, checked before any of it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.data.source import LARGEST, tame
from descentlab.errors import DataError
from descentlab.messages import counted


def checked(given: Any, weights: Any, k: int) -> np.ndarray[Any, Any]:
    """The (n, k) values as an array, left in their own type.

    Raises:
        DataError: they, or their (n,) weights, are not finite real numbers of that shape with finite squares, or
            a weight is negative.
    """
    values = _numbers(given, "values")
    n = len(values) if values.ndim else 0
    if values.shape != (n, k):
        raise DataError("block_shape", shape=str(values.shape), count=k, columns=counted(k, "column"))
    if weights is not None:
        repeats = _numbers(weights, "weights")
        if repeats.shape != (n,):
            raise DataError("lengths", X=counted(n, "row"), what="weights", y=str(repeats.shape), hint="")
        if n and repeats.min() < 0:
            raise DataError("weights_negative", count=int((repeats < 0).sum()))
    return values


def _numbers(given: Any, what: str) -> np.ndarray[Any, Any]:
    """An array of finite real numbers whose squares are finite as well."""
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise DataError("dtype_unusable", what=what, dtype=str(array.dtype))
    if tame(array):
        return array
    size = max(-float(array.min()), float(array.max())) if array.size else 0.0  # NaN and infinity show in both
    if not np.isfinite(size):
        raise DataError("block_not_finite")
    if size > LARGEST:
        raise DataError("too_large", counts=what, limit=LARGEST)
    return array
