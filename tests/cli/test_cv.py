"""``descentlab cv``: what it chooses is what Python chooses, and its command runs it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from tests.cli.helpers import cli

random = np.random.default_rng(4)
ROWS = np.column_stack([random.normal(size=(24, 2)), random.normal(size=24)])
ROWS[:, 2] += ROWS[:, :2] @ [2.0, -1.0]


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "table.csv"
    lines = [f"{a},{b},text,{y}" for a, b, y in ROWS.tolist()]
    path.write_text("a,b,note,y\n" + "\n".join(lines), "utf-8")
    return str(path)


def test_it_chooses_what_python_chooses(table: str) -> None:
    found = json.loads(cli("cv", table, "--target", "y", "--lr", "0.1", "--epochs", "40", "--folds", "4", "--json").out)
    assert found["schema"] == "descentlab.cv/1"
    same = dl.cross_validate(ROWS[:, :2], ROWS[:, 2], lr=found["lr"], ridge=found["ridge"], epochs=40, folds=4)
    assert same.best is not None
    assert found["best"]["cost"] == pytest.approx(same.best.cost)
    assert (found["own"]["lr"], found["own"]["ridge"]) == (0.1, 0)
    assert json.loads(cli("cv", table, "--target", "y", "--json").out)["own"] is None


@pytest.mark.parametrize("options", [(), ("--reduction", "sum", "--standardize", "--lang", "ko")])
def test_its_command_runs_the_best_on_all_rows(table: str, options: tuple[str, ...]) -> None:
    given = (table, "--target", "y", "--folds", "4", *options)
    best = json.loads(cli("cv", *given, "--json").out)["best"]
    line = next(line for line in cli("cv", *given).out.split("\n") if line.startswith("  descentlab run "))
    run = json.loads(cli(*shlex.split(line)[1:], "--json").out)
    assert (run["problem"]["ridge"], run["descent"]["epochs"]) == (best["ridge"], best["updates"])
    factor = 3 / 4 if "sum" in options else 1  # the same steps: the sum is of 4/3 as many rows
    assert run["descent"]["lr"] == pytest.approx(best["lr"] * factor, rel=1e-5)
    assert ("--lang" in line) is ("--lang" in options)


def test_notices_come_once_and_costs_have_their_roots(table: str) -> None:
    text = cli("cv", table, "--target", "y", "--folds", "4").out
    assert text.count("was left out") == 1
    words = text.split()
    cost, root = (float(words[words.index(word) + 1].strip("(),")) for word in ("cost:", "(RMSE"))
    assert root == pytest.approx(np.sqrt(cost), rel=0.01)
    both = cli("diagnose", table, "--target", "y", "--lr", "0.1", "--folds", "4").out
    assert both.count("was left out") == 1
    assert "RMSE" in both


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to cross-validate"),
        (("longley", "--folds", "1"), "folds = 1"),
        (("longley", "--folds", "99"), "at least that many rows"),
        (("longley", "--momentum", "1"), "Use a momentum below 1"),
    ],
)
def test_what_it_refuses(arguments: tuple[str, ...], words: str) -> None:
    result = cli("cv", *arguments)
    assert result.code == 2
    assert words in result.err
    assert result.out == ""
