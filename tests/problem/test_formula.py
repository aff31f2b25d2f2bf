"""Problems with formulas and categories, compared with formulaic's columns and NumPy's least squares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descentlab as dl
from descentlab.data.design.choose import MAX_AUTO_LEVELS
from descentlab.errors import DataError, SettingError
from descentlab.factor.cells import compress_cells
from descentlab.factor.coded import code_columns
from descentlab.factor.file import merge_factors
from descentlab.typing import FloatArray
from tests.extras import needs, optional
from tests.pieces import bits, small_pieces

formulaic = optional("formulaic")
FORMULA = "price ~ size * city + heating + log(age)"


def make_houses(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    cities = random.choice(["Seoul", "Busan", "Daegu", "Jeju"], rows, p=[0.4, 0.3, 0.2, 0.1])
    frame = pd.DataFrame({"size": random.normal(100, 30, rows), "rooms": random.integers(1, 6, rows), "city": cities})
    frame["heating"] = random.choice(["gas", "oil", "none"], rows)
    frame["age"] = random.uniform(1, 50, rows)
    frame["w"] = random.uniform(0.5, 2, rows)
    level = frame.city.map({"Seoul": 50.0, "Busan": 10.0, "Daegu": 0.0, "Jeju": 5.0})
    frame["price"] = 2 * frame["size"] + 3 * frame.rooms + level + random.normal(0, 5, rows)
    return frame


HOUSES = make_houses()


def fit_with_numpy(formula: str, frame: pd.DataFrame, weights: Any = None) -> tuple[FloatArray, float]:
    """Fitted values and the mean squared error of formulaic's columns."""
    y, X = formulaic.model_matrix(formula, frame)
    X, y = np.asarray(X, float), np.asarray(y, float)[:, 0]
    w = np.ones(len(y)) if weights is None else np.asarray(weights)
    params = np.linalg.lstsq(X * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    return X @ params, float(w @ (X @ params - y) ** 2 / w.sum())


def fitted_values(problem: dl.Problem) -> FloatArray:
    rows, params = problem.rows(), problem.solve().params
    return rows.X @ params[:-1] + params[-1] if problem.bias else rows.X @ params


def random_formula(random: np.random.Generator) -> str:
    names = [
        "size",
        "rooms",
        "city",
        "heating",
        "log(age)",
        "C(rooms)",
        "poly(age, 2)",
        "C(city, contr.sum)",
        "I(size / 10)",
    ]
    factors = [
        name for name in names if name not in random.choice([["city", "rooms"], ["C(city, contr.sum)", "C(rooms)"]])
    ]
    count = int(random.integers(1, 4))
    terms = [":".join(random.choice(factors, int(random.integers(1, 4)), replace=False)) for _ in range(count)]
    return f"price ~ {random.choice(['', '0 + '])}{' + '.join(dict.fromkeys(terms))}"


def test_random_designs_have_the_minimum_of_formulaic_and_numpy() -> None:
    random = np.random.default_rng(4)
    for i in range(20):
        formula, weights = random_formula(random), "w" if i % 2 else None
        problem = dl.Problem(HOUSES, formula=formula.replace("contr.sum", "Sum"), weights=weights)
        fitted, cost = fit_with_numpy(formula, HOUSES, HOUSES.w if weights else None)
        assert problem.solve().cost == pytest.approx(cost, rel=1e-10), formula
        np.testing.assert_allclose(fitted_values(problem), fitted, rtol=1e-10, atol=1e-9, err_msg=formula)


def test_coefficients_have_the_meaning_of_their_names() -> None:
    problem = dl.Problem(HOUSES, formula="price ~ C(city, 'Seoul') + C(heating, Sum)")
    params = dict(zip(problem.parameters, problem.solve().params, strict=True))
    y, X = formulaic.model_matrix("price ~ C(city, contr.treatment('Seoul')) + C(heating, contr.sum)", HOUSES)
    expected = np.linalg.lstsq(np.asarray(X, float), np.asarray(y, float)[:, 0], rcond=None)[0]
    names = [name.replace(", contr.treatment('Seoul')", "").replace("contr.sum", "Sum") for name in X.columns]
    theirs = {
        name.replace("[T.", "[").replace("[S.", "[").replace("Intercept", "bias"): v
        for name, v in zip(names, expected, strict=True)
    }
    assert params == pytest.approx(theirs, rel=1e-10)


def test_constants_are_those_of_r() -> None:
    """The divisor n - 1; polynomials that increase at the end."""
    problem = dl.Problem(HOUSES, formula="price ~ scale(size) + center(age) + poly(rooms, 2)", weights="w")
    _, X = formulaic.model_matrix("price ~ scale(size) + center(age) + poly(rooms, 2)", HOUSES)
    np.testing.assert_allclose(problem.rows().X, np.asarray(X, float)[:, 1:], rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_files_in_any_order_have_one_factor(data: st.DataObject) -> None:
    """Files that lack levels, merged from their factors: levels are joined, and the numbers are those of all rows."""
    whole = code_columns(dl.compress(HOUSES, formula=FORMULA))
    by_city = data.draw(st.booleans())
    rows = HOUSES.sort_values("city", kind="stable") if by_city else HOUSES
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=6)))
    parts = [rows.iloc[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    merged: Any = None
    for part in data.draw(st.permutations(parts)):
        factor = dl.compress(part, formula=FORMULA)
        merged = factor if merged is None else merged.merge(factor)
    coded = code_columns(merged)
    assert coded.columns == whole.columns
    norms = np.linalg.norm(whole.R, axis=0)
    difference = (coded.R.T @ coded.R - whole.R.T @ whole.R) / np.outer(norms, norms)
    assert np.abs(difference).max() < 1e-12


def write_houses(path: Path, rows: int = 3000) -> Path:
    """A CSV file in which some levels come late."""
    frame = make_houses(rows, seed=5)
    frame.loc[frame.index < rows // 2, "city"] = "Seoul"
    frame.to_csv(path, index=False)
    return path


def test_the_number_of_workers_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pieces(monkeypatch)
    path = write_houses(tmp_path / "rows.csv")
    one, three = (bits(dl.compress(path, formula=FORMULA, engine=dl.Threads(workers))) for workers in (1, 3))
    assert one == three


@pytest.mark.parametrize("formula", [FORMULA, "price ~ city * heating * C(rooms) * size"])
def test_an_interrupted_compression_continues_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formula: str
) -> None:
    """Of rows compressed by combination of levels, and of a triangle where there are as many as rows."""
    small_pieces(monkeypatch)
    path, output = write_houses(tmp_path / "rows.csv"), tmp_path / "rows.factor"

    def stop(done: int, total: int | None, rows: int) -> None:
        if rows > 1500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dl.compress(path, formula=formula, output=output, every=0.0, progress=stop)
    assert bits(dl.compress(path, formula=formula, output=output)) == bits(dl.compress(path, formula=formula))
    loaded = dl.Factor.load(output)
    assert bits(loaded) == bits(dl.compress(path, formula=formula))
    np.testing.assert_array_equal(dl.Problem(loaded).solve().params, dl.Problem(path, formula=formula).solve().params)


@needs("distributed")
@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_bits_of_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(make_houses(2000, seed=6)), path, row_group_size=100)
    monkeypatch.setattr("descentlab.data.files.PIECE_ROWS", 100)
    alone = dl.compress(path, formula=FORMULA, engine=dl.Threads(1))
    assert bits(dl.compress(path, formula=FORMULA, engine=dl.Dask(None, 2))) == bits(alone)


def test_categories_are_the_formula_of_all_columns() -> None:
    frame = HOUSES.drop(columns=["w", "heating"])
    by_name = dl.Problem(frame, target="price", categories=["city"])
    by_formula = dl.Problem(frame, formula="price ~ . + C(city)")
    assert by_name.parameters == by_formula.parameters
    np.testing.assert_array_equal(by_name.solve().params, by_formula.solve().params)
    auto = dl.Problem(frame.assign(id=[f"house {i}" for i in range(len(frame))]), target="price", categories="auto")
    assert auto.parameters == by_name.parameters
    assert [notice.values["name"] for notice in auto.notices] == ["id"]


def test_a_column_that_is_left_out_says_which_option_takes_it_in() -> None:
    notices = dl.Problem(HOUSES.assign(day=pd.Timestamp("2024-03-01")), target="price").notices
    by_name = {notice.values["name"]: notice.text("en") for notice in notices}
    assert "(4 levels). Take it in with --categories city" in by_name["city"]
    assert "--formula 'price ~ days(day)'" in by_name["day"]
    many = pd.DataFrame({"y": np.arange(99.0), "x": np.arange(99.0) ** 2, "t": [f"t{i}" for i in range(99)]})
    assert len(many) > MAX_AUTO_LEVELS
    assert [notice.key for notice in dl.Problem(many, target="y").notices] == ["notice.left_out"]


def test_changed_problems_keep_their_columns() -> None:
    problem = dl.Problem(HOUSES, formula=FORMULA)
    X, y = np.asarray(problem.rows().X), problem.rows().y
    for changes in (
        {"ridge": 0.3},
        {"standardize": True},
        {"center": True, "ridge": 0.1},
        {"standardize": True, "ridge": 1.0},
    ):
        changed = problem.with_changes(**changes)
        expected = dl.Problem(X, y, **changes)
        assert changed.design == problem.design
        np.testing.assert_allclose(changed.solve().params, expected.solve().params, rtol=1e-9)
        np.testing.assert_allclose(
            changed.spectrum().eigenvalues, expected.spectrum().eigenvalues, rtol=1e-9, atol=1e-12
        )
    fewer = problem.with_changes(features=["size", "C(city)[Seoul]"])
    assert fewer.design == problem.design
    assert problem.with_changes(target="size", features=["log(age)"]).design is None


def test_engines_step_on_the_columns_of_the_design() -> None:
    problem = dl.Problem(HOUSES, formula="price ~ size + city", standardize=True)
    exact, hand = (dl.descend(problem, lr=0.3, epochs=20, engine=engine).params for engine in ("exact", "hand"))
    np.testing.assert_allclose(exact, hand, rtol=1e-9)
    assert dl.descend(problem, lr=0.05, epochs=2, batch_size=16).params.shape == (5,)


def test_a_fold_can_lack_a_level() -> None:
    frame = HOUSES.assign(city=["Ulsan", *HOUSES.city[1:]])
    problem = dl.Problem(frame, formula="price ~ size + city", standardize=True)
    found = dl.cross_validate(problem, folds=4, epochs=50)
    by_rows = dl.cross_validate(frame, formula="price ~ size + city", standardize=True, folds=4, epochs=50)
    assert np.isfinite(found.cost).all()
    np.testing.assert_array_equal(found.cost, by_rows.cost)
    columns = {factor.columns for factor in dl.split(frame, formula="price ~ size + city", folds=4)}
    assert columns == {(*problem.features, "price")}


def test_held_out_rows_have_the_levels_of_training() -> None:
    problem = dl.Problem(HOUSES, formula="price ~ center(size) + city")
    descent = dl.Descent(lr=1e-3, epochs=50)
    some = HOUSES[HOUSES.city == "Seoul"]
    found = dl.validate(problem, descent, some)
    params = found.best_params
    expected = np.mean((params[0] * (some["size"] - HOUSES["size"].mean()) + params[3] + params[-1] - some.price) ** 2)
    assert problem.parameters[3] == "C(city)[Seoul]"
    assert found.best_cost == pytest.approx(expected, rel=1e-9)
    apart = dl.validate(problem, descent, some.drop(columns="price"), some.price)
    assert apart.best_cost == pytest.approx(expected, rel=1e-9)
    as_problem = dl.Problem(some, formula=problem.design)
    assert dl.validate(problem, descent, as_problem).best_cost == pytest.approx(expected, rel=1e-9)
    with pytest.raises(DataError) as caught:
        dl.validate(problem, descent, some.assign(city="Soul"))
    assert caught.value.message.key == "error.unseen_level"
    assert "`Seoul`" in caught.value.message.text("en")


def test_a_held_out_factor_has_the_levels_of_training() -> None:
    formula, descent = "price ~ size + city", dl.Descent(lr=1e-5, epochs=5)
    problem = dl.Problem(dl.compress(HOUSES, formula=formula))
    some = HOUSES[HOUSES.city != "Jeju"]
    by_rows = dl.validate(problem, descent, some).best_cost
    assert dl.validate(problem, descent, dl.compress(some, formula=formula)).best_cost == pytest.approx(by_rows)
    with pytest.raises(DataError) as caught:
        dl.validate(problem, descent, dl.compress(HOUSES.assign(city="Ulsan"), formula=formula))
    assert caught.value.message.key == "error.unseen_level"


def test_the_slow_and_the_undetermined_directions_name_levels() -> None:
    frame = HOUSES.assign(
        region=HOUSES.city.map({"Seoul": "north", "Busan": "south", "Daegu": "south", "Jeju": "island"})
    )
    problem = dl.Problem(frame, formula="price ~ city + region")
    minimum = problem.solve()
    assert (minimum.rank, len(minimum.null_directions)) == (4, 2)
    assert "`C(region)[north]` = `C(city)[Seoul]`" in minimum.null_directions[0].text("en")
    assert "C(city)[" in dl.diagnose(dl.Problem(HOUSES, formula="price ~ city"), lr=0.01).text()


def test_large_whole_numbers_keep_their_digits_in_a_formula() -> None:
    times = 1_700_000_000_000_000_000 + np.arange(60) * 997
    frame = pd.DataFrame({"t": times, "c": ["a", "b"] * 30, "y": 3.0 * np.arange(60) * 997})
    for formula in ("y ~ t", "y ~ t + c"):
        assert dl.Problem(frame, formula=formula).solve().params[0] == pytest.approx(3, rel=1e-13)


def test_a_column_used_in_two_ways_has_its_own_values_in_both() -> None:
    times = 1_700_000_000_000_000_000 + np.arange(60) * 997_000_000_000_000
    frame = pd.DataFrame({"t": times, "y": np.arange(60.0)})
    X = dl.Problem(frame, formula="y ~ t + log(t)").scaled_rows().X
    np.testing.assert_array_equal(X[:, 1], np.log(times.astype(float)))


def test_rows_with_missing_values_are_counted_by_column() -> None:
    frame = HOUSES.copy()
    frame.loc[[3, 4], "city"] = None
    frame.loc[4, "age"] = np.nan
    with pytest.raises(DataError) as caught:
        dl.Problem(frame, formula=FORMULA)
    assert caught.value.message.values["counts"] == ("`C(city)`: 2", "`log(age)`: 1")
    problem = dl.Problem(frame, formula=FORMULA, missing="drop")
    assert problem.n == len(frame) - 2
    fitted, cost = fit_with_numpy(FORMULA, frame.drop(index=[3, 4]))
    assert problem.solve().cost == pytest.approx(cost, rel=1e-10)
    np.testing.assert_allclose(fitted_values(problem), fitted, rtol=1e-9)
    assert any(notice.values.get("counts") == ("`C(city)`: 2", "`log(age)`: 1") for notice in problem.notices)


def test_a_level_of_dropped_rows_only_is_not_a_level() -> None:
    frame = HOUSES.copy()
    frame.loc[[3, 4], "city"], frame.loc[[3, 4], "age"] = "Andong", np.nan
    problem = dl.Problem(frame, formula="price ~ city + age", missing="drop")
    expected = dl.Problem(frame.drop(index=[3, 4]), formula="price ~ city + age")
    assert problem.parameters == expected.parameters
    np.testing.assert_allclose(problem.solve().params, expected.solve().params, rtol=1e-12)
    np.testing.assert_array_equal(problem.rows().X, expected.rows().X)
    with pytest.raises(DataError, match="Every row"):
        dl.Problem(frame.assign(age=np.nan), formula="price ~ city + age", missing="drop")


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("formula", ["price ~ log(rooms - 2)", "price ~ log(rooms - 2) + city"])
def test_a_logarithm_of_zero_is_refused_with_its_rows(formula: str, missing: str) -> None:
    with pytest.raises(DataError) as caught:
        dl.Problem(HOUSES, formula=formula, missing=missing)
    assert caught.value.message.key == "error.formula_domain"
    assert f"`log(rooms - 2)`: {(HOUSES.rooms <= 2).sum()}" in caught.value.message.text("en")
    assert "above 0" in caught.value.message.text("en")


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"formula": "price ~ size", "features": ["size"]}, "formula_with"),
        ({"formula": "price ~ size", "drop": ["size"]}, "formula_with"),
        ({"formula": "price ~ size", "target": "rooms"}, "formula_with"),
        ({"formula": "price ~ size", "categories": ["city"]}, "formula_with"),
        ({"formula": "~ size"}, "no_target"),
        ({"target": "price", "categories": ["cyti"]}, "no_such_column"),
        ({"target": "price", "categories": ["price"]}, "category_of_used"),
        ({"target": "price", "categories": ["city"], "features": ["price", "city"]}, "target_is_feature"),
        ({"target": "price", "categories": ["city"], "features": ["age", "age"]}, "duplicate_columns"),
        ({"formula": "price ~ C(city, 'Soul')"}, "no_such_level"),
        ({"formula": "price ~ C(one)"}, "one_level"),
        ({"formula": "price ~ scale(size - size)"}, "scale_constant"),
        ({"formula": "price ~ poly(rooms, 5)"}, "poly_degree"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments: dict[str, Any], key: str) -> None:
    with pytest.raises((DataError, SettingError)) as caught:
        dl.Problem(HOUSES.assign(one="x"), **arguments)
    assert caught.value.message.key == f"error.{key}"
    assert caught.value.message.text("ko")


def test_a_formula_is_not_for_a_factor() -> None:
    factor = dl.compress(HOUSES, formula=FORMULA)
    for arguments in ({"formula": "price ~ size"}, {"categories": ["city"]}):
        with pytest.raises(SettingError, match="already contains its columns"):
            dl.Problem(factor, **arguments)
    with pytest.raises(DataError, match="same formula"):
        factor.merge(dl.compress(HOUSES, formula="price ~ size"))
    centered = [dl.compress(rows, formula="price ~ center(size)") for rows in (HOUSES[:50], HOUSES[50:])]
    with pytest.raises(DataError, match="same formula"):
        merge_factors([dl.compress(HOUSES, formula=f"price ~ {terms}") for terms in ("size + age", "age + size")])
    with pytest.raises(DataError, match="constants"):
        centered[0].merge(centered[1])


@pytest.mark.parametrize("levels", [6_000, 50_000])
def test_too_many_levels_are_refused_at_once(levels: int) -> None:
    frame = pd.DataFrame({"y": np.arange(float(levels)), "id": [f"n{i}" for i in range(levels)]})
    with pytest.raises(DataError) as caught:
        dl.Problem(frame, formula="y ~ id")
    assert caught.value.message.key == "error.factor_levels"
    assert f"`id`: {levels:,}" in caught.value.message.text("en")


def test_a_formula_without_a_left_side_predicts_y() -> None:
    problem = dl.Problem(HOUSES.drop(columns="price"), HOUSES.price, formula="~ size + city")
    expected = dl.Problem(HOUSES, formula="price ~ size + city")
    assert (problem.target, problem.parameters) == ("price", expected.parameters)
    np.testing.assert_allclose(problem.solve().params, expected.solve().params, rtol=1e-12)
    X = HOUSES[["size", "rooms"]].to_numpy()
    assert dl.Problem(X, HOUSES.price.to_numpy(), formula="~ x1 + C(x2)").features[1] == "C(x2)[2]"


def test_other_columns_can_be_written_as_a_point() -> None:
    frame = HOUSES[["price", "size", "rooms", "age"]]
    assert dl.Problem(frame, formula="price ~ . - rooms").features == ("size", "age")
    assert dl.Problem(frame, formula="price ~ .:size + log(age)").features == ("log(age)", "rooms:size")
    with pytest.raises(SettingError, match="not among the terms"):
        dl.Problem(frame, formula="price ~ . - price")


def test_thousands_of_terms_are_read() -> None:
    X = np.random.default_rng(0).normal(size=(5, 1500))
    problem = dl.Problem(X, X[:, 0], formula="~ " + " + ".join(f"x{i}" for i in range(1, 1501)))
    assert len(problem.features) == 1500


@pytest.mark.parametrize("repeats", [1, 4, 40, 1100])
def test_rows_of_the_same_levels_become_one_triangle(repeats: int) -> None:
    """The rows of each pair of codes keep their products, and the codes come out in order, one after the other."""
    random = np.random.default_rng(repeats)
    pairs = np.array([[1, 0], [0, 2], [1, 1], [0, 0]])
    codes = np.repeat(pairs, [repeats, 1, 2 * repeats, 3], axis=0)
    order = random.permutation(len(codes))
    codes, values = codes[order], random.normal(size=(len(codes), 3))
    found_codes, found, error = compress_cells(codes, values)
    assert [tuple(each) for each in found_codes] == sorted(tuple(each) for each in found_codes)
    for pair in pairs:
        kept, given = (v[(c == pair).all(axis=1)] for v, c in ((found, found_codes), (values, codes)))
        np.testing.assert_allclose(kept.T @ kept, given.T @ given, atol=1e-10 * repeats)
        assert len(kept) == min(len(given), 3)
    assert (error > 0) == (2 * repeats > 3)
