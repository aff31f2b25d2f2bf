"""Whatever is given, the answer is a result or one clear error: never another exception, never a wrong number."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from descentlab import Problem
from descentlab.errors import DataError, DescentlabError, SettingError
from tests.extras import optional

pd = optional("pandas")

FRAME = pd.DataFrame({"city": ["a", "b", "c"], "age": [1.0, 2.0, 4.0], "price": [3, 5, 9]})
Bad = tuple[object, dict[str, Any], list[str]]

IN_MEMORY: dict[str, Bad] = {
    "no target": (FRAME, {}, ["A target column is needed", "--target", "age, price"]),
    "unknown target": (FRAME, {"target": "pirce"}, ["`pirce`", "city", "Did you mean `price`"]),
    "target among features": (
        FRAME,
        {"target": "age", "features": ["age"]},
        ["`age` is both the target and a feature", "Remove it"],
    ),
    "text target": (FRAME, {"target": "city"}, ["`city`", "text, such as 'a'"]),
    "text feature": (FRAME, {"target": "price", "features": ["city"]}, ["`city`", "text, such as 'a'"]),
    "no numeric column": (
        FRAME[["city", "price"]],
        {"target": "price"},
        ["No numeric column", "`city` (it contains text"],
    ),
    "only the target": (FRAME[["price"]], {"target": "price"}, ["No numeric column", "`price`"]),
    "duplicate columns": (FRAME[["age", "age", "price"]], {"target": "price"}, ["age occurs more than once", "Rename"]),
    "no rows": (FRAME[:0], {"target": "price", "features": ["age"]}, ["There are no rows"]),
    "no columns": (pd.DataFrame(), {"target": "price"}, ["There is no column `price`"]),
    "missing": (FRAME.replace(2.0, np.nan), {"target": "price"}, ["missing in 1 row (`age`: 1)", 'missing="drop"']),
    "infinite": (FRAME.replace(2.0, -np.inf), {"target": "price"}, ["infinite values (`age`: 1)", "Replace them"]),
    "mismatched": ([1, 2, 3], {"y": [1, 2]}, ["X has 3 rows, but y has 2", "Each row of X"]),
    "mismatched table": (FRAME, {"y": np.arange(30)}, ["X has 3 rows, but y has 30"]),
    "one row of X": ([[1, 2, 3]], {"y": [1, 2, 3]}, ["X has 1 row, but y has 3", "X.reshape(-1, 1)"]),
    "column target": ([1, 2], {"y": [[1], [2]]}, ["(2, 1)", "y.reshape(-1)"]),
    "column target, tensor": (torch.ones(2), {"y": torch.ones(2, 1)}, ["(2, 1)", "y.reshape(-1)"]),
    "complex": (np.ones(2) * 1j, {"y": [1, 2]}, ["X contains complex numbers", "as separate columns"]),
    "objects": (np.array([1, "a"], dtype=object), {"y": [1, 2]}, ["type object", "numpy.asarray(X, dtype=float)"]),
    "strings": (np.array([["1", "2"]]), {"y": [1]}, ["<U1", "numpy.asarray(X, dtype=float)"]),
    "datetimes": (np.array(["2024-01-01"], "M8[s]"), {"y": [1]}, ["datetime64[s]"]),
    "three dimensions": (np.ones((2, 2, 2)), {"y": [1, 2]}, ["(2, 2, 2)", "two (rows, columns)"]),
    "no dimension": (np.float64(3), {"y": [1]}, ["shape ()"]),
    "empty": ([], {"y": []}, ["There are no rows"]),
    "empty, two dimensions": (np.empty((0, 2)), {"y": np.empty(0)}, ["There are no rows"]),
    "rows without columns": (np.empty((3, 0)), {"y": [1, 2, 3]}, ["No numeric column except the target `y`"]),
    "requires grad": (
        torch.ones(2, requires_grad=True),
        {"y": [1, 2]},
        ["X is a tensor that requires grad", "X.detach()"],
    ),
    "target requires grad": ([1, 2], {"y": torch.ones(2, requires_grad=True)}, ["y.detach()"]),
    "ragged": ([[1, 2], [3]], {"y": [1, 2]}, ["X is not a table", "different lengths"]),
    "nothing": (None, {"y": [1]}, ["NoneType"]),
    "a generator": ((i for i in range(3)), {"y": [1, 2, 3]}, ["type object"]),
    "negative weights": ([1, 2], {"y": [1, 2], "weights": [1, -2]}, ["Negative weights: 1.", "0 or more"]),
    "weights all zero": ([1, 2], {"y": [1, 2], "weights": [0, 0]}, ["All weights are zero", "must be positive"]),
    "weights missing": ([1, 2], {"y": [1, 2], "weights": [1, np.nan]}, ["`(weights)`: 1"]),
    "weights short": ([1, 2], {"y": [1, 2], "weights": [1]}, ["X has 2 rows, but weights has 1"]),
}


@pytest.mark.parametrize("kind", IN_MEMORY)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_bad_data_in_memory(kind: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked, says = IN_MEMORY[kind]
    if kind == "a generator":
        data = (i for i in range(3))
    with pytest.raises(DataError) as caught:
        Problem(data, **asked)
    if lang == "ko":  # every sentence stands in both languages
        monkeypatch.setenv("DESCENTLAB_LANG", "ko")
        assert any("가" <= letter <= "힣" for letter in str(caught.value))
    else:
        assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)


def parquet(frame: Any, share: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()[: int(share * buffer.tell())]


def arrow(frame: Any, share: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    frame.to_feather(buffer)
    return buffer.getvalue()[: int(share * len(buffer.getvalue()))]


ROWS = b"x,text,y\n" + b"1,city,2\n" * 150_000  # more than pyarrow's first block
FILES: dict[str, tuple[str, bytes, list[str]]] = {
    "empty": ("a.csv", b"", ["a.csv is empty", "at least one row"]),
    "only spaces": ("a.csv", b"  \n \n", ["a.csv is empty"]),
    "header only": ("a.csv", b"x,y\n", ["has a line of names (x, y) but no rows"]),
    "header only, no line end": ("a.csv", b"x,y", ["has a line of names (x, y) but no rows"]),
    "header of numbers": ("a.csv", b"1,2,3\n", ["numbers (1, 2, 3)", "--no-header"]),
    "no numeric column": ("a.csv", b"x,y\na,1\nb,2\n", ["No numeric column", "`y`"]),
    "duplicate names": ("a.csv", b"x, x,y\n1,2,3\n", ["x occurs more than once", "Rename"]),
    "missing": ("a.csv", b"x,y\n1,2\n,3\nNA,4\n", ["2 rows (`x`: 2)", "--missing drop"]),
    "infinite": ("a.csv", b"x,y\n1,2\ninf,3\n1e999,1\n", ["infinite values (`x`: 2)"]),
    "too large": ("a.csv", b"x,y\n1,2\n1e300,3\n", ["larger than 1e+150", "`x`: 1"]),
    "short row": ("a.csv", b"x,y\n1,2\n3\n", ["line 3 has 1 cell", "--delimiter"]),
    "long row": ("a.csv", ROWS + b"1,city,2,3\n", ["line 150,002 has 4 cells, but the first line has 3"]),
    "text far down": ("a.csv", ROWS + b"n/k,city,2\n", ["`x` is damaged", "'n/k' in line 150,002", "--drop x"]),
    "text far down the target": ("a.csv", ROWS + b"1,city,two\n", ["`y`", "'two' in line 150,002"]),
    "text in cp949": ("a.csv", ROWS + "1,서울,2\n".encode("cp949"), ["not utf-8", "line 150,002", "--encoding cp949"]),
    "number in cp949": ("a.csv", ROWS + "1,city,2원\n".encode("cp949"), ["not utf-8", "line 150,002"]),
    "all in cp932": (
        "a.csv",
        "年齢,y\n1,2\n".encode("cp932"),
        ["not utf-8", "first error at byte 0", "--encoding cp949"],
    ),
    "zero bytes": ("a.csv", b"x,y\n1,\x00\n", ["zero bytes"]),
    "zero bytes far down": ("a.csv", ROWS + b"1,city,\x002\n", ["`y`", "line 150,002"]),
    "huge field": ("a.csv", b"x,y\n1," + b"9" * 3_000_000 + b"\n2,3\n", []),
    "open quote": ("a.csv", b'x,y\n1,2\n"3,4\n5,6\n', ["starts in line 3", "quote"]),
    "picture": ("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ["is not a text file", "zero bytes"]),
    "zip": ("a.csv", b"PK\x03\x04\x14\0\0\0\x08\0x,y", ["is a ZIP archive"]),
    "random bytes": ("a.csv", random.Random(0).randbytes(4000), ["a.csv"]),
    "gzip under a plain name": ("a.csv", gzip.compress(b"x,y\n1,2\n"), ["compressed with gzip", "Rename"]),
    "gzip cut short": ("a.csv.gz", gzip.compress(ROWS)[:-9], ["cannot be read", "Truncated", "file is complete"]),
    "parquet cut short": ("a.parquet", parquet(FRAME, 0.9), ["cannot be read", "file is complete"]),
    "parquet in name only": ("a.parquet", b"x,y\n1,2\n", ["named like a Parquet file", "cut short"]),
    "arrow cut short": ("a.feather", arrow(FRAME, 0.9), ["cannot be read", "file is complete"]),
    "arrow in name only": ("a.arrow", b"x,y\n1,2\n", ["cannot be read", "file is complete"]),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_bad_files(kind: str, lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, content, says = FILES[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        Problem(tmp_path / name, target="y")
    if lang == "ko":
        monkeypatch.setenv("DESCENTLAB_LANG", "ko")
        assert any("가" <= letter <= "힣" for letter in str(caught.value))
    else:
        assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)


ALLOWED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "one row": ([[1.0, 2.0]], {"y": [3]}, "3 parameters are not determined by 1 row:"),
    "few rows": (np.eye(3)[:2], {"y": [1, 2]}, "4 parameters are not determined by 2 rows"),
    "a constant column": ([[1, 5], [2, 5], [3, 5]], {"y": [1, 2, 4]}, "same value in every row"),
    "text beside numbers": (FRAME, {"target": "price"}, "`city` was left out: it contains text, such as 'a'"),
    "missing, dropped": ([1, np.nan, 3], {"y": [1, 2, 4], "missing": "drop"}, "1 of 3 rows had a missing value"),
    "large whole numbers": ([2**60, 1, 2], {"y": [1, 2, 4]}, "beyond 2^53"),
}


@pytest.mark.parametrize("kind", ALLOWED)
def test_what_is_allowed_is_noticed(kind: str) -> None:
    data, asked, says = ALLOWED[kind]
    problem = Problem(data, **asked)
    assert sum(says in str(notice) for notice in problem.notices) == 1
    assert np.isfinite(problem.solve().params).all()


def test_one_row_of_csv_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n2,3\n")
    assert Problem(tmp_path / "a.csv", target="y").n == 1


@pytest.mark.parametrize(
    "setting", [{"missing": "skip"}, {"ridge": -1}, {"ridge": "a"}, {"encoding": "utf-9"}, {"sep": ";"}]
)
def test_bad_settings(setting: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n2,3\n")
    with pytest.raises(SettingError) as caught:
        Problem(tmp_path / "a.csv", target="y", **setting)
    assert all(repr(value) in str(caught.value) or key in str(caught.value) for key, value in setting.items())


def reference(content: bytes, columns: tuple[str, ...]) -> Any:
    """The same columns read by Python alone, or None where a cell needs judgement."""
    rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"), newline="")) if row]
    names = [name.strip() for name in rows[0]]
    try:
        return np.array([[float(row[names.index(name)] or "nan") for name in columns] for row in rows[1:]])
    except ValueError:
        return None


def mutated(good: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, removed, repeated or put in."""
    content = good
    for _ in range(rng.choice([1, 1, 2, 6])):
        at = rng.randrange(len(content) + 1)
        before, after = content[:at], content[at:]
        any_byte, telling_byte = bytes([rng.randrange(256)]), bytes([rng.choice(b'0123456789,.;-+e "\r\n\t')])
        put_in = rng.choice([b"NaN", b"inf", b"1e999", b"abc", b"\xb0\xa1", b"\0"])
        middle, rest = rng.choice(
            [
                (any_byte, after[1:]),
                (telling_byte, after[1:]),
                (put_in, after),
                (after[:25], after),
                (b"", after[rng.choice([1, 2, 30]) :]),
                (b"", b""),
            ]
        )
        content = before + middle + rest
    return content


@pytest.mark.slow
def test_a_csv_with_changed_bytes_is_read_right_or_refused(tmp_path: Path) -> None:
    rng = random.Random(20_240_229)
    good = b"name,x,z,y\n" + b"".join(b"n%d,%.2f,%d,%d\n" % (i, i / 4, i * 7 % 10, i) for i in range(40))
    path = tmp_path / "a.csv"
    right = refused = 0
    for _ in range(700):
        path.write_bytes(content := mutated(good, rng))
        try:
            problem = Problem(path, target="y", missing="drop")
        except DescentlabError as error:
            assert len(str(error)) > 20  # noqa: PT017 (the class is checked by the clause)
            refused += 1
            continue
        rows = problem.rows()
        expected = reference(content, (*problem.features, "y"))
        if expected is not None and not any("read with" in str(notice) for notice in problem.notices):
            whole = expected[~np.isnan(expected).any(axis=1)]
            np.testing.assert_array_equal(np.column_stack([rows.X, rows.y]), whole, err_msg=repr(content))
            right += 1
    assert right > 100
    assert refused > 100


@pytest.mark.parametrize("write", [parquet, arrow])
def test_a_table_file_with_changed_bytes_is_refused_or_read(write: Any, tmp_path: Path) -> None:
    rng = random.Random(7)
    good = write(pd.concat([FRAME] * 5, ignore_index=True))
    path = tmp_path / "a.table"
    for _ in range(300):
        path.write_bytes(mutated(good, rng))
        try:
            assert np.isfinite(Problem(path, target="price").factor.R).all()
        except DescentlabError as error:
            assert len(str(error)) > 20  # noqa: PT017
