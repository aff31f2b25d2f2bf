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
from descentlab.typing import Array

DOUBLE = 16 * 2.0**-53  # what summing in float64 does to a cost, relative to it
SINGLE, SINGLE_DIGITS = 8 * 2.0**-24, 7  # the same in float32, and how many decimal digits it always holds
THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
SURPLUS = 2  # digits beyond those, over all losses, that float32's numbers have and other numbers hardly ever
NARROW = {"float32": SINGLE, "float16": 8 * 2.0**-11, "bfloat16": 8 * 2.0**-8}  # by the type they came in


class Printed(NamedTuple):
    """Losses as printed.

    Attributes:
        values: (m,) the numbers.
        halves: (m,) half a unit of the last place printed, or what rounding did before that if it is more; nan
            beside numbers that are not finite.
    """

    values: Array
    halves: Array

    @property
    def finite(self) -> int:
        """How many there are before the first that is nan or infinite."""
        bad = np.flatnonzero(~np.isfinite(self.values))
        return int(bad[0]) if bad.size else len(self.values)


def read(given: object, *, least: float = 0.0) -> Printed:
    """Losses from a list, an array, a tensor, or a text such as ``"36.4, 43.9, 53.0"``.

    Args:
        given: numbers, or texts of numbers; ``nan`` and ``inf`` may be among them.
        least: what no loss can be below: a squared error is never negative.

    Raises:
        SettingError: an entry is no number, or is below ``least``; the message names it.
    """
    listed = _listed(given)
    entries = [_entry(i, each) for i, each in enumerate(listed, 1)]
    values = np.array([value for value, _, _ in entries], dtype=np.float64)
    for i, value in enumerate(values.tolist(), 1):
        if value < least:
            raise SettingError("losses_negative", entry=i, given=value)
    halves = _halves(values, [(places, exact) for _, places, exact in entries])
    coarsest = max((_coarseness(each) for each in [given, *listed]), default=0.0)
    return Printed(values, np.maximum(halves, coarsest * np.abs(values)) if coarsest else halves)


def _coarseness(each: object) -> float:
    """What the type that a loss came in did to it, relative to it, where that is more than float64 does."""
    return NARROW.get(str(getattr(each, "dtype", "")).removeprefix("torch."), 0.0)


def _listed(given: object) -> list[object]:
    if isinstance(given, str):
        apart = [part for part in (each.strip(",") for each in re.split(r"[;\s]+", given)) if part]
        if len(apart) > 1 and any(THOUSANDS.fullmatch(part) for part in apart):
            return list(apart)  # 1,234.5 is one number, and refused, not two
        return [part for part in re.split(r"[,;\s]+", given.strip()) if part]
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    if hasattr(given, "tolist"):
        given = given.tolist()
    if isinstance(given, Iterable) and not isinstance(given, bytes):
        return list(given)
    return [given]


def _entry(i: int, each: object) -> tuple[float, int | None, bool]:
    """The number, at how many decimals its digits end, and whether that is sure: it is in a text."""
    if getattr(each, "size", None) == 1 or (hasattr(each, "numel") and each.numel() == 1):
        each = each.item()  # type: ignore[attr-defined]
    if isinstance(each, bool) or not isinstance(each, str | int | float):
        raise SettingError("losses_not_number", entry=i, given=repr(each)[:40])
    text = each.strip().split("(")[0] if isinstance(each, str) else repr(each)
    try:
        exact = Decimal(text)
        value = float(exact)
    except (InvalidOperation, ValueError, OverflowError) as cause:
        raise SettingError("losses_not_number", entry=i, given=repr(each)[:40]) from cause
    exponent = exact.as_tuple().exponent
    return value, -exponent if isinstance(exponent, int) else None, isinstance(each, str)


def _halves(values: Array, ends: list[tuple[int | None, bool]]) -> Array:
    finite = [(value, places, sure) for value, (places, sure) in zip(values.tolist(), ends, strict=True)]
    floats = [(value, places) for value, places, sure in finite if places is not None and not sure]
    most_places = max((places for _, places in floats), default=0)
    most_digits = max(
        (_magnitude(value) + places for value, places in floats if value and math.isfinite(value)), default=0
    )
    halves = []
    for value, places, sure in finite:
        if places is None or not math.isfinite(value):
            halves.append(math.nan)
            continue
        if not sure:
            by_digits = most_digits - _magnitude(value) if value else most_places
            places = max(places, min(most_places, by_digits))
        halves.append(max(0.5 * 10.0 ** min(max(-places, -320), 308), DOUBLE * abs(value)))
    found = np.array(halves, dtype=np.float64)
    return np.maximum(found, SINGLE * np.abs(values)) if _single(values, ends) else found


def _magnitude(value: float) -> int:
    """How many digits stand before the decimal point; 0 for 0.05, -1 for 0.005."""
    return math.floor(math.log10(abs(value))) + 1


def _single(values: Array, ends: list[tuple[int | None, bool]]) -> bool:
    """Whether the numbers are float32's, printed with digits that float32 does not have."""
    long = [
        (value, _magnitude(value) + places - SINGLE_DIGITS)
        for value, (places, _) in zip(values.tolist(), ends, strict=True)
        if places is not None and value and math.isfinite(value) and _magnitude(value) + places > SINGLE_DIGITS
    ]
    with np.errstate(over="ignore"):
        same = all(float(np.float32(value)) == value for value, _ in long)
    return same and sum(surplus for _, surplus in long) >= SURPLUS
