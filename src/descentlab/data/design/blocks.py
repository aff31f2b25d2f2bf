"""Blocks of neighbouring columns: numeric factors times the columns of categories, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from descentlab.data.design.formula import Term
from descentlab.data.design.functions import parse_coding, poly_degree
from descentlab.data.design.levels import Level, find_level, format_level
from descentlab.data.design.syntax import Call, Expression, Name
from descentlab.errors import DataError, did_you_mean
from descentlab.typing import FloatArray


class CategoryCoding(NamedTuple):
    """How a category is coded in a block of columns: by all of its levels, or by all but one.

    Attributes:
        factor: the ``C(...)`` of the formula.
        is_full: whether every level has its own column.
    """

    factor: Call
    is_full: bool

    @property
    def key(self) -> str:
        """The category itself: its levels are kept under this name."""
        return category_key(self.factor)

    def contrasts(self, levels: Sequence[Level]) -> FloatArray:
        """(l, c) the columns' values at each level."""
        indicators = np.eye(len(levels))
        if self.is_full or not levels:
            return indicators
        j = self.reference_index(levels)
        columns = np.delete(indicators, j, axis=1)
        return columns - indicators[:, [j]] if self.is_sum else columns

    def labels(self, levels: Sequence[Level]) -> list[str]:
        """The (c,) names of the columns."""
        argument = numeric_labels(self.factor.arguments[0])[0]
        name = f"C({argument}, Sum)" if self.is_sum else f"C({argument})"
        names = [f"{name}[{format_level(level)}]" for level in levels]
        if not self.is_full and levels:
            del names[self.reference_index(levels)]
        return names

    def expand(self, weights: FloatArray, levels: Sequence[Level], axis: int) -> FloatArray:
        """Weights of the columns, along an axis, as weights of the levels."""
        if self.is_full:
            return weights
        of_reference = -weights.sum(axis) if self.is_sum else 0.0
        return np.insert(weights, self.reference_index(levels), of_reference, axis)

    @property
    def is_sum(self) -> bool:
        """Whether the columns are differences to the level without one."""
        return (parse_coding(self.factor) or ("",))[0] == "sum"

    def reference_index(self, levels: Sequence[Level]) -> int:
        """The level without a column: the first, with Sum the last, or the one that is named.

        Raises:
            DataError: the named one is not among them.
        """
        _, reference = parse_coding(self.factor) or ("", None)
        if reference is None:
            return len(levels) - 1 if self.is_sum else 0
        index = find_level(reference, levels)
        if index is None:
            names = [format_level(level) for level in levels]
            near = did_you_mean(str(reference), names)
            raise DataError("no_such_level", name=self.key, level=str(reference), levels=names, near=near)
        return index


def category_key(factor: Call) -> str:
    """The name of a category: what it is made of, whatever its coding."""
    return str(factor.arguments[0])


class Block(NamedTuple):
    """Neighbouring columns of a design: numeric factors times the columns of categories.

    Attributes:
        term: the term that it belongs to.
        numeric: its numeric factors.
        categories: its categories.
    """

    term: Term
    numeric: tuple[Expression, ...]
    categories: tuple[CategoryCoding, ...]

    def in_full(self) -> Block:
        """The block with an indicator column for each level."""
        return self._replace(categories=tuple(CategoryCoding(each.factor, True) for each in self.categories))

    @property
    def is_subset(self) -> bool:
        """Whether its columns are some of the indicator columns, with their names."""
        return all(each.is_full or not each.is_sum for each in self.categories)

    def names(self, levels: Mapping[str, Sequence[Level]]) -> list[str]:
        """The names of the columns, in order: the last factor varies first."""
        by_factor: dict[Expression, list[str]] = {
            each.factor: each.labels(levels[each.key]) for each in self.categories
        }
        by_factor |= {factor: numeric_labels(factor) for factor in self.numeric}
        ordered = [by_factor[factor] for factor in (*self.numeric, *(each.factor for each in self.categories))]
        place: list[Expression] = [factor for factor in self.term.factors if factor in by_factor]
        order = [place.index(factor) for factor in (*self.numeric, *(each.factor for each in self.categories))]
        return [":".join(part for _, part in sorted(zip(order, parts, strict=True))) for parts in product(*ordered)]


def numeric_labels(factor: Expression) -> list[str]:
    """The names of a numeric factor's columns."""
    if isinstance(factor, Call) and factor.function == "poly":
        return [f"{factor}[{power}]" for power in range(1, poly_degree(factor) + 1)]
    return [factor.name if isinstance(factor, Name) else str(factor)]


def take_contrasts(contrasts: FloatArray, codes: FloatArray) -> FloatArray:
    """(m, c) rows of (l, c) contrasts; NaN where the code is."""
    missing = np.isnan(codes)
    rows: FloatArray = contrasts[np.where(missing, 0, codes).astype(np.intp)]
    rows[missing] = np.nan
    return rows
