"""Predictions beside plain products and scikit-learn; intervals beside those of the fit; rows that lack something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import descentlab as dl
from descentlab.data.design.source import DesignSource
from tests.extras import needs
from tests.model.houses import FORMULAS, make_houses

HOUSES = make_houses()


def expected_predictions(problem: dl.Problem, params: Any, table: Any) -> Any:
    """A plain product with the columns of the design, relative to the means of the fit so that no digit is lost."""
    source = DesignSource(dl.Problem(table, target="price").selection.data_source, problem.design)  # type: ignore[arg-type]
    shifts = source.integer_shifts(source.features)
    rows = np.concatenate(list(source.blocks(source.features, shifts)))
    means = problem.factor.means - np.array([*(shifts.get(name, 0) for name in source.features), 0.0])
    if not problem.bias:
        return rows @ params
    return problem.factor.means[-1] + (rows - means[:-1]) @ params[:-1]


@pytest.mark.parametrize("formula", FORMULAS)
def test_predictions_are_products_with_the_columns_of_the_design(formula: str) -> None:
    problem = dl.Problem(HOUSES, formula=formula)
    fit = problem.solve()
    new = make_houses(50, seed=1)
    expected = expected_predictions(problem, fit.params, new)
    np.testing.assert_allclose(fit.model.predict(new), expected, rtol=1e-10)


@pytest.mark.parametrize("formula", FORMULAS[:9])
def test_intervals_are_those_of_the_fit(formula: str) -> None:
    fit = dl.Problem(HOUSES, formula=formula).solve()
    rows = fit.regression.selection.to_arrays()[0]  # type: ignore[union-attr]
    for kind, interval in (("mean", fit.mean_interval(rows, 0.9)), ("observation", fit.prediction_interval(rows, 0.9))):
        predicted = fit.model.predict(HOUSES, interval=0.9, kind=kind)
        width = interval[:, 1] - interval[:, 0]
        np.testing.assert_allclose(predicted.upper - predicted.lower, width, rtol=1e-8)
        np.testing.assert_allclose((predicted.upper + predicted.lower) / 2, predicted.prediction, rtol=1e-12)


@needs("sklearn")
def test_predictions_beside_a_pipeline() -> None:
    from sklearn import compose, linear_model, pipeline, preprocessing

    frame, new = HOUSES.to_pandas(), make_houses(80, seed=2).to_pandas()
    one_hot = preprocessing.OneHotEncoder(drop="first")
    columns = compose.ColumnTransformer([("c", one_hot, ["city", "rooms"])], remainder="passthrough")
    numbers = ["size", "age", "city", "rooms"]
    theirs = pipeline.make_pipeline(columns, linear_model.LinearRegression()).fit(frame[numbers], frame.price)
    model = dl.Problem(frame, formula="price ~ size + age + C(city) + C(rooms)").solve().model
    np.testing.assert_allclose(model.predict(new), theirs.predict(new[numbers]), rtol=1e-10)


def test_bits_do_not_depend_on_the_rows_around() -> None:
    model = dl.Problem(HOUSES, formula=FORMULAS[2]).solve().model
    together = model.predict(HOUSES)
    alone = np.concatenate([model.predict(HOUSES.slice(i, 1)) for i in range(HOUSES.num_rows)])
    assert together.tobytes() == alone.tobytes()


def test_a_clock_in_nanoseconds_keeps_its_digits() -> None:
    rng = np.random.default_rng(0)
    ticks = np.sort(rng.integers(0, 10**9, 300))
    y = 3e-9 * ticks + rng.standard_normal(300) / 1e6
    model = dl.Problem(pa.table({"t": ticks + 1_700_000_000_000_000_000, "y": y}), target="y").solve().model
    reference = np.polynomial.Polynomial.fit(ticks, y, 1)(ticks)
    np.testing.assert_allclose(model.predict(pa.table({"t": ticks + 1_700_000_000_000_000_000})), reference, atol=1e-12)
    np.testing.assert_allclose(model.predict(np.array(ticks + 1_700_000_000_000_000_000)), reference, atol=1e-12)


def test_arrays_have_the_columns_in_order() -> None:
    X, y = np.array([[1.0, 5], [2, 3], [3, 9], [4, 1]]), np.array([2.0, 3, 1, 7])
    fit = dl.Problem(X, y).solve()
    np.testing.assert_allclose(fit.model.predict(X), X @ fit.params[:2] + fit.params[2])
    assert fit.model.predict(np.empty((0, 2))).shape == (0,)
    with pytest.raises(dl.DescentlabError):
        fit.model.predict(X[:, :1])


def test_columns_are_found_by_name_and_missing_ones_are_named() -> None:
    frame = pd.DataFrame({"size": [1.0, 2, 3, 5], "rooms": [1, 3, 2, 2], "price": [3.0, 5, 8, 9]})
    model = dl.Problem(frame, target="price").solve().model
    shuffled = frame[["rooms", "price", "size"]].assign(note="x")
    assert model.predict(shuffled).tolist() == model.predict(frame).tolist()
    with pytest.raises(dl.DataError, match=r"needs `rooms`.*Did you mean `romms`"):
        model.predict(frame.rename(columns={"rooms": "romms"}))
    with pytest.raises(dl.DataError, match="`size` cannot be used: it contains text"):
        model.predict(frame.assign(size="big"))


def test_rows_without_a_value_have_no_prediction() -> None:
    model = dl.Problem(HOUSES, formula="price ~ log(size) + C(city)").solve().model
    new = pa.table({"size": [100.0, None, 0.0, -1.0, 50.0], "city": ["Seoul", "Seoul", "Busan", "Busan", None]})
    predicted = model.predict(new, interval=0.9)
    assert np.isnan(predicted.prediction).tolist() == [False, True, True, True, True]
    assert np.isnan(predicted.lower).tolist() == np.isnan(predicted.prediction).tolist()


def test_a_column_without_any_value_gives_no_prediction() -> None:
    model = dl.Problem(HOUSES, formula="price ~ size").solve().model
    assert np.isnan(model.predict(pa.table({"size": pa.nulls(3)}))).all()


def test_new_levels() -> None:
    model = dl.Problem(HOUSES, formula="price ~ size + C(city, 'Seoul')").solve().model
    new = pa.table({"size": [90.0, 90.0], "city": ["Seoul", "Paris"]})
    with pytest.raises(dl.DataError, match=r"Paris \(in row 2\)"):
        model.predict(new)
    seoul, paris = model.predict(new, unseen="reference")
    assert seoul == paris
    assert np.isnan(model.predict(new, unseen="missing")).tolist() == [False, True]


def test_the_line_of_a_new_level_is_named(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text('size,city\n1,Seoul\n2,"Sao\nPaulo"\n')
    model = dl.Problem(HOUSES, formula="price ~ size + C(city)").solve().model
    with pytest.raises(dl.DataError, match="in line 3"):
        model.predict(path)


def test_words_for_yes_and_no_are_read_as_in_the_fit(tmp_path: Path) -> None:
    path, new = tmp_path / "fit.csv", tmp_path / "new.csv"
    path.write_text("smoker,y\nyes,1\nno,2\nyes,4\nno,8\n")
    new.write_text("smoker\nyes\nYes\n")
    model = dl.Problem(path, target="y").solve().model
    assert model.predict(new).tolist() == [2.5, 2.5]
    assert model.predict(pa.table({"smoker": [1, 0]})).tolist() == [2.5, 5.0]
    new.write_text("smoker\nyes\nmaybe\n")
    with pytest.raises(dl.DataError, match="maybe"):
        model.predict(new)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (dl.Problem([1.0, 2, 3], [1.0, 2, 3.5], ridge=0.1), "ridge"),
        (dl.Problem([1.0, 2], [1.0, 3]), "leaves no degree"),
        (dl.Problem([1.0, 2, 3], [3.0, 5, 7]), "exactly"),
    ],
)
def test_why_there_are_no_intervals(problem: dl.Problem, reason: str) -> None:
    model = problem.solve().model
    with pytest.raises(dl.SettingError, match=reason):
        model.predict([1.0], interval=0.95)
    assert reason in model.text("en")


def test_an_interval_is_open_outside_of_a_relation() -> None:
    x = np.arange(6.0)
    rows = pa.table({"a": x, "b": 2 * x, "y": x + np.array([0.1, -0.1, 0.2, 0, 0, -0.1])})
    model = dl.Problem(rows, target="y").solve().model
    predicted = model.predict(pa.table({"a": [1.0, 1.0], "b": [2.0, 7.0]}), interval=0.9)
    assert np.isnan(predicted.lower).tolist() == [False, True]
    assert np.isfinite(predicted.prediction).all()


def test_robust_errors_make_other_intervals() -> None:
    fit = dl.Problem(HOUSES, formula="price ~ size").solve()
    robust = fit.robust("HC3")
    expected = robust.mean_interval(np.array([[80.0], [120.0]]), 0.9)
    predicted = robust.model.predict([80.0, 120.0], interval=0.9, kind="mean")
    np.testing.assert_allclose(np.column_stack(predicted[1:]), expected, rtol=1e-12)


def test_a_descent_that_stops_early_has_no_intervals_and_says_why() -> None:
    problem = dl.Problem(HOUSES, formula="price ~ size + C(city)", standardize=True)
    early, late = (dl.descend(problem, lr=0.3, epochs=epochs).model for epochs in (3, 10_000))
    rows = problem.rows()
    run = dl.descend(problem, lr=0.3, epochs=3)
    np.testing.assert_allclose(early.predict(HOUSES), rows.X @ run.params[:-1] + run.params[-1], rtol=1e-12)
    with pytest.raises(dl.SettingError, match="before its minimum"):
        early.predict(HOUSES, interval=0.9)
    exact = problem.solve().model.predict(HOUSES, interval=0.9)
    np.testing.assert_allclose(late.predict(HOUSES, interval=0.9), exact, rtol=1e-9)
    assert early.statistics == {}
    assert (early.fitted["epochs"], early.fitted["settings"]["lr"]) == (3, 0.3)


def test_a_descent_on_a_clock_keeps_its_digits() -> None:
    clock = pa.table({"t": 1.7e9 + np.arange(60.0), "y": np.sin(np.arange(60.0)) + np.arange(60.0)})
    problem = dl.Problem(clock, target="y", standardize=True)
    exact = problem.solve().model.predict(clock)
    np.testing.assert_allclose(dl.descend(problem, lr=0.4, epochs=1000).model.predict(clock), exact, atol=1e-12)


def test_a_run_that_overflowed_has_the_model_of_its_last_finite_parameters() -> None:
    run = dl.descend(dl.Problem([1.0, 2, 3], [1.0, 2, 3], bias=False), lr=1e300, epochs=100)
    model = dl.Model.from_json(run.model.to_json())
    assert model.params.tolist() == run.params.tolist()
    assert np.isnan(model.predict([1e10])).all()


def test_a_factor_has_a_model_of_its_columns(tmp_path: Path) -> None:
    csv = pd.DataFrame(HOUSES.select(["size", "age", "price"]).to_pandas())
    factor = dl.Problem(csv, target="price").factor
    factor.save(tmp_path / "houses.factor")
    model = dl.Problem(tmp_path / "houses.factor", target="price", features=["age"]).solve().model
    expected = dl.Problem(csv, target="price", features=["age"]).solve().model
    np.testing.assert_allclose(model.predict(csv), expected.predict(csv), rtol=1e-12)
    assert model.data.name == "houses.factor"


def test_another_target_than_that_of_the_formula_has_no_model(tmp_path: Path) -> None:
    path = tmp_path / "houses.factor"
    pd.DataFrame(HOUSES.to_pandas()).drop(columns=["sold"]).to_csv(tmp_path / "houses.csv", index=False)
    dl.compress(tmp_path / "houses.csv", formula="price ~ size + C(city)", output=path)
    other = dl.Problem(path, target="size", features=["price"])
    with pytest.raises(dl.SettingError, match="the target of its formula"):
        _ = other.solve().model
    assert dl.Problem(path).solve().model.design.levels["city"]


def test_kinds_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(
        "rate,pay,day,ok,y\n4%,$5,2024-01-02,yes,1\n5%,$9,2024-01-03,no,3\n7%,$2,2024-01-09,yes,4\n1%,$4,2024-01-05,no,4\n"
    )
    model = dl.Problem(path, formula="y ~ rate + pay + days(day) + ok").solve().model
    assert model.inputs == {
        "rate": {"kind": "number", "sign": "%"},
        "pay": {"kind": "number", "sign": "$"},
        "day": {"kind": "date"},
        "ok": {"kind": "number", "one": "yes", "zero": "no"},
    }


def test_the_text_names_what_it_is_in_both_languages() -> None:
    model = dl.Problem(HOUSES, formula="price ~ size + C(city)").solve().model
    assert "Predicts `price` from `size`, `city`" in model.text("en")
    assert "`price` 예측 모델" in model.text("ko")
    assert "std. error" not in replace(model, standard_errors=np.full(5, np.nan)).text("en")
