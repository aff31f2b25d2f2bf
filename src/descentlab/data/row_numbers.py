"""Columns that number the rows: they are not features unless they are named."""

from __future__ import annotations

import re

import numpy as np

from descentlab.data.arrays import ArraySource
from descentlab.data.source import Source
from descentlab.messages import Message, message

MIN_ROWS = 2
PANDAS_INDEX_NAME = re.compile(r"unnamed: \d+\S*|\(unnamed \d+\)|level_0|__index_level_\d+__", re.IGNORECASE)
# Names under which 0, 1, 2, ... or 1, 2, 3, ... number the rows. Other columns with these values are data.
ROW_NUMBER_NAME = re.compile(
    r"(\w*[ _.-])?id|\w*[a-z](Id|ID)|index|idx|rownames|"
    r"(row|rec|record|obs|observation|case|sample|serial|seq|lfd\.?|s|sl|sr)?[ _.-]*(nr|no|num|number|id|index)?[.:]?|"
    r"row|rows|record|obs|observation|case|seq|sequence|#|№|n°|번호|순번|연번|일련번호|행|행 ?번호|番号|序号|编号"
)


def find_row_numbers(source: Source) -> dict[str, Message]:
    """The numeric columns that only number the rows, or that have no name, and why each is not a feature."""
    if isinstance(source, ArraySource):
        return {}
    found = {}
    for name in source.names:
        if PANDAS_INDEX_NAME.fullmatch(name):
            found[name] = message("left_out.unnamed", name=name)
        elif (ROW_NUMBER_NAME.fullmatch(name) or ROW_NUMBER_NAME.fullmatch(name.lower())) and _counts_rows(
            source, name
        ):
            found[name] = message("left_out.row_number", name=name)
    return found


def _counts_rows(source: Source, name: str) -> bool:
    """Whether the first block of the column is 0, 1, 2, ... or 1, 2, 3, ..."""
    values = next(iter(source.blocks((name,))), np.empty((0, 1)))[:, 0]
    return len(values) >= MIN_ROWS and values[0] in (0, 1) and bool((np.diff(values) == 1).all())
