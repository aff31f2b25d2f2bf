"""``descentlab lab``: a real process that serves the page, until Ctrl-C; and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.helpers import cli

DATA = re.compile(r'<script type="application/json" id="descentlab-spec">(.*?)</script>', re.DOTALL)


@pytest.fixture
def started() -> Iterator[Any]:
    """Start the command; gives the process, the address it printed, and what it printed before."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str, str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "descentlab", "lab", "--no-open", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DESCENTLAB_LANG": "en"},
        )
        processes.append(process)
        assert process.stdout is not None
        printed = ""
        while "http://" not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            printed += line
        return process, re.findall(r"http://\S+", printed)[0], printed

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="a shell script as the browser")
def test_the_browsers_command_line_does_not_have_the_secret(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/argument\ncp -p "${{1#file://}}" {tmp_path}/page\n')
    browser.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "descentlab", "lab"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": str(browser), "DESCENTLAB_LANG": "en"},
    )
    assert process.stdout is not None
    url = re.findall(r"http://\S+", process.stdout.readline())[0]
    while not (tmp_path / "page").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate()
    given = (tmp_path / "argument").read_text().strip()
    assert url.split("/")[3] not in given
    assert url in (tmp_path / "page").read_text()
    assert (tmp_path / "page").stat().st_mode & 0o077 == 0
    assert not Path(given.removeprefix("file://")).exists()


def served(url: str) -> tuple[str, dict[str, Any]]:
    """The page at an address, and the spec in it."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    return text, json.loads(DATA.findall(text)[0])


@pytest.mark.slow
@pytest.mark.parametrize(("lang", "ended"), [("en", "The lab has stopped."), ("ko", "실험실을 끝냈습니다.")])
def test_it_serves_the_lesson_until_it_is_interrupted(started: Any, lang: str, ended: str) -> None:
    process, url, _ = started("--lang", lang)
    text, spec = served(url)
    assert f'<html lang="{lang}" data-served="true">' in text
    assert (spec["name"], spec["columns"], spec["rows"]) == ("lesson", ["x", "y"], 3)
    assert (spec["settings"]["lr"], spec["settings"]["reduction"], spec["settings"]["epochs"]) == (0.01, "sum", 10)
    assert spec["hypothesis"]["bias"] is False
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert ended in out
    assert err == ""


@pytest.mark.slow
def test_data_and_settings_reach_the_page(started: Any, tmp_path: Path) -> None:
    path = tmp_path / "houses.csv"
    path.write_text("size,rooms,city,price\n50,2,Seoul,155\n80,3,Busan,230\n120,4,Seoul,333\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--target", "price", "--features", "rooms", "--standardize", "--lr", "0.3", "--momentum", "0.5"]
    _, url, printed = started(str(path), *arguments, "--nesterov", "--start", "1,2", "--port", str(port))
    assert url.startswith(f"http://127.0.0.1:{port}/")
    _, spec = served(url)
    assert (spec["name"], spec["columns"]) == ("houses.csv", ["rooms", "price"])  # its folder stays out
    settings = spec["settings"]
    assert (settings["lr"], settings["momentum"], settings["nesterov"], settings["start"]) == (0.3, 0.5, True, [1, 2])
    assert spec["hypothesis"]["standardize"] is True
    assert "note:" not in printed  # the columns were named


@pytest.mark.slow
def test_what_was_left_out_is_said(started: Any, tmp_path: Path) -> None:
    path = tmp_path / "houses.csv"
    path.write_text("size,city,price\n50,Seoul,155\n80,Busan,230\n")
    _, _, printed = started(str(path), "--target", "price")
    assert "`city` was left out" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.csv"], "There is no file nothing.csv"),
        (["--port", "70000"], "port = 70000 is out of range"),
        (["--port", "-1"], "port = -1"),
        (["--port", "http"], "port = 'http'"),
        (["--optimizer", "Adam"], "There is no option --optimizer"),
        (["--lr", "0"], "At 0 nothing changes"),
        (["--start", "1,2"], "start has 2 entries"),
        (["--lang", "fr"], "en, ko"),
    ],
)
def test_bad_use_is_one_sentence_and_exit_code_two(arguments: list[str], words: str) -> None:
    result = cli("lab", "--no-open", *arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = cli("lab", "--no-open", "--port", str(taken.getsockname()[1]))
    assert result.code == 2
    assert "Give another --port" in result.err


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_help_in_both_languages(lang: str) -> None:
    text = cli("lab", "--help", "--lang", lang).out
    assert "--port" in text
    assert "help." not in text
    assert bool(re.search("[가-힣]", text)) is (lang == "ko")


@pytest.mark.slow
def test_it_serves_a_lesson(started: Any) -> None:
    _, url, _ = started("--lesson", "2", "--lang", "ko")
    with urllib.request.urlopen(url, timeout=30) as answer:
        text, allowed = answer.read().decode(), answer.headers["Content-Security-Policy"]
    assert '<html lang="ko"' in text
    assert "<math" in text
    assert allowed.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'" in allowed
    with urllib.request.urlopen(f"{url}12-en", timeout=30) as answer:
        assert '<html lang="en"' in answer.read().decode()
    for nowhere in ("13-en", "1-de", "0-ko", "1-en/"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}{nowhere}", timeout=30)


def test_a_lesson_takes_no_other_data_and_no_rate() -> None:
    result = cli("lab", "longley", "--no-open", "--lesson", "1", "--lr", "0.1")
    assert result.code == 2
    assert "--lr" in result.err
    assert "DATA" in result.err


def test_no_such_lesson() -> None:
    result = cli("lab", "--no-open", "--lesson", "13")
    assert result.code == 2
    assert "The lessons are 1 to 12" in result.err
