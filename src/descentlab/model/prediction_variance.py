"""The standard error of the mean at new rows, from a triangle of the coefficients' covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from descentlab.problem.statistics import RELATION_TOLERANCE
from descentlab.typing import UNIT_ROUNDOFF, FloatArray


@dataclass(frozen=True, eq=False)
class PredictionVariance:
    """How far the mean at a row of columns z is known: ``sigma |[1, z - mean] triangle|``.

    Attributes:
        triangle: (d + 1, d + 1) lower triangular: the constant at the means of the columns, then the columns. Its
            product with its transpose is the covariance over ``sigma^2``.
        null_space: (d, k) the directions in the weights that the data leaves open.
    """

    triangle: FloatArray
    null_space: FloatArray

    def relative_errors(self, centered: FloatArray, magnitudes: FloatArray) -> FloatArray:
        """(m,) standard errors of the mean over sigma; NaN where the data leaves it open.

        Args:
            centered: (m, d) columns less their means.
            magnitudes: (m, d) what the columns were rounded relative to.
        """
        rows = centered @ self.triangle[1:] + self.triangle[0]
        errors: FloatArray = np.linalg.norm(rows, axis=1)
        if self.null_space.size:
            rounding = 64 * UNIT_ROUNDOFF * magnitudes + RELATION_TOLERANCE * np.abs(centered)
            outside = np.abs(centered @ self.null_space) > rounding @ np.abs(self.null_space)
            errors[outside.any(axis=1)] = np.nan
        return errors


def make_triangle(root: FloatArray, constant: FloatArray) -> FloatArray:
    """The lower triangle with the inner products of (d, m) rows below a (m,) first row."""
    rows = np.vstack([constant, root])
    if rows.shape[1] < len(rows):
        rows = np.column_stack([rows, np.zeros((len(rows), len(rows) - rows.shape[1]))])
    upper: FloatArray = np.linalg.qr(rows.T).R
    return upper.T
