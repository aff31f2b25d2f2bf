"""The rate, the epochs and the ridge by folds, from one pass over the rows."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

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
from descentlab.model_selection.cross_validate import evaluate_grid, merge_leaving_one_out
from descentlab.model_selection.grid import LR_FRACTIONS, ParameterGrid
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

    Each fold is a triangular factor, and every point of the grid follows in closed form
    (:func:`descentlab.cross_validate`). The rows are read once where the test sets contain every row once and each
    training set is all other rows, as with ``KFold`` and ``GroupKFold``; otherwise once for each fold.

    Args:
        lr: rates to try. None: 0.99, 0.9, 0.6, 0.3, 0.1 and 0.03 of the smallest bound over folds and ridges.
        ridge: penalties to try; see :class:`DescentRegressor`.
        epochs: the most epochs tried.
        cv: the number of folds; or any scikit-learn splitter, such as ``GroupKFold`` or ``TimeSeriesSplit``; or an
            iterable of pairs of training and test indices.
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> DescentRegressorCV:
        """Choose by folds, then fit all (n, d) rows, dense or sparse, to (n,) targets; a weight acts as repetition.

        ``groups`` (n,) is given to the splitter: ``GroupKFold`` keeps the rows of a group in one fold.

        Raises:
            ValueError: the rows cannot be used, or the splitter needs groups.
            SettingError: a setting is outside what it may be; groups without a splitter that takes them.
            DivergenceError: every rate diverges.
        """
        check_choice("rule", self.rule, ("best", "simplest"))
        descent_options = self._descent_options()
        rows = InputData.from_fit_arguments(self, X, column_or_1d(y, warn=True), sample_weight, reset=True)
        seed = draw_seed(self.random_state)
        folds = self._make_folds(rows, seed, groups)
        lr = self._candidate_rates([*folds.training, folds.total], descent_options) if self.lr is None else self.lr
        cross_validation = evaluate_grid(
            self._make_grid(lr, descent_options), folds.held_out, training_factors=folds.training
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
        self.regressor_ = regressor._fit_targets(rows, folds.total)
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

    def _make_grid(self, lr: Any, descent_options: dict[str, Any]) -> ParameterGrid:
        options = dict(descent_options)
        problem_options = {
            "bias": bool(self.fit_intercept),
            "center": False,
            "standardize": options.pop("standardize"),
        }
        descent = Descent(lr=1.0, epochs=self.epochs, **options)
        return ParameterGrid.from_arguments(None, descent, lr, self.ridge, problem_options)

    def _make_folds(self, rows: InputData, seed: int, groups: Any) -> _Folds:
        n = len(rows.Y)
        if not isinstance(self.cv, numbers.Number):
            return _folds_from_splits(rows, _split_rows(check_cv(self.cv), rows, groups))
        if groups is not None:
            raise SettingError("estimator_groups", cv=self.cv)
        k = check_int("cv", self.cv, 2)
        if k > n:
            raise SettingError("estimator_folds", folds=k, rows=pluralize(n, "row"), samples=n)
        return _folds_from_partition(rows, assign_folds(0, n, k, seed), k)


class _Folds(NamedTuple):
    """The factors of each fold's held-out rows and of its training rows, and of all rows."""

    held_out: Sequence[Factor]
    training: Sequence[Factor]
    total: Factor


def _folds_from_partition(rows: InputData, fold_of_row: IntArray, k: int) -> _Folds:
    """The folds of rows each of which is held out once, in one pass over the rows."""
    incremental_factors = [IncrementalFactor(rows.columns) for _ in range(k)]
    for start in range(0, len(rows.Y), BLOCK_ROWS):
        values, weights = rows.get_block(start, start + BLOCK_ROWS)
        with rows.translate_errors():
            add_to_folds(values, weights, fold_of_row[start : start + BLOCK_ROWS], incremental_factors)
    factors = [each.result() for each in incremental_factors]
    return _Folds(factors, merge_leaving_one_out(factors), reduce(Factor.merge, factors))


def _split_rows(splitter: Any, rows: InputData, groups: Any) -> list[tuple[IntArray, IntArray]]:
    """The splitter's pairs of training and test indices."""
    try:
        return list(splitter.split(rows.X, rows.Y[:, 0], groups))
    except ValueError as cause:
        if groups is None and "groups" in str(cause):
            raise SettingError("estimator_needs_groups", splitter=repr(splitter)) from cause
        raise


def _folds_from_splits(rows: InputData, splits: Sequence[tuple[IntArray, IntArray]]) -> _Folds:
    """The folds of any pairs of training and test indices."""
    n = len(rows.Y)
    if len(splits) < 2:
        raise SettingError("estimator_one_split", folds=len(splits))
    times_held_out = np.bincount(np.concatenate([test for _, test in splits]), minlength=n)
    if (times_held_out == 1).all() and all(len(train) + len(test) == n for train, test in splits):
        fold_of_row = np.empty(n, dtype=np.int64)
        for j, (_, test) in enumerate(splits):
            fold_of_row[test] = j
        return _folds_from_partition(rows, fold_of_row, len(splits))
    training, held_out = ([_factor_of(rows.select(each[i])) for each in splits] for i in (0, 1))
    return _Folds(held_out, training, _factor_of(rows))


def _factor_of(rows: InputData) -> Factor:
    incremental_factor = IncrementalFactor(rows.columns)
    rows.add_to(incremental_factor)
    return incremental_factor.result()


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
