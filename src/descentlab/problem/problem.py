"""The problem: rows, columns, a linear hypothesis and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from descentlab.data.columns import check_column, choose_features
from descentlab.data.design.choose import request_design
from descentlab.data.design.design import Design
from descentlab.data.paths import data_label
from descentlab.data.selection import ColumnSelection
from descentlab.dependencies import LazyMethod
from descentlab.descent.reductions import gradient_scale
from descentlab.errors import DataError, SettingError, check_choice, check_float
from descentlab.factor.build import CompressionCallback, build_factor
from descentlab.factor.coded import code_columns
from descentlab.factor.executors.base import Executor
from descentlab.factor.executors.torch_device import executor_for
from descentlab.factor.factor import Factor
from descentlab.factor.file import load_if_factor
from descentlab.messages import Message, format_number, message, pluralize
from descentlab.problem import statistics_text  # noqa: F401 (registers how a summary is presented)
from descentlab.problem.least_squares import Fit, solve_least_squares
from descentlab.problem.minimum import Minimum
from descentlab.problem.quadratic import Quadratic, orthonormalize
from descentlab.problem.regression import WEIGHT_MEANINGS, Regression
from descentlab.problem.scaling import Scaling
from descentlab.problem.spectrum import Spectrum
from descentlab.typing import FloatArray

MIN_MAGNITUDE = 1e-140  # squares of columns below it leave the range of float64


class RowArrays(NamedTuple):
    """The rows themselves: X (n, d), y (n,), and weights (n,) or None."""

    X: FloatArray
    y: FloatArray
    weights: FloatArray | None


class Problem:
    """A linear hypothesis and the rows it is fitted to: n rows, d features, p = d + 1 parameters (d without a bias).

        H(x) = W_1 x_1 + ... + W_d x_d + b
        J(W, b) = sum_i w_i (H(x_i) - y_i)^2 / sum_i w_i + ridge * |W|^2

    The bias is not penalized. Parameters are (p,) vectors: the features' weights in order, then the bias. Every
    public method takes and returns them in the data's units. The rows are read once, into a :class:`Factor`.

    Args:
        X: an (n, d) or (n,) array, list or tensor; anything that exports an Arrow C stream (pandas, polars,
            pyarrow, duckdb); the path of a CSV, Parquet or Arrow file, a pattern, a folder, a list of paths; or a
            :class:`Factor`, or the path of one.
        y: (n,) targets. None if the target is a column: name it with ``target``.
        target: the target's column; with an array ``y``, its name (default: the name of a series, else ``y``).
        features: the columns to use, in order (default: every numeric column but the target and the weights).
            With an array X, names for its columns.
        drop: columns that are not features. Columns that only number the rows are not features unless they are named.
        weights: (n,) non-negative sample weights, or a column's name. A row of weight 2 counts as two rows.
        weights_are: what a weight means for standard errors, not for the minimum: ``"frequency"``, a number of equal
            rows (Stata's fweight), or ``"analytic"``, a precision: ``Var(y_i) = sigma^2 / w_i`` (aweight; WLS).
        bias: whether H has the constant term b.
        ridge: the coefficient of ``|W|^2``. scikit-learn's ``Ridge`` has ``alpha = n * ridge``.
        center: descend on features minus their means. The hypothesis stays the same; needs a bias.
        standardize: descend on features also divided by their standard deviations (without a bias: only
            divided, by their root mean square). With ``ridge``, the penalty is on the scaled weights.
        missing: ``"error"`` refuses missing values; ``"drop"`` leaves their rows out and says how many.
        engine: compresses the rows: :class:`descentlab.Threads` (default: every core), :class:`descentlab.Dask` or
            :class:`descentlab.Gpu`. Threads and Dask give the same bits.
        formula: the hypothesis in the notation of R, such as ``"price ~ size * rooms + C(city) + log(age)"``; or the
            ``design`` of another problem, whose levels and constants then apply.
        categories: columns whose values are levels, or ``"auto"``: the columns of text with at most 50 levels.
        progress: called while rows are read, with the amount done, the total (None if unknown) and the rows so far.
        **csv_options: what is known about CSV files, see ``descentlab.data.csv.options.CsvOptions``: ``delimiter``,
            ``decimal``, ``thousands``, ``encoding``, ``header``, ``skip_rows``, ``skip_footer``, ``comment``, ``na``.

    Attributes:
        features, target: column names.
        data_name: the name of its file, or its type.
        design: how the features are computed from the columns of the data, where there is a formula or a category.
        parameters: (p,) the names of a parameter vector's entries.
        factor: the :class:`Factor` of features and target.
        n, weight: the number of rows used and their total weight.
        notices: messages about rows that were skipped or dropped, and about what was assumed.

    Raises:
        DataError: the rows cannot be used; the message names the fault and a remedy.
        SettingError: a setting is outside its range.

    >>> import numpy as np, descentlab as dl
    >>> X, y = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 4.0])
    >>> problem = dl.Problem(X, y, ridge=0.5)
    >>> W, b = 1.0, -2.0
    >>> bool(np.isclose(problem.cost([W, b]), np.mean((W * X[:, 0] + b - y) ** 2)))
    True
    >>> dJ = [2 * np.mean((W * X[:, 0] + b - y) * X[:, 0]) + 2 * 0.5 * W, 2 * np.mean(W * X[:, 0] + b - y)]
    >>> bool(np.allclose(problem.gradient([W, b]), dJ))
    True
    """

    lab = LazyMethod("descentlab.lab.methods", "lab_of_problem")

    def __init__(
        self,
        X: object,
        y: object = None,
        *,
        target: str | None = None,
        features: Sequence[str] | None = None,
        drop: Sequence[str] | None = None,
        weights: object = None,
        weights_are: str = "frequency",
        bias: bool = True,
        ridge: float = 0.0,
        center: bool = False,
        standardize: bool = False,
        missing: str = "error",
        engine: Executor | None = None,
        progress: CompressionCallback | None = None,
        formula: str | Design | None = None,
        categories: Sequence[str] | str | None = None,
        **csv_options: Any,
    ) -> None:
        self.bias = bool(bias)
        self.weights_are = check_choice("weights_are", weights_are, WEIGHT_MEANINGS)
        self.ridge = check_float("ridge", ridge, min_value=0.0)
        self.center, self.standardize = bool(center or standardize) and self.bias, bool(standardize)
        self.missing = check_choice("missing", missing, ("error", "drop"))
        if center and not bias:
            raise SettingError("center_without_bias")
        self.data_name = data_label(X)
        X = load_if_factor(X)
        if isinstance(X, Factor):
            if y is not None or weights is not None:
                raise SettingError("factor_with_rows")
            if formula is not None or categories is not None:
                raise SettingError("factor_with_formula")
            self._selection, self.design = None, X.design
            X = code_columns(X)
            self.target = check_column(target, X.columns, {}) if target else X.columns[-1]
            self.features = choose_features(features, X.columns, {}, self.target, None, drop)
            self.factor = X.select((*self.features, self.target))
        else:
            request = request_design(formula, categories, self.bias, y)
            selection = ColumnSelection(X, y, target, features, weights, self.missing, csv_options, drop, request)
            engine = engine or executor_for(selection.source)
            factor = build_factor(selection, engine, progress=progress)
            if factor.design is not None:
                selection.keep_design(factor.design)
            self._selection, self.design, self.factor = selection, selection.design, code_columns(factor)
            self.target, self.features = selection.target, selection.features
        self.bias = self.bias and (self.design is None or self.design.bias)
        self.n, self.weight = self.factor.rows, self.factor.weight
        _check_not_vanishing(self.factor)
        bias_name = "bias" if "bias" not in self.features else "(bias)"
        self.parameters = (*self.features, *((bias_name,) if self.bias else ()))
        self.notices = (*(self._selection.notices if self._selection else ()), *self._notices())

    @property
    def has_rows(self) -> bool:
        """Whether the rows can still be read; a problem made from a factor has none."""
        return self._selection is not None

    @property
    def selection(self) -> ColumnSelection:
        """The columns and rows that were fitted, to be read again: :meth:`ColumnSelection.blocks` yields them.

        Raises:
            DataError: this problem was created from a factor, so the rows are gone.
        """
        if self._selection is None:
            raise DataError("rows_gone")
        return self._selection

    def rows(self) -> RowArrays:
        """The rows in memory, for engines that step on them; raises as :attr:`selection` does."""
        return RowArrays(*self.selection.to_arrays())

    def sample_rows(self, max_rows: int) -> RowArrays:
        """At most ``max_rows`` of the rows, evenly spaced in their order; raises as :attr:`selection` does."""
        values, weights = self.selection.sample_rows(max_rows)
        return RowArrays(values[:, :-1], values[:, -1], weights)

    def scaled_rows(self) -> RowArrays:
        """:meth:`rows` with the features centered and scaled as this problem asks for."""
        if not (self.center or self.standardize):
            return self.rows()
        X, y, weights = self.selection.to_arrays(shifted=True)
        shifts = self.selection.shifted_plan.shift_vector((*self.features, self.target))
        d = len(self.features)
        means = self.factor.shift(-shifts).means[:d] if self.center else -shifts[:d]
        return RowArrays((X - means) / self.scaling.scales, y + shifts[d] if shifts[d] else y, weights)

    @cached_property
    def scaling(self) -> Scaling:
        """The map between scaled parameters, which descent acts on, and those in the data's units."""
        d = len(self.features)
        means = self.factor.means[:d] if self.center else np.zeros(d)
        if not self.standardize:
            return Scaling(means, np.ones(d), self.bias)
        scales = np.where(self.factor.is_constant, 0.0, self.factor.std)[:d]
        if not self.bias:
            scales = np.hypot(self.factor.std, self.factor.means)[:d]
        return Scaling(means, np.where(scales > 0, scales, 1.0), self.bias)

    @cached_property
    def quadratic(self) -> Quadratic:
        """The cost as a function of the scaled parameters."""
        d = len(self.features)
        factor = self.factor.center(self.features) if self.center else self.factor
        R = factor.scale(np.append(self.scaling.scales, 1.0)).R
        order = [*range(1, d + 1), *((0,) if self.bias else ())]
        penalty = np.full(len(order), self.ridge)
        penalty[d:] = 0.0
        null_basis = orthonormalize(self.scaling.to_scaled(self.fit.null_space.T).T)
        return Quadratic(R[:, order], R[:, d + 1], self.weight, penalty, null_basis)

    @cached_property
    def fit(self) -> Fit:
        """What least squares finds: target and dependent columns by the independent ones, in the units of the data."""
        fit = solve_least_squares(self.factor, self.bias, self.ridge * self.scaling.scales**2)
        if self.ridge and self.standardize and self._has_uncertain_scale:
            # Whether such a column is constant decides what the ridge on its weight is, and with it everything else.
            return fit._replace(error_bounds=np.full_like(fit.error_bounds, np.inf), cost_error=np.inf)
        return fit

    @property
    def _has_uncertain_scale(self) -> bool:
        """Whether a feature is constant but for the rounding of its values."""
        varies = np.any(self.factor.R_centered[1:, 1:-1] != 0, axis=0)
        return bool(np.any(self.factor.is_constant[:-1] & varies))

    def spectrum(self, reduction: str = "mean") -> Spectrum:
        """Eigenvalues and eigenvectors of the Hessian, and the learning rates they allow; see :class:`Spectrum`."""
        null_directions = self.fit.describe_null_space(self.parameters, self.bias)
        return Spectrum.from_quadratic(self.quadratic, reduction, self.parameters, null_directions)

    def solve(self, start: Sequence[float] | FloatArray | None = None) -> Minimum:
        """The minimum: parameters, cost, rank, flat directions, and how many digits of each parameter are certain.

        Args:
            start: (p,) in the data's units; None is zero. Where several parameter vectors have the least cost, the
                one nearest to it in the scaled parameters is returned: descent from there converges to it.
        """
        return Minimum.from_regression(self.regression, self.scaling, self.parameters, self.scaled_params(start))

    @property
    def regression(self) -> Regression:
        """What the statistics of the fit are computed from."""
        penalty = self.ridge * self.scaling.scales**2
        return Regression(
            self.factor,
            self.fit,
            self.bias,
            penalty,
            self.weights_are,
            self._selection,
            self.design,
            self.data_name,
        )

    def cost(self, params: Sequence[float] | FloatArray) -> float:
        """The mean squared error at parameters in the data's units, without the ridge penalty."""
        return float(self.quadratic.cost(self.scaled_params(params)))

    def gradient(self, params: Sequence[float] | FloatArray, reduction: str = "mean") -> FloatArray:
        """(p,) gradient ``c (X'(Xp - y) + weight ridge W)`` at parameters in the data's units, c by the reduction.

        With ``center`` or ``standardize`` it is the gradient with respect to the scaled parameters.
        """
        return gradient_scale(reduction, self.weight) * self.quadratic.gradient(self.scaled_params(params))

    def scaled_params(self, params: Sequence[float] | FloatArray | None) -> FloatArray:
        """Parameters in the data's units (None: all zero) as scaled parameters.

        Raises:
            SettingError: they are not p finite numbers.
        """
        p = len(self.parameters)
        if params is None:
            return np.zeros(p)
        try:
            vector = np.atleast_1d(np.asarray(params, dtype=np.float64))
        except (TypeError, ValueError) as cause:
            raise SettingError("start_values", given=repr(params)[:60]) from cause
        if vector.shape != (p,):
            raise SettingError(
                "start_length",
                given=pluralize(vector.size, "entry"),
                count=pluralize(p, "parameter"),
                names=self.parameters,
            )
        if not np.isfinite(vector).all():
            raise SettingError("start_values", given=repr(params)[:60])
        return self.scaling.to_scaled(vector)

    def with_changes(self, **changes: Any) -> Problem:
        """A problem on the same factor with some of ``target``, ``features``, ``weights_are``, ``bias``, ``ridge``,
        ``center`` and ``standardize`` changed.
        """
        settings: dict[str, Any] = {
            "target": self.target,
            "features": list(self.features),
            "weights_are": self.weights_are,
            "bias": self.bias,
            "ridge": self.ridge,
            "center": self.center and not self.standardize,
            "standardize": self.standardize,
        }
        changed = Problem(self.factor, **(settings | changes))
        is_of_design = self.design is not None and {*changed.features} <= {*self.features}
        changed.design = self.design if is_of_design and changed.target == self.target else None
        if not self.ridge and {*changes} <= {"center", "standardize"}:
            changed.fit = self.fit  # it does not depend on where the descent takes place
        changed.data_name = self.data_name
        return changed

    @property
    def hypothesis(self) -> str:
        """The hypothesis in one line, such as ``H(x) = Wx + b``."""
        if len(self.features) == 1:
            return "H(x) = Wx + b" if self.bias else "H(x) = Wx"
        return "H(x) = W·x + b" if self.bias else "H(x) = W·x"

    @property
    def title(self) -> Message:
        """The hypothesis, its columns and its rows in one line."""
        features = ", ".join(self.features[:8]) + (", ..." if len(self.features) > 8 else "")
        return message(
            "problem.headline",
            hypothesis=self.hypothesis,
            target=self.target,
            features=features,
            rows=pluralize(self.n, "row"),
        )

    def to_dict(self) -> dict[str, object]:
        """The columns and settings as JSON-ready values."""
        return {
            "target": self.target,
            "features": self.features,
            "parameters": self.parameters,
            "rows": self.n,
            "weight": self.weight,
            "bias": self.bias,
            "ridge": self.ridge,
            "center": self.center,
            "standardize": self.standardize,
        }

    @property
    def summary(self) -> list[str]:
        """The penalty and the scaling in words."""
        parts = [f"ridge {format_number(self.ridge)}"] if self.ridge else []
        return parts + ["standardized" if self.standardize else "centered"] * (self.center or self.standardize)

    def _notices(self) -> list[Message]:
        """Messages about constant columns, too few rows and missing centering."""
        notices = []
        constant = [name for name, same in zip(self.features, self.factor.is_constant[:-1], strict=True) if same]
        if constant and self.bias:
            notices.append(message("notice.constant", names=constant))
        if self.n < len(self.parameters) and not self.ridge:
            notices.append(message("notice.few_rows", rows=pluralize(self.n, "row"), parameters=len(self.parameters)))
        if self.standardize and not self.bias:
            notices.append(message("notice.scaled_only"))
        return notices

    def __repr__(self) -> str:
        if self.design is not None:
            return f"Problem({self.design.formula}; {self.n:,} rows)"
        return (
            f"Problem({self.target} ~ {' + '.join(self.features)}{'' if self.bias else ', no bias'}; {self.n:,} rows)"
        )


def _check_not_vanishing(factor: Factor) -> None:
    """Raise DataError if no row has a positive weight, or if squares of a column underflow in float64."""
    if not factor.weight > 0:
        raise DataError("no_weight" if factor.rows else "no_rows")
    max_magnitudes = np.abs(factor.R).max(axis=0)
    names = [
        name
        for name, size in zip(("(weights)", *factor.columns), max_magnitudes, strict=True)
        if 0 < size < MIN_MAGNITUDE
    ]
    if names:
        raise DataError("vanishing", names=names, smallest=MIN_MAGNITUDE)
