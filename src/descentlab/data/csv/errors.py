"""Where a CSV file is malformed: a slow second reading that finds the line, since pyarrow names none."""

from __future__ import annotations

import csv
import io
from typing import Any

from descentlab.data.csv import row_splitter
from descentlab.data.csv.dialect import Dialect, encoding_error
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.paths import FileLocation
from descentlab.errors import DataError
from descentlab.messages import message, pluralize


def malformed_piece_error(schema: CsvSchema, data: TextBuffer, start: int, cause: BaseException) -> DataError:
    """The error for a piece that begins at byte ``start`` and that pyarrow refused because of ``cause``."""
    location, dialect = schema.location, schema.dialect
    header_lines = 0 if start else dialect.header_lines
    first_line = (str(cause).splitlines() or [""])[0][:200]
    return (
        encoding_error(location, dialect.encoding)
        or malformed_row_error(location, dialect, data, _count_lines(schema, start), header_lines)
        or DataError("csv_damaged", path=str(location), cause=first_line)
    )


def malformed_row_error(
    location: FileLocation, dialect: Dialect, data: TextBuffer, lines_before: int, header_lines: int
) -> DataError | None:
    """An error that names the first line of a piece which is not a row of the table; None if every line is one."""
    reader = csv.reader(_as_text_stream(data), delimiter=dialect.delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row and line > header_lines and len(row) != len(dialect.names):
                counts = {"cells": pluralize(len(row), "cell"), "expected": len(dialect.names)}
                return DataError("csv_ragged", path=str(location), line=lines_before + line, **counts)
            line = reader.line_num + 1
    except csv.Error as cause:
        return DataError("csv_quote", path=str(location), line=lines_before + line, cause=str(cause))
    return None


def bad_cell_error(schema: CsvSchema, data: TextBuffer, start: int, name: str, row: int, cell: object) -> DataError:
    """The error for a cell of column ``name``, in row ``row`` of the piece, that does not have the column's kind."""
    held_key = {ColumnKind.BOOLEAN: "csv.held_flags", ColumnKind.EMPTY: "csv.held_nothing"}
    return DataError(
        "csv_breaks",
        path=str(schema.location),
        line=line_of_row(schema, data, start, row),
        name=name,
        held=message(held_key.get(schema.column_kinds[name], "csv.held_numbers")),
        rows=pluralize(schema.sampled_rows, "row"),
        cell=repr(cell)[:60],
    )


def line_of_row(schema: CsvSchema, data: TextBuffer, start: int, row: int) -> int:
    """The line of the file on which a row of the piece, counted from 0, begins."""
    header_lines, line = (0 if start else schema.dialect.header_lines), 1
    reader = csv.reader(_as_text_stream(data), delimiter=schema.dialect.delimiter)
    for cells in reader:
        if cells and line > header_lines:
            if row == 0:
                break
            row -= 1
        line = reader.line_num + 1
    return _count_lines(schema, start) + line


def _count_lines(schema: CsvSchema, stop: int) -> int:
    """How many lines the file has before byte ``stop``."""
    count, remaining = 0, stop
    with schema.open_stream() as stream:
        while remaining and (chunk := stream.read(min(remaining, row_splitter.PIECE_BYTES))):
            remaining -= len(chunk)
            count += chunk.count(b"\n") or chunk.count(b"\r")
    return count


def _as_text_stream(data: TextBuffer) -> Any:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace", newline="")
