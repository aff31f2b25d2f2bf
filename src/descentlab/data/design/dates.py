"""Dates and times: which texts are one, and the numbers that a formula computes from them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from descentlab.data.design.syntax import Call, Text
from descentlab.typing import FloatArray

# The year first, as in 2024-03-01, 2024/3/1, 2024. 3. 1. or 2024년 3월 1일; then perhaps a time.
DATE_TEXT = re.compile(
    r"(\d{4})(?:-|/|\.\s?|년\s?)(\d{1,2})(?:-|/|\.\s?|월\s?)(\d{1,2})[.일]?"
    r"(?:[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?)?Z?"
)
DATE_PARTS = ("year", "month", "day", "weekday", "hour")
MICROSECONDS_PER_DAY = 86_400_000_000


def parse_date(text: str) -> int | None:
    """The microseconds since 1970 of a date in text form; None if it is not one."""
    match = DATE_TEXT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    iso = f"{year}-{int(month):02}-{int(day):02}T{int(hour or 0):02}:{minute or '00'}:{second or '00'}"
    try:
        return int(np.datetime64(iso, "us").astype(np.int64))
    except ValueError:  # the 30th of February
        return None


class DateTextError(ValueError):
    """A text that is not a date, and its row."""

    def __init__(self, text: str, row: int) -> None:
        super().__init__(text, row)
        self.text, self.row = text, row


def as_timestamps(column: Any) -> Any:
    """A column of dates, times or texts as Arrow timestamps in microseconds.

    Raises:
        DateTextError: a text is not a date.
        TypeError: the column has another type.
    """
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_date(kind) or pa.types.is_null(kind):
        return column.cast(pa.timestamp("us"))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise TypeError(str(kind))
    encoded = column.cast(pa.large_string()).dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    values = [parse_date(text) for text in texts]
    if None in values:
        index = values.index(None)
        raise DateTextError(texts[index], encoded.indices.index(index).as_py())
    return pa.array(values, pa.timestamp("us")).take(encoded.indices)


def evaluate_date_part(call: Call, column: Any) -> FloatArray:
    """(m,) values of ``year(date)`` and the like; NaN where missing. The weekday of a Monday is 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    times = as_timestamps(column)
    if call.function in DATE_PARTS:
        part = pc.day_of_week(times) if call.function == "weekday" else getattr(pc, call.function)(times)
        return np.asarray(part.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    since = next((value.text for _, value in call.keywords if isinstance(value, Text)), "1970-01-01")
    instants = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    days = (instants - (parse_date(since) or 0)) / MICROSECONDS_PER_DAY
    return np.where(times.is_null().to_numpy(zero_copy_only=False), np.nan, days)
