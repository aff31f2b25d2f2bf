"""Two models side by side: F beside that of the fits, refusals with their reasons, costs on held-out rows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import descentlab as dl
from descentlab.messages import load_catalog
from tests.cli.helpers import cli
from tests.model.houses import make_houses

HOUSES = make_houses()


def model_of(formula: str, rows: pa.Table = HOUSES, **settings: object) -> dl.Model:
    model: dl.Model = dl.Problem(rows, formula=formula, **settings).solve().model  # type: ignore[arg-type]
    return model


def test_f_of_one_column_is_t_squared() -> None:
    fit = dl.Problem(HOUSES, formula="price ~ size + age").solve()
    for order in (1, -1):
        pair = (model_of("price ~ size"), fit.model)[::order]
        result = pair[0].compare(pair[1])
        assert result.nested == (0 if order == 1 else 1)
        assert math.isclose(result.f, fit.t[1] ** 2, rel_tol=1e-9)
        assert math.isclose(result.f_p_value, fit.p_values[1], rel_tol=1e-9)


def test_f_against_the_mean_is_that_of_the_fit() -> None:
    fit = dl.Problem(HOUSES, formula="price ~ size + C(city)").solve()
    mean = model_of("price ~ size")
    result = mean.compare(fit.model)
    residual = [
        float(np.sum((np.asarray(m.predict(HOUSES)) - HOUSES["price"].to_numpy()) ** 2)) for m in (mean, fit.model)
    ]
    expected = (residual[0] - residual[1]) / 3 / (residual[1] / fit.df_residual)
    assert math.isclose(result.f, expected, rel_tol=1e-9)
    assert result.df == (3.0, fit.df_residual)


def test_criteria_where_neither_holds_the_other() -> None:
    a, b = model_of("price ~ size + age"), model_of("price ~ size + rooms + C(garden)")
    result = a.compare(b)
    assert result.nested is None
    assert math.isnan(result.f)
    assert result.differences("aic") == b.statistics["aic"] - a.statistics["aic"]  # type: ignore[operator]
    assert "AIC prefers 1" in result.text("en")
    assert "neither model" in result.text("en")


def test_held_out_costs_are_those_of_the_predictions() -> None:
    new = make_houses(40, seed=3)
    a, b = model_of("log(price) ~ size"), model_of("log(price) ~ size + log(age) + C(city)")
    held_out = a.compare(b, new).held_out
    assert held_out is not None
    target = np.log(new["price"].to_numpy())
    for cost, model in zip(held_out.costs, (a, b), strict=True):
        assert math.isclose(cost, float(np.mean((model.predict(new) - target) ** 2)), rel_tol=1e-12)
    assert held_out.rows == 40


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    new = make_houses(6, seed=3)
    price = [None, *new["price"].to_pylist()[1:]]
    new = new.set_column(new.column_names.index("price"), "price", [price])
    result = model_of("price ~ size").compare(model_of("price ~ age"), new)
    assert result.held_out is not None
    assert (result.held_out.rows, result.held_out.skipped) == (5, 1)
    assert "1 row left out" in result.text("en")
    with pytest.raises(dl.DataError, match="of 1 row, none"):
        model_of("price ~ size").compare(model_of("price ~ age"), new.slice(0, 1))


SMALL = model_of("price ~ size")
OTHER_ROWS = make_houses(seed=9)
SAME_TARGET = OTHER_ROWS.set_column(OTHER_ROWS.column_names.index("price"), "price", HOUSES["price"])


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (model_of("log(price) ~ size"), "different targets"),
        (model_of("price ~ size + age", HOUSES.slice(1)), "120 and 119"),
        (model_of("price ~ size + age", OTHER_ROWS), "deviation of `price` differs"),
        (model_of("price ~ size + age", SAME_TARGET), "deviation of `size` differs"),
        (model_of("price ~ size + age", ridge=0.1), "ridge"),
        (model_of("price ~ size + age", weights_are="analytic"), "different meanings"),
        (dl.descend(dl.Problem(HOUSES, formula="price ~ size + age"), lr=1e-5, epochs=3).model, "before its minimum"),
    ],
)
def test_what_cannot_be_compared_says_why(other: dl.Model, said: str) -> None:
    with pytest.raises(dl.DataError, match=said):
        SMALL.compare(other)
    if other.target == SMALL.target:
        result = SMALL.compare(other, HOUSES)
        assert said in " ".join(result.text("en").split())
        assert math.isnan(result.differences("aic"))
        assert "AIC" not in result.text("ko").splitlines()[-3]


def test_columns_that_add_nothing_and_exact_fits() -> None:
    rows = pa.table({"a": [1.0, 2, 3, 5], "b": [2.0, 4, 6, 10], "y": [1.0, 3, 2, 4]})
    a, both = model_of("y ~ a", rows), model_of("y ~ a + b", rows)
    assert "combinations of the others" in a.compare(both).text("en")
    line = rows.set_column(2, "y", [[3.0, 5, 7, 12]]).append_column("c", [[1.0, 1, 1, 2]])
    assert "fits its rows exactly" in model_of("y ~ a", line).compare(model_of("y ~ a + c", line)).text("en")
    assert "the same columns" in a.compare(a).text("en")


def test_every_sentence_exists_in_both_languages() -> None:
    result = SMALL.compare(model_of("price ~ size + age"), HOUSES)
    assert "F(1, 117)" in result.text("ko")
    for lang in ("en", "ko"):
        assert {key for key in load_catalog(lang) if key.startswith("compare.")}
    json.dumps(replace(result, held_out=None).to_dict(), allow_nan=False)


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    SMALL.save("small.json")
    model_of("price ~ size + C(city)").save("large.json")
    (tmp_path / "new.csv").write_text("size,city,price\n80,Seoul,400\n90,Busan,390\n")
    result = cli("compare", "small.json", "large.json")
    assert result.out.startswith("The larger model, large.json, explains more than chance: F(3, 115)")
    content = json.loads(cli("compare", "small.json", "large.json", "--data", "new.csv", "--json").out)
    assert (content["schema"], content["nested"], content["held_out_rows"]) == ("descentlab.compare/1", "small.json", 2)
    assert cli("compare", "small.json", "new.csv").code == 2
