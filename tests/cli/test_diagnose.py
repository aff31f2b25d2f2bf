"""``descentlab diagnose``: every example of its use, its exit codes, and what it refuses."""

from __future__ import annotations

import io
import json
import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.messages import display_width
from tests.cli.helpers import cli

HOUSES = "size,rooms,city,price\n50,2,Seoul,155\n80,3,Busan,230\n120,4,Seoul,333\n65,2,Jeju,190\n"


@pytest.fixture
def houses(tmp_path: Path) -> str:
    path = tmp_path / "houses.csv"
    path.write_text(HOUSES, "utf-8")
    return str(path)


def test_a_page_of_plain_sentences(houses: str) -> None:
    result = cli("diagnose", houses, "--target", "price", "--lr", "0.01")
    assert result.code == 1
    assert result.out.startswith("✗ Diverges: lr = 0.01 is 68.9 times the largest stable rate, 0.000145.\nDo this: ")
    assert houses[:20] in result.out
    assert "Column `city` was left out" in result.out
    assert max(display_width(line) for line in result.out.split("\n") if houses not in line) <= 80


@pytest.mark.parametrize(("variable", "is_colored"), [("", True), ("1", False)])
def test_a_terminal_gets_colors_unless_it_wants_none(
    variable: str, is_colored: bool, houses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setattr(io, "StringIO", type("Terminal", (io.StringIO,), {"isatty": lambda self: True}))
    out = cli("diagnose", houses, "--target", "price", "--lr", "0.01").out
    assert out.startswith("\x1b[31m\x1b[1m✗ Diverges") is is_colored
    assert ("\x1b[36m  descentlab run " in out) is is_colored
    monkeypatch.undo()
    assert "\x1b" not in cli("diagnose", houses, "--target", "price", "--lr", "0.01").out  # a pipe is no terminal


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("numpy", "  X = (X - X.mean(0)) / X.std(0)"),
        ("torch", "  X = (X - X.mean(0)) / X.std(0, unbiased=False)"),
        ("descentlab", "  descentlab run "),
    ],
)
def test_what_to_do_is_in_the_words_of_the_own_program(code: str, line: str, houses: str) -> None:
    lines = cli("diagnose", houses, "--target", "price", "--lr", "0.01", "--code", code).out.split("\n")
    assert sum(each.startswith(line) for each in lines) == 1
    refused = cli("diagnose", houses, "--target", "price", "--lr", "0.01", "--code", "matlab")
    assert refused.code == 2
    assert "numpy" in refused.err


def test_every_setting_reaches_the_diagnosis(houses: str) -> None:
    arguments = ["--lr", "0.01", "--momentum", "0.9", "--reduction", "sum", "--epochs", "500", "--start", "0,0,0"]
    result = cli("diagnose", houses, "--target", "price", *arguments, "--json")
    content = json.loads(result.out)
    assert result.code == 1
    assert content["schema"] == "descentlab.diagnosis/1"
    assert content["verdict"] == "diverges"
    descent = content["descent"]
    assert (descent["momentum"], descent["reduction"], descent["epochs"]) == (0.9, "sum", 500)
    assert descent["start"] == [0, 0, 0]
    assert content["overflow_epoch"]["float32"] == content["overflow"]["float32"]["weights"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--lr", "0.15"], 0),
        (["--lr", "0.01"], 1),
        (["--lr", "0.3"], 1),
        (["--lr", "0.15", "--batch-size", "2"], 0),
        (["--lr", "0.15", "--forget-zero-grad"], 1),
        (["--lr", "0.15", "--dtype", "float32"], 0),
        ([], 1),  # the lesson's own rate: ten epochs are not enough for 1 %
    ],
)
def test_the_exit_code_says_whether_it_would_converge(arguments: list[str], code: int) -> None:
    assert cli("diagnose", "lesson", *arguments).code == code


def test_printed_losses_are_enough_for_a_bound() -> None:
    result = cli("diagnose", "--losses", "36.4,43.9,53.0", "--lr", "0.01")
    assert result.code == 1
    assert "0.0095" in result.out
    content = json.loads(cli("diagnose", "--losses", "36.4,43.9,53.0", "--lr", "0.01", "--json").out)
    assert content["lr_bound"] == pytest.approx(0.00952, abs=2e-5)
    assert content["verdict"] == "diverges"


def test_what_was_observed_is_held_against_theory() -> None:
    agrees = cli("diagnose", "lesson", "--lr", "0.15", "--observed", "4.666667,0.746667,0.119467,0.019115")
    assert "Your numbers" in agrees.out
    wrong = json.loads(cli("diagnose", "lesson", "--lr", "0.15", "--observed", "nan", "--json").out)
    names = [each["name"] for each in wrong["findings"] if each["about"] == "observed"]
    assert names
    assert "observed_agrees" not in names


def test_held_out_rows_and_folds(houses: str, tmp_path: Path) -> None:
    held = tmp_path / "held.csv"
    held.write_text("rooms,price,size\n2,160,55\n3,260,90\n", "utf-8")
    arguments = ["--target", "price", "--standardize", "--lr", "0.2", "--validation", str(held), "--folds", "2"]
    result = cli("diagnose", houses, *arguments)
    assert "On the held-out rows" in result.out
    assert "2 folds, 4 rows in all" in result.out
    content = json.loads(cli("diagnose", houses, *arguments, "--json").out)
    assert content["validation"]["rows"] == 2
    assert content["cross_validation"]["best"]["cost"] > 0


def folded(houses: str, *arguments: str) -> dict[str, Any]:
    given = ["--target", "price", "--standardize", "--lr", "0.2", "--epochs", "50", "--folds", "2", *arguments]
    content: dict[str, Any] = json.loads(cli("diagnose", houses, *given, "--json").out)
    return content


def test_folds_are_of_the_descent_asked_for(houses: str) -> None:
    content = folded(houses, "--ridge", "0.05", "--weight-decay", "0.3", "--momentum", "0.5")
    found = content["cross_validation"]
    assert 0.2 in found["lr"]
    assert 0.05 in found["ridge"]
    assert (found["own"]["lr"], found["own"]["ridge"]) == (0.2, 0.05)
    same = dl.cross_validate(
        houses, target="price", folds=2, standardize=True, lr=0.2, ridge=0.05, weight_decay=0.3, momentum=0.5, epochs=50
    )
    assert same.best is not None
    assert found["own"]["cost"] == pytest.approx(same.best.cost)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--optimizer", "Adam"], "not to a descent with `optimizer`"),
        (["--batch-size", "2"], "not to a descent with `batch_size`"),
        (["--schedule", "step:30:0.1"], "not to a descent with `schedule`"),
        (["--forget-zero-grad"], "not to a descent with `zero_grad`"),
        (["--start", "1,1,1"], "not to a descent with `start`"),
        (["--momentum", "1"], "at momentum 1 errors need not shrink"),
    ],
)
def test_what_folds_cannot_speak_of_does_not_cost_the_diagnosis(houses: str, arguments: list[str], reason: str) -> None:
    content = folded(houses, *arguments)
    assert content["cross_validation"] is None
    [why] = [each for each in content["findings"] if each["name"] == "no_folds"]
    assert reason in why["text"]
    assert content["verdict"]
    given = ["--target", "price", "--standardize", "--lr", "0.2", "--folds", "2", *arguments]
    result = cli("diagnose", houses, *given)
    assert (result.code in (0, 1), result.err) == (True, "")
    assert reason in re.sub(r"\s+", " ", result.out)
    assert "no_folds" in result.out


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_it_speaks_the_language_asked_for(houses: str, lang: str) -> None:
    out = cli("diagnose", houses, "--target", "price", "--lr", "0.01", "--lang", lang).out
    assert out.startswith("✗ Diverges: " if lang == "en" else "✗ 발산합니다. ")
    assert bool(re.search("[가-힣]", out)) is (lang == "ko")
    assert cli("diagnose", "--help", "--lang", lang).code == 0


def test_losses_come_from_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = "".join(f"Epoch {10 * k}/30 - loss: {loss}\n" for k, loss in enumerate(("36.4", "43.9", "53.0")))
    (tmp_path / "log.txt").write_text(log)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(log.encode())))
    for given, source in (("log.txt", "log.txt"), ("-", "standard input")):
        result = cli("diagnose", "--losses", given)
        assert (result.code, result.err) == (1, "")
        assert f"3 losses read from {source}, every 10 epochs, from 36.4 to 53." in result.out
    inline = cli("diagnose", "--losses", "36.4,43.9,53.0", "--json")
    content = json.loads(inline.out)
    assert (content["lr"], content["reading"]) == (None, None)
    assert content["lr_over_bound"] > 1
    observed = cli("diagnose", "lesson", "--lr", "0.01", "--observed", "Epoch 1: loss 4.67\nEpoch 2: loss 2.42")
    assert "2 losses read, from 4.67 to 2.42." in observed.out


def test_losses_observed_every_few_epochs() -> None:
    seen, w = [], 0.0
    for epoch in range(31):
        r = w * np.array([1.0, 2.0, 3.0]) - np.array([1.0, 2.0, 3.0])
        if epoch % 10 == 0:
            seen.append(f"{np.mean(r**2):.6g}")
        w -= 0.01 * 2 * float(np.mean(r * np.array([1.0, 2.0, 3.0])))
    lesson = ["lesson", "--lr", "0.01", "--observed", ",".join(seen)]
    out = cli("diagnose", *lesson, "--epochs", "70", "--losses-every", "10").out
    assert "Your numbers match the theory: at epoch 31" in out
    assert "If these" not in out
    other_epochs = cli("diagnose", *lesson, "--epochs", "71").out
    assert other_epochs.startswith("✗ The rate in effect is ")
    assert "The learning rate is not the cause" in " ".join(other_epochs.split())
    spaced = " ".join(cli("diagnose", *lesson, "--epochs", "30").out.split())
    assert "If these 4 losses were printed every 10 epochs, they match the theory" in spaced


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "There is nothing to diagnose"),
        (["--lr", "0.1"], "There is nothing to diagnose"),
        (["lesson", "--lr", "-1"], "positive finite number"),
        (["exam-scores"], "every rate below"),
        (["lesson", "--lr", "0.1", "--start", "1,2"], "start has 2 entries"),
        (["lesson", "--lr", "0.1", "--within", "0"], "within = 0 is out of range"),
        (["lesson", "--lr", "0.1", "--within", "much"], "within = 'much' is not a number. Give a number from"),
        (["lesson", "--lr", "0.1", "--losses", "1,2,3"], "either data or --losses"),
        (["--losses", "1,2", "--lr", "0.1"], "three"),
        (["--losses", "1,two,3", "--lr", "0.1"], "two"),
        (["--losses", "5,5,5", "--lr", "0.1"], "5"),
        (["--losses", "1,2,3", "--lr", "0.1", "--losses-every", "0"], "losses-every = 0"),
        (["lesson", "--lr", "0.1", "--losses-every", "10"], "the number of epochs between printed losses"),
        (["lesson", "--lr", "0.1", "--observed", "1,2,3", "--losses-every", "0"], "losses-every = 0"),
        (["nowhere.csv", "--target", "y", "--lr", "0.1"], "There is no file nowhere.csv"),
        (["lesson", "--lr", "0.1", "--folds", "1"], "folds"),
        (["lesson", "--lr", "0.1", "--validation", "nowhere.csv"], "There is no file nowhere.csv"),
        (["lesson", "--lr", "0.1", "--tolerance", "1"], "There is no option --tolerance"),
    ],
)
def test_bad_use_is_one_message_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = cli("diagnose", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not result.out


def test_rows_with_missing_values_are_counted_by_column(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("x,y\n1,2\n,3\n3,6\n4,8\n", "utf-8")
    refused = cli("diagnose", str(path), "--target", "y", "--lr", "0.01")
    assert (refused.code, "`x`: 1" in refused.err) == (2, True)
    dropped = cli("diagnose", str(path), "--target", "y", "--lr", "0.01", "--missing", "drop")
    assert "1 of 4 rows had a missing value (`x`: 1) and were left out" in re.sub(r"\s+", " ", dropped.out)


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_page_of_the_findings_is_written_where_asked(houses: str, tmp_path: Path, lang: str) -> None:
    page = tmp_path / "report.html"
    arguments = ["diagnose", houses, "--target", "price", "--lr", "0.01", "--lang", lang]
    said = cli(*arguments)
    result = cli(*arguments, "--html", str(page))
    assert result.code == said.code == 1
    written = {"en": f"Written: {page}", "ko": f"저장했습니다: {page}"}[lang]
    assert result.out == f"{said.out}{written}\n"
    text = page.read_text("utf-8")
    assert f'<html lang="{lang}"' in text
    assert "<title>houses.csv - " in text
    found = json.loads(cli(*arguments, "--json").out)
    for finding in found["findings"]:
        assert escape(finding["text"]) in text
    assert "descentlab run houses.csv --target price --standardize" in text
    assert str(tmp_path) not in text  # others may read it


def test_beside_json_the_page_is_told_of_on_the_error_stream(houses: str, tmp_path: Path) -> None:
    page = str(tmp_path / "report.html")
    result = cli("diagnose", houses, "--target", "price", "--lr", "0.01", "--html", page, "--json")
    assert json.loads(result.out)["verdict"] == "diverges"
    assert result.err == f"Written: {page}\n"


def test_a_page_never_replaces_what_is_read(houses: str, tmp_path: Path) -> None:
    before = Path(houses).read_bytes()
    common = ["diagnose", houses, "--target", "price", "--lr", "0.01"]
    for arguments, words in (
        ([*common, "--html", houses], "one of the input files"),
        (["diagnose", "lesson", "--lr", "0.1", "--validation", houses, "--html", houses], "one of the input files"),
        ([*common, "--html", str(tmp_path / "report.pdf")], "saved as .html"),
        ([*common, "--html", str(tmp_path / "nowhere" / "report.html")], "cannot be written"),
        (["diagnose", "--losses", "3,2,1.5", "--lr", "0.1", "--html", "report.html"], "A page needs data"),
    ):
        result = cli(*arguments)
        assert (result.code, words in result.err, result.out) == (2, True, "")
    assert Path(houses).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["houses.csv"]
