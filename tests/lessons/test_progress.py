"""Progress: kept in one small file, whole after any kill, and begun anew where it is none of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from descentlab.lessons import progress


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path / "deep" / "er"))
    return progress.place()


def test_it_is_kept_once_and_forgotten(place: Path) -> None:
    assert progress.done() == {}
    for name in ("a", "b", "a"):
        progress.keep("one", name)
    progress.keep("two", "c")
    assert progress.done() == {"one": ["a", "b"], "two": ["c"]}
    assert [path.name for path in place.parent.iterdir()] == ["progress.json"]
    progress.forget("one")
    progress.forget("three")
    assert progress.done() == {"two": ["c"]}
    progress.forget()
    progress.forget()
    progress.forget("two")
    assert progress.done() == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"answered": 3}', '{"answered": {"a": 3}}', "\x00", "[" * 9999]
)
def test_a_damaged_file_is_set_aside(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert progress.done() == {}
    progress.keep("one", "a")
    assert progress.done() == {"one": ["a"]}
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
    assert progress.place().as_posix() == end
