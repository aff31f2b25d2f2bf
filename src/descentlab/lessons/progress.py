"""Progress: the questions answered correctly, stored in one small file on this machine only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from descentlab.storage import hold_lock, write_atomically

PROGRESS_FILE_NAME = "progress.json"


def progress_path() -> Path:
    """The path of the file: in ``DESCENTLAB_STATE``, else in the system's folder for program state."""
    if folder := os.environ.get("DESCENTLAB_STATE"):
        return Path(folder) / PROGRESS_FILE_NAME
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state"))
    return base / "descentlab" / PROGRESS_FILE_NAME


def load_answered() -> dict[str, list[str]]:
    """The questions answered correctly, by lesson; empty if the file is missing or damaged."""
    return _read_answered() or {}


def mark_answered(slug: str, name: str) -> None:
    """Store that a question was answered correctly. The file is replaced atomically.

    A file that cannot be read is set aside, with ``.damaged`` in its name.
    """
    with _locked_progress() as path:
        answered = _read_answered()
        if answered is None and path.exists():
            path.replace(path.with_suffix(".damaged"))
        answered = answered or {}
        names = answered.setdefault(slug, [])
        if name not in names:
            names.append(name)
        _write_answered(path, answered)


@contextmanager
def _locked_progress() -> Iterator[Path]:
    """The path of the file, which no other process changes meanwhile; its folder is created."""
    path = progress_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(path):
        yield path


def _write_answered(path: Path, answered: dict[str, list[str]]) -> None:
    write_atomically(path, json.dumps({"version": 1, "answered": answered}, indent=1).encode())


def _read_answered() -> dict[str, list[str]] | None:
    """The stored answers; None if the file is missing or damaged."""
    try:
        stored = json.loads(progress_path().read_text("utf-8"))["answered"]
        return {str(slug): [str(name) for name in names] for slug, names in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def reset_progress(slug: str | None = None) -> None:
    """Delete the answers of one lesson, or of all."""
    if not progress_path().exists():
        return
    with _locked_progress() as path:
        if slug is None:
            path.unlink(missing_ok=True)
        elif slug in (answered := load_answered()):
            del answered[slug]
            _write_answered(path, answered)
