"""The estimator: scikit-learn's contract, the same answers however rows come, and no failure in silence."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import descentlab as dl
from descentlab.data.source import BLOCK_ROWS
from descentlab.errors import DataError, DivergenceError, SettingError
from descentlab.messages import use_language
from descentlab.messages.numbers import format_bound, format_rounded
from descentlab.sklearn import DescentRegressor, DescentRegressorCV
from tests.extras import optional
from tests.problem.test_nist import SETS, Set, as_floats, observations
from tests.rational import correct_digits, least_squares

CONTRACT = [
    DescentRegressor(),
    DescentRegressor(ridge=0.1),
    DescentRegressor(nesterov=True, momentum=0.5),
    DescentRegressor(fit_intercept=False),
    DescentRegressor(standardize=True, lr=0.1, warm_start=True),
    DescentRegressor(standardize=True, lr=0.1, schedule="cosine:50"),
    DescentRegressor(batch_size=8, epochs=20, random_state=0),
    DescentRegressor(early_stopping=True, random_state=0),
    DescentRegressorCV(cv=3),
]


def weights_that_are_not_repetition(estimator: Any) -> dict[str, str]:
    """The checks that scikit-learn exempts its own SGDRegressor from, too: two equal rows are drawn apart."""
    draws_rows = getattr(estimator, "batch_size", None) or getattr(estimator, "early_stopping", False)
    names = [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")]
    return dict.fromkeys(names if draws_rows else [], "rows are drawn, and a row of weight 2 is drawn once")


def unscaled(n: int = 400, seed: int = 0) -> tuple[Any, Any]:
    """Two plain columns, one about 50,000 with a spread of 1,000, and what they are to give."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2)) * [1, 1e3] + [0, 5e4]
    return X, X @ [3, 0.01] + 2 + rng.standard_normal(n)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(CONTRACT, expected_failed_checks=weights_that_are_not_repetition)  # type: ignore[untyped-decorator]
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("bias", [True, False])
def test_without_a_setting_it_is_least_squares_on_unscaled_columns(bias: bool) -> None:
    X, y = unscaled()
    model = DescentRegressor(fit_intercept=bias).fit(X, y)
    other = LinearRegression(fit_intercept=bias).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=1e-7)
    assert model.score(X, y) > 0.98
    assert model.ending_.reason == "converged"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", ["fewer rows than columns", "a column twice", "all dummies of a category"])
def test_of_several_minima_it_is_the_one_of_least_norm_in_the_datas_units(case: str, bias: bool) -> None:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20 if case.startswith("fewer") else 90, 30)) * np.geomspace(0.1, 10, 30) + 5
    if case == "a column twice":
        X = np.column_stack([X[:, :4], 3 * X[:, 2]])
    elif case == "all dummies of a category":
        X = np.column_stack([X[:, :2], np.eye(3)[rng.integers(0, 3, 90)]])
    y, new = X @ rng.standard_normal(X.shape[1]), rng.standard_normal((50, X.shape[1]))
    model, other = (kind(fit_intercept=bias).fit(X, y) for kind in (DescentRegressor, LinearRegression))
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.predict(new), other.predict(new), rtol=1e-7, atol=1e-7)
    assert model.ending_.reason == "converged"
    determined = not bias and case == "all dummies of a category"
    assert ("of least norm, as LinearRegression" in model.history_.message.text("en")) != determined
    scaled = DescentRegressor(fit_intercept=bias, standardize=True).fit(X, y)
    assert ("others have the same cost" in scaled.history_.message.text("en")) != determined
    np.testing.assert_allclose(scaled.predict(X), other.predict(X), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("ridge", [1e-3, 0.1, 10])
@pytest.mark.parametrize("lr", ["auto", 1e-11])
def test_a_ridge_is_scikit_learns_whatever_the_rate(ridge: float, lr: Any) -> None:
    X, y = unscaled()
    model = DescentRegressor(lr, ridge=ridge).fit(X, y)
    other = Ridge(alpha=len(y) * ridge, solver="svd").fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-9)


@pytest.mark.parametrize("ridge", [1e-6, 0.1, 10])
def test_a_ridge_needs_no_tuning_on_timestamps_and_tiny_columns_either(ridge: float) -> None:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.uniform(20, 70, 2000), 1.7e9 + 60 * np.arange(2000), 1e-6 * rng.standard_normal(2000)])
    y = X @ [2, 1e-5, 1e6] + rng.standard_normal(2000)
    model = DescentRegressor(ridge=ridge).fit(X, y)
    other = Ridge(alpha=2000 * ridge, solver="svd").fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-8)
    assert model.ending_.reason == "converged"
    assert "on centered columns" in model.history_.message.text("en")


@pytest.mark.parametrize("data", SETS, ids=lambda data: data.name)
def test_nists_digits_are_those_of_the_factor_and_no_fewer_than_scikit_learns(data: Set) -> None:
    columns, y = observations(data)
    X, target = as_floats(data, columns), np.array([float(value) for value in y])
    exact = least_squares(columns, y, bias=data.bias)
    model, other = (kind(fit_intercept=data.bias).fit(X, target) for kind in (DescentRegressor, LinearRegression))
    digits, theirs = (
        correct_digits(np.append(each.coef_, [each.intercept_] * data.bias), exact).min() for each in (model, other)
    )
    assert digits >= data.digits
    assert digits >= min(theirs, 14.5)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3 * BLOCK_ROWS), max_size=5), st.booleans())
def test_partial_fit_in_any_split_is_one_fit_to_the_last_bit(cuts: list[int], weighted: bool) -> None:
    n = 3 * BLOCK_ROWS + 77
    X, y = unscaled(n)
    weights = np.random.default_rng(1).uniform(0.5, 2, n) if weighted else None
    whole, parts = DescentRegressor().fit(X, y, weights), DescentRegressor()
    for part in np.split(np.arange(n), sorted(cuts)):
        if part.size:
            parts.partial_fit(X[part], y[part], None if weights is None else weights[part])
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    assert parts.intercept_ == whole.intercept_
    np.testing.assert_array_equal(parts.factor_.R_centered, dl.Problem(X, y, weights=weights).factor.R_centered)


def test_fit_then_partial_fit_is_one_fit_and_a_bad_part_changes_nothing() -> None:
    X, y = unscaled()
    model = DescentRegressor().fit(X[:300], y[:300])
    before = pickle.dumps(model.coef_)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((2, 2), np.nan), y[:2])
    with pytest.raises(SettingError, match="given 2 targets, but 1 before"):
        model.partial_fit(X[300:], np.column_stack([y[300:], y[300:]]))
    assert pickle.dumps(model.coef_) == before
    copied = clone(model), pickle.loads(pickle.dumps(model))
    assert not hasattr(copied[0], "coef_")
    for each in (model, copied[1]):
        each.partial_fit(X[300:], y[300:])
        np.testing.assert_array_equal(each.coef_, DescentRegressor().fit(X, y).coef_)


@pytest.mark.parametrize("name", ["early_stopping", "batch_size"])
def test_partial_fit_is_not_there_where_rows_that_are_gone_would_be_needed(name: str) -> None:
    asked: dict[str, Any] = {name: 8 if name == "batch_size" else True}
    model = DescentRegressor(**asked)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit([[1.0]], [1.0])
    assert name in str(caught.value)


@pytest.mark.parametrize("settings_", [{}, {"lr": 1e-10, "epochs": 50}, {"standardize": True, "momentum": 0.5}])
def test_a_weight_is_repetition(settings_: dict[str, Any]) -> None:
    X, y = unscaled(60)
    weights = np.arange(60) % 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = DescentRegressor(**settings_).fit(X, y, weights)
        repeated = DescentRegressor(**settings_).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)
    np.testing.assert_allclose(weighted.history_["cost"], repeated.history_["cost"], rtol=1e-9)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_rate_that_is_too_large_is_refused_with_bound_column_and_cure(lang: str) -> None:
    X, y = unscaled()
    bound = dl.Problem(X, y).spectrum().lr_bound()
    with use_language(lang), pytest.raises(DivergenceError) as caught:
        DescentRegressor(lr=0.6).fit(X, y)
    with use_language(lang):
        said = str(caught.value)
    standardized = dl.Problem(X, y, standardize=True).spectrum().lr_bound()
    for part in (
        format_rounded(0.6 / bound),
        format_bound(bound),
        "`x2`",
        format_bound(bound / 2),
        format_bound(standardized),
        "standardize",
    ):
        assert part in said
    assert not hasattr(DescentRegressor(), "coef_")
    low = DescentRegressor(lr=0.999 * bound, epochs=3)
    with pytest.warns(ConvergenceWarning, match="Not converged after 3 epochs"):
        low.fit(X, y)
    assert low.lr_bound_ == pytest.approx(bound)
    with pytest.raises(DivergenceError):
        DescentRegressor(lr=1.001 * bound, epochs=3).fit(X, y)


def test_a_rate_beyond_its_bound_is_refused_though_few_epochs_of_it_lower_the_cost() -> None:
    X, y = unscaled()
    asked: dict[str, Any] = {"lr": 1.0001 * dl.Problem(X, y, standardize=True).spectrum().lr_bound(), "epochs": 2}
    run = dl.descend(dl.Problem(X, y, standardize=True), **asked)
    assert run.cost < run.history.cost[0]
    with pytest.raises(DivergenceError, match=r"is 1\.0001 times the largest stable rate, "):
        DescentRegressor(standardize=True, **asked).fit(X, y)


def test_the_bound_of_the_cure_knows_the_ridge() -> None:
    X, y = unscaled()
    bound = dl.Problem(X, y, ridge=2.0, standardize=True).spectrum().lr_bound()
    with pytest.raises(DivergenceError, match=f"standardize=True with a rate below {format_bound(bound)}"):
        DescentRegressor(lr=0.6, ridge=2.0).fit(X, y)


def test_a_momentum_of_one_and_a_schedule_that_diverges_are_refused() -> None:
    X, y = unscaled()
    with pytest.raises(DivergenceError, match="momentum 1"):
        DescentRegressor(lr=1e-12, momentum=1.5).fit(X, y)
    with pytest.raises(DivergenceError, match=r"Diverged: after \d+ updates"):
        DescentRegressor(lr=1e-9, schedule="exponential:0.999").fit(X, y)


def test_a_search_scores_rates_that_diverge_as_failed_and_finds_the_others() -> None:
    X, y = unscaled()
    grid = {"descentregressor__lr": ["auto", 0.5, 1e-9, 100.0]}
    search = GridSearchCV(make_pipeline(StandardScaler().set_output(transform="pandas"), DescentRegressor()), grid)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        search.fit(X, y)
    assert "`x0`" in str(said[0].message)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, False, False, True]
    assert search.best_score_ > 0.98


def test_epochs_are_those_of_the_same_descent() -> None:
    X, y = unscaled()
    bound = dl.Problem(X, y).spectrum().lr_bound()
    asked: dict[str, Any] = {"lr": bound / 3, "epochs": 12, "momentum": 0.4, "nesterov": True}
    run = dl.descend(dl.Problem(X, y), **asked)
    with pytest.warns(ConvergenceWarning):
        model = DescentRegressor(**asked).fit(X, y)
    np.testing.assert_allclose(model.coef_, run.params[:2], rtol=1e-12)
    np.testing.assert_allclose(model.history_["cost"][:-1], run.history.cost, rtol=1e-12)
    np.testing.assert_allclose(model.history_["x2"][:-1], run.history.params[:, 1], rtol=1e-12)
    assert model.history_["epoch"].tolist() == list(range(1, 14))
    assert model.ending_.cost == pytest.approx(run.ending.cost)
    assert model.n_iter_ == 12


def test_no_epochs_are_as_many_as_it_takes_at_any_rate() -> None:
    X, y = unscaled()
    slow = DescentRegressor(lr=1e-15).fit(X, y)
    assert slow.n_iter_ > 10**12
    np.testing.assert_allclose(slow.coef_, DescentRegressor().fit(X, y).coef_, rtol=1e-12)
    assert len(slow.history_) < 1000


def test_the_history_says_what_was_done_inside_in_the_datas_units() -> None:
    X, y = unscaled()
    frame = pd.DataFrame(X, columns=["size", "cost"])
    model = DescentRegressor().fit(frame, y)
    history = model.history_
    assert list(history.to_pandas().columns) == [
        *("target", "epoch", "lr", "cost", "gradient_norm", "size", "coef:cost", "intercept")
    ]
    assert history.to_arrow().num_rows == len(history)
    assert history.inside["standardize"] is True
    assert "standardized columns" in history.message.text("en")
    last = [history[name][-1] for name in ("size", "coef:cost", "intercept")]
    assert last == [*model.coef_, model.intercept_]
    for i in (0, 2, -1):
        at = [history[name][i] for name in ("size", "coef:cost", "intercept")]
        mean = np.mean((X @ at[:2] + at[2] - y) ** 2)
        assert history["cost"][i] == pytest.approx(mean, rel=1e-9)
    assert DescentRegressor(lr=1e-11).fit(frame, y).history_.inside["standardize"] is False


def test_several_targets_are_fitted_as_if_alone() -> None:
    X, y = unscaled()
    Y = np.column_stack([y, 3 - 2 * y + X[:, 0]])
    model = DescentRegressor().fit(X, Y)
    for j in range(2):
        alone = DescentRegressor().fit(X, Y[:, j])
        np.testing.assert_allclose(model.coef_[j], alone.coef_, rtol=1e-11)
        assert model.intercept_[j] == pytest.approx(alone.intercept_)
        assert model.ending_[j].reason == alone.ending_.reason
        assert (model.history_["target"] == j).sum() == len(alone.history_)
    assert model.predict(X).shape == (400, 2)
    assert model.diagnose(1).verdict.converges
    single = DescentRegressor().fit(X, y[:, None])
    assert single.coef_.shape == (1, 2)
    assert single.predict(X).shape == (400, 1)


def test_sparse_rows_are_the_dense_ones() -> None:
    rng = np.random.default_rng(3)
    X = sparse.random_array((500, 30), density=0.1, format="csr", rng=rng)
    y = X @ rng.standard_normal(30) + rng.standard_normal(500)
    model = DescentRegressor().fit(X, y)
    np.testing.assert_array_equal(model.coef_, DescentRegressor().fit(X.toarray(), y).coef_)
    np.testing.assert_allclose(model.predict(X), model.predict(X.toarray()), rtol=1e-12)


def test_float32_comes_out_as_it_came_in_and_keeps_its_digits() -> None:
    rng = np.random.default_rng(4)
    X = (rng.standard_normal((2000, 3)) + 1e4).astype(np.float32)
    y = (X.astype(float) @ [1, -2, 3]).astype(np.float32)
    model = DescentRegressor().fit(X, y)
    assert model.coef_.dtype == np.float32
    assert model.predict(X).dtype == np.float32
    assert np.abs(model.predict(X) - y).max() < 0.02  # half a unit in the last place of a float32 of 20,000 is 0.001
    assert model.score(X, y) > 0.99999


def test_what_float32_does_to_coefficients_the_intercept_makes_up_for() -> None:
    rng = np.random.default_rng(6)
    X = (rng.standard_normal((2000, 2)) + 1e6).astype(np.float32)
    y = X.astype(float) @ [0.1, 0.7] + 1e-6 * rng.standard_normal(2000)
    model = DescentRegressor().fit(X, y)
    exact = DescentRegressor().fit(X.astype(float), y)
    assert abs((model.coef_ - exact.coef_).sum()) * 1e6 > 5e-3  # what would be lost
    assert abs(np.mean(model.predict(X).astype(float) - y)) < 2e-3  # predictions themselves are rounded to 1/16


def test_early_stopping_keeps_the_epoch_of_the_least_held_out_cost() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 40))
    y = X[:, 0] + rng.standard_normal(60)
    model = DescentRegressor(lr=0.05, standardize=True, epochs=400, early_stopping=True, random_state=1).fit(X, y)
    held = model.history_["validation_cost"]
    assert 0 < model.n_iter_ < 400
    assert model.n_iter_ == model.validation_.best_updates
    assert held[-1] == pytest.approx(held.min())
    assert model.validation_.final_cost > held.min()
    assert model.validation_.rows == 6
    assert model.factor_.rows == 54
    assert model.ending_.reason == "stopped"
    for lang in ("en", "ko"):
        assert format_rounded(model.validation_.best_cost) in model.ending_.text(lang)
    again = DescentRegressor(lr=0.05, standardize=True, epochs=400, early_stopping=True, random_state=1).fit(X, y)
    np.testing.assert_array_equal(again.coef_, model.coef_)


@pytest.mark.parametrize("asked", [{}, {"reduction": "sum"}, {"batch_size": 1, "epochs": 20}, {"batch_size": 999}])
def test_mini_batches_at_a_rate_of_their_own_come_near_the_minimum(asked: dict[str, Any]) -> None:
    X, y = unscaled()
    least = DescentRegressor().fit(X, y).ending_.cost
    model = DescentRegressor(**{"batch_size": 32, "random_state": 0, **asked}).fit(X, y)
    assert np.mean((model.predict(X) - y) ** 2) == pytest.approx(model.ending_.cost)
    assert model.ending_.cost < 1.01 * least
    assert model.history_.inside["standardize"] is True
    np.testing.assert_array_equal(model.coef_, clone(model).fit(X, y).coef_)


def test_mini_batches_are_those_of_the_same_descent() -> None:
    X, y = unscaled()
    asked: dict[str, Any] = {"lr": 0.02, "epochs": 4, "batch_size": 16, "momentum": 0.5, "average": 2}
    with pytest.warns(ConvergenceWarning, match="these 4 epochs"):
        model = DescentRegressor(standardize=True, random_state=3, **asked).fit(X, y)
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    run = dl.descend(dl.Problem(X, y, standardize=True), seed=seed, **asked)
    np.testing.assert_allclose([*model.coef_, model.intercept_], run.params, rtol=1e-12)
    np.testing.assert_allclose(model.history_["cost"][:-1], run.history.cost, rtol=1e-12)


def test_mini_batches_of_sparse_rows_and_beyond_a_bound() -> None:
    X, y = unscaled()
    dense, thin = (
        DescentRegressor(batch_size=8, epochs=5, random_state=0).fit(kind, y) for kind in (X, sparse.csr_array(X))
    )
    np.testing.assert_array_equal(dense.coef_, thin.coef_)
    with pytest.raises(DivergenceError, match=r"(?s)Overflowed: after .* epochs? a number.*Standardize the columns"):
        DescentRegressor(lr=10, batch_size=8).fit(X, y)


def test_an_average_of_a_full_batch_is_that_of_its_epochs() -> None:
    X, y = unscaled()
    asked: dict[str, Any] = {"lr": 0.02, "epochs": 10, "standardize": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = DescentRegressor(average=4, **asked).fit(X, y)
        plain = DescentRegressor(**asked).fit(X, y)
    np.testing.assert_allclose(model.coef_[1], plain.history_["x2"][5:].mean(), rtol=1e-10)
    with pytest.raises(SettingError, match="Leave one of them out"):
        DescentRegressor(average=4, early_stopping=True, **asked).fit(X, y)


def test_early_stopping_may_keep_the_start() -> None:
    X = np.arange(10.0)[:, None]
    y = np.zeros(10)
    y[np.random.default_rng(np.random.RandomState(0).randint(2**31 - 1)).permutation(10)[2:]] = 5
    model = DescentRegressor(early_stopping=True, validation_fraction=0.2, random_state=0).fit(X, y)
    assert (model.coef_.tolist(), model.intercept_) == ([0.0], 0.0)
    assert len(model.history_) == 1
    assert (model.ending_.reason, model.ending_.epoch) == ("stopped", 0)


def test_a_warm_start_goes_on_where_the_fit_before_ended() -> None:
    X, y = unscaled()
    asked: dict[str, Any] = {"lr": 0.05, "standardize": True, "warm_start": True}
    model = DescentRegressor(epochs=10, **asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y).fit(X, y)
        once = DescentRegressor(epochs=20, **asked).fit(X, y)
    np.testing.assert_allclose(model.coef_, once.coef_, rtol=1e-9)


def test_routing_and_names() -> None:
    X, y = unscaled()
    frame = pd.DataFrame(X, columns=["a", "b"])
    with config_context(enable_metadata_routing=True):
        model = DescentRegressor().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        scores = cross_validate(model, frame, y, params={"sample_weight": np.ones(400)})
    assert scores["test_score"].min() > 0.98
    fitted = DescentRegressor().fit(frame, y)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.factor_.columns == ("a", "b", "y")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["b", "a"]])


@pytest.mark.parametrize(
    ("settings_", "match"),
    [
        ({"lr": "fast"}, "lr"),
        ({"lr": -1}, "lr = -1 is out of range"),
        ({"momentum": "some"}, "momentum"),
        ({"standardize": "yes"}, "standardize must be True, False or 'auto'"),
        ({"average": "some", "batch_size": 4}, "average"),
        ({"epochs": 0}, "epochs"),
        ({"ridge": -1}, "ridge"),
        ({"schedule": "stairs"}, "schedule"),
        ({"early_stopping": True, "validation_fraction": 0}, "leaves 400 for fitting and 0 for validation"),
    ],
)
def test_settings_are_refused_by_name(settings_: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        DescentRegressor(**settings_).fit(*unscaled())


def test_too_many_columns_are_refused_before_anything_is_computed() -> None:
    X = sparse.csr_array((3, 5000))
    with pytest.raises(dl.DataError, match=r"5,000 columns.*at most 2,048"):
        DescentRegressor().fit(X, [1.0, 2, 3])


NAMES = ("target", "epoch", "lr", "cost", "gradient_norm", "validation_cost", "intercept", "bias", "y", "size")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(lambda times, name: "coef:" * times + name, st.integers(0, 2), st.sampled_from(NAMES)),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    st.booleans(),
    st.booleans(),
)
def test_whatever_features_are_called_each_coefficient_has_its_own_column(
    names: list[str], early: bool, bias: bool
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((40, len(names))), columns=names)
    y = frame.to_numpy() @ np.arange(1, len(names) + 1) + 7
    model = DescentRegressor(early_stopping=early, fit_intercept=bias, random_state=0).fit(
        frame, np.column_stack([y, -y])
    )
    table = model.history_.to_arrow().to_pandas()
    assert len(set(table.columns)) == len(names) + 5 + early + bias
    own = list(table.columns[5 + early : len(table.columns) - bias])
    assert all(label.endswith(name) for name, label in zip(names, own, strict=True))
    last = table[table["target"] == 1].iloc[-1]
    np.testing.assert_array_equal(last[own], model.coef_[1])
    assert not bias or last["intercept"] == model.intercept_[1]
    assert (table["cost"] >= 0).all()


def test_a_warm_start_at_other_columns_is_refused_and_keeps_the_fit_before() -> None:
    X, y = unscaled()
    two = np.column_stack([y, X[:, 0]])
    frame = pd.DataFrame(X, columns=["a", "b"])
    for before, now in [
        ((X, y), (X[:, :1], y)),
        ((X, y), (X, two)),
        ((X, two), (X, y)),
        ((frame, y), (frame[["b", "a"]], y)),
    ]:
        model = DescentRegressor(warm_start=True).fit(*before)
        coef = model.coef_
        with pytest.raises(SettingError, match="the previous fit, but that fit had other columns"):
            model.fit(*now)
        assert model.coef_ is coef
        clone(model).fit(*now)


@pytest.mark.parametrize(
    ("settings_", "advised", "idle"),
    [
        ({"epochs": 2, "lr": 1e-12}, ["epochs=None"], ["lr='auto'"]),
        (
            {"schedule": "exponential:0.5", "momentum": 0.9},
            ["these 100 epochs", "schedule"],
            ["epochs=None", "auto"],
        ),
        ({"batch_size": 1, "epochs": 1, "average": None}, ["these 1 epoch"], ["auto", "standardize"]),
        ({"batch_size": 8, "ridge": 1e-9}, ["More epochs than these", "applies the ridge"], ["auto", "None"]),
        ({"batch_size": 8, "standardize": False}, ["standardize=True gets"], ["auto", "ridge"]),
        ({"batch_size": 8, "lr": 1e-12}, ["lr='auto'"], ["epochs=None", "standardize=True"]),
    ],
)
def test_what_would_come_nearer_is_nothing_that_is_so_already(
    settings_: dict[str, Any], advised: list[str], idle: list[str]
) -> None:
    with pytest.warns(ConvergenceWarning) as caught:
        DescentRegressor(random_state=0, **settings_).fit(*unscaled())
    said = str(caught[0].message)
    assert all(part in said for part in advised)
    assert not any(part in said for part in idle)


def test_early_stopping_that_does_not_stop_says_so() -> None:
    X, y = unscaled()
    asked: dict[str, Any] = {"lr": 1e-3, "standardize": True, "early_stopping": True, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="Not converged after 5 epochs"):
        DescentRegressor(epochs=5, **asked).fit(X, y)


def test_after_early_stopping_a_part_is_merged_with_all_rows_and_nothing_is_left_of_it() -> None:
    X, y = unscaled()
    model = DescentRegressor(early_stopping=True, random_state=0).fit(X[:300], y[:300])
    model.set_params(early_stopping=False).partial_fit(X[300:], y[300:])
    assert model.factor_.rows == 400
    np.testing.assert_allclose(model.coef_, DescentRegressor().fit(X, y).coef_, rtol=1e-12)
    assert not hasattr(model, "validation_")


def test_a_generator_is_a_random_state_and_a_target_that_is_not_there_is_named() -> None:
    X, y = unscaled()
    for kind in (DescentRegressor, DescentRegressorCV):
        same, again = (kind(random_state=np.random.default_rng(3)).fit(X, y).coef_ for _ in range(2))
        np.testing.assert_array_equal(same, again)
    first, other = (
        DescentRegressor(batch_size=8, epochs=2, random_state=np.random.default_rng(seed)).fit(X, y).coef_
        for seed in (0, 1)
    )
    assert (first != other).all()
    with pytest.raises(SettingError, match="no target 1: this fit has 1"):
        DescentRegressor().fit(X, y).diagnose(1)


@pytest.mark.parametrize(
    ("settings_", "cure", "idle"),
    [
        ({"lr": 1e-12, "momentum": 1.5}, "momentum below 1", "auto"),
        ({"lr": 0.1, "momentum": 1.0}, "momentum below 1", "bound"),
        ({"lr": 1e-3, "momentum": 1.5, "batch_size": 8, "standardize": True}, "momentum below 1", "auto"),
        ({"schedule": lambda epochs: 2.0**epochs}, "does not grow", "Use lr"),
        ({"lr": 0.6}, "Use lr='auto'", "momentum"),
    ],
)
def test_what_diverges_is_told_a_cure_that_is_one(settings_: dict[str, Any], cure: str, idle: str) -> None:
    with pytest.raises(DivergenceError) as caught:
        DescentRegressor(random_state=0, **settings_).fit(*unscaled())
    assert cure in str(caught.value)
    assert idle not in str(caught.value)


def test_moments_are_refused_since_their_unit_would_be_anybodys_guess() -> None:
    pl = optional("polars")
    _, y = unscaled()
    moments = pd.date_range("2024-01-01", periods=400, freq="h")
    table = pd.DataFrame({"size": np.arange(400.0), "day": moments, "wait": moments - moments[0]})
    model = DescentRegressor().fit(table[["size"]].set_axis(["day"], axis=1), y)
    for X in (
        table,
        table.assign(day=moments.tz_localize("Asia/Seoul")),
        table.convert_dtypes(dtype_backend="pyarrow"),
        pl.from_pandas(table),
    ):
        for kind in (DescentRegressor, DescentRegressorCV):
            with pytest.raises(DataError, match="dates or times in `day`, `wait`,"):
                kind().fit(X, y)
        with pytest.raises(DataError, match="in `day`,"):
            model.predict(X[["day"]])
    with pytest.raises(DataError, match="in `X`,"):
        DescentRegressor().partial_fit(moments.to_numpy()[:, None].astype("M8[s]"), y)
    for target in (moments, pd.Series(moments), table[["wait"]], moments.to_numpy()):
        with pytest.raises(DataError, match=r"in `(y|wait)`,"):
            DescentRegressor().fit(table[["size"]], target)
    days = (table["day"] - table["day"].min()) / np.timedelta64(1, "D")
    assert DescentRegressor().fit(days.to_frame(), y).n_features_in_ == 1


def test_a_model_is_given_and_taken() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2)) + np.array([5, 100])
    y = X @ [2.0, -1] + rng.standard_normal(60)
    fitted = DescentRegressor().fit(X, y)
    model = fitted.to_model()
    np.testing.assert_allclose(model.predict(X), fitted.predict(X), rtol=1e-12)
    expected = dl.Problem(X, y).solve().model.predict(X, interval=0.9)
    np.testing.assert_allclose(model.predict(X, interval=0.9), expected, rtol=1e-9)
    taken = DescentRegressor.from_model(dl.Model.from_json(model.to_json()), warm_start=True)
    np.testing.assert_allclose(taken.predict(X), fitted.predict(X), rtol=1e-12)
    with pytest.raises(dl.SettingError, match="made from a model"):
        taken.to_model()
    early = DescentRegressor(epochs=2, lr=5e-5).set_params(standardize=False)
    with pytest.warns(ConvergenceWarning):
        early.fit(X, y)
    with pytest.raises(dl.SettingError, match="before its minimum"):
        early.to_model().predict(X, interval=0.9)


def test_a_model_of_a_formula_is_not_taken() -> None:
    model = dl.Problem(pa.table({"x": [1.0, 2, 3], "y": [1.0, 2, 4]}), formula="y ~ log(x)").solve().model
    with pytest.raises(dl.SettingError, match=r"functions of columns"):
        DescentRegressor.from_model(model)
