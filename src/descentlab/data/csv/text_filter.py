"""A stream that makes rows of lines: comments and blank lines become empty, runs of spaces become one delimiter.

Line breaks stay where they are, so a line of the filtered text has the number that it has in the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

FILTER_BYTES = 1 << 20
BLANKS_DELIMITER = "\t"  # what runs of spaces and tabs become
QUOTED_OR_BLANKS = re.compile(rb'(?:(?<=[ \t\r\n])|\A)"(?:[^"\r\n]|"")*"(?=[ \t\r\n]|\Z)|[ \t]+')
OUTER_BLANKS = re.compile(rb"^[ \t]+|(?<![ \t])[ \t]+(?=\r?$)", re.MULTILINE)
BLANK_LINE = re.compile(rb"^[ \t]+(?=\r?$)", re.MULTILINE)
UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class LineFilter:
    """What is done to each line.

    Attributes:
        comment: the mark of lines to empty; None if no line is a comment.
        blanks: whether cells have spaces and tabs between them.
        empty_blank_lines: whether lines of spaces only are empty.
    """

    comment: str | None = None
    blanks: bool = False
    empty_blank_lines: bool = False

    @property
    def is_active(self) -> bool:
        return self.comment is not None or self.blanks or self.empty_blank_lines

    def apply(self, text: bytes, quotes_before: int = 0) -> bytes:
        """The filtered lines of a text that begins with a line, after ``quotes_before`` quotes."""
        if b"\r" in text and b"\n" not in text:
            return self.apply(text.replace(b"\r", b"\n"), quotes_before).replace(b"\n", b"\r")
        if self.comment is not None:
            text = self._without_comments(text, quotes_before)
        if self.blanks:
            text = QUOTED_OR_BLANKS.sub(
                lambda match: match[0] if match[0][:1] == b'"' else BLANKS_DELIMITER.encode(),
                OUTER_BLANKS.sub(b"", text),
            )
        elif self.empty_blank_lines:
            text = BLANK_LINE.sub(b"", text)
        return text

    def _without_comments(self, text: bytes, quotes_before: int) -> bytes:
        mark = re.escape((self.comment or "").encode())
        pattern = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*" + mark + rb"[^\r\n]*", re.MULTILINE)
        if b'"' not in text and not quotes_before % 2:
            return pattern.sub(b"", text)
        lines, quotes = text.splitlines(keepends=True), quotes_before
        for i, line in enumerate(lines):
            if not quotes % 2 and (match := pattern.match(line)):
                lines[i] = line[match.end() :]
            else:
                quotes += line.count(b'"')
        return b"".join(lines)


class StreamWrapper:
    """The base of a stream that reads another one, and closes it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the other stream."""
        self._stream.close()


class FilteredStream(StreamWrapper):
    """A stream of UTF-8 text, filtered line by line; it can only be read from the beginning."""

    def __init__(self, stream: Any, line_filter: LineFilter) -> None:
        super().__init__(stream)
        self._filter = line_filter
        self._rest, self._ready, self._quotes = b"", b"", 0
        self._at_end = False

    def read(self, size: int) -> bytes:
        """At most ``size`` filtered bytes; none at the end."""
        while not self._ready and not self._at_end:
            self._fill()
        out, self._ready = self._ready[:size], self._ready[size:]
        return out

    def _fill(self) -> None:
        more = self._stream.read(FILTER_BYTES)
        text = self._rest + more
        self._at_end = not more
        end = len(text) if self._at_end else max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
        lines, self._rest = text[:end], text[end:]
        self._ready = self._filter.apply(lines, self._quotes)
        self._quotes += self._ready.count(b'"')


class LimitedStream(StreamWrapper):
    """The bytes of a stream before ``stop``; ``start`` is where the stream is."""

    def __init__(self, stream: Any, start: int, stop: int) -> None:
        super().__init__(stream)
        self._at, self._stop = start, stop

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at ``stop``."""
        data: bytes = self._stream.read(max(min(size, self._stop - self._at), 0))
        self._at += len(data)
        return data

    def seek(self, position: int) -> None:
        """Go to a byte of the file."""
        self._stream.seek(position)
        self._at = position
