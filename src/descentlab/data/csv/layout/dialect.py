"""Detect the dialect of a CSV file from its first lines: encoding, comments, delimiter, column names."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace

from descentlab.data.csv.encoding import decode_sample, read_sample
from descentlab.data.csv.layout.header import CommentLine, find_header
from descentlab.data.csv.layout.sample_rows import LINE_END, SampleText, detect_delimiter, most_common
from descentlab.data.csv.number_format import is_number_like
from descentlab.data.csv.options import CsvOptions
from descentlab.data.csv.text_filter import BLANKS_DELIMITER, LineFilter
from descentlab.data.paths import FileLocation
from descentlab.errors import DataError
from descentlab.messages import Message, message

DELIMITER_LINE = re.compile(r'"?sep=([\t -!#-~])"?[ ,;]*', re.IGNORECASE)  # Excel's first line
BLANK_DELIMITERS = (" ", "\t")  # with these, a line of blanks may be a row of missing values
COMMENT_MARKS = ("#", "%", "//")  # those that are recognized; --comment names any other


@dataclass(frozen=True)
class Dialect:
    """The dialect of one file.

    Attributes:
        delimiter: the character between the cells of the filtered text.
        encoding: a codec of Python.
        names: one for each cell of a row.
        header_lines: the number of lines above the first row.
        line_filter: what is done to each line.
        notices: what was skipped, and what was found out.
    """

    delimiter: str
    encoding: str
    names: list[str]
    header_lines: int
    line_filter: LineFilter = field(default_factory=LineFilter)
    notices: tuple[Message, ...] = field(default=())


def detect_dialect(location: FileLocation, options: CsvOptions) -> Dialect:
    """The dialect of a file; each option that is None is detected.

    Raises:
        DataError: the file is empty or binary or in another encoding, or names are repeated or missing.
        SettingError: the encoding is unknown.
    """
    sample_bytes, is_whole_file = read_sample(location)
    text, encoding = decode_sample(location, sample_bytes, is_whole_file, options.encoding)
    if not text.strip():
        raise DataError("empty_file", path=str(location))
    sample, stated = _skip_lines(location, SampleText(text, 0, is_whole_file), options.skip_rows)
    sample, comments, mark = _separate_comments(sample, options, stated)
    delimiter = options.delimiter or stated or detect_delimiter(sample, options.decimal)
    rows = sample.rows(delimiter)
    top = [CommentLine(line, _split_comment(text, delimiter, mark)) for line, text in comments if line < rows[0].line]
    is_filtered = options.comment is not None or len(top) < len(comments)
    header = find_header(location, rows, top, delimiter, options.header, options.skip_rows is None)
    if options.header is not False and is_whole_file and rows[-1].last_line <= header.lines:
        raise DataError("header_only", path=str(location), columns=header.names)
    line_filter = LineFilter((options.comment or mark) if is_filtered else None, delimiter == " ")
    if delimiter not in BLANK_DELIMITERS and len(header.names) > 1 and _has_blank_lines(sample, header.lines):
        line_filter = replace(line_filter, empty_blank_lines=True)
    notices = list(header.notices)
    if options.encoding is None and encoding.startswith("cp"):
        notices.insert(0, message("notice.encoding", path=location.name, encoding=encoding))
    names_are_comment = any(notice.key == "notice.names_in_comment" for notice in notices)
    if comments and options.comment is None and not (names_are_comment and not is_filtered):
        notices.append(message("notice.comments_skipped", path=location.name, mark=mark, line=comments[0][0]))
    character = BLANKS_DELIMITER if delimiter == " " else delimiter
    return Dialect(character, encoding, header.names, header.lines, line_filter, tuple(notices))


def _skip_lines(location: FileLocation, sample: SampleText, skip_rows: int | None) -> tuple[SampleText, str | None]:
    """The sample after the lines to skip, and the delimiter that a first line ``sep=;`` states."""
    count, stated = skip_rows or 0, None
    if not skip_rows and (match := DELIMITER_LINE.fullmatch(LINE_END.split(sample.text, 1)[0])):
        count, stated = 1, match[1]
    if not count:
        return sample, None
    ends = [match.end() for _, match in zip(range(count), LINE_END.finditer(sample.text), strict=False)]
    if len(ends) < count or not sample.text[ends[-1] :].strip():
        raise DataError("skip_rows_all", path=str(location), given=count, lines=len(ends))
    return replace(sample, text=sample.text[ends[-1] :], lines_before=count), stated


def _separate_comments(
    sample: SampleText, options: CsvOptions, stated: str | None
) -> tuple[SampleText, list[tuple[int, str]], str]:
    """The sample with comments emptied, the comments with their lines and without their marks, and the mark.

    A line that begins with a mark is certainly a comment if it is above the first row, or has another number of cells
    than the rows, or if all rows begin with a number.
    """
    lines = LINE_END.split(sample.text)
    marks = COMMENT_MARKS if options.comment is None else (options.comment,)
    mark = next((m for m in marks if any(line.lstrip().startswith(m) for line in lines)), "")
    marked = [i for i, line in enumerate(lines) if mark and line.lstrip().startswith(mark)]
    if not marked or all(i in set(marked) or not line.strip() for i, line in enumerate(lines)):
        return sample, [], mark
    if options.comment is None:
        first_row = next(i for i, line in enumerate(lines) if line.strip() and i not in set(marked))
        if any(i > first_row for i in marked) and not _are_comments(sample, lines, marked, first_row, options, stated):
            marked = [i for i in marked if i < first_row]
    comments = [(sample.lines_before + i + 1, lines[i].lstrip()[len(mark) :]) for i in marked]
    return replace(sample, text=_empty_lines(sample.text, set(marked))), comments, mark


def _empty_lines(text: str, numbers: set[int]) -> str:
    """The text with these lines, counted from 0, empty."""
    ends = [*(match.span() for match in LINE_END.finditer(text)), (len(text), len(text))]
    starts = [0, *(stop for _, stop in ends)]
    return "".join(text[stop if i in numbers else starts[i] : end] for i, (stop, end) in enumerate(ends))


def _are_comments(
    sample: SampleText, lines: list[str], marked: list[int], first_row: int, options: CsvOptions, stated: str | None
) -> bool:
    rest = replace(sample, text=_empty_lines(sample.text, set(marked)))
    delimiter = options.delimiter or stated or detect_delimiter(rest, options.decimal)
    rows = rest.rows(delimiter)
    if len(rows) > 1 and all(is_number_like(row.cells[0]) for row in rows[1:]):
        return True
    length = most_common([len(row.cells) for row in rows[1:] or rows])
    return all(len(_split_comment(lines[i], delimiter)) != length for i in marked if i > first_row)


def _split_comment(text: str, delimiter: str, mark: str = "") -> list[str]:
    """The cells of a comment; a mark that is a name, or begins one such as ``# of rooms``, stays."""
    if delimiter == " ":
        return text.split()
    cells = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
    if cells and (not cells[0] or cells[0].startswith("of ")):
        cells[0] = f"{mark} {cells[0]}".strip()
    return cells


def _has_blank_lines(sample: SampleText, header_lines: int) -> bool:
    """Whether a line below the header has spaces only."""
    lines = LINE_END.split(sample.text)[header_lines - sample.lines_before :]
    return any(line and not line.strip(" \t") for line in lines)
