"""Rows with categories, compressed for each combination of levels: as small as the data allows, and as exact.

Within the rows of one combination, every column of the design is a numeric factor or zero. The triangle of the
constant, the numeric factors and the target over these rows therefore replaces them in every column, and a category
of thousands of levels needs no column of its own until the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.design.levels import Level
from descentlab.data.design.scan import ScanLayout
from descentlab.factor.factor import Factor, choose_origin
from descentlab.factor.limits import check_size
from descentlab.factor.qr import householder
from descentlab.typing import UNIT_ROUNDOFF, FloatArray, IntArray

MAX_HELD_ROWS = 1 << 16  # rows that are held as they are, before they are compressed
DENSE_SIZE_RATIO = 2  # a triangle of all columns replaces combinations that take more memory than this many of it


@dataclass(frozen=True, eq=False)
class CellRows:
    """Rows that replace n weighted rows with categories.

    Attributes:
        design: the design with the levels met.
        codes: (m, c) the index of each row's level in each category; equal rows of codes are neighbours.
        values: (m, q + 2) ``sqrt(w) [1, F - origin, t - origin]`` with the numeric factors F of :class:`ScanLayout`.
        origin: (q + 1,) subtracted from each factor and the target.
        rows: n.
        weight: the sum of the weights.
        relative_error: bound on the backward error of each column, relative to its norm.
    """

    design: Design
    codes: IntArray
    values: FloatArray
    origin: FloatArray
    rows: int
    weight: float
    relative_error: float = 4 * UNIT_ROUNDOFF

    @classmethod
    def from_blocks(
        cls,
        blocks: Iterable[tuple[FloatArray, FloatArray | None]],
        design: Design,
        origin: FloatArray | None,
        find_levels: Callable[[], Mapping[str, Sequence[Level]]],
    ) -> CellRows | Factor:
        """Compress blocks of the columns of :class:`ScanLayout` and the target.

        Args:
            blocks: (m, c + q + 1) values and (m,) weights or None.
            design: the design, without levels.
            origin: (c + q + 1,) of these columns (default: the median of the first rows). It counts as 0 for factors
                of a category.
            find_levels: returns, after the blocks were read, the levels of each category by their numbers.
        """
        c, is_fixed = len(design.categories), np.array([*ScanLayout(design).fixed_at_zero, False])
        codes, values = np.zeros((0, c), dtype=np.int64), np.zeros((0, len(is_fixed) - c + 1))
        rows, weight, error = 0, 0.0, 4 * UNIT_ROUNDOFF
        for block, weights in _join_blocks(blocks):
            if origin is None and len(block):
                origin = choose_origin(block)
            base = np.where(is_fixed, 0.0, 0.0 if origin is None else origin)[c:]
            scaled = np.column_stack([np.ones(len(block)), block[:, c:] - base])
            if weights is not None:
                scaled *= np.sqrt(weights)[:, None]
            codes = np.concatenate([codes, block[:, :c].astype(np.int64)])
            codes, values, step_error = compress_cells(codes, np.concatenate([values, scaled]))
            rows, error = rows + len(block), error + step_error
            weight += float(len(block) if weights is None else np.sum(weights))
        met, origin = find_levels(), np.zeros(len(is_fixed)) if origin is None else origin
        used = {key: np.unique(codes[:, j]) for j, key in enumerate(design.categories)}  # not those of dropped rows
        complete = design.with_levels({key: [met[key][i] for i in used[key]] for key in used})
        for j, key in enumerate(design.categories):
            recoded = _recode([met[key][i] for i in used[key]], complete.levels[key])
            codes[:, j] = recoded[np.searchsorted(used[key], codes[:, j])]
        return cls(complete, codes, values, np.where(is_fixed, 0.0, origin)[c:], rows, weight, error).compact()

    def merge(self, other: CellRows | Factor) -> CellRows | Factor:
        """The rows of both; the levels are those of either."""
        if not other.rows:
            return self
        if isinstance(other, Factor):
            return self.to_factor().merge(other)
        if not self.rows:
            return other
        keys = self.design.categories
        a, b = self.design.levels, other.design.levels
        union = self.design.with_levels({key: list(dict.fromkeys((*a[key], *b[key]))) for key in keys})
        codes = np.concatenate([_with_levels(self, union), _with_levels(other, union)])
        codes, values, error = compress_cells(codes, np.concatenate([self.values, other.values]))
        error += max(self.relative_error, other.relative_error)
        rows, weight = self.rows + other.rows, self.weight + other.weight
        return CellRows(union, codes, values, self.origin, rows, weight, error).compact()

    def compact(self) -> CellRows | Factor:
        """The factor of all columns, if it is smaller.

        Raises:
            DataError: there are too many levels.
        """
        k = self.design.count_indicators()
        check_size(k + 1, self.design)
        dense_size = (k + 2) ** 2
        return self.to_factor() if self.values.size > DENSE_SIZE_RATIO * dense_size else self

    def to_factor(self) -> Factor:
        """The factor with an indicator column for each level.

        Raises:
            DataError: it would be too large.
        """
        empty = Factor.empty_design(self.design)
        p = len(empty.columns) + 1
        has_constant = self.values[:, 0] != 0
        layout = IndicatorLayout(self.design)
        R, error = np.zeros((0, p)), 0.0
        if not has_constant.all():  # the constant is 0, and with it all columns without a numeric factor
            columns = layout.numeric_columns
            partial, error = householder.qr_of_matrix(
                layout.rows(self.codes[~has_constant], self.values[~has_constant], columns)
            )
            R = np.zeros((len(partial), p))
            R[:, columns] = partial
        constant_rows = layout.rows(self.codes[has_constant], self.values[has_constant], np.arange(p))
        R, last_error = householder.qr_of_matrix(np.concatenate([constant_rows, R]))
        R[0, 0] = np.sqrt(self.weight)
        relative_error = self.relative_error + error + last_error
        return replace(
            empty,
            R_centered=R,
            origin=layout.spread_origin(self.origin),
            rows=self.rows,
            weight=self.weight,
            rounding_error=relative_error * np.linalg.norm(R[:, 1:], axis=0),
        )

    def to_arrays(self) -> dict[str, Any]:
        """Everything but the counts, as arrays."""
        return {
            "design": np.array(json.dumps(self.design.to_dict())),
            "codes": self.codes,
            "values": self.values,
            "origin": self.origin,
            "error": np.array(self.relative_error),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> CellRows:
        """The inverse of :meth:`to_arrays`; the arrays have the counts as well."""
        design = Design.from_dict(json.loads(str(arrays["design"])))
        rows, weight, error = int(arrays["rows"]), float(arrays["weight"]), float(arrays["error"])
        return cls(design, arrays["codes"], arrays["values"], arrays["origin"], rows, weight, error)


class IndicatorLayout:
    """Where the values of compressed rows stand among the columns of a factor of indicators.

    Attributes:
        numeric_columns: the columns, from the constant on, that have a numeric factor, and the target.
    """

    def __init__(self, design: Design) -> None:
        self.design, self.scan = design, ScanLayout(design)
        self.blocks: list[tuple[int, slice | None, tuple[int, ...], tuple[int, ...]]] = []
        start, numeric = 1, []
        for block in design.blocks:
            source = self.scan.group_slice(block) if block.numeric else None
            categories = tuple(design.categories.index(each.key) for each in block.categories)
            sizes = tuple(len(design.levels[each.key]) for each in block.categories)
            width = (1 if source is None else source.stop - source.start) * int(np.prod(sizes, dtype=np.int64))
            self.blocks.append((start, source, categories, sizes))
            if source is not None:
                numeric.append(np.arange(start, start + width))
            start += width
        self.numeric_columns = np.concatenate([*numeric, [start]]).astype(np.intp)
        self.width = start + 1

    def rows(self, codes: IntArray, values: FloatArray, columns: Any) -> FloatArray:
        """(m, k) these columns, from the constant on, of m compressed rows."""
        place = np.full(self.width, -1)
        place[columns] = np.arange(len(columns))
        result = np.zeros((len(values), len(columns)), order="F")
        row = np.arange(len(values))
        for j, column in ((0, 0), (self.width - 1, values.shape[1] - 1)):
            if place[j] >= 0:
                result[:, place[j]] = values[:, column]
        for start, source, categories, sizes in self.blocks:
            if source is None and place[start] < 0:
                continue
            n_cells = int(np.prod(sizes, dtype=np.int64))
            cell = np.ravel_multi_index(tuple(codes[:, list(categories)].T), sizes) if sizes else np.zeros_like(row)
            for i, column in enumerate([0] if source is None else range(source.start + 1, source.stop + 1)):
                result[row, place[start + i * n_cells + cell]] = values[:, column]
        return result

    def spread_origin(self, origin: FloatArray) -> FloatArray:
        """(k,) the origin of each column of the factor; 0 where a category takes part."""
        result = np.zeros(self.width - 1)
        result[-1] = origin[-1]
        for start, source, categories, _ in self.blocks:
            if source is not None and not categories:
                result[start - 1 : start - 1 + source.stop - source.start] = origin[source]
        return result


def compress_cells(codes: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray, float]:
    """The rows sorted by their codes, with those of equal codes compressed to a triangle, and its relative error."""
    n, p = values.shape
    if n == 0:
        return codes, values, 0.0
    order = np.lexsort(codes.T[::-1])
    codes, values = codes[order], values[order]
    starts = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]).any(axis=1)])
    sizes = np.diff(np.r_[starts, n])
    if (sizes <= p).all():
        return codes, values, 0.0
    is_kept, error = np.repeat(sizes <= p, sizes), 0.0
    kept_codes, kept_values = [codes[is_kept]], [values[is_kept]]
    for longest in 2 ** np.unique(np.ceil(np.log2(sizes[sizes > p])).astype(np.int64)):
        cells = np.flatnonzero((sizes > p) & (sizes <= longest) & (sizes > longest // 2))
        triangles, cell_error = _triangles_of_cells(values, starts[cells], sizes[cells], int(longest))
        rows = triangles.reshape(-1, p)
        is_zero = ~rows.any(axis=1)
        kept_codes.append(np.repeat(codes[starts[cells]], p, axis=0)[~is_zero])
        kept_values.append(rows[~is_zero])
        error = max(error, cell_error)
    codes, values = np.concatenate(kept_codes), np.concatenate(kept_values)
    order = np.lexsort(codes.T[::-1])
    return codes[order], values[order], error


def _triangles_of_cells(
    values: FloatArray, starts: IntArray, sizes: IntArray, longest: int
) -> tuple[FloatArray, float]:
    """(c, p, p) triangles of c runs of at most ``longest`` rows, and their relative error."""
    p = values.shape[1]
    if longest > householder.PANEL_ROWS:
        results = [
            householder.qr_of_rows(np.array(values[i : i + m], order="F")) for i, m in zip(starts, sizes, strict=True)
        ]
        return np.array([R for R, _ in results]), max(error for _, error in results)
    stacked = np.zeros((len(starts), longest, p))
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    stacked[np.repeat(np.arange(len(starts)), sizes), within] = values[np.repeat(starts, sizes) + within]
    R: FloatArray = np.asarray(np.linalg.qr(stacked, mode="r"))
    R *= np.where(np.diagonal(R, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, :, None]
    return R + 0.0, householder.relative_error_bound(longest, p)


def _join_blocks(
    blocks: Iterable[tuple[FloatArray, FloatArray | None]],
) -> Iterator[tuple[FloatArray, FloatArray | None]]:
    """Blocks of at least ``MAX_HELD_ROWS`` rows, but the last."""
    held: list[tuple[FloatArray, FloatArray | None]] = []
    for block in blocks:
        held.append(block)
        if sum(len(values) for values, _ in held) >= MAX_HELD_ROWS:
            yield _concatenate_blocks(held)
            held = []
    if held:
        yield _concatenate_blocks(held)


def _concatenate_blocks(blocks: list[tuple[FloatArray, FloatArray | None]]) -> tuple[FloatArray, FloatArray | None]:
    weights = [weights for _, weights in blocks if weights is not None]
    return np.concatenate([values for values, _ in blocks]), np.concatenate(weights) if weights else None


def _recode(met: Sequence[Level], levels: Sequence[Level]) -> IntArray:
    """For each level in the order met its index among the sorted ones."""
    index = {level: i for i, level in enumerate(levels)}
    return np.array([index[level] for level in met], dtype=np.int64)


def _with_levels(cells: CellRows, design: Design) -> IntArray:
    """The codes of the rows for a design with more levels."""
    codes = cells.codes.copy()
    for j, key in enumerate(design.categories):
        codes[:, j] = _recode(cells.design.levels[key], design.levels[key])[codes[:, j]]
    return codes
