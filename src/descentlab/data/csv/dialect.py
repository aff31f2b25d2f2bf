"""How a CSV file writes its table, found out from its first lines: encoding, separator, decimal mark, names."""

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
from descentlab.data.paths import Place
from descentlab.errors import DataError, SettingError, one_of

HEAD = 1 << 16
LONGEST_HEAD = 1 << 24  # as far as the end of the first line is looked for
ROWS = 1000
DELIMITERS = (",", ";", "\t", "|")
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?", re.ASCII)
DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)


@dataclass(frozen=True)
class Dialect:
    """How one file writes its table; ``skip`` counts the lines up to the end of the header."""

    delimiter: str
    decimal: str
    encoding: str
    names: list[str]
    skip: int
    head: int

    @property
    def unnamed(self) -> list[str]:
        """The names that stand for none."""
        return [name for name in self.names if name.startswith("(unnamed")]


def dialect_of(path: Place, delimiter: str | None, decimal: str | None, encoding: str | None, header: bool) -> Dialect:
    """The dialect of a file; what is None is found out.

    Raises:
        DataError: empty, binary, another encoding, names repeated or missing, or an ambiguous decimal mark.
        SettingError: a setting that no CSV file can have.
    """
    delimiter = None if delimiter is None else _separator(delimiter)
    decimal = None if decimal is None else one_of("decimal", decimal, (".", ","))
    if delimiter is not None and delimiter == decimal:
        raise SettingError("delimiter_is_decimal", given=repr(delimiter))
    head, whole = _head(path)
    text, encoding = _decoded(path, head, whole, encoding)
    if not text.strip():
        raise DataError("empty_file", path=str(path))
    if delimiter is None:
        delimiter = _delimiter(text, whole, decimal)
    rows = _rows(text, delimiter, whole)
    decimal = decimal or _decimal(path, [row for row, _ in rows], delimiter)
    names, skip = [name.strip() for name in rows[0][0]], rows[0][1]
    if not header:
        names, skip = [f"x{j + 1}" for j in range(len(names))], 0
    elif all(is_number(name, decimal) for name in names):
        raise DataError("no_header", path=str(path), first=names[:6])
    names = [name or f"(unnamed {j + 1})" for j, name in enumerate(names)]
    if header and whole and len(rows) == 1:
        raise DataError("header_only", path=str(path), columns=names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    return Dialect(delimiter, decimal, encoding, names, skip, len(head))


def undecodable(path: Place, encoding: str) -> DataError | None:
    """An error that says where the file stops being text in this encoding; None where it never does."""
    decoder = getincrementaldecoder(encoding)()
    seen, line = 0, 1
    with path.unpacked() as stream:
        while True:
            chunk = stream.read(HEAD)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeError as cause:
                start = getattr(cause, "start", 0) - pending  # below 0 in a character that a chunk cuts
                line += chunk[: max(start, 0)].count(b"\n")
                return DataError("encoding", path=str(path), encoding=encoding, place=seen + start, line=line)
            if not chunk:
                return None
            seen, line = seen + len(chunk), line + text.count("\n")


def _head(path: Place) -> tuple[bytes, bool]:
    """The first bytes of the file, at least one line of them, and whether they are all of it."""
    with path.unpacked() as stream:
        head: bytes = stream.read(HEAD)
        while len(head) >= HEAD and b"\n" not in head and b"\r" not in head and len(head) < LONGEST_HEAD:
            more = stream.read(len(head))
            if not more:
                break
            head += more
        return head, not stream.read(1)


def _decoded(path: Place, head: bytes, whole: bool, encoding: str | None) -> tuple[str, str]:
    """The first bytes as text, and the encoding that made them so."""
    if encoding is None:
        encoding = "utf-16" if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        codec = lookup(encoding)
    except (LookupError, TypeError, ValueError) as cause:
        raise SettingError("unknown_encoding", given=repr(encoding)) from cause
    if not codec._is_text_encoding or codec.incrementaldecoder is None:
        raise SettingError("unknown_encoding", given=repr(encoding))
    encoding = codec.name
    if b"\0" in head and not encoding.startswith(("utf-16", "utf-32")):
        raise DataError("binary", path=str(path))
    try:
        text = codec.incrementaldecoder().decode(head.removeprefix(BOM_UTF8), final=whole)
    except UnicodeError as cause:
        raise undecodable(path, encoding) or DataError("binary", path=str(path)) from cause
    return text.removeprefix("\ufeff"), encoding


def _rows(text: str, delimiter: str, whole: bool) -> list[tuple[list[str], int]]:
    """The first rows that are not blank, each with the number of its last line."""

    def read() -> Iterator[tuple[list[str], int]]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        with suppress(csv.Error):  # a cell too long for it; pyarrow judges the file
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    yield row, reader.line_num

    rows = list(islice(read(), ROWS))
    cut = not whole and 1 < len(rows) < ROWS
    return (rows[:-1] if cut else rows) or [([text], 1)]


def _delimiter(text: str, whole: bool, decimal: str | None) -> str:
    """The separator that cuts the first rows into the most cells, the same number in each."""

    def cells(candidate: str) -> tuple[bool, int]:
        counts = [len(row) for row, _ in _rows(text, candidate, whole)]
        return len(set(counts)) == 1, counts[0]

    even_and_wide = {candidate: cells(candidate) for candidate in DELIMITERS if candidate != decimal}
    several = [candidate for candidate, (_, count) in even_and_wide.items() if count > 1]
    return max(several, key=lambda candidate: even_and_wide[candidate], default="," if decimal != "," else ";")


def _decimal(path: Place, rows: list[list[str]], delimiter: str) -> str:
    """The decimal mark: a comma only where cells are written so, and none could mean anything else."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    points = [cell for cell in cells if DECIMAL_POINT.fullmatch(cell)]
    if not commas:
        return "."
    if points or all(THOUSANDS.fullmatch(cell) for cell in commas):
        raise DataError("decimal_ambiguous", path=str(path), examples=[commas[0], *points[:1]])
    return ","


def _separator(given: str) -> str:
    character = {"tab": "\t", "\\t": "\t"}.get(given, given) if isinstance(given, str) else ""
    if len(character) != 1 or not character.isascii() or character in '"\r\n\0':
        raise SettingError("one_character", setting="delimiter", given=repr(given))
    return character
