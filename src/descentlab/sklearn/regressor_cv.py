"""The rate, the epochs and the ridge by folds, from one pass over the rows."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted, column_or_1d

from descentlab.data.source import BLOCK_ROWS
from descentlab.descent.descent import Descent
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.errors import DivergenceError, SettingError, check_choice, check_float, check_int
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import IncrementalFactor
from descentlab.messages import message, pluralize
from descentlab.model_selection.cross_validate import cross_validate, merge_leaving_one_out
from descentlab.model_selection.grid import LR_FRACTIONS
from descentlab.model_selection.splitting import add_to_folds, assign_folds
from descentlab.problem.problem import Problem
from descentlab.sklearn.input_data import InputData, draw_seed
from descentlab.sklearn.regressor import DescentRegressor, predict_linear
from descentlab.typing import FloatArray, IntArray

DEFAULT_RIDGES = (0.0, 1e-6, 1e-4, 1e-2, 1.0)  # added to the mean squared error of standardized columns


class DescentRegressorCV(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """:class:`DescentRegressor` with the learning rate, ridge and number of epochs of the least cross-validated cost.

    For rates lr, ridges and numbers of epochs t, the model chooses the least

        C(lr, ridge, t) = mean over folds k of the mean of (x . w_k + b_k - y)^2 over the rows of fold k

    where (w_k, b_k) are the parameters after t epochs on the rows of the other folds. It then fits all rows.

    The rows are read once: each fold is a triangular factor, every training set is a merge of the others, and every
    point of the grid follows in closed form (:func:`descentlab.cross_validate`).

    Args:
        lr: rates to try. None: 0.99, 0.9, 0.6, 0.3, 0.1 and 0.03 of the smallest bound over folds and ridges.
        ridge: penalties to try; see :class:`DescentRegressor`.
        epochs: the most epochs tried.
        cv: the number of folds; or a scikit-learn splitter, or its splits, whose test sets contain every row once,
            such as ``KFold``.
        rule: ``"best"``, the least mean cost; or ``"simplest"``, within one standard error of it the largest ridge and
            the fewest epochs (Breiman et al., *Classification and Regression Trees*, 1984).
        fit_intercept, standardize, momentum, nesterov: as in :class:`DescentRegressor`, without ``"auto"``.
        random_state: for the folds.

    Attributes:
        lr_, ridge_, epochs_: the chosen values.
        cross_validation_: the :class:`descentlab.CrossValidation`: the cost of every rate, ridge and number of epochs.
        cv_results_: the same as columns, one row for each rate and ridge at their best number of epochs.
        coef_, intercept_, history_, ending_, lr_bound_, n_iter_, factor_: as in :class:`DescentRegressor`.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((60, 3)) * [1, 100, 0.01]
        >>> model = DescentRegressorCV(random_state=0).fit(X, X @ [1, 0.02, 50] + rng.standard_normal(60))
        >>> results = model.cv_results_
        >>> best = results["mean_cost"].argmin()
        >>> (model.lr_, model.ridge_) == (results["param_lr"][best], results["param_ridge"][best])
        True
    """

    def __init__(
        self,
        lr: float | Sequence[float] | None = None,
        *,
        ridge: float | Sequence[float] = DEFAULT_RIDGES,
        epochs: int = 1000,
        cv: Any = 5,
        rule: str = "best",
        fit_intercept: bool = True,
        standardize: bool = True,
        momentum: float = 0.0,
        nesterov: bool = False,
        random_state: Any = None,
    ) -> None:
        self.lr = lr
        self.ridge = ridge
        self.epochs = epochs
        self.cv = cv
        self.rule = rule
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.momentum = momentum
        self.nesterov = nesterov
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DescentRegressorCV:
        """Choose by folds, then fit all (n, d) rows, dense or sparse, to (n,) targets; a weight acts as repetition.

        Raises:
            ValueError: the rows cannot be used.
            SettingError: a setting is outside what it may be; test sets that overlap or leave rows out.
            DivergenceError: every rate diverges.
        """
        check_choice("rule", self.rule, ("best", "simplest"))
        descent_options = self._descent_options()
        rows = InputData.from_fit_arguments(self, X, column_or_1d(y, warn=True), sample_weight, reset=True)
        seed = draw_seed(self.random_state)
        factors = self._fold_factors(rows, seed)
        total_factor = reduce(Factor.merge, factors)
        lr = (
            self._candidate_rates([*merge_leaving_one_out(factors), total_factor], descent_options)
            if self.lr is None
            else self.lr
        )
        bias = bool(self.fit_intercept)
        cross_validation = cross_validate(
            factors, lr=lr, ridge=self.ridge, epochs=self.epochs, bias=bias, **descent_options
        )
        chosen = cross_validation.best if self.rule == "best" else cross_validation.simplest
        if chosen is None:
            raise DivergenceError(
                "estimator_all_diverge", lr=cross_validation.lr.tolist(), bound=float(cross_validation.lr_bound.min())
            )
        epochs = max(1, chosen.updates)
        regressor = DescentRegressor(
            chosen.lr, epochs=epochs, ridge=chosen.ridge, fit_intercept=self.fit_intercept, **descent_options
        )
        self.regressor_ = regressor._fit_targets(rows, total_factor)
        self.cross_validation_, self.cv_results_ = cross_validation, _make_cv_results(cross_validation)
        if cross_validation.hit_epoch_limit:
            warning_text = message("folds.last", epochs=int(cross_validation.updates[-1])).text()
            warnings.warn(warning_text, ConvergenceWarning, stacklevel=2)
        self.lr_, self.ridge_, self.epochs_ = chosen.lr, chosen.ridge, epochs
        for name in ("coef_", "intercept_", "history_", "ending_", "lr_bound_", "n_iter_", "factor_"):
            setattr(self, name, getattr(regressor, name))
        return self

    def predict(self, X: Any) -> FloatArray:
        """(n,) predictions ``X w + b``; see :meth:`DescentRegressor.predict`."""
        check_is_fitted(self)
        return predict_linear(self, X)

    def diagnose(self) -> Diagnosis:
        """The diagnosis of the chosen descent."""
        check_is_fitted(self)
        return self.regressor_.diagnose()

    def _descent_options(self) -> dict[str, Any]:
        """The settings of each trial; raises SettingError before any row is read."""
        if not isinstance(self.standardize, bool | np.bool_):
            raise SettingError("estimator_standardize_folds", given=repr(self.standardize))
        descent = Descent(lr=1.0, epochs=self.epochs, momentum=self.momentum, nesterov=self.nesterov)
        self._candidate_ridges()
        return {"momentum": descent.momentum, "nesterov": self.nesterov, "standardize": bool(self.standardize)}

    def _candidate_ridges(self) -> list[float]:
        ridges = (self.ridge,) if np.ndim(self.ridge) == 0 else self.ridge
        return [check_float("ridge", each, min_value=0.0) for each in ridges]  # type: ignore[union-attr]

    def _candidate_rates(self, training_factors: list[Factor], descent_options: dict[str, Any]) -> FloatArray:
        """Rates that converge on every training set and on all rows."""
        momentum_settings: dict[str, Any] = {"momentum": self.momentum, "nesterov": self.nesterov}
        lr_bound = np.inf
        for factor in training_factors:
            for ridge in self._candidate_ridges():
                problem = Problem(
                    factor, bias=bool(self.fit_intercept), ridge=ridge, standardize=descent_options["standardize"]
                )
                lr_bound = min(lr_bound, problem.spectrum().lr_bound(**momentum_settings))
        return np.array(LR_FRACTIONS) * (lr_bound if 0 < lr_bound < np.inf else 1.0)

    def _fold_factors(self, rows: InputData, seed: int) -> list[Factor]:
        """The factor of each fold, in one pass."""
        n = len(rows.Y)
        if not isinstance(self.cv, numbers.Number):
            fold_of_row, k = _folds_from_splitter(check_cv(self.cv), rows)
        else:
            k = check_int("cv", self.cv, 2)
            if k > n:
                raise SettingError("estimator_folds", folds=k, rows=pluralize(n, "row"), samples=n)
            fold_of_row = assign_folds(0, n, k, seed)
        incremental_factors = [IncrementalFactor(rows.columns) for _ in range(k)]
        for start in range(0, n, BLOCK_ROWS):
            values, weights = rows.get_block(start, start + BLOCK_ROWS)
            with rows.translate_errors():
                add_to_folds(values, weights, fold_of_row[start : start + BLOCK_ROWS], incremental_factors)
        return [each.result() for each in incremental_factors]


def _folds_from_splitter(splitter: Any, rows: InputData) -> tuple[IntArray, int]:
    """(n,) the fold of each row by the splitter's test sets, and the number of folds."""
    fold_of_row = np.full(len(rows.Y), -1)
    n_folds = 0
    for _, test in splitter.split(rows.X, rows.Y[:, 0]):
        if (fold_of_row[test] >= 0).any():
            raise SettingError("estimator_splitter", splitter=repr(splitter))
        fold_of_row[test] = n_folds
        n_folds += 1
    if (fold_of_row < 0).any():
        raise SettingError("estimator_splitter", splitter=repr(splitter))
    return fold_of_row, n_folds


def _make_cv_results(cross_validation: Any) -> dict[str, FloatArray]:
    """One row for each rate and ridge, at their best number of epochs."""
    best_index = np.argmin(cross_validation.cost, axis=2)
    lr, ridge = np.meshgrid(cross_validation.lr, cross_validation.ridge, indexing="ij")

    def best(values: FloatArray) -> FloatArray:
        selected: FloatArray = np.take_along_axis(values, best_index[..., None], axis=2)[..., 0].ravel()
        return selected

    return {
        "param_lr": lr.ravel(),
        "param_ridge": ridge.ravel(),
        "param_epochs": cross_validation.updates[best_index].ravel(),
        "mean_cost": best(cross_validation.cost),
        "standard_error": best(cross_validation.error),
    }
