"""The figure of a fit: the points are the rows, and the lines are the intervals."""

from __future__ import annotations

import numpy as np

import descentlab as dl
from descentlab.data.builtin import LONGLEY
from tests.extras import needs

pytestmark = needs("matplotlib")


def test_rows_residuals_and_intervals() -> None:
    fit = dl.Problem(LONGLEY, target="employed").solve()
    left, right, weights = fit.plot(level=0.9, lang="en").axes
    true, predicted = left.lines[1].get_data()
    np.testing.assert_array_equal(right.lines[1].get_xdata(), predicted)
    np.testing.assert_allclose(np.sum((true - predicted) ** 2), 9 * fit.sigma**2, rtol=1e-9)
    np.testing.assert_allclose(right.lines[1].get_ydata(), true - predicted, atol=1e-9)
    ends = np.array([segment[:, 0] for segment in weights.collections[0].get_segments()])
    np.testing.assert_allclose(ends, fit.interval(0.9)[:6] * fit.regression.factor.std[:6, None], rtol=1e-12)
    assert [label.get_text() for label in weights.get_yticklabels()] == list(fit.parameters[:6])
    assert "90%" in weights.get_title(loc="left")
    robust = fit.robust("HC1").plot(lang="en").axes[2]
    assert "HC1" in robust.get_title(loc="left")


def test_many_rows_and_weights_are_counted() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 40))
    problem = dl.Problem(X, X[:, 35] * 3 + rng.normal(size=5000))
    left, _, weights = problem.solve().plot(lang="en").axes
    assert "2,000 of 5,000 rows" in left.get_title(loc="left")
    assert "30 largest of 40" in weights.get_xlabel()
    names = [label.get_text() for label in weights.get_yticklabels()]
    assert len(names) == 30
    assert "x36" in names
    assert len(dl.Problem(problem.factor).solve().plot().axes) == 1


def test_what_is_not_determined_is_not_drawn() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    fit = dl.Problem(np.column_stack([X, X[:, 0]]), rng.normal(size=50)).solve()
    points = fit.plot().axes[2].lines[1].get_xdata()
    assert np.isnan(points).tolist() == [True, False, True]
