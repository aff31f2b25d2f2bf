"""Check a block of rows before it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.data.source import MAX_MAGNITUDE, has_finite_squares
from descentlab.errors import DataError
from descentlab.messages import pluralize


def check_block(block: Any, weights: Any, k: int) -> np.ndarray[Any, Any]:
    """Return the (n, k) values as an array of their own type.

    Raises:
        DataError: the values, or the (n,) weights, have another shape, or are not finite real numbers with finite
            squares; or a weight is negative.
    """
    values = _check_values(block, "values")
    n = len(values) if values.ndim else 0
    if values.shape != (n, k):
        raise DataError("block_shape", shape=str(values.shape), count=k, columns=pluralize(k, "column"))
    if weights is not None:
        weight_array = _check_values(weights, "weights")
        if weight_array.shape != (n,):
            raise DataError("lengths", X=pluralize(n, "row"), what="weights", y=str(weight_array.shape), hint="")
        if n and weight_array.min() < 0:
            raise DataError("weights_negative", count=int((weight_array < 0).sum()))
    return values


def _check_values(data: Any, what: str) -> np.ndarray[Any, Any]:
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise DataError("dtype_unusable", what=what, dtype=str(array.dtype))
    if has_finite_squares(array):
        return array
    largest = max(-float(array.min()), float(array.max())) if array.size else 0.0  # NaN if there is one
    if not np.isfinite(largest):
        raise DataError("block_not_finite")
    if largest > MAX_MAGNITUDE:
        raise DataError("too_large", counts=what, limit=MAX_MAGNITUDE)
    return array
