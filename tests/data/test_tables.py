from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from descentlab import Problem
from descentlab.data.tables import column_name, open_table
from descentlab.errors import DataError
from tests.extras import optional

duckdb = optional("duckdb")
pd = optional("pandas")
pl = optional("polars")

X1, X2, Y = [1.0, 2.0, 4.0], [3, 5, 9], [2.0, 4.0, 9.0]
COLUMNS = {"키": X1, "x 2": X2, "y": Y}


def read(data: Any, columns: list[str] | None = None) -> Any:
    source = open_table(data)
    return np.concatenate(list(source.blocks(columns or source.names)))


def shuffled_index() -> Any:
    return pd.DataFrame(COLUMNS, index=pd.Index([9, 1, 5], name="row"))


def in_duckdb() -> Any:
    given = pa.table(COLUMNS)  # noqa: F841 (duckdb finds it by its name)
    return duckdb.sql("select * from given")


TABLES = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas, shuffled named index": shuffled_index,
    "pandas, text index": lambda: pd.DataFrame(COLUMNS, index=list("cab")),
    "pandas, multi-index": lambda: pd.DataFrame(COLUMNS, index=pd.MultiIndex.from_tuples([(1, 2), (3, 4), (5, 6)])),
    "pandas, nullable": lambda: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas, pyarrow dtypes": lambda: pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, objects": lambda: pd.DataFrame(COLUMNS).astype(object),
    "pandas, categories": lambda: pd.DataFrame(COLUMNS).astype("category"),
    "pandas, sparse": lambda: pd.DataFrame(COLUMNS).astype(pd.SparseDtype(float)),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars, chunked": lambda: pl.concat([pl.DataFrame(COLUMNS)[:1], pl.DataFrame(COLUMNS)[1:]], rechunk=False),
    "pyarrow": lambda: pa.table(COLUMNS),
    "pyarrow, chunked": lambda: pa.concat_tables([pa.table(COLUMNS)[:2], pa.table(COLUMNS)[2:]]),
    "pyarrow batch": lambda: pa.record_batch(COLUMNS),
    "pyarrow one-shot reader": lambda: pa.table(COLUMNS).to_reader(),
    "pyarrow from pandas with an index": lambda: pa.Table.from_pandas(shuffled_index()),
    "duckdb": in_duckdb,
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_table_gives_the_same_rows_under_its_own_names(kind: str) -> None:
    problem = Problem(TABLES[kind](), target="y")
    assert problem.features == ("키", "x 2")
    assert problem.n == 3
    for _ in range(2):  # a one-shot stream can be read again
        rows = problem.rows()
        assert rows.X.tolist() == [list(pair) for pair in zip(X1, X2, strict=True)]
        assert rows.y.tolist() == Y


TYPES = [
    *(pa.array([1, 2], getattr(pa, kind)()) for kind in ("int8", "int16", "int32", "int64")),
    *(pa.array([1, 2], getattr(pa, kind)()) for kind in ("uint8", "uint16", "uint32", "uint64", "float32", "float64")),
    pa.array(np.array([1, 2], dtype=np.float16)),
    pa.array([Decimal("1.00"), Decimal("2.00")], pa.decimal128(10, 2)),
    pa.array([Decimal(1), Decimal(2)], pa.decimal256(60, 0)),
    pa.array([1, 2]).dictionary_encode(),
    pa.array([1.0, 2.0]).dictionary_encode(),
]


@pytest.mark.parametrize("column", TYPES, ids=lambda column: str(column.type))
def test_every_numeric_type_arrives_as_its_numbers(column: Any) -> None:
    assert read(pa.table({"x": column})).tolist() == [[1], [2]]
    gap = pa.concat_arrays([column, pa.nulls(1, column.type)])
    np.testing.assert_array_equal(read(pa.table({"x": gap})), [[1], [2], [np.nan]])


def test_booleans_are_zero_and_one() -> None:
    np.testing.assert_array_equal(read(pa.table({"b": [True, False, None]})), [[1], [0], [np.nan]])
    assert read(pd.DataFrame({"b": pd.array([True, False], dtype="boolean")})).tolist() == [[1], [0]]


def test_a_sliced_and_chunked_table_keeps_rows_together_across_blocks() -> None:
    n = 20_011
    x = np.arange(n)
    cuts = np.split(x, [1, 8191, 8193, 16385])
    table = pa.table({"a": pa.chunked_array(cuts), "b": pa.chunked_array([-x])}).slice(3, n - 5)
    got = read(table, ["b", "a"])
    np.testing.assert_array_equal(got, np.column_stack([-x, x])[3 : n - 2])


LEFT_OUT = {
    "text": (["서울", "부산"], "it contains text, such as '서울'"),
    "half numbers": (["1.5", "b"], "it contains text, such as 'b'"),
    "large text": (pa.array(["서울", "부산"], pa.large_string()), "'서울'"),
    "text view": (pa.array(["서울", "부산"], pa.string_view()), "'서울'"),
    "category": (pa.array(["서울", "부산"]).dictionary_encode(), "'서울'"),
    "blank first": (["", "b"], "'b'"),
    "date": (pa.array([0, 1], pa.date32()), "dates or times"),
    "time": (pa.array([0, 1], pa.timestamp("ns", tz="Asia/Seoul")), "dates or times"),
    "duration": (pa.array([0, 1], pa.duration("s")), "dates or times"),
    "bytes": ([b"a", b"b"], "not UTF-8"),
    "list": ([[1.0], [2.0]], "type is list<"),
    "struct": ([{"a": 1}, {"a": 2}], "type is struct<"),
    "null": (pa.nulls(2), "no value in any row"),
    "blank": (["", " "], "no value in any row"),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_is_not_numeric_is_left_out_with_a_notice_and_refused_by_name(kind: str) -> None:
    column, reason = LEFT_OUT[kind]
    table = pa.table({"열": column, "x": [1, 2], "y": [3, 5]})
    problem = Problem(table, target="y")
    assert problem.features == ("x",)
    (notice,) = [str(notice) for notice in problem.notices if "left out" in str(notice)]
    assert "`열`" in notice
    assert reason in notice
    for asked in ({"target": "열"}, {"target": "y", "features": ["x", "열"]}, {"target": "y", "weights": "열"}):
        with pytest.raises(DataError) as caught:
            Problem(table, **asked)
        assert "`열`" in str(caught.value)
        assert reason in str(caught.value)
    assert not any("left out" in str(notice) for notice in Problem(table, target="y", features=["x"]).notices)


@pytest.mark.parametrize("cells", [["1.5", "2.5"], ["1,200", "900"], ["$5", "n/a"], ["4 %", "5 %"], [None, "1"]])
@pytest.mark.parametrize("make", [pa.table, pl.DataFrame, pd.DataFrame])
def test_numbers_that_are_stored_as_text_are_refused(make: Any, cells: list[str]) -> None:
    table = make({"x": cells, "z": [1, 2], "y": [3, 5]})
    with pytest.raises(DataError, match=r"`x` is damaged: its numbers are stored as text, such as '"):
        Problem(table, target="y")
    assert Problem(table, target="y", drop=["x"]).features == ("z",)


def test_the_index_in_pandas_metadata_is_left_out_and_named() -> None:
    problem = Problem(pa.Table.from_pandas(shuffled_index()), target="y")
    assert any("`row`" in str(notice) and "row index" in str(notice) for notice in problem.notices)


def test_metadata_that_pandas_did_not_write_is_ignored() -> None:
    for metadata in (b"{", b"[]", b"null", b'{"index_columns": 3}', b"\xff"):
        assert read(pa.table({"x": [1]}).replace_schema_metadata({b"pandas": metadata})).tolist() == [[1]]


def test_large_whole_numbers_are_noticed_in_every_type_that_holds_them() -> None:
    large = 2**53 + 1
    table = pa.table(
        {
            "int": [1, large],
            "uint": pa.array([1, 2**64 - 1], pa.uint64()),
            "decimal": pa.array([Decimal(1), Decimal(-large)], pa.decimal128(38, 0)),
            "code": pa.array([1, large]).dictionary_encode(),
            "null": pa.array([None, large]),
            "small": [1, 2**53],
            "y": [1.0, 2.0],
        }
    )
    (notice,) = [str(n) for n in Problem(table, target="y", missing="drop").notices if "2^53" in str(n)]
    assert notice.endswith(": int, uint, decimal, code.")


def test_damaged_object_columns_are_read_as_a_csv_would_be() -> None:
    frame = pd.DataFrame({"x": [1, 2.5, "n.a.", None, 4], "y": [1, 2, 3, 4, 5]})
    with pytest.raises(DataError) as caught:
        Problem(frame, target="y")
    assert "`x` is damaged: 1 of its 4 values, 'n.a.' in row 3, is not a number. Correct" in str(caught.value)
    mixed = pd.DataFrame({"x": [1, "a", "b"], "z": [1, 2, 3], "y": [1, 2, 3]})
    assert Problem(mixed, target="y").features == ("z",)


def test_a_complex_column_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="`z` cannot be used: its type is complex128"):
        Problem(pd.DataFrame({"z": [1j, 2], "y": [1, 2]}), target="y")


def test_names_that_are_numbers_can_be_asked_for_as_numbers() -> None:
    problem = Problem(pd.DataFrame(np.arange(6.0).reshape(2, 3)), target=2, features=[0])  # type: ignore[arg-type, list-item]
    assert (problem.target, problem.features) == ("2", ("0",))


@pytest.mark.parametrize("names", [["a", "a", "y"], [1, "1", "y"]])
def test_repeated_names_are_refused(names: list[Any]) -> None:
    with pytest.raises(DataError, match=rf"name {names[0]} occurs more than once"):
        Problem(pd.DataFrame([[1, 2, 3]], columns=names), target="y")


def test_what_an_exporter_says_when_it_fails_is_passed_on() -> None:
    with pytest.raises(DataError, match=r"DuckDBPyRelation could not be read as a table: .*Conversion Error"):
        Problem(duckdb.sql("select cast('a' || i as int) as x, i as y from range(3) t(i)"), target="y")
    with pytest.raises(DataError, match=r"DataFrame could not be read as a table: .*i128"):
        Problem(pl.DataFrame({"x": pl.Series([1], dtype=pl.Int128), "y": [1]}), target="y")


SERIES = {
    "pandas": lambda: pd.Series(Y, name="값", index=[7, 8, 9]),
    "pandas nullable": lambda: pd.Series([2, 4, 9], name="값", dtype="Int64"),
    "pandas objects": lambda: pd.Series(Y, name="값", dtype=object),
    "pandas index": lambda: pd.Index(Y, name="값"),
    "polars": lambda: pl.Series("값", Y),
    "pyarrow": lambda: pa.array(Y),
    "pyarrow chunked": lambda: pa.chunked_array([Y[:1], Y[1:]]),
}


@pytest.mark.parametrize("kind", SERIES)
def test_a_series_is_one_column_under_its_own_name(kind: str) -> None:
    series = SERIES[kind]()
    own = None if kind.startswith("pyarrow") else "값"
    assert column_name(series) == own
    target = Problem([1, 2, 3], series)
    assert target.target == (own or "y")
    assert target.rows().y.tolist() == Y
    feature = Problem(series, [1, 2, 3])
    assert feature.features == (own or "x",)
    assert feature.rows().X.tolist() == [[value] for value in Y]
    weighted = Problem([1, 2, 3], [1, 2, 4], weights=series)
    assert weighted.weight == sum(Y)


def test_a_series_without_a_name_is_x_or_y() -> None:
    problem = Problem(pd.Series([1, 2, 4]), pd.Series([1, 2, 3]))
    assert (problem.features, problem.target) == (("x",), "y")


@pytest.mark.parametrize("kind", ["pandas", "pandas nullable", "polars", "pyarrow"])
def test_a_target_with_a_gap_is_missing_there(kind: str) -> None:
    gap = {
        "pandas": lambda: pd.Series([1, None, 3]),
        "pandas nullable": lambda: pd.Series([1, None, 3], dtype="Int64"),
        "polars": lambda: pl.Series([1, None, 3]),
        "pyarrow": lambda: pa.array([1, None, 3]),
    }[kind]()
    with pytest.raises(DataError, match=r"missing in 1 row \(`y`: 1\)"):
        Problem([1, 2, 3], gap)
    assert Problem([1, 2, 3], gap, missing="drop").rows().y.tolist() == [1, 3]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_table_as_a_target_is_refused(make: Any) -> None:
    with pytest.raises(DataError, match=r"y has shape \(3, 1\), but it must have one dimension"):
        Problem([1, 2, 3], make({"y": [1, 2, 3]}))


def test_a_text_series_as_a_target_is_refused() -> None:
    with pytest.raises(DataError, match="`y` cannot be used: it contains text, such as 'a'"):
        Problem([1, 2, 3], pd.Series(["a", "b", "c"]))


def test_rows_are_paired_by_position_and_said_so_where_labels_differ() -> None:
    X = pd.DataFrame({"x": [1, 2, 3]}, index=[2, 0, 1])
    assert not any("position" in str(n) for n in Problem(X, pd.Series([1, 2, 4], index=[2, 0, 1])).notices)
    problem = Problem(X, pd.Series([1, 2, 4]), weights=pd.Series([1, 1, 2], index=[2, 0, 1]))
    (notice,) = [str(n) for n in problem.notices if "position" in str(n)]
    assert "index of y differs" in notice
    assert problem.rows().y.tolist() == [1, 2, 4]


WORDS = ["Yes", "no", None, "YES", "no"]


@pytest.mark.parametrize("kind", ["pandas", "categories", "table", "parquet"])
def test_yes_and_no_are_one_and_zero_as_in_a_csv_file(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"f": WORDS, "x": [1.0, 2.0, 4.0, 8.0, 9.0], "y": range(5)})
    frame = frame.assign(f=frame["f"].astype("category")) if kind == "categories" else frame
    frame.to_parquet(tmp_path / "a.parquet")
    data = {"table": pa.Table.from_pandas(frame), "parquet": str(tmp_path / "a.parquet")}.get(kind, frame)
    problem = Problem(data, target="y", missing="drop")
    assert problem.features == ("f", "x")
    assert problem.rows().X[:, 0].tolist() == [1, 0, 1, 0]
    assert "In `f`, 'Yes' was read as 1 and 'no' as 0." in map(str, problem.notices)
    assert "was read as" not in " ".join(map(str, Problem(data, target="y", drop="f").notices))


def test_one_word_or_a_third_one_is_text() -> None:
    for words in (["yes", "yes"], ["yes", "no", "maybe"], ["yes", "false"]):
        table = pa.table({"f": words, "x": range(len(words)), "y": range(len(words))})
        assert Problem(table, target="y").features == ("x",)


def test_a_later_cell_that_is_neither_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.data.flag_columns.PIECE_ROWS", 4)
    parts = [
        pa.table({"f": words, "y": range(3)}) for words in (["y", "n", "y"], ["n", "n", ""], ["y", "perhaps", "n"])
    ]
    with pytest.raises(DataError, match=r"`f` contained 'y' and 'n' in the first rows.*there is 'perhaps'"):
        Problem(pa.concat_tables(parts), target="y", missing="drop")


def test_decimals_with_a_fraction_are_rounded_as_any_number() -> None:
    column = pa.array([Decimal("99999999999999999.25"), Decimal("1.50")], pa.decimal128(20, 2))
    found = open_table(pa.table({"x": column}))
    assert np.concatenate(list(found.blocks(["x"])))[:, 0].tolist() == [99999999999999999.25, 1.5]
    assert found.notices == ()
