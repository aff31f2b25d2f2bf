"""Files as people have them: each is read as the numbers that are meant, with a notice, or it is asked about."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab import Problem
from descentlab.data.csv import row_splitter
from descentlab.data.csv.encoding import detect_legacy_encoding
from descentlab.errors import DataError, SettingError
from descentlab.messages import use_language


def write(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns(problem: Problem) -> dict[str, list[float]]:
    rows = problem.rows()
    return dict(zip((*problem.features, problem.target), np.column_stack([rows.X, rows.y]).T.tolist(), strict=True))


Numbers = dict[str, list[float]]
XY = {"x": [1200.0, 900.0], "y": [2.5, 3.0]}
ROWS = {"x": [1.0, 2.0, 4.0], "y": [2.0, 3.0, 5.0]}

# Content, options, the numbers, and what the notices say.
NUMBERS: dict[str, tuple[str | bytes, dict[str, Any], Numbers, str]] = {
    "a decimal comma elsewhere": ("x;y\n1.200;2,5\n900;3\n", {}, XY, "in `x`, '1.200' was read as 1200"),
    "both marks in a cell": ("x;y\n1.200,00;2,5\n900;3\n", {}, XY, "'1.200,00' was read as 1200"),
    "two groups": ("x;y\n1.200.000;2\n900;3\n", {}, {"x": [1.2e6, 900], "y": [2, 3]}, "was read as 1200000"),
    "a decimal point elsewhere": ("x;y\n1.200;0.5\n900;3\n", {}, {"x": [1.2, 900], "y": [0.5, 3]}, "a point as the"),
    "a decimal comma in half of another column": (
        "x;z;y\n1,5;1.200;2\na;900;3\n",
        {"drop": ["x"]},
        {"z": [1200, 900], "y": [2, 3]},
        "'1.200' was read as 1200",
    ),
    "no thousands": ("x;y\n1.200;3.5\n0.123;3\n", {}, {"x": [1.2, 0.123], "y": [3.5, 3]}, ""),
    "an exponent": ("x;y\n1.200e0;1\n2e3;3\n", {}, {"x": [1.2, 2000], "y": [1, 3]}, ""),
    "commas, a point elsewhere": ('x,y\n"1,200",2.5\n900,3\n', {}, XY, "'1,200' was read as 1200"),
    "commas and points in a cell": ('x,y\n"1,200.00",2.5\n900.00,3\n', {}, XY, "'1,200.00' was read as 1200"),
    "commas in a tab file": ("x\ty\n1,200\t2.5\n900\t3\n", {}, XY, "'1,200' was read as 1200"),
    "decimal commas in quotes": ('x,y\n"1200,0","2,5"\n"900,0",3\n', {}, XY, "a comma as the decimal mark"),
    "three decimals everywhere": ("x\ty\n1.200\t2\n9.500\t3\n", {}, {"x": [1.2, 9.5], "y": [2, 3]}, ""),
    "three decimals with commas": ("x,y\n1.200,2\n900,3\n", {}, {"x": [1.2, 900], "y": [2, 3]}, ""),
    "spaces": ("x;y\n1 200;2,5\n900;3\n", {}, XY, "'1 200' was read as 1200"),
    "spaces that do not break": ("x;y\n1\u00a0200,0;2,5\n900;3\n", {}, XY, "was read as 1200"),
    "narrow spaces": ("x;y\n1\u202f200;2,5\n900;3\n", {}, XY, "was read as 1200"),
    "apostrophes": ("x;y\n1'200;2.5\n900;3\n", {}, XY, "was read as 1200"),
    "typographic apostrophes": ("x;y\n1’200.00;2.5\n900;3\n", {}, XY, "was read as 1200"),
    "groups of two": ('x,y\n"1,23,456",2.5\n"1,200",3\n', {}, {"x": [123456, 1200], "y": [2.5, 3]}, "123456"),
    "dollars": ('x,y\n"$1,200.00",2.5\n$900.00,3\n', {}, XY, "'$1,200.00' was read as 1200"),
    "euros behind a narrow space": ("x;y\n1.200,00\u202f€;2,5\n900\u00a0€;3\n", {}, XY, "was read as 1200"),
    "percent behind a space": ("x;y\n4,5\u00a0%;2\n3\u202f%;3\n", {}, {"x": [4.5, 3], "y": [2, 3]}, "was read as 4.5"),
    "euros behind": ("x;y\n1.200,00 €;2,5\n900 €;3\n", {}, XY, "'1.200,00 €' was read as 1200"),
    "won": ('x,y\n"₩1,200",2.5\n₩900,3\n', {}, XY, "'₩1,200' was read as 1200"),
    "won without another point": ('x,y\n"1,200원",2\n900원,3\n', {}, {"x": [1200, 900], "y": [2, 3]}, "1200"),
    "francs": ("x;y\nCHF 1'200.00;2.5\nCHF 900.00;3\n", {}, XY, "was read as 1200"),
    "accounts": ('x,y\n"($1,200.00)",2.5\n-$9.00,3\n', {}, {"x": [-1200, -9], "y": [2.5, 3]}, "was read as -1200"),
    "parentheses": ("x,y\n(5),2\n3,3\n", {}, {"x": [-5, 3], "y": [2, 3]}, "'(5)' was read as -5"),
    "a minus behind": ("x;y\n1.200,00-;2,5\n900,00;3\n", {}, {"x": [-1200, 900], "y": [2.5, 3]}, "was read as -1200"),
    "a minus behind whole numbers": (
        "x;y\n83-;2\n5-;3\n7;4\n",
        {},
        {"x": [-83, -5, 7], "y": [2, 3, 4]},
        "'83-' was read as -83",
    ),
    "a minus behind two columns of SAP": (
        "x;z;y\n1.200,50-;12-;2,5\n900,00;3;3\n",
        {},
        {"x": [-1200.5, 900], "z": [-12, 3], "y": [2.5, 3]},
        "in `z`, '12-' was read as -12",
    ),
    "grades": ("x,z,y\n2-,1,2\n3-,2,3\n1,4,5\n", {"drop": ["x"]}, {"z": [1, 2, 4], "y": [2, 3, 5]}, ""),
    "full-width digits": ("x,y\n１２３,２．５\n－４,３\n", {}, {"x": [123, -4], "y": [2.5, 3]}, ""),
    "full-width marks": (
        "x;y\n１，２００．５;2\n９００;3\n",
        {},
        {"x": [1200.5, 900], "y": [2, 3]},
        "was read as 1200.5",
    ),
    "another minus": ("x,y\n\u22125,\u22122.5\n3,3\n", {}, {"x": [-5, 3], "y": [-2.5, 3]}, ""),
    "percent": ("x,y\n4.5%,2\n12%,3\n", {}, {"x": [4.5, 12], "y": [2, 3]}, "`x` is in percent: '4.5%' was read as 4.5"),
    "percent with a comma": ("x;y\n4,5 %;2\n12 %;3\n", {}, {"x": [4.5, 12], "y": [2, 3]}, "in percent"),
    "plus": ("x;y\n+1,5;2\n+2,5;3\n", {}, {"x": [1.5, 2.5], "y": [2, 3]}, ""),
    "yes and no": (
        "x,y\nYes,2\nno,3\nyes,4\n",
        {},
        {"x": [1, 0, 1], "y": [2, 3, 4]},
        "'Yes' was read as 1 and 'no' as 0",
    ),
    "ja und nein": ("x;y\nja;2,5\nnein;3\n", {}, {"x": [1, 0], "y": [2.5, 3]}, "'ja' was read as 1 and 'nein' as 0"),
    "one word": ("x,z,y\nyes,1,2\nyes,2,3\n", {}, {"z": [1, 2], "y": [2, 3]}, "`x` was left out"),
    "oui et non": ("x,y\noui,2\nnon,3\n", {}, {"x": [1, 0], "y": [2, 3]}, "'oui' was read as 1"),
    "예와 아니오": ("x,y\n예,2\n아니오,3\n", {}, {"x": [1, 0], "y": [2, 3]}, "'예' was read as 1"),
    "flags with a gap": ("x,y\nY,2\nN,3\n,4\nY,5\n", {"missing": "drop"}, {"x": [1, 0, 1], "y": [2, 3, 5]}, "'Y' was"),
    "zip codes": (
        "x,y\n01234,2\n12345,3\n",
        {},
        {"x": [1234, 12345], "y": [2, 3]},
        "leave the column out with --drop x",
    ),
    "given: point": ("x;y\n1.200;2\n900;3\n", {"decimal": "."}, {"x": [1.2, 900], "y": [2, 3]}, ""),
    "given: comma": ("x;y\n1.200;2\n900;3\n", {"decimal": ","}, {"x": [1200, 900], "y": [2, 3]}, "read as 1200"),
    "given: thousands": ("x;y\n1.200;2\n900;3\n", {"thousands": "."}, {"x": [1200, 900], "y": [2, 3]}, "read as 1200"),
    "given: commas": ('x,y\n"1,200",2\n900,3\n', {"thousands": ","}, {"x": [1200, 900], "y": [2, 3]}, "read as 1200"),
    "given: decimal commas": ('x,y\n"1,200",2\n900,3\n', {"decimal": ","}, {"x": [1.2, 900], "y": [2, 3]}, ""),
    "given: missing": (
        "x,y\n-,1\n2,2\nk.A.,3\n4,5\n",
        {"na": ["-", "k.A."], "missing": "drop"},
        {"x": [2, 4], "y": [2, 5]},
        "",
    ),
    "given: one missing": ("x,y\n-,1\n2,2\n4,5\n", {"na": "-", "missing": "drop"}, {"x": [2, 4], "y": [2, 5]}, ""),
    "given: a number is missing": (
        "x,y\n-999,1\n2,2\n4,5\n",
        {"na": "-999", "missing": "drop"},
        {"x": [2, 4], "y": [2, 5]},
        "",
    ),
}


LAYOUTS: dict[str, tuple[str | bytes, dict[str, Any], Numbers, str]] = {
    "spaces": ("x   y\n1   2\n 2  3\n4   5  \n", {}, ROWS, "with spaces between cells"),
    "fixed width": (
        "name        x   y\nA          1   2\nB          2   3\nC          4   5\n",
        {},
        ROWS,
        "with spaces",
    ),
    "quoted names of rows": ('"x" "y"\n"a b" 1 2\n"c ""d""" 2 3\n"e" 4 5\n', {}, ROWS, "`(unnamed 1)` was left out"),
    "numbered rows": ("x y\n1 1 2\n2 2 3\n3 4 5\n", {}, ROWS, "`(unnamed 1)` was left out: it has no name"),
    "numbered rows, commas": ('"x","y"\n"1",1,2\n"2",2,3\n"3",4,5\n', {}, ROWS, "`(unnamed 1)` was left out"),
    "a buoy": ("#x y\n#m hPa\n1 2\n2 3\n4 5\n", {}, ROWS, "names were taken from the comment in line 1"),
    "a buoy of three": ("#x z y\n#m s hPa\n1 0 2\n2 0 3\n4 1 5\n", {}, ROWS | {"z": [0, 0, 1]}, "comment in line 1"),
    "names in a comment": ("# made by hand\n# x, y\n1,2\n2,3\n4,5\n", {}, ROWS, "from the comment in line 2"),
    "sep=": ("sep=;\nx;y\n1;2\n2;3\n4;5\n", {}, ROWS, ""),
    "sep=tab": ('"sep=\t"\r\nx\ty\r\n1\t2\r\n2\t3\r\n4\t5\r\n', {}, ROWS, ""),
    "a title": ("Report\n\nx,y\n1,2\n2,3\n4,5\n", {}, ROWS, "line 1 above the names was skipped: 'Report'"),
    "a title of commas": (
        "Report,\n,\nx,y\n1,2\n2,3\n4,5\n,\nTotal,10\n,\n",
        {},
        ROWS,
        "sums up the others: 'Total,10'",
    ),
    "a title and keys": ("Shop;A\nYear;B\n\nx;z;y\n1;0;2\n2;0;3\n4;1;5\n", {}, ROWS | {"z": [0, 0, 1]}, "lines 1 to 2"),
    "units": ("x,y\nkm,km/h\n1,2\n2,3\n4,5\n", {}, ROWS, "line 2 was skipped, since it has units: km, km/h"),
    "units that are no letters": (
        "x,y\n㎡,m\n1,2\n2,3\n4,5\n",
        {},
        ROWS,
        "line 2 was skipped, since it has units: ㎡, m",
    ),
    "units in brackets": ("x,y\n[a.u.],(thousand $)\n1,2\n2,3\n4,5\n", {}, ROWS, "line 2 was skipped"),
    "a total": ("city,x,y\nA,1,2\nB,2,3\nC,4,5\nTotal,7,10\n", {}, ROWS, "sums up the others: 'Total,7,10'"),
    "a total whose other number is no sum": ("c,x,y\nA,1,2\nB,2,3\nC,4,5\nTotal,7,99\n", {}, ROWS, "'Total,7,99'"),
    "a note above a total without a line end": (
        "c,x,y\nA,1,2\nB,2,3\nC,4,5\na note\nTotal,7,10",
        {},
        ROWS,
        "2 lines at",
    ),
    "Summe": ("Ort;x;y\nA;1;2\nB;2;3\nC;4;5\nSumme:;7;10\n", {}, ROWS, "'Summe:;7;10'"),
    "합계": ("시,x,y\n가,1,2\n나,2,3\n다,4,5\n합계,7,10\n", {}, ROWS, "'합계,7,10'"),
    "a total and a mean": ("c,x,y\nA,1,2\nB,2,3\nC,4,5\nTotal,7,10\nMean,2,3\n", {}, ROWS, "2 lines at the end"),
    "a note": ("x,y\n1,2\n2,3\n4,5\n\nSource: the office\n", {}, ROWS, "'Source: the office'"),
    "a total that is kept": ("c,x,y\nA,1,2\nB,2,3\nTotal,4,5\n", {"skip_footer": 0}, ROWS, ""),
    "a row with the name of a total": (
        "c,x,y\nShell,1,2\nBP,2,3\nTotal,7,9\n",
        {},
        {"x": [1.0, 2.0, 7.0], "y": [2.0, 3.0, 9.0]},
        "If it sums up others, leave it out with --skip-footer 1.",
    ),
    "a label with the word of a total": (
        "c,x,y\nA,1,2\nNorth Total,2,3\nB,4,5\n",
        {},
        ROWS,
        "line 3 may sum up other rows, since `c` is 'North Total' there",
    ),
    "rows of savetxt": (
        "1.0e+00 2.0e+00\n2.0e+00 3.0e+00\n4.0e+00 5.0e+00\n",
        {"target": "x2"},
        {"x1": ROWS["x"], "x2": ROWS["y"]},
        "line 1 has only numbers with a fraction or an exponent",
    ),
    "a total that is not the last row": (
        "c,x,y\nA,1,2\nB,2,3\nTotal,4,5\n-,9,9\n",
        {"skip_footer": 1},
        ROWS,
        "line 4 may sum up other rows, since `c` is 'Total' there",
    ),
    "years as names below a title": (
        "Report;A\n\nland;1990;1991;y\na;1;2;3\nb;2;3;4\n",
        {},
        {"1990": [1, 2], "1991": [2, 3], "y": [3, 4]},
        "line 1 above the names",
    ),
    "a line that is drawn": ("x,y\n1,2\n2,3\n4,5\n_____\nend\n", {}, ROWS, "2 lines at the end"),
    "a footer that is given": ("x,y\n1,2\n2,3\n4,5\n7,8\n9,9\n\n", {"skip_footer": 2}, ROWS, ""),
    "lines that are skipped": ("q,y,x\n3,2,1\nx,y\n1,2\n2,3\n4,5\n", {"skip_rows": 2}, ROWS, ""),
    "lines that are skipped, no names": (
        "q,y\n3,2\n1,2\n2,3\n",
        {"skip_rows": 2, "header": False, "target": "x2"},
        {"x1": [1, 2], "x2": [2, 3]},
        "",
    ),
    "empty lines": ("\n\nx,y\n\n1,2\n\n2,3\n4,5\n\n\n", {}, ROWS, ""),
    "lines of spaces": ("x,y\n1,2\n   \n2,3\n \t\n4,5\n  \n", {}, ROWS, ""),
    "a delimiter behind": ("x,y\n1,2,\n2,3,\n4,5,\n", {}, ROWS, ""),
    "a delimiter behind, names too": ("x;y;\n1;2;\n2;3;\n4;5;\n", {}, ROWS, ""),
    "comments above": (
        "# a log\n# of, things\nx,y\n1,2\n2,3\n4,5\n",
        {},
        ROWS,
        "begin with # were skipped as comments, the first in line 1",
    ),
    "comments between": ("x,y\n1,2\n# restart, at, noon\n2,3\n# x,y\n4,5\n", {}, ROWS, "the first in line 3"),
    "percent comments": ("% a\n% b\nx,y\n1,2\n2,3\n4,5\n", {}, ROWS, "begin with %"),
    "other comments": ("x,y\n1,2\n; restart\n2,3\n4,5\n", {"comment": ";"}, ROWS, ""),
    "an index": ("Unnamed: 0,x,y\n7,1,2\n3,2,3\n5,4,5\n", {}, ROWS, "`Unnamed: 0` was left out"),
    "row numbers": ("No.,x,y\n1,1,2\n2,2,3\n3,4,5\n", {}, ROWS, "`No.` was left out: it only numbers the rows"),
    "행 번호": ("번호,x,y\n0,1,2\n1,2,3\n2,4,5\n", {}, ROWS, "`번호` was left out: it only numbers the rows"),
    "row numbers that are asked for": ("id,x,y\n1,1,2\n2,2,3\n3,4,5\n", {"features": ["x"]}, ROWS, ""),
    "dropped": ("k,x,y\n5,1,2\n3,2,3\n9,4,5\n", {"drop": ["k"]}, ROWS, ""),
    "a damaged column, dropped": ("k,x,y\n5,1,2\n3,2,3\n?,4,5\n", {"drop": "k"}, ROWS, ""),
    "CP1252": ("Größe;x;y\n5 m²;1;2\nfür;2;3\nà;4;5\n".encode("cp1252"), {}, ROWS, "was read as cp1252"),
    "CP949": ("도시,x,y\n서울,1,2\n부산,2,3\n똠방,4,5\n".encode("cp949"), {}, ROWS, "was read as cp949"),
}


@pytest.mark.parametrize(
    ("content", "options", "expected", "says"),
    [pytest.param(*case, id=kind) for cases in (NUMBERS, LAYOUTS) for kind, case in cases.items()],
)
def test_rows_are_found_and_read_as_they_are_meant(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], expected: Numbers, says: str
) -> None:
    problem = Problem(write(tmp_path, content), **({"target": "y"} | options))
    assert columns(problem) == expected
    assert says in " ".join(map(str, problem.notices))


QUESTIONS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "a point": (
        "x;y\n900;2\n1.200;3\n",
        {},
        ["line 3, column `x`: '1.200'", "--thousands . if it is 1200", "--decimal . if it is 1.2"],
    ),
    "a point in a tab file": ("x\ty\n900\t2\n1.200\t3\n", {}, ["'1.200'", "--thousands ."]),
    "a comma in quotes": (
        'x,y\n"1,200",2\n900,3\n',
        {},
        ["line 2, column `x`: '1,200'", "--thousands ,", "--decimal ,"],
    ),
    "both in different columns": (
        "x;z;y\n1.5;2,5;3\n2.5;3,5;4\n",
        {},
        ["'1.5' in line 2 (`x`)", "'2,5' in line 2 (`z`)"],
    ),
    "a minus behind single digits": (
        "x,y\n2-,2\n1,3\n3,4\n",
        {},
        ["1 of its 3 values, '2-' in line 2, is not a number"],
    ),
    "percent here and there": ("x,y\n5%,2\n0.03,3\n", {}, ["'5%' and '0.03'", "--drop x"]),
    "two currencies": ("x,y\n$5,2\n$6,3\n€3,4\n", {}, ["'€3' in line 4"]),
    "unknown marks": ("x,y\n-,1\n?,2\n3,4\n", {}, ["2 of its 3 values are '-', '?'", "--na '-,?'", "na=['-', '?']"]),
    "names again": ("x,y\n1,2\n3,4\nx,y\n5,6\n", {"target": "x"}, ["the column names occur again in line 4"]),
    "only dates": ("d,y\n2024-01-01,1\n2024-01-02,2\n", {}, ["`d` (it contains dates or times"]),
    "only German dates": (
        "d;y\n01.02.2024;1\n02.02.2024;2\n",
        {},
        ["`d` (it contains dates or times, such as '01.02.2024'"],
    ),
    "only row numbers": (
        "id,y\n1,5\n2,7\n",
        {},
        ["`id` (it only numbers the rows; to use it, name it with --features"],
    ),
    "all dropped": ("x,y\n1,5\n2,7\n", {"drop": ["x"]}, ["`x` (dropped)"]),
    "drop of what is not there": (
        "price,y\n1,5\n2,7\n",
        {"drop": ["prise"]},
        ["no column `prise`", "Did you mean `price`"],
    ),
    "drop of the target": ("x,y\n1,5\n2,7\n", {"drop": ["y"]}, ["`y` cannot be dropped"]),
    "drop of a feature": ("x,y\n1,5\n2,7\n", {"drop": ["x"], "features": ["x"]}, ["`x` cannot be dropped"]),
    "no names": ("5.1,3.5,setosa\n4.9,3.0,setosa\n", {}, ["(5.1, 3.5)", "--no-header", "--header"]),
    "one narrow line above": ("x,y\n1,2,3\n4,5,6\n", {}, ["line 2 has 3 cells", "--skip-rows N"]),
    "a row at which the file was cut": ("city,x,y\nParis,1,2\nNew Yo", {}, ["line 3 has 1 cell"]),
    "a row of tabs": ("x\ty\n1\t2\n\t\n3\t4\n", {}, ["missing in 1 row"]),
    "an empty cell of fixed width": ("x  y\n1  2\n   3\n4  5\n", {}, ["line 3 has 1 cell"]),
    "a comment far down": ("x,y\n" + "1,2\n" * 20_000 + "# end\n1,2\n", {}, ["line 20,002", "--comment '#'"]),
    "too many lines skipped": ("x,y\n1,2\n", {"skip_rows": 2}, ["skip_rows = 2 leaves nothing"]),
    "JSON": ('[{"x": 1, "y": 2}]', {}, ["is JSON", "read_json"]),
    "JSON lines": ('{"x": 1, "y": 2}\n', {}, ["is JSON"]),
    "HTML behind the mark of UTF-8": ("\ufeff<html><body>", {}, ["is HTML"]),
    "HTML": ("\n<!DOCTYPE html><html><body>", {}, ["is HTML"]),
    "numbers of the other mark": (
        'x,z,y\n"1,5",1,2\n"2,5",2,3\n',
        {"decimal": "."},
        ["another decimal mark, as in '1,5'"],
    ),
}


@pytest.mark.parametrize("kind", QUESTIONS)
def test_what_is_not_certain_is_asked(tmp_path: Path, kind: str) -> None:
    content, options, says = QUESTIONS[kind]
    with pytest.raises(DataError) as caught:
        Problem(write(tmp_path, content), **({"target": "y"} | options))
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)
    with use_language("ko"):
        assert "{" not in str(caught.value).replace('{"', "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"thousands": ";"}, "thousands = ';' is not a known value"),
        ({"thousands": ".", "decimal": "."}, "cannot be both the decimal mark and the thousands separator"),
        ({"skip_rows": -1}, "skip_rows = -1 must be a whole number"),
        ({"skip_footer": 3}, "skip_footer = 3 leaves no row: 2 lines were found"),
        ({"skip_footer": "two"}, "skip_footer = 'two' must be a whole number"),
        ({"comment": ""}, "comment = '' must be the text"),
        ({"na": [5]}, r"na = \[5\] must be the text"),
    ],
)
def test_an_option_that_no_file_can_have(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        Problem(write(tmp_path, "x,y\n1,2\n2,4\n"), target="y", **options)


LATER = "900;2\n" * 1000
LATER_CELLS: list[tuple[str, dict[str, Any], str]] = [
    ("x;y\n" + LATER + "1.200;3\n", {}, "line 1,002, column `x`: '1.200' can be read in two ways"),
    ("x;y\n" + LATER + "1,25;3\n", {}, "If this is a number, give --decimal ,"),
    ("x;y\n1,5;2\n" + LATER + "1.200;3\n", {}, "'1.200' can be read in two ways"),
    ("x;y\n" + LATER + "?;3\n", {}, "give --na '?'"),
    ("x;y\n" + LATER + "x;y\n1;2\n", {}, "line 1,002: the column names occur again"),
    ("x;y\n" + LATER + "$5;3\n", {}, "here it is '$5'"),
    ("x;y\n" + LATER + "83-;3\n", {}, "here it is '83-'"),
    ("x;y\n5%;2\n" + LATER.replace("900", "5%") + "5;3\n", {}, "here it is '5'"),
    ("x;y\nyes;2\nno;3\n" + LATER.replace("900", "yes") + "5;3\n", {}, "`x` contained 'yes' and 'no' in the first"),
    ("x,y\n" + LATER.replace(";", ",") + '"1,200",3\n', {}, "'1,200' can be read in two ways"),
    ("x;y;\n" + LATER.replace("\n", ";\n") + "1;2;3\n", {}, "contained no value"),
]


@pytest.mark.parametrize(("content", "options", "says"), LATER_CELLS)
def test_a_later_cell_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, options: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", 1000)
    with pytest.raises(DataError) as caught:
        Problem(write(tmp_path, content), target="y", **options)
    assert says in str(caught.value)


def test_a_later_cell_is_read_with_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", 1000)
    path = write(tmp_path, "x;y\n" + LATER + "1.200;3\n")
    assert columns(Problem(path, target="y", thousands="."))["x"][-1] == 1200
    assert columns(Problem(path, target="y", decimal="."))["x"][-1] == 1.2
    late = write(tmp_path, "x,y\n" + LATER.replace(";", ",") + '"1,200",3\n')
    assert columns(Problem(late, target="y", thousands=","))["x"][-1] == 1200


@pytest.mark.parametrize("size", [700, 1 << 22])
@pytest.mark.parametrize("packed", [False, True])
def test_comments_and_totals_of_long_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, packed: bool
) -> None:
    monkeypatch.setattr(row_splitter, "PIECE_BYTES", size)
    lines = [f"{i},{2 * i}" for i in range(500)]
    body = "\n".join(line + ("\n# note" if i % 7 == 0 else "") for i, line in enumerate(lines))
    text = ("x,y\n" + body + "\n").encode()
    pack = gzip.compress if packed else bytes
    end = ".csv.gz" if packed else ".csv"
    expected = [float(i) for i in range(500)]
    assert columns(Problem(write(tmp_path, pack(text), "a" + end), target="y"))["x"] == expected
    rows = "".join(f"c,{line}\n" for line in lines)
    path = write(tmp_path, pack(f"city,x,y\n{rows}Total,124750,249500\n".encode()), "b" + end)
    if packed and size < 1 << 22:
        with pytest.raises(DataError, match="--skip-footer 1 to leave these lines out"):
            Problem(path, target="y")
        assert columns(Problem(path, target="y", skip_footer=1))["x"] == expected
        assert Problem(path, target="y", skip_footer=0).n == 501
    else:
        problem = Problem(path, target="y")
        assert columns(problem)["x"] == expected
        assert any("sums up the others" in str(notice) for notice in problem.notices)


def test_a_note_below_many_rows_costs_none_of_them(tmp_path: Path) -> None:
    path = write(tmp_path, "x,y\n" + "12345,2\n" * 5000 + "Source: the office\n")
    assert Problem(path, target="y").n == 5000


def test_columns_that_count_are_data_under_other_names_or_in_another_order(tmp_path: Path) -> None:
    for content in (
        "month,x,y\n1,1,2\n2,2,3\n3,4,5\n",
        "id,x,y\n1,1,2\n3,2,3\n2,4,5\n",
        "no,x,y\n2,1,2\n3,2,3\n4,4,5\n",
    ):
        assert len(Problem(write(tmp_path, content), target="y").features) == 2
    named = Problem(write(tmp_path, "id,x,y\n1,1,2\n2,2,3\n3,4,5\n"), target="y", features=["id", "x"])
    assert named.features == ("id", "x")


@pytest.mark.parametrize(
    ("code", "is_noted"), [("-99", True), ("-999", True), ("-999.0", True), ("9999", True), ("99", False)]
)
def test_a_number_far_from_the_others_may_mean_a_missing_value(tmp_path: Path, code: str, is_noted: bool) -> None:
    rows = "".join(f"{10 * i},{i % 7}\n" for i in range(20))
    problem = Problem(write(tmp_path, f"x,y\n{rows}{code},1\n{code},2\n"), target="y")
    said = [str(notice) for notice in problem.notices]
    assert any(f"`x` is {code} in 2 of the 22 rows" in each and f"--na {code} " in each for each in said) == is_noted
    once = Problem(write(tmp_path, f"x,y\n{rows}{code},1\n"), target="y")
    assert not any("--na" in str(notice) for notice in once.notices)


@pytest.mark.parametrize(("others", "is_noted"), [(4, False), (5, True)])
def test_few_numbers_say_nothing_about_a_missing_value(tmp_path: Path, others: int, is_noted: bool) -> None:
    rows = "".join(f"{x},{x % 3}\n" for x in range(1, others + 1))
    problem = Problem(write(tmp_path, f"x,y\n{rows}-999,1\n-999,2\n"), target="y")
    assert any("--na -999 " in str(notice) for notice in problem.notices) == is_noted


@pytest.mark.parametrize(("last", "is_noted"), [("20240201", True), ("20241301", False), ("30240201", False)])
def test_numbers_that_look_like_dates_are_said(tmp_path: Path, last: str, is_noted: bool) -> None:
    problem = Problem(write(tmp_path, f"d,x,y\n20240130,1,2\n20240131,2,3\n{last},4,5\n"), target="y")
    assert any("look like dates, such as 20240130" in str(notice) for notice in problem.notices) == is_noted


def test_notices_are_about_the_columns_that_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "zip,p,x,y\n01234,5%,1,2\n04321,6%,2,3\n")
    assert len([n for n in Problem(path, target="y").notices if "was read as" in str(n)]) == 2
    assert not [n for n in Problem(path, target="y", drop=["zip", "p"]).notices if "was read as" in str(n)]


ENCODED = [
    ("서울특별시", "cp949", "cp949"),
    ("면적 3㎡, 값", "cp949", "cp949"),
    ("Größe, Maß, 5 µm, 20 °C, 5 €", "cp1252", "cp1252"),
    ("l’été à Noël, 3 m²", "cp1252", "cp1252"),
    ("東京都", "cp932", None),
    ("年齢", "cp932", None),
    ("Москва", "cp1251", None),
    ("Радость", "koi8-r", None),
    ("Radosław Łuk", "cp1250", None),
    ("Αθήνα", "cp1253", None),
]


@pytest.mark.parametrize(("text", "encoding", "found"), ENCODED)
def test_an_encoding_is_detected_where_it_is_certain(text: str, encoding: str, found: str | None) -> None:
    assert detect_legacy_encoding(f"{text},x\n1,2\n".encode(encoding)) == found


def test_a_mark_that_is_given_holds_from_the_first_row(tmp_path: Path) -> None:
    path = write(tmp_path, 'x,y\n"1,200",1\n"3,400",2\n')
    assert columns(Problem(path, target="y", thousands=","))["x"] == [1200, 3400]
    path = write(tmp_path, "x;y\n1.200;1\n3.400;2\n")
    assert columns(Problem(path, target="y", thousands="."))["x"] == [1200, 3400]
    assert columns(Problem(path, target="y", decimal="."))["x"] == [1.2, 3.4]


@pytest.mark.parametrize("header", [None, True])
def test_a_header_without_rows_is_refused_with_its_names(tmp_path: Path, header: bool | None) -> None:
    with pytest.raises(DataError) as caught:
        Problem(write(tmp_path, "x,y\n"), target="y", header=header)
    assert caught.value.message.key == "error.header_only"
    assert list(caught.value.message.values["columns"]) == ["x", "y"]  # type: ignore[call-overload]
    assert Problem(write(tmp_path, "1,2\n"), header=False, target="x2").n == 1
