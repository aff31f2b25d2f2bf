"""Statistics of a fit against exact fractions: standard errors, sigma, R2 and F, and no digit too many."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

import descentlab as dl
from descentlab.problem.statistics import Statistics
from tests.extras import needs
from tests.problem.campaign import RandomProblem, random_problems
from tests.problem.test_nist import SETS, Set, as_floats, observations
from tests.rational import Vector, fractions, solve_singular

SCALARS = ("sigma", "r2", "adjusted_r2", "f")


class Exact(NamedTuple):
    """The squares of standard errors and of sigma, R2 and F, as fractions."""

    variances: Vector
    sigma2: Fraction
    r2: Fraction
    adjusted_r2: Fraction
    f: Fraction | None


def exact_statistics(columns: list[Vector], y: Vector, w: Vector, n: Fraction, *, bias: bool) -> Exact:
    """By the normal equations in fractions; ``n`` is what counts as the number of observations."""
    columns = [*columns, *([[Fraction(1)] * len(y)] if bias else [])]

    def dot(a: Vector, b: Vector) -> Fraction:
        return sum((u * v * s for u, v, s in zip(a, b, w, strict=True)), Fraction(0))

    gram = [[dot(a, b) for b in columns] for a in columns]
    params, _ = solve_singular([[*row, dot(a, y)] for row, a in zip(gram, columns, strict=True)])
    residuals = [sum((p * c[i] for p, c in zip(params, columns, strict=True)), -y[i]) for i in range(len(y))]
    rss, total = dot(residuals, residuals), dot(y, y)
    if bias:
        total -= dot(y, [Fraction(1)] * len(y)) ** 2 / sum(w, Fraction(0))
    k, slopes = len(columns), len(columns) - bias
    sigma2 = rss / (n - k)
    units = [[Fraction(int(i == j)) for i in range(k)] for j in range(k)]
    inverse = [solve_singular([[*row, e] for row, e in zip(gram, unit, strict=True)])[0] for unit in units]
    adjusted = 1 - rss / (n - k) / (total / (n - bias))
    f = (total - rss) / slopes / sigma2 if rss else None
    return Exact([sigma2 * inverse[j][j] for j in range(k)], sigma2, 1 - rss / total, adjusted, f)


def digits(computed: float, exact: Fraction, *, root: bool = False) -> float:
    """Correct decimal digits; of a root from its square."""
    relative = Fraction(computed) ** 2 / exact - 1 if root else Fraction(computed) / exact - 1
    return -math.log10(abs(relative) / (2 if root else 1)) if relative else math.inf


def from_floats(data: Set) -> tuple[list[Vector], Vector]:
    """The columns and the response as the float64 that are given."""
    columns, y = observations(data)
    return [[Fraction(float(v)) for v in column] for column in as_floats(data, columns).T], [
        Fraction(float(v)) for v in y
    ]


@pytest.fixture(params=SETS, ids=lambda data: data.name)
def data(request: pytest.FixtureRequest) -> Set:
    chosen: Set = request.param
    return chosen


def correct_and_claimed(fit: Statistics, exact: Exact) -> tuple[Any, Any]:
    """The correct digits of standard errors, sigma, R2 and F, and those that the fit claims."""
    found = [digits(s, v, root=True) for s, v in zip(fit.standard_errors, exact.variances, strict=True)]
    found += [digits(fit.sigma, exact.sigma2, root=True)]
    found += [digits(getattr(fit, name), getattr(exact, name)) for name in ("r2", "adjusted_r2", "f")]
    return np.array(found), np.array([*fit.digits_of("standard_errors"), *map(fit.digits_of, SCALARS)])


# Digits of the data as given; of the decimals that NIST prints, Filip's powers determine 7.6.
LEAST_DIGITS = {"filip": 9.0, "wampler5": 13.0, "wampler4": 13.0, "wampler3": 13.0}


def test_nist(data: Set) -> None:
    columns, y = from_floats(data)
    fit = dl.Problem(as_floats(data, observations(data)[0]), [float(v) for v in y], bias=data.bias).solve()
    if data.name in ("wampler1", "wampler2"):  # exact fits: certified 0
        assert fit.fits_exactly
        assert np.isnan([fit.sigma, fit.f, *fit.standard_errors, *fit.p_values, *fit.interval().flat]).all()
        assert fit.r2 == pytest.approx(1, abs=1e-15)
        return
    ones, n = [Fraction(1)] * len(y), Fraction(len(y))
    as_given, claimed = correct_and_claimed(fit, exact_statistics(columns, y, ones, n, bias=data.bias))
    as_printed, _ = correct_and_claimed(fit, exact_statistics(*observations(data), ones, n, bias=data.bias))
    print(data.name, as_given.round(1), as_printed.round(1), claimed.round(1))
    assert as_given.min() >= LEAST_DIGITS.get(data.name, 14.0)
    assert (claimed <= np.minimum(as_given, as_printed)).all()
    assert claimed.min() >= min(15, *as_printed) - 5.5  # modest, and not useless


@pytest.mark.parametrize("weights_are", ["frequency", "analytic"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("offset", [0, 10**8])
def test_random_designs_exactly(weights_are: str, bias: bool, offset: int) -> None:
    rng = np.random.default_rng(offset + 2 * bias + (weights_are == "analytic"))
    for _ in range(5):
        n, d = 12, 3
        X, y, w = offset + rng.integers(-9, 10, (n, d)), rng.integers(-99, 100, n), rng.integers(1, 5, n)
        fit = dl.Problem(X.astype(float), y.astype(float), weights=w, weights_are=weights_are, bias=bias).solve()
        n_observations = Fraction(int(w.sum()) if weights_are == "frequency" else n)
        exact = exact_statistics(
            [[Fraction(int(v)) for v in column] for column in X.T],
            [Fraction(int(v)) for v in y],
            [Fraction(int(v)) for v in w],
            n_observations,
            bias=bias,
        )
        found, claimed = correct_and_claimed(fit, exact)
        assert (claimed <= found).all()
        assert found.min() > 5
        t = fit.params / fit.standard_errors
        np.testing.assert_allclose(fit.p_values, 2 * stats.t.sf(np.abs(t), fit.df_residual), rtol=1e-11)
        assert fit.f_p_value == pytest.approx(stats.f.sf(fit.f, d, fit.df_residual), rel=1e-11)
        quantile = stats.t.ppf(0.95, fit.df_residual)
        np.testing.assert_allclose(fit.interval(0.9)[:, 1], fit.params + quantile * fit.standard_errors, rtol=1e-12)


def test_a_row_of_frequency_two_is_two_rows() -> None:
    X, y, w = np.array([[1.0], [2], [4], [7]]), np.array([2.0, 3, 5, 9]), np.array([1, 2, 3, 1])
    weighted = dl.Problem(X, y, weights=w).solve()
    repeated = dl.Problem(np.repeat(X, w, axis=0), np.repeat(y, w)).solve()
    assert weighted.summary().text().splitlines()[:-4] == repeated.summary().text().splitlines()
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-12)
    for name in ("log_likelihood", "aic", "bic", "f", "adjusted_r2"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-12)


def test_criteria_are_those_of_the_normal_density() -> None:
    """Also for analytic weights, where the variance of row i is sigma^2 / w_i; not without the rows' weights."""
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(20, 2)), rng.normal(size=20), rng.uniform(0.5, 2, 20)
    problem = dl.Problem(X, y, weights=w, weights_are="analytic")
    fit = problem.solve()
    residuals = y - X @ fit.params[:2] - fit.params[2]
    sigma2 = np.sum(w * residuals**2) / 20
    expected = stats.norm.logpdf(residuals, scale=np.sqrt(sigma2 / w)).sum()
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-13)
    assert fit.aic == pytest.approx(2 * 3 - 2 * expected, rel=1e-13)
    assert fit.bic == pytest.approx(3 * np.log(20) - 2 * expected, rel=1e-13)
    without_rows = dl.Problem(problem.factor, weights_are="analytic").solve()
    assert np.isnan([without_rows.log_likelihood, without_rows.aic]).all()
    assert "log-likelihood" in without_rows.summary().text("en")
    assert without_rows.sigma == fit.sigma


@pytest.mark.parametrize("scale", [1e-8, 1e8, 1e-130, 2.0**100])
def test_p_values_do_not_depend_on_the_unit(scale: float) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 2)) + 3
    y = X @ [1, 0.1] + rng.normal(size=50)
    fit, scaled = dl.Problem(X, y).solve(), dl.Problem(X * [scale, 1], y).solve()
    np.testing.assert_allclose(scaled.p_values, fit.p_values, rtol=1e-12)
    np.testing.assert_allclose(scaled.standard_errors, fit.standard_errors / [scale, 1, 1], rtol=1e-13)
    assert scaled.digits_of("p_values").min() > 9


@pytest.mark.parametrize("seconds", [86400, 3600, 60])
@pytest.mark.parametrize("unit", [1, 1000, 10**6])
def test_a_timestamp_within_a_day_an_hour_a_minute(seconds: int, unit: int) -> None:
    """The slope is 3 a second; the data, not the arithmetic, limits the digits."""
    rng = np.random.default_rng(seconds)
    ticks = np.sort(rng.integers(0, seconds * unit, 200)) + 1_700_000_000 * unit
    noise = rng.integers(-50, 51, 200)
    y = 3 * (ticks - 1_700_000_000 * unit) + noise * unit
    fit = dl.Problem(ticks, y).solve()
    exact = exact_statistics(
        [[Fraction(int(v)) for v in ticks]],
        [Fraction(int(v)) for v in y],
        [Fraction(1)] * 200,
        Fraction(200),
        bias=True,
    )
    found, claimed = correct_and_claimed(fit, exact)
    assert (claimed <= found).all()
    assert found.min() > 12
    np.testing.assert_allclose(fit.params[0], 3, rtol=60 / seconds)


def test_what_the_data_does_not_determine_is_not_given_an_error() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 3))
    y = x @ [1, 2, 3] + rng.normal(size=30)
    fit = dl.Problem(np.column_stack([x, 2 * x[:, 0] - x[:, 1] + 5]), y).solve()
    assert np.isnan(fit.standard_errors).tolist() == [True, True, False, True, True]
    assert fit.df_residual == 30 - 4
    whole = dl.Problem(x, y).solve()
    np.testing.assert_allclose(fit.standard_errors[2], whole.standard_errors[2], rtol=1e-12)
    assert fit.f == pytest.approx(whole.f, rel=1e-12)
    assert np.isnan(fit.covariance).sum() == 24
    text = fit.summary().text("en")
    assert "not determined" in text
    assert "`x4` = 2·`x1` - `x2` + 5" in text


def test_a_prediction_leaves_the_relation_or_keeps_it() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 2))
    y = x @ [1, 2] + rng.normal(size=30)
    Z = np.column_stack([x, np.ones(30)])
    point = np.array([0.3, -2.0, 1.0])
    whole = dl.Problem(x, y).solve()
    error = whole.sigma * np.sqrt(point @ np.linalg.inv(Z.T @ Z) @ point)
    half = stats.t.ppf(0.975, 27) * np.array([error, np.hypot(error, whole.sigma)])
    center = point @ whole.params
    np.testing.assert_allclose(whole.mean_interval(point[:2])[0], [center - half[0], center + half[0]], rtol=1e-12)
    np.testing.assert_allclose(
        whole.prediction_interval([point[:2]])[0], [center - half[1], center + half[1]], rtol=1e-12
    )
    doubled = dl.Problem(np.column_stack([x, 2 * x[:, 0]]), y).solve()
    inside, outside = doubled.mean_interval([[0.3, -2, 0.6], [0.3, -2, 0.7]])
    np.testing.assert_allclose(inside, whole.mean_interval(point[:2])[0], rtol=1e-12)
    assert np.isnan(outside).all()


@pytest.mark.parametrize("standardize", [False, True])
def test_a_ridge_has_the_covariance_of_its_linear_map(standardize: bool) -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(40, 3)) * [1, 5, 0.2] + 7
    y = X @ [1, 2, 3] + rng.normal(size=40)
    fit = dl.Problem(X, y, ridge=0.3, standardize=standardize).solve()
    Z, scales = np.column_stack([X, np.ones(40)]), X.std(axis=0) if standardize else np.ones(3)
    G = np.linalg.inv(Z.T @ Z + np.diag([*(40 * 0.3 * scales**2), 0]))
    H = Z @ G @ Z.T
    df = 40 - 2 * np.trace(H) + np.trace(H @ H)
    sigma2 = np.sum((y - H @ y) ** 2) / df
    np.testing.assert_allclose(fit.df_residual, df, rtol=1e-12)
    np.testing.assert_allclose(fit.covariance, sigma2 * G @ Z.T @ Z @ G, rtol=1e-9)
    assert np.isnan([*fit.t, *fit.p_values, *fit.interval().flat, fit.f, fit.aic, fit.adjusted_r2]).all()
    assert fit.digits_of("standard_errors").min() > 8


def test_too_few_rows_have_no_errors() -> None:
    fit = dl.Problem([[1.0, 2], [2, 1]], [1.0, 3]).solve()
    assert fit.df_residual == 0
    assert np.isnan([fit.sigma, *fit.standard_errors, fit.f, fit.aic, fit.adjusted_r2]).all()
    assert "no degree of freedom" in " ".join(fit.summary().text("en").split())
    normalized = dl.Problem([[1.0], [2], [3]], [1.0, 2, 4], weights=[0.2, 0.3, 0.5]).solve()
    assert "--weights-are analytic" in normalized.summary().text("en")


def test_a_constant_target_has_no_r2() -> None:
    fit = dl.Problem([[1.0], [2], [3], [4]], [5.0] * 4).solve()
    assert np.isnan([fit.r2, fit.f, fit.sigma]).all()
    assert "does not vary" in fit.summary().text("en")


@pytest.mark.parametrize("level", [0, 1, 1.2, -0.5, float("nan"), "x"])
def test_a_level_that_is_none(level: Any) -> None:
    with pytest.raises(dl.SettingError):
        dl.Problem([1.0, 2, 3], [1.0, 2, 4]).solve().interval(level)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    """1,000 targets on one design of 8 rows: the share that covers is within four standard deviations of 95%."""
    rng = np.random.default_rng(5)
    X, new, true = rng.normal(size=(8, 2)) + 10, np.array([9.0, 12.0]), np.array([1.0, -2.0, 3.0])
    names, covered = ["x1", "x2", *(f"y{j}" for j in range(20))], np.zeros(5)
    for _ in range(50):
        noise = 0.5 * rng.normal(size=(9, 20))
        factor = dl.Factor.from_block(np.column_stack([X, (X @ true[:2] + 3)[:, None] + noise[:8]]), names)
        for j in range(20):
            fit = dl.Problem(factor, target=f"y{j}", features=["x1", "x2"]).solve()
            mean = new @ true[:2] + 3
            lower, upper = np.vstack([fit.interval(), fit.mean_interval([new]), fit.prediction_interval([new])]).T
            goals = np.array([*true, mean, mean + noise[8, j]])
            covered += (lower < goals) & (goals < upper)
    assert np.abs(covered / 1000 - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / 1000)


@pytest.mark.slow
def test_digits_hold_for_random_problems_and_every_summary_is_written() -> None:
    """Of the data as given, or of the numbers that were meant, which its float64 are nearest to."""
    checked = 0
    for problem in islice(random_problems(3), 250):
        try:
            fit = dl.Problem(problem.X, problem.y, weights=problem.weights, **problem.settings).solve()
        except dl.DescentlabError:
            continue
        assert "nan" not in fit.summary().text()
        if problem.settings["ridge"] or fit.regression.fit.dependent or math.isnan(fit.sigma):
            continue
        given = [fractions(column) for column in problem.X.T.tolist()]
        assert claims_hold(fit, problem, given) or claims_hold(fit, problem, problem.meant), problem
        checked += 1
    assert checked > 20


def claims_hold(fit: dl.Minimum, problem: RandomProblem, columns: list[Vector]) -> bool:
    n = len(problem.y)
    w = fractions(np.ones(n) if problem.weights is None else problem.weights)
    exact = exact_statistics(columns, fractions(problem.y.tolist()), w, sum(w, Fraction(0)), bias=fit.regression.bias)
    if not all([exact.sigma2, exact.r2, exact.adjusted_r2, exact.f]):
        return not exact.r2  # nothing is explained: a relative error has no meaning
    found, claimed = correct_and_claimed(fit, exact)
    return bool((claimed - 0.05 <= found).all())


def test_robust_errors_of_two_groups_are_those_of_their_means() -> None:
    """At x = -1 and 1 the slope is half the difference of two means; White's variance of a mean is sum e^2 / n^2."""
    x, e = np.repeat([-1.0, 1.0], 4), np.array([1.0, -1, 2, -2, 5, -5, 0, 0])
    fit = dl.Problem(x, 3 * x + 2 + e).solve().robust("HC0")
    expected = math.sqrt((1 + 1 + 4 + 4 + 25 + 25) / 16) / 2
    np.testing.assert_allclose(fit.standard_errors, expected, rtol=1e-14)
    assert fit.f == pytest.approx(fit.t[0] ** 2, rel=1e-13)
    assert fit.f_p_value == pytest.approx(fit.p_values[0], rel=1e-12)
    assert fit.digits_of("f") > 13
    assert "HC0" in fit.summary().text("en")
    assert math.isnan(dl.Problem(np.eye(4)[:, :2], [0.0, 0, 1, -1]).solve().robust("HC0").f)


def test_a_prediction_needs_every_feature() -> None:
    two = dl.Problem([[1.0, 2], [2, 1], [3, 5], [4, 4]], [1.0, 3, 4, 6]).solve()
    for wrong in ([1.0], [[1.0, 2, 3]]):
        with pytest.raises(dl.SettingError, match="x1, x2"):
            two.mean_interval(wrong)
    one = dl.Problem([1.0, 2, 4], [1.0, 3, 4]).solve()
    assert one.mean_interval([1.0, 2.0, 3.0, 4.0]).shape == (4, 2)
    assert one.mean_interval(1.0).shape == (1, 2)


def test_without_a_bias_predictions_pass_through_zero() -> None:
    x = np.array([1.0, 2, 4])
    fit = dl.Problem(x, [1.0, 3, 4], bias=False).solve()
    half = stats.t.ppf(0.975, 2) * fit.sigma * 3 / np.linalg.norm(x)
    np.testing.assert_allclose(fit.mean_interval([3.0])[0], 3 * fit.params[0] + [-half, half], rtol=1e-12)
    np.testing.assert_allclose(fit.mean_interval([0.0])[0], 0, atol=1e-15)


@needs("pandas")
def test_stored_by_the_names_of_the_parameters() -> None:
    names = ["x1", "x2", "bias"]
    problem = dl.Problem([[1.0, 2], [2, 1], [3, 5], [4, 4]], [1.0, 3, 4, 7], weights=[1, 2, 1, 1])
    fit = problem.solve()
    stored = Statistics.to_dict(fit, 0.9)
    for name in ("standard_errors", "t", "p_values"):
        assert stored[name] == dict(zip(names, getattr(fit, name).tolist(), strict=True))
        assert [*stored["digits"][name].values()] == fit.digits_of(name).tolist()
    assert stored["interval"] == dict(zip(names, fit.interval(0.9).tolist(), strict=True))
    assert (stored["n_observations"], stored["df_model"], stored["df_residual"]) == (5, 2, 2)
    assert (stored["weights_are"], stored["robust"], stored["level"]) == ("frequency", None, 0.9)
    assert Statistics.to_dict(dl.Problem([1.0, 2, 4], [1.0, 3, 4]).solve())["weights_are"] is None
    frame = fit.summary(0.9).to_pandas()
    assert frame.index.tolist() == names
    np.testing.assert_array_equal(frame[["lower", "upper"]], fit.interval(0.9))
    np.testing.assert_array_equal(
        frame[["estimate", "standard_error", "t", "p_value"]].T, [fit.params, fit.standard_errors, fit.t, fit.p_values]
    )
