"""The history of a run: parameters, cost and gradient norm by epoch, and its table."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.dependencies import require
from descentlab.engines.base import Snapshots
from descentlab.errors import DataError, SettingError, check_int
from descentlab.typing import FloatArray, IntArray

MAX_TABLE_PARAMETERS = 6  # in a line of the table; `to_arrow` has all of them


@dataclass(frozen=True, eq=False)
class History:
    """The recorded epochs of a run. Row k is the state **before** the update of epoch ``epoch[k]``.

    A row that overflowed has the last finite parameters and an infinite cost.

    Attributes:
        parameters: the names of the columns of ``params``: features in order, then the bias.
        epochs: how many epochs the run was asked for.
        epoch: (k,) the epochs recorded, from 1.
        params: (k, p) in the data's units.
        cost: (k,) mean squared error.
        gradient_norm: (k,) Euclidean norm of the gradient with respect to the scaled parameters.
        has_bias: whether the last parameter is the bias.
    """

    parameters: tuple[str, ...]
    epochs: int
    epoch: IntArray
    params: FloatArray
    cost: FloatArray
    gradient_norm: FloatArray
    has_bias: bool = True

    def __len__(self) -> int:
        return len(self.epoch)

    def __repr__(self) -> str:
        return f"History({len(self):,} of {self.epochs:,} epochs, {', '.join(self.parameters)})"

    def table(self, rows: int | None = None) -> str:
        """One line an epoch: ``Epoch:    1/10 W: 0.000, Cost: 4.666667``.

        Values too small or too large for three or six decimals have six significant digits. The weight of a single
        feature is called W; of several, ``W[name]``.

        Args:
            rows: the largest number of lines, at least 2: the first and the last ones, and how many lie between.
        """
        labels = self._make_labels()
        rows = None if rows is None else check_int("rows", rows, 2)
        shown = range(len(self))
        if rows is not None and len(self) > rows:
            tail = rows // 2
            shown = [*range(rows - tail), *range(len(self) - tail, len(self))]  # type: ignore[assignment]
        indices = np.array(shown, dtype=int)
        formats = [_choose_format(self.params[indices, j], ".3f") for j in range(len(labels))]
        cost_format = _choose_format(self.cost[indices], ".6f")
        lines, previous = [], -1
        for i in shown:
            if i != previous + 1:
                lines.append(f"  ... {i - previous - 1:,} ...")
            weights = ", ".join(
                f"{label}: {self.params[i, j]:{form}}"
                for j, (label, form) in enumerate(zip(labels, formats, strict=True))
            )
            prefix = f"Epoch: {self.epoch[i]:4d}/{self.epochs} "
            lines.append(prefix + (f"{weights}, " if weights else "") + f"Cost: {self.cost[i]:{cost_format}}")
            previous = i
        return "\n".join(lines)

    def _make_labels(self) -> list[str]:
        features = self.parameters[: len(self.parameters) - self.has_bias]
        if len(self.parameters) > MAX_TABLE_PARAMETERS:
            return []
        weights = ["W"] if len(features) == 1 else [f"W[{name}]" for name in features]
        return weights + ["b"] * self.has_bias

    def to_arrow(self) -> Any:
        """A pyarrow table: ``epoch``, ``cost``, ``gradient_norm``, then one column a parameter."""
        pa = require("pyarrow", "pyarrow", None, "tables")
        columns = [self.epoch, self.cost, self.gradient_norm, *self.params.T]
        names = ["epoch", "cost", "gradient_norm", *(f"param:{name}" for name in self.parameters)]
        metadata = {"epochs": self.epochs, "parameters": self.parameters, "has_bias": self.has_bias}
        table = pa.table([np.ascontiguousarray(column) for column in columns], names=names)
        return table.replace_schema_metadata({"descentlab": json.dumps(metadata)})

    def to_pandas(self) -> Any:
        """:meth:`to_arrow` as a pandas data frame."""
        require("pandas", "pandas", "pandas", "frames")
        return self.to_arrow().to_pandas()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as ``.parquet`` (which :meth:`load` reads back) or ``.csv`` (for other tools)."""
        suffix = Path(path).suffix.lower()
        if suffix == ".csv":
            from pyarrow import csv

            csv.write_csv(self.to_arrow(), path)
        elif suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(self.to_arrow(), path)
        else:
            raise SettingError("history_format", path=str(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a ``.parquet`` file that :meth:`save` wrote.

        Raises:
            DataError: the file is not such a history.
        """
        pa = require("pyarrow", "pyarrow", None, "tables")
        from pyarrow import parquet

        try:
            table = parquet.read_table(path)
            metadata = json.loads(table.schema.metadata[b"descentlab"])
        except (pa.ArrowInvalid, KeyError, TypeError) as cause:
            raise DataError("not_history", path=str(path)) from cause
        epoch, cost, norm, *params = (column.to_numpy() for column in table.columns)
        stacked = np.column_stack(params) if params else np.empty((len(epoch), 0))
        return cls(tuple(metadata["parameters"]), metadata["epochs"], epoch, stacked, cost, norm, metadata["has_bias"])

    @classmethod
    def from_snapshots(
        cls, parameters: Sequence[str], epochs: int, has_bias: bool, snapshots: Sequence[Snapshots]
    ) -> History:
        """The history of successive snapshots."""
        epoch, params, cost, norm = (np.concatenate(arrays) for arrays in zip(*snapshots, strict=True))
        return cls(tuple(parameters), epochs, epoch.astype(np.int64), params, cost, norm, has_bias)


def _choose_format(values: FloatArray, default: str) -> str:
    """The default format, or six significant digits if it would not show the values."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    return default if largest == 0 or 0.05 <= largest < 1e7 else ".5e" if largest >= 1e7 or largest < 1e-4 else ".6g"
