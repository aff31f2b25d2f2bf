"""What "auto" chooses: the best where that is known, nothing where nothing helps, and never a rate that diverges."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import Ridge

from descentlab.descent import recursion as stability
from descentlab.descent.recursion import MomentumSettings
from descentlab.errors import DivergenceError
from descentlab.sklearn import DescentRegressor
from descentlab.sklearn.auto_settings import choose_heavy_ball, choose_lr
from tests.sklearn.test_regressor import unscaled


def slowest(curvature: Any, lr: float, momentum: float, dampening: float = 0.0) -> float:
    """What an epoch multiplies the slowest error by."""
    recursion: MomentumSettings = {"momentum": momentum, "dampening": dampening if momentum else 0.0, "nesterov": False}
    return float(np.abs(stability.convergence_factor(lr * np.asarray(curvature), **recursion)).max())


@pytest.mark.parametrize("high", [1.0, 1.3, 1.6, 4.0, 1e4])
@pytest.mark.parametrize("dampening", [0.0, 0.5, 1.0])
def test_the_pair_is_the_best_or_the_best_without_a_momentum(high: float, dampening: float) -> None:
    curvature = [1.0, high]
    lr, momentum = choose_heavy_ball(np.array(curvature), dampening)
    polyak = ((np.sqrt(high) - 1) / (np.sqrt(high) + 1)) ** 2
    if polyak < 0.01 or dampening == 1:
        assert momentum == 0
        assert slowest(curvature, lr, 0.0) == pytest.approx((high - 1) / (high + 1), abs=1e-12)
    else:
        assert momentum == pytest.approx(polyak)
        found = slowest(curvature, lr, momentum, dampening)
        assert found == pytest.approx(np.sqrt(momentum), rel=1e-2)
        best = minimize(
            lambda at: slowest(curvature, at[0] ** 2, 1 / (1 + np.exp(-at[1]))),
            [np.sqrt(lr * (1 - dampening)), np.log(momentum / (1 - momentum))],
            method="Nelder-Mead",
        )
        assert found <= best.fun * 1.01


@pytest.mark.parametrize("momentum", [0.3, 0.9])
@pytest.mark.parametrize("high", [1.5, 30.0, 1e4])
def test_the_rate_of_a_given_momentum_is_the_best(high: float, momentum: float) -> None:
    curvature = np.array([1.0, high])
    settings: MomentumSettings = {"momentum": momentum, "dampening": 0.0, "nesterov": False}
    bound = 2 * (1 + momentum) / high
    best = min(slowest(curvature, part * bound, momentum) for part in np.geomspace(1e-6, 1, 20_000)[:-1])
    assert 1 - slowest(curvature, choose_lr(curvature, settings), momentum) >= (1 - best) * (1 - 1e-6)


def test_a_momentum_that_buys_nothing_is_exactly_none() -> None:
    X, y = unscaled()
    model = DescentRegressor().fit(X, y)
    assert model.momentum_ == 0
    assert "momentum" not in model.history_.message.text("en")
    np.testing.assert_allclose(model.coef_, DescentRegressor(momentum=0.0).fit(X, y).coef_, rtol=1e-12)


@pytest.mark.parametrize("asked", [{}, {"momentum": 0.8}])
def test_a_dampening_costs_no_epochs(asked: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 3)) @ [[1, 0.9, 0], [0, 1, 0], [0, 0.3, 1]]
    y = X @ [1, 2, 3] + rng.standard_normal(200)
    plain, damped = (DescentRegressor(dampening=each, **asked).fit(X, y) for each in (0.0, 0.5))
    assert plain.momentum_ > 0
    assert damped.lr_ == pytest.approx(2 * plain.lr_)
    assert damped.n_iter_ == pytest.approx(plain.n_iter_, rel=0.1)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"momentum": 1.0}, "below 1"),
        ({"momentum": 1.5}, "below 1"),
        ({"momentum": 1.0, "batch_size": 8, "nesterov": True}, "below 1"),
        ({"momentum": 0.9, "dampening": 1.0}, "dampening below 1"),
    ],
)
def test_where_no_rate_converges_none_is_chosen(asked: dict[str, Any], match: str) -> None:
    X, y = unscaled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DivergenceError, match=match):
            DescentRegressor(**asked).fit(X, y)


def weighted(seed: int = 0) -> tuple[Any, Any, Any]:
    """Rows that no line fits, and weights from 0.1 to 10."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((400, 2)) * [1, 30]
    return X, X @ [1, 0.1] + X[:, 0] ** 2 + rng.standard_normal(400), np.exp(2.3 * rng.uniform(-1, 1, 400) + X[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reduction", "batch_size"), [("mean", 1), ("mean", 7), ("mean", 64), ("half_mean", 7), ("sum", 7), ("half_sum", 7)]
)
def test_weights_count_in_mini_batches_as_in_one(reduction: str, batch_size: int) -> None:
    X, y, weights = weighted()
    least = DescentRegressor().fit(X, y, weights)
    settings: dict[str, Any] = {"batch_size": batch_size, "epochs": 300, "reduction": reduction, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DescentRegressor(**settings).fit(X, y, weights)
    np.testing.assert_allclose(model.coef_ * [1, 30], least.coef_ * [1, 30], atol=0.2)
    plain = DescentRegressor().fit(X, y)
    assert abs(plain.coef_[0] - least.coef_[0]) > 1


@pytest.mark.parametrize("reduction", ["mean", "half_sum"])
def test_rows_without_weight_are_as_if_not_there_and_equal_weights_are_none(reduction: str) -> None:
    X, y, weights = weighted()
    settings: dict[str, Any] = {"batch_size": 8, "epochs": 5, "reduction": reduction, "random_state": 0}
    out = np.where(np.arange(400) % 3, weights, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = DescentRegressor(**settings).fit(X, y, out)
        there = DescentRegressor(**settings).fit(X[out > 0], y[out > 0], out[out > 0])
        same = DescentRegressor(**settings).fit(X, y, np.full(400, 4.0))
        none = DescentRegressor(**settings).fit(X, y)
    np.testing.assert_array_equal(some.coef_, there.coef_)
    np.testing.assert_allclose(same.coef_, none.coef_, rtol=1e-9)


def test_a_rate_of_ones_own_means_with_weights_what_it_means_without() -> None:
    X, y, _ = weighted()
    settings: dict[str, Any] = {"lr": 1e-4, "batch_size": 400, "epochs": 9, "standardize": False}
    weights = np.arange(400) % 3 + 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = DescentRegressor(**settings).fit(X, y, weights)
        whole = DescentRegressor(**{**settings, "batch_size": None}).fit(X, y, weights)
    np.testing.assert_allclose(batch.coef_, whole.coef_, rtol=1e-10)
    assert "reduction sum" in batch.history_.message.text("en")


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        {"momentum": 0.9},
        {"momentum": 0.99},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.9},
        {"weight_decay": 1e5},
        {"weight_decay": 1e5, "reduction": "sum"},
        {"reduction": "sum", "momentum": 0.9},
    ],
)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_rates_for_mini_batches_diverge_with_no_momentum_decay_or_weights(
    asked: dict[str, Any], batch_size: int
) -> None:
    X, y, weights = weighted()
    weights[:3] = 1e4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = DescentRegressor(batch_size=batch_size, random_state=0, **asked).fit(X, y, weights)
    assert model.ending_.cost_ratio <= 1
    assert model.history_["cost"].max() <= 2 * model.history_["cost"][0]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weight_decay_is_a_ridge_and_its_end_is_no_want_of_epochs(reduction: str) -> None:
    X, y = unscaled()
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    part = 1.0 if reduction == "mean" else len(y)
    model = DescentRegressor(weight_decay=0.2 * part, reduction=reduction, fit_intercept=False).fit(X, y)
    other = Ridge(alpha=0.1 * len(y), fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-9)
    assert model.ending_.reason == "converged"
    assert 1 < model.ending_.converged_epoch < model.n_iter_
    for lang, word in (("en", "cancel"), ("ko", "상쇄")):
        assert word in model.ending_.text(lang)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = DescentRegressor(1e-3 / part, weight_decay=0.2 * part, reduction=reduction, epochs=3).fit(X, y)
    assert short.ending_.reason == "out_of_epochs"
