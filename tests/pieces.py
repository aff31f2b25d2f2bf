"""Data of many small pieces, and what makes two factors the same to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab import Factor
from descentlab.factor.archive import checksum

NAMES = ("a", "b", "c", "y")


def bits(factor: Factor) -> str:
    """One text for everything in a factor: columns, rows, weight, and every bit of every number."""
    return checksum(factor.to_arrays())


def table(rows: int = 3000, seed: int = 0) -> Any:
    """(rows, 4) values that no two orders of summing round alike."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3)) * [1, 1e4, 1e-3] + [0, 1e7, 1]
    return np.column_stack([X, X @ [1.0, -2e-3, 5.0] + rng.normal(size=rows)])


def write_csv(path: Path, values: Any, names: tuple[str, ...] = NAMES) -> Path:
    """The values, to the last digit; a missing one is an empty cell."""
    lines = [",".join("" if value != value else repr(value) for value in row) for row in values.tolist()]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


def write_parquet(path: Path, values: Any, names: tuple[str, ...] = NAMES, group: int = 100) -> Path:
    """The values in row groups of so many rows, with checksums of their pages."""
    import pyarrow.parquet as pq

    pq.write_table(arrow(values, names), path, row_group_size=group, write_page_checksum=True)
    return path


def write_ipc(path: Path, values: Any, names: tuple[str, ...] = NAMES, group: int = 100) -> Path:
    import pyarrow as pa

    data = arrow(values, names)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, data.schema) as writer:
        writer.write_table(data, max_chunksize=group)
    return path


def arrow(values: Any, names: tuple[str, ...] = NAMES) -> Any:
    import pyarrow as pa

    columns = [pa.array(column, from_pandas=True) for column in values.T]
    return pa.table(dict(zip(names, columns, strict=True)))


def small_pieces(monkeypatch: pytest.MonkeyPatch, rows: int = 100, size: int = 1 << 12) -> None:
    """Cut everything into pieces of so many rows, or bytes of a CSV file."""
    for module in ("arrays", "tables", "files", "combined"):
        monkeypatch.setattr(f"descentlab.data.{module}.PIECE_ROWS", rows)
    monkeypatch.setattr("descentlab.data.csv.row_splitter.PIECE_BYTES", size)
