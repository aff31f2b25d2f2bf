"""The command as a whole: help, version, commands."""

from __future__ import annotations

import json

import pytest

import descentlab as dl
from tests.cli.helpers import cli
from tests.run.test_history import BY_HAND, BY_OPTIM


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_commands(flag: str) -> None:
    result = cli(flag)
    assert result.code == 0
    for name in ("run", "solve", "demo", "--version", "--lang"):
        assert name in result.out


def test_every_option_has_its_help_in_both_languages() -> None:
    for lang in ("en", "ko"):
        for command in ("run", "solve", "demo"):
            text = cli(command, "--help", "--lang", lang).out
            assert "help." not in text
            assert "{" not in text


def test_version() -> None:
    assert cli("--version").out == f"descentlab {dl.__version__}\n"


def test_an_unknown_command() -> None:
    result = cli("rnu")
    assert result.code == 2
    assert "Did you mean `run`?" in result.err


def test_demo_shows_the_lesson_three_ways() -> None:
    result = cli("demo")
    assert result.code == 0
    assert result.out.count(BY_HAND) == 3
    assert result.out.count(BY_OPTIM) == 3
    assert float(result.out.split("differ by at most ")[1].split(",")[0]) < 1e-10
    for words in ("Diverged", "Not converged after", "Converged", "Where to go next"):
        assert words in result.out


def test_demo_in_korean() -> None:
    result = cli("demo", "--lang", "ko")
    assert "세 방법이 일치합니다" in result.out
    assert "Diverged" not in result.out


def test_solve_gives_the_certified_minimum() -> None:
    content = json.loads(cli("solve", "longley", "--json").out)
    assert content["params"]["year"] == pytest.approx(1829.15146461355, rel=1e-12)  # NIST StRD
    assert content["rank"] == 7
    assert content["digits"]["year"] > 8
    text = cli("solve", "longley").out
    assert "year = 1829.151465" in text
