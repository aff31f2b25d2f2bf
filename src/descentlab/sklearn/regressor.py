"""Linear regression by gradient descent, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from copy import copy
from functools import update_wrapper
from types import MethodType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.errors import AbsentMethodError, SettingError, check_float, check_int
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import IncrementalFactor
from descentlab.messages import pluralize
from descentlab.model.model import Model
from descentlab.problem.problem import Problem
from descentlab.run.ending import Reason
from descentlab.sklearn.advice import convergence_advice
from descentlab.sklearn.fit_result import FitResult, model_of_result
from descentlab.sklearn.fitting import center_if_undetermined, fit_target, scaling_options, should_average
from descentlab.sklearn.history import make_history
from descentlab.sklearn.input_data import InputData, check_no_datetimes, draw_seed
from descentlab.typing import FloatArray

PREDICT_CHUNK_ROWS = 1 << 16  # float32 rows that are predicted at once, in float64


class _PartialFitOnly:
    """A method that is absent where new rows cannot be merged into earlier ones; its AttributeError has the reason."""

    def __init__(self, method: Any) -> None:
        self.method = method
        update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, estimator: DescentRegressor | None, owner: type) -> Any:
        if estimator is None:
            return self.method
        if estimator.early_stopping:
            raise AbsentMethodError("estimator_partial")
        if _needs_rows(estimator):
            raise AbsentMethodError("estimator_partial_batches")
        return MethodType(self.method, estimator)


def _needs_rows(estimator: DescentRegressor) -> bool:
    """Whether the descent needs the rows, because it has no closed form."""
    return estimator.batch_size is not None or should_average(estimator)


class DescentRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares by gradient descent, with an optional ridge penalty, for any number of rows.

    The model minimizes

        J(w, b) = sum_i v_i (x_i . w + b - y_i)^2 / sum_i v_i + ridge |w|^2

    over the coefficients w (d,) and the intercept b, for rows x_i (d,), targets y_i and weights v_i (1 unless given).
    Each epoch makes the update w <- w - lr g, where g is the gradient of J in the convention ``reduction``.

    One pass over the rows builds a triangular factor of them (:class:`descentlab.Factor`), from which every epoch of
    full-batch descent follows in closed form. Therefore the number of epochs costs nothing, ``partial_fit`` gives the
    result of one fit on all rows, and a rate above the stability bound is refused before the first update.

    **Preprocessing.** With ``lr="auto"`` and ``standardize="auto"`` the columns are standardized: centered if there is
    an intercept, and divided by their standard deviations. The learning rate and momentum are the best ones for the
    resulting eigenvalues (B. Polyak, 1964), and the descent continues until only rounding errors remain; the reported
    point is then the minimum, with the digits of :meth:`descentlab.Problem.solve`. ``history_.inside`` has the details.
    ``coef_`` and ``intercept_`` are always in the units of the data. The ridge is on the coefficients in these units,
    the same as scikit-learn's ``Ridge(alpha=n * ridge)``; columns are therefore only centered if there is one. With
    ``standardize=True`` the ridge is on the weights of the standardized columns.

    **Columns that do not determine every coefficient**, as when there are more of them than rows. The minimum is then
    not one point, and descent from 0 ends at the one of least norm in the columns it descends on. By default, these are
    then only centered, so that the coefficients are those of ``LinearRegression``: of least norm in the data's units.
    With ``standardize=True``, early stopping, a number of epochs or mini-batches they are not; ``history_`` says so.

    Args:
        lr: the learning rate, in the columns' own units unless ``standardize`` is True; ``"auto"`` needs no tuning.
        epochs: passes over the data. None: until only rounding errors remain, at most 10^18; 100 with
            ``batch_size`` or a schedule.
        fit_intercept: whether the hypothesis has a constant term.
        ridge: the penalty on ``|w|^2``, added to the *mean* squared error; the intercept is not penalized.
        standardize: descend on standardized columns; ``"auto"``: if ``lr`` is ``"auto"`` and ``ridge`` is 0.
        reduction: the convention of the gradient: ``mean``, ``half_mean``, ``sum``, ``half_sum``.
        momentum, dampening, nesterov, weight_decay: as in ``torch.optim.SGD``; ``momentum="auto"`` is the best
            momentum if the rate is automatic, else 0.
        schedule: the factor of lr by epoch, as in :class:`descentlab.Descent`, such as ``"cosine:100"``.
        batch_size: rows a step; None is all rows. Mini-batches are compiled where numba is installed (extra ``fast``).
            With weights, the mean over a batch is its sum divided by the mean weight of a batch.
        shuffle: whether each epoch draws a new order of rows for its mini-batches.
        average: average the iterates from this epoch on (Polyak and Ruppert); True from the middle on; ``"auto"``
            does so for mini-batches at an automatic rate.
        early_stopping: hold out ``validation_fraction`` of the rows and keep the parameters of the epoch at which their
            cost is least, of all epochs.
        warm_start: begin at the coefficients of the previous fit, of the same columns, instead of at 0. Momentum begins
            with velocity 0 in each fit, so that two fits of 50 epochs are not one of 100 with it.
        random_state: for the held-out rows and the mini-batches: None, a seed, a ``RandomState`` or a ``Generator``.

    Attributes:
        coef_: (d,), or (m, d) for m targets given in two dimensions. intercept_: a number, or (m,).
        history_: a :class:`FitHistory`: epoch by epoch, before each update, with the preprocessing.
        ending_: an :class:`descentlab.Ending`: why the descent ended; a list for several targets.
        lr_, momentum_: the values used; lr_bound_: the learning rate above which full-batch descent diverges on the
            preprocessed columns; arrays if several targets differ.
        n_iter_: epochs of updates made.
        factor_: the :class:`descentlab.Factor` of all rows fitted, features then targets.
        validation_: with early stopping, the :class:`descentlab.Validation`; a list for several targets.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Examples:
        >>> import numpy as np
        >>> X = np.array([[1.0, 2000], [2, 1000], [3, 4000], [4, 2500]])
        >>> model = DescentRegressor().fit(X, X @ [2, 0.001] + 5)
        >>> model.coef_.round(9).tolist(), round(model.intercept_, 9)
        ([2.0, 0.001], 5.0)
        >>> model.ending_.reason.value, model.lr_ < model.lr_bound_
        ('converged', True)
    """

    def __init__(
        self,
        lr: float | str = "auto",
        *,
        epochs: int | None = None,
        fit_intercept: bool = True,
        ridge: float = 0.0,
        standardize: bool | str = "auto",
        reduction: str = "mean",
        momentum: float | str = "auto",
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        schedule: Any = None,
        batch_size: int | None = None,
        shuffle: bool = True,
        average: bool | int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.lr = lr
        self.epochs = epochs
        self.fit_intercept = fit_intercept
        self.ridge = ridge
        self.standardize = standardize
        self.reduction = reduction
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.average = average
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DescentRegressor:
        """Fit (n, d) rows, dense or sparse, and (n,) or (n, m) targets; a weight acts as repetition.

        Raises:
            ValueError: the rows cannot be used.
            DivergenceError: these settings diverge; the message has the bound, the column and settings that converge.
        """
        rows = InputData.from_fit_arguments(self, X, y, sample_weight, reset=True)
        seed = draw_seed(self.random_state)
        held_out_factor = None
        training, held_out_rows = self._split_held_out(rows, seed) if self.early_stopping else (rows, None)
        incremental_factor = IncrementalFactor(rows.columns)
        training.add_to(incremental_factor)
        factor = incremental_factor.result()
        if held_out_rows is not None:
            held_out_factor = IncrementalFactor(rows.columns)
            held_out_rows.add_to(held_out_factor)
            held_out_rows.add_to(incremental_factor)  # where partial_fit goes on later, it is on all rows
        training = (
            training.with_positive_weight() if _needs_rows(self) else training
        )  # a row of weight 0 must not fill a batch
        self._fit_targets(training, factor, None if held_out_factor is None else held_out_factor.result(), seed)
        self._incremental_factor = incremental_factor
        self._warn_if_not_converged()
        return self

    @_PartialFitOnly
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> DescentRegressor:
        """Fit these rows and all earlier ones: the same bits as one ``fit`` on all of them, however they are split.

        Not available with ``batch_size``, ``average`` or ``early_stopping``, which need the earlier rows.
        """
        previous = getattr(self, "_incremental_factor", None)
        rows = InputData.from_fit_arguments(self, X, y, sample_weight, reset=previous is None)
        incremental_factor = IncrementalFactor(rows.columns) if previous is None else copy(previous)
        if incremental_factor.columns != rows.columns:
            n_targets_before = len(incremental_factor.columns) - len(rows.features)
            raise SettingError("estimator_partial_targets", given=len(rows.targets), known=n_targets_before)
        rows.add_to(incremental_factor)
        self._fit_targets(rows, incremental_factor.result(), None, 0)
        self._incremental_factor = incremental_factor
        self._warn_if_not_converged()
        return self

    def predict(self, X: Any) -> FloatArray:
        """(n,) or (n, m) predictions ``X w + b``, in the type of X; computed in float64."""
        check_is_fitted(self)
        return predict_linear(self, X)

    def to_model(self, target: int = 0) -> Model:
        """The :class:`descentlab.Model` of one target: it can be saved, and predicts from files and tables by name.

        Its intervals and statistics are those of least squares, if this fit is at the minimum of all rows.
        """
        check_is_fitted(self)
        if not hasattr(self, "_results"):
            raise SettingError("estimator_from_model")
        if check_int("target", target, 0) >= len(self._results):
            raise SettingError("estimator_target", given=target, count=len(self._results))
        return model_of_result(self._results[target])

    @classmethod
    def from_model(cls, model: Model, **settings: Any) -> DescentRegressor:
        """An estimator that predicts with the coefficients of a model whose columns are numbers as they are.

        With ``warm_start=True`` in the settings, ``fit`` begins at them.

        Raises:
            SettingError: the model has categories or functions of columns, which an estimator does not compute.

        >>> import descentlab as dl
        >>> model = dl.Problem([[1.0, 5], [2, 3], [4, 4]], [1.0, 2, 4]).solve().model
        >>> DescentRegressor.from_model(model).predict([[3, 4]]).round(9)
        array([3.])
        """
        if model.input_columns != model.features:
            raise SettingError("estimator_of_formula", formula=model.design.formula)
        estimator = cls(fit_intercept=model.has_bias, **settings)
        d = len(model.features)
        estimator.coef_ = model.params[:d].copy()
        estimator.intercept_ = float(model.params[d]) if model.has_bias else 0.0
        estimator.n_features_in_ = d
        return estimator

    def diagnose(self, target: int = 0) -> Diagnosis:
        """The diagnosis of this fit's descent, for one target; see :func:`descentlab.diagnose`."""
        check_is_fitted(self)
        n_targets = len(self._results)
        if check_int("target", target, 0) >= n_targets:
            raise SettingError("estimator_target", given=target, count=n_targets)
        result = self._results[target]
        return diagnose(result.problem, result.descent)  # type: ignore[return-value]

    def _split_held_out(self, rows: InputData, seed: int) -> tuple[InputData, InputData]:
        n = len(rows.Y)
        fraction = check_float("validation_fraction", self.validation_fraction, 0.0, 1.0)
        n_held_out = round(fraction * n)
        if not 0 < n_held_out < n:
            counts = {"training": n - n_held_out, "held": n_held_out, "part": fraction}
            raise SettingError("estimator_held_out", rows=pluralize(n, "row"), samples=n, **counts)
        order = np.random.default_rng(seed).permutation(n)
        return rows.select(np.sort(order[n_held_out:])), rows.select(np.sort(order[:n_held_out]))

    def _make_problem(self, factor: Factor, rows: InputData, target: int) -> Problem:
        settings: dict[str, Any] = {"bias": bool(self.fit_intercept), "ridge": self.ridge, **scaling_options(self)}
        name = rows.targets[target]
        if not _needs_rows(self):
            problem = Problem(factor, target=name, features=rows.features, **settings)
            return center_if_undetermined(self, problem)
        return Problem(
            rows.to_dense(), rows.Y[:, target], features=rows.features, target=name, weights=rows.weights, **settings
        )

    def _fit_targets(
        self, rows: InputData, factor: Factor, held_out: Factor | None = None, seed: int = 0
    ) -> DescentRegressor:
        """Fit each target on the factor and store the results; an error leaves the previous fit unchanged."""
        self._begins_warm = bool(self.warm_start) and hasattr(self, "coef_")
        results = []
        for j, name in enumerate(rows.targets):
            problem = self._make_problem(factor, rows, j)
            target_held_out = None if held_out is None else held_out.select((*rows.features, name))
            results.append(
                fit_target(self, problem, rows.iter_feature_blocks, target_held_out, self._start_params(rows, j), seed)
            )
        self._results, self.factor_ = results, factor
        self._store_results(rows)
        return self

    def _start_params(self, rows: InputData, target: int) -> FloatArray | None:
        """The start of this fit in the data's units, intercept last; None is 0."""
        if not self._begins_warm:
            return None
        if self.factor_.columns != rows.columns:
            raise SettingError("estimator_warm", before=self.factor_.columns, now=rows.columns)
        coef = np.atleast_2d(self.coef_)[target].astype(np.float64)
        return np.append(coef, np.atleast_1d(self.intercept_)[target]) if self.fit_intercept else coef

    def _store_results(self, rows: InputData) -> None:
        results, d = self._results, len(rows.features)
        dtype = rows.X.dtype
        coef = np.array([one.params[:d] for one in results]).astype(dtype)
        intercept = np.array([_intercept_for(one, part) for one, part in zip(results, coef, strict=True)]).astype(dtype)
        self.coef_ = coef[0] if rows.y_is_1d else coef
        self.intercept_: Any = intercept[0].item() if rows.y_is_1d else intercept
        self.history_ = make_history(results, rows.features, self.reduction, self._begins_warm)
        lr_bounds = np.array([one.theory.lr_bound for one in results])
        learning_rates, momenta = (
            np.array([getattr(one.descent, name) for one in results]) for name in ("lr", "momentum")
        )
        self.lr_, self.momentum_, self.lr_bound_ = (
            _scalar_if_equal(values) for values in (learning_rates, momenta, lr_bounds)
        )
        endings, validations = [one.ending for one in results], [one.validation for one in results]
        self.ending_: Any = endings[0] if rows.y_is_1d else endings
        self.__dict__.pop("validation_", None)
        if self.early_stopping:
            self.validation_: Any = validations[0] if rows.y_is_1d else validations
        self.n_iter_ = max(1, *(one.updates for one in results)) if len(results) > 1 else max(1, results[0].updates)

    def _warn_if_not_converged(self) -> None:
        """Warn about targets whose epochs did not suffice."""
        for result in self._results:
            if result.ending.reason is not Reason.STOPPED and not result.converged:
                verdict, *rest = result.ending.messages
                messages = [verdict, *convergence_advice(self, result), *rest]
                warnings.warn(" ".join(map(str, messages)), ConvergenceWarning, stacklevel=3)


def predict_linear(model: Any, X: Any) -> FloatArray:
    """(n,) or (n, m) predictions ``X w + b`` in the type of X; those of float32 rows are computed in float64."""
    check_no_datetimes(X, "X")
    X = validate_data(model, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
    W = np.asarray(model.coef_, dtype=np.float64).T
    if X.dtype == np.float64:
        return np.asarray(X @ W + model.intercept_)
    predictions = np.empty((X.shape[0], *W.shape[1:]), dtype=np.float32)
    for start in range(0, X.shape[0], PREDICT_CHUNK_ROWS):
        chunk = X[start : start + PREDICT_CHUNK_ROWS].astype(np.float64)
        predictions[start : start + PREDICT_CHUNK_ROWS] = chunk @ W + model.intercept_
    return predictions


def _intercept_for(result: FitResult, coef: FloatArray) -> float:
    """The constant term for the stored coefficients; it corrects for their rounding to float32."""
    if not result.problem.bias:
        return 0.0
    d = len(coef)
    means = result.problem.factor.means[:d]
    return float(result.params[d] + (result.params[:d] - coef.astype(np.float64)) @ means)


def _scalar_if_equal(values: FloatArray) -> Any:
    """A number if all targets have the same, else the array."""
    return values[0].item() if (values == values[0]).all() else values
