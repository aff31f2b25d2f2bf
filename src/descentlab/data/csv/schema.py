"""How one CSV file is read: its dialect and what each of its columns holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from descentlab.data.csv.dialect import Dialect
from descentlab.data.csv.row_splitter import PIECE_BYTES
from descentlab.data.paths import FileLocation

TextBuffer = bytes | memoryview
UTF8 = "utf-8"


class ColumnKind(StrEnum):
    """What the cells of a numeric column hold: ``EMPTY`` ones hold nothing yet, ``PADDED`` ones spaces or signs too."""

    FLOAT = "number"
    INTEGER = "whole"
    BOOLEAN = "flag"
    PADDED = "spaced"
    EMPTY = "empty"


@dataclass(frozen=True)
class CsvSchema:
    """How a file is read, decided by its first piece.

    Attributes:
        location, dialect: the file and its dialect.
        column_kinds: the kind of each numeric or empty column; columns of text are not included.
        integer_shifts: for each column of large whole numbers, a value near the first (see ``Source``).
        sampled_rows: the number of rows in the first piece.
        sample_is_whole_file: whether the file has no other rows.
    """

    location: FileLocation
    dialect: Dialect
    column_kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    integer_shifts: Mapping[str, int] = field(default_factory=dict)
    sampled_rows: int = 0
    sample_is_whole_file: bool = False

    @property
    def seekable(self) -> bool:
        """Whether byte offsets in the file are those of the decoded stream."""
        return not self.location.is_compressed and self.dialect.encoding == UTF8

    def open_stream(self, start: int = 0) -> Any:
        """The text of the file as UTF-8, from byte ``start`` on."""
        import pyarrow as pa

        if self.seekable:
            file = self.location.open()
            file.seek(start)
            return file
        stream = self.location.open_decompressed()
        if self.dialect.encoding != UTF8:
            stream = pa.transcoding_input_stream(stream, self.dialect.encoding, UTF8)
        while start and (skipped := stream.read(min(start, PIECE_BYTES))):
            start -= len(skipped)
        return stream
