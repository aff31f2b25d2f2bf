"""The choice by folds: what a search over fits of each training set would choose, from one pass."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_val_score,
)

from descentlab.errors import DivergenceError, SettingError
from descentlab.model_selection.splitting import assign_folds
from descentlab.sklearn import DescentRegressor, DescentRegressorCV


def wide(n: int = 80, d: int = 30) -> tuple[Any, Any]:
    """Few rows of many columns of different sizes, so that a ridge and few epochs help."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((n, d)) * np.geomspace(0.1, 100, d)
    return X, X[:, :3] @ [50, -50, 50] + 4 * rng.standard_normal(n)


GROUPS = np.arange(80) % 7
SPLITTERS = [
    KFold(4),
    list(KFold(4).split(np.zeros((80, 1)))),
    GroupKFold(4),
    LeaveOneGroupOut(),
    TimeSeriesSplit(4),
    ShuffleSplit(4, test_size=0.25, random_state=0),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
]


@pytest.mark.parametrize("cv", [4, *SPLITTERS], ids=lambda cv: type(cv).__name__)
def test_each_cost_is_that_of_a_fit_to_the_training_rows(cv: Any) -> None:
    X, y = wide()
    groups = GROUPS if isinstance(cv, GroupKFold | LeaveOneGroupOut) else None
    model = DescentRegressorCV([0.05, 0.2], ridge=[0.0, 0.1], epochs=60, cv=cv, random_state=0)
    found = model.fit(X, y, groups=groups).cross_validation_
    if cv == 4:
        goes = assign_folds(0, 80, 4, int(np.random.RandomState(0).randint(2**31 - 1)))
        splits = [(np.flatnonzero(goes != j), np.flatnonzero(goes == j)) for j in range(4)]
    else:
        splits = cv if isinstance(cv, list) else list(cv.split(X, y, groups))
    np.testing.assert_array_equal(model.factor_.rows, 80)
    one = DescentRegressor(0.2, ridge=0.1, epochs=60, standardize=True)
    scores = cross_val_score(one, X, y, cv=splits, scoring="neg_mean_squared_error")
    np.testing.assert_allclose(found.fold_cost[:, 1, 1, -1], -scores, rtol=1e-9)
    at = [
        np.flatnonzero(values == chosen)[0]
        for values, chosen in ((found.lr, model.lr_), (found.ridge, model.ridge_), (found.updates, model.epochs_))
    ]
    assert found.cost[tuple(at)] == pytest.approx(found.cost.min(), rel=1e-9)


def test_groups_are_routed_to_the_splitter() -> None:
    X, y = wide()
    with config_context(enable_metadata_routing=True):
        model = DescentRegressorCV(cv=GroupKFold(3), epochs=50).set_fit_request(groups=True)
        scores = cross_val_score(model, X, y, cv=GroupKFold(2), params={"groups": GROUPS})
    assert np.isfinite(scores).all()
    with pytest.raises(SettingError, match=r"cv=GroupKFold\(5\)"):
        DescentRegressorCV().fit(X, y, groups=GROUPS)


@pytest.mark.slow
def test_the_choice_is_refitted_to_all_rows() -> None:
    X, y = wide()
    model = DescentRegressorCV(random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning):  # so few epochs, and on purpose
        again = DescentRegressor(model.lr_, epochs=model.epochs_, ridge=model.ridge_, standardize=True).fit(X, y)
    np.testing.assert_allclose(model.coef_, again.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.predict(X), again.predict(X), rtol=1e-8)
    results = model.cv_results_
    at = int(np.argmin(results["mean_cost"]))
    chosen = [results[f"param_{name}"][at] for name in ("lr", "ridge", "epochs")]
    assert chosen == [model.lr_, model.ridge_, model.epochs_]
    assert model.score(X, y) > 0.5
    assert model.diagnose().verdict
    held = cross_val_score(DescentRegressorCV(random_state=0), X, y, cv=5).mean()
    assert held > cross_val_score(Ridge(alpha=1e-9), X, y, cv=5).mean()


def test_the_simplest_within_an_error_is_no_less_shrunk() -> None:
    X, y = wide()
    best, simplest = (DescentRegressorCV(rule=rule, random_state=0).fit(X, y) for rule in ("best", "simplest"))
    assert simplest.ridge_ >= best.ridge_
    found = best.cross_validation_
    assert found.best is not None
    assert found.simplest is not None
    assert simplest.epochs_ == max(1, found.simplest.updates)
    assert found.simplest.cost <= found.best.cost + found.best.error


def test_rates_of_its_own_diverge_nowhere() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.standard_t(2, (25, 4)) ** 3
        model = DescentRegressorCV(cv=3, random_state=seed, ridge=[0.0, 1.0]).fit(X, X[:, 0] + rng.standard_normal(25))
        assert not model.cross_validation_.diverging.any()
        assert model.lr_ < model.lr_bound_


def test_sparse_rows_weights_and_names() -> None:
    X, y = wide()
    dense, thin = (DescentRegressorCV(random_state=0).fit(kind, y) for kind in (X, sparse.csr_array(X)))
    np.testing.assert_array_equal(dense.coef_, thin.coef_)
    groups = np.repeat(np.arange(20), 4)
    repeated = np.repeat(np.arange(20), 4)
    folds = list(GroupKFold(4).split(X[repeated], groups=groups))
    whole = DescentRegressorCV(cv=folds).fit(X[repeated], y[repeated])
    first = [(np.unique(groups[train]), np.unique(groups[test])) for train, test in folds]
    weighted = DescentRegressorCV(cv=first).fit(X[:20], y[:20], np.full(20, 4.0))
    np.testing.assert_allclose(weighted.coef_, whole.coef_, rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "kind", "match"),
    [
        ({"lr": [50.0, 90.0]}, DivergenceError, "Every rate tried diverges: 50, 90"),
        ({"cv": 1}, SettingError, "cv"),
        ({"cv": 100}, SettingError, "100 folds need at least that many rows, but there are 80 rows"),
        ({"cv": ShuffleSplit(1)}, SettingError, "at least 2 are needed"),
        ({"cv": GroupKFold(3)}, SettingError, r"fit\(X, y, groups=groups\)"),
        ({"rule": "any"}, SettingError, "rule"),
        ({"ridge": []}, SettingError, "ridge"),
        ({"epochs": 0}, SettingError, "epochs"),
        ({"ridge": "much"}, SettingError, "ridge = 'much'"),
        ({"ridge": [0.1, -1.0]}, SettingError, "ridge = -1.0 is out of range"),
        ({"momentum": "auto"}, SettingError, "momentum = 'auto'"),
        ({"standardize": "auto"}, SettingError, "True or False here, but it is 'auto'"),
    ],
)
def test_settings_are_refused_by_name(settings: dict[str, Any], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        DescentRegressorCV(**settings).fit(*wide())


def test_as_many_epochs_as_can_be_counted() -> None:
    X, y = wide()
    most = DescentRegressorCV(epochs=10**18, random_state=0).fit(X, y).cross_validation_
    assert most.updates[-1] == 10**18
    assert (np.diff(most.updates) > 0).all()
    limit = np.broadcast_to(most.limit_fold_cost[:, None], most.fold_cost.shape[:3])
    np.testing.assert_allclose(most.fold_cost[..., -1], limit, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.array, sparse.csr_array])
def test_a_value_that_is_missing_is_said_to_be_in_x_or_y(value: float, kind: Any) -> None:
    X, y = wide()
    X[3, 4], name = value, "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(ValueError, match=f"Input X contains {name}"):
        DescentRegressorCV().fit(kind(X), y)
    X[3, 4], y[7] = 0, np.inf
    with pytest.raises(ValueError, match="Input y contains infinity"):
        DescentRegressorCV().fit(kind(X), y)


def test_too_few_epochs_for_any_choice_are_said() -> None:
    X, y = wide(200, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DescentRegressorCV(random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Use more epochs than 1,000, or larger rates"):
        slow = DescentRegressorCV(standardize=False, random_state=0).fit(X * [1, 1, 1e-3], y)
    assert slow.epochs_ == 1000
