"""How many columns a factor can have."""

from __future__ import annotations

import math

from descentlab.data.design.design import Design
from descentlab.errors import DataError
from descentlab.messages import pluralize

MAX_FACTOR_BYTES = 1 << 30  # of the triangle: about 11,500 columns, whose QR takes a minute
MAX_LEVELS_BYTES = 200_000_000  # with categories: about 5,000 columns, which are read, coded and solved in a minute


def check_size(k: int, design: Design | None = None) -> None:
    """Raise DataError if the triangle of k columns would be too large; where a design has levels, it names them."""
    has_levels = design is not None and bool(design.levels)
    max_bytes = MAX_LEVELS_BYTES if has_levels else MAX_FACTOR_BYTES
    if 8 * (k + 1) ** 2 <= max_bytes:
        return
    values = {
        "columns": pluralize(k, "column"),
        "most": math.isqrt(max_bytes // 8) - 1,
    }
    if design is None or not has_levels:
        raise DataError("factor_columns", gigabytes=8 * (k + 1) ** 2 / 1e9, **values)
    counts = tuple(f"`{key}`: {len(levels):,}" for key, levels in design.levels.items())
    raise DataError("factor_levels", counts=counts, **values)
