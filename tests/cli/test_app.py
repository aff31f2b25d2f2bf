"""The command as a whole: help, version, commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from descentlab.messages import display_width
from tests.cli.helpers import cli
from tests.extras import needs
from tests.run.test_history import BY_HAND, BY_OPTIM


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_commands(flag: str) -> None:
    result = cli(flag)
    assert result.code == 0
    for name in ("run", "solve", "demo", "--version", "--lang"):
        assert name in result.out


def test_without_a_command_the_help_is_in_the_language_asked_for() -> None:
    result = cli("--lang", "ko")
    assert (result.code, result.out) == (2, "")
    assert result.err.rstrip("\n") == cli("--help", "--lang", "ko").out.rstrip("\n")


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


@needs("torch")
def test_demo_shows_a_table_each_way_a_picture_and_real_data() -> None:
    result = cli("demo")
    assert result.code == 0
    for table in (BY_HAND, BY_OPTIM, "Epoch:   10/10 W: 7.931, Cost: 224.180129"):
        assert result.out.count(table) == 1
    assert float(" ".join(result.out.split()).split("differ by at most ")[1].split(",")[0]) < 1e-10
    assert result.out.count("○") == 10 + 1  # an epoch each, and the legend
    story = result.out.partition("Real data")[2].partition("Next:")[0].strip().splitlines()
    assert len(story) <= 12
    for words in ("Diverged", "Not converged after", "Converged"):
        assert sum(line.startswith(f"  {words}") for line in story) == 1
    assert max(map(display_width, result.out.splitlines())) <= 80


def test_demo_agrees_where_a_run_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference between two ways would be seen."""
    monkeypatch.setattr("descentlab.cli.demo.find_spec", lambda name: None)
    monkeypatch.setattr("descentlab.cli.demo.np.ptp", lambda tables, axis: 0.5 * np.abs(tables).max(axis))
    out = cli("demo").out
    assert "differ by at most 5.0e-01," in " ".join(out.split())
    assert "PyTorch is not installed" in out
    assert "The 2 ways agree" in out


@pytest.mark.parametrize("active", [True, False])
def test_demo_from_make_says_how_to_go_on(active: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.cli.demo.find_spec", lambda name: None)
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.setenv("VIRTUAL_ENV", "x") if active else monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setattr("sys.prefix", str(Path.cwd() / ".venv"))
    doors = cli("demo").out.partition("Next:")[2]
    assert ("source .venv/bin/activate" in doors) is not active
    assert "    make lab  " in doors
    monkeypatch.delenv("MAKELEVEL")
    doors = cli("demo").out.partition("Next:")[2]
    assert "activate" not in doors
    assert "    descentlab lab  " in doors


@needs("torch")
def test_demo_in_korean() -> None:
    result = cli("demo", "--lang", "ko")
    assert "방법 3가지의 결과가 같습니다" in result.out
    assert "Diverged" not in result.out


def test_solve_gives_the_certified_minimum() -> None:
    content = json.loads(cli("solve", "longley", "--json").out)
    assert content["params"]["year"] == pytest.approx(1829.15146461355, rel=1e-12)  # NIST StRD
    assert content["rank"] == 7
    assert content["digits"]["year"] > 8
    text = cli("solve", "longley").out
    assert "year = 1829.151465" in text


@pytest.mark.parametrize("arguments", [("fit",), ("lesson",), ("explain",), ("run", "--help"), ("diagnose", "lesson")])
def test_a_printed_command_keeps_the_language_that_was_chosen(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def commands(*language: str) -> list[str]:
        result = cli(*arguments, *language)
        text = " ".join((result.out + result.err).split())
        return re.findall(r"descentlab (?:run|explain|lesson|solve|--help)[^`#:]*", text)

    assert not [each for each in commands() if "--lang" in each]
    for lang in ("en", "ko"):
        kept = commands("--lang", lang)
        assert kept
        assert all(f"--lang {lang}" in each for each in kept if "[" not in each)
    monkeypatch.setenv("DESCENTLAB_LANG", "ko")
    assert not [each for each in commands() if "--lang" in each]
