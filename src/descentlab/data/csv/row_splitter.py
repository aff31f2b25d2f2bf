"""Cut the stream of a CSV file into pieces of whole rows, each about as long as a given number of bytes.

Where a piece ends depends only on where it begins, so every reader gets the same pieces in any order.
A line break between quotes does not end a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from descentlab.errors import DataError

PIECE_BYTES = 1 << 22
MAX_ROW_BYTES = 1 << 26
QUOTE_BYTE, LF_BYTE, CR_BYTE = b'"\n\r'


class UnclosedQuoteError(ValueError):
    """A quote is still open at the end of the stream; ``data`` is the last piece."""

    def __init__(self, start: int, data: bytes) -> None:
        super().__init__("a quote is open at the end")
        self.start, self.data = start, data


def split_pieces(
    stream: Any, delimiter: str, start: int = 0, label: str = "", seekable: bool = False
) -> Iterator[tuple[int, memoryview]]:
    """Yield each piece with the byte at which it begins; ``stream`` is at byte ``start``.

    If the stream is ``seekable``, the bytes after a piece are read again instead of copied.

    Raises:
        UnclosedQuoteError: the last row does not end.
        DataError: a row is longer than ``MAX_ROW_BYTES``; most likely a quote is never closed.
    """
    leftover, size = b"", PIECE_BYTES
    while True:
        data, at_end = _fill_buffer(stream, leftover, size)
        if at_end and QUOTE_BYTE in data and len(_structural_quotes(data, delimiter)) % 2:
            raise UnclosedQuoteError(start, data)
        end = len(data) if at_end else last_row_end(data, delimiter)
        if end:
            yield start, memoryview(data)[:end]
            start, size = start + end, PIECE_BYTES
            leftover = b"" if seekable else data[end:]
            if seekable and end < len(data):
                stream.seek(start)
        elif not at_end:
            if len(data) > MAX_ROW_BYTES:
                raise DataError("csv_row_too_long", path=label, most=MAX_ROW_BYTES >> 20)
            leftover, size = data, 2 * size
        if at_end:
            return


def _fill_buffer(stream: Any, data: bytes, size: int) -> tuple[bytes, bool]:
    """``data`` filled up to ``size`` bytes from the stream, and whether the stream ended before that."""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            return data, True
        data = data + more if data else more
    return data, False


def last_row_end(data: bytes, delimiter: str) -> int:
    """The end of the last whole row in ``data``, which begins with a row; 0 if there is none."""
    line_break = b"\n" if b"\n" in data else b"\r"
    if QUOTE_BYTE not in data:
        return _last_line_break_end(data, line_break, len(data))
    quotes = _structural_quotes(data, delimiter)
    limit = len(data)
    while (end := _last_line_break_end(data, line_break, limit)) > 0:
        quotes_before = int(np.searchsorted(quotes, end - 1))
        if quotes_before % 2 == 0:
            return end
        limit = int(quotes[quotes_before - 1])  # the break is inside quotes: search before them
    return 0


def _last_line_break_end(data: bytes, line_break: bytes, limit: int) -> int:
    """The end of the last line break before ``limit``; a carriage return at the very end may be half of one."""
    end = data.rfind(line_break, 0, limit) + 1
    if line_break == b"\r" and end == len(data):
        end = data.rfind(line_break, 0, end - 1) + 1
    return end


def _structural_quotes(data: bytes, delimiter: str) -> np.ndarray[Any, Any]:
    """The positions of the quotes that open and close cells; others are doubled or inside an unquoted cell."""
    values = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(values == QUOTE_BYTE)
    is_boundary = np.zeros(256, dtype=bool)
    is_boundary[[ord(delimiter), LF_BYTE, CR_BYTE]] = True
    openers, closers = quotes[::2], quotes[1::2]
    opens = (openers == 0) | is_boundary[values[openers - 1]]
    opens[1:] |= openers[1:] == closers[: len(openers) - 1] + 1
    after = values[np.minimum(closers + 1, len(values) - 1)]
    closes = (closers + 1 == len(values)) | is_boundary[after] | (after == QUOTE_BYTE)
    return quotes if opens.all() and closes.all() else _structural_quotes_slow(values, quotes, is_boundary)


def _structural_quotes_slow(
    values: np.ndarray[Any, Any], quotes: np.ndarray[Any, Any], is_boundary: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The same, quote by quote."""
    structural: list[int] = []
    is_inside, skipped = False, -1
    for position in map(int, quotes):
        if position == skipped:
            continue
        if not is_inside:
            if position == 0 or is_boundary[values[position - 1]]:
                structural.append(position)
                is_inside = True
        elif position + 1 < len(values) and values[position + 1] == QUOTE_BYTE:
            skipped = position + 1
        else:
            structural.append(position)
            is_inside = False
    return np.array(structural, dtype=np.int64)
