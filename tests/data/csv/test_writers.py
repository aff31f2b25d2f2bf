"""Files as programs write them: pandas, polars, R, and spreadsheets in four languages.

What is read is what was written, or it is asked about; where a cell leaves no doubt, it is read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from descentlab.data.csv.source import open_csv
from descentlab.errors import DataError
from tests.extras import optional

Column = list[Decimal | None]


@dataclass(frozen=True)
class Writer:
    """How a program writes tables."""

    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    missing: str = ""
    encoding: str = "utf-8"
    line_end: str = "\n"
    quotes_text: bool = False
    names_rows: bool = False  # with R's header, which has no name for them
    minus: str = "-"
    unit: str = ""

    def cell(self, value: Decimal | None) -> str:
        if value is None:
            return self.missing
        text = f"{abs(value):,f}".replace(",", "T").replace(".", self.decimal).replace("T", self.thousands)
        return (self.minus if value < 0 else "") + text + self.unit

    def write(self, names: list[str], columns: list[Column]) -> bytes:
        out = io.StringIO()
        plain = csv.writer(out, delimiter=self.delimiter, lineterminator=self.line_end)
        if self.quotes_text:
            out.write(self.delimiter.join(f'"{name}"' for name in names) + self.line_end)
        else:
            plain.writerow(names)
        for i, row in enumerate(zip(*columns, strict=True)):
            label = [f"row {i}"] if self.names_rows else []
            plain.writerow([*label, *map(self.cell, row)])
        return out.getvalue().encode(self.encoding)


WRITERS = {
    "pandas": Writer(),
    "pandas, semicolons": Writer(";", ","),
    "polars, tabs": Writer("\t", missing="null"),
    "R write.csv2": Writer(";", ",", missing="NA", quotes_text=True),
    "R write.table": Writer(" ", missing="NA", quotes_text=True, names_rows=True),
    "a spreadsheet in English": Writer(",", ".", ",", line_end="\r\n"),
    "a spreadsheet in German": Writer(";", ",", ".", line_end="\r\n", encoding="cp1252"),
    "a spreadsheet in French": Writer(";", ",", "\u202f", line_end="\r\n", encoding="utf-8-sig"),
    "a spreadsheet in Swiss German": Writer(";", ".", "’", line_end="\r\n", encoding="cp1252"),
    "a spreadsheet in Korean": Writer(",", ".", ",", line_end="\r\n", encoding="cp949"),
    "Unicode text": Writer("\t", ",", ".", encoding="utf-16"),
    "a report with minus signs": Writer("|", ".", ",", minus="\u2212", missing="N/A"),
    "prices in euros": Writer(";", ",", ".", unit=" €"),
}
NAMES = {"cp949": "면적", "cp1252": "Größe", "utf-8": "größe m²", "utf-8-sig": "été", "utf-16": "면적"}


@st.composite
def column(draw: st.DrawFn, rows: int) -> Column:
    """Numbers with the same number of decimals, as a spreadsheet shows them, or with any, as a program writes them."""
    places = draw(st.sampled_from([0, 0, 1, 2, 3, None]))
    values: Column = []
    for _ in range(rows):
        scale = draw(st.integers(0, 4)) if places is None else places
        whole = draw(st.integers(-(10 ** draw(st.integers(1, 9))), 10**9))
        values.append(Decimal(whole).scaleb(-scale))
    for _ in range(draw(st.integers(0, rows - 1))):
        values[draw(st.integers(0, rows - 1))] = draw(st.sampled_from([None, values[0]]))
    return values


@st.composite
def table(draw: st.DrawFn) -> list[Column]:
    rows = draw(st.integers(2, 6))
    return draw(st.lists(column(rows), min_size=2, max_size=4))


def has_certain_cell(writer: Writer, columns: list[Column]) -> bool:
    """Whether a cell has a mark that can only be a decimal mark, or only separate thousands."""
    cells = [writer.cell(value) for values in columns for value in values if value is not None]
    marks = [mark for mark in ".," if any(mark in cell for cell in cells)]
    sure = [
        cell for cell in cells if re.search(r"[.,]", cell) and not re.fullmatch(r"\D*[1-9]\d{0,2}[.,]\d{3}\D*", cell)
    ]
    return not marks or bool(sure)


def is_three_decimals_rule(writer: Writer, columns: list[Column]) -> bool:
    """Whether a column of a tab file, say, has a point before three digits in every cell: it is read as decimals."""
    texts = [[writer.cell(value) for value in values if value is not None] for values in columns]
    return writer.thousands == "." and writer.delimiter in "\t| " and any("." in "".join(cells) for cells in texts)


@pytest.mark.parametrize("program", WRITERS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=table())
def test_what_programs_write_is_read_or_asked_about(tmp_path: Path, program: str, columns: list[Column]) -> None:
    writer = WRITERS[program]
    names = [NAMES.get(writer.encoding, "a"), *(f"c{j}" for j in range(1, len(columns)))]
    path = tmp_path / "a.csv"
    path.write_bytes(writer.write(names, columns))
    is_certain = has_certain_cell(writer, columns)
    if not is_certain and is_three_decimals_rule(writer, columns):
        return
    try:
        source = open_csv(path)
        values = np.concatenate(list(source.blocks(names_read := [name for name in names if name in source.names])))
    except DataError as error:
        assert not is_certain, (str(error), path.read_bytes())  # noqa: PT017 (either it is read, or asked about)
        assert error.message.key in ("error.number_two_readings", "error.decimal_ambiguous")  # noqa: PT017
        return
    if not (writer.missing or writer.names_rows):  # rows without any value at the end are left out, and that is said
        rows = max((i + 1 for column in columns for i, value in enumerate(column) if value is not None), default=0)
        assert any(notice.key == "notice.empty_rows" for notice in source.notices) == (rows < len(columns[0]))
        columns = [column[:rows] for column in columns]
    expected = {
        name: [np.nan if value is None else float(value) for value in values]
        for name, values in zip(names, columns, strict=True)
    }
    for j, name in enumerate(names_read):
        np.testing.assert_array_equal(values[:, j], expected[name], err_msg=repr(path.read_bytes()))
    left_out = [name for name in names if name not in names_read]
    assert all(np.isnan(expected[name]).all() for name in left_out), (source.excluded_columns, path.read_bytes())


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (lambda frame, path: frame.to_csv(path), {}),
        (lambda frame, path: frame.to_csv(path, sep=";", decimal=","), {}),
        (lambda frame, path: frame.to_csv(path, sep="\t", float_format="%.3f"), {}),
        (lambda frame, path: frame.to_csv(path, encoding="cp949"), {}),
        (lambda frame, path: frame.to_csv(path, quoting=csv.QUOTE_ALL, na_rep="-"), {"na": "-"}),
        (lambda frame, path: path.write_text(frame.to_string()), {}),
        (lambda frame, path: frame.to_csv(path, header=False, index=False), {"header": False}),
    ],
)
def test_pandas_itself(tmp_path: Path, write: Callable[..., object], options: dict[str, object]) -> None:
    pd = optional("pandas")
    frame = pd.DataFrame({"면적": [1234.5, -2.25, 0.125], "n": [1200, 7, 900], "참": [True, False, True]})
    write(frame, path := tmp_path / "a.csv")
    source = open_csv(path, **options)
    names = [name for name in source.names if name != "(unnamed 1)"]
    values = np.concatenate(list(source.blocks(names)))
    np.testing.assert_array_equal(values, frame.to_numpy(dtype=float))
