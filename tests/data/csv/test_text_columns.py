from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from descentlab.data.csv.number_format import NumberMarks, detect_format, is_number, is_number_like
from descentlab.data.csv.text_columns import (
    as_booleans,
    closest_format,
    detect_flags,
    first_equal,
    first_match,
    has_flags,
    not_numeric_reason,
    strip_cells,
)
from descentlab.data.csv.text_filter import LineFilter
from descentlab.data.csv.words import MISSING_CELLS, MISSING_MARKS
from descentlab.problem import Problem


def as_numbers(column: Any, decimal: str) -> Any:
    cells = strip_cells(column)
    found = detect_format(cells, NumberMarks(decimal))
    return None if found is None else found.to_floats(cells)


@pytest.mark.parametrize("cell", ["1", "-1", "+1", "1.", ".5", "1.5e-3", "1E+10", " 7 "])
def test_a_number_in_any_spelling(cell: str) -> None:
    assert is_number(cell)
    assert as_numbers(pa.chunked_array([[cell]]), ".").to_pylist() == [float(cell)]


@pytest.mark.parametrize("cell", ["", "e5", "1,5", "1_000", "0x1F", "1e", "--1", "+-1", "1 2", "१", "NaN", "1.2.3"])
def test_what_is_no_number(cell: str) -> None:
    assert not is_number(cell)


def test_many_spaces_in_a_cell_take_no_time() -> None:
    """It grew with a high power of their number: this would not end."""
    assert is_number_like("€ 1 200,50 ")
    assert not is_number_like(f"1{' ' * 10_000}x")
    assert LineFilter(blanks=True).apply(b" 1" + b" " * 1_000_000 + b"2 \n") == b"1\t2\n"


def test_a_decimal_comma_takes_the_place_of_the_point() -> None:
    assert is_number("1,5", ",")
    assert not is_number("1.5", ",")
    assert as_numbers(pa.chunked_array([[" 1,5", "-2"], ["+3,25 "]]), ",").to_pylist() == [1.5, -2, 3.25]
    assert as_numbers(pa.chunked_array([["1,5", "2.5"]]), ",") is None


def test_missing_cells_are_null_and_infinite_ones_stay() -> None:
    column = pa.chunked_array(
        [["1", *MISSING_CELLS], [f" {cell} " for cell in MISSING_CELLS], [None, "inf", "-Infinity"]]
    )
    got = as_numbers(column, ".").to_numpy()
    assert np.isnan(got[1 : 2 * len(MISSING_CELLS) + 2]).all()
    assert got[-2:].tolist() == [np.inf, -np.inf]


def test_one_odd_cell_is_enough_to_leave_a_column_as_text() -> None:
    assert as_numbers(pa.chunked_array([["1"] * 5000 + ["x"]]), ".") is None
    assert as_numbers(pa.chunked_array([["x"]]), ".") is None


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_a_damaged_column_is_described_however_it_is_cut(cut: int, kind: str) -> None:
    cells = ["1", " ", "2", "oops", "3", "4", "?"]
    column: Any = pa.array(cells).dictionary_encode() if kind == "dictionary" else pa.array(cells, getattr(pa, kind)())
    pieces = [column.slice(start, cut) for start in range(0, len(cells), cut)]
    damaged = not_numeric_reason(pieces)
    assert str(damaged) == "2 of its 6 values are not numbers; the first is 'oops' in row 4"


@pytest.mark.parametrize("row", [0, 1, 3, None])
def test_the_first_cell_that_is_neither_true_nor_false_is_found_wherever_it_is(row: int | None) -> None:
    cells = ["true", "False", " ", "true"]
    if row is not None:
        cells[row] = "perhaps"
    assert as_booleans(pa.array(cells))[1] == row


def test_half_numbers_are_text_with_an_example_that_is_none() -> None:
    assert str(not_numeric_reason([pa.array(["1", "2", "a", "b"])])) == "it contains text, such as 'a'"
    assert str(not_numeric_reason([pa.array(["", None])])) == "it has no value in any row"
    assert str(not_numeric_reason([])) == "it has no value in any row"


def test_codes_with_leading_zeros_in_a_frame_are_left_out() -> None:
    table = pa.table({"zip": ["10234", "00501"], "x": [1.0, 2.0], "y": [2.0, 3.0]})
    problem = Problem(table, target="y")
    assert problem.features == ("x",)
    assert any("codes with leading zeros as text, such as '00501'" in str(notice) for notice in problem.notices)


def test_full_width_digits_and_every_minus_are_the_plain_ones() -> None:
    assert strip_cells(pa.array(["−１２", " –3", "x－1", "na"])).to_pylist()[:2] == ["-12", "-3"]
    assert strip_cells(pa.array(["none", "1"]), ("none",)).to_pylist() == [None, "1"]


def test_two_words_are_one_and_zero_in_any_case() -> None:
    cells = pa.array(["Yes", "no", None, "NO"])
    flags = detect_flags(cells)
    assert flags is not None
    assert flags.to_floats(cells).to_pylist() == [1, 0, None, 0]
    assert flags.match(pa.array(["YES", "n", None])).to_pylist() == [True, False, None]
    assert "'yes'" in flags.message.text("en")
    assert first_equal(cells, "no") == "no"
    assert detect_flags(pa.array(["yes", None])) is None
    assert has_flags(pa.array(["yes", None]))
    assert not has_flags(pa.array(["yes", "n"]))


def test_the_first_cell_with_a_pattern() -> None:
    cells = pa.array(["a", None, "b1", "c2"])
    assert first_match(cells, "[0-9]") == "b1"
    assert first_match(cells, "[A-Z]") is None


@pytest.mark.parametrize(
    ("cells", "percent", "reason"),
    [
        (["1%", "2%", "3"], True, "left_out.percent"),
        (["1%", "2", "3"], False, "left_out.percent"),
        (["1%", "2%", "x"], True, None),
        (["1.5", "2", "x"], False, None),
        (["1,5", "2,5", "3"], False, "left_out.other_mark"),
        (["1,5", "2,5", "x"], False, None),
    ],
)
def test_the_format_of_most_cells(cells: list[str], percent: bool, reason: str | None) -> None:
    found, why = closest_format(NumberMarks("."), strip_cells(pa.array(cells)))
    assert found.percent is percent
    assert getattr(why, "key", None) == reason


@pytest.mark.parametrize(
    ("cells", "name", "lines", "key"),
    [
        (["2024-01-31", "x"], None, False, "date_text"),
        (["10:30", "x"], None, False, "date_text"),
        (["x", "2024-01-31"], None, False, "text"),
        (["1", "x", "y"], None, False, "text"),
        (["1", "2", "x"], None, False, "mixed_one"),
        (["1", "2", "3", "x", "y"], None, False, "mixed"),
        (["1", "2", " x "], "x", False, "names_again"),
        (["1", "2", "?"], None, True, "marks_one"),
        (["1", "?", "?"], None, True, "marks"),
        (["1", "?", "?"], None, False, "mixed"),
        (["?", "?"], None, True, "text"),
        (["02134", "10001"], None, False, "codes"),
        (["1", "2"], None, False, "as_text"),
    ],
)
def test_why_a_column_is_not_numeric(cells: list[str], name: str | None, lines: bool, key: str) -> None:
    line_of_row = (lambda row: row + 2) if lines else None
    assert not_numeric_reason([pa.array(cells)], name=name, line_of_row=line_of_row).key == f"left_out.{key}"


@pytest.mark.parametrize(("count", "key"), [(5, "marks"), (6, "mixed")])
def test_at_most_five_marks_are_taken_for_missing_values(count: int, key: str) -> None:
    marks = ["?", "-", "--", ".", "..", "x.x", "missing", "unknown", "none"]
    known = [mark for mark in marks if mark in MISSING_MARKS][:count]
    assert len(known) == count
    cells = [*known, *["1"] * 9]
    assert not_numeric_reason([pa.array(cells)], line_of_row=lambda row: row).key == f"left_out.{key}"
