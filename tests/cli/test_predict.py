"""``descentlab predict``: files, tables, SQL and JSON; what is refused; the models that ``solve`` and ``run`` save."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv as pcsv
import pytest
from pyarrow import parquet

import descentlab as dl
from tests.cli.helpers import cli

ROWS = (
    "size,city,price\n50,Seoul,155\n80,Busan,230\n120,Seoul,333\n65,Jeju,190\n70,Busan,201\n90,Jeju,250\n95,Seoul,280\n"
)
NEW = "id,city,size\na7,Seoul,60\na8,Busan,\na9,Jeju,77\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with data, a model and new rows."""
    (tmp_path / "houses.csv").write_text(ROWS)
    (tmp_path / "new.csv").write_text(NEW)
    monkeypatch.chdir(tmp_path)
    assert cli("solve", "houses.csv", "--formula", "price ~ size + C(city)", "--model", "price.json").code == 0
    return tmp_path


def test_a_table_of_the_first_rows(folder: Path) -> None:
    result = cli("predict", "price.json", "new.csv", "--rows", "2", "--keep", "id", "--interval", "0.9")
    lines = result.out.splitlines()
    assert lines[1].split() == ["row", "id", "prediction", "lower", "upper"]
    assert lines[2].split()[:2] == ["1", "a7"]
    assert lines[3].split() == ["2", "a8", "-", "-", "-"]
    assert lines[4].startswith("... and 1 row more")
    assert "1 row of 3 without a prediction" in lines[5]


def test_a_file(folder: Path) -> None:
    result = cli("predict", "price.json", "new.csv", "-o", "out.parquet", "--keep", "all", "--interval", "0.95")
    assert result.code == 0
    assert "out.parquet: 3 rows predicted." in result.out
    table = parquet.read_table("out.parquet")
    assert table.column_names == ["id", "city", "size", "prediction", "lower", "upper"]
    expected = dl.Model.load("price.json").predict("new.csv", interval=0.95)
    assert table["upper"][2].as_py() == expected.upper[2]
    assert table["prediction"].null_count == 1
    assert "3행을 예측했습니다" in cli("predict", "price.json", "new.csv", "-o", "out.csv", "--lang", "ko").out
    assert pcsv.read_csv("out.csv").num_rows == 3


def test_json_sql_and_the_model_itself(folder: Path) -> None:
    content = json.loads(cli("predict", "price.json", "new.csv", "--json").out)
    assert (content["schema"], content["rows"], content["without_prediction"]) == ("descentlab.predict/1", 3, 1)
    assert content["predictions"][1] == {"prediction": None}
    assert cli("predict", "price.json", "--sql").out.rstrip("\n") == dl.Model.load("price.json").to_sql()
    assert "::float8" in cli("predict", "price.json", "--sql", "--dialect", "postgresql").out
    assert "Predicts `price` from `size`, `city`" in cli("predict", "price.json").out


def test_what_to_do_about_a_new_level(folder: Path) -> None:
    (folder / "new.csv").write_text(NEW + "010,Paris,70\n")
    refused = cli("predict", "price.json", "new.csv", "-o", "out.csv")
    assert refused.code == 2
    assert "Paris (in line 5)" in refused.err
    assert not (folder / "out.csv").exists()
    assert cli("predict", "price.json", "new.csv", "--unseen", "reference").code == 0
    missing = cli("predict", "price.json", "new.csv", "--unseen", "missing", "--lang", "ko")
    assert "`city`에 모델이 보지 못한 수준" in missing.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["houses.csv", "new.csv"], "not a model file"),
        (["price.json", "new.csv", "-o", "new.csv"], "new.csv"),
        (["price.json", "new.csv", "-o", "price.json"], "price.json"),
        (["price.json", "new.csv", "-o", "out.txt"], ".parquet"),
        (["price.json", "new.csv", "--interval", "95"], "from 0 to 1"),
        (["price.json", "new.csv", "--kind", "median"], "observation, mean"),
        (["price.json", "new.csv", "--keep", "ID"], "`id`"),
        (["price.json", "--sql", "--dialect", "mysql"], "duckdb"),
    ],
)
def test_what_is_refused(folder: Path, arguments: list[str], said: str) -> None:
    for lang in ("en", "ko"):
        result = cli("predict", *arguments, "--lang", lang)
        assert result.code == 2
        assert said in result.err or lang == "ko"


def test_run_saves_a_model_and_says_why_it_has_no_intervals(folder: Path) -> None:
    arguments = ["run", "houses.csv", "--target", "price", "--standardize", "--lr", "0.3", "--model", "run.json"]
    assert "No intervals: the descent ended before its minimum" in cli(*arguments, "--epochs", "2").out
    refused = cli("predict", "run.json", "new.csv", "--interval", "0.9")
    assert refused.code == 2
    assert "before its minimum" in refused.err
    assert "No intervals" not in cli(*arguments, "--epochs", "1000").out
    assert cli("predict", "run.json", "new.csv", "--interval", "0.9").code == 0
    assert "descent" in cli("predict", "run.json").out


def test_the_model_is_not_written_over_the_data(folder: Path) -> None:
    result = cli("solve", "houses.csv", "--target", "price", "--model", "houses.csv")
    assert result.code == 2
    assert (folder / "houses.csv").read_text() == ROWS
