"""Two models side by side: an F test where one holds the other, AIC and BIC, and the cost on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from descentlab.data import open_source
from descentlab.data.design.design import Design
from descentlab.data.design.formula import Term
from descentlab.data.design.syntax import Number
from descentlab.errors import DataError
from descentlab.messages import Message, message, pluralize, to_json_types
from descentlab.messages.document import Presentable
from descentlab.model.fitted_model import ColumnMoments, FittedModel
from descentlab.model.prediction_stream import PredictionStream
from descentlab.problem.tail_probabilities import f_upper_tail
from descentlab.typing import FloatArray

SAME_ROWS_TOLERANCE = 1e-9  # of means and deviations, relative to the deviation


@dataclass(frozen=True)
class HeldOutCosts:
    """The mean squared errors of two models on the same rows.

    Attributes:
        costs: of each model, on the rows that both can predict.
        rows: their number.
        skipped: the number of rows without a target or without a prediction of one of them.
    """

    costs: tuple[float, float]
    rows: int
    skipped: int


@dataclass(frozen=True, eq=False)
class ModelComparison(Presentable):
    """Two models of the same target.

    Attributes:
        models, names: the two, and what to call them.
        no_statistics: why their statistics cannot be compared; None if both are least squares on the same rows.
        nested: the index of the smaller model if its columns are among those of the other; else None.
        f, f_p_value, df: the F statistic of the columns that the larger model adds, ``P(F >= f)`` and the two
            degrees of freedom; nan if there is no test.
        held_out: the costs on new rows; None without them.
    """

    models: tuple[FittedModel, FittedModel]
    names: tuple[str, str]
    no_statistics: Message | None
    nested: int | None
    f: float
    f_p_value: float
    df: tuple[float, float]
    held_out: HeldOutCosts | None

    def differences(self, statistic: str) -> float:
        """The statistic of the second model less that of the first, such as ``"aic"``; nan where there is none."""
        first, second = (model.statistics.get(statistic) for model in self.models)
        return math.nan if first is None or second is None or self.no_statistics else second - first

    def to_dict(self) -> dict[str, Any]:
        """Every number, JSON-ready; null is one that is not defined."""
        content = {
            "models": self.names,
            "target": self.models[0].target,
            "nested": None if self.nested is None else self.names[self.nested],
            "f": self.f,
            "f_p_value": self.f_p_value,
            "df": None if math.isnan(self.f) else self.df,
            "aic_difference": self.differences("aic"),
            "bic_difference": self.differences("bic"),
            "held_out_cost": None if self.held_out is None else self.held_out.costs,
            "held_out_rows": None if self.held_out is None else self.held_out.rows,
            "not_compared": None if self.no_statistics is None else str(self.no_statistics),
        }
        converted: dict[str, Any] = to_json_types(content)
        return converted


def compare_models(
    first: FittedModel,
    second: FittedModel,
    data: object = None,
    names: tuple[str, str] = ("1", "2"),
    **csv_options: Any,
) -> ModelComparison:
    """Compare two models; see :meth:`descentlab.Model.compare`."""
    if str(first.design.target) != str(second.design.target):
        raise DataError("compare_targets", first=first.target, second=second.target)
    reason = _not_comparable_reason(first, second, names)
    if reason is not None and data is None:
        raise DataError("compare_nothing", reason=reason)
    nested = _find_nested(first, second)
    f, df = (math.nan, (math.nan, math.nan)) if nested is None or reason else _f_statistic(first, second, nested)
    p = math.nan if math.isnan(f) else float(f_upper_tail(f, *df))
    held_out = None if data is None else _held_out_costs(first, second, data, csv_options)
    return ModelComparison((first, second), names, reason, nested, f, p, df, held_out)


def _not_comparable_reason(first: FittedModel, second: FittedModel, names: tuple[str, str]) -> Message | None:
    """Why the statistics of two models say nothing of one another; None if they do."""
    for model, name in zip((first, second), names, strict=True):
        if not model.statistics:
            return message("compare.not_at_minimum", name=name)
        if model.no_interval is not None and model.no_interval.key == "model.ridge":
            return message("compare.ridge", name=name)
    a, b = first.data, second.data
    if (a.rows, a.weight) != (b.rows, b.weight):
        return message("compare.rows", first=a.rows, second=b.rows)
    if a.weights_are != b.weights_are:
        return message("compare.weights")
    if not _is_close(a.target_mean, b.target_mean, a.target_spread) or not _is_close(
        a.target_spread, b.target_spread, a.target_spread
    ):
        return message("compare.other_rows", name=first.target)
    return _different_column(first, second)


def _different_column(first: FittedModel, second: FittedModel) -> Message | None:
    places = {name: j for j, name in enumerate(second.features)}
    for i, name in enumerate(first.features):
        if name in places:
            (means, spreads), (others, other_spreads) = (
                (each.moments.centers + each.moments.offsets, each.moments.spreads) for each in (first, second)
            )
            j, spread = places[name], float(spreads[i])
            if not _is_close(means[i], others[j], spread) or not _is_close(spread, other_spreads[j], spread):
                return message("compare.other_rows", name=name)
    return None


def _is_close(a: float, b: float, spread: float) -> bool:
    return bool(abs(a - b) <= SAME_ROWS_TOLERANCE * spread + 4 * np.finfo(float).eps * abs(a))


def _find_nested(first: FittedModel, second: FittedModel) -> int | None:
    parameters = [{*model.features, *(["1"] if model.has_bias else [])} for model in (first, second)]
    return 0 if parameters[0] < parameters[1] else 1 if parameters[1] < parameters[0] else None


def _f_statistic(first: FittedModel, second: FittedModel, nested: int) -> tuple[float, tuple[float, float]]:
    """F and its degrees of freedom; nan if the larger fit is exact, or if the added columns depend on the others."""
    small, large = (first, second) if nested == 0 else (second, first)
    df = (small.statistics["df_residual"] or 0.0) - (large.statistics["df_residual"] or 0.0)
    sigma, df_large = large.statistics["sigma"], large.statistics["df_residual"] or 0.0
    if sigma is None or not df > 0 or not df_large > 0:
        return math.nan, (df, df_large)
    explained = (small.statistics["residual_sum"] or 0.0) - (large.statistics["residual_sum"] or 0.0)
    return max(explained, 0.0) / df / sigma**2, (df, df_large)


def _held_out_costs(first: FittedModel, second: FittedModel, data: object, csv_options: dict[str, Any]) -> HeldOutCosts:
    source = open_source(data, csv_options=csv_options)
    streams = [PredictionStream(model, source) for model in (first, second, _target_as_model(first))]
    sums, rows, total = np.zeros(2), 0, 0
    for predictions in _align([_values(stream) for stream in streams]):
        block = np.column_stack(predictions)
        known = block[np.isfinite(block).all(axis=1)]
        sums += np.sum((known[:, :2] - known[:, 2:]) ** 2, axis=0)
        rows, total = rows + len(known), total + len(block)
    if not rows:
        raise DataError("compare_no_rows", rows=pluralize(total, "row"))
    return HeldOutCosts((float(sums[0] / rows), float(sums[1] / rows)), rows, total - rows)


def _target_as_model(model: FittedModel) -> FittedModel:
    """A model whose prediction is the target itself."""
    design = Design(Number(0.0), (Term((model.design.target,)),), bias=False)
    zeros = np.zeros(1)
    return replace(
        model,
        design=design,
        parameters=design.columns,
        params=np.ones(1),
        intercept=0.0,
        moments=ColumnMoments(zeros, zeros, zeros),
        inputs={},
    )


def _values(stream: PredictionStream) -> Iterator[FloatArray]:
    return (block.values[:, 0] for block in stream.blocks())


def _align(streams: list[Iterator[FloatArray]]) -> Iterator[list[FloatArray]]:
    """Blocks of the same rows from each stream, however each of them cuts the rows."""
    rest = [np.empty(0) for _ in streams]
    while True:
        for i, stream in enumerate(streams):
            while not len(rest[i]):
                block = next(stream, None)
                if block is None:
                    return
                rest[i] = block
        rows = min(map(len, rest))
        yield [part[:rows] for part in rest]
        rest = [part[rows:] for part in rest]
