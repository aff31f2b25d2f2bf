"""The constants of ``center``, ``scale`` and ``poly``: a pass over the rows for each, before the one that fits."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.design.formula import Term
from descentlab.data.design.functions import poly_degree
from descentlab.data.design.syntax import Call, Expression, Number, Operation
from descentlab.data.selection import ColumnSelection
from descentlab.errors import DataError
from descentlab.factor.factor import Factor

BuildFactor = Callable[[ColumnSelection], Factor]


def fit_constants(selection: ColumnSelection, build_factor: BuildFactor) -> None:
    """Compute the constants that a selection's design lacks, those inside others first.

    As in R, they are computed from every row in which the argument has a value, and rows count once, whatever their
    weights. ``scale`` divides by the standard deviation with the divisor n - 1; ``poly`` gives polynomials that are
    orthogonal to each other and to the constant over these rows, each with a sum of squares of 1.

    Raises:
        DataError: a column that is divided by its standard deviation is constant, or has too few distinct values.
    """
    while selection.design is not None and selection.design.unfitted:
        design = selection.design
        found = {str(call): _fit_call(call, selection, build_factor) for call in design.unfitted}
        selection.use_design(replace(design, constants={**design.constants, **found}))


def _fit_call(call: Call, selection: ColumnSelection, build_factor: BuildFactor) -> dict[str, Any]:
    argument = call.arguments[0]
    factor = _factor_of([argument], selection, build_factor)
    constants: dict[str, Any] = {"mean": float(factor.means[-1]), "divisor": 1.0}
    if call.function == "center":
        return constants
    if factor.is_constant[-1]:
        raise DataError("scale_constant", name=str(argument), function=call.function)
    constants["divisor"] = float(factor.std[-1]) * np.sqrt(factor.rows / (factor.rows - 1))
    if call.function == "poly":
        constants["polynomials"] = _fit_polynomials(call, constants, selection, build_factor)
    return constants


def _fit_polynomials(
    call: Call, constants: dict[str, Any], selection: ColumnSelection, build_factor: BuildFactor
) -> list[list[float]]:
    """The coefficients of orthonormal polynomials: columns of ``R^-1`` for the powers ``Z = [1 t .. t^k] = Q R``."""
    scaled = Call("scale", call.arguments[:1])
    powers: list[Expression] = [Operation("**", (scaled, Number(float(i)))) for i in range(1, poly_degree(call) + 1)]
    factor = _factor_of(powers, selection, build_factor, {str(scaled): constants})
    remainders = np.abs(factor.R.diagonal()[1:])
    if (remainders <= 4 * factor.column_error).any():
        raise DataError("poly_degree", name=str(call.arguments[0]), degree=len(powers))
    inverse = np.linalg.solve(factor.R, np.eye(len(powers) + 1))
    return [column.tolist() for column in inverse.T[1:]]


def _factor_of(
    expressions: list[Expression],
    selection: ColumnSelection,
    build_factor: BuildFactor,
    constants: dict[str, Any] | None = None,
) -> Factor:
    """The factor of expressions over the rows where they have values, without weights."""
    known = {} if selection.design is None else selection.design.constants
    *terms, last = expressions
    design = Design(last, tuple(Term((each,)) for each in terms), constants={**known, **(constants or {})})
    rows = copy(selection)
    rows.missing, rows.weights = "drop", None
    rows.use_design(design)
    return build_factor(rows)
