"""Settings that every test shares."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.browsing import _pages, browser, watched
from tests.extras import missing_extras, missing_for

__all__ = ["_pages", "browser", "watched"]  # one browser for every test that looks at a page

settings.register_profile("any machine", deadline=None)  # a slow machine is no failure
settings.load_profile("any machine")


def pytest_configure() -> None:
    """Where every extra is required, a missing one is an error, and nothing can be skipped for it."""
    if os.environ.get("DESCENTLAB_EXTRAS") == "required" and (missing := missing_extras()):
        raise pytest.UsageError(f"DESCENTLAB_EXTRAS=required, but these are not installed: {', '.join(missing)}")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the files that import what is missing."""
    return bool(collection_path.suffix == ".py" and missing_for(collection_path)) or None


def pytest_report_header() -> list[str]:
    """The files left out, each with what it needs."""
    folder = Path(__file__).parent
    needed = {path: missing_for(path) for path in sorted(folder.rglob("test_*.py"))}
    return [f"left out: {path.relative_to(folder)} needs {', '.join(names)}" for path, names in needed.items() if names]


@pytest.fixture(autouse=True, scope="session")
def _english() -> None:
    """Sentences in English unless a test asks otherwise, whatever the machine's locale."""
    os.environ["DESCENTLAB_LANG"] = "en"


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Ctrl-C reaches the processes that tests start, even where the tests run in a shell's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for a browser is a browser test."""
    for item in items:
        if {"browser", "watched"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
