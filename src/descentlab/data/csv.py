"""Rows from a CSV file: what separates its cells is found out and said; what is damaged is refused by line."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder, lookup
from dataclasses import dataclass
from pathlib import Path

from descentlab.data.source import Source
from descentlab.data.tables import table_source
from descentlab.errors import DataError, SettingError
from descentlab.text import sentence

HEAD = 1 << 16
DELIMITERS = (",", ";", "\t", "|")
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
DECIMAL_POINT = re.compile(r"\s*[-+]?\d*\.\d+([eE][-+]?\d+)?\s*")


@dataclass(frozen=True)
class Dialect:
    """How one file writes its table."""

    delimiter: str
    decimal: str
    encoding: str
    names: list[str]
    header: bool
    quotes: bool


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
    import pyarrow as pa
    import pyarrow.csv as pc

    head, whole = _head(path)
    dialect = _dialect(path, head, whole, delimiter, decimal, encoding, header)
    stream = pa.input_stream(str(path), compression="detect")
    try:
        table = pc.read_csv(
            stream,
            read_options=pc.ReadOptions(column_names=dialect.names, skip_rows=int(dialect.header), encoding=dialect.encoding),
            parse_options=pc.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=dialect.quotes),
            convert_options=pc.ConvertOptions(decimal_point=dialect.decimal, strings_can_be_null=True),
        )
    except pa.ArrowInvalid as cause:
        raise DataError("csv_damaged", path=str(path), cause=str(cause).splitlines()[0][:200]) from cause
    except UnicodeDecodeError as cause:
        raise DataError("encoding", path=str(path), encoding=dialect.encoding, place=cause.start) from cause
    if not table.num_rows:
        raise DataError("header_only", path=str(path), columns=dialect.names)
    notices = []
    unnamed = [name for name in dialect.names if name.startswith("(unnamed")]
    if unnamed:
        table = table.drop_columns(unnamed)
        notices.append(sentence("notice.unnamed_column", path=path.name))
    if (dialect.delimiter, dialect.decimal) != (",", ".") and (delimiter, decimal) == (None, None):
        named = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}[dialect.delimiter]
        separator, mark = sentence(f"csv.{named}"), sentence("csv.comma" if dialect.decimal == "," else "csv.point")
        notices.append(sentence("notice.csv_dialect", path=path.name, separator=separator, decimal=mark))
    return table_source(table, notices)


def _head(path: Path) -> tuple[bytes, bool]:
    """The first bytes of the file, unpacked, and whether they are all of it."""
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as stream:
        head: bytes = stream.read(HEAD)
        return head, len(head) < HEAD


def _dialect(
    path: Path,
    head: bytes,
    whole: bool,
    delimiter: str | None,
    decimal: str | None,
    encoding: str | None,
    header: bool,
) -> Dialect:
    text, encoding = _decoded(path, head, whole, encoding)
    if not text.strip():
        raise DataError("empty_file", path=str(path))
    lines = _lines(text, whole)
    delimiter = _one_character("delimiter", delimiter) if delimiter else _delimiter(lines)
    rows = [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter) if row]
    decimal = _one_character("decimal", decimal) if decimal else _decimal(rows[1:], delimiter)
    if not header:
        names = [f"x{j + 1}" for j in range(len(rows[0]))]
    else:
        names = [name.strip() or f"(unnamed {j + 1})" for j, name in enumerate(rows[0])]
        if all(_is_number(name, decimal) for name in names):
            raise DataError("no_header", path=str(path), first=rows[0][:6])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    return Dialect(delimiter, decimal, encoding, names, header, '"' in text)


def _decoded(path: Path, head: bytes, whole: bool, encoding: str | None) -> tuple[str, str]:
    """The first bytes as text, and the encoding that made them so."""
    if encoding is None:
        encoding = "utf-16" if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        encoding = lookup(encoding).name
    except LookupError as cause:
        raise SettingError("unknown_encoding", given=encoding) from cause
    if b"\0" in head and not encoding.startswith(("utf-16", "utf-32")):
        raise DataError("binary", path=str(path))
    try:
        text = getincrementaldecoder(encoding)().decode(head.removeprefix(BOM_UTF8), final=whole)
    except UnicodeDecodeError as cause:
        raise DataError("encoding", path=str(path), encoding=encoding, place=cause.start) from cause
    return text, encoding


def _lines(text: str, whole: bool) -> list[str]:
    """The first complete lines, as a universal-newline reader sees them."""
    lines = [line for line in io.StringIO(text, newline=None).read().split("\n") if line.strip()]
    return lines[:50] if whole or len(lines) < 2 else lines[:-1][:50]


def _delimiter(lines: list[str]) -> str:
    """The separator that cuts the first lines into the most cells, the same number in each."""

    def cells(candidate: str) -> tuple[bool, int]:
        counts = [len(row) for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=candidate) if row]
        return len(set(counts)) == 1, counts[0]

    even_and_wide = {candidate: cells(candidate) for candidate in DELIMITERS}
    several = [candidate for candidate in DELIMITERS if even_and_wide[candidate][1] > 1]
    return max(several, key=lambda candidate: even_and_wide[candidate], default=",")


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """The decimal mark: a comma only where cells are written so and none with a point."""
    cells = [cell for row in rows for cell in row]
    commas = sum(bool(DECIMAL_COMMA.fullmatch(cell)) for cell in cells)
    points = sum(bool(DECIMAL_POINT.fullmatch(cell)) for cell in cells)
    return "," if delimiter != "," and commas and not points else "."


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _one_character(setting: str, given: str) -> str:
    character = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(character) != 1 or not character.isascii():
        raise SettingError("one_character", setting=setting, given=repr(given))
    return character
