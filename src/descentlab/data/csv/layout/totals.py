"""Rows that sum up others: by their words, and by their numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from descentlab.data.csv.words import TOTAL_WORDS

LABEL_MARKS = " :.*=-–[]()"  # around the word of a total
RELATIVE_TOLERANCE = 0.01  # totals are often written with fewer digits
# A label such as "north total" or "total (est.)", in lower case: looked for in rows only to say so.
TOTAL_LABEL = r"[ .:,-](?:sub-?)?totals?$|^(?:sub-?)?totals?[ ]*[(]| (?:summe|합계|소계|총계)$"
NOT_OF_NUMBERS = re.compile(r"[^0-9.,eE+-]")


def is_total_word(cell: str) -> bool:
    """Whether a cell is the word of a total."""
    return cell.lower().strip(LABEL_MARKS) in TOTAL_WORDS


def is_sum_or_mean(total: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether at least half of the numbers of a row are the sums or the means of the other rows."""
    return any(_matches(total, rows, decimal) for decimal in ".,")


def _matches(total: Sequence[str], rows: Sequence[Sequence[str]], decimal: str) -> bool:
    given = {j: number for j, cell in enumerate(total) if (number := _read(cell, decimal)) is not None}
    found = 0
    for j, number in given.items():
        values = [value for row in rows if j < len(row) and (value := _read(row[j], decimal)) is not None]
        sums = (sum(values), sum(values) / max(len(values), 1))
        found += any(_is_close(number, each) for each in sums)
    return 2 * found >= len(given)


def _is_close(number: float, expected: float) -> bool:
    """Whether a number is the expected one, or that rounded to a whole number."""
    if not math.isfinite(expected):
        return False
    return abs(number - expected) <= RELATIVE_TOLERANCE * abs(expected) or number in (int(expected), round(expected))


def _read(cell: str, decimal: str) -> float | None:
    """The number in a cell, without its signs."""
    text = NOT_OF_NUMBERS.sub("", cell).replace("," if decimal == "." else ".", "").replace(decimal, ".")
    try:
        return float(text.rstrip("-"))
    except ValueError:
        return None
