from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from descentlab import Factor, Problem
from descentlab.data.columns import check_column, choose_features
from descentlab.data.source import BLOCK_ROWS
from descentlab.errors import DataError
from descentlab.messages import message

TABLE = pa.table(
    {
        "age": [1.0, 2.0, 4.0],
        "income": [3.0, 5.0, 4.0],
        "city": ["a", "b", "c"],
        "w": [1, 0, 2],
        "price": [2.0, 4.0, 9.0],
    }
)


def test_every_numeric_column_but_the_target_and_the_weights_is_a_feature() -> None:
    problem = Problem(TABLE, target="price", weights="w")
    assert problem.features == ("age", "income")
    assert problem.rows().weights is not None
    assert problem.rows().weights.tolist() == [1, 0, 2]  # type: ignore[union-attr]
    assert problem.weight == 3


def test_columns_come_in_the_order_asked() -> None:
    problem = Problem(TABLE, target="age", features=["price", "income"])
    assert problem.rows().X.tolist() == [[2, 3], [4, 5], [9, 4]]
    assert problem.rows().y.tolist() == [1, 2, 4]
    assert Problem(TABLE, "age", features="price").features == ("price",)


def test_the_target_may_be_the_second_argument() -> None:
    assert Problem(TABLE, "price").target == "price"
    assert Problem([[1, 2], [3, 5]], "x2").rows().y.tolist() == [2, 5]


def test_a_target_beside_a_table_takes_a_free_name() -> None:
    assert Problem(TABLE, [1, 2, 4]).target == "y"
    assert Problem(TABLE, [1, 2, 4], target="rent").target == "rent"
    assert Problem(pa.table({"y": [1, 2]}), [1, 2]).target == "target"
    assert Problem(pa.table({"y": ["a", "b"], "x": [1, 2]}), [1, 2]).target == "target"
    with pytest.raises(DataError, match="`age` is both the target and a feature"):
        Problem(TABLE, [1, 2, 4], target="age")


ASKED: list[tuple[dict[str, Any], str]] = [
    ({}, r"A target column is needed: .*age, income, w, price"),
    ({"target": "prise"}, r"There is no column `prise`\. .*Did you mean `price`"),
    ({"target": "PRICE"}, r"`PRICE`.*Did you mean `price`"),
    ({"target": "price", "features": ["aged"]}, r"`aged`.*Did you mean `age`"),
    ({"target": "price", "weights": "ww"}, r"`ww`.*columns are: age, income, w, price, city"),
    ({"target": "city"}, r"`city` cannot be used: it contains text, such as 'a'"),
    ({"target": "price", "features": ["age", "price"]}, r"`price` is both the target and a feature"),
    ({"target": "price", "features": ["age", "w"], "weights": "w"}, r"`w` contains the weights and is also a feature"),
    ({"target": "w", "weights": "w"}, r"`w` is both the target and the weights"),
    ({"target": "price", "features": ["age", "age"]}, r"name age occurs more than once"),
    ({"target": "price", "features": []}, r"No numeric column except the target `price` is left"),
]


@pytest.mark.parametrize(("asked", "says"), ASKED)
def test_what_cannot_be_chosen_is_said_with_what_can(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Problem(TABLE, **asked)


def test_a_factor_is_chosen_from_in_the_same_words() -> None:
    factor = Factor.from_block(np.arange(6.0).reshape(2, 3) ** 2, ["a", "b", "c"])
    assert Problem(factor).target == "c"
    with pytest.raises(DataError, match=r"`d`.*columns are: a, b, c"):
        Problem(factor, target="d")


def test_no_numeric_column_lists_what_there_is() -> None:
    with pytest.raises(
        DataError,
        match=r"except the target `y` is left as a feature\. Left out: `t` \(it contains text, such as 'a'\)\.",
    ):
        Problem(pa.table({"t": ["a"], "y": [1]}), target="y")
    assert check_column("t", ["t"], {}) == "t"
    assert choose_features(None, ["a", "b", "w"], {}, "a", "w") == ("b",)


def gaps(n: int) -> tuple[Any, Any, Any, Any]:
    """Rows whose x, y and w tell their row number, some missing, with the rows that are whole."""
    rng = np.random.default_rng(n)
    x, y, w = np.arange(float(n)), 2 * np.arange(float(n)), np.arange(float(n)) + 1
    for column in (x, y, w):
        column[rng.random(n) < 0.1] = np.nan
    return x, y, w, ~(np.isnan(x) | np.isnan(y) | np.isnan(w))


@pytest.mark.parametrize("n", [50, BLOCK_ROWS, 2 * BLOCK_ROWS + 5])
@pytest.mark.parametrize("kind", ["arrays", "table and arrays", "table", "chunks"])
def test_dropped_rows_take_their_weights_with_them(n: int, kind: str) -> None:
    x, y, w, whole = gaps(n)
    if kind == "arrays":
        problem = Problem(x, y, weights=w, missing="drop")
    elif kind == "table and arrays":
        problem = Problem(pa.table({"x": x}), y, weights=w, missing="drop")
    elif kind == "table":
        problem = Problem(pa.table({"w": w, "y": y, "x": x}), target="y", weights="w", missing="drop")
    else:
        cut = pa.chunked_array(np.split(x, [3, n // 2]))
        problem = Problem(pa.table({"x": cut, "y": y}), target="y", weights=pa.array(w), missing="drop")
    rows = problem.rows()
    np.testing.assert_array_equal(rows.X.ravel(), x[whole])
    np.testing.assert_array_equal(rows.y, y[whole])
    np.testing.assert_array_equal(rows.weights, w[whole])
    assert problem.n == whole.sum()
    assert f"{n - whole.sum():,} of {n:,} rows had a missing value" in " ".join(map(str, problem.notices))


def test_missing_values_are_counted_by_column() -> None:
    x, y, w, whole = gaps(20_000)
    with pytest.raises(DataError) as caught:
        Problem(x, y, weights=w)
    counts = [f"`{name}`: {np.isnan(c).sum():,}" for name, c in (("x", x), ("y", y), ("(weights)", w))]
    assert f"missing in {(~whole).sum():,} rows ({', '.join(counts)})" in str(caught.value)
    assert 'missing="drop"' in str(caught.value)


def test_a_missing_value_in_a_column_that_is_not_used_does_not_matter() -> None:
    table = pa.table({"a": [1, 2, 3], "b": [None, 1, 2], "y": [1, 2, 4]})
    assert Problem(table, target="y", features=["a"]).n == 3


def test_infinite_values_are_counted_by_column_and_never_dropped() -> None:
    x, y = np.array([1, np.inf, -np.inf, np.nan]), np.array([1, 2, np.inf, 4])
    for missing in ("error", "drop"):
        with pytest.raises(DataError, match=r"infinite values \(`x`: 2, `y`: 1\)"):
            Problem(x, y, missing=missing)


def test_values_too_large_to_square_are_counted_by_column() -> None:
    with pytest.raises(DataError, match=r"larger than 1e\+150 .*\(`x`: 1, `y`: 1\).*larger unit"):
        Problem([1, -1e200, 3], [1, 2, 1e151])
    assert Problem([1, -1e150, 3], [1, 2, 1e150]).n == 3


def test_rows_that_are_all_incomplete_leave_none() -> None:
    with pytest.raises(DataError, match=r"Every row \(2 in all\) has a missing value \(`x`: 1, `y`: 1\)"):
        Problem([np.nan, 1], [1, np.nan], missing="drop")


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1, -1, -2], "Negative weights: 2."),
        ([1, np.nan, 1], r"missing in 1 row \(`\(weights\)`: 1\)"),
        ([1, np.inf, 1], r"infinite values \(`\(weights\)`: 1\)"),
        ([0, 0, 0], "All weights are zero"),
        ([1, 1], "X has 3 rows, but weights has 2"),
        ([1, 1, 1, 1], "X has 3 rows, but weights has 4"),
        ([[1], [1], [1]], r"weights has shape \(3, 1\)"),
        (2.0, r"weights has shape \(\)"),
        (np.array(["a", "b", "c"]), "weights has values of type <U1"),
        ("w", "There is no column `w`"),
        ([], "X has 3 rows, but weights has 0"),
    ],
)
def test_weights_that_cannot_be_used(weights: Any, says: str) -> None:
    for data in ([1.0, 2, 4], pa.table({"x": [1.0, 2, 4]})):
        with pytest.raises(DataError, match=says):
            Problem(data, [1, 2, 3], weights=weights)


def test_negative_weights_are_counted_over_all_blocks() -> None:
    n = 3 * BLOCK_ROWS
    weights = np.ones(n)
    weights[::BLOCK_ROWS] = -1
    with pytest.raises(DataError, match="Negative weights: 3"):
        Problem(np.arange(n), np.arange(n), weights=weights)


def test_weights_act_as_repetition() -> None:
    weighted = Problem([1.0, 2, 4], [1, 3, 4], weights=[2, 0, 1]).solve()
    repeated = Problem([1.0, 1, 4], [1, 1, 4]).solve()
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-13)


@pytest.mark.parametrize(
    ("n", "most", "rows"),
    [
        (10, 4, [0, 3, 6, 9]),
        (10, 1, [0]),
        (3, 5, [0, 1, 2]),
        (3, 3, [0, 1, 2]),
        (2 * BLOCK_ROWS + 1, 3, [0, BLOCK_ROWS, 2 * BLOCK_ROWS]),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_is_evenly_spaced_from_the_first_row_to_the_last(
    n: int, most: int, rows: list[int], weighted: bool
) -> None:
    x = np.arange(float(n))
    sample = Problem(x, 2 * x, weights=x + 1 if weighted else None).sample_rows(most)
    assert sample.X.ravel().tolist() == rows
    assert sample.y.tolist() == [2 * row for row in rows]
    assert (sample.weights is None) == (not weighted)
    assert sample.weights is None or sample.weights.tolist() == [row + 1 for row in rows]


def test_a_sample_has_none_of_the_rows_that_were_dropped() -> None:
    sample = Problem([np.nan, 1, 2, np.nan, 3, 4], [1.0, 2, 3, 4, 5, 6], missing="drop").sample_rows(2)
    assert (sample.X.ravel().tolist(), sample.y.tolist()) == ([1, 4], [2, 6])


def test_one_row_that_was_meant_as_a_column_is_named() -> None:
    with pytest.raises(DataError) as caught:
        Problem([[1.0, 2, 3]], [1.0, 2, 3])
    assert caught.value.message.values["hint"].key == "error.hint_one_row"  # type: ignore[attr-defined]
    with pytest.raises(DataError) as caught:
        Problem([[1.0, 2, 3], [2, 3, 5]], [1.0, 2, 3])
    assert "hint_one_row" not in str(caught.value.message.values)


def test_arrays_are_handed_out_as_they_came() -> None:
    X, y, w = np.array([[1.0, 2], [3, 5], [4, 4]]), np.array([1.0, 2, 4]), np.array([1.0, 0, 2])
    rows = Problem(X, y, weights=w).rows()
    assert (rows.X.tolist(), rows.y.tolist()) == (X.tolist(), y.tolist())
    assert rows.weights is not None
    assert rows.weights.tolist() == w.tolist()
    assert np.shares_memory(rows.X, X)


def test_a_column_that_is_nearly_numeric_is_left_out_only_if_it_is_said() -> None:
    reasons = {"b": message("left_out.mixed_one"), "c": message("left_out.text")}
    names, given = ("a", "y", "w", "n"), (reasons, "y", "w")
    with pytest.raises(DataError) as caught:
        choose_features(None, names, *given)
    assert (caught.value.message.key, caught.value.message.values["name"]) == ("error.nearly_numeric", "b")
    assert choose_features(None, names, *given, drop=["b"]) == ("a", "n")
    assert choose_features(None, names, *given, drop=["b"], set_aside={"n": message("left_out.text")}) == ("a",)
    assert choose_features(["n"], names, *given, set_aside={"n": message("left_out.text")}) == ("n",)
    for drop, key in ((["z"], "no_such_column"), (["y"], "drop_of_used"), (["w"], "drop_of_used")):
        with pytest.raises(DataError) as caught:
            choose_features(["a"], names, *given, drop=drop)
        assert caught.value.message.key == f"error.{key}"
    with pytest.raises(DataError) as caught:
        choose_features(["a"], names, *given, drop="a")
    assert caught.value.message.key == "error.drop_of_used"
    with pytest.raises(DataError) as caught:
        choose_features(None, ("y",), {}, "y", None)
    assert caught.value.message.key == "error.no_features"
