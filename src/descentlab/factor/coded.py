"""From a factor with an indicator column for each level to the columns that the coding of a formula needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.design.levels import format_level
from descentlab.errors import DataError, did_you_mean
from descentlab.factor.factor import Factor
from descentlab.factor.qr import householder
from descentlab.typing import UNIT_ROUNDOFF


def code_columns(factor: Factor) -> Factor:
    """The factor of the same rows with the columns of its design and the target.

    A coded column is an indicator column, or the sum or difference of some: a linear map of columns, which acts on the
    triangle as on the rows. It is exact but for the rounding of these sums and of one more reduction.

    Raises:
        DataError: a category has a single level, or a reference level that no row has.
    """
    design = factor.design
    if design is None:
        return factor
    for key, levels in design.levels.items():
        if len(levels) == 1 and factor.rows:
            raise DataError("one_level", name=key, level=str(levels[0]))
    names = (*design.columns, design.target_name)
    if names == factor.columns:
        return replace(factor, design=None)
    R, origin, error = (np.zeros((len(factor.R_centered), len(names) + 1)), *np.zeros((2, len(names))))
    R[:, 0], R[:, -1] = factor.R_centered[:, 0], factor.R_centered[:, -1]
    origin[-1], error[-1] = factor.origin[-1], factor.rounding_error[-1]
    start = column = 0
    for block in design.blocks:
        indicators, coded = block.in_full().names(design.levels), block.names(design.levels)
        source, target = slice(start, start + len(indicators)), slice(column, column + len(coded))
        start, column = source.stop, target.stop
        columns, norms = (
            factor.R_centered[:, 1:][:, source],
            np.linalg.norm(factor.R_centered[:, 1:][:, source], axis=0),
        )
        if block.is_subset:
            place = {name: i for i, name in enumerate(indicators)}
            index = [place[name] for name in coded]
            R[:, 1:][:, target] = columns[:, index]
            origin[target], error[target] = factor.origin[source][index], factor.rounding_error[source][index]
            continue
        matrix = design.coding_matrix_of(block)
        R[:, 1:][:, target], origin[target] = columns @ matrix, factor.origin[source] @ matrix
        error[target] = (factor.rounding_error[source] + 2 * UNIT_ROUNDOFF * norms) @ np.abs(matrix)
    triangle, reduction_error = householder.qr_of_matrix(R)
    triangle[0, 0] = np.sqrt(factor.weight)
    return Factor(
        names,
        triangle,
        origin,
        factor.rows,
        factor.weight,
        error + reduction_error * np.linalg.norm(triangle[:, 1:], axis=0),
        factor.shifted if factor.shifted is None else _coded_shifts(factor, names),
    )


def _coded_shifts(factor: Factor, names: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the coded columns were shifted: those that are columns of the data."""
    assert factor.shifted is not None
    shifted = {name for name, was_shifted in zip(factor.columns, factor.shifted, strict=True) if was_shifted}
    return np.array([name in shifted for name in names])


def with_columns_of(factor: Factor, design: Design | None) -> Factor:
    """The columns that a factor has for the levels of another one of its formula, whose levels include its own.

    Raises:
        DataError: it has met a level that the other one has not.
    """
    own = factor.design
    if own is None or design is None or not own.same_terms(design):
        return code_columns(factor)
    for key, levels in own.levels.items():
        if unseen := [level for level in levels if level not in design.levels[key]]:
            names = [format_level(level) for level in design.levels[key]]
            near = did_you_mean(format_level(unseen[0]), names)
            raise DataError("unseen_level", name=key, level=format_level(unseen[0]), levels=names, near=near, place="")
    return code_columns(factor.insert_levels(design))
