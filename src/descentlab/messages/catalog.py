"""Sentences: everything a person reads comes from one catalogue per language.

A :class:`Message` is a key and its values. It turns into words late, when the language is known, so a
run made in one language can be printed in the other.
"""

from __future__ import annotations

import json
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

LANGUAGES = ("en", "ko")
MAX_LISTED = 40  # names that a sentence lists before it only counts them
ROUND_COUNTS_FROM = 10**10  # so many are said to three digits
PLURAL_NOUNS = {
    "cell": "cells",
    "column": "columns",
    "entry": "entries",
    "epoch": "epochs",
    "name": "names",
    "parameter": "parameters",
    "rate": "rates",
    "row": "rows",
    "update": "updates",
}


_ANSI_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_language_override: ContextVar[str | None] = ContextVar("_spoken", default=None)


@contextmanager
def use_language(lang: str) -> Iterator[None]:
    """Every sentence within in this language, whatever the environment says."""
    token = _language_override.set(lang)
    try:
        yield
    finally:
        _language_override.reset(token)


def current_language() -> str:
    """The reader's language: that of :func:`use_language`, else ``DESCENTLAB_LANG``, else the locale's, else
    English.
    """
    override = _language_override.get()
    if override is not None:
        return override
    for variable in ("DESCENTLAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        code = os.environ.get(variable, "")[:2].lower()
        if code in LANGUAGES:
            return code
        if code:  # a locale that is set but not ours ends the search, as in POSIX
            break
    return "en"


@cache
def load_catalog(lang: str) -> dict[str, str]:
    """Every sentence of one language, by key."""
    path = files("descentlab.messages") / "locale" / f"{lang}.json"
    entries: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def format_number(value: float) -> str:
    """A number for reading: six significant digits, thousands separated in whole numbers.

    >>> format_number(0.0714285714), format_number(1234567), format_number(5e-7), format_number(3.0)
    ('0.0714286', '1,234,567', '5e-07', '3')
    """
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{float(value):.6g}"
    return f"{value:.6g}"


def format_rounded(value: float, digits: int = 3) -> str:
    """A number of few digits for a sentence, with thousands separated.

    >>> format_rounded(188967.3), format_rounded(2.8349), format_rounded(3.1e12)
    ('189,000', '2.83', '3.1e+12')
    """
    short = float(f"{value:.{digits}g}")
    return format_number(int(short)) if abs(short) < 1e10 and short == int(short) else format_number(short)


def format_distinct(value: float, reference: float = 1.0) -> str:
    """A number with the digits that tell it from ``reference``.

    >>> format_distinct(1.0423854), format_distinct(1.00000123), format_distinct(99.99987, 100)
    ('1.04239', '1.0000012', '99.99987')
    """
    relative_difference = abs(value / reference - 1)
    digits = 6 if relative_difference == 0 else max(6, 2 - math.floor(math.log10(relative_difference)))
    return f"{value:.{min(digits, 16)}g}"


def format_value(value: object, lang: str) -> str:
    """One value as it stands in a sentence."""
    if isinstance(value, Message):
        return value.text(lang)
    if isinstance(value, bool) or not isinstance(value, int | float | tuple | list):
        return str(value)
    if isinstance(value, tuple | list):
        if not value:
            return load_catalog(lang)["count.none"]
        more = f", ... ({len(value) - MAX_LISTED:,})" if len(value) > MAX_LISTED else ""
        return ", ".join(format_value(item, lang) for item in value[:MAX_LISTED]) + more
    return format_number(value)


# Korean particles that depend on the sound before them: after a consonant, after a vowel (and l, for the last).
KOREAN_PARTICLES = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "와(과)": ("과", "와"),
    "(으)로": ("으로", "로"),
    "(이)라": ("이라", "라"),
}
_PARTICLE_PATTERN = re.compile(r"(\S?\S)([`'\")\]…]*)(" + "|".join(map(re.escape, KOREAN_PARTICLES)) + ")")
_RIEUL_FINAL, _CONSONANT_FINAL = (
    "178lLrR",
    "036mMnN",
)  # digits and letters that are read with an l, or another consonant, at the end
_VOWEL_R_FINAL, _NG_FINAL = (
    re.compile("[aeou]r"),
    "ng",
)  # `year` ends in a vowel in Korean, though `R` and `lr` end in an l


def resolve_particles(text: str) -> str:
    """Korean text with each ``은(는)`` and the like decided by the sound before it, as it is read aloud.

    >>> resolve_particles("0.01은(는) 0.5의 2%이고, `x`과(와) `total`이(가) 3(으)로 나뉩니다.")
    '0.01은 0.5의 2%이고, `x`와 `total`이 3으로 나뉩니다.'
    >>> resolve_particles("`year`이(가) 2이고, `lr`이(가) 1이며, `rating`은(는) 없습니다.")
    '`year`가 2이고, `lr`이 1이며, `rating`은 없습니다.'
    """
    return _PARTICLE_PATTERN.sub(lambda match: match[1] + match[2] + _choose_particle(match[1], match[3]), text)


def _choose_particle(end: str, form: str) -> str:
    closed, open_ = KOREAN_PARTICLES[form]
    last = end[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        sound = "l" if final == 8 else "closed" if final else "open"
    else:
        sound = "l" if last in _RIEUL_FINAL else "closed" if last in _CONSONANT_FINAL or end == _NG_FINAL else "open"
        sound = "open" if _VOWEL_R_FINAL.fullmatch(end) else sound
    return open_ if sound == "open" or (sound == "l" and form == "(으)로") else closed


@dataclass(frozen=True)
class Message:
    """A sentence of the catalogue and the values it names.

    >>> Message("notice.rows_dropped", {"count": 2, "total": 9, "counts": ["`size`: 2"]}).text("en")
    '2 of 9 rows had a missing value (`size`: 2) and were left out, as asked.'
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        lang = lang or current_language()
        formatted_values = {name: format_value(value, lang) for name, value in self.values.items()}
        text = load_catalog(lang)[self.key].format(**formatted_values)
        return resolve_particles(text) if lang == "ko" else text

    def __str__(self) -> str:
        return self.text()


def message(key: str, **values: object) -> Message:
    """A :class:`Message`, written as a call."""
    return Message(key, values)


def pluralize(count: int, noun: str = "epoch") -> Message:
    """A number of things, one or several; very many to three digits, since their rest is mostly rounding.

    >>> str(pluralize(1)), str(pluralize(2000, "row")), str(pluralize(0, "entry"))
    ('1 epoch', '2,000 rows', '0 entries')
    """
    count = int(count)
    return message(
        f"count.{noun if count == 1 else PLURAL_NOUNS[noun]}",
        count=count if count < ROUND_COUNTS_FROM else format_rounded(count),
    )


def display_width(text: str) -> int:
    r"""How many columns of a terminal this takes: a Korean letter takes two, what only styles takes none.

    >>> display_width("epoch"), display_width("에포크"), display_width("\x1b[1mbold\x1b[0m")
    (5, 6, 4)
    """
    text = _ANSI_STYLE.sub("", text)
    double_width = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    zero_width = sum(unicodedata.combining(letter) > 0 for letter in text)
    return len(text) + double_width - zero_width


def wrap(text: str, columns: int = 80, initial_indent: str = "", subsequent_indent: str | None = None) -> str:
    """Text in lines of at most so many columns, broken at spaces; ``initial_indent`` and ``subsequent_indent`` begin
    the lines.
    """
    subsequent_indent = " " * display_width(initial_indent) if subsequent_indent is None else subsequent_indent
    lines, line = [], initial_indent
    empty = True
    for word in text.split():
        if not empty and display_width(line) + 1 + display_width(word) > columns:
            lines.append(line)
            line, empty = subsequent_indent, True
        line, empty = line + ("" if empty else " ") + word, False
    return "\n".join([*lines, line])


def pad(text: str, columns: int, align_right: bool = False) -> str:
    """Text filled with spaces to a column's width, cut with an ellipsis where it is wider."""
    while display_width(text) > columns:
        text = text.removesuffix("…")[:-1] + "…"
    space = " " * (columns - display_width(text))
    return space + text if align_right else text + space


def to_json_types(value: Any) -> Any:
    """The same out of JSON's own types, with None for numbers that are not finite and words for sentences."""
    if isinstance(value, Mapping):
        return {str(name): to_json_types(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_json_types(value.tolist())
    if isinstance(value, tuple | list):
        return [to_json_types(each) for each in value]
    if isinstance(value, Message):
        return value.text()
    return None if isinstance(value, float) and not math.isfinite(value) else value
