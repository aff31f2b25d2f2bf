"""SQL text in DuckDB gives the same bits as predictions; PostgreSQL's text is checked by what it must hold."""

from __future__ import annotations

import math
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descentlab as dl
from tests.model.houses import FORMULAS, make_houses
from tests.model.test_model_file import NAMES

HOUSES = make_houses()
WITH_FUNCTIONS = ("log", "exp", "sqrt", "**")


def run_sql(model: dl.Model, rows: Any) -> Any:
    with duckdb.connect() as connection:
        connection.register("new_rows", rows)
        values = connection.execute(f"SELECT {model.to_sql()} AS p FROM new_rows").fetchall()
    return np.array([math.nan if value is None else value for (value,) in values])


@pytest.mark.parametrize("formula", FORMULAS)
def test_duckdb_gives_what_predict_gives(formula: str) -> None:
    model = dl.Problem(HOUSES, formula=formula).solve().model
    new = make_houses(60, seed=5)
    ours, theirs = model.predict(new), run_sql(model, new)
    if not any(function in formula for function in WITH_FUNCTIONS):
        assert ours.tobytes() == theirs.tobytes()
    np.testing.assert_allclose(theirs, ours, rtol=4e-15)


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=3, unique=True), NAMES.map(lambda name: f"{name}?"))
def test_names_and_levels_are_quoted(levels: list[str], name: str) -> None:
    rows = pa.table({name: levels * 3, "y": np.random.default_rng(0).standard_normal(3 * len(levels))})
    model = dl.Problem(rows, target="y", categories=[name]).solve().model
    sql = model.to_sql()
    with duckdb.connect() as connection:
        quoted = name.replace('"', '""')
        values = connection.execute(f'SELECT {sql} FROM (SELECT unnest(?) AS "{quoted}")', [levels]).fetchall()
    assert [value for (value,) in values] == model.predict(rows.slice(0, len(levels))).tolist()


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_literals_are_read_as_the_same_float64(value: float) -> None:
    model = dl.Problem([1.0, 2, 3], [1.0, 2, 3.5]).solve().model
    literal = model.to_sql().partition("\n")[0]
    assert float(literal) == model.params[1]
    text = repr(value).removesuffix(".0")
    text = text if "e" in text else f"{text}e0"
    (read,) = duckdb.execute(f"SELECT {text}").fetchone() or (math.nan,)
    assert read == value


def test_where_there_is_no_prediction_it_is_null() -> None:
    model = dl.Problem(HOUSES, formula="price ~ log(size) + sqrt(age) + C(city) + I(1 / (rooms - 9))").solve().model
    new = pa.table(
        {
            "size": [100.0, 0.0, 100.0, 100.0, None, 100.0],
            "age": [1.0, 1.0, -1.0, 1.0, 1.0, 1.0],
            "city": ["Seoul", "Seoul", "Seoul", "Paris", "Seoul", "Seoul"],
            "rooms": [1, 1, 1, 1, 1, 9],
        }
    )
    ours, theirs = model.predict(new, unseen="missing"), run_sql(model, new)
    assert np.isnan(theirs).tolist() == [False, True, True, True, True, True]
    np.testing.assert_allclose(theirs, ours, rtol=4e-15)


def test_yes_and_no_in_words_numbers_and_booleans() -> None:
    rows = pa.table({"smoker": ["yes", "no", "Yes", "no"], "y": [1.0, 2.0, 4.0, 8.0]})
    model = dl.Problem(rows, target="y").solve().model
    for values in (["yes", "NO"], [True, False], [1, 0]):
        assert run_sql(model, pa.table({"smoker": values})).tolist() == [2.5, 5.0]


def test_a_zero_character_is_refused() -> None:
    rows = pa.table({"c": ["a\0", "b", "a\0", "b", "b"], "y": [1.0, 2, 3, 4, 5]})
    model = dl.Problem(rows, target="y", categories=["c"]).solve().model
    with pytest.raises(dl.SettingError, match="zero character"):
        model.to_sql()


def test_postgresql() -> None:
    model = dl.Problem(HOUSES, formula="price ~ size + C(city) + log2(age) + days(sold)").solve().model
    sql = model.to_sql("postgresql")
    assert 'CAST("size" AS DOUBLE PRECISION) * ' in sql
    assert "WHEN 'Jeju''s \"isle\"' THEN " in sql
    assert "ln(2::float8)" in sql
    assert 'EXTRACT(EPOCH FROM CAST("sold" AS TIMESTAMP)) * 1000000' in sql
    assert "e0" not in sql
    with pytest.raises(dl.SettingError, match="duckdb, postgresql"):
        model.to_sql("mysql")
