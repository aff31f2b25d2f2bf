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
from descentlab.errors import DivergenceError, SettingError, finite_number, one_of, whole_number
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import Gathered
from descentlab.messages import counted, sentence
from descentlab.model_selection.cross_validate import cross_validate, others
from descentlab.model_selection.grid import FRACTIONS
from descentlab.model_selection.splitting import deal, fold_of
from descentlab.problem.problem import Problem
from descentlab.sklearn.input_data import Rows, seed_of
from descentlab.sklearn.regressor import DescentRegressor, predicted
from descentlab.typing import Array, Integers

RIDGES = (0.0, 1e-6, 1e-4, 1e-2, 1.0)  # of standardized columns, beside the mean squared error


class DescentRegressorCV(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """:class:`DescentRegressor` with the learning rate, epochs and ridge that predict held-out folds best.

    The rows are read once: each fold is a triangle, every training set a merge of the others, and each rate, ridge and
    number of epochs on it a closed form (:func:`descentlab.cross_validate`). Then all rows are fitted so.

    Args:
        lr: rates to try. None: 0.99, 0.9, 0.6, 0.3, 0.1 and 0.03 of the smallest bound of any fold at any ridge.
        ridge: penalties to try; see :class:`DescentRegressor`.
        epochs: the most epochs tried.
        cv: how many folds; or a splitter of scikit-learn's, or its splits, whose test sets hold every row once, as
            those of ``KFold`` do.
        rule: ``"best"``, the least mean cost; or ``"simplest"``, within one standard error of it the largest ridge and
            the fewest epochs (Breiman et al., *Classification and Regression Trees*, 1984).
        fit_intercept, standardize, momentum, nesterov: as in :class:`DescentRegressor`, without ``"auto"``.
        random_state: of the folds.

    Attributes:
        lr_, ridge_, epochs_: what was chosen.
        cross_validation_: the :class:`descentlab.CrossValidation`: the cost of every rate, ridge and number of epochs.
        cv_results_: the same as columns, one row a rate and ridge at their best number of epochs.
        coef_, intercept_, history_, ending_, lr_bound_, n_iter_, factor_: as in :class:`DescentRegressor`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 3)) * [1, 100, 0.01]
    >>> model = DescentRegressorCV().fit(X, X @ [1, 0.02, 50] + rng.standard_normal(60))
    >>> model.epochs_ > 0, model.ridge_ in (0.0, 1e-6, 1e-4, 1e-2, 1.0)
    (True, True)
    """

    def __init__(
        self,
        lr: float | Sequence[float] | None = None,
        *,
        ridge: float | Sequence[float] = RIDGES,
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
        one_of("rule", self.rule, ("best", "simplest"))
        how = self._stepping()
        rows = Rows.given(self, X, column_or_1d(y, warn=True), sample_weight, reset=True)
        seed = seed_of(self.random_state)
        factors = self._folds(rows, seed)
        whole = reduce(Factor.merge, factors)
        lr = self._rates([*others(factors), whole], how) if self.lr is None else self.lr
        bias = bool(self.fit_intercept)
        found = cross_validate(factors, lr=lr, ridge=self.ridge, epochs=self.epochs, bias=bias, **how)
        chosen = found.best if self.rule == "best" else found.simplest
        if chosen is None:
            raise DivergenceError("estimator_all_diverge", lr=found.lr.tolist(), bound=float(found.lr_bound.min()))
        epochs = max(1, chosen.updates)
        best = DescentRegressor(chosen.lr, epochs=epochs, ridge=chosen.ridge, fit_intercept=self.fit_intercept, **how)
        self.regressor_ = best._settle(rows, whole)
        self.cross_validation_, self.cv_results_ = found, _results(found)
        if found.unfinished:
            said = sentence("folds.last", epochs=int(found.updates[-1])).text()
            warnings.warn(said, ConvergenceWarning, stacklevel=2)
        self.lr_, self.ridge_, self.epochs_ = chosen.lr, chosen.ridge, epochs
        for name in ("coef_", "intercept_", "history_", "ending_", "lr_bound_", "n_iter_", "factor_"):
            setattr(self, name, getattr(best, name))
        return self

    def predict(self, X: Any) -> Array:
        """(n,) predictions ``X w + b``; see :meth:`DescentRegressor.predict`."""
        check_is_fitted(self)
        return predicted(self, X)

    def diagnose(self) -> Diagnosis:
        """What the doctor says of the descent that was chosen."""
        check_is_fitted(self)
        return self.regressor_.diagnose()

    def _stepping(self) -> dict[str, Any]:
        """How each trial steps; raises SettingError, before any row is read, where a setting cannot be."""
        if not isinstance(self.standardize, bool | np.bool_):
            raise SettingError("estimator_standardize_folds", given=repr(self.standardize))
        descent = Descent(lr=1.0, epochs=self.epochs, momentum=self.momentum, nesterov=self.nesterov)
        self._ridges()
        return {"momentum": descent.momentum, "nesterov": self.nesterov, "standardize": bool(self.standardize)}

    def _ridges(self) -> list[float]:
        given = (self.ridge,) if np.ndim(self.ridge) == 0 else self.ridge
        return [finite_number("ridge", each, least=0.0) for each in given]  # type: ignore[union-attr]

    def _rates(self, training: list[Factor], how: dict[str, Any]) -> Array:
        """Rates that no training set, and not all rows together, diverge at."""
        stepping: dict[str, Any] = {"momentum": self.momentum, "nesterov": self.nesterov}
        bound = np.inf
        for factor in training:
            for ridge in self._ridges():
                problem = Problem(factor, bias=bool(self.fit_intercept), ridge=ridge, standardize=how["standardize"])
                bound = min(bound, problem.spectrum().lr_bound(**stepping))
        return np.array(FRACTIONS) * (bound if 0 < bound < np.inf else 1.0)

    def _folds(self, rows: Rows, seed: int) -> list[Factor]:
        """The factor of each fold, in one pass."""
        n = len(rows.Y)
        if not isinstance(self.cv, numbers.Number):
            goes, k = _by_splitter(check_cv(self.cv), rows)
        else:
            k = whole_number("cv", self.cv, 2)
            if k > n:
                raise SettingError("estimator_folds", folds=k, rows=counted(n, "row"), samples=n)
            goes = fold_of(0, n, k, seed)
        gathered = [Gathered(rows.columns) for _ in range(k)]
        for start in range(0, n, BLOCK_ROWS):
            values, weights = rows.block(start, start + BLOCK_ROWS)
            with rows.named():
                deal(values, weights, goes[start : start + BLOCK_ROWS], gathered)
        return [each.factor() for each in gathered]


def _by_splitter(splitter: Any, rows: Rows) -> tuple[Integers, int]:
    """(n,) the fold of each row, by a splitter's test sets, and how many there are."""
    goes = np.full(len(rows.Y), -1)
    count = 0
    for _, test in splitter.split(rows.X, rows.Y[:, 0]):
        if (goes[test] >= 0).any():
            raise SettingError("estimator_splitter", splitter=repr(splitter))
        goes[test] = count
        count += 1
    if (goes < 0).any():
        raise SettingError("estimator_splitter", splitter=repr(splitter))
    return goes, count


def _results(found: Any) -> dict[str, Array]:
    """One row a rate and ridge, at the number of epochs that is best for them."""
    at = np.argmin(found.cost, axis=2)
    lr, ridge = np.meshgrid(found.lr, found.ridge, indexing="ij")

    def best(values: Array) -> Array:
        taken: Array = np.take_along_axis(values, at[..., None], axis=2)[..., 0].ravel()
        return taken

    return {
        "param_lr": lr.ravel(),
        "param_ridge": ridge.ravel(),
        "param_epochs": found.updates[at].ravel(),
        "mean_cost": best(found.cost),
        "standard_error": best(found.error),
    }
