"""``descentlab run`` as its readers use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from descentlab.messages.numbers import format_bound
from tests.cli.helpers import cli
from tests.extras import needs
from tests.run.test_history import BY_HAND, BY_OPTIM


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    size, rooms = rng.uniform(40, 200, 50), rng.integers(1, 6, 50)
    price = 3.0 * size + 10 * rooms + 20 + rng.normal(size=50)
    path = tmp_path / "houses.csv"
    lines = ["size,rooms,city,price"]
    lines += [f"{s!r},{r},Seoul,{p!r}" for s, r, p in zip(size.tolist(), rooms.tolist(), price.tolist(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_lesson() -> None:
    result = cli("run")
    assert result.code == 0
    assert BY_HAND in result.out
    assert "lr 0.01, reduction sum, engine exact (lr and reduction are the lesson's" in result.out
    assert "reduction mean, engine exact\n" in cli("run", "--lr", "0.01").out
    assert "reduction mean, engine exact\n" in cli("run", "--reduction", "mean").out


@needs("torch")
def test_the_lesson_by_torch() -> None:
    result = cli("run", "--engine", "autograd", "--lr", "0.15")
    assert result.code == 0
    assert BY_OPTIM in result.out
    assert "reduction mean, engine autograd" in result.out


def test_a_file_standardized(houses: Path) -> None:
    result = cli("run", str(houses), "--target", "price", "--lr", "0.1", "--standardize", "--epochs", "200")
    assert result.code == 0, result.err
    assert "`city` was left out" in result.out
    assert "'Seoul'" in result.out
    assert "size = 3.0" in result.out  # in the file's own units
    assert "Converged" in result.out


@needs("polars")
def test_a_pattern_of_parquet_files(tmp_path: Path) -> None:
    import polars as pl

    rng = np.random.default_rng(1)
    for part in range(3):
        X = rng.normal(size=(20, 3))
        y = X @ [1.0, -2.0, 0.0] + 0.5
        pl.DataFrame({"x1": X[:, 0], "x2": X[:, 1], "x3": X[:, 2], "y": y}).write_parquet(tmp_path / f"{part}.parquet")
    options = ["--target", "y", "--features", "x1,x2", "--momentum", "0.9", "--reduction", "sum", "--engine", "exact"]
    result = cli("run", str(tmp_path / "*.parquet"), *options, "--lr", "0.001", "--json")
    assert result.code == 0, result.err
    content = json.loads(result.out)
    assert content["problem"]["rows"] == 60
    assert content["problem"]["parameters"] == ["x1", "x2", "bias"]
    assert content["params"]["x2"] == pytest.approx(-2, abs=0.01)


def test_json_holds_the_whole_run() -> None:
    content = json.loads(cli("run", "--json").out)
    assert content["schema"] == "descentlab.run/1"
    assert content["history"]["epoch"] == list(range(1, 11))
    np.testing.assert_allclose(content["history"]["params"]["x"][:3], [0, 0.28, 0.4816])
    assert content["history"]["cost"][0] == pytest.approx(14 / 3)
    assert content["ending"]["reason"] == "out_of_epochs"
    assert content["ending"]["lr_bound"] == pytest.approx(1 / 14)
    assert content["params"]["x"] == pytest.approx(1 - 0.72**10)


def test_divergence_is_a_finding() -> None:
    result = cli("run", "--lr", "0.1", "--reduction", "sum", "--epochs", "100")
    assert result.code == 1
    assert "1.4 times the largest stable rate, 0.0714." in result.out
    assert json.loads(cli("run", "--lr", "0.1", "--reduction", "sum", "--json").out)["ending"]["reason"] == "diverged"


def test_without_a_rate_a_file_gets_the_rates_that_would_do(houses: Path) -> None:
    result = cli("run", str(houses), "--target", "price")
    assert result.code == 2
    bound = dl.Problem(str(houses), target="price").spectrum().lr_bound()
    assert f"Every rate below {format_bound(bound)} converges" in result.err
    assert cli("run", str(houses), "--target", "price", "--lr", str(bound * 0.999)).code == 0
    assert cli("run", str(houses), "--target", "price", "--lr", str(bound * 1.001), "--epochs", "100000").code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "abc"], "lr = 'abc' is not a number. Give a positive finite number."),
        (["--lr", "0"], "At 0 nothing changes"),
        (["--lr", "-1"], "below 0 the cost rises"),
        (["--lr", "nan"], "lr = nan"),
        (["--lr"], "--lr needs a value"),
        (["--lr", "0.1", "--epochs", "0"], "epochs = 0 must be a whole number of at least 1"),
        (["--epochs", "-3"], "epochs = -3 "),
        (["--epochs", "many"], "epochs = 'many'"),
        (["--epochs", "1e12", "--engine", "hand"], "days"),
        (["--engine", "magic"], "auto"),
        (["--reduction", "avg"], "half_mean"),
        (["--start", "1,2"], "start has 2 entries, but this problem has 1 parameter (x)"),
        (["--start", "a"], "start = a"),
        (["--momentmu", "1"], "Did you mean `--momentum`"),
        (["--option", "betas"], "KEY=VALUE"),
        (["--lang", "fr"], "en, ko"),
        (["--rows", "-1"], "rows"),
        (["nothing.csv"], "There is no file nothing.csv"),
        (["*.nothing"], "No file matches *.nothing"),
        (["--save", "x.xlsx"], ".parquet"),
    ],
)
def test_bad_use_is_one_sentence_and_exit_code_two(arguments: list[str], words: str) -> None:
    result = cli("run", *arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert result.err.startswith("error: ")
    assert len(result.err.strip().splitlines()) == 1


def test_bad_use_in_json_stays_json() -> None:
    result = cli("run", "--lr", "abc", "--json")
    assert result.code == 2
    assert json.loads(result.out)["error"].startswith("lr = 'abc' is not a number. Give a positive finite number.")


def test_ten_settings_reach_the_run() -> None:
    given = {
        "--lr": "0.05", "--momentum": "0.5", "--dampening": "0.1", "--weight-decay": "0.01", "--epochs": "7",
        "--schedule": "step:3:0.5", "--seed": "4", "--start": "0.5", "--batch-size": "2", "--ridge": "0.1",
    }  # fmt: skip
    content = json.loads(cli("run", *[part for pair in given.items() for part in pair], "--json").out)
    descent = content["descent"]
    assert descent["engine"] == "hand"
    expected = {
        "lr": 0.05,
        "momentum": 0.5,
        "dampening": 0.1,
        "weight_decay": 0.01,
        "epochs": 7,
        "seed": 4,
        "batch_size": 2,
    }
    assert expected.items() <= descent.items()
    assert content["history"]["params"]["x"][0] == 0.5
    assert content["problem"]["ridge"] == 0.1


@needs("torch")
def test_an_optimizer_with_its_options() -> None:
    content = json.loads(cli("run", "--optimizer", "adam", "--lr", "0.1", "--option", "betas=0.5,0.9", "--json").out)
    assert content["descent"]["engine"] == "autograd"
    assert content["ending"]["lr_bound"] is None
    assert cli("run", "--optimizer", "adam", "--lr", "0.1", "--option", "beta=1").code == 2


@needs("matplotlib")
def test_files_are_written(tmp_path: Path) -> None:
    import descentlab as dl

    history, picture = tmp_path / "h.parquet", tmp_path / "p.png"
    assert cli("run", "--save", str(history), "--plot", str(picture)).code == 0
    assert dl.History.load(history).table() == BY_HAND
    assert picture.stat().st_size > 10_000


def test_korean_from_the_option_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "10 에포크로는 수렴하지 않았습니다" in cli("run", "--lang", "ko").out
    assert "10 에포크로는 수렴하지 않았습니다" in cli("run", "--lang=ko").out
    monkeypatch.setenv("DESCENTLAB_LANG", "ko")
    assert "10 에포크로는 수렴하지 않았습니다" in cli("run").out
    assert "범위를 벗어납니다" in cli("run", "--lr", "0").err
    assert "사용법:" in cli("run", "--help").out
    assert "Not converged after 10 epochs" in cli("run", "--lang", "en").out


@pytest.mark.slow
def test_no_colours_and_no_bar_where_nobody_sees_them() -> None:
    done = subprocess.run([sys.executable, "-m", "descentlab", "run"], capture_output=True, check=True)
    assert b"\x1b" not in done.stdout
    assert done.stderr == b""


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error() -> None:
    line = f"{sys.executable} -m descentlab run --epochs 100000 --rows 100000 | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("lesson:")


@pytest.mark.slow
def test_a_bar_appears_on_a_terminal_after_a_second() -> None:
    """A pseudo-terminal as standard error, and a run that takes a few seconds."""
    import pty

    leader, follower = pty.openpty()
    arguments = [
        sys.executable,
        "-m",
        "descentlab",
        "run",
        "--engine",
        "hand",
        "--lr",
        "1e-9",
        "--epochs",
        "99999",
        "--rows",
        "0",
    ]
    done = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=follower)
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        seen += piece
    assert done.wait() == 0
    os.close(leader)
    assert b"epoch" in seen
    assert b"99999/99999" in seen


def test_an_input_is_never_written_over(houses: Path) -> None:
    before = houses.read_bytes()
    for option in ("--save", "--plot"):
        result = cli("run", str(houses), "--target", "price", "--lr", "1e-6", option, str(houses))
        assert result.code == 2
        assert "one of the input files" in result.err
    assert houses.read_bytes() == before


@needs("matplotlib")
def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for option in ("--save", "--plot"):
        missing = tmp_path / "no" / ("h.csv" if option == "--save" else "h.png")
        result = cli("run", option, str(missing))
        assert result.code == 2
        assert f"{missing} cannot be written" in result.err


@pytest.mark.parametrize(
    "setting", ["--momentum 1", "--forget-zero-grad", "--schedule exponential:2", "--batch-size 1"]
)
def test_no_rate_is_promised_where_none_is_known(houses: Path, setting: str) -> None:
    result = cli("run", str(houses), "--target", "price", *setting.split())
    assert result.code == 2
    assert "converges" not in result.err


@needs("torch")
def test_a_rate_beyond_all_bounds_prints_numbers() -> None:
    for engine in ("hand", "autograd", "exact"):
        result = cli("run", "--lr", "1e308", "--engine", engine)
        assert result.code == 1
        assert "nan" not in result.out
        assert "W: 0" in result.out


def test_ridge_and_decay_are_counted_in_what_is_left(houses: Path) -> None:
    for extra in (["--ridge", "0.5"], ["--weight-decay", "0.1"]):
        result = cli("run", str(houses), "--target", "price", "--standardize", "--lr", "0.03", "--epochs", "20", *extra)
        assert "Including the penalty" in result.out
