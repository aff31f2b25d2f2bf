"""The columns of designs, compared with those that formulaic makes of a data frame."""

from __future__ import annotations

import json
import pickle
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from descentlab.data import open_source
from descentlab.data.design.design import Design
from descentlab.data.design.formula import read_formula
from descentlab.data.design.functions import MAX_DEGREE, domain_hint, evaluate
from descentlab.data.design.levels import LevelNumbers, as_level, find_level, sort_levels
from descentlab.data.design.parser import parse_formula
from descentlab.data.design.resolve import make_design
from descentlab.data.design.source import DesignSource
from descentlab.data.source import Source
from descentlab.errors import DataError, SettingError
from descentlab.typing import FloatArray
from tests.extras import optional

formulaic = optional("formulaic")


def make_frame(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": random.normal(size=rows),
            "u": random.normal(5, 1, rows),
            "v": random.uniform(1, 2, rows),
            "a": random.choice(["p", "q", "r"], rows),
            "b": random.choice(["가", "나"], rows),
            "c": random.choice(["1", "x y", "z"], rows),
        }
    )


def design_of(formula: str, source: Source, levels: dict[str, list[Any]] | None = None) -> Design:
    design = make_design(read_formula(formula), source, "y", ())
    return design.with_levels(levels or {})


def levels_of(frame: pd.DataFrame) -> dict[str, list[str]]:
    return {name: sorted(frame[name].unique()) for name in "abc"}


def read_all(source: Source) -> FloatArray:
    return np.concatenate(list(source.blocks(source.names)))


def plain_name(name: str) -> str:
    """A name of formulaic as it is here: with C() and without T."""
    name = re.sub(r"(?<![\w(])([abc])\[", r"C(\1)[", name)
    return re.sub(r"\[[TS]\.", "[", name)


def test_random_designs_have_the_columns_that_formulaic_gives() -> None:
    random, frame = np.random.default_rng(1), make_frame()
    source = open_source(frame)
    for _ in range(60):
        terms = [
            ":".join(random.permutation(list("abcuv"))[: random.integers(1, 4)]) for _ in range(random.integers(1, 5))
        ]
        text = str(random.choice(["", "0 + "])) + " + ".join(dict.fromkeys(terms))
        expected = formulaic.model_matrix(f"y ~ {text}", frame).rhs
        design = design_of(f"y ~ {text}", source, levels_of(frame))
        ours = DesignSource(source, design)
        columns = dict(zip(ours.names, read_all(ours).T, strict=True))
        theirs = {plain_name(name): expected[name].to_numpy(float) for name in expected.columns if name != "Intercept"}
        assert {*columns} - {"y"} == {*theirs}, text
        assert ("Intercept" in expected.columns) == design.bias
        for name, values in theirs.items():
            np.testing.assert_allclose(columns[name], values, rtol=1e-14, err_msg=f"{text} {name}")


def test_functions_have_their_values() -> None:
    frame = make_frame()
    source = open_source(frame)
    terms = {
        "log(u)": np.log(frame.u),
        "sqrt(abs(u - 5))": np.sqrt(np.abs(frame.u - 5)),
        "I(u ** 2 / v - (-1))": frame.u**2 / frame.v + 1,
        "exp(log10(v) + log2(v))": np.exp(np.log10(frame.v) + np.log2(frame.v)),
        "log(u):v": np.log(frame.u) * frame.v,
    }
    ours = DesignSource(source, design_of("log(y + 9) ~ " + " + ".join(terms), source))
    assert ours.names == (*terms, "log(y + 9)")
    np.testing.assert_allclose(read_all(ours), np.column_stack([*terms.values(), np.log(frame.y + 9)]), rtol=1e-15)


def test_sum_coding_takes_the_last_level_from_the_others() -> None:
    source = open_source(pa.table({"y": [1.0, 2, 3], "a": ["p", "q", "r"]}))
    ours = DesignSource(source, design_of("y ~ C(a, Sum)", source, {"a": ["p", "q", "r"]}))
    assert ours.names[:2] == ("C(a, Sum)[p]", "C(a, Sum)[q]")
    assert read_all(ours)[:, :2].tolist() == [[1, 0], [0, 1], [-1, -1]]


@pytest.mark.parametrize("reference", ["C(a, 'q')", "C(a, Treatment('q'))", "C(a, reference='q')"])
def test_a_reference_level_is_named_in_three_ways(reference: str) -> None:
    source = open_source(make_frame())
    design = design_of(f"y ~ {reference}", source, {"a": ["p", "q", "r"]})
    assert design.columns == ("C(a)[p]", "C(a)[r]")


def test_a_design_is_text_and_numbers() -> None:
    source = open_source(make_frame())
    design = design_of("log(y) ~ u * C(a, Sum) + poly(v, 2):b + I(u + 1) - 1", source, {"a": ["p", "q"], "b": ["가"]})
    text = json.dumps(design.to_dict())
    assert Design.from_dict(json.loads(text)) == design
    assert Design.from_dict(json.loads(text)).indicator_columns == design.indicator_columns


@pytest.mark.parametrize(
    "change",
    [
        {"terms": ["__import__('os')"]},
        {"terms": ["u ~ v"]},
        {"terms": 3},
        {"target": "C(a)"},
        {"levels": {"a": [[1]]}},
        {"constants": {"center(u)": {"mean": "x", "divisor": 1}}},
        {"version": "1"},
    ],
)
def test_a_design_from_elsewhere_is_refused(change: dict[str, object]) -> None:
    content = {"version": 1, "target": "y", "terms": ["u"], "bias": True, "levels": {}, "constants": {}}
    assert Design.from_dict(content).columns == ("u",)
    with pytest.raises(DataError):
        Design.from_dict(content | change)
    with pytest.raises(DataError) as caught:
        Design.from_dict(content | {"version": 2})
    assert caught.value.message.key == "error.design_newer"


@pytest.mark.parametrize(
    ("formula", "key"),
    [
        ("y ~ uu", "no_column"),
        ("y ~ log(a)", "text_in_function"),
        ("y ~ I(a + 1)", "not_numeric"),
        ("y ~ day", "date_column"),
        ("y ~ log(day)", "date_column"),
        ("y ~ year(u)", "not_date"),
        ("a ~ u", "not_numeric"),
        ("y ~ a + C(a, Sum):u", "two_codings"),
    ],
)
def test_columns_are_looked_up_where_they_stand(formula: str, key: str) -> None:
    source = open_source(make_frame().assign(day=pd.Timestamp("2024-03-01")))
    with pytest.raises(SettingError) as caught:
        design_of(formula, source)
    assert caught.value.message.values["reason"].key == f"formula.{key}"  # type: ignore[attr-defined]


def test_every_kind_of_data_gives_the_same_levels_and_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"y": [1.5, 2, 3, 4], "t": ["b", None, " a", "a"], "f": [True, False, None, True]})
    frame["n"] = [3.0, 1, 2, np.nan]
    (tmp_path / "rows.csv").write_text("y,t,f,n\n1.5,b,true,3\n2,,false,1\n3, a,,2\n4,a,true,\n")
    pq.write_table(pa.table(frame.assign(t=["b", None, "a", "a"])), tmp_path / "rows.parquet")
    for path in ("rows.csv", "rows.parquet"):
        source = open_source(tmp_path / path)
        design = make_design(read_formula("y ~ C(t) + C(f) + C(n)"), source, "y", ())
        scan = DesignSource(source, design)
        piece = next(scan.pieces(scan.names))
        (block,) = pickle.loads(pickle.dumps(piece)).blocks(scan.names)
        assert block[:, -1].tolist() == [1.5, 2, 3, 4]
        assert np.isnan(block[:, :3]).tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
        list(piece.blocks(scan.names))
        levels = design.with_levels(piece.levels).levels  # type: ignore[attr-defined]
        assert levels == {"t": ("a", "b"), "f": (False, True), "n": (1, 2, 3)}


def test_numbers_are_sorted_as_numbers_and_words_for_yes_as_truth(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("y,n,f\n1,10,yes\n2,9,no\n3,2.5,yes\n4,-1,no\n")
    source = open_source(tmp_path / "rows.csv")
    piece = next(DesignSource(source, make_design(read_formula("y ~ C(n) + C(f)"), source, "y", ())).pieces([]))
    list(piece.blocks([]))
    design = make_design(read_formula("y ~ C(n) + C(f)"), source, "y", ()).with_levels(piece.levels)  # type: ignore[attr-defined]
    assert design.columns == ("C(n)[2.5]", "C(n)[9]", "C(n)[10]", "C(f)[True]")


def test_the_folder_of_a_file_can_be_a_category(tmp_path: Path) -> None:
    for city, price in (("Seoul", 3), ("Busan", 1)):
        (tmp_path / f"city={city}").mkdir()
        (tmp_path / f"city={city}" / "rows.csv").write_text(f"price\n{price}\n{price + 1}\n")
    source = open_source(tmp_path)
    design = make_design(read_formula("price ~ city"), source, "price", ()).with_levels({"city": ["Busan", "Seoul"]})
    assert read_all(DesignSource(source, design)).tolist() == [[0, 1], [0, 2], [1, 3], [1, 4]]


@pytest.mark.parametrize(
    ("texts", "type_"),
    [
        (["2024-03-01", "2023/12/31 12:30", None], pa.string()),
        (["2024. 3. 1.", "2023년 12월 31일 12:30", None], pa.string()),
        (["2024-03-01T00:00:00", "2023-12-31T12:30:00", None], pa.timestamp("ns")),
    ],
)
def test_parts_of_dates(texts: list[str | None], type_: object) -> None:
    column = (
        pa.array([None if text is None else pd.Timestamp(text) for text in texts], type_)
        if type_ != pa.string()
        else pa.array(texts)
    )
    source = open_source(pa.table({"y": [1.0, 2, 3], "d": column}))
    formula = "y ~ year(d) + month(d) + day(d) + weekday(d) + hour(d) + days(d, since='2024-01-01')"
    values = read_all(DesignSource(source, design_of(formula, source)))
    assert values[:2, :-1].tolist() == [[2024, 3, 1, 4, 0, 60], [2023, 12, 31, 6, 12, -11.5 / 24]]
    assert np.isnan(values[2, :-1]).all()


@pytest.mark.parametrize("text", ["01/02/2024", "2024-02-30", "soon", "20240301"])
def test_a_date_that_can_be_read_in_two_ways_or_in_none_is_refused(text: str) -> None:
    source = open_source(pa.table({"y": [1.0, 2], "d": ["2024-01-01", text]}))
    with pytest.raises(DataError) as caught:
        read_all(DesignSource(source, design_of("y ~ year(d)", source)))
    assert caught.value.message.key == "error.date_text"
    assert text in caught.value.message.text("ko")


def test_an_unseen_level_is_refused() -> None:
    source = open_source(make_frame())
    with pytest.raises(DataError) as caught:
        read_all(DesignSource(source, design_of("y ~ a", source, {"a": ["p", "q"]})))
    assert (caught.value.message.key, caught.value.message.values["level"]) == ("error.unseen_level", "r")


def test_a_value_that_a_function_lacks_is_infinite_and_a_missing_one_missing() -> None:
    source = open_source([[1.0, 0.0], [2.0, -1.0], [3.0, np.nan], [4.0, 1.0]], names=("y", "u"))
    values = read_all(DesignSource(source, design_of("y ~ log(u) + I(u ** 0) + I(0 / u)", source)))
    assert np.isinf(values[:2, 0]).all()
    assert np.isnan(values[2, :3]).all()
    assert np.isinf(values[0, 2])
    assert values[3].tolist() == [0, 1, 0, 4]


@pytest.mark.parametrize(("unseen", "row"), [("missing", [np.nan, np.nan, 2]), ("reference", [0, 0, 2])])
def test_an_unseen_level_can_be_missing_or_the_reference(unseen: str, row: list[float]) -> None:
    source = open_source(pa.table({"a": ["q", "new", "r", "new"], "u": [1.0, 2, 3, 2]}))
    design = make_design(read_formula("u ~ a"), source, "u", ()).with_levels({"a": ["p", "q", "r"]})
    ours = DesignSource(source, design, ["u"], has_target=False, unseen=unseen)
    assert ours.names == ("C(a)[q]", "C(a)[r]", "u")
    np.testing.assert_array_equal(read_all(ours), [[1, 0, 1], row, [0, 1, 3], row])


def test_an_unseen_level_and_a_bad_date_have_a_line(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("y,a,d\n" + "1,p,2024-01-01\n" * 9000 + "2,q,01/02/2024\n")
    source = open_source(tmp_path / "rows.csv")
    for formula, levels in (("y ~ a", {"a": ["p"]}), ("y ~ year(d)", {})):
        with pytest.raises(DataError, match="in line 9,002") as caught:
            read_all(DesignSource(source, design_of(formula, source, levels)))
        assert "9,002번째 줄" in caught.value.message.text("ko")
    pq.write_table(pa.table({"y": [1.0, 2, 3], "a": ["p", "p", "q"]}), tmp_path / "rows.parquet", row_group_size=1)
    source = open_source(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="in row 3"):
        read_all(DesignSource(source, design_of("y ~ a", source, {"a": ["p"]})))


def test_codes_are_levels_of_text_also_where_a_file_has_numbers() -> None:
    source = open_source(pa.table({"y": [1.0, 2], "z": ["02134", "10001"]}))
    design = design_of("y ~ z", source, {"z": ["02134", "10001"]})
    later = open_source(pa.table({"y": [1.0, 2], "z": [10001, 10001]}))
    ours = DesignSource(later, design)
    assert read_all(ours).tolist() == [[1, 1], [1, 2]]


@pytest.mark.parametrize(
    "factor",
    [
        *("poly(u)", "poly(u, 0)", f"poly(u, {MAX_DEGREE + 1})", "poly(u, v)", "poly(u, 2, 3)", "poly(u, 2, raw=1)"),
        *("log(u, v)", "log()", "center(u, v)", "sqrt(u, base=2)", "poly(center(u, v), 2)"),
        *("C()", "C(a, 'p', 'q')", "C(a, Foo)", "C(a, Treatment('p', 'q'))", "C(a, Treatment())", "C(a, u + v)"),
        *("C(a, 'p', reference='q')", "C(a, levels='p')", "C(center(u, v))"),
        *("year(u + 1)", "year(u, v)", "month(u, since='2020-01-01')", "days(u, until='2020-01-01')"),
    ],
)
def test_a_function_is_refused_with_its_usage(factor: str) -> None:
    with pytest.raises(SettingError) as caught:
        design_of(f"y ~ {factor}", open_source(make_frame()))
    assert caught.value.message.values["reason"].key == "formula.arguments"  # type: ignore[attr-defined]


@pytest.mark.parametrize("factor", ["poly(u, 1)", f"poly(u, {MAX_DEGREE})", "C(u, 1)", "C(a, Treatment)", "center(u)"])
def test_a_function_at_the_edge_of_its_usage_is_allowed(factor: str) -> None:
    assert make_design(read_formula(f"y ~ {factor}"), open_source(make_frame()), "y", ()).terms


def test_a_reference_that_no_row_has_is_refused_with_the_levels() -> None:
    design = design_of("y ~ C(a, 'pp')", open_source(make_frame()), {"a": ["p", "q"]})
    with pytest.raises(DataError, match=r"`a`.*pp") as caught:
        _ = design.columns
    assert caught.value.message.values["levels"] == ["p", "q"]
    assert design_of("y ~ C(n, 2)", open_source(pa.table({"y": [1.0], "n": [2]})), {"n": [1, 2, 3]}).columns == (
        "C(n)[1]",
        "C(n)[3]",
    )


def test_fitted_functions_use_their_constants() -> None:
    u = np.array([1.0, 4.0, np.nan])
    constants: dict[str, dict[str, Any]] = {
        "center(u)": {"mean": 2.0, "divisor": 1.0},
        "scale(u)": {"mean": 2.0, "divisor": 4.0},
        "poly(u, 2)": {"mean": 2.0, "divisor": 0.5, "polynomials": [[1.0, 10.0, 0.0], [0.0, 0.0, 3.0]]},
    }
    expected: dict[str, Any] = {"center(u)": [-1, 2], "scale(u)": [-0.25, 0.5], "poly(u, 2)": [[-19, 12], [41, 48]]}
    for text, values in expected.items():
        found = evaluate(parse_formula(text), {"u": u}, constants, 3)
        np.testing.assert_allclose(found[:2], values)
        assert np.isnan(found[2]).all()


def test_a_sign_and_a_number_alone_fill_every_row() -> None:
    values = {"u": np.array([1.0, -2.0])}
    for text, expected in {"-u": [-1, 2], "+u": [1, -2], "I(3)": [3, 3], "u - 1": [0, -3]}.items():
        assert evaluate(parse_formula(text), values, {}, 2).tolist() == expected


@pytest.mark.parametrize(
    ("functions", "key"),
    [
        ({"log", "sqrt"}, "formula.needs_positive"),
        ({"log2"}, "formula.needs_positive"),
        ({"sqrt", "exp"}, "formula.needs_nonnegative"),
        ({"exp", "center"}, ""),
    ],
)
def test_what_functions_need(functions: set[str], key: str) -> None:
    assert getattr(domain_hint(functions), "key", "") == key


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("y ~ u + v:b", {"y", "u"}),
        ("y ~ u + log(u)", {"y"}),
        ("y ~ u + v + u:v", {"y"}),
        ("log(y) ~ u", {"u"}),
        ("I(y + 1) ~ I(u - 1) + v", {"v"}),
    ],
)
def test_only_a_column_that_is_used_once_can_be_shifted(formula: str, columns: set[str]) -> None:
    design = make_design(read_formula(formula), open_source(make_frame()), "y", ())
    assert design.shiftable_columns == columns


def test_a_design_counts_and_names_its_columns() -> None:
    levels = {"a": ["p", "q", "r"], "b": ["가", "나"]}
    frame = make_frame().assign(w=1.0)
    design = design_of("log(y + w) ~ poly(v, 2):a + u + a:b", open_source(frame), levels)
    # `a:b` without `a` or `b` has one part of the levels of b, and one of all pairs.
    assert design.count_indicators() == len(design.indicator_columns) == 1 + 2 * 3 + 2 + 3 * 2
    assert design.category_columns == {*design.columns} - {"u"}
    assert (design.target_name, design.target_column) == ("log(y + w)", "y")
    assert design.formula == "log(y + w) ~ u + poly(v, 2):C(a) + C(a):C(b)"
    bare = design_of("y ~ u - 1", open_source(make_frame()))
    assert bare.formula == "y ~ u - 1"


def test_constants_of_inner_calls_are_fitted_first() -> None:
    source = open_source(make_frame())
    nested = design_of("y ~ center(scale(u)) + scale(v) + log(u)", source)
    assert sorted(map(str, nested.unfitted)) == ["scale(u)", "scale(v)"]
    fitted = Design(nested.target, nested.terms, constants={each: {} for each in ("scale(u)", "scale(v)")})
    assert [*map(str, fitted.unfitted)] == ["center(scale(u))"]


def test_designs_of_the_same_terms_differ_in_their_levels_only() -> None:
    source = open_source(make_frame())
    design = design_of("y ~ a + u", source, {"a": ["p"]})
    assert design.same_terms(design.with_levels({"a": ["q", "p"]}))
    assert not design.same_terms(design_of("y ~ a + u - 1", source, {"a": ["p"]}))
    assert not design.same_terms(design_of("y ~ a + v", source, {"a": ["p"]}))


@pytest.mark.parametrize(
    "formula", ["y ~ C(a, Sum) * u", "y ~ C(a, 'q'):poly(v, 2) + C(a, 'q')", "y ~ a:C(b, Sum) - 1"]
)
def test_a_block_is_made_of_its_indicator_columns(formula: str) -> None:
    levels = {"a": ["p", "q", "r"], "b": ["가", "나"]}
    constants = {"poly(v, 2)": {"mean": 1.5, "divisor": 1.0, "polynomials": [[0.0, 1, 0], [0.0, 0, 1]]}}
    plain = design_of(formula, open_source(make_frame()), {key: levels[key] for key in "ab" if key in formula[3:]})
    design = Design(plain.target, plain.terms, plain.bias, plain.levels, constants)
    random = np.random.default_rng(0)
    values = {"y": random.normal(size=12), "u": random.normal(size=12), "v": random.normal(size=12)}
    codes = {"a": np.tile([0.0, 1, 2], 4), "b": np.repeat([0.0, 1], 6)}
    start, found = 0, design.evaluate(values, codes, 12)
    for block in design.blocks:
        indicators = design.evaluate_numeric(block.numeric, values, 12)
        for each in block.categories:
            at_level = np.eye(len(design.levels[each.key]))[codes[each.key].astype(int)]
            indicators = (indicators[:, :, None] * at_level[:, None, :]).reshape(12, -1)
        expected = indicators @ design.coding_matrix_of(block)
        np.testing.assert_allclose(found[:, start : start + expected.shape[1]], expected, atol=1e-12)
        start += expected.shape[1]
    assert start == len(design.columns)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (2, 2),
        (2.0, 2),
        (2.5, 2.5),
        (-0.0, 0),
        (np.nan, None),
        (None, None),
        (True, True),
        ("2", "2"),
        (Decimal("3"), 3),
        (Decimal("3.5"), 3.5),
        (date(2024, 3, 1), "2024-03-01"),
        (b"x", "b'x'"),
    ],
)
def test_a_value_as_a_level(value: object, level: object) -> None:
    found = as_level(value)
    assert found == level
    assert type(found) is type(level)


def test_levels_are_numbered_as_they_come_and_found_as_they_are_written() -> None:
    numbering = LevelNumbers()
    assert numbering.encode(pa.array(["b", None, "a", "b"]).dictionary_encode()).tolist()[::2] == [0, 1]
    assert numbering.numbers == {"b": 0, "a": 1}
    codes = numbering.encode_numbers(np.array([2.0, np.nan, 1.5, -np.inf]))
    assert [codes[0], codes[2]] == [numbering.numbers[2], numbering.numbers[1.5]]
    assert np.isnan(codes[1])
    assert codes[3] == -np.inf
    numbering.forget(1)
    assert numbering.numbers == {"b": 0}
    assert LevelNumbers([2, "02"]).encode(pa.array(["2", "02"])).tolist() == [0, 1]
    assert sort_levels(["b", 10, "a", 9]) == (9, 10, "a", "b")
    assert (find_level("2", [1, 2]), find_level(2.0, ["1", 2]), find_level("x", [1])) == (1, 1, None)
