"""Rows from a CSV file: what is damaged is refused by line, never read as something else."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from descentlab.data.cells import as_numbers
from descentlab.data.dialect import Dialect, dialect_of, undecodable, unpacked
from descentlab.data.source import Source
from descentlab.data.tables import table_source
from descentlab.errors import DataError
from descentlab.text import Sentence, counted, sentence

BLOCK = 1 << 20  # bytes that pyarrow parses at a time; a row must fit into one


def open_csv(
    path: Path,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool = True,
) -> Source:
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
    dialect = dialect_of(path, delimiter, decimal, encoding, header)
    table = _read(path, dialect)
    if not table.num_rows:
        raise DataError("header_only", path=str(path), columns=dialect.names)
    for j, kind in enumerate(table.schema.types):
        if str(kind) == "string" and (numbers := as_numbers(table.column(j), dialect.decimal)) is not None:
            table = table.set_column(j, table.schema.names[j], numbers)
    found = (delimiter is None and dialect.delimiter != ",") or (decimal is None and dialect.decimal != ".")
    notices = [_as_read(path, dialect)] if found else []
    if dialect.unnamed:
        table = table.drop_columns(dialect.unnamed)
        notices.append(sentence("notice.unnamed_column", path=path.name))
    return table_source(table, notices, guessed=True)


def _read(path: Path, dialect: Dialect) -> Any:
    import pyarrow as pa
    import pyarrow.csv as pc

    try:
        with unpacked(path) as stream:
            table = pc.read_csv(
                stream,
                read_options=pc.ReadOptions(
                    column_names=dialect.names,
                    skip_rows=dialect.skip,
                    encoding=dialect.encoding,
                    block_size=max(BLOCK, 4 * dialect.head),
                ),
                parse_options=pc.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
                convert_options=pc.ConvertOptions(decimal_point=dialect.decimal, strings_can_be_null=True),
            )
    except (pa.ArrowInvalid, UnicodeError) as cause:
        cause_line = (str(cause).splitlines() or [""])[0][:200]
        blamed = undecodable(path, dialect.encoding) or damage(path, dialect)
        raise blamed or DataError("csv_damaged", path=str(path), cause=cause_line) from cause
    damaged = None
    if any(str(kind) == "binary" for kind in table.schema.types):  # pyarrow's word for text that does not decode
        damaged = undecodable(path, dialect.encoding)
    elif table.num_rows and "\n" in str(table.column(table.num_columns - 1)[-1]):
        damaged = damage(path, dialect)  # a last cell of several lines: a quote that was never closed?
    if damaged:
        raise damaged
    return table


def damage(path: Path, dialect: Dialect) -> DataError | None:
    """An error that names the first line which is not a row of the table; None where all are.

    Slow, since pyarrow only says that something is wrong, not where; so it is for files known to be damaged.
    """
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    with unpacked(path) as stream:
        text = io.TextIOWrapper(stream, encoding, newline="")
        reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
        line = 1
        try:
            for row in reader:
                if row and line > dialect.skip and len(row) != len(dialect.names):
                    counts = {"cells": counted(len(row), "cell"), "expected": len(dialect.names)}
                    return DataError("csv_ragged", path=str(path), line=line, **counts)
                line = reader.line_num + 1
        except csv.Error as cause:
            return DataError("csv_quote", path=str(path), line=line, cause=str(cause))
    return None


def _as_read(path: Path, dialect: Dialect) -> Sentence:
    named = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}.get(dialect.delimiter)
    separator = sentence(f"csv.{named}") if named else repr(dialect.delimiter)
    mark = sentence("csv.comma" if dialect.decimal == "," else "csv.point")
    return sentence("notice.csv_dialect", path=path.name, separator=separator, decimal=mark)
