"""Predictions of a block of rows: a sum from left to right, so that a row's bits depend on nothing but the row.

Matrix products add in an order that depends on the number of rows. Here every operation is elementwise and in a fixed
order, which the SQL text of a model repeats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from descentlab.data.design.blocks import numeric_labels
from descentlab.data.design.design import Design
from descentlab.data.design.syntax import Expression, Name
from descentlab.typing import FloatArray


class WeightTable(NamedTuple):
    """The weights of neighbouring columns: numeric factors times categories.

    Attributes:
        numeric: the numeric factors; none if the columns are those of categories alone.
        categories: the keys of the categories.
        weights: (k, l1, l2, ...) for the k products of the numeric factors, by the levels of each category.
        centers: (k,) what is subtracted from these products first.
    """

    numeric: tuple[Expression, ...]
    categories: tuple[str, ...]
    weights: FloatArray
    centers: FloatArray


def make_weight_tables(design: Design, weights: FloatArray, centers: FloatArray) -> Iterator[WeightTable]:
    """The tables of (d,) weights and centers of a design's columns."""
    start = 0
    for block in design.blocks:
        width = int(np.prod([len(numeric_labels(each)) for each in block.numeric]))
        level_columns = [len(each.labels(design.levels[each.key])) for each in block.categories]
        stop = start + width * int(np.prod(level_columns))
        table = weights[start:stop].reshape(width, *level_columns)
        for axis, each in enumerate(block.categories, 1):
            table = each.expand(table, design.levels[each.key], axis)
        block_centers = np.zeros(width) if block.categories else centers[start:stop]
        yield WeightTable(block.numeric, tuple(each.key for each in block.categories), table, block_centers)
        start = stop


@dataclass(frozen=True, eq=False)
class LinearPredictor:
    """``intercept + sum_j weight_j (x_j - center_j)``, the columns in the order of the design.

    Attributes:
        design: how the columns are computed.
        intercept: the constant.
        tables: the weights.
    """

    design: Design
    intercept: float
    tables: tuple[WeightTable, ...]

    def predict(self, values: Mapping[str, FloatArray], codes: Mapping[str, FloatArray], rows: int) -> FloatArray:
        """(m,) predictions; NaN or infinite where there is none.

        Args:
            values: the (m,) values of the design's leaves by their text.
            codes: the (m,) index of each category's level, NaN where missing.
            rows: m.
        """
        total = np.full(rows, self.intercept)
        index = {key: np.where(np.isnan(each), 0, each).astype(np.intp) for key, each in codes.items()}
        with np.errstate(all="ignore"):  # what is not finite has no prediction
            for table in self.tables:
                self._add(total, table, values, index)
        for each in codes.values():
            total[np.isnan(each)] = np.nan
        return total

    def _add(
        self,
        total: FloatArray,
        table: WeightTable,
        values: Mapping[str, FloatArray],
        index: Mapping[str, np.ndarray[tuple[int], np.dtype[np.intp]]],
    ) -> None:
        levels = tuple(index[key] for key in table.categories)
        weights = [table.weights[(k, *levels)] for k in range(len(table.weights))]
        if not table.numeric:
            total += weights[0]
            return
        for column, weight, center in zip(
            self._columns(table, values, len(total)), weights, table.centers.tolist(), strict=True
        ):
            total += (column - center if center else column) * weight

    def _columns(self, table: WeightTable, values: Mapping[str, FloatArray], rows: int) -> Iterator[FloatArray]:
        if len(table.numeric) == 1 and isinstance(table.numeric[0], Name):
            yield values[str(table.numeric[0])]
        else:
            yield from self.design.evaluate_numeric(table.numeric, values, rows).T
