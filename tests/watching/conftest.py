"""What a loop is checked for must not depend on how busy the machine is."""

from __future__ import annotations

import pytest

from descentlab.watching import pace


@pytest.fixture(autouse=True)
def _time_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of a second for looking closely, from the first step on."""
    monkeypatch.setattr(pace, "EARLY_SHARE", 1e9)
    monkeypatch.setattr(pace, "EARLY_SECONDS", 0.2)
