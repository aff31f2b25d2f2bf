"""What a fit leaves behind: the numbers of a model, and what follows from them without any row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.design.functions import find_leaves
from descentlab.data.design.syntax import Call, Expression, Name, Number
from descentlab.messages import Message
from descentlab.messages.document import Presentable
from descentlab.model.linear_predictor import LinearPredictor, WeightTable, make_weight_tables
from descentlab.model.prediction_variance import PredictionVariance
from descentlab.problem.statistics import DEFAULT_LEVEL, check_level
from descentlab.problem.tail_probabilities import student_quantile
from descentlab.typing import FloatArray


class ColumnMoments(NamedTuple):
    """Where the columns of the hypothesis lay in the rows that were fitted.

    Attributes:
        centers: (d,) what is subtracted before a weight is applied: a number near the values of a column far from
            zero, so that its digits are kept; 0 for the others.
        offsets: (d,) the means less the centers.
        spreads: (d,) the standard deviations.
    """

    centers: FloatArray
    offsets: FloatArray
    spreads: FloatArray


@dataclass(frozen=True)
class FittedData:
    """The rows that a model was fitted to, as far as it remembers them.

    Attributes:
        name: the names of the files, or the type of the table.
        checksum: SHA-256 of the factor, that is of what was read: the same columns of the same rows, read on any
            number of workers, have the same.
        rows, weight: their number and their total weight.
        weights_are: what a weight means for the statistics.
        target_mean, target_spread: the mean and the standard deviation of the target.
    """

    name: str
    checksum: str
    rows: int
    weight: float
    weights_are: str
    target_mean: float
    target_spread: float


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedModel(Presentable):
    """The numbers of a fitted hypothesis: the attributes of :class:`descentlab.Model`, which predicts with them."""

    design: Design
    parameters: tuple[str, ...]
    params: FloatArray
    intercept: float
    moments: ColumnMoments
    variance: PredictionVariance | None
    no_interval: Message | None
    statistics: Mapping[str, float | None]
    standard_errors: FloatArray
    inputs: Mapping[str, Mapping[str, str]]
    data: FittedData
    fitted: Mapping[str, Any]
    version: str = field(default="")

    @property
    def features(self) -> tuple[str, ...]:
        """(d,) the names of the columns."""
        return self.parameters[: len(self.moments.centers)]

    @property
    def has_bias(self) -> bool:
        """Whether the hypothesis has a constant term."""
        return len(self.parameters) > len(self.features)

    @property
    def target(self) -> str:
        """What is predicted: a column, or a function of one."""
        return self.design.target_name

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The columns of the data that predictions are computed from, in the order of the terms."""
        return input_columns(self.design)

    @cached_property
    def rows_design(self) -> Design:
        """The design without its target, which new rows do not have."""
        return replace(self.design, target=Number(0.0))

    @cached_property
    def column_index(self) -> list[int]:
        """(d,) the places of the columns among those of the design."""
        place = {name: j for j, name in enumerate(self.design.columns)}
        return [place[name] for name in self.features]

    @cached_property
    def weight_tables(self) -> tuple[WeightTable, ...]:
        """The weights by the numeric factors and the levels that they belong to."""
        weights, centers = np.zeros((2, len(self.design.columns)))
        weights[self.column_index], centers[self.column_index] = self.params[: len(self.features)], self.moments.centers
        return tuple(make_weight_tables(self.design, weights, centers))

    def shifted_by(self, shifts: Mapping[str, int]) -> LinearPredictor:
        """The predictor for rows from whose columns these whole numbers were subtracted."""
        tables = [
            table._replace(centers=table.centers - float(shifts[factor.name]))
            if len(table.numeric) == 1 and isinstance(factor := table.numeric[0], Name) and factor.name in shifts
            else table
            for table in self.weight_tables
        ]
        return LinearPredictor(self.rows_design, self.intercept, tuple(tables))

    def quantile(self, level: float = DEFAULT_LEVEL) -> float:
        """Student's q with ``P(|T| <= q) = level`` for the fit's residual degrees of freedom.

        Raises:
            SettingError: the level is not between 0 and 1.
        """
        return student_quantile(check_level(level), self.statistics["df_residual"] or math.nan)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.design.formula}; {self.fitted['method']}, {self.data.rows:,} rows)"


def input_columns(design: Design) -> tuple[str, ...]:
    """The columns of the data that the columns of a design are computed from, in the order of its terms."""
    factors = (factor for term in design.terms for factor in term.factors)
    return tuple(dict.fromkeys(name for factor in factors for name in _input_names(factor)))


def _input_names(factor: Expression) -> Iterator[str]:
    root = factor.arguments[0] if isinstance(factor, Call) and factor.function == "C" else factor
    for leaf in find_leaves(root):
        yield leaf.name if isinstance(leaf, Name) else str(leaf.arguments[0].name)  # type: ignore[attr-defined]
