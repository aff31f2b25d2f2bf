"""Files that processes share: nothing is lost when several change one, and nothing is left of one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from descentlab import Factor, storage
from descentlab.lessons.progress import load_answered

HOLD = """
import sys, time
from descentlab.storage import hold_lock
with hold_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""

ANSWER = """
import sys
from descentlab.lessons.progress import mark_answered
for i in range(20):
    mark_answered("one", sys.argv[1] + str(i))
"""


def start(*arguments: object, **settings: object) -> subprocess.Popen[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)  # type: ignore[call-overload, no-any-return]


def end(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate()
    assert process.returncode == 0, said


@pytest.mark.slow
def test_merges_at_the_same_time_lose_no_row(tmp_path: Path) -> None:
    for i in range(5):
        rows = "\n".join(f"{j + 100 * i},{2 * j + i}" for j in range(10 + i))
        (tmp_path / f"{i}.csv").write_text(f"x,y\n{rows}\n")
    output = tmp_path / "sum.factor"
    command = ["-m", "descentlab", "compress"]
    end(start(*command, tmp_path / "0.csv", "-o", output))
    merges = [start(*command, tmp_path / f"{i}.csv", "--merge", output, "-o", output) for i in range(1, 5)]
    for merge in merges:
        end(merge)
    assert Factor.load(output).rows == sum(10 + i for i in range(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(f"{i}.csv" for i in range(5)), "sum.factor"]


def test_a_lock_is_held_by_one_process_and_let_go_when_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    holder = start("-c", HOLD, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waited_for: list[str] = []

    def kill_holder(name: str) -> None:
        waited_for.append(name)
        holder.kill()

    with storage.hold_lock(path, kill_holder):
        assert waited_for
        assert waited_for[0].startswith(f"{holder.pid} (")
    holder.communicate()
    assert not list(tmp_path.iterdir())


def test_waiting_for_a_lock_can_be_interrupted_and_says_who_holds_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n3,5\n")
    output = tmp_path / "a.factor"
    with storage.hold_lock(output):
        waiting = start("-m", "descentlab", "compress", tmp_path / "a.csv", "-o", output)
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        assert f"Process {os.getpid()} (" in said
        assert "a.factor" in said
        waiting.send_signal(signal.SIGINT)
        waiting.communicate()
        assert waiting.returncode == 130
    assert not output.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n3,5\n")
    for leftover in (".a.factor.4711.new", ".a.factor.part.4711.new"):
        (tmp_path / leftover).write_bytes(b"half")
    (tmp_path / ".a.factor.mine.new").write_bytes(b"another's")
    end(start("-m", "descentlab", "compress", tmp_path / "a.csv", "-o", tmp_path / "a.factor"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.factor.mine.new", "a.csv", "a.factor"]


@pytest.mark.slow
def test_answers_given_at_the_same_time_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path))
    learners = [start("-c", ANSWER, name) for name in "abc"]
    for learner in learners:
        end(learner)
    assert len(load_answered()["one"]) == 60


def test_a_lock_of_a_file_system_without_locks_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(storage.NOT_SUPPORTED[0], "no locks")

    monkeypatch.setattr(storage, "_lock", refuse)
    started = time.monotonic()
    with storage.hold_lock(tmp_path / "file"), storage.hold_lock(tmp_path / "file"):
        assert time.monotonic() - started < 30
