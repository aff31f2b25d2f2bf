from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab import Problem
from descentlab.data.csv import row_splitter
from descentlab.data.csv.source import open_csv
from descentlab.errors import DataError
from descentlab.messages import pluralize

GOOD = [[1.5, 2.0], [-3.0, 4.25]]


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, **reading: Any) -> Any:
    source = open_csv(path, **reading)
    named = [name for name in source.names if not name.startswith("(unnamed")]
    return np.concatenate(list(source.blocks(named))).tolist()


READ_AS_THE_SAME: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "plain": ("x,y\n1.5,2\n-3,4.25\n", {}),
    "no last line end": ("x,y\n1.5,2\n-3,4.25", {}),
    "CRLF": ("x,y\r\n1.5,2\r\n-3,4.25\r\n", {}),
    "CR": ("x,y\r1.5,2\r-3,4.25\r", {}),
    "mark": ("\ufeffx,y\n1.5,2\n-3,4.25\n", {}),
    "mark, asked for": ("\ufeffx,y\n1.5,2\n-3,4.25\n", {"encoding": "utf-8-sig"}),
    "blank lines": ("\n\nx,y\n\n1.5,2\n\n-3,4.25\n\n\n", {}),
    "a line of spaces first": ("   \nx,y\n1.5,2\n-3,4.25\n", {}),
    "quoted": ('"x","y"\n"1.5","2"\n"-3","4.25"\n', {}),
    "name of two lines": ('x,"y\n(unit)"\n1.5,2\n-3,4.25\n', {}),
    "quoted comma in a name": ('x,"y, m"\n1.5,2\n-3,4.25\n', {}),
    "spaces": (" x , y \n 1.5 , 2 \n -3 , 4.25 \n", {}),
    "plus signs": ("x,y\n+1.5,+2\n-3,4.25\n", {}),
    "exponents": ("x,y\n15e-1,2E+0\n-.3e1,425e-2\n", {}),
    "semicolons": ("x;y\n1.5;2\n-3;4.25\n", {}),
    "decimal commas": ("x;y\n1,5;2\n-3;4,25\n", {}),
    "decimal commas and a mark": ("\ufeffx;y\r\n1,5;2\r\n-3;4,25\r\n", {}),
    "decimal commas in quotes": ('x,y\n"1,5","2,0"\n"-3,0","4,25"\n', {}),
    "decimal commas in quotes, said": ('x,y\n"1,5","2,0"\n"-3,0","4,25"\n', {"decimal": ","}),
    "decimal commas and plus signs": ("x;y\n+1,5;2\n-3; 4,25 \n", {}),
    "tabs": ("x\ty\n1.5\t2\n-3\t4.25\n", {}),
    "tabs by name": ("x\ty\n1.5\t2\n-3\t4.25\n", {"delimiter": "tab"}),
    "bars": ("x|y\n1.5|2\n-3|4.25\n", {}),
    "carets": ("x^y\n1.5^2\n-3^4.25\n", {"delimiter": "^"}),
    "no header": ("1.5,2\n-3,4.25\n", {"header": False}),
    "UTF-16": ("x,y\n1.5,2\n-3,4.25\n".encode("utf-16"), {}),
    "UTF-16, big end first": (b"\xfe\xff" + "x,y\n1.5,2\n-3,4.25\n".encode("utf-16-be"), {}),
    "UTF-16 with the end named": ("\ufeffx,y\n1.5,2\n-3,4.25\n".encode("utf-16-le"), {"encoding": "utf-16-le"}),
    "UTF-32": ("x,y\n1.5,2\n-3,4.25\n".encode("utf-32"), {"encoding": "utf-32"}),
    "trailing commas": ("x,y,\n1.5,2,\n-3,4.25,\n", {}),
    "pandas index": (",x,y\n0,1.5,2\n1,-3,4.25\n", {}),
}


@pytest.mark.parametrize("kind", READ_AS_THE_SAME)
def test_every_dialect_is_read_as_the_same_numbers(tmp_path: Path, kind: str) -> None:
    content, reading = READ_AS_THE_SAME[kind]
    assert read(write(tmp_path, content), **reading) == GOOD


def test_what_was_found_out_is_said(tmp_path: Path) -> None:
    problem = Problem(write(tmp_path, "x;y\n1,5;2\n-3;4,25\n"), target="y")
    assert str(problem.notices[0]) == "a.csv was read with semicolons between cells and a comma as the decimal mark."
    given = Problem(write(tmp_path, "x^y\n1,5^2\n-3^4,25\n"), target="y", delimiter="^")
    assert "'^' between cells and a comma" in str(given.notices[0])
    told = Problem(write(tmp_path, "x;y\n1,5;2\n-3;4,25\n"), target="y", delimiter=";", decimal=",")
    assert not any("read with" in str(n) for n in told.notices)


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "euc-kr", "utf-16"])
def test_korean_names_and_text_in_korean_encodings(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "도시,면적,가격\n서울,84.5,12\n부산,59,7\n".encode(encoding))
    reading: dict[str, Any] = {} if encoding.startswith("utf") else {"encoding": encoding}
    problem = Problem(path, target="가격", **reading)
    assert problem.parameters == ("면적", "bias")
    assert problem.rows().X.ravel().tolist() == [84.5, 59]
    assert "`도시` was left out: it contains text, such as '서울'" in " ".join(map(str, problem.notices))


def test_an_unnamed_column_is_left_out_and_said(tmp_path: Path) -> None:
    problem = Problem(write(tmp_path, ",x,y\n5,1,2\n3,2,4\n"), target="y")
    assert problem.features == ("x",)
    assert any("`(unnamed 1)` was left out: it has no name" in str(n) for n in problem.notices)
    assert Problem(tmp_path / "a.csv", target="y", features=["(unnamed 1)"]).rows().X.tolist() == [[5], [3]]


def test_quoted_cells_may_hold_line_ends_anywhere(tmp_path: Path) -> None:
    rows = "".join(f'{i},"line {i}\nand, another",{2 * i}\n' for i in range(60_000))  # past pyarrow's first block
    problem = Problem(write(tmp_path, "x,text,y\n" + "0,plain,0\n" * 9000 + rows), target="y")
    assert problem.n == 69_000
    got = problem.rows()
    np.testing.assert_array_equal(got.y, 2 * got.X.ravel())


def test_missing_cells_in_every_spelling(tmp_path: Path) -> None:
    cells = ["", " ", "NA", " NA ", "NaN", "nan", "null", "N/A", "#N/A"]
    path = write(tmp_path, "x,y\n" + "".join(f"{cell},1\n" for cell in cells) + "2.5,3\n-1,4\n")
    with pytest.raises(DataError, match=r"missing in 9 rows \(`x`: 9\).*--missing drop"):
        Problem(path, target="y")
    dropped = Problem(path, target="y", missing="drop")
    assert dropped.rows().X.ravel().tolist() == [2.5, -1]
    assert "9 of 11 rows had a missing value" in str(dropped.notices[0])


def test_true_and_false_are_one_and_zero(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,y\nTrue,false,1\nFalse,true,2\n")
    assert Problem(path, target="y").rows().X.tolist() == [[1, 0], [0, 1]]


def test_dates_are_left_out(tmp_path: Path) -> None:
    problem = Problem(
        write(tmp_path, "d,t,x,y\n2024-01-31,2024-01-31 10:00,1,2\n2024-02-01,2024-02-01 11:00,2,3\n"), "y"
    )
    assert problem.features == ("x",)
    assert sum("dates or times" in str(n) for n in problem.notices) == 2


def test_large_whole_numbers_are_noticed(tmp_path: Path) -> None:
    problem = Problem(write(tmp_path, "id,y\n1,2\n9007199254740993,1\n"), target="y")
    assert "beyond 2^53 were rounded to float64 in: id" in str(problem.notices[0])


@pytest.mark.parametrize(
    ("content", "line", "cells", "expected"),
    [
        ("x,y\n1,2\n3\n", 3, 1, 2),
        ("x,y\n1,2\n\n3,4,5\n", 4, 3, 2),
        ('x,y\n"1",2\n"a\nb",2\n3,4,5\n', 5, 3, 2),
        ("\nx,y\n1,2,\n3,4\n", 4, 2, 3),
        ("x\n1,5\n2,5\n", 2, 2, 1),
        ("x,y\n" + "1,2\n" * 400_000 + "3,4,5\n", 400_002, 3, 2),
    ],
)
def test_a_ragged_row_is_refused_by_its_line(
    tmp_path: Path, content: str, line: int, cells: int, expected: int
) -> None:
    with pytest.raises(DataError) as caught:
        open_csv(write(tmp_path, content))
    assert f"line {line:,} has {pluralize(cells, 'cell')}, but the first line has {expected}" in str(caught.value)
    assert "--delimiter" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('x,y\n1,2\n"3,4\n5,6\n', 3),
        ('x,text\n1,a\n2,"b\n3,c\n', 3),  # pyarrow reads two rows and says nothing
        ('x,text\n1,"' + "a" * 3_000_000 + "\n", 2),
    ],
)
def test_a_quote_that_never_closes_is_refused_by_its_line(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"row that starts in line {line} does not end correctly.*quote"):
        open_csv(write(tmp_path, content))


def test_a_last_cell_of_several_lines_is_no_damage(tmp_path: Path) -> None:
    assert read(write(tmp_path, 'x,text\n1,a\n2,"b\nc"\n')) == [[1], [2]]


@pytest.mark.slow
def test_a_very_long_header_is_read_whole(tmp_path: Path) -> None:
    names = [f"column number {j} of a table with names as long as sentences" for j in range(2200)]
    path = write(tmp_path, ",".join(names) + "\n" + ",".join(map(str, range(2200))) + "\n")
    assert path.stat().st_size > 1 << 17
    source = open_csv(path)
    assert source.names == tuple(names)
    assert next(iter(source.blocks(source.names))).ravel().tolist() == list(range(2200))


@pytest.mark.parametrize("rows", [10, 200_000])
def test_numbers_that_turn_to_text_are_refused_by_line(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path, "x,z,y\n" + "".join(f"{i},{i % 5},{i}\n" for i in range(rows)) + "broken,1,2\n")
    says = f"1 of its {rows + 1:,} values, 'broken' in line {rows + 2:,}, is not a number"
    with pytest.raises(DataError) as caught:
        Problem(path, target="y")
    assert "`x` is damaged" in str(caught.value)
    assert says in str(caught.value)
    assert "--drop x" in str(caught.value)
    with pytest.raises(DataError) as asked:
        Problem(path, target="x")
    assert says in str(asked.value)
    assert Problem(path, target="y", features=["z"]).n == rows + 1


@pytest.mark.parametrize("bad", ["1-", "1 00", "₩", "5€$", "1e5.2", "1\0", "12,3.4", "1_000"])
def test_every_odd_cell_among_numbers_is_named(tmp_path: Path, bad: str) -> None:
    filler = "1,2\n" * 20_000  # a zero byte in the first lines is binary
    path = write(tmp_path, f'x,y\n{filler}"{bad}",3\n')
    with pytest.raises(DataError) as caught:
        Problem(path, target="y")
    assert f"1 of its 20,001 values, {bad!r} in line 20,002, is not a number" in str(caught.value)


def test_the_line_of_an_odd_cell_is_that_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'x,name,y\n\n1,"two\nlines",3\n2,a,4\nbad,b,2\n5,c,5\n?,d,1\n')
    with pytest.raises(DataError, match=r"2 of its 5 values are not numbers; the first is 'bad' in line 6\. Correct"):
        Problem(path, target="y")
    with gzip.open(tmp_path / "packed.csv.gz", "wb") as packed:
        packed.write(path.read_bytes())
    with pytest.raises(DataError, match="'bad' in line 6"):
        Problem(tmp_path / "packed.csv.gz", target="y")


def test_a_column_that_is_mostly_text_is_left_out(tmp_path: Path) -> None:
    problem = Problem(write(tmp_path, "code,x,y\n12,1,2\nA7,2,3\nB9,3,5\n"), target="y")
    assert problem.features == ("x",)
    assert "`code` was left out: it contains text, such as 'A7'" in str(problem.notices[0])


def test_another_encoding_is_refused_wherever_it_starts(tmp_path: Path) -> None:
    good = "x,text,y\n" + "1,city,2\n" * 20_000
    for content, line in (
        ("x,都市,y\n1,東京,2\n".encode("cp932"), 1),
        (good.encode() + b"1,\xbc\xad\xbf\xef,2\n", 20_002),  # a text column
        (good.encode() + b"1,city,\xbc\xad\n", 20_002),  # a column of numbers
    ):
        path = write(tmp_path, content)
        with pytest.raises(DataError) as caught:
            Problem(path, target="y", features=["x"])
        place = next(i for i, byte in enumerate(content) if byte > 127)
        assert f"not utf-8 text (first error at byte {place:,}, line {line:,})" in str(caught.value)
        assert "--encoding cp949" in str(caught.value)
    with pytest.raises(DataError, match=r"not cp949 text .*line 2"):
        open_csv(write(tmp_path, b"x,y\n\xff\xff,1\n"), encoding="cp949")
    with pytest.raises(DataError, match=r"not cp949 text .*line 20,002"):
        open_csv(write(tmp_path, good.encode() + b"\xff\xff,1,2\n"), encoding="cp949")


LATE_COLUMNS: list[tuple[str, str, list[float]]] = [
    ("1.5", "-2.5,2", [-2.5, 2]),
    ("1", "2.5,NA", [2.5, np.nan]),
    ("true", "false,NA", [0, np.nan]),
    ("Yes", "no,", [0, np.nan]),
    ("50%", "20%,NA", [20, np.nan]),
    ("", ",NA", [np.nan, np.nan]),
    ("9007199254740993", "9007199254740997,1", [9007199254740996, 1]),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("first", "late", "expected"), LATE_COLUMNS)
def test_later_pieces_have_the_columns_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, first: str, late: str, expected: list[float]
) -> None:
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", 200)
    begin = [first, {"Yes": "no", "true": "false"}.get(first, first)] * 20
    text = "x,y,t\n" + "".join(f"{cell},{i},a{i}\n" for i, cell in enumerate([*begin, *late.split(",")]))
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    source = open_csv(path)
    names = ["y", *(["x"] if first else [])]
    pieces = [pickle.loads(pickle.dumps(piece)) for piece in source.pieces(names)]
    assert len(pieces) > 1
    rows = np.concatenate([block for piece in pieces for block in piece.blocks(names)])
    assert rows[:, 0].tolist() == list(range(42))
    if first:
        np.testing.assert_array_equal(rows[-2:, 1], expected)
    labels = [
        block for piece in pieces for _, blocks in piece.mixed_blocks(["y"], ["t"]) for block in blocks["t"].to_pylist()
    ]
    assert labels == [f"a{i}" for i in range(42)]


def test_large_whole_numbers_are_read_less_a_shift(tmp_path: Path) -> None:
    ids = [2**60 + 1, 2**60 + 6, 2**60 + 3]
    source = open_csv(write(tmp_path, "id,key,y\n" + "".join(f"{i},{i + 9},{j}\n" for j, i in enumerate(ids))))
    shifts = source.integer_shifts(["y", "id"])
    assert shifts.keys() == {"id"}
    (piece,) = source.pieces(["y", "id"])
    (block,) = piece.blocks(["id", "y"], shifts)
    assert block.tolist() == [[i - shifts["id"], j] for j, i in enumerate(ids)]
    assert not piece.inexact_columns
    (rounded,) = piece.blocks(["id"])
    assert rounded.ravel().tolist() == [float(i) for i in ids]
    assert piece.inexact_columns == {"id"}
    ((_, labels),) = piece.mixed_blocks(["y"], ["id"])
    assert labels["id"].to_pylist() == ids


def test_the_first_bad_cell_of_a_later_piece_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", 200)
    for first, bad in (("1.5", "x"), ("true", "perhaps"), ("7", "8.5.1"), ("", "3")):
        rows = [f"{first},{i}" for i in range(200)]
        rows[150] = f"{bad},150"
        source = open_csv(write(tmp_path, "x,y\n" + "\n".join(rows) + "\n"))
        with pytest.raises(DataError) as caught:
            list(source.blocks(["x", "y"] if first else ["y"]))
        assert "line 152" in str(caught.value)
        assert bad in str(caught.value)
