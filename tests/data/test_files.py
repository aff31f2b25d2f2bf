from __future__ import annotations

import builtins
import gzip
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from descentlab import Problem
from descentlab.data import open_source
from descentlab.data.paths import FileLocation, resolve_locations
from descentlab.errors import DataError
from tests.extras import needs, optional

pd = optional("pandas")
pl = optional("polars")

N = 20_000
TABLE = pa.table({"도시": ["서울"] * N, "x": np.arange(N) * 0.5, "k": np.arange(N) % 7, "y": np.arange(N) * 1.5 + 1})


def frame() -> Any:
    """The same rows in pandas."""
    return pd.DataFrame(TABLE.to_pydict())


def write_arrow(path: Path, kind: str) -> None:
    new: Any = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=6000)


WRITERS: dict[str, Any] = {
    "pandas.parquet": lambda path: frame().to_parquet(path),
    "indexed.parquet": lambda path: frame().set_index(pd.RangeIndex(N)[::-1]).to_parquet(path),
    "polars.parquet": lambda path: pl.from_pandas(frame()).write_parquet(path, row_group_size=3001),
    "pyarrow.parquet": lambda path: pq.write_table(TABLE, path, row_group_size=8191),
    "parquet.csv": lambda path: frame().to_parquet(path),  # the content decides
    "pandas.feather": lambda path: frame().to_feather(path),
    "plain.feather": lambda path: feather.write_feather(TABLE, str(path), compression="uncompressed"),
    "polars.arrow": lambda path: pl.from_pandas(frame()).write_ipc(path, compression="zstd"),
    "stream.arrow": lambda path: write_arrow(path, "stream"),
    "stream.bin": lambda path: write_arrow(path, "stream"),
    "file.arrow": lambda path: write_arrow(path, "file"),
    "pandas.csv": lambda path: frame().to_csv(path),
    "plain.csv": lambda path: frame().to_csv(path, index=False),
    "plain.csv.gz": lambda path: frame().to_csv(path, index=False),
    "plain.csv.bz2": lambda path: frame().to_csv(path, index=False),
    "polars.csv": lambda path: pl.from_pandas(frame()).write_csv(path),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    problem = Problem(path, target="y", features=["k", "x"])
    rows = problem.rows()
    np.testing.assert_array_equal(rows.X, np.column_stack([TABLE["k"], TABLE["x"]]))
    np.testing.assert_array_equal(rows.y, TABLE["y"])
    everything = Problem(str(path), target="y")
    assert everything.features == ("x", "k")
    assert any("`도시` was left out: it contains text, such as '서울'" in str(notice) for notice in everything.notices)


def test_a_named_index_in_parquet_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame().head(5).set_index(pd.Index([4, 2, 0, 1, 3], name="id")).to_parquet(path)
    problem = Problem(path, target="y")
    assert problem.features == ("x", "k")
    assert any("`id` was left out: it is the row index" in str(notice) for notice in problem.notices)


def test_dotted_and_nested_names_in_parquet_do_not_mix(tmp_path: Path) -> None:
    table = pa.table({"a.b": [1.0, 2.0], "a": [{"b": 9.0}, {"b": 8.0}], "y": [3.0, 4.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    problem = Problem(tmp_path / "a.parquet", target="y")
    assert problem.features == ("a.b",)
    assert problem.rows().X.tolist() == [[1], [2]]


def part(path: Path, **columns: list[Any]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_several_files_are_read_in_order_and_patterns_are_sorted(tmp_path: Path) -> None:
    paths = [part(tmp_path / f"{name}.csv", x=[j], y=[2 * j]) for j, name in enumerate("cab")]
    assert Problem(paths, target="y").rows().X.ravel().tolist() == [0, 1, 2]
    assert Problem([str(p) for p in paths], target="y").rows().y.tolist() == [0, 2, 4]
    assert Problem(str(tmp_path / "*.csv"), target="y").rows().X.ravel().tolist() == [1, 2, 0]
    assert Problem(str(tmp_path / "**" / "[ab].csv"), target="y").n == 2
    mixed = tmp_path / "d.parquet"
    pq.write_table(pa.table({"y": [8.0], "x": [4]}), mixed)  # another format, and another order of columns
    both = Problem([paths[0], mixed], target="y")
    assert (both.rows().X.ravel().tolist(), both.rows().y.tolist()) == ([0, 4], [0, 8])


def test_a_name_with_brackets_is_a_name_where_such_a_file_exists(tmp_path: Path) -> None:
    path = part(tmp_path / "data[1].csv", x=[1], y=[2])
    assert resolve_locations(str(path)) == [FileLocation(str(path))]


def test_notices_of_several_files_are_each_said_once(tmp_path: Path) -> None:
    for name in "ab":
        pd.DataFrame({"x": [1.5, 2], "y": [1, 2]}).to_csv(tmp_path / f"{name}.csv", sep=";", decimal=",")
    notices = [str(n) for n in Problem(str(tmp_path / "*.csv"), target="y").notices]
    assert sum("a.csv was read with semicolons" in n for n in notices) == 1
    assert sum("`(unnamed 1)` was left out: it has no name" in n for n in notices) == 1


def test_a_file_named_twice_is_counted_twice_and_said_so(tmp_path: Path) -> None:
    path = part(tmp_path / "a.csv", x=[1, 2], y=[3, 5])
    problem = Problem([path, path], target="y")
    assert problem.n == 4
    assert any("count more than once" in str(n) and "a.csv" in str(n) for n in problem.notices)


def test_several_files_must_agree(tmp_path: Path) -> None:
    first = part(tmp_path / "a.csv", x=[1], y=[2])
    with pytest.raises(DataError, match=r"c\.csv has no column `x`, but .*a\.csv does"):
        Problem([first, part(tmp_path / "c.csv", z=[1], y=[2])], target="y")
    with pytest.raises(
        DataError, match=r"`x` is numeric in .*a\.csv but not in .*b\.csv: it contains text, such as 'n'"
    ):
        Problem([first, part(tmp_path / "b.csv", x=["n"], y=[2])], target="y")


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    part(tmp_path / "housing.csv", x=[1], y=[2])
    with pytest.raises(DataError, match=r"no file .*housng\.csv\. Did you mean `housing\.csv`"):
        Problem(tmp_path / "housng.csv", target="y")
    with pytest.raises(DataError, match=r"No file matches .*\*\.parquet"):
        Problem(str(tmp_path / "*.parquet"), target="y")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"The folder .*empty and its subfolders contain no data file"):
        Problem(tmp_path / "empty", target="y")
    with pytest.raises(DataError, match=r"no file .*nowhere"):
        Problem(tmp_path / "nowhere" / "a.csv", target="y")


@pytest.mark.parametrize("path", ["a" * 5000 + ".csv", "a\0b.csv", "~nobody-of-that-name/a.csv"])
def test_an_impossible_path_is_an_error_of_ours(path: str) -> None:
    with pytest.raises(DataError):
        Problem(path, target="y")


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = part(tmp_path / "secret.csv", x=[1], y=[2])
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read anything

        def refuse(file: object, *args: object, **kwargs: object) -> Any:
            raise PermissionError(13, "Permission denied", str(file))

        monkeypatch.setattr(io, "open", refuse)
        monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(DataError, match=r"secret\.csv cannot be read: .*Permission denied.*that you have permission"):
        Problem(path, target="y")


TRUNCATED = ["pandas.parquet", "polars.parquet", "pandas.feather", "plain.feather", "file.arrow", "plain.csv.gz"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99, "last byte"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float | str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if isinstance(share, str) else whole[: max(9, int(share * len(whole)))])
    with pytest.raises(DataError, match=f"{name} cannot be read: .+ Check that the file is complete"):
        Problem(path, target="y")


def test_a_stream_cut_inside_a_batch_is_refused_and_between_batches_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_arrow(path, "stream")
    whole = path.read_bytes()
    assert not any("end mark" in str(n) for n in Problem(path, target="y").notices)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        Problem(path, target="y")
    path.write_bytes(whole[:-8])
    assert any("end mark" in str(n) and "20,000 rows" in str(n) for n in Problem(path, target="y").notices)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather"])
@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", bytes(100), b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff"])
def test_a_name_that_the_content_belies_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        Problem(path, target="y")


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
RANDOM = np.random.default_rng(0).bytes(5000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PNG, "zero bytes"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "ZIP archive"),
        (gzip.compress(b"x,y\n1,2\n", mtime=0), "compressed with gzip"),
        (b"PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet"),
        (RANDOM, "zero bytes"),
        (RANDOM.replace(b"\0", b""), "not utf-8 text"),
        (b"x,y\n1,\x002\n", "zero bytes"),
        (b"", "is empty"),
        (b" \n\t\r\n  ", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xff\xfe", "is empty"),
        (b"\xff\xfex", "not utf-16 text"),
    ],
)
def test_what_poses_as_csv_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Problem(path, target="y")
    assert says in str(caught.value)
    assert "a.csv" in str(caught.value)


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"x,y\n" + b"1,2\n" * 1000))
    packed[-6] ^= 1
    (tmp_path / "a.csv.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"cannot be read: .*incorrect data check"):
        Problem(tmp_path / "a.csv.gz", target="y")
    (tmp_path / "b.csv.gz").write_bytes(b"x,y\n1,2\n")
    with pytest.raises(DataError, match="cannot be read"):
        Problem(tmp_path / "b.csv.gz", target="y")
    joined = gzip.compress(b"x,y\n1,2\n") + gzip.compress(b"3,5\n")
    (tmp_path / "c.csv.gz").write_bytes(joined)
    assert Problem(tmp_path / "c.csv.gz", target="y").rows().y.tolist() == [2, 5]


def test_a_folder_is_its_files_and_what_their_folders_say(tmp_path: Path) -> None:
    for year in (2025, 2026):
        for region in ("north", "south"):
            inside = tmp_path / f"year={year}" / f"region={region}"
            inside.mkdir(parents=True)
            pq.write_table(pa.table({"x": [1.0, 2.0], "y": [float(year), 1.0]}), inside / "part-0.parquet")
            (inside / "_SUCCESS").write_text("")
            (inside / ".part-0.crc").write_bytes(b"no data")
    found = open_source(tmp_path)
    assert found.names == ("x", "y", "year")
    assert "it contains text, such as 'north'" in str(found.excluded_columns["region"])
    values = np.concatenate(list(found.blocks(["year", "x"])))
    assert values.tolist() == [[2025, 1], [2025, 2]] * 2 + [[2026, 1], [2026, 2]] * 2
    nowhere = tmp_path / "year=__HIVE_DEFAULT_PARTITION__" / "region=x"
    nowhere.mkdir(parents=True)
    pq.write_table(pa.table({"x": [5.0], "y": [1.0]}), nowhere / "part-0.parquet")
    assert np.isnan(np.concatenate(list(open_source(tmp_path).blocks(["year"])))[-1, 0])
    alone = open_source(str(tmp_path / "year=__*" / "**" / "*.parquet"))
    assert alone.names == ("x", "y")
    assert {name: reason.key for name, reason in alone.excluded_columns.items()} == {
        "year": "left_out.empty",
        "region": "left_out.text",
    }
    (nowhere / "part-0.parquet").unlink()
    pattern = open_source(str(tmp_path / "year=*" / "**" / "*.parquet"))
    assert pattern.names == found.names
    problem = Problem(tmp_path, target="y")
    assert (problem.n, problem.features) == (8, ("x", "year"))


@pytest.mark.parametrize("uri", [False, True])
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("*a*.csv", ["a.csv"]),
        pytest.param("[b-c].csv", ["b.csv"], marks=needs("fsspec")),  # brackets are not part of a URI
        ("day=*/*.csv", ["day=1/c.csv", "day=2/c.csv"]),
        ("**/c.csv", ["day=1/c.csv", "day=2/c.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "day=1/c.csv", "day=2/c.csv"]),
        ("", ["a.csv", "a_csv", "b.csv", "day=1/c.csv", "day=2/c.csv"]),
        ("a.csv", ["a.csv"]),
    ],
)
def test_patterns_and_folders_find_the_same_files_by_path_and_by_uri(
    tmp_path: Path, uri: bool, pattern: str, found: list[str]
) -> None:
    folder = tmp_path / "rows"
    for name in ("a.csv", "b.csv", "a_csv", "day=1/c.csv", "day=2/c.csv", ".hidden/d.csv", "_log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x,y\n1,2\n")
    where = f"{folder.as_uri() if uri else folder}/{pattern}".rstrip("/")
    locations = resolve_locations(where)
    assert [each.path.split("/rows/")[1] for each in locations] == found
    days = [dict(each.partition).get("day") for each in locations if "day=" in each.path]
    assert days == [] if "day=" not in str(found) else days == ["1", "2"]
    assert locations[-1].fingerprint()[0] == len("x,y\n1,2\n")


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("file:///no/such/rows.csv", "no_file"),
        (f"{Path(__file__).parent.as_uri()}/*.none", "no_match"),
        pytest.param("nonsense://rows/a.csv", "unknown_filesystem", marks=needs("fsspec")),
    ],
)
def test_a_uri_that_leads_nowhere_is_refused(uri: str, key: str) -> None:
    with pytest.raises(DataError) as caught:
        resolve_locations(uri)
    assert caught.value.message.key == f"error.{key}"
