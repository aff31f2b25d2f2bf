"""How numbers are printed in messages and tables."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Context, Decimal

WHOLE_BELOW = 1e10  # whole numbers from here on are rounded too


def format_number(value: float) -> str:
    """A number with six significant digits; integers have thousands separators.

    >>> format_number(0.0714285714), format_number(1234567), format_number(5e-7), format_number(3.0)
    ('0.0714286', '1,234,567', '5e-07', '3')
    """
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{float(value):.6g}"
    return f"{value:.6g}"


def format_given(value: float) -> str:
    """A setting as it was given: all of its digits, up to ten. A number with more digits was computed and gets six.

    >>> format_given(0.1234567), format_given(2.5e-5), format_given(1 / 14), format_given(3)
    ('0.1234567', '2.5e-05', '0.0714286', '3')
    """
    if isinstance(value, int):
        return format_number(value)
    as_written = f"{value:.10g}"
    return as_written if float(as_written) == value else f"{value:.6g}"


def format_rounded(value: float, digits: int = 3) -> str:
    """A number with three significant digits; whole numbers below 10^10 keep all of theirs.

    >>> format_rounded(188967.3), format_rounded(188967.0), format_rounded(2.8349), format_rounded(3.1e12)
    ('189,000', '188,967', '2.83', '3.1e+12')
    """
    if abs(value) < WHOLE_BELOW and value == int(value):
        return format_number(int(value))
    short = float(f"{value:.{digits}g}")
    return format_number(int(short) if abs(short) < WHOLE_BELOW and short == int(short) else short)


def format_bound(value: float, lr: float = math.inf, digits: int = 3) -> str:
    """A bound of the learning rate, rounded down, so that the printed rate is never above it.

    If ``lr`` is below the bound, the bound gets as many digits as are needed to print it above ``lr``.

    >>> format_bound(0.0717948), format_bound(0.0714285714, lr=0.0714), format_bound(0.5)
    ('0.0717', '0.07142', '0.5')
    """
    if not 0 < value < math.inf:
        return format_number(value)
    exact, above = Decimal(repr(float(value))), max(lr, float(format_given(lr))) if lr < value else -math.inf
    for precision in range(digits, 18):
        shown = Context(prec=precision, rounding=ROUND_DOWN).plus(exact)
        if shown > above:
            break
    return f"{float(shown):.{precision}g}"


def format_distinct(value: float, reference: float = 1.0) -> str:
    """A number with three significant digits, or more if it is within 1% of ``reference``, to show the difference.

    >>> format_distinct(1.0423854), format_distinct(1.00000123), format_distinct(99.99987, 100)
    ('1.04', '1.0000012', '99.99987')
    """
    relative_difference = abs(value / reference - 1)
    if not 0 < relative_difference < 0.01:
        return format_rounded(value)
    return f"{value:.{min(2 - math.floor(math.log10(relative_difference)), 16)}g}"
