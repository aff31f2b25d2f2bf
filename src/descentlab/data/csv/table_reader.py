"""Pieces of a CSV file, and each of them as a table of pyarrow."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from descentlab.data.csv import row_splitter
from descentlab.data.csv.encoding import encoding_error
from descentlab.data.csv.errors import footer_error, malformed_piece_error
from descentlab.data.csv.layout.footer import MAX_TAIL_BYTES, TAIL_BYTES, Footer, find_footer
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.csv.text_filter import UTF8_BOM
from descentlab.data.csv.words import MISSING_CELLS
from descentlab.data.paths import unreadable_error
from descentlab.errors import DataError


def split_file(schema: CsvSchema, start: int) -> Generator[tuple[int, TextBuffer], None, None]:
    """The pieces of the file, from the beginning of one of them on."""
    import pyarrow as pa

    label = str(schema.location)
    try:
        with schema.open_stream(start) as stream:
            last: tuple[int, TextBuffer] | None = None
            for piece in row_splitter.split_pieces(stream, schema.dialect.delimiter, start, label, schema.seekable):
                yield piece
                last = piece
            if last and schema.checks_footer and (error := footer_error(schema, last[1], last[0])):
                raise error
    except row_splitter.UnclosedQuoteError as cause:
        raise malformed_piece_error(schema, cause.data, cause.start, cause) from cause
    except UnicodeError as cause:
        raise encoding_error(schema.location, schema.dialect.encoding) or DataError(
            "csv_damaged", path=label, cause=str(cause)[:200]
        ) from cause
    except (OSError, pa.ArrowException) as cause:  # deleted, a disk error, a truncated compressed file
        raise unreadable_error(schema.location, cause) from cause


def read_first_piece(schema: CsvSchema) -> tuple[CsvSchema, Footer | None, int, TextBuffer]:
    """The schema with the end of its rows, the footer below, and the first piece with a row and where it begins."""
    pieces = split_file(schema, 0)
    found: list[tuple[int, TextBuffer]] = []
    for start, data in pieces:  # a long header may fill the first piece
        found.append((start, data))
        if start or bytes(data).count(b"\n") != schema.dialect.header_lines:
            break
    start, data = found[-1] if found else (0, b"")
    is_whole_file = next(pieces, None) is None
    pieces.close()
    footer = _find_file_footer(schema, start, data, is_whole_file)
    schema = replace(schema, sample_is_whole_file=is_whole_file)
    if footer:
        return replace(schema, table_end=footer.start), footer, start, data[: max(footer.start - start, 0)]
    checks_footer = not (is_whole_file or schema.seekable) and schema.options.skip_footer is None
    return replace(schema, checks_footer=checks_footer), None, start, data


def _find_file_footer(schema: CsvSchema, start: int, data: TextBuffer, is_whole_file: bool) -> Footer | None:
    """The footer of a file whose end can be read at once, or whose footer has a known number of lines."""
    lines = schema.options.skip_footer
    if lines == 0:
        return None
    most = MAX_TAIL_BYTES if lines else TAIL_BYTES
    has_all_rows = False
    if is_whole_file:
        first = 0 if start else header_size(data, schema.dialect.header_lines)
        has_all_rows = len(data) - first < most
        first = max(first, len(data) - most)
        tail, offset = bytes(data[first:]), start + first
    elif schema.seekable:
        size = schema.location.fingerprint()[0]
        offset = max(size - most, 0)
        with schema.location.open() as file:
            file.seek(offset)
            tail = file.read(size - offset)
    elif lines:
        tail, offset = _read_tail(schema)
    else:
        return None
    if len(tail) == most:  # the first line may have begun before
        cut = (tail.find(b"\n") if b"\n" in tail else tail.find(b"\r")) + 1
        tail, offset = tail[cut:], offset + cut
    dialect = schema.dialect
    footer = find_footer(
        tail,
        offset,
        dialect.delimiter,
        len(dialect.names),
        lines=lines,
        has_blanks=dialect.line_filter.blanks,
        has_all_rows=has_all_rows,
    )
    is_all = footer is not None and not tail[: footer.start - offset].strip()
    return None if is_all and lines is None else footer  # a table of totals only


def header_size(data: TextBuffer, lines: int) -> int:
    """The number of bytes of the first lines."""
    ends = re.finditer(rb"\r\n|\n|\r", data)
    return max((end.end() for _, end in zip(range(lines), ends, strict=False)), default=0)


def _read_tail(schema: CsvSchema) -> tuple[bytes, int]:
    """The last bytes of a file that can only be read from the beginning, and where they begin."""
    tail, size = b"", 0
    with schema.open_stream() as stream:
        while more := stream.read(row_splitter.PIECE_BYTES):
            tail, size = (tail + more)[-MAX_TAIL_BYTES:], size + len(more)
    return tail, size - len(tail)


def read_table(schema: CsvSchema, data: TextBuffer, start: int, types: Mapping[str, Any] | None) -> Any:
    """The piece as a table with the columns of ``types``, or with all columns and inferred types."""
    import pyarrow as pa
    import pyarrow.csv as pc

    dialect = schema.dialect
    if data[: len(UTF8_BOM)] == UTF8_BOM:  # pyarrow removes one from any buffer
        data = UTF8_BOM + bytes(data) if start else data[len(UTF8_BOM) :]
    column_options = {} if types is None else {"column_types": dict(types), "include_columns": list(types)}
    na_options = {"null_values": [*MISSING_CELLS, *schema.na]} if schema.na else {}
    return pc.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        read_options=pc.ReadOptions(
            use_threads=False,
            column_names=dialect.names,
            skip_rows=0 if start else dialect.header_lines,
            block_size=len(data) + 1,
        ),
        parse_options=pc.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            decimal_point=schema.marks.decimal, strings_can_be_null=True, **na_options, **column_options
        ),
    )


def read_integers(schema: CsvSchema, data: TextBuffer, start: int, name: str) -> Any:
    """A column of the piece as decimals without a fraction; None if a cell is not a whole number."""
    import pyarrow as pa

    try:
        return read_table(schema, data, start, {name: pa.decimal128(38, 0)}).column(name)
    except pa.ArrowInvalid:
        return None


def arrow_type(schema: CsvSchema, kind: ColumnKind) -> Any:
    """The type that pyarrow reads a column of this kind as."""
    import pyarrow as pa

    if kind == ColumnKind.INTEGER and not schema.marks.is_certain:
        return pa.int64()  # the first cell with a mark decides what it means, so it must not be read as a number here
    types = {ColumnKind.BOOLEAN: pa.bool_(), ColumnKind.TEXT: pa.string(), ColumnKind.EMPTY: pa.null()}
    return types.get(kind, pa.float64())
