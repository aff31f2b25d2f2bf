"""Files read in pieces: the same rows, the same errors, whatever the pieces."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import descentlab as dl
from descentlab.data import open_source, source
from descentlab.data.csv import row_splitter
from descentlab.data.paths import FileLocation, resolve_locations
from tests.data.csv import fuzz
from tests.data.csv.test_conventions import LAYOUTS, NUMBERS
from tests.extras import optional

duckdb = optional("duckdb")
rng = np.random.default_rng(3)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few rows."""
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", 64)
    for module in ("combined", "files", "arrays", "tables"):
        monkeypatch.setattr(f"descentlab.data.{module}.PIECE_ROWS", 7)


def whole(found: Any) -> list[list[float]]:
    rows: list[list[float]] = np.concatenate(list(found.blocks(found.names))).tolist()
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("size", [1 << 22, 90])
@pytest.mark.parametrize("seed", [11, 12])
def test_spoilt_files_are_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, seed: int
) -> None:
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", size)
    found = fuzz.run(150, seed, tmp_path)
    assert min(found.values()) > 20


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    contents = [case[0] for case in (*NUMBERS.values(), *LAYOUTS.values())]
    files = [content if isinstance(content, bytes) else content.encode() for content in contents]
    assert 100 < fuzz.run_damaged(400, 7, tmp_path, files) < 300


CSV = "a,b,t,e\n" + "".join(f"{i},{i / 8},word,\n" for i in range(40))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["plain", "gz", "utf-16", "CRLF", "CR"])
def test_a_csv_is_read_in_pieces(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.csv.gz" if kind == "gz" else "a.csv")
    text = CSV.replace("\n", {"CRLF": "\r\n", "CR": "\r"}.get(kind, "\n"))
    data = text.encode("utf-16" if kind == "utf-16" else "utf-8")
    path.write_bytes(gzip.compress(data) if kind == "gz" else data)
    found = open_source(path)
    assert found.names == ("a", "b")
    pieces = list(found.pieces(found.names))
    assert len(pieces) > 5
    assert whole(found) == [[i, i / 8] for i in range(40)]
    for i, piece in enumerate(pieces):  # from where any of them ended
        rest = [block for each in found.pieces(found.names, piece.next_offset) for block in each.blocks(found.names)]
        count = sum(len(block) for each in pieces[i + 1 :] for block in each.blocks(found.names))
        assert sum(map(len, rest)) == count
    said = " ".join(str(notice) for notice in found.notices)
    assert "columns and types were determined from the first" in said


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("abc,1,word,", r"line 42: column `a` contained numbers in the first \d+ rows, .* 'abc'"),
        ("1,2,word,9", r"line 42: column `e` contained no value in the first \d+ rows, .* '9'"),
        ("1,2,word", r"line 42.*3 cells"),
        ('1,2,"word,', r"line 42"),
    ],
)
def test_a_later_row_that_breaks_the_types_is_named_by_its_line(tmp_path: Path, row: str, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV + row + "\n" + "1,2,word,\n" * 5)
    with pytest.raises(dl.DataError, match=says):
        dl.Problem(path, target="b")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("row", ["abc,1,word,", "1,2,word"])
def test_lines_that_end_with_carriage_returns_are_counted(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((CSV + row + "\n").replace("\n", "\r").encode())
    with pytest.raises(dl.DataError, match="line 42"):
        dl.Problem(path, target="b")


@pytest.mark.usefixtures("small")
def test_cells_of_spaces_are_missing_in_later_pieces_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,e,f\n" + "1,,true\n" * 30 + "2,  ,  \n" + "3,,false\n")
    rows = whole(open_source(path))
    assert rows[29] == [1, 1]
    assert rows[30][0] == 2
    assert np.isnan(rows[30][1])


def test_names_longer_than_a_piece_and_a_mark_in_the_middle(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.csv"
    names = [f"column_{j:04}" for j in range(30)]
    path.write_text(",".join(names) + "\n" + ",".join(["1"] * 30) + "\n")
    assert whole(open_source(path)) == [[1.0] * 30]
    path.write_text("x,y\n" + "1,2\n" * 15 + "\ufeff1,2\n" * 20)
    with pytest.raises(dl.DataError, match="line 17: column `x`"):
        whole(open_source(path))


def test_a_zero_byte_far_down_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 40_000 + "1,2\x00\n" + "1,2\n" * 9)
    with pytest.raises(dl.DataError, match=r"40002|40,002|`b`"):
        dl.Problem(path, target="b")


@pytest.mark.usefixtures("small")
def test_lines_are_counted_across_quoted_cells_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head = 'x,"two\nlines",y\n' + "".join(f'{i},"w\n",{i}\n\n' for i in range(20))
    path.write_text(head + "1,w,?\n")
    line = head.count("\n") + 1
    with pytest.raises(dl.DataError, match=rf"line {line}: column `y`"):
        dl.Problem(path, target="y", features=["x"])


@pytest.mark.usefixtures("small")
def test_flags_spaces_and_large_numbers_in_later_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("f,n,id\n" + "true,1,1\n" * 30 + "false, +2 ,9007199254740993\n" + "true,NA,3\n")
    found = open_source(path)
    rows = whole(found)
    assert rows[30] == [0, 2, 9007199254740992]
    assert np.isnan(rows[31][1])
    assert any("2^53" in str(notice) and "id" in str(notice) for notice in found.notices)
    path.write_text("f,n\n" + "true,1\n" * 30 + "maybe,2\n")
    with pytest.raises(dl.DataError, match="line 32: column `f` contained true and false"):
        whole(open_source(path))


@pytest.mark.parametrize("kind", ["parquet", "ipc", "stream", "csv"])
def test_counts_and_sums_are_duckdbs(tmp_path: Path, kind: str, small: None) -> None:
    table = pa.table(
        {"x": rng.normal(size=100), "k": np.arange(100), "y": rng.normal(size=100), "f": np.arange(100) > 50}
    )
    parquet = tmp_path / "a.parquet"
    pq.write_table(table, parquet, row_group_size=9)
    path = tmp_path / f"a.{kind}"
    if kind == "ipc":
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=13)
    elif kind == "stream":
        path = tmp_path / "a.arrows"
        with pa.ipc.new_stream(path, table.schema) as file:
            file.write_table(table, max_chunksize=13)
    elif kind == "csv":
        duckdb.sql(f"COPY (FROM '{parquet}') TO '{path}' (HEADER)")
    found = open_source(path)
    assert len(list(found.pieces(found.names))) > 5
    values = np.concatenate(list(found.blocks(["x", "k", "y", "f"])))
    counted = duckdb.sql(f"SELECT count(*), sum(x), sum(k), sum(y), sum(f::int) FROM '{parquet}'").fetchall()[0]
    np.testing.assert_allclose([len(values), *values.sum(axis=0)], counted, rtol=1e-13)
    begin = list(found.pieces(["k"]))[:3]
    pieces = [*begin, *found.pieces(["k"], begin[-1].next_offset)]
    rows = np.concatenate([block for piece in pieces for block in piece.blocks(["k"])])
    assert rows.ravel().tolist() == list(range(100))


def test_other_filesystems(tmp_path: Path) -> None:
    fsspec = optional("fsspec")
    memory = fsspec.filesystem("memory")
    pq.write_table(pa.table({"x": [1.0, 2.0, 4.0], "y": [2.0, 3.0, 1.0]}), tmp_path / "a.parquet")
    for name in ("a", "b"):
        memory.pipe(f"/rows/day={ord(name)}/{name}.parquet", (tmp_path / "a.parquet").read_bytes())
    memory.pipe("/rows/text.csv", b"x,y\n1,2\n3,4\n")
    assert dl.Problem("memory://rows/text.csv", target="y").n == 2
    assert dl.Problem("memory://rows/*/*.parquet", target="y").features == ("x", "day")
    assert dl.Problem("memory://rows/day=97", target="y").n == 3
    assert dl.Problem((tmp_path / "a.parquet").as_uri(), target="y").n == 3
    (place,) = resolve_locations("memory://rows/text.csv")
    assert str(place) == "memory:///rows/text.csv"
    assert place.fingerprint()[0] == 12
    with pytest.raises(dl.DataError, match=r"no file.*memory://rows/none"):
        dl.Problem("memory://rows/none.csv", target="y")
    with pytest.raises(dl.DataError, match=r"No file matches"):
        dl.Problem("memory://rows/*.none", target="y")
    with pytest.raises(dl.DataError, match="No file system is known for nowhere"):
        dl.Problem("nowhere://rows.csv", target="y")


def test_a_place_is_marked_by_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    before = FileLocation(str(path)).fingerprint()
    path.write_text("x\n1\n2\n")
    assert FileLocation(str(path)).fingerprint() != before


def test_memory_does_not_grow_with_the_pieces_of_an_array() -> None:
    X = rng.normal(size=(3 * source.PIECE_ROWS + 5, 2))
    pieces = list(open_source(X).pieces(["x1", "x2"]))
    assert [piece.size for piece in pieces] == [source.PIECE_ROWS] * 3 + [5]
    assert all(np.shares_memory(piece.source.matrix, X) for piece in pieces)  # type: ignore[attr-defined]
