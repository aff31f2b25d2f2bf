"""A browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

INSTALL = "no Chromium found; install it: apt-get install chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window. Without one the test is skipped, or fails where DESCENTLAB_BROWSER=required."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None and os.environ.get("DESCENTLAB_BROWSER") == "required":
        pytest.fail(INSTALL)
    if path is None:
        pytest.skip(INSTALL)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Watched:
    """A page of the browser, with everything that it asks for and complains of."""

    VIEWPORT = {"width": 1280, "height": 720}  # noqa: RUF012  (CSS pixels)

    def __init__(self, browser: Any) -> None:
        self.context = browser.new_context(viewport=self.VIEWPORT)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self.refuse)

    def refuse(self, dialog: Any) -> None:
        """A question nobody should be asked."""
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def clear(self) -> None:
        """As it was when it was new: nothing open, nothing stored, nothing heard."""
        self.page.evaluate("() => { try { localStorage.clear(); } catch { /* a page without storage */ } }")
        self.page.goto("about:blank")
        self.page.mouse.move(-1, -1)
        self.page.set_viewport_size(self.VIEWPORT)
        self.context.set_offline(False)
        self.requests.clear()
        self.complaints.clear()


@pytest.fixture(scope="session")
def _window(browser: Any) -> Iterator[Watched]:
    """One page for all tests: a new one is a process of its own, which takes longer to start than most tests."""
    window = Watched(browser)
    yield window
    window.context.close()


@pytest.fixture
def watched(_window: Watched) -> Iterator[Watched]:
    """An empty page whose requests and complaints are kept."""
    yield _window
    _window.clear()
