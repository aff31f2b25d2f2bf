"""A CSV stream cut into pieces of whole rows: after the last row that ends within so many bytes.

Where a piece ends depends on where it begins and on nothing else, so whoever reads them, in whatever order, sees the
same pieces. A line break between quotes ends no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from descentlab.errors import DataError

PIECE_BYTES = 1 << 22
LONGEST_ROW = 1 << 26  # bytes
QUOTE, NEWLINE, RETURN = b'"\n\r'


class UnclosedError(ValueError):
    """A quote is open where the stream ends; ``data`` is its last piece."""

    def __init__(self, start: int, data: bytes) -> None:
        super().__init__("a quote is open at the end")
        self.start, self.data = start, data


def pieces(
    stream: Any, delimiter: str, start: int = 0, label: str = "", seekable: bool = False
) -> Iterator[tuple[int, memoryview]]:
    """Each piece with the byte that it begins at, from ``start`` on, where ``stream`` stands.

    Where the stream is ``seekable`` to bytes counted so, what lies behind a piece is read again rather than copied.

    Raises:
        UnclosedError: the last row has no end.
        DataError: a row is longer than LONGEST_ROW: most likely a quote that is never closed.
    """
    rest, size = b"", PIECE_BYTES
    while True:
        data, ended = _filled(stream, rest, size)
        if ended and QUOTE in data and len(_real(data, delimiter)) % 2:
            raise UnclosedError(start, data)
        end = len(data) if ended else cut(data, delimiter)
        if end:
            yield start, memoryview(data)[:end]
            start, size = start + end, PIECE_BYTES
            rest = b"" if seekable else data[end:]
            if seekable and end < len(data):
                stream.seek(start)
        elif not ended:
            if len(data) > LONGEST_ROW:
                raise DataError("csv_row_too_long", path=label, most=LONGEST_ROW >> 20)
            rest, size = data, 2 * size
        if ended:
            return


def _filled(stream: Any, data: bytes, size: int) -> tuple[bytes, bool]:
    """``data`` with as much after it as makes ``size`` bytes, and whether the stream ended before that."""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            return data, True
        data = data + more if data else more
    return data, False


def cut(data: bytes, delimiter: str) -> int:
    """Where the last row that ends in ``data`` ends; 0 where none does. ``data`` begins with a row."""
    mark = b"\n" if b"\n" in data else b"\r"
    if QUOTE not in data:
        return _ends(data, mark, len(data))
    quotes = _real(data, delimiter)
    limit = len(data)
    while (end := _ends(data, mark, limit)) > 0:
        before = int(np.searchsorted(quotes, end - 1))
        if before % 2 == 0:
            return end
        limit = int(quotes[before - 1])  # inside: before the quote that opened it
    return 0


def _ends(data: bytes, mark: bytes, limit: int) -> int:
    """After the last line break before ``limit``; a carriage return that may belong to a line feed is none."""
    end = data.rfind(mark, 0, limit) + 1
    if mark == b"\r" and end == len(data):
        end = data.rfind(mark, 0, end - 1) + 1
    return end


def _real(data: bytes, delimiter: str) -> np.ndarray[Any, Any]:
    """The quotes that open and close a cell, in turn: one inside an unquoted cell is a letter, a double one too."""
    values = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(values == QUOTE)
    around = np.zeros(256, dtype=bool)
    around[[ord(delimiter), NEWLINE, RETURN]] = True
    openers, closers = quotes[::2], quotes[1::2]
    opens = (openers == 0) | around[values[openers - 1]]
    opens[1:] |= openers[1:] == closers[: len(openers) - 1] + 1
    after = values[np.minimum(closers + 1, len(values) - 1)]
    closes = (closers + 1 == len(values)) | around[after] | (after == QUOTE)
    return quotes if opens.all() and closes.all() else _walked(values, quotes, around)


def _walked(
    values: np.ndarray[Any, Any], quotes: np.ndarray[Any, Any], around: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The same, quote by quote."""
    real: list[int] = []
    inside, skipped = False, -1
    for at in map(int, quotes):
        if at == skipped:
            continue
        if not inside:
            if at == 0 or around[values[at - 1]]:
                real.append(at)
                inside = True
        elif at + 1 < len(values) and values[at + 1] == QUOTE:
            skipped = at + 1
        else:
            real.append(at)
            inside = False
    return np.array(real, dtype=np.int64)
