"""CSV files as nobody should write them: each gives a result that another reader confirms, or a sentence.

``python -m tests.data.csv.fuzz 10000`` runs that many of each kind; the test suite runs a few hundred.
"""

from __future__ import annotations

import csv
import io
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.data.csv.source import open_csv
from descentlab.errors import DescentlabError

CELLS = [
    "1",
    "-2.5",
    "3e4",
    "+7",
    " 8 ",
    "",
    "NA",
    "nan",
    "inf",
    "1,5",
    "abc",
    "9007199254740993",
    "0x1f",
    "1_000",
    "٣",
    '"4"',
]
CELLS += ['"a""b"', '"x\ny"', '5"', "true", "False", "2026-01-02", "1.2.3", "-", "1e999", "\x00", "é", "x" * 500]
ENDS = ["\n", "\r\n", "\r", "\n\n"]


def written(dice: random.Random) -> bytes:
    """A file: mostly numbers, with a few mistakes."""
    columns, rows = dice.randint(1, 4), dice.randint(1, 60)
    separator, end = dice.choice([",", ",", ";", "\t", "|"]), dice.choice(ENDS[:3])
    spoilt = dice.choice([0, 0, 0.01, 0.05, 0.3])
    lines = [separator.join(f"c{j}" for j in range(columns))]
    for _ in range(rows):
        cells = [dice.choice(CELLS) if dice.random() < spoilt else f"{dice.uniform(-9, 9):.4g}" for _ in range(columns)]
        if dice.random() < spoilt / 3:
            cells += [dice.choice(CELLS)] if dice.random() < 0.5 else []
            cells = cells[: dice.randint(0, len(cells))] if dice.random() < 0.5 else cells
        lines.append(separator.join(cells))
    text = "".join(line + (dice.choice(ENDS) if dice.random() < 0.05 else end) for line in lines)
    data = text.encode(dice.choice(["utf-8"] * 6 + ["utf-16", "latin-1"]), "replace")
    for _ in range(dice.choice([0, 0, 0, 1, 2])):  # truncated, or with a byte too many, too few, or another
        at = dice.randrange(len(data) + 1)
        data = dice.choice(
            [data[:at], data[:at] + bytes([dice.randrange(256)]) + data[at:], data[:at] + data[at + 1 :]]
        )
    return data


def judged(path: Path) -> str:
    """``read`` where the numbers are those of Python's own reader, ``refused`` with a sentence.

    Raises:
        AssertionError: the numbers differ.
        Exception: anything that is no sentence.
    """
    try:
        source = open_csv(path)
        values = np.concatenate([np.empty((0, len(source.names))), *source.blocks(source.names)])
    except DescentlabError as error:
        return "refused" if len(str(error)) > 20 and "error." not in str(error) else f"said badly: {error}"
    layout = source.schema
    with layout.open_stream() as stream:
        text = b"".join(iter(lambda: stream.read(1 << 20), b"")).decode("utf-8-sig", "replace")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=layout.dialect.delimiter))
    body = [row for row in rows if row][1:]
    if any('"' in cell for row in rows for cell in row):
        return "read"  # quotes inside cells: readers differ on what they mean
    if any(notice.key in ("notice.number_format", "notice.percent", "notice.flags") for notice in source.notices):
        return "read"  # with signs that Python does not read
    assert len(values) == len(body), (len(values), len(body))
    for j, name in enumerate(source.names):
        at = layout.dialect.names.index(name)
        cells = [row[at].strip() for row in body]
        if layout.marks.decimal == ",":  # then a point separates thousands
            cells = [cell.replace(".", "").replace(",", ".") for cell in cells]
        expected = [number(cell) for cell in cells]
        np.testing.assert_allclose(values[:, j], expected, rtol=1e-15)
    return "read"


def number(cell: str) -> float:
    """A cell as Python reads it; true is one, and what stands for nothing is NaN."""
    known = {"true": 1.0, "false": 0.0, "": np.nan, "na": np.nan, "nan": np.nan}
    return known[cell.lower()] if cell.lower() in known else float(cell)


def run(count: int, seed: int, folder: Path) -> dict[str, int]:
    """So many files, judged."""
    dice = random.Random(seed)
    found = {"read": 0, "refused": 0}
    path = folder / "a.csv"
    for i in range(count):
        path.write_bytes(written(dice))
        try:
            found[judged(path)] += 1
        except Exception:
            print(f"file {i} of seed {seed}: {path.read_bytes()!r}")
            raise
    return found


OPTIONS: list[dict[str, Any]] = [
    {},
    {},
    {},
    {},
    {"decimal": ","},
    {"decimal": "."},
    {"thousands": ","},
    {"header": False},
]
OPTIONS += [{"skip_rows": 1}, {"skip_footer": 1}, {"comment": "#"}, {"na": ["-", "?"]}, {"delimiter": " "}]
OPTIONS += [{"encoding": "cp949"}, {"encoding": "latin-1"}]


def damaged(content: bytes, dice: random.Random) -> bytes:
    """A file with bytes that are changed, lines that are cut or repeated, or a quote that is opened."""
    for _ in range(dice.choice([1, 1, 2, 5])):
        at, lines = dice.randrange(len(content) + 1), content.splitlines(keepends=True)
        row = dice.randrange(len(lines)) if lines else 0
        content = dice.choice(
            [
                content[:at] + bytes([dice.randrange(256)]) + content[at + 1 :],
                content[:at]
                + dice.choice([b'"', b",", b";", b"\t", b"\n", b" ", b".", b"#", b"%", b"-", b"\xc2\xa0"])
                + content[at:],
                content[:at],
                b"".join(lines[:row] + lines[row + 1 :]),
                b"".join(lines[: row + 1] + lines[row:]),
                b"".join([*lines[:row], lines[row][: dice.randrange(len(lines[row]) + 1)], *lines[row + 1 :]])
                if lines
                else b"",
                b"".join(dice.sample(lines, len(lines))),
            ]
        )
    return content


def run_damaged(count: int, seed: int, folder: Path, contents: list[bytes]) -> int:
    """How many of so many damaged files are read; the others must be refused with a sentence.

    Raises:
        Exception: anything that is no sentence.
    """
    dice, path, read = random.Random(seed), folder / "b.csv", 0
    for i in range(count):
        path.write_bytes(content := damaged(dice.choice(contents), dice))
        options = dice.choice(OPTIONS)
        try:
            source = open_csv(path, **options)
            for block in source.blocks(source.names):
                assert block.dtype == np.float64
            assert all(str(each) for each in (*source.notices, *source.excluded_columns.values()))
            read += 1
        except DescentlabError as error:
            assert len(str(error)) > 20, content  # noqa: PT017 (the class is checked by the clause)
        except Exception:
            print(f"damaged file {i} of seed {seed}: {content!r} with {options}")
            raise
    return read


if __name__ == "__main__":
    from descentlab.data.csv import row_splitter as lines
    from tests.data.csv.test_conventions import LAYOUTS, NUMBERS

    lines.PIECE_BYTES = int(sys.argv[3]) if len(sys.argv) > 3 else lines.PIECE_BYTES
    with tempfile.TemporaryDirectory() as where:
        amount, first_seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
        print(run(amount, first_seed, Path(where)))
        texts = [case[0] for case in (*NUMBERS.values(), *LAYOUTS.values())]
        files = [text if isinstance(text, bytes) else text.encode() for text in texts]
        print(run_damaged(amount, first_seed, Path(where), files), "of", amount, "damaged files are read")
