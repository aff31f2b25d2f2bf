"""What each column of a CSV file holds, decided by its first piece."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from descentlab.data.arrays import MAX_EXACT_INTEGER
from descentlab.data.csv import row_splitter
from descentlab.data.csv.column_notices import (
    ColumnNotice,
    doubtful_number_notices,
    format_notices,
    leading_zero_notices,
)
from descentlab.data.csv.encoding import encoding_error
from descentlab.data.csv.errors import line_of_row, malformed_piece_error, malformed_row_error, marks_error
from descentlab.data.csv.layout.footer import Footer
from descentlab.data.csv.layout.sample_rows import holds_row
from descentlab.data.csv.layout.totals import TOTAL_LABEL
from descentlab.data.csv.number_format import (
    LEADING_CELLS,
    MarkEvidence,
    NumberFormat,
    NumberMarks,
    choose_marks,
    detect_format,
    gather_evidence,
    has_numbers,
    marks_from_options,
)
from descentlab.data.csv.schema import ColumnKind, CsvSchema, TextBuffer
from descentlab.data.csv.table_reader import header_size, read_first_piece, read_integers, read_table
from descentlab.data.csv.text_columns import (
    FlagFormat,
    closest_format,
    detect_flags,
    first_equal,
    first_row,
    has_flags,
    not_numeric_reason,
    strip_cells,
)
from descentlab.data.csv.words import TOTAL_WORDS
from descentlab.data.tables import find_shift, not_numeric_type_reason
from descentlab.errors import DataError
from descentlab.messages import Message, message

LEADING_BYTES = 1 << 16  # the rows that decide the marks, if they do
COMPARED_CELLS = 10_000  # of a column that is not numeric, to say why


@dataclass
class Inference:
    """What the first piece says.

    Attributes:
        schema: the schema with the kinds of the columns.
        reasons: why each other column is not numeric.
        column_notices: how columns were read, each notice with the columns that it is about.
        footer: what was left out at the end.
        total: a row that was read although it may sum up others.
    """

    schema: CsvSchema
    reasons: dict[str, Message] = field(default_factory=dict)
    column_notices: list[ColumnNotice] = field(default_factory=list)
    footer: Footer | None = None
    total: Message | None = None


def infer_schema(schema: CsvSchema) -> Inference:
    """The schema with the column kinds of the first piece, and why each other column is not numeric.

    Raises:
        DataError: the file has no rows, is malformed, or has numbers that can be read in two ways.
    """
    schema, footer, start, data = read_first_piece(schema)
    marks = marks_from_options(schema.options.decimal, schema.options.thousands)
    schema = replace(schema, marks=marks or NumberMarks())
    table = _read_first_table(schema, data, start)
    if marks is None:
        schema = replace(schema, marks=_detect_marks(schema, data, start, table))
        if schema.marks.decimal != ".":
            table = read_table(schema, data, start, None)
    inference = Inference(replace(schema, sampled_rows=table.num_rows), footer=footer)
    inference.total = _first_total(schema, data, start, table, footer)
    _ColumnKinds(inference, data, start).add_all(table)
    return inference


def _read_first_table(schema: CsvSchema, data: TextBuffer, start: int) -> Any:
    """The first piece with inferred types.

    Raises:
        DataError: there is no row, or the piece is malformed, in a way that pyarrow refuses or not.
    """
    import pyarrow as pa

    try:
        table = read_table(schema, data, start, None)
    except (pa.ArrowInvalid, UnicodeError) as cause:
        raise malformed_piece_error(schema, data, start, cause) from cause
    error = None
    if any(str(kind) == "binary" for kind in table.schema.types):  # pyarrow's type for text that it cannot decode
        error = encoding_error(schema.location, schema.dialect.encoding)
    elif table.num_rows and "\n" in str(table.column(table.num_columns - 1)[-1]):
        error = malformed_row_error(schema, data, start)
    elif (row := _row_of_quoted_rows(schema, table)) is not None:
        line = line_of_row(schema, data, start, row)
        error = DataError("csv_quote", path=str(schema.location), line=line, cause=message("csv.quoted_rows"))
    elif not table.num_rows:
        error = DataError("header_only", path=str(schema.location), columns=schema.dialect.names)
    if error:
        raise error
    return table


def _row_of_quoted_rows(schema: CsvSchema, table: Any) -> int | None:
    """The first row with a cell that has whole rows, as between two quotes that are never closed; None if none has."""
    import pyarrow.compute as pc

    delimiter, width = schema.dialect.delimiter, len(schema.dialect.names)
    for column in _text_columns(table).values() if width > 1 else ():
        row = first_row(pc.match_substring(column, "\n"))
        if row is not None and holds_row(column[row].as_py(), delimiter, width):
            return row
    return None


def _first_total(schema: CsvSchema, data: TextBuffer, start: int, table: Any, footer: Footer | None) -> Message | None:
    """A message about the first row with the word of a total; None if there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pa.array(sorted(TOTAL_WORDS), pa.string())
    for name, column in _text_columns(table).items():
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        row = first_row(pc.or_(pc.is_in(lower, value_set=words), pc.match_substring_regex(lower, TOTAL_LABEL)))
        if row is not None:
            line, cell = line_of_row(schema, data, start, row), repr(column[row].as_py())
            is_last = schema.sample_is_whole_file and row == table.num_rows - 1 and schema.options.skip_footer is None
            key = "notice.total_read_last" if is_last else "notice.total_read"
            lines = (footer.lines if footer else 0) + 1
            return message(key, path=schema.location.name, line=line, name=name, cell=cell, count=lines)
    return None


def _text_columns(table: Any) -> dict[str, Any]:
    import pyarrow as pa

    columns = zip(table.schema.names, table.columns, strict=True)
    return {name: column for name, column in columns if pa.types.is_string(column.type)}


def _evidence(schema: CsvSchema, table: Any) -> MarkEvidence:
    """The evidence in the columns of text that have numbers among their first cells."""
    columns = _text_columns(table)
    names = [name for name in columns if has_numbers(_first_cells(schema, columns[name]))]
    return gather_evidence({name: strip_cells(columns[name], schema.na) for name in names})


def _first_cells(schema: CsvSchema, column: Any) -> Any:
    return strip_cells(column.slice(0, LEADING_CELLS), schema.na)


def _detect_marks(schema: CsvSchema, data: TextBuffer, start: int, table: Any) -> NumberMarks:
    """The marks of the numbers in the first piece.

    Where commas separate cells, pyarrow's own reading is right, unless a column that it takes for text has numbers.
    Elsewhere every cell is looked at, since a point that it takes for a decimal point may separate thousands.
    """
    import pyarrow as pa

    delimiter = schema.dialect.delimiter
    if delimiter == "," and not _evidence(schema, table):
        return NumberMarks(thousands=schema.options.thousands, is_thousands_given=schema.options.thousands is not None)
    evidence = MarkEvidence()
    leading = row_splitter.last_row_end(bytes(data[:LEADING_BYTES]), delimiter)
    has_leading = len(data) > LEADING_BYTES and leading > (
        0 if start else header_size(data, schema.dialect.header_lines)
    )
    # Where the first rows decide, other cells that contradict them make their columns text, which is an error.
    for end in (leading, len(data)) if has_leading else (len(data),):
        if not (evidence.point or evidence.comma):
            as_text = read_table(schema, data[:end], start, {name: pa.string() for name in schema.dialect.names})
            evidence = _evidence(schema, as_text)
    marks = choose_marks(evidence, delimiter)
    if isinstance(marks, MarkEvidence):
        raise marks_error(schema, data, start, marks)
    if schema.options.thousands is not None:
        marks = replace(marks, thousands=schema.options.thousands, is_thousands_given=True)
    return marks


class _ColumnKinds:
    """Decides the kind of each column of the first piece."""

    def __init__(self, inference: Inference, data: TextBuffer, start: int) -> None:
        self.inference, self.data, self.start = inference, data, start
        self.kinds: dict[str, ColumnKind] = {}
        self.formats: dict[str, NumberFormat | FlagFormat] = {}
        self.shifts: dict[str, int] = {}
        self.examples: dict[str, tuple[str, ...]] = {}  # of formats that are not plain; of flags, both words

    def add_all(self, table: Any) -> None:
        """Add the columns, and complete the inference."""
        for name, column in zip(table.schema.names, table.columns, strict=True):
            self._add(name, column)
        schema = replace(
            self.inference.schema, column_kinds=self.kinds, formats=self.formats, integer_shifts=self.shifts
        )
        self.inference.schema = schema
        self.inference.column_notices = [
            *format_notices(schema, self.examples),
            *leading_zero_notices(schema, self.data, self.start),
            *doubtful_number_notices(schema, self.data, self.start, table),
        ]

    def _add(self, name: str, column: Any) -> None:
        import pyarrow as pa

        reason = not_numeric_type_reason(pa, column.type)
        if reason is None:
            kind = self._numeric_kind(name, column)
            if kind == ColumnKind.FLOAT and not self.inference.schema.marks.is_certain:  # such as 1e5
                kind, self.formats[name] = ColumnKind.TEXT, self.inference.schema.marks.default_format
            self.kinds[name] = kind
        elif reason.key == "left_out.text":
            self._add_text(name, column)
        else:
            self.inference.reasons[name] = reason
            if reason.key == "left_out.empty":
                self.kinds[name] = ColumnKind.EMPTY

    def _numeric_kind(self, name: str, column: Any) -> ColumnKind:
        """The kind of a column that was inferred as numeric; large whole numbers have a shift, too."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_boolean(column.type):
            return ColumnKind.BOOLEAN
        if pa.types.is_floating(column.type) and (pc.max(pc.abs(column)).as_py() or 0) > MAX_EXACT_INTEGER:
            # Beyond int64, pyarrow infers float64.
            integers = read_integers(self.inference.schema, self.data, self.start, name)
            column = column if integers is None else integers
        if pa.types.is_floating(column.type):
            return ColumnKind.FLOAT
        if shift := find_shift(column):
            self.shifts[name] = shift
        return ColumnKind.INTEGER

    def _add_text(self, name: str, column: Any) -> None:
        schema = self.inference.schema
        first, cells = _first_cells(schema, column), None
        found: NumberFormat | FlagFormat | None = None
        if has_numbers(first) or has_flags(first):
            cells = strip_cells(column, schema.na)
            found = detect_format(cells, schema.marks) or detect_flags(cells)
        if cells is None or found is None:
            self.inference.reasons[name] = _text_reason(schema, self.data, self.start, name, column, first)
            return
        self.kinds[name], self.formats[name] = ColumnKind.TEXT, found
        if isinstance(found, FlagFormat):
            self.examples[name] = tuple(first_equal(cells, word) for word in (found.true, found.false))
        elif not found.is_plain:
            self.examples[name] = (_example(cells, found),)


def _example(cells: Any, found: NumberFormat) -> str:
    """A cell that shows what the format allows."""
    import pyarrow.compute as pc

    plain = NumberFormat(found.decimal).match(cells)
    row = first_row(pc.invert(plain))
    cell: str = cells[row or 0].as_py()
    return cell


def _text_reason(schema: CsvSchema, data: TextBuffer, start: int, name: str, column: Any, first: Any) -> Message:
    """Why a column of text is not numeric, with the line of the first cell that is not a number."""
    number_format = None
    if has_numbers(first):
        number_format, reason = closest_format(schema.marks, strip_cells(column.slice(0, COMPARED_CELLS), schema.na))
        if reason:
            return reason
    return not_numeric_reason(
        [column.combine_chunks()],
        number_format=number_format,
        na=schema.na,
        name=name,
        line_of_row=partial(line_of_row, schema, data, start),
    )
