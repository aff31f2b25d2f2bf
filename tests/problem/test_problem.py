"""The numbers of a problem against plain NumPy on the rows; how rows come in is tested in tests/data."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from tests.extras import needs
from tests.rational import correct_digits, fractions, least_squares

rng = np.random.default_rng(31)
N, D = 60, 3
X = rng.normal(size=(N, D)) * [1, 20, 0.05] + [0, 100, -1]
y = X @ [1.0, -0.5, 8] + 3 + rng.normal(size=N)
WEIGHTS = rng.integers(0, 5, N)
HOW: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "centered": {"center": True},
    "standardized": {"standardize": True},
    "scaled": {"standardize": True, "bias": False},
    "ridge": {"ridge": 0.4},
    "ridge standardized": {"ridge": 0.4, "standardize": True},
}


@pytest.fixture(params=HOW)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return HOW[request.param]


def slow(settings: dict[str, Any], weights: Any = None) -> tuple[Any, Any, Any]:
    """Descended columns, their means and scales, straight from the definition."""
    w = np.ones(N) if weights is None else weights
    bias = settings.get("bias", True)
    means = (
        np.average(X, axis=0, weights=w)
        if settings.get("center") or (settings.get("standardize") and bias)
        else np.zeros(D)
    )
    scales = np.sqrt(np.average((X - means) ** 2, axis=0, weights=w)) if settings.get("standardize") else np.ones(D)
    columns = (X - means) / scales
    return np.column_stack([columns, np.ones(N)]) if bias else columns, means, scales


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cost_and_gradient_are_those_of_the_rows(settings: dict[str, Any], weights: Any, reduction: str) -> None:
    problem = dl.Problem(X, y, weights=weights, **settings)
    w = np.ones(N) if weights is None else weights
    Z, means, scales = slow(settings, weights)
    for _ in range(3):
        p = rng.normal(size=Z.shape[1])
        W = p[:D] / scales
        units = np.append(W, p[D:] - W @ means)  # the same hypothesis in the data's units
        r = Z @ p - y
        assert problem.cost(units) == pytest.approx(np.average(r**2, weights=w), rel=1e-12)
        c = {"mean": 2 / w.sum(), "half_mean": 1 / w.sum(), "sum": 2, "half_sum": 1}[reduction]
        assert gradient_scale(reduction, w.sum()) == c
        penalty = w.sum() * problem.ridge * np.append(p[:D], 0 * p[D:])
        np.testing.assert_allclose(
            problem.gradient(units, reduction), c * (Z.T @ (w * r) + penalty), rtol=1e-9, atol=1e-9
        )


def test_the_gradient_is_the_slope_of_the_cost() -> None:
    problem = dl.Problem(X, y, ridge=0.1)
    p, step = rng.normal(size=D + 1), 1e-5
    slope = [
        (problem.quadratic.objective(p + e) - problem.quadratic.objective(p - e)) / (2 * step)
        for e in step * np.eye(D + 1)
    ]
    np.testing.assert_allclose(problem.gradient(p), slope, rtol=1e-6)


def test_the_minimum_is_that_of_the_normal_equations(settings: dict[str, Any]) -> None:
    problem = dl.Problem(X, y, weights=WEIGHTS, **settings)
    Z, means, scales = slow(settings, WEIGHTS)
    ridges = np.append([WEIGHTS.sum() * problem.ridge] * D, [0.0] * problem.bias)
    p = np.linalg.solve(Z.T @ (WEIGHTS[:, None] * Z) + np.diag(ridges), Z.T @ (WEIGHTS * y))
    W = p[:D] / scales
    minimum = problem.solve()
    np.testing.assert_allclose(minimum.params, np.append(W, p[D:] - W @ means), rtol=1e-9)
    assert minimum.cost == pytest.approx(np.average((Z @ p - y) ** 2, weights=WEIGHTS), rel=1e-12)
    assert minimum.min_digits > 9
    np.testing.assert_allclose(problem.gradient(minimum.params), 0, atol=1e-10)


def test_weights_are_repetition(settings: dict[str, Any]) -> None:
    weighted = dl.Problem(X, y, weights=WEIGHTS, **settings)
    repeated = dl.Problem(np.repeat(X, WEIGHTS, axis=0), np.repeat(y, WEIGHTS), **settings)
    assert weighted.weight == repeated.weight == WEIGHTS.sum()
    np.testing.assert_allclose(weighted.solve().params, repeated.solve().params, rtol=1e-11)
    np.testing.assert_allclose(weighted.spectrum().eigenvalues, repeated.spectrum().eigenvalues, rtol=1e-11)


def test_a_factor_is_as_good_as_its_rows(settings: dict[str, Any], tmp_path: Path) -> None:
    rows = dl.Problem(X, y, **settings)
    factor = dl.Factor.from_block(np.column_stack([y, X[:, ::-1], X[:, 0]]), ["y", "x3", "x2", "x1", "other"])
    factor.save(tmp_path / "factor")
    alone = dl.Problem(dl.Factor.load(tmp_path / "factor"), target="y", features=["x1", "x2", "x3"], **settings)
    assert alone.parameters == rows.parameters
    assert not alone.has_rows
    np.testing.assert_allclose(alone.solve().params, rows.solve().params, rtol=1e-11)
    np.testing.assert_allclose(alone.spectrum().eigenvalues, rows.spectrum().eigenvalues, rtol=1e-11)
    p = np.linspace(0.5, 2, len(rows.parameters))
    assert alone.cost(p) == pytest.approx(rows.cost(p), rel=1e-12)


def test_coordinates_there_and_back(settings: dict[str, Any]) -> None:
    problem = dl.Problem(X, y, **settings)
    p = rng.normal(size=(4, len(problem.parameters)))
    np.testing.assert_allclose(problem.scaling.to_original(problem.scaling.to_scaled(p)), p, rtol=1e-12)
    _, means, scales = slow(settings)
    np.testing.assert_allclose(problem.scaling.means, means, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(problem.scaling.scales, scales, rtol=1e-13)
    rows = problem.scaled_rows()
    np.testing.assert_allclose(rows.X, (X - means) / scales, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_without_standardizing_the_columns_are_as_they_were(bias: bool) -> None:
    problem = dl.Problem(X, y, bias=bias, standardize=True).with_changes(standardize=False)
    Z = np.column_stack([X, np.ones(N)])[:, : D + bias]
    assert not problem.center
    np.testing.assert_allclose(problem.quadratic.gradient(np.zeros(D + bias)), -Z.T @ y, rtol=1e-10)


def test_a_constant_column_is_not_blown_up() -> None:
    """Its spread is rounding alone; dividing by it would make noise a feature."""
    constant = np.where(np.arange(N) % 2, 0.3, 0.1 + 0.2)
    problem = dl.Problem(np.column_stack([X, constant]), y, standardize=True)
    assert problem.scaling.scales[3] == 1.0
    assert [notice.key for notice in problem.notices] == ["notice.constant"]
    np.testing.assert_allclose(problem.solve().params[:3], dl.Problem(X, y).solve().params[:3], rtol=1e-9)
    assert problem.solve().rank == 4


# Traps that well-known tools fall into.


def test_columns_a_billionfold_apart_both_count() -> None:
    small, large = rng.normal(size=500), 1e9 * rng.normal(size=500)
    target = 3 * small + 2e-9 * large + 0.01 * rng.normal(size=500)
    minimum = dl.Problem(np.column_stack([small, large]), target).solve()
    assert minimum.rank == 3
    assert 1 - minimum.cost / target.var() > 0.9998
    np.testing.assert_allclose(minimum.params[:2], [3, 2e-9], rtol=1e-2)


@pytest.mark.parametrize("resolution", [1, 86_400])
def test_epoch_timestamps(resolution: int) -> None:
    t = [Fraction(1_700_000_000 + resolution * k) for k in (0, 1, 2, 5, 7, 11, 12, 20)]
    target = fractions([3, 1, 4, 1, 5, 9, 2, 6])
    minimum = dl.Problem([float(v) for v in t], [float(v) for v in target]).solve()
    correct = correct_digits(minimum.params, least_squares([t], target))
    assert correct.min() > 12
    assert (minimum.digits <= correct).all()
    assert minimum.rank == 2


def test_an_offset_of_a_million_in_float32() -> None:
    column = (1e6 + rng.integers(0, 100, N) / 4).astype(np.float32)  # quarters: float32 holds them at 1e6 to 1/16
    target = (2 * (column.astype(np.float64) - 1e6) + 1).astype(np.float32)
    minimum = dl.Problem(column, target).solve()
    assert minimum.params[0] == pytest.approx(2, rel=1e-14)
    assert minimum.params[1] == pytest.approx(1 - 2e6, rel=1e-14)
    assert minimum.cost < 1e-20


# At the edges of what there is to compute.


def check(problem: dl.Problem) -> dl.Minimum:
    """Everything that can be asked is a number, and asking warns of nothing."""
    minimum, spectrum = problem.solve(), problem.spectrum()
    assert np.isfinite(minimum.params).all()
    assert np.isfinite(minimum.digits).all()
    assert minimum.cost >= 0
    assert np.isfinite(spectrum.eigenvalues).all()
    assert np.isfinite(spectrum.directions).all()
    assert (spectrum.eigenvalues[: spectrum.rank] > 0).all()
    assert spectrum.lr_bound() > 0
    assert np.isfinite(problem.gradient(minimum.params)).all()
    assert problem.cost(minimum.params) <= problem.cost(np.zeros(len(minimum.params))) * (1 + 1e-9) + 1e-300
    assert minimum.text("ko")
    return minimum


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("features", "target"),
    [
        ([[2.0]], [3.0]),
        ([[0.0]], [3.0]),
        ([[0.0]], [0.0]),
        ([[2.0, 3.0, 4.0]], [1.0]),
        ([[1.0], [2.0], [4.0]], [0.0, 0.0, 0.0]),
        ([[0.0], [0.0]], [1.0, 2.0]),
        ([[5.0], [5.0]], [1.0, 2.0]),
        ([[0.1], [0.1], [0.1]], [0.1, 0.2, 0.3]),
        ([[1e149], [-1e149], [3e149]], [1.0, 2.0, 5.0]),
        ([[1.0], [2.0], [4.0]], [1e149, -1e149, 0.0]),
        ([[1e-139], [2e-139], [4e-139]], [1.0, 2.0, 5.0]),
        ([[1.0], [2.0], [4.0]], [1e-139, 2e-139, 5e-139]),
        ([[1.0], [2.0], [5e-324]], [1.0, 5e-324, 0.0]),
        ([[1.0, 1e-320], [2.0, 1.0], [3.0, 2.0]], [1.0, 2.0, 4.0]),
    ],
)
def test_edges(features: Any, target: Any, bias: bool, standardize: bool) -> None:
    check(dl.Problem(np.array(features), np.array(target), bias=bias, standardize=standardize))


def test_two_hundred_columns() -> None:
    wide = rng.normal(size=(500, 200))
    truth = rng.normal(size=200)
    minimum = check(dl.Problem(wide, wide @ truth + 1))
    np.testing.assert_allclose(minimum.params, [*truth, 1], rtol=1e-9, atol=1e-12)
    check(dl.Problem(wide[:20], wide[:20, 0]))


def test_rows_of_weight_zero_do_not_count() -> None:
    weights = np.ones(N)
    weights[::2] = 0
    wild = X.copy()
    wild[::2] = 1e9
    minimum = check(dl.Problem(wild, y, weights=weights))
    np.testing.assert_allclose(minimum.params, dl.Problem(X[1::2], y[1::2]).solve().params, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e300, 1e-300, 5e-324])
def test_squares_beyond_float64_are_refused_with_a_way_out(scale: float) -> None:
    for features, target in (([scale, 2 * scale], [1.0, 2.0]), ([1.0, 2.0], [scale, 2 * scale])):
        with pytest.raises(dl.DataError, match=r"square") as caught:
            dl.Problem(np.array(features), np.array(target))
        assert caught.value.message.text("ko")
    with pytest.raises(dl.DataError):
        dl.Problem([1.0, 2.0], [1.0, 2.0], weights=[scale, scale])


def test_what_is_handed_out_cannot_change_what_others_rely_on() -> None:
    problem = dl.Problem([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 4.0])
    minimum = problem.solve()
    expected = minimum.params.copy()
    minimum.params[:] = 0
    np.testing.assert_array_equal(problem.solve().params, expected)
    with pytest.raises(ValueError, match="read-only"):
        problem.spectrum().directions[:] = 0
    start = np.array([5.0, 5.0, 5.0])
    descent = dl.Descent(lr=0.1, start=start)
    start[:] = 0
    assert dl.descend(problem, descent).history.params[0].tolist() == [5, 5, 5]


@needs("pandas")
def test_a_run_on_a_table_survives_pickling() -> None:
    import pickle

    import pandas as pd

    problem = dl.Problem(pd.DataFrame({"a": [1.0, 2, 4], "y": [1.0, 2, 3]}), target="y")
    run = pickle.loads(pickle.dumps(dl.descend(problem, lr=0.01, epochs=5)))
    again = dl.descend(run.problem, engine="hand", lr=0.01, epochs=5)
    np.testing.assert_allclose(again.params, run.params, rtol=1e-12)


@pytest.mark.parametrize(
    ("columns", "bias", "hypothesis"),
    [(1, True, "H(x) = Wx + b"), (1, False, "H(x) = Wx"), (2, True, "H(x) = W·x + b"), (2, False, "H(x) = W·x")],
)
def test_the_hypothesis_in_one_line(columns: int, bias: bool, hypothesis: str) -> None:
    problem = dl.Problem(X[:, :columns], y, bias=bias)
    assert problem.hypothesis == hypothesis
    names = " + ".join(["x"] if columns == 1 else ["x1", "x2"])
    assert repr(problem) == f"Problem(y ~ {names}{'' if bias else ', no bias'}; 60 rows)"


@pytest.mark.parametrize(("columns", "listed"), [(8, "x1, x2, x3, x4, x5, x6, x7, x8"), (9, "x7, x8, ...")])
def test_a_title_lists_at_most_eight_features(columns: int, listed: str) -> None:
    values = dl.Problem(rng.normal(size=(N, columns)), y).title.values
    assert str(values["features"]).endswith(listed)


@pytest.mark.parametrize(
    ("settings", "summary"),
    [
        ({}, []),
        ({"ridge": 0.4}, ["ridge 0.4"]),
        ({"center": True}, ["centered"]),
        ({"standardize": True}, ["standardized"]),
        ({"standardize": True, "bias": False, "ridge": 2}, ["ridge 2", "standardized"]),
    ],
)
def test_settings_in_words_and_as_json(settings: dict[str, Any], summary: list[str]) -> None:
    problem = dl.Problem(X, y, weights=WEIGHTS, **settings)
    assert problem.summary == summary
    stored = problem.to_dict()
    assert stored["rows"] == N
    assert stored["weight"] == WEIGHTS.sum()
    assert stored["center"] == bool(settings.get("bias", True) and summary and not summary[-1].startswith("ridge"))
    assert {key: stored[key] for key in settings} == settings


@pytest.mark.parametrize(
    ("start", "key"),
    [
        ([1.0, 2, 3], "start_length"),
        ([1.0, 2, 3, 4, 5], "start_length"),
        ([[1.0, 2, 3, 4]], "start_length"),
        ([1.0, 2, 3, np.nan], "start_values"),
        (["a", 2, 3, 4], "start_values"),
        ([[1], [2, 3]], "start_values"),
    ],
)
def test_parameters_that_cannot_be_are_refused(start: Any, key: str) -> None:
    with pytest.raises(dl.SettingError) as caught:
        dl.Problem(X, y).scaled_params(start)
    assert caught.value.message.key == f"error.{key}"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"y": y}, "factor_with_rows"),
        ({"weights": WEIGHTS}, "factor_with_rows"),
        ({"formula": "y ~ x1"}, "factor_with_formula"),
        ({"categories": ["x1"]}, "factor_with_formula"),
        ({"center": True, "bias": False}, "center_without_bias"),
    ],
)
def test_what_a_factor_does_not_go_with(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(dl.SettingError) as caught:
        dl.Problem(dl.Problem(X, y).factor, **settings)
    assert caught.value.message.key == f"error.{key}"


def test_notices_are_about_rows_that_are_too_few_for_the_parameters() -> None:
    def keys(rows: int, **settings: Any) -> list[str]:
        return [notice.key for notice in dl.Problem(X[:rows], y[:rows], **settings).notices]

    assert keys(4) == []
    assert keys(3) == ["notice.few_rows"]
    assert keys(3, bias=False) == []
    assert keys(3, ridge=0.1) == []
    assert keys(N, standardize=True, bias=False) == ["notice.scaled_only"]


def test_a_ridge_on_a_scale_that_is_rounding_has_no_bound() -> None:
    """The spread of the second column may be rounding; on standardized columns it decides what the ridge is."""
    near = np.column_stack([X[:, 0], np.where(np.arange(N) % 2, 0.3, 0.1 + 0.2)])
    for ridge, standardize, known in ((0.1, True, False), (0.0, True, True), (0.1, False, True)):
        problem = dl.Problem(near, y, ridge=ridge, standardize=standardize)
        assert np.isfinite(problem.fit.cost_error) == known
        assert np.isfinite(problem.fit.error_bounds).any() == known
    whole = dl.Problem(np.column_stack([X[:, 0], np.full(N, 0.5)]), y, ridge=0.1, standardize=True)
    assert np.isfinite(whole.fit.cost_error)
