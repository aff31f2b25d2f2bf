"""A design: the columns of Z as products of factors, each computed from columns of the data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from descentlab.data.design.blocks import Block, CategoryCoding, category_key, numeric_labels, take_contrasts
from descentlab.data.design.coding import code_terms
from descentlab.data.design.formula import Term, is_category
from descentlab.data.design.functions import (
    DATE_FUNCTIONS,
    FITTED,
    check_factor,
    check_number,
    domain_hint,
    evaluate,
    find_leaves,
)
from descentlab.data.design.levels import Level, sort_levels
from descentlab.data.design.parser import parse_formula
from descentlab.data.design.syntax import Call, Expression, Name
from descentlab.errors import DataError, DescentlabError
from descentlab.messages import Message
from descentlab.typing import FloatArray

DESIGN_VERSION = 1
Constants = Mapping[str, Any]


@dataclass(frozen=True)
class Design:
    """Which columns a hypothesis has, and how they are computed from the data.

    Attributes:
        target: the target, which can be a function of a column.
        terms: the products of factors in order, without the bias.
        bias: whether the hypothesis has a constant term; it decides the coding of categories.
        levels: the sorted levels of each category; empty until the rows were read.
        constants: the constants of ``center``, ``scale`` and ``poly``, by the text of the call; empty as well.

    >>> from descentlab.data.design.formula import read_formula
    >>> formula = read_formula("price ~ size * C(city)")
    >>> design = Design(formula.target, formula.terms, formula.bias, {"city": ("Busan", "Seoul")})
    >>> design.columns
    ('size', 'C(city)[Seoul]', 'size:C(city)[Seoul]')
    >>> Design.from_dict(design.to_dict()) == design
    True
    """

    target: Expression
    terms: tuple[Term, ...]
    bias: bool = True
    levels: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    constants: Mapping[str, Constants] = field(default_factory=dict)

    @property
    def target_name(self) -> str:
        return numeric_labels(self.target)[0]

    @property
    def target_column(self) -> str:
        """The column of the data that the target is computed from, the first if it is several."""
        return next(leaf.name for leaf in find_leaves(self.target) if isinstance(leaf, Name))

    @property
    def formula(self) -> str:
        """The formula, with everything written out."""
        return f"{self.target} ~ {' + '.join(map(str, self.terms))}{'' if self.bias else ' - 1'}"

    @cached_property
    def category_columns(self) -> frozenset[str]:
        """The columns that a category takes part in."""
        return frozenset(name for block in self.blocks if block.categories for name in block.names(self.levels))

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The categories in the order of the terms."""
        factors = [factor for term in self.terms for factor in term.factors if is_category(factor)]
        return tuple(dict.fromkeys(category_key(factor) for factor in factors if isinstance(factor, Call)))

    @property
    def has_levels(self) -> bool:
        """Whether the levels of every category are known."""
        return all(key in self.levels for key in self.categories)

    @property
    def unfitted(self) -> tuple[Call, ...]:
        """The calls whose constants are not known, but those of their arguments are."""
        calls = [each for each in self._calls() if each.function in FITTED and str(each) not in self.constants]
        return tuple(call for call in calls if not any(other in call.arguments[0].walk() for other in calls))

    def _calls(self) -> Iterator[Call]:
        for root in [factor for term in self.terms for factor in term.factors] + [self.target]:
            yield from (each for each in root.walk() if isinstance(each, Call))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of columns, in order."""
        parts_of_terms = []
        orders: dict[frozenset[str], tuple[Expression, ...]] = {}  # of the same factors, for all terms
        for term in self.terms:
            categories = {category_key(f): f for f in term.factors if isinstance(f, Call) and is_category(f)}
            numeric = tuple(factor for factor in term.factors if not is_category(factor))
            numeric = orders.setdefault(frozenset(map(str, numeric)), numeric)
            parts_of_terms.append((term, numeric, categories))
        coded = code_terms(
            [(frozenset(map(str, numeric)), tuple(categories)) for _, numeric, categories in parts_of_terms], self.bias
        )
        return tuple(
            Block(term, numeric, tuple(CategoryCoding(categories[key], full) for key, full in part.items()))
            for (term, numeric, categories), parts in zip(parts_of_terms, coded, strict=True)
            for part in parts
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; the levels must be known."""
        return tuple(name for block in self.blocks for name in block.names(self.levels))

    @cached_property
    def indicator_columns(self) -> tuple[str, ...]:
        """The names with a column for each level of each category, whatever the coding."""
        return tuple(name for block in self.blocks for name in block.in_full().names(self.levels))

    def count_indicators(self) -> int:
        """The number of ``indicator_columns``, without making their names."""
        widths = [
            int(np.prod([len(numeric_labels(each)) for each in block.numeric], dtype=object))
            * int(np.prod([len(self.levels[each.key]) for each in block.categories], dtype=object))
            for block in self.blocks
        ]
        return sum(widths)

    @cached_property
    def leaves(self) -> tuple[Expression, ...]:
        """The columns and parts of dates that numbers are computed from."""
        roots = [factor for term in self.terms for factor in term.factors if not is_category(factor)] + [self.target]
        roots += [root for key in self.categories if not isinstance(root := parse_formula(key), Name)]
        return tuple(dict.fromkeys(leaf for root in roots for leaf in find_leaves(root)))

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The columns of the data that are read as numbers."""
        return tuple(leaf.name for leaf in self.leaves if isinstance(leaf, Name))

    @property
    def date_calls(self) -> tuple[Call, ...]:
        """The parts of dates that are used."""
        return tuple(leaf for leaf in self.leaves if isinstance(leaf, Call) and leaf.function in DATE_FUNCTIONS)

    @cached_property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of the data that are read as they are: categories and dates."""
        labels = [root.name for key in self.categories if isinstance(root := parse_formula(key), Name)]
        dates = [call.arguments[0] for call in self.date_calls]
        return tuple(dict.fromkeys([*labels, *(each.name for each in dates if isinstance(each, Name))]))

    @cached_property
    def shiftable_columns(self) -> frozenset[str]:
        """The columns of the data that are columns of the design, and are in no other factor or product."""
        uses = [factor for term in self.terms for factor in term.factors] + [self.target]
        used = Counter(leaf.name for root in uses for leaf in root.walk() if isinstance(leaf, Name))
        alone = [*(term.factors[0] for term in self.terms if len(term.factors) == 1), self.target]
        return frozenset(each.name for each in alone if isinstance(each, Name) and used[each.name] == 1)

    def reference_code(self, key: str) -> int:
        """The index of a category's level that has no column of its own where it is coded by the others."""
        factors = [factor for term in self.terms for factor in term.factors if isinstance(factor, Call)]
        factor = next(each for each in factors if is_category(each) and category_key(each) == key)
        return CategoryCoding(factor, False).reference_index(self.levels[key])

    @property
    def domain_hint(self) -> Message | str:
        """What values the functions of the terms need."""
        return domain_hint({call.function for call in self._calls()})

    def with_levels(self, levels: Mapping[str, Sequence[Level]]) -> Design:
        """The design with these levels, sorted."""
        return replace(self, levels={key: sort_levels(levels[key]) for key in self.categories})

    def same_terms(self, other: Design) -> bool:
        """Whether two designs differ at most in their levels."""
        return replace(self, levels={}) == replace(other, levels={})

    def evaluate_numeric(
        self, factors: Sequence[Expression], values: Mapping[str, FloatArray], rows: int
    ) -> FloatArray:
        """(m, k) the products of numeric factors; (m, 1) ones without factors."""
        result = np.ones((rows, 1))
        for factor in factors:
            columns = evaluate(factor, values, self.constants, rows).reshape(rows, -1)
            result = (result[:, :, None] * columns[:, None, :]).reshape(rows, -1)
        return result

    def evaluate(self, values: Mapping[str, FloatArray], codes: Mapping[str, FloatArray], rows: int) -> FloatArray:
        """(m, k) the columns on m rows; NaN where a value is missing.

        Args:
            values: the (m,) values of the ``leaves`` by their text.
            codes: the (m,) index of each category's level, NaN where missing.
            rows: m.
        """
        result = np.empty((rows, len(self.columns)), order="F")
        start = 0
        for block in self.blocks:
            columns = self.evaluate_numeric(block.numeric, values, rows)
            for each in block.categories:
                indicators = take_contrasts(each.contrasts(self.levels[each.key]), codes[each.key])
                columns = (columns[:, :, None] * indicators[:, None, :]).reshape(rows, -1)
            result[:, start : start + columns.shape[1]] = columns
            start += columns.shape[1]
        return result

    def coding_matrix_of(self, block: Block) -> FloatArray:
        """(i, c) the columns of a block as sums and differences of its indicator columns."""
        matrix: FloatArray = np.eye(int(np.prod([len(numeric_labels(each)) for each in block.numeric])))
        for each in block.categories:
            matrix = np.asarray(np.kron(matrix, each.contrasts(self.levels[each.key])), dtype=np.float64)
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """The design as values of JSON's types: expressions are text in the notation of formulas."""
        return {
            "version": DESIGN_VERSION,
            "target": str(self.target),
            "terms": [str(term) for term in self.terms],
            "bias": self.bias,
            "levels": {key: list(levels) for key, levels in self.levels.items()},
            "constants": {key: dict(constants) for key, constants in self.constants.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Design:
        """The inverse of :meth:`to_dict`.

        Raises:
            DataError: it is not a design, or one of a newer version.
        """
        try:
            if type(content["version"]) is not int or type(content["bias"]) is not bool:
                raise TypeError("version, bias")
            if content["version"] > DESIGN_VERSION:
                raise DataError("design_newer", version=content["version"], known=DESIGN_VERSION)
            target, factors = parse_formula(content["target"]), map(_parse_product, content["terms"])
            check_number(target, content["target"])
            levels = {str(key): tuple(map(_check_level, values)) for key, values in content["levels"].items()}
            if repeated := [key for key, values in levels.items() if len(set(values)) < len(values)]:
                raise ValueError(f"levels of {repeated[0]}")
            constants = {str(key): _check_constants(values) for key, values in content["constants"].items()}
            return cls(target, tuple(map(Term, factors)), content["bias"], levels, constants)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as cause:
            if isinstance(cause, DescentlabError) and cause.message.key == "error.design_newer":
                raise
            raise DataError("design_invalid", cause=str(cause)[:200]) from cause


def _parse_product(text: str) -> tuple[Expression, ...]:
    tree = parse_formula(text)
    factors: list[Expression] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if getattr(node, "symbol", None) == ":":
            stack += reversed(list(node))
        else:
            check_factor(node, text)
            factors.append(node)
    return tuple(factors)


def _check_level(level: Any) -> Level:
    if not isinstance(level, str | bool | int | float) or (isinstance(level, float) and not math.isfinite(level)):
        raise TypeError(f"level {level!r}")
    return level


def _check_constants(constants: Mapping[str, Any]) -> Constants:
    checked: dict[str, Any] = {name: float(constants[name]) for name in ("mean", "divisor")}
    if "polynomials" in constants:
        checked["polynomials"] = [[float(each) for each in row] for row in constants["polynomials"]]
    values = (checked["mean"], checked["divisor"], *chain(*checked.get("polynomials", ())))
    if not all(map(math.isfinite, values)) or checked["divisor"] == 0:
        raise ValueError(f"constants {values}")
    return checked
