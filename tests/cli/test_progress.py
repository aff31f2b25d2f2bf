"""What a terminal shows while nothing else does, and Ctrl-C where Python itself would act too late."""

from __future__ import annotations

import io
import signal
import subprocess
import sys

import pytest

from descentlab.cli.terminal import progress
from descentlab.cli.terminal.progress import computation_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "seconds", "said"),
    [
        (2000, 0.0201, "2,000 columns: about 2:20 left"),  # 7 * 0.0201 * 10 ** 3 = 140.7 s
        (400, 0.015, ""),  # 0.84 s
        (299, 9.0, ""),  # not even timed
    ],
)
def test_the_time_a_computation_takes_is_told_before_it_begins(
    columns: int, seconds: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_decomposition_seconds", lambda: seconds)
    with computation_line(columns, 7.0):
        assert terminal.getvalue().strip() == said
    assert terminal.getvalue().endswith("\r") == bool(said)  # and the line is empty again


def test_nothing_is_told_or_timed_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> float:
        raise AssertionError

    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setattr(progress, "_decomposition_seconds", refuse)
    with computation_line(5000, 7.0):
        pass
    assert file.getvalue() == ""


BUSY = """
import os, signal, time
from descentlab.cli.terminal.interrupts import ended_by_interrupt, interruptible
with interruptible():
    with ended_by_interrupt(in_lapack={in_lapack}):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(9)
    print("went on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize(("in_lapack", "code"), [(True, -signal.SIGINT), (False, 130)])
def test_ctrl_c_ends_at_once_what_needs_no_cleaning_up(in_lapack: bool, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUSY.format(in_lapack=in_lapack)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr == ("" if in_lapack else "Interrupted; nothing was written.\n")


def test_ctrl_c_is_caught_again_afterwards() -> None:
    code = BUSY.replace("os.kill(os.getpid(), signal.SIGINT)\n        time.sleep(9)", "pass")
    code = code.format(in_lapack=True).replace('print("went on")', "os.kill(os.getpid(), signal.SIGINT)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in done.stderr
