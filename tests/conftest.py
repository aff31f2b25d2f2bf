"""Settings that every test shares."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def _english() -> None:
    """Sentences in English unless a test asks otherwise, whatever the machine's locale."""
    os.environ["DESCENTLAB_LANG"] = "en"
