"""The root of the coefficients' covariance: least squares, ridge, and HC0 to HC3 by one more pass over the rows.

A root L (p, m) has ``L L' = covariance / sigma^2``. If rounding moved column j by at most ``e_j`` (norm), then with
``g_i = sum_j e_j |L L'|_ij`` and ``s = sum_j e_j |L_j|``, to first order, the norm of row i moves by

    least squares   g_i
    ridge           2 g_i + s |row i|
    HC              |D| (2 g_i + s |L_i|) + |dD| |L_i|

with D the diagonal of the residuals over sigma times their corrections. The bounds returned are twice that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from descentlab.errors import DataError, SettingError, check_choice
from descentlab.problem.regression import Regression
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

ROBUST_KINDS = ("HC0", "HC1", "HC2", "HC3")
# Squared residuals are divided by this power of 1 - h.
LEVERAGE_EXPONENTS = {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}
MIN_LEVERAGE_GAP = 1e-9  # a row with 1 - h below it is fitted exactly, whatever its target is
MEAN_ERROR_FACTOR = 4  # the bias moves with the means too, at most as far again, twice


class CovarianceRoot(NamedTuple):
    """A root of the covariance over sigma^2.

    Attributes:
        root: (p, m).
        errors: (p,) bounds on the rounding error of each row's norm, that is of a standard error over sigma; inf
            where nothing is known.
        robust: which of ``HC0`` to ``HC3``; None is the covariance of equal variances.
        middle: (r, r) of the sandwich in coordinates in which the weights' covariance would be ``sigma^2 I``; None
            unless ``robust``.
        wald_error: a bound on the relative rounding error of Wald's F.
    """

    root: FloatArray
    errors: FloatArray
    robust: str | None = None
    middle: FloatArray | None = None
    wald_error: float = np.inf


def least_squares_root(regression: Regression) -> CovarianceRoot:
    """The root under equal variances; with a ridge that of ``G X'X G``, ``G = (X'X + penalty)^-1``."""
    root = regression.fit.covariance_root
    moved, spread = _column_effects(regression)
    if regression.is_penalized:
        root = _ridge_root(regression)
        moved = 2 * moved + spread * np.linalg.norm(root, axis=1)
    return CovarianceRoot(root, _bounds(regression, moved, np.linalg.norm(root, axis=1), spread))


def _ridge_root(regression: Regression) -> FloatArray:
    d, root = regression.d, regression.fit.covariance_root
    weights_root = root[:d, : root.shape[1] - regression.bias]
    shares = weights_root @ (weights_root.T @ regression.columns[:, :d].T)
    if not regression.bias:
        return shares
    bias_row = np.append(-regression.factor.means[:d] @ shares, root[d, -1])
    return np.vstack([np.column_stack([shares, np.zeros(d)]), bias_row])


def _column_effects(regression: Regression) -> tuple[FloatArray, float]:
    """(p,) ``g``, how far rounding of the columns moves each row of the root, and ``s``."""
    d, root, errors = regression.d, regression.fit.covariance_root, regression.fit.column_errors[: regression.d]
    with np.errstate(over="ignore", invalid="ignore"):
        moved = np.abs(root @ root[:d].T) @ errors
    if regression.bias:
        moved[d] *= MEAN_ERROR_FACTOR
    return moved, float(np.linalg.norm(root[:d], axis=1) @ errors)


def _bounds(regression: Regression, moved: FloatArray, norms: FloatArray, spread: float) -> FloatArray:
    if spread >= 1:
        return np.full(len(norms), np.inf)
    return 2 * moved / (1 - spread) + 4 * regression.rank * UNIT_ROUNDOFF * norms


def robust_root(regression: Regression, sigma: float, kind: str) -> CovarianceRoot:
    """The root of White's covariance ``G X' diag(e^2 c) X G / sigma^2``, ``c`` by the kind, in one pass over the rows.

        HC0: c = 1      HC1: c = n / (n - rank)      HC2: c = 1 / (1 - h)      HC3: c = 1 / (1 - h)^2

    Raises:
        DataError: the rows are gone, or a row has leverage 1.
        SettingError: the kind is unknown, or there is a ridge.

    References:
        J. S. Long and L. H. Ervin, "Using heteroscedasticity consistent standard errors in the linear regression
        model", *The American Statistician* 54 (2000), 217-224.
    """
    check_choice("robust", kind, ROBUST_KINDS)
    if regression.is_penalized:
        raise SettingError("robust_ridge")
    if regression.selection is None:
        raise DataError("robust_without_rows")
    if np.isnan(sigma):  # no residuals but rounding
        return least_squares_root(regression)
    sums = _Sums.add_all(regression.map_centered_blocks(partial(_sums_of_block, regression, sigma, kind)))
    if sums.rows_with_leverage_one:
        raise DataError("leverage_one", kind=kind, count=sums.rows_with_leverage_one)
    n, k = regression.n_observations, regression.rank
    middle = sums.middle * (n / (n - k) if kind == "HC1" else 1.0)
    values, vectors = np.linalg.eigh(middle)
    root = regression.fit.covariance_root @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    (moved, spread), norms = _column_effects(regression), np.linalg.norm(regression.fit.covariance_root, axis=1)
    effects = _robust_effects(regression, sums, sigma, moved, norms)
    errors = _bounds(regression, effects, np.linalg.norm(root, axis=1), spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The middle is rounded relative to its largest entries, not to those that one row of the root meets.
        errors += (sums.blocks + 4 * k) * UNIT_ROUNDOFF * np.trace(middle) * norms**2 / np.linalg.norm(root, axis=1)
    return CovarianceRoot(root, np.nan_to_num(errors, nan=np.inf), kind, middle, _wald_error(regression, sums, sigma))


def _wald_error(regression: Regression, sums: _Sums, sigma: float) -> float:
    """Through the smallest direction of the middle, which F divides by, and through what is explained."""
    k, spread = regression.rank - regression.bias, _column_effects(regression)[1]
    W = regression.fit.params[: regression.d, 0]
    values = np.linalg.eigvalsh(sums.middle[:k, :k]) if k else np.ones(1)
    explained = float(np.linalg.norm(regression.columns[:, :-1] @ W))
    if not values[0] > 0 or not explained or spread >= 1:
        return np.inf
    moved = float(_robust_effects(regression, sums, sigma, np.array([spread]), np.ones(1))[0])
    rounding = (sums.blocks + 4 * k) * UNIT_ROUNDOFF * np.sum(values) / values[0]
    shift = 2 * np.sqrt(values[-1] / values[0]) * _target_shift(regression) / explained
    return float(2 * (2 * moved / np.sqrt(values[0]) + shift) / (1 - spread) + rounding)


def _target_shift(regression: Regression) -> float:
    """How far rounding moves predictions and targets apart (norm)."""
    errors, W = regression.fit.column_errors, np.abs(regression.fit.params[: regression.d, 0])
    return float(errors[:-1] @ W + errors[-1])


class _Sums(NamedTuple):
    """Sums and largest values over blocks of rows.

    Attributes:
        middle: (r, r) the sum of ``c e^2 z z' / sigma^2``, z the row in orthonormal coordinates.
        max_correction, max_factor: the largest root of c, and of c times the residual over sigma.
        rows_with_leverage_one: how many rows c is not defined for.
        blocks: how many blocks were added.
    """

    middle: FloatArray
    max_correction: float
    max_factor: float
    rows_with_leverage_one: int
    blocks: int = 1

    @classmethod
    def add_all(cls, parts: Iterable[_Sums]) -> _Sums:
        """The sums of all blocks, in their order."""
        return reduce(
            lambda a, b: cls(
                a.middle + b.middle,
                max(a.max_correction, b.max_correction),
                max(a.max_factor, b.max_factor),
                a.rows_with_leverage_one + b.rows_with_leverage_one,
                a.blocks + b.blocks,
            ),
            parts,
        )


def _sums_of_block(
    regression: Regression, sigma: float, kind: str, X: FloatArray, y: FloatArray, weights: FloatArray | None
) -> _Sums:
    root, d, analytic = regression.fit.covariance_root, regression.d, regression.weights_are == "analytic"
    w = np.ones(len(y)) if weights is None else weights
    Z = X @ root[:d]
    if regression.bias:
        Z[:, -1] = root[d, -1]
    leverage = np.einsum("ij,ij->i", Z, Z) * (w if analytic else 1.0)
    gap = np.where(w > 0, 1 - leverage, 1.0)  # a row of weight 0 is not in any sum
    exponent = LEVERAGE_EXPONENTS[kind]
    correction = np.maximum(gap, MIN_LEVERAGE_GAP) ** (-exponent / 2)
    factor = np.sqrt(w if analytic else w > 0) * correction * np.abs(y - X @ regression.fit.params[:d, 0]) / sigma
    Z *= (np.sqrt(w) * factor)[:, None]
    refused = int(np.count_nonzero(gap < MIN_LEVERAGE_GAP)) if exponent else 0
    return _Sums(Z.T @ Z, float(correction.max(initial=1.0)), float(factor.max(initial=0.0)), refused)


def _robust_effects(
    regression: Regression, sums: _Sums, sigma: float, moved: FloatArray, norms: FloatArray
) -> FloatArray:
    """How far rounding moves rows of the robust root: through the columns, and through the residuals.

    ``moved`` and ``norms`` are g and the norms of these rows of the root under equal variances.
    """
    spread = _column_effects(regression)[1]
    residual_norm = np.sqrt(regression.fit.cost * regression.factor.weight)
    residual_shift = (_target_shift(regression) + spread * residual_norm) / sigma
    leverage_shift = 2 * spread * sums.max_correction**2 * sums.max_factor
    shift = sums.max_correction * residual_shift + leverage_shift
    effects: FloatArray = sums.max_factor * (2 * moved + spread * norms) + shift * norms
    return effects
