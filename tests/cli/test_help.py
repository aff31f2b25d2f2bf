"""Help pages: headings, examples that run, whole summaries; commands typed by habit; completion in a shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from descentlab.cli.app import build_cli
from descentlab.cli.terminal.examples import EXAMPLES
from descentlab.cli.terminal.localized_click import HABITS, HEADINGS
from descentlab.messages import display_width, load_catalog
from tests.cli.helpers import cli

COMMANDS = list(build_cli().commands)
HOUSES = "size,rooms,price\n50,2,155\n80,3,230\n120,4,333\n65,2,190\n"


def heading_of(option: str, page: str) -> str:
    """The heading that an option stands under."""
    headings: list[str] = re.findall(r"^(\w+):$", page.partition(f"\n  {option}")[0], re.MULTILINE)
    return headings[-1]


def test_options_stand_under_their_headings() -> None:
    page = cli("run", "--help").out
    found = {option: heading_of(option, page) for option in ("--target", "--ridge", "--lr", "--engine", "--plot")}
    assert list(found.values()) == ["Data", "Model", "Descent", "Descent", "Output"]
    assert heading_of("--losses", cli("diagnose", "--help").out) == "Diagnosis"
    assert heading_of("--answers", cli("lesson", "--help").out) == "Options"  # few options need no groups


def test_every_heading_has_its_words() -> None:
    assert {f"cli.{heading}_options" for heading in HEADINGS} <= load_catalog("en").keys()


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_summaries_are_whole_and_lines_fit_the_terminal(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = cli("--help", "--lang", lang).out.partition("\n  run ")[2]
    assert "..." not in listed
    for name in COMMANDS:
        page = cli(name, "--help", "--lang", lang).out
        examples = [
            f"  {command}" + f" --lang {lang}" * ("--lang" not in command) for command in EXAMPLES[name].values()
        ]
        assert len(examples) >= 2
        assert [line for line in page.splitlines() if line in examples] == examples
        assert max(display_width(line) for line in page.splitlines()) <= 80


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "lab"])
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("houses.csv", "more.csv"):
        (tmp_path / file).write_text(HOUSES)
    (tmp_path / "new.csv").write_text(HOUSES)
    for model, features in (("price", "size"), ("small", "size"), ("large", "size,rooms")):
        cli("solve", "houses.csv", "--target", "price", "--features", features, "--model", f"{model}.json")
    (tmp_path / "loop.py").write_text("import torch")
    for example in EXAMPLES[name].values():
        program, *arguments = shlex.split(example)
        assert program == "descentlab"
        assert cli(*arguments).code in (0, 1), example


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", HABITS)
def test_a_command_typed_by_habit_is_answered_with_one_that_exists(name: str, lang: str) -> None:
    result = cli(name, "x.csv", "--lang", lang)
    assert name not in COMMANDS
    assert result.code == 2
    named = re.findall(r"`descentlab ([\w-]+)", result.err)
    assert named
    assert {each for each in named if not each.startswith("-")} <= set(COMMANDS)


def test_the_short_flag_of_the_version() -> None:
    assert cli("-V") == cli("--version")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_findings_and_choices() -> None:
    script = """
        eval "$(_DESCENTLAB_COMPLETE=bash_source descentlab)"
        complete_words() {
            COMP_WORDS=(descentlab "$@"); COMP_CWORD=$#; COMPREPLY=()
            _descentlab_completion descentlab; echo "${COMPREPLY[@]}"
        }
        complete_words di; complete_words explain no_f; complete_words run --reduction h
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("diagnose\nno_folds\nhalf_mean half_sum\n", "")


@pytest.mark.parametrize("words", ["descentlab run REA", "descentlab run --plot ru"])
def test_files_are_left_to_the_shell(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    monkeypatch.setenv("_DESCENTLAB_COMPLETE", "bash_complete")
    with pytest.raises(SystemExit):
        build_cli().main([], "descentlab")
    assert capsys.readouterr().out == f"file,{words.split()[-1]}\n"
