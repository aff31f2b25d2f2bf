"""From a fit to its model."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from descentlab.data.csv.number_format import NumberFormat
from descentlab.data.csv.text_columns import FlagFormat
from descentlab.data.design.design import Design
from descentlab.data.design.resolve import with_categories
from descentlab.data.design.syntax import Name
from descentlab.errors import SettingError
from descentlab.factor.archive import checksum
from descentlab.messages import Message, message
from descentlab.model.fitted_model import ColumnMoments, FittedData, input_columns
from descentlab.model.model import Model
from descentlab.model.prediction_variance import PredictionVariance, make_triangle
from descentlab.problem.regression import Regression
from descentlab.problem.statistics import SCALARS, Statistics
from descentlab.typing import FloatArray

MAX_INTERVAL_COLUMNS = 1500  # with more, the triangle would take tens of megabytes in the file
MAX_DISTANCE = 0.01  # in standard errors, of any prediction from that of the minimum, for intervals to hold


def model_of_fit(statistics: Statistics) -> Model:
    """The model of least squares, with the errors of these statistics, robust or not."""
    params = statistics.params
    return make_model(statistics, params, _intercept(statistics.regression, params), {"method": "least squares"})


def model_of_descent(
    statistics: Statistics, params: FloatArray, intercept: float | None, distance: float, settings: Mapping[str, Any]
) -> Model:
    """The model of the (p,) parameters that a descent has reached.

    Args:
        statistics: those of the minimum.
        params: the parameters, in the data's units.
        intercept: the prediction at the means of the columns; None: that of the parameters.
        distance: how far a prediction can be from that of the minimum, in its standard errors.
        settings: how it was made.
    """
    regression = statistics.regression
    moments, d = column_moments(regression), regression.d
    if intercept is None:
        at_centers = _sum(*params[d:], *(params[:d] * moments.centers))
    else:
        at_centers = _sum(intercept, *(-params[:d] * moments.offsets))
    is_near = distance <= MAX_DISTANCE
    reason = None if is_near else message("model.not_at_minimum", distance=min(distance, sys.float_info.max))
    return make_model(statistics, params, at_centers, {"method": "descent", **settings}, reason)


def make_model(
    statistics: Statistics,
    params: FloatArray,
    intercept: float,
    fitted: Mapping[str, Any],
    not_at_minimum: Message | None = None,
) -> Model:
    """A model with the statistics of the minimum, unless the parameters are elsewhere.

    Raises:
        SettingError: the parameters are not finite, or the target is not that of the formula.
    """
    if not (np.isfinite(params).all() and math.isfinite(intercept)):
        raise SettingError("model_not_finite")
    regression, at_minimum = statistics.regression, not_at_minimum is None
    design = _design(regression)
    reason = _no_interval_reason(statistics) or not_at_minimum
    return Model(
        design=design,
        parameters=statistics.parameters,
        params=np.array(params, dtype=np.float64),
        intercept=float(intercept),
        moments=column_moments(regression),
        variance=_variance(statistics) if reason is None else None,
        no_interval=reason,
        statistics=_numbers(statistics) if at_minimum else {},
        standard_errors=statistics.standard_errors if at_minimum else np.full(len(params), math.nan),
        inputs=describe_inputs(regression, design),
        data=_fitted_data(regression),
        fitted=dict(fitted),
        version=sys.modules["descentlab"].__version__,  # importing it from here would be a circle
    )


def _design(regression: Regression) -> Design:
    """The design of the features; raises SettingError if the target is another than that of the formula."""
    features, target = regression.factor.columns[:-1], regression.factor.columns[-1]
    if regression.design is None:
        return with_categories(features, (), target, regression.bias)
    if regression.design.target_name != target or not {*features} <= {*regression.design.columns}:
        raise SettingError("model_of_other_target", target=target, formula=regression.design.formula)
    return regression.design


def column_moments(regression: Regression) -> ColumnMoments:
    """Where the columns lie; centers are numbers near the values of the columns that are far from 0."""
    factor, d, design = regression.factor, regression.d, _design(regression)
    is_numeric = np.array([name not in design.category_columns for name in factor.columns[:-1]])
    centers = np.where(is_numeric & regression.bias, regression.fit.origins[:d], 0.0)
    relative = factor.R_centered[0, 1:].astype(np.longdouble) / factor.R_centered[0, 0]
    offsets = (factor.origin[:d] - centers + relative[:d]).astype(np.float64)
    return ColumnMoments(centers, offsets, factor.std[:d].copy())


def _intercept(regression: Regression, params: FloatArray) -> float:
    """The prediction of least squares at the centers, from the means: the bias itself has fewer digits."""
    moments, d = column_moments(regression), regression.d
    if not moments.centers.any():
        return float(params[d]) if regression.bias else 0.0
    factor = regression.factor
    mean_target = [float(factor.origin[d]), float(factor.R_centered[0, d + 1] / factor.R_centered[0, 0])]
    return _sum(*mean_target, *(-params[:d] * moments.offsets))


def _sum(*values: float) -> float:
    """In extended precision, rounded once; infinite beyond the range of float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sum(np.array(values, dtype=np.longdouble)))


def _no_interval_reason(statistics: Statistics) -> Message | None:
    if statistics.regression.is_penalized:
        return message("model.ridge")
    if not statistics.df_residual > 0:
        return message("model.no_freedom")
    if math.isnan(statistics.sigma):
        return message("model.exact_fit")
    if statistics.regression.d > MAX_INTERVAL_COLUMNS:
        return message("model.many_columns", columns=statistics.regression.d, most=MAX_INTERVAL_COLUMNS)
    return None


def _variance(statistics: Statistics) -> PredictionVariance:
    regression, d = statistics.regression, statistics.regression.d
    root = statistics.covariance_root.root
    constant = root[d] + regression.factor.means[:d] @ root[:d] if regression.bias else np.zeros(root.shape[1])
    if regression.bias and statistics.robust_kind is None:
        constant = np.append(np.zeros(root.shape[1] - 1), root[d, -1])  # exactly: only the mean's own entry is left
    return PredictionVariance(make_triangle(root[:d], constant), regression.fit.null_space[:d])


def _numbers(statistics: Statistics) -> dict[str, float | None]:
    names = ("n_observations", "df_model", "df_residual", *SCALARS)
    numbers = {name: float(getattr(statistics, name)) for name in names}
    numbers |= {"rank": float(statistics.regression.rank)}
    numbers |= {"residual_sum": statistics.residual_sum.value, "residual_sum_error": statistics.residual_sum.error}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _fitted_data(regression: Regression) -> FittedData:
    factor = regression.factor
    return FittedData(
        name=regression.data_name,
        checksum=checksum(factor.to_arrays()),
        rows=factor.rows,
        weight=factor.weight,
        weights_are=regression.weights_are,
        target_mean=float(factor.means[-1]),
        target_spread=float(factor.std[-1]),
    )


def describe_inputs(regression: Regression, design: Design) -> dict[str, dict[str, str]]:
    """How the columns of the data are read: their kind, and how numbers are written where that changes them."""
    formats = regression.selection.data_source.column_formats if regression.selection else {}
    dates = {call.arguments[0].name for call in design.date_calls if isinstance(call.arguments[0], Name)}
    described = {}
    for name in input_columns(design):
        kind = "date" if name in dates else "number" if name in design.number_columns else "category"
        described[name] = {"kind": kind} | (_describe_format(formats.get(name)) if kind == "number" else {})
    return described


def _describe_format(number_format: Any) -> dict[str, str]:
    if isinstance(number_format, FlagFormat):
        return {"one": number_format.true, "zero": number_format.false}
    if isinstance(number_format, NumberFormat) and (number_format.percent or number_format.currency):
        return {"sign": "%" if number_format.percent else number_format.currency}
    return {}
