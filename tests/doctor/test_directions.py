"""Directions in words: built so that the answer is known."""

from __future__ import annotations

import numpy as np

import descentlab as dl

rng = np.random.default_rng(2)


def slowest(problem: dl.Problem) -> tuple[str, tuple[str, ...]]:
    found = dl.diagnose(problem, lr=1e-6)
    assert isinstance(found, dl.Diagnosis)
    assert found.slowest is not None
    return found.slowest.name.text("en"), found.slowest.columns


def test_an_uncentred_column_against_the_bias() -> None:
    year = 2000 + np.arange(20.0)
    ratio = year.mean() / year.std()
    name, columns = slowest(dl.Problem({"year": year}["year"], rng.normal(size=20), features=["year"]))
    assert name == f"the bias against `year`, whose mean is {ratio:.3g} times its standard deviation"
    assert set(columns) == {"year", "bias"}


def test_two_columns_that_are_nearly_one() -> None:
    x = rng.normal(size=50)
    X = np.column_stack([x, x + 0.01 * rng.normal(size=50)])
    name, columns = slowest(dl.Problem(X, x, standardize=True))
    assert name.startswith(("`x1` against `x2`", "`x2` against `x1`"))
    assert "whose correlation is 1 - " in name or "0.9999" in name
    assert set(columns) == {"x1", "x2"}


def test_a_small_column_by_itself() -> None:
    X = np.column_stack([rng.normal(size=200), 0.01 * rng.normal(size=200)])
    X -= X.mean(axis=0)
    name, columns = slowest(dl.Problem(X, rng.normal(size=200), bias=False))
    assert columns == ("x2",)
    assert name == f"along `x2` (values of about {np.sqrt((X[:, 1] ** 2).mean()):.3g})"


def test_the_steepest_direction_of_unscaled_columns_is_the_large_one() -> None:
    X = np.column_stack([rng.normal(size=50), 1000 * rng.normal(size=50)])
    found = dl.diagnose(dl.Problem(X, rng.normal(size=50)), lr=1e-9)
    assert isinstance(found, dl.Diagnosis)
    assert found.fastest is not None
    assert found.fastest.columns == ("x2",)
    assert found.fastest.curvature == found.problem.spectrum().lambda_max


def test_the_factors_are_those_of_the_two_ends() -> None:
    problem = dl.Problem([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    found = dl.diagnose(problem, lr=0.1)
    assert isinstance(found, dl.Diagnosis)
    assert found.slowest is not None
    assert found.fastest is not None
    largest, smallest = problem.spectrum().lambda_max, problem.spectrum().lambda_min
    np.testing.assert_allclose([found.fastest.factor, found.slowest.factor], [1 - 0.1 * largest, 1 - 0.1 * smallest])
