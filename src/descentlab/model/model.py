"""The model: what a fit leaves behind that predicts, can be saved, and can be compared with another."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
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
from descentlab.problem.statistics import DEFAULT_LEVEL
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


class IntervalPrediction(NamedTuple):
    """Predictions with intervals: (n,) arrays, NaN where there is none."""

    prediction: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(Presentable):
    """A fitted linear hypothesis that predicts, without the data it was fitted to.

        H(x) = intercept + sum_j weight_j (x_j - center_j)

    The sum is taken from left to right, row by row, so a prediction has the same bits in any block, on any number of
    workers, and in the SQL text. Centers are 0, and the intercept is the bias, except for columns far from zero.

    Attributes:
        design: how the columns of the hypothesis are computed from those of the data, and the target.
        parameters: (p,) the names: columns in order, then the bias.
        params: (p,) in the data's units, to the last bit.
        intercept: the prediction where each column is at its center.
        moments: where the columns lay.
        variance: what intervals are computed from; None if there are none.
        no_interval: why there are none, as a message; None if there are.
        statistics: those of the fit, by name; None is one that is not defined.
        standard_errors: (p,) of the parameters; NaN where there is none.
        inputs: how each column of the data was read: ``kind`` is ``number``, ``category`` or ``date``.
        data: the rows that it was fitted to.
        fitted: how: ``method`` is ``least squares`` or ``descent``, with the settings.
        version: of descentlab, that made it.

    >>> import descentlab as dl
    >>> model = dl.Problem([1.0, 2, 3, 4], [2.1, 3.9, 6.2, 7.8]).solve().model
    >>> model.predict([5, 6]).round(4)
    array([ 9.85, 11.78])
    >>> [round(float(each[0]), 4) for each in model.predict([5], interval=0.95)]
    [9.85, 8.599, 11.101]
    >>> dl.Model.from_json(model.to_json()).params == model.params
    array([ True,  True])
    """

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

    def predict(
        self,
        rows: object,
        *,
        interval: float | None = None,
        kind: str = "observation",
        unseen: str = "error",
        **csv_options: Any,
    ) -> Any:
        """Predictions for new rows.

        Args:
            rows: what :class:`descentlab.Problem` takes: files, tables, arrays. Columns are found by name, and others
                are not looked at; an array has the ``input_columns`` in order.
            interval: the level of intervals, such as 0.95; None gives none.
            kind: ``"observation"``: the interval holds a new value of the target, of weight 1; ``"mean"``: the mean
                of the target at such rows.
            unseen: what to do about a level that the fitted rows did not have: ``"error"``, ``"missing"`` (no
                prediction), or ``"reference"`` (as the level without a column).
            **csv_options: what is known about CSV files, as for :class:`descentlab.Problem`.

        Returns:
            (n,) predictions, or with an interval an :class:`IntervalPrediction` of three such arrays. NaN where a
            value is missing, or where a function has no finite value.

        Raises:
            DataError: the rows lack a column, or one cannot be used; a level is new.
            SettingError: a setting is not allowed, or there are no intervals; the message says why.
        """
        from descentlab.model.prediction_stream import PredictionStream

        stream = PredictionStream(self, rows, interval=interval, kind=kind, unseen=unseen, csv_options=csv_options)
        values = np.concatenate([np.empty((0, stream.width)), *(block.values for block in stream.blocks())])
        return values[:, 0] if interval is None else IntervalPrediction(*values.T)

    def predict_file(
        self,
        rows: object,
        output: str | os.PathLike[str],
        *,
        keep: Sequence[str] = (),
        interval: float | None = None,
        kind: str = "observation",
        unseen: str = "error",
        **csv_options: Any,
    ) -> tuple[Message, ...]:
        """Write predictions to a ``.parquet``, ``.arrow`` or ``.csv`` file, in one step, in memory that stays flat.

        Args:
            rows, interval, kind, unseen, csv_options: as for :meth:`predict`.
            output: the file: the columns of ``keep``, then ``prediction``, and with an interval ``lower`` and
                ``upper``; null where there is none.
            keep: columns of the rows to copy.

        Returns:
            What is to be said of the rows: how many have no prediction, and why; how they were read.

        Raises:
            DataError, SettingError: as :meth:`predict`.
            OSError: the file cannot be written; an earlier one is unchanged.
        """
        from descentlab.model.prediction_output import write_predictions
        from descentlab.model.prediction_stream import PredictionStream

        settings = {"interval": interval, "kind": kind, "unseen": unseen, "csv_options": csv_options}
        stream = PredictionStream(self, rows, keep=keep, **settings)
        write_predictions(stream, output)
        return stream.notices

    def to_sql(self, dialect: str = "duckdb") -> str:
        """The prediction as one SQL expression, for the dialect ``duckdb`` or ``postgresql``.

        It has the bits of :meth:`predict`, up to the last digits of logarithms, exponentials and powers, and is NULL
        where a value is missing, a level is new, or a function has no finite value. Names and levels are quoted.

        >>> import descentlab as dl
        >>> print(dl.Problem([1.0, 2, 3], [3.0, 5, 7]).solve().model.to_sql())
        1e0
        + CAST("x" AS DOUBLE) * 2e0
        """
        from descentlab.model.sql import write_sql

        return write_sql(self, dialect)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a readable JSON file, in one step; :meth:`load` gives back every bit.

        Raises:
            OSError: the file cannot be written; an earlier one is unchanged.
        """
        from descentlab.model.model_file import save_model

        save_model(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a model file.

        Raises:
            DataError: it cannot be read, is not a model, is damaged, or was written by a newer version.
        """
        from descentlab.model.model_file import load_model

        return load_model(path)

    def to_json(self) -> str:
        """The content of a model file."""
        from descentlab.model.model_file import model_to_json

        return model_to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Model:
        """The inverse of :meth:`to_json`; raises as :meth:`load` does."""
        from descentlab.model.model_file import model_from_json

        return model_from_json(text, "JSON")

    def quantile(self, level: float = DEFAULT_LEVEL) -> float:
        """Student's q with ``P(|T| <= q) = level`` for the fit's residual degrees of freedom.

        Raises:
            SettingError: the level is not between 0 and 1.
        """
        from descentlab.problem.statistics import check_level
        from descentlab.problem.tail_probabilities import student_quantile

        return student_quantile(check_level(level), self.statistics["df_residual"] or math.nan)

    def __repr__(self) -> str:
        return f"Model({self.design.formula}; {self.fitted['method']}, {self.data.rows:,} rows)"


def input_columns(design: Design) -> tuple[str, ...]:
    """The columns of the data that the columns of a design are computed from, in the order of its terms."""
    factors = (factor for term in design.terms for factor in term.factors)
    return tuple(dict.fromkeys(name for factor in factors for name in _input_names(factor)))


def _input_names(factor: Expression) -> Iterator[str]:
    root = factor.arguments[0] if isinstance(factor, Call) and factor.function == "C" else factor
    for leaf in find_leaves(root):
        yield leaf.name if isinstance(leaf, Name) else str(leaf.arguments[0].name)  # type: ignore[attr-defined]
