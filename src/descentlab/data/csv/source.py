"""Rows from a CSV file, streamed; damage is an error that names the line, and is never read as something else.

The first piece (4 MB) decides columns and types for the whole file; a later row that does not match them is an error
that names the file and the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.csv.errors import bad_cell_error, line_of_row, malformed_piece_error
from descentlab.data.csv.inference import Inference, infer_schema
from descentlab.data.csv.layout.dialect import Dialect, detect_dialect
from descentlab.data.csv.number_format import TWO_READINGS_CELL
from descentlab.data.csv.options import CsvOptions
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.csv.table_reader import arrow_type, read_integers, read_table, split_file
from descentlab.data.csv.text_columns import BOOLEANS, FlagFormat, as_booleans, first_row, strip_cells, trim_cells
from descentlab.data.paths import FileLocation, unreadable_error
from descentlab.data.source import BLOCK_ROWS, NO_SHIFTS, BaseSource, MixedBlock, Piece
from descentlab.data.tables import decimals_to_float64, max_magnitude, subtract_exactly
from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray


class CsvSource(BaseSource):
    """The numeric columns of one CSV file."""

    def __init__(self, inference: Inference, notices: Sequence[Message]) -> None:
        super().__init__(notices)
        self.schema, self.excluded_columns = inference.schema, inference.reasons
        self._column_notices = inference.column_notices
        self._columns_read: set[str] | None = None
        schema = self.schema
        self.names = tuple(name for name, kind in schema.column_kinds.items() if kind != ColumnKind.EMPTY)
        self.size = (schema.table_end or schema.location.fingerprint()[0]) if schema.seekable else None
        self.random_access = schema.seekable

    @property
    def notices(self) -> tuple[Message, ...]:
        """How the file was read, without what concerns only columns that were not read."""
        read = self._columns_read
        about = [notice for names, notice in self._column_notices if read is None or not read.isdisjoint(names)]
        return (*super().notices, *about)

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        self._columns_read = {*(self._columns_read or ()), *columns}
        for start, data in split_file(self.schema, offset or 0):
            yield CsvPiece(self.schema, start, start + len(data), data)

    @property
    def all_names(self) -> tuple[str, ...]:
        known = {*self.names, *self.excluded_columns}
        return tuple(name for name in self.schema.dialect.names if name in known)

    @property
    def column_formats(self) -> Mapping[str, Any]:
        booleans = [name for name, kind in self.schema.column_kinds.items() if kind == ColumnKind.BOOLEAN]
        return dict.fromkeys(booleans, BOOLEANS) | dict(self.schema.formats)

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
        return (values for values, _ in self.mixed_blocks(columns, (), shifts))

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        table = self._read_columns(numbers, others)
        values = np.empty((table.num_rows, len(numbers)), order="F")
        for j, name in enumerate(numbers):
            values[:, j] = self._column_values(table, name, shifts.get(name, 0))
        labels = {name: _as_one_array(self._labels(table, name)) for name in others}
        for start in range(0, len(values), BLOCK_ROWS):
            arrays = {name: column.slice(start, BLOCK_ROWS) for name, column in labels.items()}
            yield values[start : start + BLOCK_ROWS], arrays

    def _read_columns(self, numbers: Sequence[str], others: Sequence[str]) -> Any:
        """These columns as a table: numeric ones by their kind, those of ``others`` that are not numeric as text."""
        import pyarrow as pa

        kinds, empty = self.schema.column_kinds, ColumnKind.EMPTY
        texts = {name: pa.string() for name in others if kinds.get(name, empty) == empty}
        columns = {*numbers, *others} - texts.keys()
        columns_to_read = [
            name for name, kind in kinds.items() if name in columns or (kind == empty and name not in texts)
        ]
        types = {name: arrow_type(self.schema, kinds[name]) for name in columns_to_read}
        try:
            return read_table(self.schema, self._text, self.start, types | texts)
        except (pa.ArrowInvalid, UnicodeError) as cause:
            if not columns_to_read:
                raise malformed_piece_error(self.schema, self._text, self.start, cause) from cause
            table = self._read_column_by_column(columns_to_read)
            for name in texts:
                table = table.append_column(name, self._read_columns((), (name,)).column(name))
            return table

    def place_of_row(self, row: int) -> Message:
        """The line of the file in which a row of the piece, counted from 0, begins."""
        return message("left_out.line", line=line_of_row(self.schema, self._text, self.start, row))

    def _labels(self, table: Any, name: str) -> Any:
        """A column as an Arrow array: numbers, whole where they are large, yes and no, or trimmed text."""
        import pyarrow as pa

        kind, column = self.schema.column_kinds.get(name, ColumnKind.EMPTY), table.column(name)
        if kind == ColumnKind.EMPTY:
            return trim_cells(column, self.schema.na)
        if kind == ColumnKind.BOOLEAN and pa.types.is_boolean(column.type):
            return column
        values = pa.array(self._column_values(table, name, 0), from_pandas=True)
        if isinstance(self.schema.formats.get(name), FlagFormat):
            return values.cast(pa.bool_())
        exact = read_integers(self.schema, self._text, self.start, name) if name in self.inexact_columns else None
        return values if exact is None else exact

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
        if kind == ColumnKind.TEXT and pa.types.is_string(column.type):
            column = self._parse_text(column, name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        values = column.cast(pa.float64()).to_numpy()
        if kind == ColumnKind.INTEGER and len(values) and np.nanmax(np.abs(values), initial=0) >= MAX_EXACT_INTEGER:
            return self._large_integers(values, name, shift)
        return values - shift if shift else values

    def _large_integers(self, values: FloatArray, name: str, shift: int) -> FloatArray:
        """A column with large integers less ``shift``, read again exactly; recorded if float64 cannot hold it."""
        exact = read_integers(self.schema, self._text, self.start, name)
        if exact is None:  # no longer integers
            self.inexact_columns.add(name)
            return values - shift
        differences = subtract_exactly(exact, shift)
        if max_magnitude(differences) > MAX_EXACT_INTEGER:
            self.inexact_columns.add(name)
        return decimals_to_float64(differences).to_numpy()  # type: ignore[no-any-return]

    def _parse_text(self, column: Any, name: str) -> Any:
        """A column of text as float64, in the format of its first rows."""
        import pyarrow.compute as pc

        cells, marks = strip_cells(column, self.schema.na), self.schema.marks
        cell_format = self.schema.formats.get(name, marks.default_format)
        row = first_row(pc.invert(cell_format.match(cells)))
        if row is None and not marks.is_certain:
            row = first_row(pc.match_substring_regex(cells, TWO_READINGS_CELL))
        if row is not None:
            raise bad_cell_error(self.schema, self._text, self.start, name, row, column[row].as_py())
        return cell_format.to_floats(cells)

    def _read_column_by_column(self, columns_to_read: Sequence[str]) -> Any:
        """Read the piece again column by column; the error names the first bad cell."""
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = {}
        for name in columns_to_read:
            kind = self.schema.column_kinds[name]
            try:
                columns[name] = read_table(
                    self.schema, self._text, self.start, {name: arrow_type(self.schema, kind)}
                ).column(name)
            except (pa.ArrowInvalid, UnicodeError) as cause:
                try:
                    text = read_table(self.schema, self._text, self.start, {name: pa.string()}).column(name)
                except (pa.ArrowInvalid, UnicodeError):
                    raise malformed_piece_error(self.schema, self._text, self.start, cause) from cause
                if kind in (ColumnKind.FLOAT, ColumnKind.INTEGER):
                    columns[name] = self._parse_text(text, name)
                    continue
                if kind == ColumnKind.EMPTY:
                    booleans, row = pa.nulls(len(text)), first_row(pc.is_valid(strip_cells(text, self.schema.na)))
                else:
                    booleans, row = as_booleans(text, self.schema.na)
                if row is not None:
                    raise bad_cell_error(self.schema, self._text, self.start, name, row, text[row].as_py()) from cause
                columns[name] = booleans
        return pa.table(columns)


def _as_one_array(column: Any) -> Any:
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def open_csv(path: FileLocation | Path, **options: Any) -> CsvSource:
    """The source of one CSV file, plain or compressed (``.gz``, ``.bz2``, ``.zst``).

    Args:
        path: the file.
        **options: what is known about the file, as for :class:`CsvOptions`; the rest is detected.

    Raises:
        DataError: the file is empty or binary, has no rows, another encoding, repeated names, a row of another
            length, or numbers that can be read in two ways.
        SettingError: no CSV file can have one of the options.
    """
    location = path if isinstance(path, FileLocation) else FileLocation(str(path))
    given = CsvOptions(**options)
    dialect = detect_dialect(location, given)
    inference = infer_schema(CsvSchema(location, dialect, given))
    return CsvSource(inference, _reading_notices(inference))


def _reading_notices(inference: Inference) -> list[Message]:
    """How the file was read: what was detected, what was skipped, what decides."""
    schema, footer, path = inference.schema, inference.footer, inference.schema.location.name
    given, dialect = schema.options, schema.dialect
    is_comma_file = dialect.delimiter == ","
    was_detected = (given.delimiter is None and not is_comma_file) or (
        given.decimal is None and schema.marks.decimal != "."
    )
    notices = [_dialect_notice(path, dialect, schema.marks.decimal)] if was_detected else []
    notices += dialect.notices
    if footer and given.skip_footer is None and footer.lines:
        key = "notice.footer_skipped" if footer.lines > 1 else "notice.footer_skipped_one"
        key = "notice.total_skipped" if footer.is_total and footer.lines == 1 else key
        notices.append(message(key, path=path, first=repr(footer.first)[:60], count=footer.lines))
    if footer and given.skip_footer is None and footer.empty_rows:
        notices.append(message("notice.empty_rows", path=path, rows=pluralize(footer.empty_rows, "row")))
    notices += [inference.total] if inference.total else []
    if not schema.sample_is_whole_file:
        notices.append(message("notice.csv_judged", path=path, rows=pluralize(schema.sampled_rows, "row")))
    return notices


def _dialect_notice(path: str, dialect: Dialect, decimal: str) -> Message:
    separator_key = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}.get(dialect.delimiter)
    if dialect.line_filter.blanks:
        separator_key = "blanks"
    separator = message(f"csv.{separator_key}") if separator_key else repr(dialect.delimiter)
    mark = message("csv.comma" if decimal == "," else "csv.point")
    return message("notice.csv_dialect", path=path, separator=separator, decimal=mark)
