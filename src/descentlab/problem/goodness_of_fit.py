"""How well a fit explains its target: sigma, R2, log-likelihood, AIC and BIC, with bounds on their rounding errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from descentlab.messages.document import Presentable
from descentlab.problem.regression import Regression
from descentlab.typing import UNIT_ROUNDOFF

MAX_RELATIVE_COST_ERROR = 0.2  # of a residual sum whose root has a digit that is not rounding


class Bounded(NamedTuple):
    """A number and a bound on its error."""

    value: float
    error: float

    @property
    def relative_error(self) -> float:
        return self.error / self.value if self.value else math.inf


@dataclass(frozen=True, eq=False, kw_only=True)
class GoodnessOfFit(Presentable):
    """What follows from the residual sum of squares; nan is a number that is not defined, or would be rounding.

    Attributes:
        regression: the fit.
    """

    regression: Regression

    @property
    def n_observations(self) -> float:
        """n: the total weight of frequency weights, else the number of rows."""
        return self.regression.n_observations

    @property
    def df_model(self) -> int:
        """The number of slopes that the data determines: k without the bias."""
        return self.regression.rank - self.regression.bias

    @cached_property
    def df_residual(self) -> float:
        """``n - k``; with a ridge ``n - tr(2H - H^2)``, H the matrix that maps targets to predictions.

        The second is the divisor that is right if the ridge adds no bias (T. Hastie and R. Tibshirani, *Generalized
        Additive Models*, 1990, section 3.5).
        """
        regression = self.regression
        if not regression.is_penalized:
            return regression.n_observations - regression.rank
        d = regression.d
        K = regression.columns[:, :d] @ regression.fit.covariance_root[:d]
        trace = 2 * np.sum(K**2) - np.sum((K.T @ K) ** 2) + regression.bias
        return float(regression.n_observations - trace)

    @property
    def fits_exactly(self) -> bool:
        """Whether the residuals are no larger than rounding makes them."""
        fit = self.regression.fit
        return math.isfinite(fit.cost_error) and fit.cost_error >= MAX_RELATIVE_COST_ERROR * fit.cost

    @property
    def residual_sum(self) -> Bounded:
        """``sum w e^2``."""
        fit, weight = self.regression.fit, self.regression.factor.weight
        return Bounded(fit.cost * weight, fit.cost_error * weight)

    @cached_property
    def total_sum(self) -> Bounded:
        """``sum w (y - mean)^2``, or ``sum w y^2`` without a bias."""
        norm, error = float(np.linalg.norm(self.regression.columns[:, -1])), self.regression.fit.column_errors[-1]
        return Bounded(norm**2, float(error) * (2 * norm + float(error)))

    @property
    def sigma(self) -> float:
        """The residual standard deviation, ``sqrt(sum w e^2 / df_residual)``; statsmodels' ``sqrt(scale)``."""
        fit = self.regression.fit
        if not self.df_residual > 0 or not fit.cost_error < MAX_RELATIVE_COST_ERROR * fit.cost:
            return math.nan
        return math.sqrt(self.residual_sum.value / self.df_residual)

    @property
    def r2(self) -> float:
        """``1 - sum w e^2 / sum w (y - mean)^2``; without a bias uncentered, ``1 - sum w e^2 / sum w y^2``."""
        rss, tss = self.residual_sum, self.total_sum
        if not tss.error < tss.value or not math.isfinite(rss.error):
            return math.nan
        return 1 - rss.value / tss.value

    @property
    def adjusted_r2(self) -> float:
        """``1 - (1 - r2) (n - 1) / df_residual``; n instead of n - 1 without a bias."""
        if not self.df_residual > 0 or self.regression.is_penalized:
            return math.nan
        return 1 - (1 - self.r2) * (self.n_observations - self.regression.bias) / self.df_residual

    @cached_property
    def log_likelihood(self) -> float:
        """Of normal residuals: ``-n/2 (log(2 pi sum w e^2 / n) + 1)``, plus ``sum log(w) / 2`` for analytic weights.

        The last sum takes one more pass over the rows; nan if they are gone. As in statsmodels.
        """
        if math.isnan(self.sigma) or self.regression.is_penalized:
            return math.nan
        n = self.n_observations
        constant = self.regression.sum_log_weights() / 2 if self.regression.weights_are == "analytic" else 0.0
        return constant - n / 2 * (math.log(2 * math.pi) + math.log(self.residual_sum.value / n) + 1)

    @property
    def aic(self) -> float:
        """Akaike's criterion ``2 k - 2 log_likelihood``; k counts the coefficients and not sigma, as in statsmodels."""
        return 2 * self.regression.rank - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion ``k log(n) - 2 log_likelihood``."""
        return self.regression.rank * math.log(self.n_observations) - 2 * self.log_likelihood

    @cached_property
    def error_bounds(self) -> dict[str, Any]:
        """Bounds on the rounding error of each statistic, by name: (p,) arrays and numbers; inf if nothing is known.

        They hold for rounding of the data, to the last place of a float64, and of the computation, as ``digits`` does.
        """
        rss, tss = self.residual_sum, self.total_sum
        least_total = max(tss.value - tss.error, 0.0) or math.nan
        r2 = (rss.error + (1 - self.r2) * tss.error) / least_total + 2 * UNIT_ROUNDOFF
        log = self.n_observations / 2 * rss.relative_error + 8 * UNIT_ROUNDOFF * abs(self.log_likelihood)
        return {
            "sigma": self.sigma * self._relative_sigma_error,
            "r2": r2,
            "adjusted_r2": r2 * (self.n_observations - self.regression.bias) / (self.df_residual or math.nan),
            "log_likelihood": log,
            "aic": 2 * log,
            "bic": 2 * log,
        }

    @property
    def _relative_sigma_error(self) -> float:
        error = self.residual_sum.relative_error
        return error / 2 * (1 + error) + 2 * UNIT_ROUNDOFF
