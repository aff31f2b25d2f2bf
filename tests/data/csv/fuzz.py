"""CSV files as nobody should write them: each gives a result that another reader confirms, or a sentence.

``python -m tests.data.csv.fuzz 10000`` runs that many; the test suite runs a few hundred.
"""

from __future__ import annotations

import csv
import io
import random
import sys
import tempfile
from pathlib import Path

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
        text = stream.read().decode("utf-8-sig", "replace")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=layout.dialect.delimiter))
    body = [row for row in rows if row][1:]
    if any('"' in cell for row in rows for cell in row):
        return "read"  # quotes inside cells: readers differ on what they mean
    assert len(values) == len(body), (len(values), len(body))
    for j, name in enumerate(source.names):
        at = layout.dialect.names.index(name)
        cells = [row[at].strip().replace(layout.marks.decimal, ".") for row in body]
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


if __name__ == "__main__":
    from descentlab.data.csv import row_splitter as lines

    lines.PIECE_BYTES = int(sys.argv[3]) if len(sys.argv) > 3 else lines.PIECE_BYTES
    with tempfile.TemporaryDirectory() as where:
        print(run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, Path(where)))
