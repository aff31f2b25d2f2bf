"""The model: it predicts, is saved and loaded, and becomes SQL text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from descentlab.messages import Message
from descentlab.model import comparison_text, model_text  # noqa: F401 (they register how these are presented)
from descentlab.model.comparison import ModelComparison, compare_models
from descentlab.model.fitted_model import FittedModel
from descentlab.model.model_file import load_model, model_from_json, model_to_json, save_model
from descentlab.model.prediction_output import write_predictions
from descentlab.model.prediction_stream import PredictionStream
from descentlab.model.sql import write_sql
from descentlab.typing import FloatArray


class IntervalPrediction(NamedTuple):
    """Predictions with intervals: (n,) arrays, NaN where there is none."""

    prediction: FloatArray
    lower: FloatArray
    upper: FloatArray


class Model(FittedModel):
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
    array([ 9.85, 11.79])
    >>> [round(float(each[0]), 4) for each in model.predict([5], interval=0.95)]
    [9.85, 8.4725, 11.2275]
    >>> dl.Model.from_json(model.to_json()).params == model.params
    array([ True,  True])
    """

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
        stream = PredictionStream(
            self, rows, keep=keep, interval=interval, kind=kind, unseen=unseen, csv_options=csv_options
        )
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
        return write_sql(self, dialect)

    def compare(
        self, other: Model, data: object = None, *, names: tuple[str, str] = ("1", "2"), **csv_options: Any
    ) -> ModelComparison:
        """This model beside another one of the same target.

        If the columns of one are among those of the other: ``F = (S - S') / (df - df') / (S' / df')``, with S the
        residual sums of squares, the prime the larger one, and df the residual degrees of freedom. Else the criteria
        AIC and BIC, and with ``data`` the mean squared error of both on rows that neither has seen.

        Args:
            other: the other one.
            data: held-out rows with the target; None for none.
            names: what to call the two in words.
            **csv_options: what is known about CSV files.

        Raises:
            DataError: the targets differ; or, without ``data``, the models were not fitted to the same rows by least
                squares, so that their statistics say nothing of one another.

        >>> import descentlab as dl
        >>> x, y = [1.0, 2, 3, 4, 5, 6], [1.2, 1.9, 3.2, 3.9, 5.1, 5.8]
        >>> large = dl.Problem([[a, a * a] for a in x], y, features=["x", "x2"]).solve().model
        >>> result = dl.Problem([[a] for a in x], y, features=["x"]).solve().model.compare(large)
        >>> result.nested, round(result.f, 4), round(result.f_p_value, 4)
        (0, 0.0543, 0.8307)
        """
        return compare_models(self, other, data, names, **csv_options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a readable JSON file, in one step; :meth:`load` gives back every bit.

        Raises:
            OSError: the file cannot be written; an earlier one is unchanged.
        """
        save_model(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a model file.

        Raises:
            DataError: it cannot be read, is not a model, is damaged, or was written by a newer version.
        """
        return load_model(cls, path)

    def to_json(self) -> str:
        """The content of a model file."""
        return model_to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Model:
        """The inverse of :meth:`to_json`; raises as :meth:`load` does."""
        return model_from_json(cls, text, "JSON")
