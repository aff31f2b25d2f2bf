from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from descentlab.data.arrays import ArraySource
from descentlab.data.combined import ConcatSource, JoinedSource
from descentlab.data.source import (
    BLOCK_ROWS,
    DOT_CHUNK,
    MAX_MAGNITUDE,
    Source,
    has_finite_squares,
    is_from_package,
)
from descentlab.data.tables import open_table
from descentlab.errors import DataError


def numbers(**columns: list[float]) -> Source:
    return ArraySource(np.column_stack(list(columns.values())), list(columns))


def test_beside_keeps_rows_together_however_either_is_cut_into_blocks() -> None:
    n = 2 * BLOCK_ROWS + 3
    x = np.arange(float(n))
    chunks = [x[:5], x[5 : BLOCK_ROWS + 1], x[BLOCK_ROWS + 1 :]]
    table = open_table(pa.table({"x": pa.chunked_array(chunks), "text": ["t"] * n}))
    both = JoinedSource(table, ArraySource(10 * x[:, None], ["y"]), "y")
    assert both.names == ("x", "y")
    assert list(both.excluded_columns) == ["text"]
    rows = np.concatenate(list(both.blocks(["y", "x"])))
    np.testing.assert_array_equal(rows, np.column_stack([10 * x, x]))
    np.testing.assert_array_equal(np.concatenate(list(both.blocks(["x"]))), x[:, None])


@pytest.mark.parametrize("n", [0, 1, 4, 6, 20_000])
def test_beside_says_both_lengths(n: int) -> None:
    both = JoinedSource(numbers(x=[1, 2, 3, 4, 5]), ArraySource(np.zeros((n, 1)), ["y"]), "weights")
    with pytest.raises(DataError) as caught:
        list(both.blocks(["x", "y"]))
    assert f"X has 5 rows, but weights has {n:,}" in str(caught.value)


def test_beside_passes_on_what_is_noticed_while_reading() -> None:
    both = JoinedSource(open_table(pa.table({"id": [2**60, 1]})), numbers(y=[1, 2]), "y")
    list(both.blocks(["id", "y"]))
    assert ["id" in str(notice) for notice in both.notices] == [True]


def test_beside_refuses_a_name_that_is_taken() -> None:
    with pytest.raises(DataError, match="name x occurs more than once"):
        JoinedSource(numbers(x=[1.0]), numbers(x=[2.0]), "y")


def test_chained_reads_one_after_the_other_by_name() -> None:
    chained = ConcatSource([("a", numbers(x=[1, 2], y=[3, 4])), ("b", numbers(y=[6], x=[5]))])
    assert chained.names == ("x", "y")
    assert np.concatenate(list(chained.blocks(["y", "x"]))).tolist() == [[3, 1], [4, 2], [6, 5]]


def test_chained_goes_on_behind_any_piece_of_any_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.data.arrays.PIECE_ROWS", 2)
    chained = ConcatSource([(label, numbers(x=[i, i + 1, i + 2])) for label, i in (("a", 0), ("b", 3), ("c", 6))])
    pieces = list(chained.pieces(["x"]))
    assert len(pieces) == 6
    for piece in pieces:
        last = int(next(piece.blocks(["x"]))[-1, 0])
        rest = [row for each in chained.pieces(["x"], piece.next_offset) for row in next(each.blocks(["x"])).ravel()]
        assert rest == list(range(last + 1, 9))


@pytest.mark.parametrize("swap", [False, True])
def test_chained_names_the_part_that_lacks_a_column(swap: bool) -> None:
    parts = [("a.csv", numbers(x=[1], y=[2])), ("b.csv", numbers(x=[1]))]
    with pytest.raises(DataError, match=r"b\.csv has no column `y`, but a\.csv does"):
        ConcatSource(parts[::-1] if swap else parts)


@pytest.mark.parametrize("swap", [False, True])
def test_chained_names_the_part_where_numbers_are_text(swap: bool) -> None:
    text = open_table(pa.table({"x": ["one"]}))
    parts: list[tuple[str, Source]] = [("a.csv", numbers(x=[1])), ("b.csv", text)]
    with pytest.raises(DataError, match=r"`x` is numeric in a\.csv but not in b\.csv: it contains text, such as 'one'"):
        ConcatSource(parts[::-1] if swap else parts)


@pytest.mark.parametrize("swap", [False, True])
def test_a_column_empty_in_one_part_is_missing_there(swap: bool) -> None:
    empty = open_table(pa.table({"x": pa.nulls(2), "y": [1.0, 2.0]}))
    parts: list[tuple[str, Source]] = [("a", numbers(x=[7], y=[8])), ("b", empty)]
    chained = ConcatSource(parts[::-1] if swap else parts)
    assert sorted(chained.names) == ["x", "y"]
    rows = np.concatenate(list(chained.blocks(["x", "y"])))
    assert np.isnan(rows[:, 0]).sum() == 2
    assert sorted(rows[:, 1].tolist()) == [1, 2, 8]


def test_chained_says_the_same_notice_once() -> None:
    parts = [(label, open_table(pa.table({"id": [2**60]}))) for label in "abc"]
    chained = ConcatSource(parts)
    list(chained.blocks(["id"]))
    assert len(chained.notices) == 1


def test_where_a_class_comes_from_counts_its_bases() -> None:
    class Mine(np.ndarray): ...

    assert is_from_package(np.zeros(1).view(Mine), "numpy")
    assert not is_from_package([], "numpy", "torch")


IDS = [2**60 + 1, 2**60 + 4, 2**60 + 8]


@pytest.mark.parametrize("others", [["city"], ["x"], ["x", "city"], []])
def test_beside_pairs_numbers_with_text(others: list[str]) -> None:
    table = open_table(pa.table({"city": ["a", None, "c"], "x": [1.0, None, 3.0], "z": [7, 8, 9]}))
    both = JoinedSource(table, numbers(y=[4, 5, 6]), "y")
    for piece in both.pieces(["y", "z", *others]):
        ((block, labels),) = piece.mixed_blocks(["y", "z"], others)
        assert block.tolist() == [[4, 7], [5, 8], [6, 9]]
        expected = {"city": ["a", None, "c"], "x": [1.0, None, 3.0]}
        assert {name: column.to_pylist() for name, column in labels.items()} == {
            name: expected[name] for name in others
        }


def test_numbers_become_labels_with_gaps_where_they_are_missing() -> None:
    source = ConcatSource([("a", numbers(x=[1, np.nan], y=[3, 4])), ("b", numbers(x=[5], y=[6]))])
    found = [(block.tolist(), labels["x"].to_pylist()) for block, labels in source.mixed_blocks(["y"], ["x"])]
    assert found == [([[3], [4]], [1, None]), ([[6]], [5])]


def test_whole_numbers_are_read_as_differences_from_those_of_the_first_part_that_has_them() -> None:
    first, second = open_table(pa.table({"id": IDS})), open_table(pa.table({"id": [each + 10 for each in IDS]}))
    shifts = first.integer_shifts(["id"])
    assert abs(shifts["id"] - IDS[0]) < 2**10
    chained = ConcatSource([("a", first), ("b", second)])
    assert chained.integer_shifts(["id"]) == shifts
    expected = [each + more - shifts["id"] for more in (0, 10) for each in IDS]
    found = [block for piece in chained.pieces(["id"]) for block in piece.blocks(["id"], shifts)]
    assert np.concatenate(found).ravel().tolist() == expected
    both = JoinedSource(first, open_table(pa.table({"key": IDS[::-1]})), "y")
    shifts |= both.extra.integer_shifts(["key"])
    assert both.integer_shifts(["key", "id"]) == shifts
    assert both.integer_shifts(["id"]).keys() == {"id"}
    (piece,) = both.pieces(["key", "id"])
    (block,) = piece.blocks(["key", "id"], shifts)
    assert block.tolist() == [[b - shifts["key"], a - shifts["id"]] for a, b in zip(IDS, IDS[::-1], strict=True)]


def test_beside_is_cut_where_both_can_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.data.combined.PIECE_ROWS", 2)
    both = JoinedSource(numbers(x=[1, 2, 3, 4, 5]), numbers(y=[6, 7, 8, 9, 10]), "y")
    pieces = list(both.pieces(["x", "y"]))
    assert [(piece.size, piece.next_offset) for piece in pieces] == [(2, 2), (2, 4), (1, 5)]
    blocks = [next(piece.blocks(["y", "x"])).tolist() for piece in both.pieces(["y", "x"], 2)]
    assert blocks == [[[8, 3], [9, 4]], [[10, 5]]]
    longer = JoinedSource(numbers(x=[1, 2]), numbers(y=[6, 7, 8]), "y")
    assert (both.size, longer.size) == (5, None)
    assert [piece.size for piece in longer.pieces(["x", "y"])] == [0]


def test_beside_hands_out_an_array_of_either_and_of_no_mixture() -> None:
    both = JoinedSource(numbers(x=[1.0, 2]), numbers(y=[3.0, 4]), "y")
    x, y = both.as_array(["x"]), both.as_array(["y"])
    assert x is not None
    assert y is not None
    assert (x.tolist(), y.tolist()) == ([[1], [2]], [[3], [4]])
    assert both.as_array(["x", "y"]) is None


@pytest.mark.parametrize("row", [0, DOT_CHUNK - 1, DOT_CHUNK, DOT_CHUNK + 2])
@pytest.mark.parametrize(("value", "fits"), [(MAX_MAGNITUDE, True), (2 * MAX_MAGNITUDE, False), (np.nan, False)])
def test_squares_of_every_value_are_tried(row: int, value: float, fits: bool) -> None:
    values = np.zeros((DOT_CHUNK + 3, 1))
    values[row] = value
    assert has_finite_squares(values) is fits
    assert not has_finite_squares(np.zeros((3, 1), np.float32))
