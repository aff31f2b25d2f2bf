"""Linear regression by gradient descent, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from copy import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.errors import SettingError, finite_number, whole_number
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import Gathered
from descentlab.messages import counted
from descentlab.problem.problem import Problem
from descentlab.run.ending import Reason
from descentlab.sklearn.advice import nearer
from descentlab.sklearn.fitting import Fitted, averages, fitted, moved
from descentlab.sklearn.history import history_of
from descentlab.sklearn.input_data import Rows, refuse_times, seed_of
from descentlab.typing import Array

PREDICTED = 1 << 16  # float32 rows that are predicted at once, in float64


def _mergeable(estimator: DescentRegressor) -> bool:
    """Whether rows can be merged into those before; raises SettingError, with the reason, where they cannot."""
    if estimator.early_stopping:
        raise SettingError("estimator_partial")
    if _walks(estimator):
        raise SettingError("estimator_partial_batches")
    return True


def _walks(estimator: DescentRegressor) -> bool:
    """Whether the rows themselves are walked, for want of a closed form."""
    return estimator.batch_size is not None or averages(estimator)


class DescentRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares by gradient descent, with or without a ridge: right untuned, and loud where it cannot be.

        minimise  J = mean of (X w + b - y)^2 + ridge |w|^2

    One pass over the rows leaves a triangle of them (:class:`descentlab.Factor`), from which every epoch of a
    full-batch descent follows in closed form. So epochs cost nothing, ``partial_fit`` gives what one fit on all rows
    gives, and a rate that diverges is refused with its bound before it does harm.

    **What is done inside.** With ``lr="auto"`` (and ``standardize="auto"``) descent takes place on standardized
    columns: minus their means where there is an intercept, over their deviations, with the learning rate and momentum
    that are best for those curvatures, until float64 can hold no more of any error; what is reported then is the point
    it is bound for, with the digits that :meth:`descentlab.Problem.solve` has. ``history_.inside`` says what was done.
    ``coef_`` and ``intercept_`` are always in the units of the data. A ``ridge`` is on them, too, and the same as
    scikit-learn's ``Ridge(alpha=n * ridge)``, so with one columns only lose their means, unless ``standardize=True`` is
    asked for, which puts it on the weights of the standardized columns.

    Args:
        lr: the learning rate, in the columns' own units unless ``standardize`` is True; ``"auto"`` needs no tuning.
        epochs: passes over the data. None: as many as it takes until nothing changes any more, at most 10^18; with
            ``batch_size`` or a schedule 100.
        fit_intercept: whether the hypothesis has a constant term.
        ridge: the penalty on ``|w|^2``, beside the *mean* squared error; the intercept is not penalised.
        standardize: descend on standardized columns; ``"auto"`` just where ``lr`` is ``"auto"`` and ``ridge`` 0.
        reduction: whose gradient is descended: ``mean``, ``half_mean``, ``sum``, ``half_sum``.
        momentum, dampening, nesterov, weight_decay: as in ``torch.optim.SGD``; a momentum of ``"auto"`` is the best
            where the rate is automatic, else 0.
        schedule: what multiplies lr by epoch, as in :class:`descentlab.Descent`, such as ``"cosine:100"``.
        batch_size: rows a step; None is all rows. Mini-batches are compiled where numba is installed (extra ``fast``).
            With weights a mean over a batch is its sum over what a batch weighs on average, at the rate that belongs to
            it: divided by its own weight, a batch would forget how much it weighs.
        shuffle: whether each epoch draws a new order of rows for its mini-batches.
        average: average the iterates from this epoch on (Polyak and Ruppert); True from the middle on; ``"auto"``
            does so for mini-batches at an automatic rate.
        early_stopping: hold out ``validation_fraction`` of the rows and keep the parameters of the epoch at which their
            cost is least, of all epochs.
        warm_start: begin at the coefficients of the fit before, of the same columns, instead of at 0.
        random_state: of the rows held out and of the mini-batches: None, a seed, a ``RandomState`` or a ``Generator``.

    Attributes:
        coef_: (d,), or (m, d) for m targets given in two dimensions. intercept_: a number, or (m,).
        history_: a :class:`FitHistory`: epoch by epoch, before each update, and what was done inside.
        ending_: an :class:`descentlab.Ending`: why the descent ended, in numbers and words; a list for several targets.
        lr_, momentum_: what was used; lr_bound_: the learning rate above which full-batch descent diverges, in the
            columns that were descended on; arrays for several targets where they differ.
        n_iter_: epochs of updates made.
        factor_: the :class:`descentlab.Factor` of all rows fitted, features then targets.
        validation_: with early stopping, the :class:`descentlab.Validation`; a list for several targets.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    >>> import numpy as np
    >>> X = np.array([[1.0, 2000], [2, 1000], [3, 4000], [4, 2500]])
    >>> model = DescentRegressor().fit(X, X @ [2, 0.001] + 5)
    >>> model.coef_.round(9).tolist(), round(model.intercept_, 9)
    ([2.0, 0.001], 5.0)
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
            DivergenceError: these settings diverge; the message says the bound, the column and the cure.
        """
        rows = Rows.given(self, X, y, sample_weight, reset=True)
        seed = seed_of(self.random_state)
        held = None
        training, others = self._held_out(rows, seed) if self.early_stopping else (rows, None)
        gathered = Gathered(rows.columns)
        training.into(gathered)
        factor = gathered.factor()
        if others is not None:
            held = Gathered(rows.columns)
            others.into(held)
            others.into(gathered)  # where partial_fit goes on later, it is on all rows
        training = training.counting() if _walks(self) else training  # one without weight must not fill a batch
        self._settle(training, factor, None if held is None else held.factor(), seed)
        self._gathered = gathered
        self._warn()
        return self

    @available_if(_mergeable)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> DescentRegressor:
        """Fit these rows and all before: bit by bit what ``fit`` gives on all of them, however they are split.

        Not there with ``batch_size``, ``average`` or ``early_stopping``, which need the rows that are gone.
        """
        begun = getattr(self, "_gathered", None)
        rows = Rows.given(self, X, y, sample_weight, reset=begun is None)
        gathered = Gathered(rows.columns) if begun is None else copy(begun)
        if gathered.columns != rows.columns:
            before = len(gathered.columns) - len(rows.features)
            raise SettingError("estimator_partial_targets", given=len(rows.targets), known=before)
        rows.into(gathered)
        self._settle(rows, gathered.factor(), None, 0)
        self._gathered = gathered
        self._warn()
        return self

    def predict(self, X: Any) -> Array:
        """(n,) or (n, m) predictions ``X w + b``, in the type of X; computed in float64."""
        check_is_fitted(self)
        return predicted(self, X)

    def diagnose(self, target: int = 0) -> Diagnosis:
        """What the doctor says of this fit's descent: see :func:`descentlab.diagnose`; of several targets, of one."""
        check_is_fitted(self)
        count = len(self._fitted)
        if whole_number("target", target, 0) >= count:
            raise SettingError("estimator_target", given=target, count=count)
        one = self._fitted[target]
        return diagnose(one.problem, one.descent)  # type: ignore[return-value]

    def _held_out(self, rows: Rows, seed: int) -> tuple[Rows, Rows]:
        n = len(rows.Y)
        part = finite_number("validation_fraction", self.validation_fraction, 0.0, 1.0)
        held = round(part * n)
        if not 0 < held < n:
            counts = {"training": n - held, "held": held, "part": part}
            raise SettingError("estimator_held_out", rows=counted(n, "row"), samples=n, **counts)
        order = np.random.default_rng(seed).permutation(n)
        return rows.only(np.sort(order[held:])), rows.only(np.sort(order[:held]))

    def _problem(self, factor: Factor, rows: Rows, target: int) -> Problem:
        settings: dict[str, Any] = {"bias": bool(self.fit_intercept), "ridge": self.ridge, **moved(self)}
        name = rows.targets[target]
        if not _walks(self):
            return Problem(factor, target=name, features=rows.features, **settings)
        return Problem(
            rows.dense(), rows.Y[:, target], features=rows.features, target=name, weights=rows.weights, **settings
        )

    def _settle(self, rows: Rows, factor: Factor, held: Factor | None = None, seed: int = 0) -> DescentRegressor:
        """Descend on the factor for each target, and keep what was found; an error leaves the fit before as it was."""
        found = []
        for j, name in enumerate(rows.targets):
            problem = self._problem(factor, rows, j)
            part = None if held is None else held.select((*rows.features, name))
            found.append(fitted(self, problem, rows.feature_blocks, part, self._start(rows, j), seed))
        self._fitted, self.factor_ = found, factor
        self._keep(rows)
        return self

    def _start(self, rows: Rows, target: int) -> Array | None:
        """Where this fit begins: in the data's units, intercept last; None is 0."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        if self.factor_.columns != rows.columns:
            raise SettingError("estimator_warm", before=self.factor_.columns, now=rows.columns)
        coef = np.atleast_2d(self.coef_)[target].astype(np.float64)
        return np.append(coef, np.atleast_1d(self.intercept_)[target]) if self.fit_intercept else coef

    def _keep(self, rows: Rows) -> None:
        found, d = self._fitted, len(rows.features)
        kind = rows.X.dtype
        coef = np.array([one.params[:d] for one in found]).astype(kind)
        intercept = np.array([_intercept(one, part) for one, part in zip(found, coef, strict=True)]).astype(kind)
        self.coef_ = coef[0] if rows.single else coef
        self.intercept_: Any = intercept[0].item() if rows.single else intercept
        self.history_ = history_of(found, rows.features, self.reduction)
        bounds = np.array([one.theory.lr_bound for one in found])
        rates, momenta = (np.array([getattr(one.descent, name) for one in found]) for name in ("lr", "momentum"))
        self.lr_, self.momentum_, self.lr_bound_ = (_one(values) for values in (rates, momenta, bounds))
        endings, validations = [one.ending for one in found], [one.validation for one in found]
        self.ending_: Any = endings[0] if rows.single else endings
        self.__dict__.pop("validation_", None)
        if self.early_stopping:
            self.validation_: Any = validations[0] if rows.single else validations
        self.n_iter_ = max(1, *(one.updates for one in found)) if len(found) > 1 else max(1, found[0].updates)

    def _warn(self) -> None:
        """Say so where the epochs that were given did not suffice."""
        for one in self._fitted:
            if one.ending.reason is not Reason.STOPPED and not one.arrived:
                said = [one.ending.text(), *(each.text() for each in nearer(self, one))]
                warnings.warn(" ".join(said), ConvergenceWarning, stacklevel=3)


def predicted(model: Any, X: Any) -> Array:
    """(n,) or (n, m) predictions ``X w + b`` in the type of X; those of float32 rows are computed in float64."""
    refuse_times(X, "X")
    X = validate_data(model, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
    W = np.asarray(model.coef_, dtype=np.float64).T
    if X.dtype == np.float64:
        return np.asarray(X @ W + model.intercept_)
    found = np.empty((X.shape[0], *W.shape[1:]), dtype=np.float32)
    for start in range(0, X.shape[0], PREDICTED):
        part = X[start : start + PREDICTED].astype(np.float64)
        found[start : start + PREDICTED] = part @ W + model.intercept_
    return found


def _intercept(one: Fitted, coef: Array) -> float:
    """The constant term that goes with coefficients as they are kept: what float32 did to them, it makes up for."""
    if not one.problem.bias:
        return 0.0
    d = len(coef)
    means = one.problem.factor.means[:d]
    return float(one.params[d] + (one.params[:d] - coef.astype(np.float64)) @ means)


def _one(values: Array) -> Any:
    """A number where all targets have the same, else the array."""
    return values[0].item() if (values == values[0]).all() else values
