"""Printed losses: the numbers as they were read off a screen, each with what its rounding may hide.

A loss printed as ``36.4`` may have been anything from 36.35 to 36.45. Text says itself where its digits end. A float
has lost the zeros that were printed at its end, so its last digit is taken to stand where the others' do: at the
same decimal, or at the same number of digits, whichever is coarser, and never coarser than its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np

from descentlab.errors import SettingError
from descentlab.typing import FLOAT32_UNIT_ROUNDOFF, UNIT_ROUNDOFF, FloatArray, IntArray

FLOAT64_ERROR = 16 * UNIT_ROUNDOFF  # what summing in float64 does to a cost, relative to it
# The same in float32, and the decimal digits that float32 always holds.
FLOAT32_ERROR, FLOAT32_DIGITS = 8 * FLOAT32_UNIT_ROUNDOFF, 7
THOUSANDS_NUMBER = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
NOT_COMMA_SEPARATOR = re.compile(r"[;\s\[\](){}'\"]+")
NUMBER_GROUPS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")  # innermost brackets: (0, 4.2)
MIN_EXTRA_DIGITS = 2  # digits beyond those, over all losses, that float32's numbers have and other numbers hardly ever
DTYPE_ERROR = {"float32": FLOAT32_ERROR, "float16": 8 * 2.0**-11, "bfloat16": 8 * 2.0**-8}  # by the type they came in


class PrintedLosses(NamedTuple):
    """Losses as printed.

    Attributes:
        values: (m,) the numbers.
        half_ulps: (m,) half a unit of the last place printed, or what rounding did before that if it is more; nan
            for numbers that are not finite.
    """

    values: FloatArray
    half_ulps: FloatArray

    @property
    def n_finite(self) -> int:
        """How many there are before the first that is nan or infinite."""
        nonfinite = np.flatnonzero(~np.isfinite(self.values))
        return int(nonfinite[0]) if nonfinite.size else len(self.values)


def parse_losses(raw: object, *, min_value: float = 0.0) -> PrintedLosses:
    """Losses from a list, an array, a tensor, or a text such as ``"36.4, 43.9, 53.0"``.

    Args:
        raw: numbers, or texts of numbers; ``nan`` and ``inf`` may be among them.
        min_value: what no loss can be below: a squared error is never negative.

    Raises:
        SettingError: an entry is not a number, or is below ``min_value``; the message names it.
    """
    if isinstance(raw, PrintedLosses):
        return raw
    raw_entries = _as_list(raw)
    losses = parse_entries(raw_entries, min_value=min_value)
    roundoff = max((_dtype_roundoff(each) for each in [raw, *raw_entries]), default=0.0)
    if not roundoff:
        return losses
    return PrintedLosses(losses.values, np.maximum(losses.half_ulps, roundoff * np.abs(losses.values)))


def parse_entries(raw_entries: Iterable[object], *, min_value: float = 0.0) -> PrintedLosses:
    """Losses from numbers and texts of one number each; see :func:`parse_losses`."""
    entries = [_parse_entry(i, each) for i, each in enumerate(raw_entries, 1)]
    values = np.array([value for value, _, _ in entries], dtype=np.float64)
    for i in np.flatnonzero(values < min_value)[:1].tolist():
        raise SettingError("losses_negative", entry=i + 1, given=float(values[i]))
    return PrintedLosses(values, _half_ulps(values, [(places, exact) for _, places, exact in entries]))


def _dtype_roundoff(entry: object) -> float:
    """What the type that a loss came in did to it, relative to it, where that is more than float64 does."""
    return DTYPE_ERROR.get(str(getattr(entry, "dtype", "")).removeprefix("torch."), 0.0)


def split_numbers(text: str) -> list[str]:
    """What stands between commas, semicolons, spaces, brackets and quotes; 1,234.5 stays one, to be refused."""
    tokens = [part for part in (each.strip(",") for each in NOT_COMMA_SEPARATOR.split(text)) if part]
    if len(tokens) > 1 and any(THOUSANDS_NUMBER.fullmatch(part) for part in tokens):
        return tokens
    return [part for token in tokens for part in token.split(",") if part]


def bracketed_rows(text: str) -> list[list[str]] | None:
    """Rows that brackets make: ``[(0, 4.2), (1, 3.1)]``, or ``0 [0.1 0.2] 4.2`` a line. None for a list."""
    groups = [row for row in map(split_numbers, NUMBER_GROUPS.findall(text)) if len(row) > 1]
    outside = NUMBER_GROUPS.sub(lambda group: group[0] if len(split_numbers(group[1])) < 2 else " ", text)
    if groups and split_numbers(outside):
        return [split_numbers(line) for line in outside.splitlines() if line.strip()]
    return groups if len(groups) > 1 else None


def longest_even_part(steps: IntArray) -> tuple[int, int]:
    """Where the longest part that has one distance begins and ends; the last of several."""
    ends = [*(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    _, begin, end = max((end - begin, begin, end + 1) for begin, end in zip([0, *ends[:-1]], ends, strict=True))
    return begin, end


def _as_list(raw: object) -> list[object]:
    if isinstance(raw, str):
        return list(split_numbers(raw))
    if hasattr(raw, "detach"):
        raw = raw.detach().cpu()
    if hasattr(raw, "tolist"):
        raw = raw.tolist()
    if isinstance(raw, Iterable) and not isinstance(raw, bytes):
        return list(raw)
    return [raw]


def _parse_entry(position: int, entry: object) -> tuple[float, int | None, bool]:
    """The number, at how many decimals its digits end, and whether that is sure: it is in a text."""
    if getattr(entry, "size", None) == 1 or (hasattr(entry, "numel") and entry.numel() == 1):
        entry = entry.item()  # type: ignore[attr-defined]
    if isinstance(entry, bool) or not isinstance(entry, str | int | float):
        raise SettingError("losses_not_number", entry=position, given=repr(entry)[:40])
    text = entry.strip().split("(")[0] if isinstance(entry, str) else repr(entry)
    try:
        exact = Decimal(text)
        value = float(exact)
    except (InvalidOperation, ValueError, OverflowError) as cause:
        raise SettingError("losses_not_number", entry=position, given=repr(entry)[:40]) from cause
    exponent = exact.as_tuple().exponent
    return value, -exponent if isinstance(exponent, int) else None, isinstance(entry, str)


def _half_ulps(values: FloatArray, decimals: list[tuple[int | None, bool]]) -> FloatArray:
    entries = [(value, places, sure) for value, (places, sure) in zip(values.tolist(), decimals, strict=True)]
    floats = [(value, places) for value, places, sure in entries if places is not None and not sure]
    max_places = max((places for _, places in floats), default=0)
    max_digits = max(
        (_decimal_exponent(value) + places for value, places in floats if value and math.isfinite(value)), default=0
    )
    half_ulps = []
    for value, places, sure in entries:
        if places is None or not math.isfinite(value):
            half_ulps.append(math.nan)
            continue
        if not sure:
            by_digits = max_digits - _decimal_exponent(value) if value else max_places
            places = max(places, min(max_places, by_digits))
        half_ulps.append(max(0.5 * 10.0 ** min(max(-places, -320), 308), FLOAT64_ERROR * abs(value)))
    rounding = np.array(half_ulps, dtype=np.float64)
    return np.maximum(rounding, FLOAT32_ERROR * np.abs(values)) if _looks_like_float32(values, decimals) else rounding


def _decimal_exponent(value: float) -> int:
    """How many digits stand before the decimal point; 0 for 0.05, -1 for 0.005."""
    return math.floor(math.log10(abs(value))) + 1


def _looks_like_float32(values: FloatArray, decimals: list[tuple[int | None, bool]]) -> bool:
    """Whether the numbers are float32's, printed with digits that float32 does not have."""
    long_entries = [
        (value, _decimal_exponent(value) + places - FLOAT32_DIGITS)
        for value, (places, _) in zip(values.tolist(), decimals, strict=True)
        if places is not None and value and math.isfinite(value) and _decimal_exponent(value) + places > FLOAT32_DIGITS
    ]
    with np.errstate(over="ignore"):
        representable = all(float(np.float32(value)) == value for value, _ in long_entries)
    return representable and sum(surplus for _, surplus in long_entries) >= MIN_EXTRA_DIGITS
