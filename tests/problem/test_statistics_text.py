"""The summary in words: what it says, what it leaves out, and only digits that hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.data.builtin import LONGLEY
from descentlab.messages import LANGUAGES, display_width
from descentlab.problem.statistics_text import format_certain, format_p
from tests.extras import needs

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2))
Y = X @ [3, 0] + rng.normal(size=40)
NAMES = ["C(neighborhood)[Gangnam-gu, Seoul]:size", "인구밀도(명/제곱킬로미터)"]
CASES: dict[str, Any] = {
    "plain": dl.Problem(X, Y),
    "long names": dl.Problem(X, Y, features=NAMES),
    "no bias": dl.Problem(X, Y, bias=False),
    "ridge": dl.Problem(X, Y, ridge=0.1),
    "exact": dl.Problem(X, X @ [1, 2]),
    "few rows": dl.Problem(X[:2], Y[:2]),
    "dependent": dl.Problem(np.column_stack([X, X[:, 0]]), Y),
    "constant": dl.Problem(X, np.ones(40)),
    "frequency": dl.Problem(X, Y, weights=rng.integers(1, 3, 40)),
    "fractions": dl.Problem(X, Y, weights=np.full(40, 0.31)),
    "analytic": dl.Problem(X, Y, weights=np.full(40, 0.3), weights_are="analytic"),
    "huge t": dl.Problem(X, X @ [1, 2] + 1e-9 * rng.normal(size=40)),
    "units": dl.Problem(X * [1e-130, 1e130], Y * 1e100),
    "unknown": dl.Problem([[3.0], [3.0000000000000004], [3.0]], [1.0, 2, 4], standardize=True, ridge=1.0),
    "nearly dependent": dl.Problem(np.column_stack([X[:, 0], X[:, 0] + 1e-13 * X[:, 1]]), Y),
}
SAID = {
    "plain": ("Different from 0 at the 5% level: `x1`.", "Not distinguishable from 0 at the 5% level: `x2`."),
    "no bias": ("uncentered",),
    "ridge": ("expected ridge coefficients",),
    "exact": ("R2 = 1", "exact up to rounding"),
    "few rows": ("No statistics: n is 2", "no degree of freedom"),
    "dependent": ("not determined", "`x3` = `x1`"),
    "constant": ("R2 is not defined",),
    "frequency": ("counts as two rows",),
    "fractions": ("not a whole number",),
    "analytic": ("inversely proportional",),
    "unknown": ("to its last digit", "`uncertain`"),
    "huge t": ("Only correct digits are printed",),
    "nearly dependent": ("`uncertain`",),
}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_every_summary_fits_a_terminal(case: str, lang: str) -> None:
    text = CASES[case].solve().summary().text(lang)
    lines = text.splitlines()
    assert max(map(display_width, lines)) <= 80
    assert "nan" not in text
    if lang == "en":
        said = " ".join(text.split())
        assert [words for words in SAID.get(case, ()) if words not in said] == []


def test_columns_without_a_number_are_left_out() -> None:
    ridge, exact = (CASES[name].solve().summary().text("en") for name in ("ridge", "exact"))
    assert "std. error" in ridge
    assert "[0.025" not in ridge
    assert "std. error" not in exact
    assert "F(" not in exact
    assert next(line for line in exact.splitlines() if "bias" in line).split() == ["bias", "0"]  # it is 1e-17


def test_the_table_rounds_the_statistics() -> None:
    fit = dl.Problem(LONGLEY, target="employed").solve()
    row = next(line for line in fit.summary(0.9).text("en").splitlines() if "year" in line and "`" not in line)
    name, *cells = row.split()
    expected = [fit.params[5], fit.standard_errors[5], fit.t[5], fit.p_values[5], *fit.interval(0.9)[5]]
    np.testing.assert_allclose([float(cell) for cell in cells], expected, rtol=2e-3)
    assert "[0.05" in fit.summary(0.9).text("en")
    assert name == "year"


def test_long_names_are_whole_in_the_second_table() -> None:
    text = CASES["long names"].solve().summary().text("en")
    assert sum(NAMES[1] in line for line in text.splitlines()) == 3  # both tables, and the sentence
    assert "95% intervals" in text


@needs("pandas")
def test_notebooks_and_data_frames() -> None:
    summary = dl.Problem(X, Y, features=["a<b", "c"]).solve().summary(0.9)
    html = summary._repr_html_()
    assert "a&lt;b" in html
    assert "<table>" in html
    frame, fit = summary.to_pandas(), summary.statistics
    assert list(frame.index) == ["a<b", "c", "bias"]
    np.testing.assert_array_equal(frame[["lower", "upper"]].to_numpy(), fit.interval(0.9))
    np.testing.assert_array_equal(frame["p_value"], fit.p_values)


@pytest.mark.parametrize(
    ("value", "error", "place", "shown"),
    [
        (1829.15146, 1e-9, -1, "1829.2"),
        (1829.15146, 4.0, -1, "1830"),
        (1829.15146, 600.0, -1, "uncertain"),
        (-3482258.63, 1e-3, 2, "-3482300"),
        (3.2e-9, 1e-15, -3, "0"),
        (3.2e-9, 1e-15, -11, "3.20e-09"),
        (3.2e-9, np.inf, -11, "uncertain"),
        (0.0, 0.0, 0, "0"),
        (0.0, 1.0, -3, "uncertain"),
        (123456789.0, 0.0, 4, "1.2346e+08"),
        (9.999, 1e-9, 0, "10"),
        (np.nan, 0.0, 0, "-"),
    ],
)
def test_only_certain_digits_are_printed(value: float, error: float, place: int, shown: str) -> None:
    assert format_certain(value, error, place) == shown


def test_probabilities() -> None:
    assert [format_p(p, 1e-9 * p) for p in (0.0, 1e-310, 4.98403e-10, 0.94312, 1.0)] == [
        "<1e-300",
        "<1e-300",
        "4.98e-10",
        "0.943",
        "1.00",
    ]
