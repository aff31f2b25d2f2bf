"""Numbers as a sentence or a table shows them."""

from __future__ import annotations

import math


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
