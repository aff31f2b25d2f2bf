"""What is read in the pass that finds the levels: the numbers of the levels and the numeric factors.

Within the rows of one combination of levels, every column of the design is a numeric factor or zero. So the rows of a
combination can be compressed to a small triangle before the columns of the levels are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from descentlab.data.design.blocks import Block, numeric_labels
from descentlab.data.design.design import Design
from descentlab.data.design.syntax import Expression
from descentlab.typing import FloatArray


class ScanLayout:
    """The columns of the pass that finds the levels: the categories, then the numeric factors.

    Attributes:
        design: what the rows are read for; its levels need not be known.
        groups: the distinct products of numeric factors, each with whether it is multiplied by a category. The
            columns of a category are 0 where a level is absent, so that only the others can be taken relative to an
            origin.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        blocks: dict[tuple[frozenset[str], bool], Block] = {}
        for block in design.blocks:
            if block.numeric:
                blocks.setdefault((frozenset(map(str, block.numeric)), bool(block.categories)), block)
        self._blocks = blocks
        self.groups: list[tuple[tuple[Expression, ...], bool]] = [
            (block.numeric, is_multiplied) for (_, is_multiplied), block in blocks.items()
        ]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        names = [f"C({key})" for key in self.design.categories]
        for (_, is_multiplied), block in zip(self.groups, self._blocks.values(), strict=True):
            labels = block._replace(categories=()).names({})
            suffix = ":".join(f"C({each.key})" for each in block.categories) if is_multiplied else ""
            names += [f"{label}:{suffix}" if suffix else label for label in labels]
        return tuple(names)

    def group_slice(self, block: Block) -> slice:
        """The place of a block's numeric factors among the columns behind the categories."""
        start = 0
        for numeric, is_multiplied in self.groups:
            width = int(np.prod([len(numeric_labels(each)) for each in numeric]))
            if {*map(str, numeric)} == {*map(str, block.numeric)} and is_multiplied == bool(block.categories):
                return slice(start, start + width)
            start += width
        raise KeyError(str(block.term))

    @property
    def fixed_at_zero(self) -> list[bool]:
        """For each column whether its origin is 0."""
        result = [True] * len(self.design.categories)
        for numeric, is_multiplied in self.groups:
            result += [is_multiplied] * int(np.prod([len(numeric_labels(each)) for each in numeric]))
        return result

    def evaluate(self, values: Mapping[str, FloatArray], codes: Mapping[str, FloatArray], rows: int) -> FloatArray:
        """(m, c + q) the numbers of the levels and the numeric factors."""
        parts = [codes[key] for key in self.design.categories]
        parts += [self.design.evaluate_numeric(numeric, values, rows) for numeric, _ in self.groups]
        return np.column_stack(parts)
