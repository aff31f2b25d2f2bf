"""The levels of categories: numbered in the order in which a piece has them, sorted for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from descentlab.typing import FloatArray

Level = str | bool | int | float
MISSING_CODE = np.nan


class LevelNumbers:
    """Numbers the levels of one category in the order in which they are met.

    Attributes:
        numbers: the number of each level so far.
    """

    def __init__(self, levels: Iterable[Level] = ()) -> None:
        self.known = tuple(levels)
        self.numbers: dict[Level, int] = {level: i for i, level in enumerate(self.known)}
        self._known_by_text = {format_level(level): level for level in reversed(self.known)}

    def encode(self, labels: Any) -> FloatArray:
        """(m,) the numbers of (m,) labels, an Arrow array of any type; NaN where missing. New levels are added."""
        import pyarrow as pa

        if pa.types.is_dictionary(labels.type):
            labels = labels.cast(labels.type.value_type)
        encoded = labels.dictionary_encode()
        numbers = [self._number(value) for value in encoded.dictionary.to_pylist()]
        table = np.array([*numbers, MISSING_CODE])
        codes: FloatArray = table[encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)]
        return codes

    def encode_numbers(self, values: FloatArray) -> FloatArray:
        """:meth:`encode` for (m,) computed numbers."""
        distinct, inverse = np.unique(values, return_inverse=True)
        numbers: FloatArray = np.array([self._number(value) for value in distinct.tolist()])
        return np.where(np.isinf(values), values, numbers[inverse])

    def forget(self, known: int) -> None:
        """Forget all levels but the first ones."""
        self.numbers = dict(list(self.numbers.items())[:known])

    def _number(self, value: Any) -> float:
        level = as_level(value)
        if level is None:
            return MISSING_CODE
        if self.known and level not in self.numbers:  # codes such as 02134 are text where one begins with 0
            level = self._known_by_text.get(format_level(level), level)
        return float(self.numbers.setdefault(level, len(self.numbers)))


def as_level(value: Any) -> Level | None:
    """A value as a level: a whole number is an int, a date is its text; None if it is missing."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int):
        return value
    number = float(value) if isinstance(value, Decimal | float) else None
    if number is None:
        return str(value)
    if number != number:
        return None
    return int(value) if value == number // 1 else number


def sort_levels(levels: Iterable[Level]) -> tuple[Level, ...]:
    """Numbers by size, then texts by their letters."""
    return tuple(sorted(levels, key=lambda level: (isinstance(level, str), level)))


def format_level(level: Level) -> str:
    """A level as it stands in the name of a column."""
    return str(level)


def find_level(given: str | float, levels: Sequence[Level]) -> int | None:
    """The index of a level as a formula names it; None if there is none."""
    return next((i for i, level in enumerate(levels) if level == given or format_level(level) == str(given)), None)
