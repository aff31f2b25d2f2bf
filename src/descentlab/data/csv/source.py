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

from descentlab.data.arrays import EXACT_INTEGER
from descentlab.data.csv import row_splitter
from descentlab.data.csv.dialect import Dialect, dialect_of, undecodable
from descentlab.data.csv.text_columns import as_flags, as_numbers, first_other, first_present, why_text
from descentlab.data.paths import Place, unreadable
from descentlab.data.source import BLOCK_ROWS, Piece, Pieced
from descentlab.data.tables import why_not_numeric
from descentlab.errors import DataError
from descentlab.messages import Sentence, counted, sentence
from descentlab.typing import Array

Text = bytes | memoryview
UTF8, BOM = "utf-8", b"\xef\xbb\xbf"
NUMBER, WHOLE, FLAG, SPACED, EMPTY = "number", "whole", "flag", "spaced", "empty"  # what a column holds


@dataclass(frozen=True)
class Layout:
    """How a file is read: decided by its first piece.

    Attributes:
        kinds: what each numeric column holds, and which others hold nothing so far; text is in none of them.
        judged: the rows that decided it.
        whole: whether they are the whole file.
    """

    place: Place
    dialect: Dialect
    kinds: Mapping[str, str] = field(default_factory=dict)
    judged: int = 0
    whole: bool = False

    @property
    def seekable(self) -> bool:
        """Whether a place in the file is a place in the stream of its rows."""
        return not self.place.packed and self.dialect.encoding == UTF8

    def stream(self, start: int = 0) -> Any:
        """The file's text as UTF-8, from a place in it on."""
        import pyarrow as pa

        if self.seekable:
            file = self.place.open()
            file.seek(start)
            return file
        stream = self.place.unpacked()
        if self.dialect.encoding != UTF8:
            stream = pa.transcoding_input_stream(stream, self.dialect.encoding, UTF8)
        while start and (passed := stream.read(min(start, row_splitter.PIECE_BYTES))):
            start -= len(passed)
        return stream


class CsvSource(Pieced):
    """The numeric columns of one CSV file."""

    def __init__(self, layout: Layout, left_out: Mapping[str, Sentence], notices: Sequence[Sentence]) -> None:
        super().__init__(notices)
        self.layout, self.left_out = layout, left_out
        self.names = tuple(name for name, kind in layout.kinds.items() if kind != EMPTY)
        self.size = layout.place.mark()[0] if layout.seekable else None
        self.reachable = layout.seekable

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        for start, data in _cut(self.layout, after or 0):
            yield CsvPiece(self.layout, start, start + len(data), data)


class CsvPiece:
    """Rows of a CSV file between two places; pickled, it takes its text along only where no seeking could find it."""

    def __init__(self, layout: Layout, start: int, stop: int, data: Text | None) -> None:
        self.layout, self.start, self.stop, self.data = layout, start, stop, data
        self.size, self.after = stop - start, stop
        self.rounded: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        data = None if self.layout.seekable or self.data is None else bytes(self.data)
        return self.__dict__ | {"data": data}

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        if self.data is None:
            self.data = self._text()
        kinds = self.layout.kinds
        read = [name for name, kind in kinds.items() if name in columns or kind == EMPTY]
        import pyarrow as pa

        try:
            table = _read(self.layout, self.data, self.start, {name: _type(kinds[name]) for name in read})
        except (pa.ArrowInvalid, UnicodeError) as cause:
            if not read:
                raise self._damaged(cause) from cause
            table = self._carefully(read)
        values = np.empty((table.num_rows, len(columns)), order="F")
        for j, name in enumerate(columns):
            values[:, j] = self._numbers(table, name)
        for start in range(0, len(values), BLOCK_ROWS):
            yield values[start : start + BLOCK_ROWS]

    def _text(self) -> bytes:
        try:
            with self.layout.stream(self.start) as stream:
                data: bytes = stream.read(self.stop - self.start)
        except OSError as cause:
            raise unreadable(self.layout.place, cause) from cause
        return data

    def _numbers(self, table: Any, name: str) -> Any:
        import pyarrow as pa

        kind = self.layout.kinds.get(name, EMPTY)
        if kind == EMPTY:
            return np.nan
        column = table.column(name)
        if kind == SPACED and pa.types.is_string(column.type):
            found = None if column.null_count == len(column) else self._spaced(column, name)
            column = pa.nulls(len(column), pa.float64()) if found is None else found
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        values = column.cast(pa.float64()).to_numpy()
        if kind == WHOLE and len(values) and np.nanmax(np.abs(values), initial=0) >= EXACT_INTEGER:
            self._look_closely(name)
        return values

    def _look_closely(self, name: str) -> None:
        """Whether whole numbers about as large as float64 has all of lost digits."""
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.data is not None
        try:
            whole = _read(self.layout, self.data, self.start, {name: pa.int64()}).column(name)
            ends = pc.min_max(whole).as_py()
            lost = max(-ends["min"], ends["max"]) > EXACT_INTEGER
        except pa.ArrowInvalid:  # larger still, or no whole numbers any more
            lost = True
        if lost:
            self.rounded.add(name)

    def _spaced(self, column: Any, name: str) -> Any:
        """A column of text whose cells are numbers, with spaces or signs that pyarrow does not read."""
        at = first_other(column, self.layout.dialect.decimal)
        if at is not None:
            raise self._broken(name, at, column[at].as_py())
        return as_numbers(column, self.layout.dialect.decimal, begun=True)

    def _carefully(self, read: Sequence[str]) -> Any:
        """The piece again, each column for itself: what can be read is, and the first cell that cannot is named."""
        import pyarrow as pa

        assert self.data is not None
        found = {}
        for name in read:
            kind = self.layout.kinds[name]
            try:
                found[name] = _read(self.layout, self.data, self.start, {name: _type(kind)}).column(name)
            except (pa.ArrowInvalid, UnicodeError) as cause:
                try:
                    text = _read(self.layout, self.data, self.start, {name: pa.string()}).column(name)
                except (pa.ArrowInvalid, UnicodeError):
                    raise self._damaged(cause) from cause
                if kind in (NUMBER, WHOLE):
                    found[name] = self._spaced(text, name)
                    continue
                flags, at = (pa.nulls(len(text)), first_present(text)) if kind == EMPTY else as_flags(text)
                if at is not None:
                    raise self._broken(name, at, text[at].as_py()) from cause
                found[name] = flags
        return pa.table(found)

    def _broken(self, name: str, row: int, cell: object) -> DataError:
        kind = self.layout.kinds[name]
        held = sentence({FLAG: "csv.held_flags", EMPTY: "csv.held_nothing"}.get(kind, "csv.held_numbers"))
        rows = counted(self.layout.judged, "row")
        line = self._line(row)
        return DataError(
            "csv_breaks", path=str(self.layout.place), line=line, name=name, held=held, rows=rows, cell=repr(cell)[:60]
        )

    def _damaged(self, cause: BaseException) -> DataError:
        assert self.data is not None
        layout = self.layout
        first = (str(cause).splitlines() or [""])[0][:200]
        blamed = undecodable(layout.place, layout.dialect.encoding) or damage(
            layout.place, layout.dialect, self.data, self._line_before(), 0 if self.start else layout.dialect.skip
        )
        return blamed or DataError("csv_damaged", path=str(layout.place), cause=first)

    def _line(self, row: int) -> int:
        """The line of the file on which a row of this piece begins."""
        assert self.data is not None
        skip, line = (0 if self.start else self.layout.dialect.skip), 1
        reader = csv.reader(_text(self.data), delimiter=self.layout.dialect.delimiter)
        for cells in reader:
            if cells and line > skip:
                if row == 0:
                    break
                row -= 1
            line = reader.line_num + 1
        return self._line_before() + line

    def _line_before(self) -> int:
        """How many lines of the file stand before this piece."""
        count, left = 0, self.start
        with self.layout.stream() as stream:
            while left and (part := stream.read(min(left, row_splitter.PIECE_BYTES))):
                left -= len(part)
                count += part.count(b"\n") or part.count(b"\r")
        return count


def open_csv(
    path: Place | Path,
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
    place = path if isinstance(path, Place) else Place(str(path))
    dialect = dialect_of(place, delimiter, decimal, encoding, header)
    layout, reasons = _judged(Layout(place, dialect))
    found = (delimiter is None and dialect.delimiter != ",") or (decimal is None and dialect.decimal != ".")
    notices = [_as_read(place, dialect)] if found else []
    if dialect.unnamed:
        notices.append(sentence("notice.unnamed_column", path=place.name))
    if not layout.whole:
        notices.append(sentence("notice.csv_judged", path=place.name, rows=counted(layout.judged, "row")))
    return CsvSource(layout, reasons, notices)


def _judged(layout: Layout) -> tuple[Layout, dict[str, Sentence]]:
    """The layout with what the first piece says of each column, and why the others are no numbers."""
    import pyarrow as pa

    pieces, table = _cut(layout, 0), None
    for start, data in pieces:  # the names alone may fill the first
        try:
            table = _read(layout, data, start, None)
        except (pa.ArrowInvalid, UnicodeError) as cause:
            raise CsvPiece(layout, start, start + len(data), data)._damaged(cause) from cause
        _check(layout, table, data)
        if table.num_rows:
            break
    if table is None or not table.num_rows:
        raise DataError("header_only", path=str(layout.place), columns=layout.dialect.names)
    whole = next(pieces, None) is None
    pieces.close()
    kinds, reasons = {}, {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if name in layout.dialect.unnamed:
            continue
        reason = why_not_numeric(pa, column.type)
        if reason is None:
            kinds[name] = (
                WHOLE if pa.types.is_integer(column.type) else FLAG if pa.types.is_boolean(column.type) else NUMBER
            )
        elif reason.key == "left_out.text" and as_numbers(column, layout.dialect.decimal) is not None:
            kinds[name] = SPACED
        elif reason.key == "left_out.text":
            reasons[name] = why_text([column.combine_chunks()], guessed=True)
        else:
            reasons[name] = reason
            if reason.key == "left_out.empty":
                kinds[name] = EMPTY
    return replace(layout, kinds=kinds, judged=table.num_rows, whole=whole), reasons


def _check(layout: Layout, table: Any, data: Text) -> None:
    """Raise where what was read hides damage: bytes that are no text, or a quote that was never closed."""
    damaged = None
    if any(str(kind) == "binary" for kind in table.schema.types):  # pyarrow's word for text that does not decode
        damaged = undecodable(layout.place, layout.dialect.encoding)
    elif table.num_rows and "\n" in str(table.column(table.num_columns - 1)[-1]):
        damaged = damage(layout.place, layout.dialect, data, 0, layout.dialect.skip)
    if damaged:
        raise damaged


def _cut(layout: Layout, start: int) -> Generator[tuple[int, Text], None, None]:
    """The file in pieces, from one of their beginnings on."""
    import pyarrow as pa

    try:
        with layout.stream(start) as stream:
            yield from row_splitter.pieces(stream, layout.dialect.delimiter, start, str(layout.place), layout.seekable)
    except row_splitter.UnclosedError as cause:
        piece = CsvPiece(layout, cause.start, cause.start + len(cause.data), cause.data)
        raise piece._damaged(cause) from cause
    except UnicodeError as cause:
        raise undecodable(layout.place, layout.dialect.encoding) or DataError(
            "csv_damaged", path=str(layout.place), cause=str(cause)[:200]
        ) from cause
    except (OSError, pa.ArrowException) as cause:  # gone, a disk's error, a compressed file that was cut short
        raise unreadable(layout.place, cause) from cause


def _read(layout: Layout, data: Text, start: int, types: Mapping[str, Any] | None) -> Any:
    """The piece as a table: the columns named in ``types`` as these, or all of them as pyarrow guesses."""
    import pyarrow as pa
    import pyarrow.csv as pc

    dialect = layout.dialect
    if data[: len(BOM)] == BOM:  # pyarrow takes one away, whatever it begins
        data = BOM + bytes(data) if start else data[len(BOM) :]
    chosen = {} if types is None else {"column_types": dict(types), "include_columns": list(types)}
    return pc.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        read_options=pc.ReadOptions(
            use_threads=False,
            column_names=dialect.names,
            skip_rows=0 if start else dialect.skip,
            block_size=len(data) + 1,
        ),
        parse_options=pc.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
        convert_options=pc.ConvertOptions(decimal_point=dialect.decimal, strings_can_be_null=True, **chosen),
    )


def _type(kind: str) -> Any:
    import pyarrow as pa

    return {FLAG: pa.bool_(), SPACED: pa.string(), EMPTY: pa.null()}.get(kind, pa.float64())


def damage(place: Place, dialect: Dialect, data: Text, before: int, skip: int) -> DataError | None:
    """An error that names the first line of a piece which is not a row of the table; None where all are.

    Slow, since pyarrow only says that something is wrong, not where; so it is for text known to be damaged.
    """
    reader = csv.reader(_text(data), delimiter=dialect.delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row and line > skip and len(row) != len(dialect.names):
                counts = {"cells": counted(len(row), "cell"), "expected": len(dialect.names)}
                return DataError("csv_ragged", path=str(place), line=before + line, **counts)
            line = reader.line_num + 1
    except csv.Error as cause:
        return DataError("csv_quote", path=str(place), line=before + line, cause=str(cause))
    return None


def _text(data: Text) -> Any:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace", newline="")


def _as_read(place: Place, dialect: Dialect) -> Sentence:
    named = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}.get(dialect.delimiter)
    separator = sentence(f"csv.{named}") if named else repr(dialect.delimiter)
    mark = sentence("csv.comma" if dialect.decimal == "," else "csv.point")
    return sentence("notice.csv_dialect", path=place.name, separator=separator, decimal=mark)
