"""How the columns of the first piece were read, where that is not the only reading: each notice with its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from descentlab.data.csv.missing_codes import are_dates, find_missing_code
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.csv.table_reader import read_table
from descentlab.data.csv.text_columns import LEADING_ZERO_PATTERN, FlagFormat, first_match, strip_cells
from descentlab.messages import Message, message

ColumnNotice = tuple[tuple[str, ...], Message]  # the columns that it is about, and the notice

CODE_BYTES = 1 << 16  # columns are looked through for codes with leading zeros if these have one
LEADING_ZERO = re.compile(rb"""(?:^|[\r\n,;\t|"])0[0-9]{2,}(?:[\r\n,;\t|"]|$)""")


def format_notices(schema: CsvSchema, examples: Mapping[str, tuple[str, ...]]) -> list[ColumnNotice]:
    """What was found between and around the numbers of columns, and words that were read as 1 and 0.

    Args:
        schema: with the kinds and formats of the columns.
        examples: a cell of each column whose format is not plain; of flags, the words for 1 and 0.
    """
    path, grouped = schema.location.name, dict[Any, list[str]]()
    for name in examples:
        grouped.setdefault(schema.formats[name], []).append(name)
    notices = []
    for found, names in grouped.items():
        cell, *others = examples[names[0]]
        values = {"path": path, "names": [f"`{name}`" for name in names]}
        if isinstance(found, FlagFormat):
            notice = message("notice.flags", true=repr(cell), false=repr(others[0]), **values)
        else:
            number = found.to_floats(strip_cells(_one_cell(cell)))[0].as_py()
            key = "notice.percent" if found.percent else "notice.number_format"
            notice = message(key, cell=repr(cell), number=f"{number:.15g}", **values)
        notices.append((tuple(names), notice))
    return notices


def _one_cell(cell: str) -> Any:
    import pyarrow as pa

    return pa.array([cell], pa.string())


def leading_zero_notices(schema: CsvSchema, data: TextBuffer, start: int) -> list[ColumnNotice]:
    """Columns of whole numbers that may be codes, since some of them begin with a zero."""
    whole = [name for name, kind in schema.column_kinds.items() if kind == ColumnKind.INTEGER]
    if not whole or not LEADING_ZERO.search(bytes(data[:CODE_BYTES])):
        return []
    table, notices = _read_as_text(schema, data, start, whole), list[ColumnNotice]()
    for name in whole:
        example = first_match(table.column(name), LEADING_ZERO_PATTERN)
        if example is not None:
            values = {"name": name, "cell": repr(example), "number": str(int(example)), "drop": name}
            notices.append(((name,), message("notice.leading_zeros", path=schema.location.name, **values)))
    return notices


def doubtful_number_notices(schema: CsvSchema, data: TextBuffer, start: int, table: Any) -> list[ColumnNotice]:
    """Whole numbers that look like dates, and numbers that may mean a missing value."""
    path, notices = schema.location.name, list[ColumnNotice]()
    for name, kind in schema.column_kinds.items():
        if kind == ColumnKind.INTEGER and are_dates(table[name]):
            number = str(table[name].drop_null()[0])
            notices.append(((name,), message("notice.dates_as_numbers", path=path, name=name, number=number)))
        is_code = find_missing_code(table[name]) if kind in (ColumnKind.INTEGER, ColumnKind.FLOAT) else None
        if is_code is not None:
            cells = _read_as_text(schema, data, start, [name])[name].filter(is_code).to_pylist()
            found = [cell.strip() for cell in cells]
            values = {"name": name, "cell": found[0], "count": len(found), "option": ",".join(dict.fromkeys(found))}
            notices.append(((name,), message("notice.missing_code", path=path, total=table.num_rows, **values)))
    return notices


def _read_as_text(schema: CsvSchema, data: TextBuffer, start: int, names: list[str]) -> Any:
    import pyarrow as pa

    return read_table(schema, data, start, {name: pa.string() for name in names})
