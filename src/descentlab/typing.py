"""The types of arrays, and how far rounding moves their values."""

from __future__ import annotations

from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

UNIT_ROUNDOFF = 2.0**-53  # rounding to the nearest float64 changes a number by at most this fraction of it
FLOAT32_UNIT_ROUNDOFF = 2.0**-24
