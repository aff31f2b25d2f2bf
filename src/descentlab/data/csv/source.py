"""Rows from a CSV file, streamed: what is damaged is refused by line, never read as something else.

Columns and types are decided by the first piece (4 MB) and hold for the whole file; a later row that breaks them is an
error that names file and line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.csv import row_splitter
from descentlab.data.csv.dialect import Dialect, detect_dialect, encoding_error
from descentlab.data.csv.text_columns import (
    as_booleans,
    as_numbers,
    first_non_missing,
    first_non_number,
    not_numeric_reason,
)
from descentlab.data.paths import FileLocation, unreadable_error
from descentlab.data.source import BLOCK_ROWS, BaseSource, Piece
from descentlab.data.tables import not_numeric_type_reason
from descentlab.errors import DataError
from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray

TextBuffer = bytes | memoryview
UTF8, UTF8_BOM = "utf-8", b"\xef\xbb\xbf"
FLOAT_COLUMN, INTEGER_COLUMN, BOOLEAN_COLUMN, PADDED_COLUMN, EMPTY_COLUMN = (
    "number",
    "whole",
    "flag",
    "spaced",
    "empty",
)  # what a column holds


@dataclass(frozen=True)
class CsvSchema:
    """How a file is read: decided by its first piece.

    Attributes:
        column_kinds: what each numeric column holds, and which others hold nothing so far; text is in none of them.
        sampled_rows: the rows that decided it.
        sample_is_whole_file: whether they are the whole file.
    """

    location: FileLocation
    dialect: Dialect
    column_kinds: Mapping[str, str] = field(default_factory=dict)
    sampled_rows: int = 0
    sample_is_whole_file: bool = False

    @property
    def seekable(self) -> bool:
        """Whether a place in the file is a place in the stream of its rows."""
        return not self.location.is_compressed and self.dialect.encoding == UTF8

    def open_stream(self, start: int = 0) -> Any:
        """The file's text as UTF-8, from a place in it on."""
        import pyarrow as pa

        if self.seekable:
            file = self.location.open()
            file.seek(start)
            return file
        stream = self.location.open_decompressed()
        if self.dialect.encoding != UTF8:
            stream = pa.transcoding_input_stream(stream, self.dialect.encoding, UTF8)
        while start and (skipped := stream.read(min(start, row_splitter.PIECE_BYTES))):
            start -= len(skipped)
        return stream


class CsvSource(BaseSource):
    """The numeric columns of one CSV file."""

    def __init__(self, schema: CsvSchema, excluded_columns: Mapping[str, Message], notices: Sequence[Message]) -> None:
        super().__init__(notices)
        self.schema, self.excluded_columns = schema, excluded_columns
        self.names = tuple(name for name, kind in schema.column_kinds.items() if kind != EMPTY_COLUMN)
        self.size = schema.location.fingerprint()[0] if schema.seekable else None
        self.random_access = schema.seekable

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        for start, data in _split_file(self.schema, offset or 0):
            yield CsvPiece(self.schema, start, start + len(data), data)


class CsvPiece:
    """Rows of a CSV file between two places; pickled, it takes its text along only where no seeking could find it."""

    def __init__(self, schema: CsvSchema, start: int, stop: int, data: TextBuffer | None) -> None:
        self.schema, self.start, self.stop, self.data = schema, start, stop, data
        self.size, self.next_offset = stop - start, stop
        self.inexact_columns: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        data = None if self.schema.seekable or self.data is None else bytes(self.data)
        return self.__dict__ | {"data": data}

    def blocks(self, columns: Sequence[str]) -> Iterator[FloatArray]:
        if self.data is None:
            self.data = self._load_bytes()
        column_kinds = self.schema.column_kinds
        columns_to_read = [name for name, kind in column_kinds.items() if name in columns or kind == EMPTY_COLUMN]
        import pyarrow as pa

        try:
            table = _read_table(
                self.schema, self.data, self.start, {name: _arrow_type(column_kinds[name]) for name in columns_to_read}
            )
        except (pa.ArrowInvalid, UnicodeError) as cause:
            if not columns_to_read:
                raise self._malformed_error(cause) from cause
            table = self._read_column_by_column(columns_to_read)
        values = np.empty((table.num_rows, len(columns)), order="F")
        for j, name in enumerate(columns):
            values[:, j] = self._column_values(table, name)
        for start in range(0, len(values), BLOCK_ROWS):
            yield values[start : start + BLOCK_ROWS]

    def _load_bytes(self) -> bytes:
        try:
            with self.schema.open_stream(self.start) as stream:
                data: bytes = stream.read(self.stop - self.start)
        except OSError as cause:
            raise unreadable_error(self.schema.location, cause) from cause
        return data

    def _column_values(self, table: Any, name: str) -> Any:
        import pyarrow as pa

        kind = self.schema.column_kinds.get(name, EMPTY_COLUMN)
        if kind == EMPTY_COLUMN:
            return np.nan
        column = table.column(name)
        if kind == PADDED_COLUMN and pa.types.is_string(column.type):
            parsed = None if column.null_count == len(column) else self._parse_padded(column, name)
            column = pa.nulls(len(column), pa.float64()) if parsed is None else parsed
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        values = column.cast(pa.float64()).to_numpy()
        if kind == INTEGER_COLUMN and len(values) and np.nanmax(np.abs(values), initial=0) >= MAX_EXACT_INTEGER:
            self._record_inexact_integers(name)
        return values

    def _record_inexact_integers(self, name: str) -> None:
        """Whether whole numbers about as large as float64 has all of lost digits."""
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.data is not None
        try:
            integers = _read_table(self.schema, self.data, self.start, {name: pa.int64()}).column(name)
            extremes = pc.min_max(integers).as_py()
            is_inexact = max(-extremes["min"], extremes["max"]) > MAX_EXACT_INTEGER
        except pa.ArrowInvalid:  # larger still, or no whole numbers any more
            is_inexact = True
        if is_inexact:
            self.inexact_columns.add(name)

    def _parse_padded(self, column: Any, name: str) -> Any:
        """A column of text whose cells are numbers, with spaces or signs that pyarrow does not read."""
        row = first_non_number(column, self.schema.dialect.decimal)
        if row is not None:
            raise self._bad_cell_error(name, row, column[row].as_py())
        return as_numbers(column, self.schema.dialect.decimal, begins_with_number=True)

    def _read_column_by_column(self, columns_to_read: Sequence[str]) -> Any:
        """The piece again, each column for itself: what can be read is, and the first cell that cannot is named."""
        import pyarrow as pa

        assert self.data is not None
        columns = {}
        for name in columns_to_read:
            kind = self.schema.column_kinds[name]
            try:
                columns[name] = _read_table(self.schema, self.data, self.start, {name: _arrow_type(kind)}).column(name)
            except (pa.ArrowInvalid, UnicodeError) as cause:
                try:
                    text = _read_table(self.schema, self.data, self.start, {name: pa.string()}).column(name)
                except (pa.ArrowInvalid, UnicodeError):
                    raise self._malformed_error(cause) from cause
                if kind in (FLOAT_COLUMN, INTEGER_COLUMN):
                    columns[name] = self._parse_padded(text, name)
                    continue
                booleans, row = (
                    (pa.nulls(len(text)), first_non_missing(text)) if kind == EMPTY_COLUMN else as_booleans(text)
                )
                if row is not None:
                    raise self._bad_cell_error(name, row, text[row].as_py()) from cause
                columns[name] = booleans
        return pa.table(columns)

    def _bad_cell_error(self, name: str, row: int, cell: object) -> DataError:
        kind = self.schema.column_kinds[name]
        expected = message(
            {BOOLEAN_COLUMN: "csv.held_flags", EMPTY_COLUMN: "csv.held_nothing"}.get(kind, "csv.held_numbers")
        )
        rows = pluralize(self.schema.sampled_rows, "row")
        line = self._line_of_row(row)
        return DataError(
            "csv_breaks",
            path=str(self.schema.location),
            line=line,
            name=name,
            held=expected,
            rows=rows,
            cell=repr(cell)[:60],
        )

    def _malformed_error(self, cause: BaseException) -> DataError:
        assert self.data is not None
        schema = self.schema
        first_line = (str(cause).splitlines() or [""])[0][:200]
        error = encoding_error(schema.location, schema.dialect.encoding) or malformed_row_error(
            schema.location,
            schema.dialect,
            self.data,
            self._lines_before(),
            0 if self.start else schema.dialect.header_lines,
        )
        return error or DataError("csv_damaged", path=str(schema.location), cause=first_line)

    def _line_of_row(self, row: int) -> int:
        """The line of the file on which a row of this piece begins."""
        assert self.data is not None
        header_lines, line = (0 if self.start else self.schema.dialect.header_lines), 1
        reader = csv.reader(_as_text_stream(self.data), delimiter=self.schema.dialect.delimiter)
        for cells in reader:
            if cells and line > header_lines:
                if row == 0:
                    break
                row -= 1
            line = reader.line_num + 1
        return self._lines_before() + line

    def _lines_before(self) -> int:
        """How many lines of the file stand before this piece."""
        count, remaining = 0, self.start
        with self.schema.open_stream() as stream:
            while remaining and (chunk := stream.read(min(remaining, row_splitter.PIECE_BYTES))):
                remaining -= len(chunk)
                count += chunk.count(b"\n") or chunk.count(b"\r")
        return count


def open_csv(
    path: FileLocation | Path,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool = True,
) -> CsvSource:
    """The source of one CSV file, plain or compressed (``.gz``, ``.bz2``, ``.zst``).

    Args:
        path: the file.
        delimiter: what separates cells; found from the first lines where it is None.
        decimal: ``"."`` or ``","``; found likewise.
        encoding: UTF-8, or UTF-16 by its byte order mark, where it is None.
        header: whether the first line holds names. Without names, columns are ``x1 .. xk``.

    Raises:
        DataError: empty, no rows, binary, another encoding, repeated names, or a row of another length.
    """
    location = path if isinstance(path, FileLocation) else FileLocation(str(path))
    dialect = detect_dialect(location, delimiter, decimal, encoding, header)
    schema, reasons = _infer_schema(CsvSchema(location, dialect))
    was_detected = (delimiter is None and dialect.delimiter != ",") or (decimal is None and dialect.decimal != ".")
    notices = [_dialect_notice(location, dialect)] if was_detected else []
    if dialect.unnamed_columns:
        notices.append(message("notice.unnamed_column", path=location.name))
    if not schema.sample_is_whole_file:
        notices.append(message("notice.csv_judged", path=location.name, rows=pluralize(schema.sampled_rows, "row")))
    return CsvSource(schema, reasons, notices)


def _infer_schema(schema: CsvSchema) -> tuple[CsvSchema, dict[str, Message]]:
    """The layout with what the first piece says of each column, and why the others are no numbers."""
    import pyarrow as pa

    pieces, table = _split_file(schema, 0), None
    for start, data in pieces:  # the names alone may fill the first
        try:
            table = _read_table(schema, data, start, None)
        except (pa.ArrowInvalid, UnicodeError) as cause:
            raise CsvPiece(schema, start, start + len(data), data)._malformed_error(cause) from cause
        _check_encoding_and_quotes(schema, table, data)
        if table.num_rows:
            break
    if table is None or not table.num_rows:
        raise DataError("header_only", path=str(schema.location), columns=schema.dialect.names)
    is_whole_file = next(pieces, None) is None
    pieces.close()
    column_kinds, reasons = {}, {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if name in schema.dialect.unnamed_columns:
            continue
        reason = not_numeric_type_reason(pa, column.type)
        if reason is None:
            column_kinds[name] = (
                INTEGER_COLUMN
                if pa.types.is_integer(column.type)
                else BOOLEAN_COLUMN
                if pa.types.is_boolean(column.type)
                else FLOAT_COLUMN
            )
        elif reason.key == "left_out.text" and as_numbers(column, schema.dialect.decimal) is not None:
            column_kinds[name] = PADDED_COLUMN
        elif reason.key == "left_out.text":
            reasons[name] = not_numeric_reason([column.combine_chunks()], inferred=True)
        else:
            reasons[name] = reason
            if reason.key == "left_out.empty":
                column_kinds[name] = EMPTY_COLUMN
    return replace(
        schema, column_kinds=column_kinds, sampled_rows=table.num_rows, sample_is_whole_file=is_whole_file
    ), reasons


def _check_encoding_and_quotes(schema: CsvSchema, table: Any, data: TextBuffer) -> None:
    """Raise where what was read hides damage: bytes that are no text, or a quote that was never closed."""
    error = None
    if any(str(kind) == "binary" for kind in table.schema.types):  # pyarrow's word for text that does not decode
        error = encoding_error(schema.location, schema.dialect.encoding)
    elif table.num_rows and "\n" in str(table.column(table.num_columns - 1)[-1]):
        error = malformed_row_error(schema.location, schema.dialect, data, 0, schema.dialect.header_lines)
    if error:
        raise error


def _split_file(schema: CsvSchema, start: int) -> Generator[tuple[int, TextBuffer], None, None]:
    """The file in pieces, from one of their beginnings on."""
    import pyarrow as pa

    try:
        with schema.open_stream(start) as stream:
            yield from row_splitter.split_pieces(
                stream, schema.dialect.delimiter, start, str(schema.location), schema.seekable
            )
    except row_splitter.UnclosedQuoteError as cause:
        piece = CsvPiece(schema, cause.start, cause.start + len(cause.data), cause.data)
        raise piece._malformed_error(cause) from cause
    except UnicodeError as cause:
        raise encoding_error(schema.location, schema.dialect.encoding) or DataError(
            "csv_damaged", path=str(schema.location), cause=str(cause)[:200]
        ) from cause
    except (OSError, pa.ArrowException) as cause:  # gone, a disk's error, a compressed file that was cut short
        raise unreadable_error(schema.location, cause) from cause


def _read_table(schema: CsvSchema, data: TextBuffer, start: int, types: Mapping[str, Any] | None) -> Any:
    """The piece as a table: the columns named in ``types`` as these, or all of them as pyarrow guesses."""
    import pyarrow as pa
    import pyarrow.csv as pc

    dialect = schema.dialect
    if data[: len(UTF8_BOM)] == UTF8_BOM:  # pyarrow takes one away, whatever it begins
        data = UTF8_BOM + bytes(data) if start else data[len(UTF8_BOM) :]
    column_options = {} if types is None else {"column_types": dict(types), "include_columns": list(types)}
    return pc.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        read_options=pc.ReadOptions(
            use_threads=False,
            column_names=dialect.names,
            skip_rows=0 if start else dialect.header_lines,
            block_size=len(data) + 1,
        ),
        parse_options=pc.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
        convert_options=pc.ConvertOptions(decimal_point=dialect.decimal, strings_can_be_null=True, **column_options),
    )


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    return {BOOLEAN_COLUMN: pa.bool_(), PADDED_COLUMN: pa.string(), EMPTY_COLUMN: pa.null()}.get(kind, pa.float64())


def malformed_row_error(
    location: FileLocation, dialect: Dialect, data: TextBuffer, lines_before: int, header_lines: int
) -> DataError | None:
    """An error that names the first line of a piece which is not a row of the table; None where all are.

    Slow, since pyarrow only says that something is wrong, not where; so it is for text known to be damaged.
    """
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


def _as_text_stream(data: TextBuffer) -> Any:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace", newline="")


def _dialect_notice(location: FileLocation, dialect: Dialect) -> Message:
    separator_key = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}.get(dialect.delimiter)
    separator = message(f"csv.{separator_key}") if separator_key else repr(dialect.delimiter)
    mark = message("csv.comma" if dialect.decimal == "," else "csv.point")
    return message("notice.csv_dialect", path=location.name, separator=separator, decimal=mark)
