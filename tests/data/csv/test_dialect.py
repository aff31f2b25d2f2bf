from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from descentlab import Problem
from descentlab.data.csv.encoding import encoding_error
from descentlab.data.csv.source import open_csv
from descentlab.data.paths import FileLocation
from descentlab.errors import DataError, SettingError


def found(tmp_path: Path, content: str, **given: Any) -> tuple[str, str, list[str]]:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    schema = open_csv(path, **given).schema
    return schema.dialect.delimiter, schema.marks.decimal, schema.dialect.names


@pytest.mark.parametrize(
    ("content", "delimiter", "decimal"),
    [
        ("x\n1\n", ",", "."),
        ("a,b;c\n1,2\n3,4\n", ",", "."),
        ("a;b\none, two;1\nthree;2\n", ";", "."),
        ('a;b\n"x;y";2\n', ";", "."),
        ("a,b\n" + "1,\n" * 2000, ",", "."),
        ("t\tn\n" + '"a, b"\t1\n' * 30_000, "\t", "."),
        ("x;y\n" + "1;2\n" * 500 + "1,5;2\n", ";", ","),
    ],
)
def test_separator_and_decimal_mark_are_found(tmp_path: Path, content: str, delimiter: str, decimal: str) -> None:
    assert found(tmp_path, content)[:2] == (delimiter, decimal)


def test_names_are_stripped_and_stand_for_what_is_blank(tmp_path: Path) -> None:
    assert found(tmp_path, ' a , "b c" ,,\n1,2,3,4\n')[2] == ["a", "b c", "(unnamed 3)", "(unnamed 4)"]
    assert found(tmp_path, "1,2\n3,4\n", header=False)[2] == ["x1", "x2"]


def test_names_that_differ_only_in_spaces_are_the_same(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name a occurs more than once"):
        found(tmp_path, "a, a,b\n1,2,3\n")


@pytest.mark.parametrize(
    "content",
    [
        "1,2,3\n",
        "1990,1991\n5,6\n",
        "1.5,-2,3e4\n4,5,6\n",
        "1,5;2\n3;4\n",
        "5.1,3.5,setosa\n4.9,3.0,setosa\n",
        "39, private, 77516\n",
    ],
)
def test_a_first_line_with_numbers_may_be_a_row(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"a\.csv, line 1: some names are numbers.*--no-header"):
        found(tmp_path, content)


def test_numbers_are_names_if_they_are_years_or_count_from_zero_or_if_asked(tmp_path: Path) -> None:
    assert found(tmp_path, "land,1990,1991\na,5,6\nb,7,8\n")[2] == ["land", "1990", "1991"]
    assert found(tmp_path, "land,1991,1990\na,5,6\nb,7,8\n")[2] == ["land", "1991", "1990"]
    assert found(tmp_path, ",0,1\n0,5,6\n1,7,8\n")[2] == ["(unnamed 1)", "0", "1"]
    assert found(tmp_path, "1,2\n3,4\n", header=True)[2] == ["1", "2"]


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", "\0", "가", 5, "tabs"])
def test_a_separator_is_one_character(tmp_path: Path, delimiter: Any) -> None:
    with pytest.raises(SettingError, match=r"delimiter = .* must be one character"):
        found(tmp_path, "x,y\n1,2\n", delimiter=delimiter)


@pytest.mark.parametrize("decimal", ["", "..", ";", 5])
def test_a_decimal_mark_is_a_point_or_a_comma(tmp_path: Path, decimal: Any) -> None:
    with pytest.raises(SettingError, match=r"decimal = .* is not a known value\. Allowed values: ., ,"):
        found(tmp_path, "x,y\n1,2\n", decimal=decimal)


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "zlib", "", "a\0", 5, "korean windows"])
def test_an_encoding_is_one_of_text_that_python_knows(tmp_path: Path, encoding: Any) -> None:
    with pytest.raises(SettingError, match=r"Python knows no encoding .*cp949"):
        found(tmp_path, "x,y\n1,2\n", encoding=encoding)


def test_a_decimal_comma_asked_for_does_not_separate(tmp_path: Path) -> None:
    assert found(tmp_path, "x;y\n1,5;2,5\n", decimal=",")[0] == ";"
    assert found(tmp_path, "x\n1,5\n", decimal=",") == (";", ",", ["x"])


def test_a_character_cut_by_a_chunk_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" + "가".encode() * 50_000)
    assert encoding_error(FileLocation(str(path)), "utf-8") is None
    path.write_bytes(b"x" + "가".encode() * 50_000 + b"\xea\xb0")  # and one cut by the file's end is
    error = encoding_error(FileLocation(str(path)), "utf-8")
    assert "first error at byte 150,001, line 1" in str(error)


def test_options_are_checked_by_name() -> None:
    with pytest.raises(SettingError, match=r"option = 'delimeter' is not a known value.*Did you mean `delimiter`"):
        Problem("a.csv", target="y", delimeter=";")
    with pytest.raises(DataError, match="delimiter only apply to files, but this data is already in memory"):
        Problem([1, 2], [1, 2], delimiter=";")


def test_lines_of_spaces_are_found_below_lines_that_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\nb\nc\nx,y\n1,2\n  \n3,4\n")
    assert Problem(path, target="y", skip_rows=3).n == 2


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ('x,y\n"1,5","2,5"\n"3,5","4"\n', ","),
        ("x y\n1,5 2\n3 4\n", "\t"),
        ("x;y\n1,5;2\n3;4,5\n", ";"),
        ("x\n1,5\n2\n", ";"),
    ],
)
def test_with_a_decimal_comma_a_comma_that_divides_evenly_is_a_separator(
    tmp_path: Path, content: str, delimiter: str
) -> None:
    assert found(tmp_path, content, decimal=",")[:2] == (delimiter, ",")
