"""Where the names of a CSV file are: below a title, in a comment, above a row of units, or nowhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from descentlab.data.csv.layout.sample_rows import SampleRow, most_common
from descentlab.data.csv.number_format import is_number_like
from descentlab.data.csv.words import KNOWN_UNITS
from descentlab.data.paths import FileLocation
from descentlab.errors import DataError, find_duplicates
from descentlab.messages import Message, message

UNNAMED = "(unnamed {})"  # the placeholder for a column whose name is empty
UNIT_ROWS = 50  # the rows that are compared with a possible row of units
UNIT = re.compile(r"[\[(].{0,20}[\])]|[^\W\d_][\w°%/^*·⁻¹²³.\- ]{0,14}|[%‰$€£¥₩°℃℉]\w?")
BRACKETED = re.compile(r"[\[(].{0,20}[\])]")
FRACTIONAL = re.compile(r"[-+]?(?:[0-9]*[.,][0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")  # no name of a column
QUOTED = re.compile(r'"[^"]+"')
INVISIBLE = re.compile("[\u200b\u2060\ufeff]")  # without width: copied from pages
NO_UNIT = ("", "-")
EARLIEST_YEAR, LATEST_YEAR = 1500, 2200


@dataclass(frozen=True)
class Header:
    """The names, and what is above the first row.

    Attributes:
        names: one for each cell of a row, with placeholders for empty ones.
        lines: the number of lines above the first row.
        notices: what was skipped.
    """

    names: list[str]
    lines: int
    notices: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class CommentLine:
    """A comment above the first row: its line, and its cells without the mark."""

    line: int
    cells: list[str]


def find_header(
    location: FileLocation,
    rows: list[SampleRow],
    comments: Sequence[CommentLine],
    delimiter: str,
    header: bool | None,
    skip: bool,
) -> Header:
    """The header of a file with these first rows.

    Args:
        location: the file, for errors.
        rows: the first rows that are not empty, with no comments among them.
        comments: the comments above them.
        delimiter: the character between cells.
        header: whether there is a line of names; None decides.
        skip: whether lines above the names may be skipped as a title.

    Raises:
        DataError: the first line might be a row, or names are repeated.
    """
    first = _count_title_rows(rows, delimiter, header) if skip else 0
    notices = [_title_notice(location.name, rows[:first])] if first else []
    row, body = rows[first], rows[first + 1 :]
    if header is False:
        return Header([f"x{j + 1}" for j in range(_body_length(rows[first:]))], row.line - 1, notices)
    if header is None and not _may_be_names(row.cells):
        names = _names_in_comments(comments, _body_length(rows[first:]))
        if names is None and body and all(FRACTIONAL.fullmatch(cell.strip()) for cell in row.cells):
            notices.append(message("notice.no_names", path=location.name, line=row.line))
            return Header([f"x{j + 1}" for j in range(_body_length(rows[first:]))], row.line - 1, notices)
        if names is None:
            raise DataError(
                "no_header", path=str(location), line=row.line, first=[c for c in row.filled if is_number_like(c)][:6]
            )
        found = Header([_name(name, j) for j, name in enumerate(names.cells)], row.line - 1)
        found.notices.append(message("notice.names_in_comment", path=location.name, line=names.line))
        return _checked(found)
    found = Header(_complete_names(row, body, delimiter), row.last_line, notices)
    if body and _is_units_row(row.cells, body):
        found = replace(found, lines=body[0].last_line)
        found.notices.append(
            message("notice.units_skipped", path=location.name, line=body[0].line, units=body[0].filled[:4])
        )
    return _checked(found)


def _checked(header: Header) -> Header:
    repeated = find_duplicates(header.names)
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    return header


def _name(cell: str, j: int) -> str:
    name = INVISIBLE.sub("", cell).strip()
    if QUOTED.fullmatch(name):  # csv and pyarrow keep the quotes behind a space
        name = name[1:-1].strip()
    return name or UNNAMED.format(j + 1)


def _body_length(rows: list[SampleRow]) -> int:
    return most_common([len(row.cells) for row in rows[1:] or rows])


def _count_title_rows(rows: list[SampleRow], delimiter: str, header: bool | None) -> int:
    """How many of the first rows are a title: text, and narrower than the rows below; 0 if that is not certain."""
    width = most_common([row.width for row in rows[1:] or rows])
    count = next(
        (i for i, row in enumerate(rows) if row.width >= width or _lacks_row_name(row, rows[i + 1 :], delimiter)), 0
    )
    titles, first = rows[:count], rows[count]
    if any(is_number_like(cell) for row in titles for cell in row.filled[:1]):
        return 0
    if all(len(row.filled) == 1 for row in titles):
        return count if header is not None or _may_be_names(first.cells) else 0
    is_apart = titles and first.line > titles[-1].last_line + 1
    is_narrow = all(2 * len(row.filled) <= width for row in titles)
    return count if (is_apart or is_narrow) and _may_be_names(first.cells) else 0


def _title_notice(path: str, titles: list[SampleRow]) -> Message:
    example = " ".join(titles[0].filled)
    values = {"path": path, "example": repr(example)[:60], "first": titles[0].line, "last": titles[-1].last_line}
    return message(
        "notice.title_skipped_one" if values["first"] == values["last"] else "notice.title_skipped", **values
    )


def _may_be_names(cells: list[str]) -> bool:
    """Whether none of the cells is a number, except years, and the numbers from 0 on that pandas writes."""
    numbers = [cell.strip() for cell in cells if is_number_like(cell)]
    if not numbers:
        return True
    is_counted = numbers == [str(j) for j in range(len(cells) - 1)] and not cells[0].strip()
    years = [int(cell) for cell in numbers if cell.isascii() and cell.isdigit() and len(cell) == 4]
    are_years = (
        len(years) == len(numbers) > 1
        and len(numbers) < len(cells)
        and len(set(years)) == len(years)
        and all(EARLIEST_YEAR <= year <= LATEST_YEAR for year in years)
        and sorted(years) in (years, years[::-1])
    )
    return is_counted or are_years


def _names_in_comments(comments: Sequence[CommentLine], length: int) -> CommentLine | None:
    """The comment that has a name for every cell; the one before it if it has units."""
    candidates = [comment for comment in comments if len(comment.cells) == length and _may_be_names(comment.cells)]
    if not candidates:
        return None
    if len(candidates) > 1 and any(cell.lower() in KNOWN_UNITS for cell in candidates[-1].cells):
        return candidates[-2]
    return candidates[-1]


def _lacks_row_name(row: SampleRow, body: list[SampleRow], delimiter: str) -> bool:
    """Whether this is the header of R's ``write.table``, which has no name for the names of the rows."""
    if not body or any(len(each.cells) != len(row.cells) + 1 or not each.cells[0].strip() for each in body):
        return False
    if not _may_be_names(row.cells) or not all(cell.strip() for cell in row.cells):
        return False
    labels = [each.cells[0].strip() for each in body]
    if not any(map(is_number_like, labels)):
        return any(is_number_like(cell) for each in body for cell in each.cells[1:])
    if delimiter == "," and not all(each.begins_with_quote for each in body):
        return False  # 1,5 may be one number
    return any(labels == [str(i + start) for i in range(len(labels))] for start in (0, 1))


def _complete_names(row: SampleRow, body: list[SampleRow], delimiter: str) -> list[str]:
    """The names, with placeholders for the names of rows, and for cells after a delimiter at the end of rows."""
    cells = list(row.cells)
    if not body:
        return [_name(cell, j) for j, cell in enumerate(cells)]
    if _lacks_row_name(row, body, delimiter):
        cells.insert(0, "")
    length = _body_length([row, *body])
    if length > len(cells) and not any(cell.strip() for each in body for cell in each.cells[len(cells) :]):
        cells += [""] * (length - len(cells))
    while len(cells) > length and not cells[-1].strip():
        cells.pop()
    return [_name(cell, j) for j, cell in enumerate(cells)]


def _is_units_row(names: list[str], body: list[SampleRow]) -> bool:
    """Whether the first row has the units of the numbers below it."""
    units, rows = [cell.strip() for cell in body[0].cells], body[1 : UNIT_ROWS + 1]
    if not rows or len(units) != len(names) or any(map(is_number_like, units)):
        return False
    known = False
    for j, unit in enumerate(units):
        column = [row.cells[j].strip() for row in rows if j < len(row.cells)]
        has_numbers = any(column) and all(is_number_like(cell) for cell in column if cell)
        if unit in NO_UNIT:
            continue
        is_known = unit.lower() in KNOWN_UNITS
        if BRACKETED.fullmatch(unit):
            known = True
        elif not has_numbers or not (is_known or UNIT.fullmatch(unit)):
            return False
        known |= is_known
    return known
