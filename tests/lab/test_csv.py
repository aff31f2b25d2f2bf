"""The page's parser of pasted text reads what the reader of files reads, and asks where that asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from descentlab.data.csv.encoding import decode_sample
from descentlab.data.csv.source import open_csv
from descentlab.data.paths import FileLocation
from descentlab.data.row_numbers import find_row_numbers
from descentlab.data.selection import ColumnSelection
from descentlab.errors import DataError
from descentlab.lab.spec import MAX_LAB_COLUMNS
from tests.lab.csv_cases import ANSWERED, READ, REFUSED
from tests.lab.v8 import module

Parse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def parse() -> Iterator[Parse]:
    """The page's ``parseCsv``."""
    with MiniRacer() as v8:
        v8.eval(f"const csv = {module('csv.js')};")

        def call(text: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
            call = f"csv.parseCsv({json.dumps(text)}, {json.dumps(options or {})})"
            found: dict[str, Any] = json.loads(str(v8.eval(f"JSON.stringify({call})")))
            return found

        yield call


@pytest.fixture(scope="module")
def decoder(browser: Any) -> Iterator[Any]:
    """A page of a browser, which knows encodings, with ``encoding.js``."""
    page = browser.new_page()
    page.evaluate(f"() => {{ window.encoding = {module('csv/encoding.js')}; }}")
    yield page
    page.close()


def read_file(folder: Path, text: str, options: dict[str, Any] | None = None) -> dict[str, list[float]]:
    """The numeric columns that a fit would use, by name."""
    csv_options = dict(options or {})
    missing, drop = csv_options.pop("missing", "error"), csv_options.pop("drop", ())
    path = folder / "pasted.csv"
    path.write_bytes(text.encode())
    source = open_csv(path, **csv_options)
    names = [name for name in source.names if name not in {*drop, *find_row_numbers(source)}]
    target = names[-1] if names else source.names[-1] if source.names else "y"
    selection = ColumnSelection(str(path), None, target, None, None, missing, csv_options, drop)
    rows = np.concatenate([block for block, _ in selection.blocks()])
    return {name: rows[:, j].tolist() for j, name in enumerate((*selection.features, target))}


def columns_of(found: dict[str, Any]) -> dict[str, list[float]]:
    return {name: [row[j] for row in found["rows"]] for j, name in enumerate(found["columns"])}


@pytest.mark.parametrize("case", READ)
def test_what_is_certain_is_read_as_from_a_file(parse: Parse, tmp_path: Path, case: str) -> None:
    text, expected = READ[case]
    found = parse(text)
    assert columns_of(found) == expected
    assert read_file(tmp_path, text) == expected


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_certain_is_asked_or_refused_as_of_a_file(parse: Parse, tmp_path: Path, case: str) -> None:
    text, key = REFUSED[case]
    assert parse(text)["trouble"] == key
    with pytest.raises(DataError):
        read_file(tmp_path, text)


def test_a_total_between_rows_is_said(parse: Parse) -> None:
    notice = ["source.note.total_read", {"line": 3, "name": "city", "cell": "Total"}]
    assert parse(READ["a total between rows"][0])["notices"] == [notice]
    labelled = READ["a total between rows"][0].replace("Total", "Total (est.)")
    assert [key for key, _ in parse(labelled)["notices"]] == [notice[0]]


def test_as_many_columns_are_read_as_the_page_shows(parse: Parse) -> None:
    for count, trouble in ((MAX_LAB_COLUMNS, None), (MAX_LAB_COLUMNS + 1, "source.many_columns")):
        names, row = ",".join(f"x{j}" for j in range(count)), ",".join("7" * count)
        assert parse(f"{names}\n{row}\n{row}\n").get("trouble") == trouble


@pytest.mark.parametrize("case", ANSWERED)
def test_an_answer_reads_on_as_the_option_does(parse: Parse, tmp_path: Path, case: str) -> None:
    text, options, expected = ANSWERED[case]
    assert list(columns_of(parse(text, options)).values()) == list(expected.values())
    assert read_file(tmp_path, text, options) == expected


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *[("면적,가격 (만원)\n50,110\n", encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp949")],
        *[
            (text, "cp1252")
            for text in ("Größe (m²),Straße\n", "T (°C),T (°F)\n", "côté,élève\n", "Price (£)\n", "éàè\n")
        ],
        ("번호,똠방\n", "cp949"),
        ("Ärzte,Öl\n", "mac-roman"),
        ("値段,面積\n", "shift-jis"),
    ],
)
def test_a_file_is_decoded_as_python_decodes_it(decoder: Any, tmp_path: Path, text: str, encoding: str) -> None:
    content, path = text.encode(encoding), tmp_path / "pasted.csv"
    path.write_bytes(content)
    found = decoder.evaluate("(bytes) => encoding.decodeText(new Uint8Array(bytes))", list(content))
    try:
        decoded, name = decode_sample(FileLocation(str(path)), content, True, None)
    except DataError:
        assert found == {"trouble": "source.encoding"}
    else:
        assert (found["text"], found.get("encoding")) == (decoded, name.upper() if name.startswith("cp") else None)
