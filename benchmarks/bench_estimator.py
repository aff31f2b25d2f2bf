"""The scikit-learn estimator beside scikit-learn's own: seconds of a fit, and digits on NIST's sets."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import Row, median_ratio, report, take_turns
from tests.problem.test_nist import SETS, as_floats, observations
from tests.rational import correct_digits, least_squares

N, D = 1_000_000, 20
SHAPES = ((10_000, 20), (100_000, 100), (5_000, 500))


def main() -> None:
    rows = [fit(N, D, "at least 5 times", 5.0), *(fit(n, d) for n, d in SHAPES), *digits()]
    report(
        "estimator",
        "DescentRegressor beside LinearRegression",
        rows,
        "Both without a setting changed, on float64 arrays of a normal distribution; digits are the smallest of any "
        "coefficient's, against exact rational arithmetic. LinearRegression drops singular values below 1e-6 of the "
        "largest (`tol`), which is what costs it the polynomials; with `tol=0` it keeps them.",
    )


def fit(n: int, d: int, goal: str = "", least: float | None = None) -> Row:
    from sklearn.linear_model import LinearRegression

    from descentlab.sklearn import DescentRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = X @ rng.standard_normal(d) + rng.standard_normal(n)
    contestants = {"ours": partial(DescentRegressor().fit, X, y), "theirs": partial(LinearRegression().fit, X, y)}
    times = take_turns(contestants, 7)
    ours, theirs = (statistics.median(times[name]) for name in ("ours", "theirs"))
    ratio = median_ratio(times["theirs"], times["ours"])
    figure = f"{ours:.3f} s against {theirs:.3f} s"
    return Row(
        f"fit, {n:,} x {d}", figure, f"{ratio:.2f} times as fast", goal, None if least is None else ratio >= least
    )


def digits() -> list[Row]:
    from sklearn.linear_model import LinearRegression

    from descentlab.sklearn import DescentRegressor

    rows = []
    for data in SETS:
        columns, y = observations(data)
        X, target = as_floats(data, columns), np.array([float(value) for value in y])
        exact = least_squares(columns, y, bias=data.bias)

        def correct(model: Any) -> float:
            model.fit(X, target)  # noqa: B023 (called at once)
            found = np.append(model.coef_, [model.intercept_] * data.bias)  # noqa: B023
            return max(0.0, float(correct_digits(found, exact).min()))  # noqa: B023

        kinds = (DescentRegressor(), LinearRegression(), LinearRegression(tol=0))
        ours, theirs, kept = (correct(kind.set_params(fit_intercept=data.bias)) for kind in kinds)
        met = round(ours, 1) >= round(theirs, 1)
        ratio = f"LinearRegression {theirs:.1f}, with tol=0 {kept:.1f}"
        rows.append(Row(f"digits, NIST {data.name}", f"{ours:.1f}", ratio, "at least equal", met))
    return rows
