"""Rows from a CSV file, streamed; damage is an error that names the line, and is never read as something else.

The first piece (4 MB) decides columns and types for the whole file; a later row that does not match them is an error
that names the file and the line.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.csv import row_splitter
from descentlab.data.csv.dialect import Dialect, detect_dialect, encoding_error
from descentlab.data.csv.errors import bad_cell_error, line_of_row, malformed_piece_error, malformed_row_error
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.csv.text_columns import (
    as_booleans,
    as_numbers,
    first_non_missing,
    first_non_number,
    not_numeric_reason,
)
from descentlab.data.paths import FileLocation, unreadable_error
from descentlab.data.source import BLOCK_ROWS, NO_SHIFTS, BaseSource, Piece
from descentlab.data.tables import (
    decimals_to_float64,
    find_shift,
    max_magnitude,
    not_numeric_type_reason,
    subtract_exactly,
)
from descentlab.errors import DataError
from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray

UTF8_BOM = b"\xef\xbb\xbf"


class CsvSource(BaseSource):
    """The numeric columns of one CSV file."""

    def __init__(self, schema: CsvSchema, excluded_columns: Mapping[str, Message], notices: Sequence[Message]) -> None:
        super().__init__(notices)
        self.schema, self.excluded_columns = schema, excluded_columns
        self.names = tuple(name for name, kind in schema.column_kinds.items() if kind != ColumnKind.EMPTY)
        self.size = schema.location.fingerprint()[0] if schema.seekable else None
        self.random_access = schema.seekable

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        for start, data in _split_file(self.schema, offset or 0):
            yield CsvPiece(self.schema, start, start + len(data), data)

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        return {name: shift for name, shift in self.schema.integer_shifts.items() if name in columns}


class CsvPiece:
    """The rows between two bytes of a CSV file; pickling includes the text only if the file is not seekable."""

    def __init__(self, schema: CsvSchema, start: int, stop: int, data: TextBuffer | None) -> None:
        self.schema, self.start, self.stop, self.data = schema, start, stop, data
        self.size, self.next_offset = stop - start, stop
        self.inexact_columns: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        data = None if self.schema.seekable or self.data is None else bytes(self.data)
        return self.__dict__ | {"data": data}

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        column_kinds = self.schema.column_kinds
        columns_to_read = [name for name, kind in column_kinds.items() if name in columns or kind == ColumnKind.EMPTY]
        import pyarrow as pa

        try:
            table = _read_table(
                self.schema, self._text, self.start, {name: _arrow_type(column_kinds[name]) for name in columns_to_read}
            )
        except (pa.ArrowInvalid, UnicodeError) as cause:
            if not columns_to_read:
                raise malformed_piece_error(self.schema, self._text, self.start, cause) from cause
            table = self._read_column_by_column(columns_to_read)
        values = np.empty((table.num_rows, len(columns)), order="F")
        for j, name in enumerate(columns):
            values[:, j] = self._column_values(table, name, shifts.get(name, 0))
        for start in range(0, len(values), BLOCK_ROWS):
            yield values[start : start + BLOCK_ROWS]

    @property
    def _text(self) -> TextBuffer:
        """The rows as bytes, read from the file if they did not travel with the piece."""
        if self.data is None:
            try:
                with self.schema.open_stream(self.start) as stream:
                    self.data = stream.read(self.stop - self.start)
            except OSError as cause:
                raise unreadable_error(self.schema.location, cause) from cause
        return self.data

    def _column_values(self, table: Any, name: str, shift: int) -> Any:
        import pyarrow as pa

        kind = self.schema.column_kinds.get(name, ColumnKind.EMPTY)
        if kind == ColumnKind.EMPTY:
            return np.nan
        column = table.column(name)
        if kind == ColumnKind.PADDED and pa.types.is_string(column.type):
            parsed = None if column.null_count == len(column) else self._parse_padded(column, name)
            column = pa.nulls(len(column), pa.float64()) if parsed is None else parsed
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        values = column.cast(pa.float64()).to_numpy()
        if kind == ColumnKind.INTEGER and len(values) and np.nanmax(np.abs(values), initial=0) >= MAX_EXACT_INTEGER:
            return self._large_integers(values, name, shift)
        return values - shift if shift else values

    def _large_integers(self, values: FloatArray, name: str, shift: int) -> FloatArray:
        """A column with large integers less ``shift``, read again exactly; recorded if float64 cannot hold it."""
        exact = _read_integers(self.schema, self._text, self.start, name)
        if exact is None:  # no longer integers
            self.inexact_columns.add(name)
            return values - shift
        differences = subtract_exactly(exact, shift)
        if max_magnitude(differences) > MAX_EXACT_INTEGER:
            self.inexact_columns.add(name)
        return decimals_to_float64(differences).to_numpy()  # type: ignore[no-any-return]

    def _parse_padded(self, column: Any, name: str) -> Any:
        """A column of numbers with spaces or signs that pyarrow does not read."""
        row = first_non_number(column, self.schema.dialect.decimal)
        if row is not None:
            raise bad_cell_error(self.schema, self._text, self.start, name, row, column[row].as_py())
        return as_numbers(column, self.schema.dialect.decimal, begins_with_number=True)

    def _read_column_by_column(self, columns_to_read: Sequence[str]) -> Any:
        """Read the piece again column by column; the error names the first bad cell."""
        import pyarrow as pa

        columns = {}
        for name in columns_to_read:
            kind = self.schema.column_kinds[name]
            try:
                columns[name] = _read_table(self.schema, self._text, self.start, {name: _arrow_type(kind)}).column(name)
            except (pa.ArrowInvalid, UnicodeError) as cause:
                try:
                    text = _read_table(self.schema, self._text, self.start, {name: pa.string()}).column(name)
                except (pa.ArrowInvalid, UnicodeError):
                    raise malformed_piece_error(self.schema, self._text, self.start, cause) from cause
                if kind in (ColumnKind.FLOAT, ColumnKind.INTEGER):
                    columns[name] = self._parse_padded(text, name)
                    continue
                booleans, row = (
                    (pa.nulls(len(text)), first_non_missing(text)) if kind == ColumnKind.EMPTY else as_booleans(text)
                )
                if row is not None:
                    raise bad_cell_error(self.schema, self._text, self.start, name, row, text[row].as_py()) from cause
                columns[name] = booleans
        return pa.table(columns)


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
        delimiter: the character between cells (default: detected from the first lines).
        decimal: ``"."`` or ``","`` (default: detected).
        encoding: a codec of Python (default: UTF-8, or UTF-16 with a byte order mark).
        header: whether the first line has names. Without names, columns are ``x1 .. xk``.

    Raises:
        DataError: the file is empty or binary, has no rows, another encoding, repeated names, or a row of another
            length.
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
    """The schema with the column kinds of the first piece, and why each other column is not numeric."""
    import pyarrow as pa

    pieces, table = _split_file(schema, 0), None
    for start, data in pieces:  # a long header may fill the first piece
        try:
            table = _read_table(schema, data, start, None)
        except (pa.ArrowInvalid, UnicodeError) as cause:
            raise malformed_piece_error(schema, data, start, cause) from cause
        _check_encoding_and_quotes(schema, table, data)
        if table.num_rows:
            break
    if table is None or not table.num_rows:
        raise DataError("header_only", path=str(schema.location), columns=schema.dialect.names)
    is_whole_file = next(pieces, None) is None
    pieces.close()
    column_kinds, reasons, shifts = {}, {}, {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if name in schema.dialect.unnamed_columns:
            continue
        reason = not_numeric_type_reason(pa, column.type)
        if reason is None:
            column_kinds[name], shifts[name] = _numeric_kind(schema, data, start, name, column)
        elif reason.key == "left_out.text" and as_numbers(column, schema.dialect.decimal) is not None:
            column_kinds[name] = ColumnKind.PADDED
        elif reason.key == "left_out.text":
            reasons[name] = not_numeric_reason(
                [column.combine_chunks()], inferred=True, line_of_row=partial(line_of_row, schema, data, start)
            )
        else:
            reasons[name] = reason
            if reason.key == "left_out.empty":
                column_kinds[name] = ColumnKind.EMPTY
    return replace(
        schema,
        column_kinds=column_kinds,
        integer_shifts={name: shift for name, shift in shifts.items() if shift},
        sampled_rows=table.num_rows,
        sample_is_whole_file=is_whole_file,
    ), reasons


def _numeric_kind(schema: CsvSchema, data: TextBuffer, start: int, name: str, column: Any) -> tuple[ColumnKind, int]:
    """The kind of a column that was inferred as numeric, and the shift of its whole numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        return ColumnKind.BOOLEAN, 0
    if pa.types.is_floating(column.type) and (pc.max(pc.abs(column)).as_py() or 0) > MAX_EXACT_INTEGER:
        integers = _read_integers(schema, data, start, name)  # beyond int64, pyarrow infers float64
        column = column if integers is None else integers
    if pa.types.is_floating(column.type):
        return ColumnKind.FLOAT, 0
    return ColumnKind.INTEGER, find_shift(column)


def _check_encoding_and_quotes(schema: CsvSchema, table: Any, data: TextBuffer) -> None:
    """Raise for damage that pyarrow accepts: bytes that are not text, or a quote that is never closed."""
    error = None
    if any(
        str(kind) == "binary" for kind in table.schema.types
    ):  # the type that pyarrow gives text that it cannot decode
        error = encoding_error(schema.location, schema.dialect.encoding)
    elif table.num_rows and "\n" in str(table.column(table.num_columns - 1)[-1]):
        error = malformed_row_error(schema.location, schema.dialect, data, 0, schema.dialect.header_lines)
    if error:
        raise error


def _split_file(schema: CsvSchema, start: int) -> Generator[tuple[int, TextBuffer], None, None]:
    """The pieces of the file, from the beginning of one of them on."""
    import pyarrow as pa

    try:
        with schema.open_stream(start) as stream:
            yield from row_splitter.split_pieces(
                stream, schema.dialect.delimiter, start, str(schema.location), schema.seekable
            )
    except row_splitter.UnclosedQuoteError as cause:
        raise malformed_piece_error(schema, cause.data, cause.start, cause) from cause
    except UnicodeError as cause:
        raise encoding_error(schema.location, schema.dialect.encoding) or DataError(
            "csv_damaged", path=str(schema.location), cause=str(cause)[:200]
        ) from cause
    except (OSError, pa.ArrowException) as cause:  # deleted, a disk error, a truncated compressed file
        raise unreadable_error(schema.location, cause) from cause


def _read_table(schema: CsvSchema, data: TextBuffer, start: int, types: Mapping[str, Any] | None) -> Any:
    """The piece as a table with the columns of ``types``, or with all columns and inferred types."""
    import pyarrow as pa
    import pyarrow.csv as pc

    dialect = schema.dialect
    if data[: len(UTF8_BOM)] == UTF8_BOM:  # pyarrow removes one from any buffer
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


def _read_integers(schema: CsvSchema, data: TextBuffer, start: int, name: str) -> Any:
    """A column of the piece as decimals without a fraction; None if a cell is not a whole number."""
    import pyarrow as pa

    try:
        return _read_table(schema, data, start, {name: pa.decimal128(38, 0)}).column(name)
    except pa.ArrowInvalid:
        return None


def _arrow_type(kind: ColumnKind) -> Any:
    import pyarrow as pa

    return {ColumnKind.BOOLEAN: pa.bool_(), ColumnKind.PADDED: pa.string(), ColumnKind.EMPTY: pa.null()}.get(
        kind, pa.float64()
    )


def _dialect_notice(location: FileLocation, dialect: Dialect) -> Message:
    separator_key = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}.get(dialect.delimiter)
    separator = message(f"csv.{separator_key}") if separator_key else repr(dialect.delimiter)
    mark = message("csv.comma" if dialect.decimal == "," else "csv.point")
    return message("notice.csv_dialect", path=location.name, separator=separator, decimal=mark)
