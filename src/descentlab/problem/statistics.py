"""What a fit says about the population that its rows were drawn from: standard errors, tests, intervals.

Everything is read off the triangle of the independent columns, and never off X'X: with T the triangle of the centered
columns, the covariance of the weights is ``sigma^2 (T'T)^-1``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.dependencies import LazyProperty, require
from descentlab.errors import SettingError, check_float
from descentlab.messages import message, to_json_types
from descentlab.messages.document import Presentable
from descentlab.problem.covariance import CovarianceRoot, least_squares_root, robust_root
from descentlab.problem.goodness_of_fit import GoodnessOfFit
from descentlab.problem.statistics_plot import plot_fit
from descentlab.problem.tail_probabilities import f_upper_tail, student_quantile, student_two_sided
from descentlab.typing import UNIT_ROUNDOFF, FloatArray

DEFAULT_LEVEL = 0.95
TAIL_ERROR = 1e-12  # relative, of a tail probability
RELATION_TOLERANCE = (
    1e-9  # how far a row may be from a relation of the fitted rows, relative to its distance from the mean
)
MAX_DIGITS = 15.9  # the decimal digits of a float64
SCALARS = ("r2", "adjusted_r2", "sigma", "f", "f_p_value", "log_likelihood", "aic", "bic")


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics(GoodnessOfFit):
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
        model: the :class:`descentlab.Model` of this fit, to be saved and to predict with.

    >>> import descentlab as dl
    >>> fit = dl.Problem([1.0, 2, 3, 4, 5], [1.1, 1.9, 3.2, 3.9, 5.1]).solve()
    >>> fit.standard_errors.round(4), fit.p_values.round(5), round(fit.r2, 4)
    (array([0.049 , 0.1625]), array([2.6000e-04, 8.2142e-01]), 0.9929)
    """

    parameters: tuple[str, ...]
    params: FloatArray
    robust_kind: str | None = None

    model = LazyProperty("descentlab.model.build", "model_of_fit")

    @cached_property
    def covariance_root(self) -> CovarianceRoot:
        """The root of ``covariance / sigma^2``, as the robust kind asks for."""
        if self.robust_kind is None:
            return least_squares_root(self.regression)
        return robust_root(self.regression, self.sigma, self.robust_kind)

    @cached_property
    def standard_errors(self) -> FloatArray:
        """(p,) the square roots of the covariance's diagonal; nan where the data does not determine the parameter."""
        errors: FloatArray = self.sigma * np.linalg.norm(self.covariance_root.root, axis=1)
        return np.where(self.regression.is_determined, errors, math.nan)

    @property
    def covariance(self) -> FloatArray:
        """(p, p) of the parameters; nan in the rows and columns of those that the data does not determine."""
        root = self.sigma * self.covariance_root.root
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
        """(n, 2) confidence intervals for the mean of y at (n, d) features; nan where the data leaves it open."""
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
        W, root = regression.fit.params[:d, 0], self.covariance_root.root
        rows = centered @ root[:d]
        if regression.bias:  # the mean's own row: the bias and the weights are correlated only through the means
            rows = rows + root[d] + means @ root[:d]
        error = self.sigma * np.linalg.norm(rows, axis=1)
        null_space = regression.fit.null_space[:d]
        rounding = 64 * UNIT_ROUNDOFF * (np.abs(X) + np.abs(means)) + RELATION_TOLERANCE * np.abs(centered)
        outside = np.any(np.abs(centered @ null_space) > rounding @ np.abs(null_space), axis=1)
        return mean_y + centered @ W, np.where(outside, math.nan, error)

    @property
    def f(self) -> float:
        """The F statistic of the hypothesis that all weights are 0, with ``df_model`` and ``df_residual``.

        ``(sum w (y - mean)^2 - sum w e^2) / df_model / sigma^2``, uncentered without a bias; with robust errors Wald's
        ``W' Cov(W)^-1 W / df_model``.
        """
        if self.regression.is_penalized or not self.df_model or math.isnan(self.sigma):
            return math.nan
        if self.covariance_root.middle is not None:
            return self._wald_f(self.covariance_root.middle)
        explained = self.total_sum.value - self.residual_sum.value
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
    def error_bounds(self) -> dict[str, Any]:
        """Bounds on the rounding error of each statistic, by name: (p,) arrays and numbers; inf if nothing is known.

        They hold for rounding of the data, to the last place of a float64, and of the computation, as ``digits`` does.
        """
        errors = self.covariance_root.errors * self.sigma + self.standard_errors * self._relative_sigma_error
        t = np.abs(self.t)
        params = np.where(self.regression.is_determined, self.regression.fit.error_bounds[:, 0], math.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            t_error = (params + t * errors) / self.standard_errors
        lower_t = np.maximum(t - t_error, 0.0)
        p_error = student_two_sided(lower_t, self.df_residual) - self.p_values + TAIL_ERROR * self.p_values
        lower_f = f_upper_tail(max(self.f - self._f_error, 0.0), self.df_model, self.df_residual)
        return super().error_bounds | {
            "params": params,
            "standard_errors": errors,
            "t": t_error,
            "p_values": p_error,
            "f": self._f_error,
            "f_p_value": float(lower_f) - (1 - TAIL_ERROR) * self.f_p_value,
        }

    @cached_property
    def _f_error(self) -> float:
        if math.isnan(self.f):
            return math.nan
        if self.robust_kind:
            return self.f * (self.covariance_root.wald_error + 2 * self._relative_sigma_error)
        explained = self.residual_sum.error + self.total_sum.error + 4 * UNIT_ROUNDOFF * self.total_sum.value
        return explained / self.df_model / self.sigma**2 + 2 * self.f * self._relative_sigma_error

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
        _ = robust.covariance_root  # the pass
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
        interval, percent = self.interval(level), f"{100 * level:.4g}"
        heading = message("plot.weights") if np.isnan(interval).all() else message("plot.intervals", percent=percent)
        if self.robust_kind:
            heading = message("plot.intervals_robust", percent=percent, kind=self.robust_kind)
        return plot_fit(self.regression, self.parameters, self.params, interval, heading, path, lang)

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
        """A data frame by parameter: ``estimate``, ``standard_error``, ``t``, ``p_value``, ``lower``, ``upper``."""
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
