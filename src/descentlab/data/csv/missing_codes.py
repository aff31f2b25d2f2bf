"""Numbers that may mean something else: -999 a missing value, 20240131 a date."""

from __future__ import annotations

from typing import Any

MISSING_CODES = frozenset(
    sign * float(digits)
    for digits in ("99", "999", "9999", "99999", "99.9", "999.9", "9999.9", "99.99")
    for sign in (-1, 1)
)
MIN_COUNT = 2
FIRST_DATE, LAST_DATE = 19000101, 21001231
MIN_OTHERS = 5  # values on which the distance is judged


def find_missing_code(column: Any) -> Any:
    """Where a numeric column has a number that may mean a missing value; None if it has none.

    It is one of :data:`MISSING_CODES`, occurs at least twice, and is further from the other numbers than those are
    from each other, or the only negative one.
    """
    import pyarrow.compute as pc

    extremes = pc.min_max(column).as_py()
    for code in (extremes["min"], extremes["max"]):
        if code is None or float(code) not in MISSING_CODES:
            continue
        is_code = pc.equal(column, code)
        others = pc.drop_null(column.filter(pc.invert(is_code)))
        if pc.sum(is_code).as_py() < MIN_COUNT or len(others) < MIN_OTHERS:
            continue
        found = pc.min_max(others).as_py()
        low, high = found["min"], found["max"]
        if (low - code if code < low else code - high) > high - low or code < 0 <= low:
            return is_code
    return None


def are_dates(column: Any) -> bool:
    """Whether every whole number of a column, of which there are several, is a date such as 20240131."""
    import pyarrow.compute as pc

    extremes = pc.min_max(column).as_py()
    low, high = extremes["min"], extremes["max"]
    if low is None or low == high or low < FIRST_DATE or high > LAST_DATE:
        return False
    numbers = pc.unique(pc.drop_null(column)).to_numpy(zero_copy_only=False)
    month, day = numbers // 100 % 100, numbers % 100
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())
