"""How one CSV file is read: its dialect and what each of its columns holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from descentlab.data.csv.encoding import UTF8
from descentlab.data.csv.layout.dialect import Dialect
from descentlab.data.csv.number_format import NumberFormat, NumberMarks
from descentlab.data.csv.options import CsvOptions
from descentlab.data.csv.row_splitter import PIECE_BYTES
from descentlab.data.csv.text_columns import FlagFormat
from descentlab.data.csv.text_filter import FilteredStream, LimitedStream
from descentlab.data.paths import FileLocation

TextBuffer = bytes | memoryview


class ColumnKind(StrEnum):
    """What the cells of a numeric column hold: ``EMPTY`` ones hold nothing yet, ``TEXT`` ones are parsed here."""

    FLOAT = "number"
    INTEGER = "whole"
    BOOLEAN = "flag"
    TEXT = "text"
    EMPTY = "empty"


@dataclass(frozen=True)
class CsvSchema:
    """How a file is read, decided by its first piece.

    Attributes:
        location, dialect, options: the file, its dialect and what the person said about it.
        marks: the decimal mark and what separates thousands.
        column_kinds: the kind of each numeric or empty column; columns of text are not included.
        integer_shifts: for each column of large whole numbers, a value near the first (see ``Source``).
        formats: how the cells of each column of the kind ``TEXT`` are written.
        sampled_rows: the number of rows in the first piece.
        sample_is_whole_file: whether the file has no other rows.
        table_end: the byte of the decoded text at which the rows end; None if they end with the file.
        checks_footer: whether the last piece may end with rows that are totals or notes.
    """

    location: FileLocation
    dialect: Dialect
    options: CsvOptions = field(default_factory=CsvOptions)
    marks: NumberMarks = field(default_factory=NumberMarks)
    column_kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    integer_shifts: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, NumberFormat | FlagFormat] = field(default_factory=dict)
    sampled_rows: int = 0
    sample_is_whole_file: bool = False
    table_end: int | None = None
    checks_footer: bool = False

    @property
    def seekable(self) -> bool:
        """Whether byte offsets in the file are those of the decoded and filtered stream."""
        is_plain = self.dialect.encoding == UTF8 and not self.dialect.line_filter.is_active
        return is_plain and not self.location.is_compressed

    @property
    def na(self) -> tuple[str, ...]:
        """The cells that mean a missing value, in addition to the usual ones."""
        return tuple(self.options.na)

    def open_stream(self, start: int = 0) -> Any:
        """The text of the rows as UTF-8, filtered, from byte ``start`` on."""
        stream = self._open_unlimited(start)
        return stream if self.table_end is None else LimitedStream(stream, start, self.table_end)

    def _open_unlimited(self, start: int) -> Any:
        import pyarrow as pa

        if self.seekable:
            file = self.location.open()
            file.seek(start)
            return file
        stream = self.location.open_decompressed()
        if self.dialect.encoding != UTF8:
            stream = pa.transcoding_input_stream(stream, self.dialect.encoding, UTF8)
        if self.dialect.line_filter.is_active:
            stream = FilteredStream(stream, self.dialect.line_filter)
        while start and (skipped := stream.read(min(start, PIECE_BYTES))):
            start -= len(skipped)
        return stream
