"""What a fit says about the population that its rows were drawn from: standard errors, tests, intervals.

Everything is read off the triangle of the independent columns, and never off X'X: with T the triangle of the centered
columns, the covariance of the weights is ``sigma^2 (T'T)^-1``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from descentlab.dependencies import require
from descentlab.errors import SettingError, check_float
from descentlab.messages import to_json_types
from descentlab.messages.document import Presentable
from descentlab.problem.covariance import CovarianceRoot, least_squares_root, robust_root
from descentlab.problem.regression import Regression
from descentlab.problem.statistics_plot import plot_fit
from descentlab.problem.tail_probabilities import f_upper_tail, student_quantile, student_two_sided
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

DEFAULT_LEVEL = 0.95
MAX_RELATIVE_COST_ERROR = 0.2  # of a residual sum whose root has a digit that is not rounding
RELATION_TOLERANCE = 1e-9  # how far a row may be from a relation of the fitted rows, relative to its distance from the mean
MAX_DIGITS = 15.9  # the decimal digits of a float64
SCALARS = ("r2", "adjusted_r2", "sigma", "f", "f_p_value", "log_likelihood", "aic", "bic")


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics(Presentable):
    r"""Statistics of a least-squares fit; each is computed when it is asked for.

    With n observations, k parameters that the data determines, e the residuals and w the weights (1 if there are none):

    .. math::

        \sigma^2 = \sum_i w_i e_i^2 / (n - k), \qquad
        \mathrm{Cov}(p) = \sigma^2 (Z'WZ)^{-1}, \quad Z = [X \; 1]

    n is the total weight of frequency weights, and the number of rows for analytic ones (``Problem(weights_are=...)``).
    A number that is not defined, or that would consist of rounding, is nan: everything that contains sigma if
    ``n <= k`` or the fit is exact; the entries of a parameter that the data does not determine; t, p and F with a
    ridge, where ``standard_errors`` are those of ``G Z'WZ G``, ``G = (Z'WZ + penalty)^-1``: the spread about the
    expected ridge coefficients, not about the true ones.

    Attributes:
        parameters: (p,) the names: features in order, then the bias.
        params: (p,) in the data's units.

    >>> import descentlab as dl
    >>> fit = dl.Problem([1.0, 2, 3, 4, 5], [1.1, 1.9, 3.2, 3.9, 5.1]).solve()
    >>> fit.standard_errors.round(4), fit.p_values.round(5), round(fit.r2, 4)
    (array([0.0404, 0.1341]), array([1.4e-04, 9.1e-01]), 0.9949)
    """

    regression: Regression
    parameters: tuple[str, ...]
    params: FloatArray
    robust_kind: str | None = None

    @cached_property
    def _root(self) -> CovarianceRoot:
        if self.robust_kind is None:
            return least_squares_root(self.regression)
        return robust_root(self.regression, self.sigma, self.robust_kind)

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
    def _residual_sum(self) -> _Bounded:
        """``sum w e^2``."""
        fit, weight = self.regression.fit, self.regression.factor.weight
        return _Bounded(fit.cost * weight, fit.cost_error * weight)

    @cached_property
    def _total_sum(self) -> _Bounded:
        """``sum w (y - mean)^2``, or ``sum w y^2`` without a bias."""
        norm, error = float(np.linalg.norm(self.regression.columns[:, -1])), self.regression.fit.column_errors[-1]
        return _Bounded(norm**2, float(error) * (2 * norm + float(error)))

    @property
    def sigma(self) -> float:
        """The residual standard deviation, ``sqrt(sum w e^2 / df_residual)``; statsmodels' ``sqrt(scale)``."""
        fit = self.regression.fit
        if not self.df_residual > 0 or not fit.cost_error < MAX_RELATIVE_COST_ERROR * fit.cost:
            return math.nan
        return math.sqrt(self._residual_sum.value / self.df_residual)

    @cached_property
    def standard_errors(self) -> FloatArray:
        """(p,) the square roots of the covariance's diagonal; nan where the data does not determine the parameter."""
        errors: FloatArray = self.sigma * np.linalg.norm(self._root.root, axis=1)
        return np.where(self.regression.is_determined, errors, math.nan)

    @property
    def covariance(self) -> FloatArray:
        """(p, p) of the parameters; nan in the rows and columns of those that the data does not determine."""
        root = self.sigma * self._root.root
        covariance: FloatArray = root @ root.T
        unknown = ~self.regression.is_determined
        covariance[unknown] = covariance[:, unknown] = math.nan
        return covariance

    @property
    def t(self) -> FloatArray:
        """(p,) parameters over their standard errors; nan with a ridge, whose parameters are not unbiased."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t: FloatArray = self.params / self.standard_errors
        return np.full_like(t, math.nan) if self.regression.is_penalized else t

    @property
    def p_values(self) -> FloatArray:
        """(p,) ``P(|T| >= |t|)`` for Student's t with ``df_residual`` degrees of freedom; 0 only below 5e-324."""
        p_values: FloatArray = student_two_sided(self.t, self.df_residual)
        return p_values

    def interval(self, level: float = DEFAULT_LEVEL) -> FloatArray:
        """(p, 2) confidence intervals ``params -+ q standard_errors``, q Student's quantile; nan with a ridge.

        Raises:
            SettingError: the level is not between 0 and 1.
        """
        width = self.quantile(level) * self.standard_errors
        return np.column_stack([self.params - width, self.params + width])

    def quantile(self, level: float) -> float:
        """Student's q with ``P(|T| <= q) = level`` for ``df_residual``; nan if there is no interval."""
        level = check_level(level)
        if self.regression.is_penalized or not self.df_residual > 0:
            return math.nan
        return student_quantile(level, self.df_residual)

    def mean_interval(self, X: Any, level: float = DEFAULT_LEVEL) -> FloatArray:
        """(n, 2) confidence intervals for the mean of y at (n, d) features; nan where the data does not determine it."""
        predicted, error = self._predict(X)
        width = self.quantile(level) * error
        return np.column_stack([predicted - width, predicted + width])

    def prediction_interval(self, X: Any, level: float = DEFAULT_LEVEL) -> FloatArray:
        """(n, 2) intervals for a new observation of weight 1 at (n, d) features; assumes normal residuals."""
        predicted, error = self._predict(X)
        width = self.quantile(level) * np.hypot(error, self.sigma)
        return np.column_stack([predicted - width, predicted + width])

    def _predict(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """(n,) predictions and their standard errors."""
        regression, d = self.regression, self.regression.d
        X = np.asarray(X, dtype=np.float64)
        X = X.reshape(-1, 1) if d == 1 and X.ndim < 2 else np.atleast_2d(X)
        if X.shape[1] != d:
            raise SettingError("prediction_columns", given=X.shape[1], count=d, names=self.parameters[:d])
        means, mean_y = np.zeros(d), 0.0
        if regression.bias:
            means, mean_y = regression.factor.means[:d], float(regression.factor.means[d])
        centered = X - means
        W, root = regression.fit.params[:d, 0], self._root.root
        rows = centered @ root[:d]
        if regression.bias:  # the mean's own row: the bias and the weights are correlated only through the means
            rows = rows + root[d] + means @ root[:d]
        error = self.sigma * np.linalg.norm(rows, axis=1)
        null_space = regression.fit.null_space[:d]
        rounding = 64 * UNIT_ROUNDOFF * (np.abs(X) + np.abs(means)) + RELATION_TOLERANCE * np.abs(centered)
        outside = np.any(np.abs(centered @ null_space) > rounding @ np.abs(null_space), axis=1)
        return mean_y + centered @ W, np.where(outside, math.nan, error)

    @property
    def r2(self) -> float:
        """``1 - sum w e^2 / sum w (y - mean)^2``; without a bias uncentered, ``1 - sum w e^2 / sum w y^2``."""
        rss, tss = self._residual_sum, self._total_sum
        if not tss.error < tss.value or not math.isfinite(rss.error):
            return math.nan
        return 1 - rss.value / tss.value

    @property
    def adjusted_r2(self) -> float:
        """``1 - (1 - r2) (n - 1) / df_residual``; n instead of n - 1 without a bias."""
        if not self.df_residual > 0 or self.regression.is_penalized:
            return math.nan
        return 1 - (1 - self.r2) * (self.n_observations - self.regression.bias) / self.df_residual

    @property
    def f(self) -> float:
        """The F statistic of all slopes being 0 (without a bias: of all weights), with ``df_model`` and ``df_residual``.

        ``(sum w (y - mean)^2 - sum w e^2) / df_model / sigma^2``; with robust errors Wald's ``W' Cov(W)^-1 W / df_model``.
        """
        if self.regression.is_penalized or not self.df_model or math.isnan(self.sigma):
            return math.nan
        if self._root.middle is not None:
            return self._wald_f(self._root.middle)
        explained = self._total_sum.value - self._residual_sum.value
        return max(explained, 0.0) / self.df_model / self.sigma**2

    def _wald_f(self, middle: FloatArray) -> float:
        k, fit = self.df_model, self.regression.fit
        independent = [j for j in range(self.regression.d) if j not in fit.dependent]
        rotated = np.linalg.solve(fit.covariance_root[independent, :k], fit.params[independent, 0]) / self.sigma
        try:
            half = np.linalg.solve(np.linalg.cholesky(middle[:k, :k]), rotated)
        except np.linalg.LinAlgError:  # fewer rows with a residual than slopes
            return math.nan
        return float(half @ half) / k

    @property
    def f_p_value(self) -> float:
        """``P(F >= f)``."""
        return float(f_upper_tail(self.f, self.df_model, self.df_residual)) if self.f >= 0 else math.nan

    @cached_property
    def log_likelihood(self) -> float:
        """Of normal residuals: ``-n/2 (log(2 pi sum w e^2 / n) + 1)``, plus ``sum log(w) / 2`` for analytic weights.

        The last sum takes one more pass over the rows; nan if they are gone. As in statsmodels.
        """
        if math.isnan(self.sigma) or self.regression.is_penalized:
            return math.nan
        n = self.n_observations
        constant = self.regression.sum_log_weights() / 2 if self.regression.weights_are == "analytic" else 0.0
        return constant - n / 2 * (math.log(2 * math.pi) + math.log(self._residual_sum.value / n) + 1)

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
        rss, tss = self._residual_sum, self._total_sum
        sigma = rss.relative_error / 2 * (1 + rss.relative_error)
        relative = self._root.relative_errors + sigma
        t = np.abs(self.t)
        params = np.where(self.regression.is_determined, self.regression.fit.error_bounds[:, 0], math.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            t_error = params / self.standard_errors + t * relative
        p_errors = np.abs(student_two_sided(np.maximum(t - t_error, 0), self.df_residual) - self.p_values)
        r2 = (rss.error + (1 - self.r2) * tss.error) / (tss.value - tss.error) + 2 * UNIT_ROUNDOFF
        explained = rss.error + tss.error + 4 * UNIT_ROUNDOFF * tss.value
        f = explained / self.df_model / self.sigma**2 + self.f * 2 * sigma if self.df_model else math.inf
        if self.robust_kind:
            f = math.inf if not np.isfinite(relative).all() else self.f * 4 * self.df_model * float(np.max(relative))
        log = self.n_observations / 2 * rss.relative_error + 8 * UNIT_ROUNDOFF * abs(self.log_likelihood)
        return {
            "params": params,
            "standard_errors": self.standard_errors * relative,
            "t": t_error,
            "p_values": p_errors + 1e-13 * self.p_values,
            "sigma": self.sigma * sigma,
            "r2": r2,
            "adjusted_r2": r2 * (self.n_observations - self.regression.bias) / self.df_residual,
            "f": f,
            "f_p_value": self._f_p_error(f),
            "log_likelihood": log,
            "aic": 2 * log,
            "bic": 2 * log,
        }

    def _f_p_error(self, error: float) -> float:
        if not self.f >= 0:
            return math.inf
        lower = f_upper_tail(max(self.f - error, 0.0), self.df_model, self.df_residual)
        return float(lower) - self.f_p_value + 1e-13 * self.f_p_value

    def digits_of(self, name: str) -> Any:
        """How many decimal digits of a statistic are certain, such as ``digits_of("standard_errors")``; 0 for nan."""
        with np.errstate(divide="ignore", invalid="ignore"):
            digits = -np.log10(np.asarray(self.error_bounds[name]) / np.abs(getattr(self, name)))
        clipped = np.clip(np.nan_to_num(digits, nan=0.0), 0.0, MAX_DIGITS)
        return clipped if clipped.ndim else float(clipped)

    def robust(self, kind: str = "HC3") -> Statistics:
        """The same fit with standard errors that hold for unequal variances, by one more pass over the rows.

        White's ``G Z' diag(e^2 c) Z G`` with ``G = (Z'Z)^-1`` and leverage ``h_i = z_i' G z_i``:

            HC0: c = 1      HC1: c = n / (n - k)      HC2: c = 1 / (1 - h)      HC3: c = 1 / (1 - h)^2

        t and p use Student's t with ``df_residual``; F is Wald's. Analytic weights multiply rows by ``sqrt(w)``, and a
        row of frequency weight 2 is two rows.

        Raises:
            DataError: the problem was created from a factor, so the rows are gone; or HC2 or HC3 is asked for and a
                row has leverage 1.
            SettingError: the kind is unknown, or there is a ridge.
        """
        robust = Statistics(
            regression=self.regression, parameters=self.parameters, params=self.params, robust_kind=str(kind)
        )
        _ = robust._root  # the pass
        return robust

    def summary(self, level: float = DEFAULT_LEVEL) -> Summary:
        """The table: text at most 80 columns wide, HTML in a notebook, or :meth:`Summary.to_pandas`."""
        return Summary(self, check_level(level))

    def plot(
        self, path: str | os.PathLike[str] | None = None, *, level: float = DEFAULT_LEVEL, lang: str | None = None
    ) -> Any:
        """Predictions against targets, residuals against predictions, and intervals; needs matplotlib.

        At most 2,000 evenly spaced rows are drawn; without rows, the intervals only.

        Args:
            path: a file to write (``.png``, ``.svg``, ``.pdf``); None only returns the figure.
            level: of the intervals.
            lang: the labels' language.

        Returns:
            The :class:`matplotlib.figure.Figure`.
        """
        return plot_fit(self.regression, self.parameters, self.params, self.interval(level), level, path, lang)

    def to_dict(self, level: float = DEFAULT_LEVEL) -> dict[str, Any]:
        """Every statistic with all its digits, JSON-ready; null is a number that is not defined."""
        def by_name(values: Sequence[Any] | FloatArray) -> dict[str, Any]:
            return dict(zip(self.parameters, np.asarray(values).tolist(), strict=True))

        vectors = ("standard_errors", "t", "p_values")
        content = {
            "n_observations": self.n_observations,
            "weights_are": self.regression.weights_are if self.regression.has_weights else None,
            "robust": self.robust_kind,
            "df_model": self.df_model,
            "df_residual": self.df_residual,
            **{name: by_name(getattr(self, name)) for name in vectors},
            "level": level,
            "interval": by_name(self.interval(level)),
            **{name: getattr(self, name) for name in SCALARS},
            "digits": {name: by_name(self.digits_of(name)) for name in vectors}
            | {name: self.digits_of(name) for name in SCALARS},
        }
        converted: dict[str, Any] = to_json_types(content)
        return converted


class _Bounded(NamedTuple):
    """A number and a bound on its error."""

    value: float
    error: float

    @property
    def relative_error(self) -> float:
        return self.error / self.value if self.value else math.inf


@dataclass(frozen=True)
class Summary(Presentable):
    """The table of :meth:`Statistics.summary`.

    Attributes:
        statistics: what it shows.
        level: of the intervals.
    """

    statistics: Statistics
    level: float = DEFAULT_LEVEL

    def to_pandas(self) -> Any:
        """A data frame indexed by parameter: ``estimate``, ``standard_error``, ``t``, ``p_value``, ``lower``, ``upper``."""
        pandas = require("pandas", "pandas", "pandas", "frames")
        fit = self.statistics
        lower, upper = fit.interval(self.level).T
        columns = {
            "estimate": fit.params,
            "standard_error": fit.standard_errors,
            "t": fit.t,
            "p_value": fit.p_values,
            "lower": lower,
            "upper": upper,
        }
        return pandas.DataFrame(columns, index=pandas.Index(fit.parameters, name="parameter"))


def check_level(level: float) -> float:
    """Return a confidence level, or raise SettingError if it is not between 0 and 1."""
    number = check_float("level", level, 0.0, 1.0)
    if number in (0.0, 1.0):
        raise SettingError("level_edge", given=level)
    return number
