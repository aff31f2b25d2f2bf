"""Detect the dialect of a CSV file from its first lines: encoding, delimiter, decimal mark, column names."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder, lookup
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from descentlab.data.csv.text_columns import is_number
from descentlab.data.paths import FileLocation
from descentlab.errors import DataError, SettingError, check_choice

SAMPLE_BYTES = 1 << 16
MAX_SAMPLE_BYTES = 1 << 24  # the sample grows up to this size if its first line has no end
SAMPLE_ROWS = 1000
DELIMITER_CANDIDATES = (",", ";", "\t", "|")
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?", re.ASCII)
DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?", re.ASCII)
THOUSANDS_SEPARATED = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)


@dataclass(frozen=True)
class Dialect:
    """The dialect of one file; ``header_lines`` counts the lines up to the end of the header."""

    delimiter: str
    decimal: str
    encoding: str
    names: list[str]
    header_lines: int
    sample_bytes: int

    @property
    def unnamed_columns(self) -> list[str]:
        """The placeholders for columns whose name is empty."""
        return [name for name in self.names if name.startswith("(unnamed")]


def detect_dialect(
    location: FileLocation, delimiter: str | None, decimal: str | None, encoding: str | None, header: bool
) -> Dialect:
    """The dialect of a file; each option that is None is detected.

    Raises:
        DataError: the file is empty or binary or in another encoding, names are repeated or missing, or the decimal
            mark is ambiguous.
        SettingError: no CSV file can have this option.
    """
    delimiter = None if delimiter is None else _check_delimiter(delimiter)
    decimal = None if decimal is None else check_choice("decimal", decimal, (".", ","))
    if delimiter is not None and delimiter == decimal:
        raise SettingError("delimiter_is_decimal", given=repr(delimiter))
    sample, is_whole_file = _read_sample(location)
    text, encoding = _decode(location, sample, is_whole_file, encoding)
    if not text.strip():
        raise DataError("empty_file", path=str(location))
    if delimiter is None:
        delimiter = _detect_delimiter(text, is_whole_file, decimal)
    rows = _first_rows(text, delimiter, is_whole_file)
    decimal = decimal or _detect_decimal(location, [row for row, _ in rows], delimiter)
    names, header_lines = [name.strip() for name in rows[0][0]], rows[0][1]
    if not header:
        names, header_lines = [f"x{j + 1}" for j in range(len(names))], 0
    elif all(is_number(name, decimal) for name in names):
        raise DataError("no_header", path=str(location), first=names[:6])
    names = [name or f"(unnamed {j + 1})" for j, name in enumerate(names)]
    if header and is_whole_file and len(rows) == 1:
        raise DataError("header_only", path=str(location), columns=names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    return Dialect(delimiter, decimal, encoding, names, header_lines, len(sample))


def encoding_error(location: FileLocation, encoding: str) -> DataError | None:
    """The error for the first bytes that are not text in this encoding; None if the whole file is."""
    decoder = getincrementaldecoder(encoding)()
    bytes_read, line = 0, 1
    with location.open_decompressed() as stream:
        while True:
            chunk = stream.read(SAMPLE_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeError as cause:
                start = getattr(cause, "start", 0) - pending  # negative if the character began in the last chunk
                line += chunk[: max(start, 0)].count(b"\n")
                return DataError("encoding", path=str(location), encoding=encoding, place=bytes_read + start, line=line)
            if not chunk:
                return None
            bytes_read, line = bytes_read + len(chunk), line + text.count("\n")


def _read_sample(location: FileLocation) -> tuple[bytes, bool]:
    """The first bytes of the file, with at least one whole line, and whether they are the whole file."""
    with location.open_decompressed() as stream:
        sample: bytes = stream.read(SAMPLE_BYTES)
        while (
            len(sample) >= SAMPLE_BYTES
            and b"\n" not in sample
            and b"\r" not in sample
            and len(sample) < MAX_SAMPLE_BYTES
        ):
            more = stream.read(len(sample))
            if not more:
                break
            sample += more
        return sample, not stream.read(1)


def _decode(location: FileLocation, sample: bytes, is_whole_file: bool, encoding: str | None) -> tuple[str, str]:
    """The first bytes as text, and their encoding."""
    if encoding is None:
        encoding = "utf-16" if sample.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        codec = lookup(encoding)
    except (LookupError, TypeError, ValueError) as cause:
        raise SettingError("unknown_encoding", given=repr(encoding)) from cause
    if not codec._is_text_encoding or codec.incrementaldecoder is None:
        raise SettingError("unknown_encoding", given=repr(encoding))
    encoding = codec.name
    if b"\0" in sample and not encoding.startswith(("utf-16", "utf-32")):
        raise DataError("binary", path=str(location))
    try:
        text = codec.incrementaldecoder().decode(sample.removeprefix(BOM_UTF8), final=is_whole_file)
    except UnicodeError as cause:
        raise encoding_error(location, encoding) or DataError("binary", path=str(location)) from cause
    return text.removeprefix("\ufeff"), encoding


def _first_rows(text: str, delimiter: str, is_whole_file: bool) -> list[tuple[list[str], int]]:
    """The first rows that are not blank, each with the number of its last line."""

    def read() -> Iterator[tuple[list[str], int]]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        with suppress(csv.Error):  # a cell is too long for csv; pyarrow decides later
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    yield row, reader.line_num

    rows = list(islice(read(), SAMPLE_ROWS))
    is_last_row_cut = not is_whole_file and 1 < len(rows) < SAMPLE_ROWS
    return (rows[:-1] if is_last_row_cut else rows) or [([text], 1)]


def _detect_delimiter(text: str, is_whole_file: bool, decimal: str | None) -> str:
    """The delimiter that splits the first rows into the most cells, preferably into equally many in each row."""

    def count_cells(candidate: str) -> tuple[bool, int]:
        counts = [len(row) for row, _ in _first_rows(text, candidate, is_whole_file)]
        return len(set(counts)) == 1, counts[0]

    even_and_wide = {candidate: count_cells(candidate) for candidate in DELIMITER_CANDIDATES if candidate != decimal}
    with_several_cells = [candidate for candidate, (_, count) in even_and_wide.items() if count > 1]
    return max(
        with_several_cells, key=lambda candidate: even_and_wide[candidate], default="," if decimal != "," else ";"
    )


def _detect_decimal(location: FileLocation, rows: list[list[str]], delimiter: str) -> str:
    """The decimal mark: a comma only if cells have one and it cannot be a thousands separator."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    points = [cell for cell in cells if DECIMAL_POINT.fullmatch(cell)]
    if not commas:
        return "."
    if points or all(THOUSANDS_SEPARATED.fullmatch(cell) for cell in commas):
        raise DataError("decimal_ambiguous", path=str(location), examples=[commas[0], *points[:1]])
    return ","


def _check_delimiter(delimiter: str) -> str:
    character = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if isinstance(delimiter, str) else ""
    if len(character) != 1 or not character.isascii() or character in '"\r\n\0':
        raise SettingError("one_character", setting="delimiter", given=repr(delimiter))
    return character
