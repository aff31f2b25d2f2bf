"""Where a CSV file is malformed: a slow second reading that finds the line, since pyarrow names none."""

from __future__ import annotations

import csv
import io
from typing import Any

from descentlab.data.csv import row_splitter
from descentlab.data.csv.encoding import encoding_error
from descentlab.data.csv.layout.footer import TAIL_BYTES, find_footer
from descentlab.data.csv.number_format import TWO_READINGS, CellPlace, MarkEvidence, is_number
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.csv.text_columns import FlagFormat
from descentlab.data.csv.words import MISSING_MARKS
from descentlab.errors import DataError
from descentlab.messages import Message, message, pluralize

COMMENT_LIKE = ("#", "%", "//", "!", "*")  # a line that begins with one of these may be a comment


def malformed_piece_error(schema: CsvSchema, data: TextBuffer, start: int, cause: BaseException) -> DataError:
    """The error for a piece that begins at byte ``start`` and that pyarrow refused because of ``cause``."""
    first_line = (str(cause).splitlines() or [""])[0][:200]
    return (
        encoding_error(schema.location, schema.dialect.encoding)
        or malformed_row_error(schema, data, start)
        or DataError("csv_damaged", path=str(schema.location), cause=first_line)
    )


def malformed_row_error(schema: CsvSchema, data: TextBuffer, start: int) -> DataError | None:
    """An error that names the first line of a piece which is not a row of the table; None if every line is one."""
    dialect, path = schema.dialect, str(schema.location)
    lines_before, header_lines = _count_lines(schema, start), 0 if start else dialect.header_lines
    reader = csv.reader(_as_text_stream(data), delimiter=dialect.delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row and line > header_lines and len(row) != len(dialect.names):
                counts = {"cells": pluralize(len(row), "cell"), "expected": len(dialect.names)}
                hint = _ragged_row_hint(row, line == header_lines + 1 and not start)
                return DataError("csv_ragged", path=path, line=lines_before + line, hint=hint, **counts)
            line = reader.line_num + 1
    except csv.Error as cause:
        return DataError("csv_quote", path=path, line=lines_before + line, cause=str(cause))
    return None


def _ragged_row_hint(row: list[str], is_first: bool) -> Message:
    """What to do about a row of another length."""
    mark = next((mark for mark in COMMENT_LIKE if row[0].lstrip().startswith(mark)), None)
    if mark:
        return message("csv.hint_comment", mark=mark)
    return message("csv.hint_title") if is_first else message("csv.hint_line")


def bad_cell_error(schema: CsvSchema, data: TextBuffer, start: int, name: str, row: int, cell: object) -> DataError:
    """The error for a cell of column ``name``, in row ``row`` of the piece, that does not have the column's kind."""
    line, path, text = line_of_row(schema, data, start, row), str(schema.location), str(cell)
    if text.strip() == name:
        return DataError("csv_names_again", path=path, line=line, name=name)
    question = _two_readings_error(path, line, name, text)
    if question:
        return question
    held_key = {ColumnKind.BOOLEAN: "csv.held_flags", ColumnKind.EMPTY: "csv.held_nothing"}
    held, cell_format = message(held_key.get(schema.column_kinds[name], "csv.held_numbers")), schema.formats.get(name)
    if isinstance(cell_format, FlagFormat):
        held = cell_format.message
    other_mark = "," if schema.marks.decimal == "." else "."
    hint: Message | str = ""
    if text.strip().lower() in MISSING_MARKS:
        hint = message("csv.hint_na", mark=text.strip())
    elif is_number(text, other_mark):
        hint = message("csv.hint_decimal", mark=other_mark)
    return DataError(
        "csv_breaks",
        path=path,
        line=line,
        name=name,
        held=held,
        rows=pluralize(schema.sampled_rows, "row"),
        cell=repr(cell)[:60],
        hint=hint,
    )


def _two_readings_error(path: str, line: int, column: str, cell: str) -> DataError | None:
    """The question about a cell that can be read in two ways; None if it cannot."""
    match = TWO_READINGS.search(cell)
    if match is None:
        return None
    mark = match[1]
    return DataError(
        "number_two_readings",
        path=path,
        line=line,
        name=column,
        cell=repr(cell.strip())[:60],
        whole=match[0].replace(mark, ""),
        fraction=str(float(match[0].replace(mark, "."))),
        mark=mark,
    )


def marks_error(schema: CsvSchema, data: TextBuffer, start: int, evidence: MarkEvidence) -> DataError:
    """The question about the decimal mark of a file whose cells can be read in two ways, or contradict each other."""
    path = str(schema.location)

    def line_of(place: CellPlace) -> int:
        return line_of_row(schema, data, start, place.row)

    if evidence.point and evidence.comma:
        point, comma = evidence.point, evidence.comma
        values = {"point": repr(point.text)[:40], "point_line": line_of(point), "point_name": point.column}
        values |= {"comma": repr(comma.text)[:40], "comma_line": line_of(comma), "comma_name": comma.column}
        return DataError("decimal_ambiguous", path=path, **values)
    place = evidence.beside_whole or evidence.two_readings
    assert place is not None
    error = _two_readings_error(path, line_of(place), place.column, place.text)
    assert error is not None
    return error


def footer_error(schema: CsvSchema, data: TextBuffer, start: int) -> DataError | None:
    """The error for a last piece that ends with totals or notes, in a file that is read only from the beginning."""
    tail = bytes(data[-TAIL_BYTES:])
    footer = find_footer(tail, 0, schema.dialect.delimiter, len(schema.dialect.names), lines=None, has_blanks=False)
    if footer is None:
        return None
    return DataError("csv_footer", path=str(schema.location), first=repr(footer.first)[:60], count=footer.lines)


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
