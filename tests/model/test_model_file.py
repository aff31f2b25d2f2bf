"""The model file: every bit comes back, and what is not a model is refused with its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descentlab as dl
from descentlab.model import model_file
from tests.model.houses import FORMULAS, make_houses

HOUSES = make_houses()
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_every_kind_of_term_comes_back_to_the_last_bit(formula: str, tmp_path: Path) -> None:
    model = dl.Problem(HOUSES, formula=formula).solve().model
    path = tmp_path / "model.json"
    model.save(path)
    loaded = dl.Model.load(path)
    assert loaded.to_json() == model.to_json() == path.read_text("utf-8")
    for interval in (None, 0.9):
        ours, theirs = (np.asarray(each.predict(HOUSES, interval=interval)) for each in (model, loaded))
        assert ours.tobytes() == theirs.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=4, unique=True), NAMES.map(lambda name: f"{name}?"))
def test_names_and_levels_of_any_letters(levels: list[str], name: str) -> None:
    rows = pa.table({name: levels * 3, "y": np.random.default_rng(0).standard_normal(3 * len(levels))})
    model = dl.Problem(rows, target="y", categories=[name]).solve().model
    loaded = dl.Model.from_json(model.to_json())
    assert loaded.design == model.design
    expected = [np.mean(rows["y"].to_numpy()[i :: len(levels)]) for i in range(len(levels))]
    np.testing.assert_allclose(loaded.predict(rows.slice(0, len(levels))), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_coefficient_comes_back(value: float) -> None:
    content = json.loads(SMALL)
    del content["checksum"]
    content["parameters"]["x"] = value
    model = dl.Model.from_json(json.dumps(content))
    assert dl.Model.from_json(model.to_json()).params[0].tobytes() == np.float64(value).tobytes()


SMALL = dl.Problem([1.0, 2, 3, 4], [2.1, 3.9, 6.2, 7.8]).solve().model.to_json()


def changed(*path: Any, value: Any = None, delete: bool = False) -> str:
    """The small model without its checksum and with another value at this place."""
    content = json.loads(SMALL)
    del content["checksum"]
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if delete:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "not_json"),
        ("x,y\n1,2\n", "not_json"),
        (SMALL[: len(SMALL) // 2], "cut"),
        (SMALL[:-3], "cut"),
        ("[" * 100_000, "not_json"),
        ('{"format": "descentlab.model", "version": ' + "9" * 5000 + "}", "not_json"),
        ("[1, 2]", "other"),
        ('{"schema": "descentlab.solve/1"}', "other"),
        ('{"format": "other.program"}', "other"),
        (changed("version", value=2), "newer"),
        (changed("version", value="1"), "invalid"),
        (SMALL.replace('"rows": 4', '"rows": 5'), "changed"),
        (changed("parameters", "x", value=float("nan")), "file_not_finite"),
        (changed("intercept", value=float("inf")), "file_not_finite"),
        (changed("parameters", "x", value="2"), "invalid"),
        (changed("parameters", "x", value=True), "invalid"),
        (changed("parameters", "x", value=1).replace('"x": 1,', '"x": 1e999,'), "invalid"),
        (changed("parameters", "z", value=1.0), "invalid"),
        (changed("columns", delete=True), "invalid"),
        (changed("columns", value={}), "invalid"),
        (changed("interval", "triangle", value=[[1.0]]), "invalid"),
        (changed("interval", "triangle", value=[[1.0], [1.0, None]]), "invalid"),
        (changed("interval", "null_space", value=[[1.0], [1.0]]), "invalid"),
        (changed("interval", value={"available": False, "reason": "because", "values": {}}), "invalid"),
        (changed("statistics", "sigma", value=None), "invalid"),
        (changed("statistics", value=7), "invalid"),
        (changed("inputs", value={}), "invalid"),
        (changed("inputs", "x", value={"kind": "spell"}), "invalid"),
        (changed("data", "weights_are", value="magic"), "invalid"),
        (changed("data", "rows", delete=True), "invalid"),
        (changed("fitted", value={}), "invalid"),
        (changed("design", "terms", value=["spell(x)"]), "terms"),
        (changed("design", "terms", value=["x", "poly(x, 2)"]), "invalid"),
        (changed("design", "terms", value=["__import__('os')"]), "terms"),
        (changed("design", "terms", value=["(" * 9999]), "terms"),
        (changed("design", "version", value=9), "terms"),
        (changed("design", "terms", value=["C(x)"]), "invalid"),
        (changed("design", "levels", value={"x": [1, 1]}), "terms"),
    ],
)
def test_what_is_not_a_model_is_refused(text: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(dl.DataError) as caught:
        dl.Model.load(path)
    assert caught.value.message.key == f"error.model_{key}"
    for lang in ("en", "ko"):
        assert str(path) in caught.value.message.text(lang)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(dl.DataError, match="not JSON"):
        dl.Model.load(path)
    dl.Factor.from_block([[1.0, 2.0]], ["x", "y"]).save(path)
    with pytest.raises(dl.DataError, match="is a factor, not a model"):
        dl.Model.load(path)
    with pytest.raises(dl.DataError, match="no_such"):
        dl.Model.load(tmp_path / "no_such.json")


def test_a_giant_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.json"
    path.write_text(SMALL)
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", 100)
    with pytest.raises(dl.DataError, match="larger than"):
        dl.Model.load(path)


def test_levels_whose_columns_would_not_fit_are_refused() -> None:
    content = json.loads(dl.Problem(HOUSES, formula="price ~ C(city):C(garden)").solve().model.to_json())
    del content["checksum"]
    content["design"]["levels"] = {key: list(range(10**4)) for key in content["design"]["levels"]}
    with pytest.raises(dl.DataError, match="levels"):
        dl.Model.from_json(json.dumps(content))


def test_an_edited_file_is_taken_without_its_checksum() -> None:
    edited = re.sub(r',\s+"checksum": "[0-9a-f]{64}"\n}', "\n}", SMALL.replace('"rows": 4', '"rows": 5'))
    assert dl.Model.from_json(edited).data.rows == 5


def test_the_file_is_readable_and_says_how_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "houses.csv"
    path.write_text("size,집값\n1,2\n2,3\n3,7\n")
    content = json.loads(dl.Problem(path, target="집값").solve().model.to_json())
    assert content["format"] == "descentlab.model"
    assert content["made_by"] == f"descentlab {dl.__version__}"
    assert (content["predicts"], content["formula"]) == ("집값", "집값 ~ size")
    assert (content["data"]["name"], content["data"]["rows"]) == ("houses.csv", 3)
    assert content["fitted"] == {"method": "least squares"}


def test_the_checksum_is_that_of_the_rows() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 50))
    sums = [
        dl.Problem(rows, target, engine=dl.Threads(workers)).solve().model.data.checksum
        for rows, target, workers in ((x, y, 1), (x, y, 2), (x + 1e-9, y, 1))
    ]
    assert sums[0] == sums[1] != sums[2]
