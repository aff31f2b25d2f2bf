"""Output into any encoding, pipe or disk: nothing ends in a traceback, and exit codes mean what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.helpers import cli

DATA = "a,y\n1,2\n2,3\n3,5\n"
DIVERGING = ["diagnose", "data.csv", "--target", "y", "--lr", "9"]


def run(folder: Path, *arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> tuple[int, bytes, str]:
    (folder / "data.csv").write_text(DATA)
    completed = subprocess.run(
        [sys.executable, "-m", "descentlab", *arguments],
        cwd=folder,
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        check=False,
    )
    return completed.returncode, completed.stdout, completed.stderr.decode(errors="replace")


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "latin-1", "euc-kr", "utf-16"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_any_encoding_is_written_to(tmp_path: Path, encoding: str, lang: str) -> None:
    code, out, errors = run(tmp_path, *DIVERGING, "--lang", lang, PYTHONIOENCODING=encoding)
    assert (code, errors) == (1, "")
    text = out.decode(encoding)
    assert "0.18" in text
    if lang == "ko" and encoding in ("cp949", "euc-kr", "utf-16"):
        assert "발산" in text


def test_json_is_the_same_in_any_encoding(tmp_path: Path) -> None:
    answers = [
        json.loads(run(tmp_path, *DIVERGING, "--json", "--lang", "ko", PYTHONIOENCODING=encoding)[1].decode(encoding))
        for encoding in ("utf-8", "cp1252")
    ]
    assert answers[0] == answers[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
@pytest.mark.parametrize(
    "arguments", [["run", "--rows", "2"], ["run", "--json"], DIVERGING, [*DIVERGING, "--json"], ["--help"]]
)
def test_a_full_disk_is_a_sentence_and_not_a_result(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, errors = run(tmp_path, *arguments, stdout=full.fileno())
    assert code == 2
    assert errors == "error: standard output cannot be written: No space left on device\n"


def test_a_closed_pipe_is_no_failure(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code, _, errors = run(tmp_path, "run", "--epochs", "3", stdout=writer)
    os.close(writer)
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], 0),
        (["run", "--lr", "0.3"], 1),
        (["diagnose", "data.csv", "--target", "y", "--lr", "0.1"], 0),
        (DIVERGING, 1),
        (["solve", "data.csv", "--target", "y"], 0),
        (["solve", "nothing.csv", "--target", "y"], 2),
        (["run", "--epochs", "0"], 2),
        (["run", "--save", "no/such/folder.csv"], 2),
        (["train"], 2),
        (["explain", "no_such_finding"], 2),
        (["diagnose", "--losses", "1,2,4,8"], 1),
        (["diagnose", "--losses", "10,9,8.2,nan"], 1),
        (["diagnose", "--losses", "10,9,8.2"], 0),
        (["diagnose", "--losses", "10"], 2),
        (["cv", "longley"], 0),
        (["cv", "nothing.csv", "--target", "y"], 2),
        (["compress", "data.csv", "--target", "y", "-o", "data.factor"], 0),
        (["compress", "data.csv", "--target", "y", "-o", "no/such/folder.factor"], 2),
        (["compress", "nothing.csv", "-o", "data.factor"], 2),
        (["explain", "bound"], 0),
        (["lesson"], 0),
        (["lab", "--port", "x"], 2),
        (["demo", "--none"], 2),
        (["--none"], 2),
        (["--version"], 0),
        (["lesson", "99"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_codes_mean_what_the_table_says(tmp_path: Path, arguments: list[str], expected: int) -> None:
    for extra in ([], ["--lang", "ko"]):
        code, _, errors = run(tmp_path, *arguments, *extra)
        assert code == expected, errors
        assert "Traceback" not in errors
        assert bool(errors) == (code == 2)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("torch", ["run", "--engine", "autograd"]),
        ("matplotlib", ["run", "--plot", "run.png"]),
        ("numba", ["run", "--engine", "minibatch", "--batch-size", "2"]),
        ("pyarrow", ["solve", "data.csv", "--target", "y"]),
    ],
)
def test_a_missing_package_is_a_sentence_with_what_to_install(
    module: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.csv").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "descentlab.engines.kernels", raising=False)
    monkeypatch.delattr("descentlab.engines.kernels", raising=False)
    result = cli(*arguments)
    assert result.code == 2
    assert f"pip install {module}" in result.err


# Says when the first module is imported after `main` has seen to Ctrl-C: what Python does before that is not ours.
STARTED = """
import runpy, sys
def tell(event, values):
    if event == "import" and values[0] == "descentlab.cli.terminal.localized_click":
        print("started", file=sys.stderr, flush=True)
sys.addaudithook(tell)
runpy.run_module("descentlab", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("arguments", [["--help"], ["solve", "data.csv", "--target", "y"], DIVERGING])
def test_ctrl_c_at_any_moment_leaves_no_traceback(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "data.csv").write_text(DATA)
    codes = set()
    for delay in (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6):  # seconds
        process = subprocess.Popen(
            [sys.executable, "-c", STARTED, *arguments],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline() == "started\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        errors = process.communicate()[1]
        assert errors.strip() in ("", "Interrupted; nothing was written."), (delay, errors)
        codes.add(process.returncode)
    # The signal itself ends a process that is done; one that had ended keeps its code.
    assert 130 in codes
    assert codes <= {130, -signal.SIGINT, 0, 1}
