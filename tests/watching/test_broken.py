"""Loops with a mistake are told by its name, first of all that is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from descentlab.messages import LANGUAGES
from tests.watching.broken import BROKEN
from tests.watching.loops import Loop, watched


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make"), BROKEN, ids=[make.__name__ for _, make in BROKEN])
def test_the_mistake_comes_first(name: str, make: Callable[[], Loop]) -> None:
    watch = watched(make)
    assert watch.names[:1] == (name,), str(watch)
    for lang in LANGUAGES:
        assert name in watch.text(lang)
