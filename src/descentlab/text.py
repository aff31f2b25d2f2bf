"""Sentences: everything a person reads comes from one catalogue per language.

A :class:`Sentence` is a key and its values. It turns into words late, when the language is known, so a
run made in one language can be printed in the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "ko")
MOST_NAMED = 40  # names that a sentence lists before it only counts them


_spoken: ContextVar[str | None] = ContextVar("_spoken", default=None)


@contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Every sentence within in this language, whatever the environment says."""
    token = _spoken.set(lang)
    try:
        yield
    finally:
        _spoken.reset(token)


def language() -> str:
    """The reader's language: that of :func:`speaking`, else ``DESCENTLAB_LANG``, else the locale's, else English."""
    spoken = _spoken.get()
    if spoken is not None:
        return spoken
    for variable in ("DESCENTLAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        wanted = os.environ.get(variable, "")[:2].lower()
        if wanted in LANGUAGES:
            return wanted
        if wanted:  # a locale that is set but not ours ends the search, as in POSIX
            break
    return "en"


@cache
def catalogue(lang: str) -> dict[str, str]:
    """Every sentence of one language, by key."""
    path = files("descentlab") / "locale" / f"{lang}.json"
    entries: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def number(value: float) -> str:
    """A number for reading: six significant digits, thousands separated in whole numbers.

    >>> number(0.0714285714), number(1234567), number(5e-7), number(3.0)
    ('0.0714286', '1,234,567', '5e-07', '3')
    """
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{float(value):.6g}"
    return f"{value:.6g}"


def shown(value: object, lang: str) -> str:
    """One value as it stands in a sentence."""
    if isinstance(value, Sentence):
        return value.text(lang)
    if isinstance(value, bool) or not isinstance(value, int | float | tuple | list):
        return str(value)
    if isinstance(value, tuple | list):
        more = f", ... ({len(value) - MOST_NAMED:,})" if len(value) > MOST_NAMED else ""
        return ", ".join(shown(item, lang) for item in value[:MOST_NAMED]) + more
    return number(value)


@dataclass(frozen=True)
class Sentence:
    """A sentence of the catalogue and the values it names.

    >>> Sentence("notice.rows_dropped", {"count": 2, "total": 9}).text("en")
    '2 of 9 rows had a missing value and were left out, as asked.'
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        lang = lang or language()
        words = {name: shown(value, lang) for name, value in self.values.items()}
        return catalogue(lang)[self.key].format(**words)

    def __str__(self) -> str:
        return self.text()


def sentence(key: str, **values: object) -> Sentence:
    """A :class:`Sentence`, written as a call."""
    return Sentence(key, values)
