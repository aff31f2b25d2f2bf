"""Validation: the cost on held-out rows by the number of updates, from their factor alone."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from descentlab.data import CSV_OPTIONS
from descentlab.data.design.choose import request_design
from descentlab.data.selection import ColumnSelection
from descentlab.descent.descent import Descent
from descentlab.errors import DataError, SettingError
from descentlab.factor.build import build_factor
from descentlab.factor.coded import with_columns_of
from descentlab.factor.factor import Factor
from descentlab.messages import Message, message, pluralize, to_json_types
from descentlab.messages.document import Block, Presentable, make_blocks, message_blocks
from descentlab.model_selection.validation_curve import (
    ValidationCurve,
    concatenate_ranges,
    log_spaced_ranges,
    make_held_out_cost,
)
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import check_descent, check_keywords, check_problem, keyword_names
from descentlab.typing import FloatArray, IntArray

EQUAL_RTOL = 1e-9  # costs that differ by this fraction are reported as equal
EQUAL_START_RTOL = 1e-24  # the same as a fraction of the initial cost


@dataclass(frozen=True, eq=False)
class Validation(Presentable):
    """Training and held-out cost by the number of updates; mean squared errors, inf beyond float64's range.

    Attributes:
        updates: (k,) 0, 1, 2, ..., 128, then evenly spaced on a log scale, up to the descent's epochs.
        train_cost, cost: (k,) on the training rows and on the held-out rows after ``updates`` updates.
        best_updates: the number of updates, among all of 0 .. epochs, with the least held-out cost; of costs that
            differ by rounding alone, the fewest updates.
        best_cost, best_train_cost, best_params: after ``best_updates``; the parameters (p,) in the data's units.
        final_cost: the held-out cost after all epochs.
        rows, weight: of the held-out rows.
        exact: whether all numbers of updates were considered: always, unless errors still oscillate after
            1,048,576 updates.
        notices: messages about held-out rows that were left out.
    """

    updates: IntArray
    train_cost: FloatArray
    cost: FloatArray
    best_updates: int
    best_cost: float
    best_train_cost: float
    best_params: FloatArray
    final_cost: float
    rows: int
    weight: float
    exact: bool = True
    notices: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Where the held-out cost is least, the cost after all epochs, and the conclusion."""
        last, final_train = int(self.updates[-1]), float(self.train_cost[-1])
        at_best = {"updates": self.best_updates, "cost": self.best_cost, "train": self.best_train_cost}
        if self.best_updates == last:
            return (message("validation.falling", **at_best),)
        if self.final_cost - self.best_cost <= EQUAL_RTOL * self.best_cost + EQUAL_START_RTOL * float(self.cost[0]):
            return (message("validation.settled", **at_best),)
        first = message("validation.least" if self.best_updates else "validation.never", **at_best)
        if not (math.isfinite(self.final_cost) and math.isfinite(final_train)):
            return (first, message("validation.overflowed", epochs=last))
        after = message("validation.after", epochs=last, cost=self.final_cost, train=final_train)
        if final_train <= self.best_train_cost:
            return (first, after, message("validation.overfits"))
        grows = final_train > float(self.train_cost[0])
        return (first, after, message("validation.grows")) if grows else (first, after)

    def to_dict(self) -> dict[str, object]:
        """Every field as JSON-ready values; None for numbers that are not finite."""
        result: dict[str, object] = to_json_types({each.name: getattr(self, each.name) for each in fields(self)})
        return result


@make_blocks.register
def _(result: Validation) -> list[Block]:
    return message_blocks((*result.notices, *result.messages))


def validate(
    problem: Problem,
    descent: Descent,
    held_out: object,
    y: object = None,
    *,
    weights: object = None,
    missing: str = "error",
    **reading: Any,
) -> Validation:
    """The cost on held-out rows during a descent, and the number of updates at which it is least.

        cost(t) = sum_i w_i (H(x_i; p(t)) - y_i)^2 / sum_i w_i        over the held-out rows

    with p(t) the parameters after t updates on the training rows. With a constant rate p(t) is a closed form; other
    descents are run once.

    Args:
        problem: the training rows. Their means and standard deviations center and scale the held-out rows, too.
        descent: the settings.
        held_out: a :class:`Factor` or a :class:`Problem` that has the training columns, in any order and among
            others; or rows, as :class:`Problem` takes them: an array, a table, a path.
        y, weights, missing, reading: with rows, as in :class:`Problem`. Columns of arrays take the training's names.

    Raises:
        DataError: a column is missing, no held-out row has a positive weight, or the rows cannot be used.
        EngineError: no engine can run this descent.
        SettingError: ``descent`` is not a Descent, or a keyword is unknown.

    >>> import descentlab as dl
    >>> train = dl.Problem([1.0, 2.0, 3.0], [1.2, 1.9, 3.2], bias=False)
    >>> found = dl.validate(train, dl.Descent(lr=0.01, epochs=100), [1.0, 2.0], [1.0, 2.0])
    >>> error = found.best_params[0] - 1  # y = x on the held-out rows
    >>> bool(abs(found.best_cost - (1 + 4) / 2 * error**2) < 1e-12), found.best_updates
    (True, 33)
    """
    problem = check_problem(validate, problem)
    descent = check_descent(validate, descent)
    check_keywords(reading, (*CSV_OPTIONS, *keyword_names(validate)))
    factor, notices = _build_held_out_factor(problem, held_out, y, weights, missing, reading)
    curve = ValidationCurve(problem, descent, make_held_out_cost(problem, factor))
    best_updates, exact = curve.argmin()
    ranges = log_spaced_ranges(descent.epochs)
    train, cost = np.concatenate([curve.costs_at(span) for span in ranges], axis=1)
    best_train, best_cost = curve.costs_at(range(best_updates, best_updates + 1))[:, 0].tolist()
    return Validation(
        updates=concatenate_ranges(ranges),
        train_cost=train,
        cost=cost,
        best_updates=best_updates,
        best_cost=best_cost,
        best_train_cost=best_train,
        best_params=curve.params_at(best_updates),
        final_cost=float(cost[-1]),
        rows=factor.rows,
        weight=factor.weight,
        exact=exact,
        notices=notices,
    )


def unpack_held_out(held_out: object) -> tuple[object, object]:
    """Held-out rows as X and y; y is None if the target is among the columns.

    Args:
        held_out: a factor, a problem, a table, rows, or one or several paths; or X and y, as a tuple or a list of two.

    Raises:
        SettingError: it is a tuple or list of something else.
    """
    if not isinstance(held_out, tuple | list):
        return held_out, None
    if held_out and all(isinstance(each, str | os.PathLike) for each in held_out):
        return held_out, None
    if len(held_out) == 2 or (len(held_out) == 1 and isinstance(held_out, tuple)):
        return held_out[0], held_out[-1] if len(held_out) == 2 else None
    if isinstance(held_out, list) and held_out and all(isinstance(each, list | tuple) for each in held_out):
        return held_out, None  # rows with the target among their columns
    raise SettingError("held_out_pair", kind=type(held_out).__name__, count=len(held_out))


def _build_held_out_factor(
    problem: Problem, held_out: object, y: object, weights: object, missing: str, reading: Mapping[str, Any]
) -> tuple[Factor, tuple[Message, ...]]:
    """The held-out rows' factor with the training columns in their order, and messages about rows left out."""
    columns = (*problem.features, problem.target)
    notices: tuple[Message, ...] = ()
    if isinstance(held_out, Problem | Factor):
        if y is not None or weights is not None:
            raise SettingError("factor_with_rows")
        factor = with_columns_of(held_out if isinstance(held_out, Factor) else held_out.factor, problem.design)
        lacking = [name for name in columns if name not in factor.columns]
        if lacking:
            raise DataError("held_out_columns", names=lacking, columns=factor.columns)
        factor = factor.select(columns)
    elif problem.design is not None:
        request = request_design(problem.design, None, problem.bias, y)
        target = None if y is None else problem.design.target_column
        selection = ColumnSelection(held_out, y, target, None, weights, missing, reading, None, request)
        factor, notices = build_factor(selection).select(columns), tuple(selection.notices)
    else:
        try:
            selection = ColumnSelection(held_out, y, problem.target, problem.features, weights, missing, reading)
        except DataError as error:
            if error.message.key == "error.names_count":
                values = error.message.values
                raise DataError("held_out_count", count=values["count"], names=problem.features) from error
            raise
        factor = build_factor(selection)
        notices = tuple(selection.notices)
    if not factor.weight > 0:
        raise DataError("held_out_empty", rows=pluralize(factor.rows, "row"))
    return factor, notices
