"""A CSV stream cut into pieces of whole rows, wherever its bytes come from and however many at a time."""

from __future__ import annotations

import csv
import io
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descentlab.data.csv import row_splitter
from descentlab.errors import DataError

CELLS = st.sampled_from(["1", "", "x", '"a,b"', '"a\nb"', '"a""b"', '""', 'five"', '"\r\n"', " 2 "])
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=3).map(",".join), min_size=1, max_size=12)
ENDS = st.sampled_from(["\n", "\r\n"])


class Dripping(io.BytesIO):
    """A stream that gives fewer bytes than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 1, 3) if size and size > 0 else size)


def cut(data: bytes, size: int, start: int = 0, kind: Any = io.BytesIO) -> list[tuple[int, bytes]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_splitter, "PIECE_BYTES", size)
        found = [(at, bytes(piece)) for at, piece in row_splitter.split_pieces(kind(data[start:]), ",", start)]
        stream = io.BytesIO(data)
        stream.seek(start)
        assert [
            (at, bytes(piece)) for at, piece in row_splitter.split_pieces(stream, ",", start, seekable=True)
        ] == found
        return found


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@given(rows=ROWS, end=ENDS, size=st.integers(1, 40), closed=st.booleans())
def test_pieces_are_whole_rows(rows: list[str], end: str, size: int, closed: bool) -> None:
    data = (end.join(rows) + (end if closed else "")).encode()
    found = cut(data, size)
    assert b"".join(piece for _, piece in found) == data
    assert [start for start, _ in found] == [sum(len(p) for _, p in found[:i]) for i in range(len(found))]
    assert list(chain.from_iterable(read(piece) for _, piece in found)) == read(data)
    assert cut(data, size, kind=Dripping) == found
    for i, (start, _) in enumerate(found):  # whoever begins in the middle sees the same
        assert cut(data, size, start) == found[i:]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_piece_is_no_longer_than_it_must_be(end: str) -> None:
    data = f"12345678{end}".encode() * 100
    found = cut(data, 30)
    assert all(len(piece) <= 30 + len(end) for _, piece in found)
    assert len(found) >= 100 * len(data[: 8 + len(end)]) / 30


def test_a_quote_that_is_never_closed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(row_splitter.UnclosedQuoteError):
        cut(b'1,2\n"3,4\n5,6\n', 6)
    monkeypatch.setattr(row_splitter, "MAX_ROW_BYTES", 100)
    with pytest.raises(DataError, match="longer than 0 MB"):
        cut(b'1,2\n"' + b"3,4\n" * 100, 16)
