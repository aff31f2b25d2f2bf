"""Columns of text: which cells are missing, which are numbers or yes and no, and why a column is neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from descentlab.data.csv.number_format import (
    FULL_WIDTH,
    MINUS_SIGNS,
    NumberFormat,
    NumberMarks,
    detect_currency,
    has_minus_behind,
    has_numbers,
    match_either_mark,
)
from descentlab.data.csv.words import FLAG_WORDS, MISSING_CELLS, MISSING_MARKS
from descentlab.messages import Message, message

DATE = r"(\d{4}([-./])\d{1,2}\2\d{1,2}|\d{1,2}([-./])\d{1,2}\3(\d{2}|\d{4}))\.?([ T].*)?"
DATE_OR_TIME = re.compile(DATE + r"|\d{1,2}:\d{2}(:\d{2}.*)?", re.ASCII)
# The reasons of columns that are numeric but for something that a person has to decide.
DAMAGED_REASONS = tuple(
    f"left_out.{kind}"
    for kind in ("mixed", "mixed_one", "marks", "marks_one", "names_again", "percent", "as_text", "other_mark")
)
LEADING_ZERO_PATTERN = "^0[0-9]{2,}$"
MAX_MARKS = 5  # distinct marks of one column


def trim_cells(column: Any, na: tuple[str, ...] = ()) -> Any:
    """The cells without surrounding spaces; null if missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        cells = column.cast(pa.large_string())
    except pa.ArrowNotImplementedError:  # older releases cast no string view
        cells = pa.array(column.to_pylist(), pa.large_string())
    trimmed = pc.utf8_trim_whitespace(cells)
    missing = pa.array((*MISSING_CELLS, *na), pa.large_string())
    return pc.if_else(pc.is_in(trimmed, value_set=missing), None, trimmed)


def strip_cells(column: Any, na: tuple[str, ...] = ()) -> Any:
    """:func:`trim_cells` with one kind of minus and of digits."""
    import pyarrow.compute as pc

    cells = pc.replace_substring_regex(trim_cells(column, na), f"[{MINUS_SIGNS}]", "-")
    if pc.any(pc.match_substring_regex(cells, "[０-９]")).as_py():
        for full_width, sign in FULL_WIDTH.items():
            cells = pc.replace_substring(cells, full_width, sign)
    return cells


def first_row(mask: Any) -> int | None:
    """The first row where the mask is true; None if there is none."""
    import pyarrow.compute as pc

    row: int = pc.index(pc.fill_null(mask, False), True).as_py()
    return row if row >= 0 else None


def first_match(column: Any, pattern: str) -> str | None:
    """The first cell with a match of the pattern; None if there is none."""
    import pyarrow.compute as pc

    row = first_row(pc.match_substring_regex(column, pattern))
    return None if row is None else column[row].as_py()


def first_equal(cells: Any, word: str) -> str:
    """The first cell that is this word in any case."""
    import pyarrow.compute as pc

    cell: str = cells[first_row(pc.equal(pc.utf8_lower(cells), word)) or 0].as_py()
    return cell


def as_booleans(column: Any, na: tuple[str, ...] = ()) -> tuple[Any, int | None]:
    """A column of text as booleans (a blank cell is missing), and the first row that is neither; None if none is."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as reading

    options = reading.ConvertOptions()
    true, false = (
        pc.is_in(column, pa.array(spellings, pa.string())) for spellings in (options.true_values, options.false_values)
    )
    present = pc.is_valid(strip_cells(column, na))
    return pc.if_else(present, true, None), first_row(pc.and_(present, pc.invert(pc.or_(true, false))))


@dataclass(frozen=True)
class FlagFormat:
    """Two words, in lower case: the first is 1, the second is 0."""

    true: str
    false: str

    @property
    def message(self) -> Message:
        """Both words."""
        return message("csv.held_words", true=repr(self.true), false=repr(self.false))

    def match(self, cells: Any) -> Any:
        """Which of the stripped cells are one of the two words; null where missing."""
        import pyarrow.compute as pc

        lower = pc.utf8_lower(cells)
        return pc.or_(pc.equal(lower, self.true), pc.equal(lower, self.false))

    def to_floats(self, cells: Any) -> Any:
        """The stripped cells, all of which match, as 1 and 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return pc.equal(pc.utf8_lower(cells), self.true).cast(pa.float64())


BOOLEANS = FlagFormat("true", "false")


def detect_flags(cells: Any) -> FlagFormat | None:
    """The two words of a column that holds nothing else; None if it is not such a column."""
    words = _distinct_words(cells)
    return next((FlagFormat(*pair) for pair in FLAG_WORDS if words == set(pair)), None)


def has_flags(cells: Any) -> bool:
    """Whether one pair of words has all of the stripped cells."""
    words = _distinct_words(cells)
    return any(words <= set(pair) for pair in FLAG_WORDS)


def _distinct_words(cells: Any) -> set[str]:
    import pyarrow.compute as pc

    return {word for word in pc.unique(pc.utf8_lower(cells)).to_pylist() if word is not None}


def not_numeric_reason(
    chunks: Iterable[Any],
    *,
    number_format: NumberFormat | None = None,
    na: tuple[str, ...] = (),
    name: str | None = None,
    line_of_row: Callable[[int], int] | None = None,
) -> Message:
    """Why a column of text is not numeric, with one of its cells as an example.

    A column with more numbers than other text is damaged, or its numbers are stored as text.

    Args:
        chunks: the chunks of the column, in order.
        number_format: how its numbers are written (default: with a decimal point or a decimal comma).
        na: cells that mean a missing value, in addition to the usual ones.
        name: the name of the column, to recognize a repeated header.
        line_of_row: the line of the file on which a row, counted from 0, begins; None where rows have no lines.
    """
    import pyarrow.compute as pc

    rows = numbers = others = 0
    first_number = code = ""
    first: tuple[str, int] | None = None
    marks: dict[str, None] | None = {}
    may_have_numbers = True
    for chunk in chunks:
        cells = strip_cells(chunk, na)
        if not rows:
            may_have_numbers = has_numbers(cells)
        is_value = pc.is_valid(cells)
        is_number = pc.and_(is_value, _match_numbers(cells, number_format) if may_have_numbers else False)
        is_other = pc.and_(is_value, pc.invert(is_number))
        odd = cells.filter(is_other)
        if first is None and len(odd):
            index = first_row(is_other) or 0
            first = chunk[index].as_py(), rows + index
        if first and not may_have_numbers:
            break
        count = pc.sum(is_number, min_count=0).as_py()
        if count and not code and (row := first_row(pc.match_substring_regex(cells, LEADING_ZERO_PATTERN))) is not None:
            code = repr(chunk[row].as_py())[:40]
        if count and not first_number:
            first_number = repr(chunk[first_row(is_number) or 0].as_py())[:40]
        marks = _add_marks(marks, odd)
        numbers, others, rows = numbers + count, others + len(odd), rows + len(chunk)
    if first is None and code:
        return message("left_out.codes", example=code)
    if first is None:
        return message("left_out.as_text", example=first_number) if numbers else message("left_out.empty")
    return _describe(first, numbers, others, marks, name, line_of_row)


def _match_numbers(cells: Any, number_format: NumberFormat | None) -> Any:
    import pyarrow.compute as pc

    if number_format is not None:
        return number_format.match(cells)
    _, is_point, is_comma = match_either_mark(cells)
    return pc.or_(is_point, is_comma)


def _add_marks(marks: dict[str, None] | None, odd: Any) -> dict[str, None] | None:
    """The distinct cells that often mean a missing value, if all cells so far do; else None."""
    import pyarrow.compute as pc

    if marks is None:
        return None
    found = pc.unique(odd.slice(0, 100_000)).to_pylist()
    if len(found) > MAX_MARKS or any(cell.lower() not in MISSING_MARKS for cell in found):
        return None
    return marks | dict.fromkeys(found)


def _describe(
    first: tuple[str, int],
    numbers: int,
    others: int,
    marks: dict[str, None] | None,
    name: str | None,
    line_of_row: Callable[[int], int] | None,
) -> Message:
    """The reason for a column with cells that are not numbers."""
    cell, row = first
    example = repr(cell)[:40]
    is_damaged = numbers > others or (numbers and marks)
    if not is_damaged:
        if DATE_OR_TIME.fullmatch(cell.strip()):
            return message("left_out.date_text", example=example)
        return message("left_out.text", example=example)
    place = message("left_out.line", line=line_of_row(row)) if line_of_row else message("left_out.row", row=row + 1)
    if name is not None and cell.strip() == name:
        return message("left_out.names_again", place=place)
    values = {"total": numbers + others, "example": example, "place": place}
    if marks and line_of_row:
        key = "left_out.marks" if others > 1 else "left_out.marks_one"
        return message(key, count=others, cells=list(map(repr, marks)), option=",".join(marks), **values)
    return message("left_out.mixed_one", **values) if others == 1 else message("left_out.mixed", count=others, **values)


def closest_format(marks: NumberMarks, cells: Any) -> tuple[NumberFormat, Message | None]:
    """The format that most of the cells have, and the reason if the others have another one."""
    signs = NumberFormat(
        marks.decimal, currency=detect_currency(cells), accounting=True, minus_behind=has_minus_behind(cells)
    )
    percent, plain = (
        max(
            (replace(signs, percent=is_percent, thousands=thousands) for thousands in marks.possible_thousands),
            key=lambda each: _count_matches(each, cells),
        )
        for is_percent in (True, False)
    )
    counts, total = [_count_matches(each, cells) for each in (percent, plain)], len(cells) - cells.null_count
    best = percent if counts[0] > counts[1] else plain
    if min(counts) and sum(counts) == total:
        examples = (first_match(cells, "%"), first_match(cells, "^[^%]*$"))
        return best, message("left_out.percent", with_sign=repr(examples[0]), without=repr(examples[1]))
    other = replace(signs, decimal="," if marks.decimal == "." else ".")
    if max(counts) < total == _count_matches(other, cells):
        return best, message("left_out.other_mark", example=repr(first_match(cells, "[.,]"))[:40])
    return best, None


def _count_matches(number_format: NumberFormat, cells: Any) -> int:
    import pyarrow.compute as pc

    return pc.sum(number_format.match(cells), min_count=0).as_py() or 0
