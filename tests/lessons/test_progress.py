"""Progress: kept in one small file, whole after any kill, and begun anew where it is none of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from descentlab.lessons import progress


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path / "deep" / "er"))
    return progress.progress_path()


def test_it_is_kept_once_and_forgotten(place: Path) -> None:
    assert progress.load_answered() == {}
    for name in ("a", "b", "a"):
        progress.mark_answered("one", name)
    progress.mark_answered("two", "c")
    assert progress.load_answered() == {"one": ["a", "b"], "two": ["c"]}
    assert [path.name for path in place.parent.iterdir()] == ["progress.json"]
    progress.reset_progress("one")
    progress.reset_progress("three")
    assert progress.load_answered() == {"two": ["c"]}
    progress.reset_progress()
    progress.reset_progress()
    progress.reset_progress("two")
    assert progress.load_answered() == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"answered": 3}', '{"answered": {"a": 3}}', "\x00", "[" * 9999]
)
def test_a_damaged_file_is_set_aside(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert progress.load_answered() == {}
    progress.mark_answered("one", "a")
    assert progress.load_answered() == {"one": ["a"]}
    assert place.with_suffix(".damaged").read_text() == text


@pytest.mark.parametrize(
    ("system", "variable", "value", "end"),
    [
        ("linux", "XDG_STATE_HOME", "/state", "/state/descentlab/progress.json"),
        ("win32", "LOCALAPPDATA", "/local", "/local/descentlab/progress.json"),
        ("darwin", "HOME", "/home", "/home/Library/Application Support/descentlab/progress.json"),
    ],
)
def test_it_lies_where_the_system_keeps_such_files(
    monkeypatch: pytest.MonkeyPatch, system: str, variable: str, value: str, end: str
) -> None:
    monkeypatch.delenv("DESCENTLAB_STATE")
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setenv(variable, value)
    assert progress.progress_path().as_posix() == end
