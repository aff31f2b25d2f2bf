"""Formulas and categories on the command line: what is printed, and what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.helpers import cli

ROWS = """size,rooms,city,price
50,2,Seoul,155
80,3,Busan,230
120,4,Seoul,333
65,2,Jeju,190
90,3,Busan,250
70,2,Jeju,199
"""
FORMULA = "price ~ size + city"
NAMES = ["size", "C(city)[Jeju]", "C(city)[Seoul]", "bias"]


@pytest.fixture
def houses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text(ROWS)
    return tmp_path / "houses.csv"


@pytest.mark.usefixtures("houses")
def test_every_command_that_takes_data_takes_a_formula() -> None:
    solved = json.loads(cli("solve", "houses.csv", "--formula", FORMULA, "--json").out)
    assert list(solved["params"]) == NAMES
    ran = json.loads(cli("run", "houses.csv", "--formula", FORMULA, "--standardize", "--lr", "0.3", "--json").out)
    assert ran["problem"]["parameters"] == NAMES
    assert ran["params"] == pytest.approx(solved["params"], rel=1e-3)
    assert cli("compress", "houses.csv", "--formula", FORMULA, "-o", "houses.factor").code == 0
    assert json.loads(cli("solve", "houses.factor", "--json").out)["params"] == pytest.approx(solved["params"])
    assert cli("cv", "houses.csv", "--formula", FORMULA, "--folds", "2").code == 0
    diagnosed = cli("diagnose", "houses.csv", "--formula", FORMULA, "--lr", "1e-4", "--validation", "houses.csv")
    assert "--formula 'price ~ size + city'" in diagnosed.out
    assert "`C(city)[" in diagnosed.out
    assert "smaller unit" not in diagnosed.out


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("categories", ["city", "auto"])
def test_categories_are_taken_in_by_name(categories: str) -> None:
    result = cli("solve", "houses.csv", "--target", "price", "--categories", categories, "--features", "size,city")
    assert [name for name in NAMES if f"{name} =" in result.out] == NAMES
    assert "left out" not in result.out


@pytest.mark.usefixtures("houses")
def test_the_default_target_of_built_in_data_gives_way() -> None:
    for formula in ("gnp ~ year", "~ gnp + year"):
        target = "gnp" if formula.startswith("gnp") else "employed"
        assert f"{target} from" in cli("solve", "longley", "--formula", formula).out


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_caret_stands_under_the_place(lang: str) -> None:
    result = cli("solve", "houses.csv", "--formula", "price ~ size + citi", "--lang", lang)
    assert result.code == 2
    assert result.err.splitlines()[1:] == ["  price ~ size + citi", f"  {' ' * 15}^"]
    assert "`city`" in result.err
