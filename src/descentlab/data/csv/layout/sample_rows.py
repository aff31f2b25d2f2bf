"""The rows of a file's first lines, as a delimiter divides them, and the delimiter that divides them best."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from descentlab.data.csv.number_format import is_number_like
from descentlab.data.csv.text_filter import BLANKS_DELIMITER, LineFilter
from descentlab.data.csv.words import MISSING_CELLS

SAMPLE_ROWS = 1000
DELIMITER_CANDIDATES = (",", ";", "\t", "|", " ")  # a space is any number of spaces and tabs
MIN_NUMBERS_SHARE = 0.5  # of the cells, if spaces are to be the delimiter: words have spaces between them, too
MIN_EVEN_SHARE = 0.9
SCORED_ROWS = 100  # whose numbers are counted
LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class SampleRow:
    """A row that is not empty, its first and last line, and whether its first cell is quoted."""

    cells: list[str]
    line: int
    last_line: int
    begins_with_quote: bool = False

    @property
    def width(self) -> int:
        """The number of cells up to the last one that is not empty."""
        return max(j + 1 for j, cell in enumerate(self.cells) if cell.strip())

    @property
    def filled(self) -> list[str]:
        """The cells that are not empty."""
        return [cell.strip() for cell in self.cells if cell.strip()]


@dataclass(frozen=True)
class SampleText:
    """The first lines of a file.

    Attributes:
        text: the lines; comments among them are empty.
        lines_before: the number of lines above them.
        is_whole_file: whether there are no others.
    """

    text: str
    lines_before: int
    is_whole_file: bool

    def rows(self, delimiter: str) -> list[SampleRow]:
        """The first rows that are not empty; the last one is left out if it may be cut."""
        text = self.text
        if delimiter == " ":
            text = LineFilter(blanks=True).apply(text.encode()).decode()
            delimiter = BLANKS_DELIMITER
        rows = list(islice(_read_rows(text, delimiter, self.lines_before), SAMPLE_ROWS))
        is_last_row_cut = not self.is_whole_file and 1 < len(rows) < SAMPLE_ROWS
        return (rows[:-1] if is_last_row_cut else rows) or [SampleRow([text], self.lines_before + 1, 1)]


def _read_rows(text: str, delimiter: str, lines_before: int) -> Iterator[SampleRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines, first_line = LINE_END.split(text), 1
    with suppress(csv.Error):  # a cell is too long for csv; pyarrow decides later
        for cells in reader:
            if "".join(cells).strip():
                is_quoted = lines[first_line - 1].startswith('"')
                yield SampleRow(cells, lines_before + first_line, lines_before + reader.line_num, is_quoted)
            first_line = reader.line_num + 1


def holds_row(cell: str, delimiter: str, width: int) -> bool:
    """Whether a line of a cell has as many cells as a row, and at least half of them are numbers."""
    parts = (line.split(delimiter) for line in LINE_END.split(cell))
    return any(len(each) == width and 2 * sum(map(is_number_like, each)) >= width for each in parts)


def most_common(values: Sequence[int]) -> int:
    """The most common of the values; the largest of them if there are several."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))


def detect_delimiter(sample: SampleText, decimal: str | None) -> str:
    """The delimiter that divides the rows most evenly, then into the most numbers, then into the most cells."""
    divisions = {
        candidate: rows
        for candidate in DELIMITER_CANDIDATES
        if (candidate in sample.text or (candidate == " " and "\t" in sample.text))
        and _length(rows := sample.rows(candidate)) > 1
    }
    if decimal == "," and "," in divisions and _even_share(divisions[","]) < 1:
        del divisions[","]  # the commas are decimal marks
    if " " in divisions and not _are_columns(divisions[" "], MIN_EVEN_SHARE if len(divisions) > 1 else 0):
        del divisions[" "]
    if len(divisions) < 2:
        return next(iter(divisions), "," if decimal != "," else ";")

    def score(candidate: str) -> tuple[float, float, bool, int]:
        rows = divisions[candidate]
        return _even_share(rows), _numbers_share(rows), candidate != " ", _length(rows)

    return max(divisions, key=score)


def _length(rows: list[SampleRow]) -> int:
    """The most common number of cells below the first row, which may be a title."""
    return most_common([len(row.cells) for row in rows[1:] or rows])


def _even_share(rows: list[SampleRow]) -> float:
    return [len(row.cells) for row in rows].count(_length(rows)) / len(rows)


def _numbers_share(rows: list[SampleRow]) -> float:
    """The share of numbers and missing values in the first rows."""
    cells = [cell for row in (rows[1:] or rows)[:SCORED_ROWS] for cell in row.filled]
    return sum(is_number_like(cell) or cell in MISSING_CELLS for cell in cells) / max(len(cells), 1)


def _are_columns(rows: list[SampleRow], min_even_share: float) -> bool:
    """Whether spaces divide cells, and not words: evenly, and into numbers."""
    has_row_names = len(rows[0].cells) == _length(rows) - 1  # which have no name
    even_share = _even_share(rows[1:] if has_row_names else rows)
    return even_share >= min_even_share and _numbers_share(rows) >= MIN_NUMBERS_SHARE
