"""Settings that every test shares."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

from tests.browsing import _pages, browser, watched

__all__ = ["_pages", "browser", "watched"]  # one browser for every test that looks at a page

settings.register_profile("any machine", deadline=None)  # a slow machine is no failure
settings.load_profile("any machine")


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
