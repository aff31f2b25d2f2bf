"""A browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

VIEWPORT = {"width": 1280, "height": 720}  # CSS pixels
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

    def __init__(self, browser: Any) -> None:
        self.context = browser.new_context(viewport=VIEWPORT)
        self.page = self.context.new_page()
        self.storage = self.context.new_cdp_session(self.page)
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
        self.page.goto("about:blank", timeout=15_000)  # milliseconds
        self.storage.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "local_storage"})
        self.page.mouse.move(-1, -1)
        self.page.set_viewport_size(VIEWPORT)
        self.context.set_offline(False)
        self.requests.clear()
        self.complaints.clear()


@pytest.fixture(scope="session")
def _pages() -> list[Watched]:
    """The page that the next test uses again: a new one is a process of its own, and takes longer than most tests."""
    return []


@pytest.fixture
def watched(browser: Any, _pages: list[Watched]) -> Iterator[Watched]:
    """An empty page whose requests and complaints are kept."""
    page = _pages.pop() if _pages else Watched(browser)
    yield page
    page.clear()
    _pages.append(page)  # one that hangs was not cleared, and is left
