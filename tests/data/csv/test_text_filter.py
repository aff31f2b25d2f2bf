"""The filtered stream: the same text however it is cut."""

from __future__ import annotations

import io

import pytest

from descentlab.data.csv import text_filter
from descentlab.data.csv.text_filter import FilteredStream, LineFilter

TEXT = b'x,y\n"a\nlong line in quotes\n# inside\n",2\n# outside\n3,"""4"\n#end\n  \n5,6'
FILTERED = b'x,y\n"a\nlong line in quotes\n# inside\n",2\n\n3,"""4"\n\n\n5,6'


@pytest.mark.parametrize("size", [1, 4, 9, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_comments_end_with_their_lines_and_not_with_what_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch, size: int, line_end: bytes
) -> None:
    monkeypatch.setattr(text_filter, "FILTER_BYTES", size)
    text, expected = (each.replace(b"\n", line_end) for each in (TEXT, FILTERED))
    stream = FilteredStream(io.BytesIO(text), LineFilter(comment="#", empty_blank_lines=True))
    assert b"".join(iter(lambda: stream.read(7), b"")) == expected
