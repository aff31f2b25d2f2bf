"""The messages of the program: one catalog per language, from which every text that a person reads is taken.

A :class:`Message` is a key and its values. It becomes text only when it is printed, so a run made in one language can
be printed in the other.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from descentlab.messages.korean import resolve_particles
from descentlab.messages.numbers import format_bound, format_distinct, format_given, format_number, format_rounded

LANGUAGES = ("en", "ko")
MAX_LISTED = 40  # a longer list ends in its length
SCIENTIFIC_FROM = 10_000_000  # larger counts are powers of ten in tables
# Placeholders whose floats are not simply rounded to three digits.
SETTING_NAMES = frozenset(
    {
        "acting",
        "best",
        "lowest",
        "lr",
        "momentum",
        "observed",
        "predicted",
        "ridge",
        "seen",
        "start_loss",
        "stated",
        "value",
    }
)
BOUND_NAMES = frozenset(
    {"bound", "half", "highest", "larger", "lr_bound", "most", "plain", "slow_bound", "smaller", "swing_bound"}
)
RATIO_NAMES = frozenset({"radius", "ratio", "times"})
ROUND_COUNTS_FROM = 10**10  # larger counts have three digits
PLURAL_NOUNS = {
    "cell": "cells",
    "column": "columns",
    "digit": "digits",
    "entry": "entries",
    "epoch": "epochs",
    "level": "levels",
    "loss": "losses",
    "name": "names",
    "parameter": "parameters",
    "rate": "rates",
    "row": "rows",
    "update": "updates",
}


_language_override: ContextVar[str | None] = ContextVar("_spoken", default=None)
_names_language: ContextVar[bool] = ContextVar("_names_language", default=False)


@contextmanager
def use_language(lang: str | None, *, keep: bool = False) -> Iterator[None]:
    """Print every message in this language within a ``with`` block, whatever the environment says; None changes
    nothing. With ``keep``, commands that are printed name it, also if it is the environment's.
    """
    if lang is None:
        yield
        return
    tokens = _language_override.set(lang), _names_language.set(keep or _names_language.get())
    try:
        yield
    finally:
        _language_override.reset(tokens[0])
        _names_language.reset(tokens[1])


def current_language() -> str:
    """The language of :func:`use_language`, else that of the environment."""
    return _language_override.get() or environment_language()


def environment_language() -> str:
    """The language of ``DESCENTLAB_LANG``, else of the locale, else English."""
    for variable in ("DESCENTLAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        code = os.environ.get(variable, "")[:2].lower()
        if code in LANGUAGES:
            return code
        if code:  # a locale that is set but not ours ends the search, as in POSIX
            break
    return "en"


def kept_language(lang: str | None = None) -> str:
    """The end of a command that is printed: `` --lang ko`` where the reader chose a language, or the environment has
    another; else nothing.
    """
    lang = lang or current_language()
    return f" --lang {lang}" if _names_language.get() or lang != environment_language() else ""


def format_command(*arguments: str) -> str:
    """A ``descentlab`` command to type, quoted for a shell, in the language that the reader chose.

    >>> format_command("run", "my houses.csv", "--lr", "0.1")
    "descentlab run 'my houses.csv' --lr 0.1"
    >>> with use_language("ko"):
    ...     format_command("lesson", "1")
    'descentlab lesson 1 --lang ko'
    """
    return shlex.join(["descentlab", *arguments]) + kept_language()


@cache
def load_catalog(lang: str) -> dict[str, str]:
    """The texts of one language by key."""
    path = files("descentlab.messages") / "locale" / f"{lang}.json"
    entries: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def format_value(name: str, value: object, lang: str, lr: float = math.inf) -> str:
    """The value of a sentence's placeholder ``name``; a float has three significant digits, with three exceptions.

    A setting (:data:`SETTING_NAMES`) is repeated as it was given, a bound (:data:`BOUND_NAMES`) is rounded down and
    stays above an ``lr`` that is below it, and a ratio (:data:`RATIO_NAMES`) keeps the digits that tell it from 1.
    Where other digits matter, the caller passes text.
    """
    if isinstance(value, Message):
        return value.text(lang)
    if isinstance(value, tuple | list):
        if not value:
            return load_catalog(lang)["count.none"]
        more = f", ... ({len(value) - MAX_LISTED:,})" if len(value) > MAX_LISTED else ""
        return ", ".join(format_value(name, item, lang) for item in value[:MAX_LISTED]) + more
    if isinstance(value, int) and not isinstance(value, bool):
        return format_number(value)
    if not isinstance(value, float):
        return str(value)
    if name in SETTING_NAMES:
        return format_given(value)
    if name in BOUND_NAMES:
        return format_bound(value, lr)
    return format_distinct(value) if name in RATIO_NAMES else format_rounded(value)


@dataclass(frozen=True)
class Message:
    """A text of the catalog and the values of its placeholders.

    A float is printed with three significant digits, except a setting, which is repeated as it was given, and a
    bound, which is rounded down; see :func:`format_value`. Integers have thousands separators; text stays as it is.

    Attributes:
        key: the name of the text in the catalog, such as ``finding.above_bound``.
        values: the value of each placeholder; a value can be a message itself. ``{kept_language}``, which follows a
            command, needs no value.

    Example:
        >>> message = Message("finding.above_bound", {"lr": 0.12345, "ratio": 1.72829999, "bound": 0.0714285})
        >>> message.text("en")
        'lr = 0.12345 is 1.73 times the largest stable rate, 0.0714.'
        >>> message.values["bound"]
        0.0714285
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        """The text in a language: ``"en"``, ``"ko"``, or the reader's by default."""
        lang = lang or current_language()
        lr = self.values.get("lr")
        lr = lr if isinstance(lr, float) else math.inf
        formatted_values = {name: format_value(name, value, lang, lr) for name, value in self.values.items()}
        text = load_catalog(lang)[self.key].format(**formatted_values, kept_language=kept_language(lang))
        return resolve_particles(text) if lang == "ko" else text

    def __str__(self) -> str:
        return self.text()


def message(key: str, **values: object) -> Message:
    """Create a :class:`Message` with keyword arguments as its values."""
    return Message(key, values)


def pluralize(count: int, noun: str = "epoch") -> Message:
    """A count with its noun in the singular or the plural; from 10^10 on it is rounded to three digits.

    >>> str(pluralize(1)), str(pluralize(2000, "row")), str(pluralize(0, "entry"))
    ('1 epoch', '2,000 rows', '0 entries')
    """
    count = int(count)
    return message(
        f"count.{noun if count == 1 else PLURAL_NOUNS[noun]}",
        count=count if count < ROUND_COUNTS_FROM else format_rounded(count),
    )


def to_json_types(value: Any) -> Any:
    """Convert to the types of JSON: numbers that are not finite become None, and messages become text."""
    if isinstance(value, Mapping):
        return {str(name): to_json_types(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_json_types(value.tolist())
    if isinstance(value, tuple | list):
        return [to_json_types(each) for each in value]
    if isinstance(value, Message):
        return value.text()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_epochs(epochs: int | None) -> str:
    """A number of epochs for a table's cell."""
    if epochs is None:
        return message("report.never").text()
    return format_number(epochs) if epochs < SCIENTIFIC_FROM else f"{epochs:.3g}"
