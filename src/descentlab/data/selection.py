"""Select the columns of a source that are fitted (features, target, weights) and the rows to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.data import open_column, open_source
from descentlab.data.arrays import ArraySource
from descentlab.data.columns import as_names, check_column, choose_features
from descentlab.data.combined import JoinedSource
from descentlab.data.design.choose import NO_DESIGN, DesignRequest, LevelCount, count_levels, left_out_notice
from descentlab.data.design.design import Design
from descentlab.data.design.source import DesignSource
from descentlab.data.row_numbers import find_row_numbers
from descentlab.data.source import MAX_MAGNITUDE, Piece, Source, has_finite_squares, is_from_package
from descentlab.errors import DataError
from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray, IntArray

WEIGHTS_COLUMN = "(weights)"  # the column name of weights given as an array


@dataclass
class ScanCounts:
    """The counts of a pass over rows; the counts of parts of the rows can be added.

    Attributes:
        rows, rows_with_missing: the number of rows, and of those with a missing value.
        missing, infinite, too_large: (k,) the number of such values in each column.
        negative: the number of negative weights.
        inexact_columns: the columns with an integer that float64 cannot hold.
    """

    rows: int
    rows_with_missing: int
    missing: IntArray
    infinite: IntArray
    too_large: IntArray
    negative: int
    inexact_columns: set[str]

    @classmethod
    def zeros(cls, n_columns: int) -> ScanCounts:
        """The counts of no rows with k columns."""
        zeros = np.zeros(n_columns, dtype=np.int64)
        return cls(0, 0, zeros, zeros.copy(), zeros.copy(), 0, set())

    def __iadd__(self, other: ScanCounts) -> ScanCounts:
        self.rows += other.rows
        self.rows_with_missing += other.rows_with_missing
        self.missing = self.missing + other.missing
        self.infinite = self.infinite + other.infinite
        self.too_large = self.too_large + other.too_large
        self.negative += other.negative
        self.inexact_columns = self.inexact_columns | other.inexact_columns
        return self


@dataclass(frozen=True)
class ReadPlan:
    """How the rows of a piece are read; small enough to be sent to other processes with it.

    Attributes:
        columns: the features, the target, and the weights if there are any.
        weighted: whether the last column has weights.
        drop_missing: whether rows with missing values are left out.
        shifts: what is subtracted from columns of large whole numbers before they are rounded (see ``Source``).
        scanned_design: the design whose levels this pass finds, if any; the columns are those of its ``ScanLayout``.
    """

    columns: tuple[str, ...]
    weighted: bool
    drop_missing: bool
    shifts: Mapping[str, int] = field(default_factory=dict)
    scanned_design: Design | None = None

    @property
    def value_columns(self) -> tuple[str, ...]:
        """The columns without the weights."""
        return self.columns[:-1] if self.weighted else self.columns

    def shift_vector(self, columns: Sequence[str]) -> FloatArray:
        """(k,) the shifts of these columns; 0 for the others."""
        return np.array([float(self.shifts.get(name, 0)) for name in columns])

    def clean_blocks(self, piece: Piece, scan_counts: ScanCounts) -> Iterator[tuple[FloatArray, FloatArray | None]]:
        """Yield the rows to keep of a piece, as :meth:`ColumnSelection.blocks` does, until a value is not allowed."""
        must_refuse = False
        for block in piece.blocks(self.columns, self.shifts):
            scan_counts.rows += len(block)
            if not has_finite_squares(block):
                block, refused = self._drop_incomplete(block, scan_counts)
                must_refuse |= refused
            if self.weighted:
                negative = int((block[:, -1] < 0).sum())
                scan_counts.negative += negative
                must_refuse |= negative > 0
            if not must_refuse:
                yield (block[:, :-1], block[:, -1]) if self.weighted else (block, None)
        scan_counts.inexact_columns |= piece.inexact_columns

    def _drop_incomplete(self, block: FloatArray, scan_counts: ScanCounts) -> tuple[FloatArray, bool]:
        """The rows to keep of a block with unusable values, and whether the block is refused."""
        missing, infinite, too_large = np.isnan(block), np.isinf(block), np.abs(block) > MAX_MAGNITUDE
        scan_counts.missing += missing.sum(axis=0)
        scan_counts.infinite += infinite.sum(axis=0)
        scan_counts.too_large += too_large.sum(axis=0)
        incomplete = missing.any(axis=1)
        scan_counts.rows_with_missing += int(incomplete.sum())
        return block[~incomplete], bool(too_large.any()) or (bool(incomplete.any()) and not self.drop_missing)


class ColumnSelection:
    """Features, target and weights of a source, read block by block as often as needed.

    Attributes:
        features, target: the names of the columns.
        notices: what was left out, and how the data was read; complete after the blocks were read.
        plan: how each piece of ``source`` is read.
        scan_counts: the counts of the last pass.
    """

    scan_counts: ScanCounts
    _counted_columns: tuple[str, ...]

    def __init__(
        self,
        X: object,
        y: object,
        target: str | None,
        features: Sequence[str] | None,
        weights: object,
        missing: str,
        csv_options: Mapping[str, Any],
        drop: Sequence[str] | None = None,
        request: DesignRequest = NO_DESIGN,
    ) -> None:
        """See :class:`descentlab.Problem` for the arguments."""
        if isinstance(y, str) and target is None:
            y, target = None, y
        target = request.check_arguments(y, target, features, drop)
        requested = None if features is None else as_names(features)
        source = open_source(X, names=requested if y is not None else None, csv_options=csv_options)
        self._positional_args = [
            argument for argument, other in (("y", y), ("weights", weights)) if _index_differs(X, other)
        ]
        if y is None and target is None:
            raise DataError("no_target", columns=source.names)
        if y is None:
            self.target = str(target)
            if request.formula is None:
                check_column(self.target, source.names, source.excluded_columns)
        else:
            if isinstance(source, ArraySource):
                requested = None  # these are the names of the array's columns, which are all used
            self.target = str(target) if target is not None else _target_name(source, y)
            if self.target in source.names:
                raise DataError("target_is_feature", name=self.target)
            source = _join_column(source, open_column(y, "y", self.target), "y")
        self.weights: str | None = None
        if isinstance(weights, str):
            self.weights = check_column(weights, source.names, source.excluded_columns)
            if self.weights == self.target:
                raise DataError("weights_are_target", name=weights)
        elif weights is not None:
            self.weights = WEIGHTS_COLUMN
            source = _join_column(source, open_column(weights, "weights", WEIGHTS_COLUMN), "weights")
        self.set_aside = {} if requested is not None or y is not None else find_row_numbers(source)
        self.missing, self.data_source = missing, source
        self._dropped_columns, self._uses_all_columns = as_names(drop), requested is None and request.formula is None
        self.design = request.make_design(source, self.target, self.weights, requested, drop, self.set_aside)
        if self.design is None:
            features = choose_features(
                requested, source.names, source.excluded_columns, self.target, self.weights, drop, self.set_aside
            )
            self._select(source, features, None)
        else:
            self.use_design(self.design)

    @property
    def design_is_read(self) -> bool:
        """Whether the columns read are the indicator columns of a design: it has no categories."""
        return self.design is not None and not self.design.categories

    def use_design(self, design: Design, unseen: str = "error") -> None:
        """Read the columns of a design; while it lacks levels, those of the pass that finds them."""
        source = DesignSource(self.data_source, design, (self.weights,) if self.weights else (), unseen=unseen)
        self.design, self.target = design, design.target_name
        self._select(source, source.features, None if design.has_levels else design)

    def keep_design(self, design: Design) -> None:
        """Read the columns of a design whose levels the last pass has found; its counts are kept.

        Only rows that are dropped for a missing value can have another level.
        """
        counts, columns = self.scan_counts, self._counted_columns
        self.use_design(design, "missing")
        self.scan_counts, self._counted_columns = counts, columns

    def _select(self, source: Source, features: tuple[str, ...], scanned_design: Design | None) -> None:
        self.source, self.features = source, features
        columns = (*features, self.target, *((self.weights,) if self.weights else ()))
        weighted, drop_missing = self.weights is not None, self.missing == "drop"
        self.plan = ReadPlan(columns, weighted, drop_missing, scanned_design=scanned_design)
        self.scan_counts = ScanCounts.zeros(len(columns))
        self._counted_columns = columns
        self.__dict__.pop("shifts", None)

    @property
    def notices(self) -> list[Message]:
        left_out = {**self.source.excluded_columns, **self.set_aside} if self._uses_all_columns else {}
        used = (*self._dropped_columns, self.target, self.weights, *(self.design.label_columns if self.design else ()))
        notices = [
            left_out_notice(name, reason, self._level_counts.get(name), self.target)
            for name, reason in left_out.items()
            if name not in used
        ]
        notices += self.source.notices
        if self._positional_args:
            notices.append(message("notice.by_position", names=self._positional_args))
        if self.dropped:
            counts = _format_counts(self.scan_counts.missing, self._counted_columns)
            notices.append(message("notice.rows_dropped", count=self.dropped, total=self.rows, counts=counts))
        return notices

    @cached_property
    def _level_counts(self) -> dict[str, LevelCount]:
        return count_levels(self.data_source)

    @property
    def rows(self) -> int:
        """The number of rows in the last pass."""
        return self.scan_counts.rows

    @property
    def dropped(self) -> int:
        """The number of these rows that were left out because a value is missing."""
        return self.scan_counts.rows_with_missing

    @cached_property
    def shifts(self) -> dict[str, int]:
        """For each column of whole numbers that float64 cannot hold, a value near them; see ``Source``."""
        return self.source.integer_shifts(self.plan.columns)

    @property
    def shifted_plan(self) -> ReadPlan:
        """The plan that yields values less their ``shifts``."""
        return replace(self.plan, shifts=self.shifts)

    def blocks(self, *, shifted: bool = False) -> Iterator[tuple[FloatArray, FloatArray | None]]:
        """Yield the rows to keep: (m, d + 1) features and target in order, and (m,) weights or None.

        Args:
            shifted: whether to yield values less their ``shifts``.

        Raises:
            DataError: a value is missing or infinite, or a weight is negative. It is raised at the end of the data, so
                that it names every column.
        """
        scan_counts = ScanCounts.zeros(len(self.plan.columns))
        plan = self.shifted_plan if shifted else self.plan
        for piece in self.source.pieces(plan.columns):
            yield from plan.clean_blocks(piece, scan_counts)
        self.check_scan(scan_counts)

    def check_scan(self, scan_counts: ScanCounts) -> None:
        """Check and keep the counts of a whole pass.

        Raises:
            DataError: a value is not allowed.
        """
        if scan_counts.infinite.any() and self.design is not None:
            computed = {*self.plan.columns} - {*self.design.number_columns}
            infinite = [name for name, count in zip(self.plan.columns, scan_counts.infinite, strict=True) if count]
            if computed & {*infinite}:
                counts = self._format_counts(scan_counts.infinite)
                raise DataError("formula_domain", counts=counts, hint=self.design.domain_hint)
        if scan_counts.infinite.any():
            raise DataError("infinite_values", counts=self._format_counts(scan_counts.infinite))
        if scan_counts.too_large.any():
            raise DataError("too_large", counts=self._format_counts(scan_counts.too_large), limit=MAX_MAGNITUDE)
        if scan_counts.rows_with_missing and not self.plan.drop_missing:
            raise DataError(
                "missing_values",
                counts=self._format_counts(scan_counts.missing),
                rows=pluralize(scan_counts.rows_with_missing, "row"),
            )
        if scan_counts.rows_with_missing and scan_counts.rows_with_missing == scan_counts.rows:
            raise DataError("all_dropped", counts=self._format_counts(scan_counts.missing), rows=scan_counts.rows)
        if scan_counts.negative:
            raise DataError("weights_negative", count=scan_counts.negative)
        self.scan_counts, self._counted_columns = scan_counts, self.plan.columns
        self.source.inexact_columns |= scan_counts.inexact_columns

    def _format_counts(self, counts: IntArray) -> tuple[str, ...]:
        return _format_counts(counts, self.plan.columns)

    def to_arrays(self, *, shifted: bool = False) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """(n, d) features, (n,) target and (n,) weights of the rows kept; call it after a pass over the blocks.

        Arrays with exactly these columns are returned without a copy.
        """
        single_columns = [(self.target,), *([(self.weights,)] if self.weights else [])]
        if not self.dropped and not (shifted and self.shifts):
            arrays = [self.source.as_array(names) for names in (self.features, *single_columns)]
            if all(array is not None for array in arrays):
                X, y, *w = (array for array in arrays if array is not None)
                return X, y[:, 0], w[0][:, 0] if w else None
        n, d, filled = self.rows - self.dropped, len(self.features), 0
        X, y, weights = np.empty((n, d)), np.empty(n), np.empty(n) if self.weights else None
        for values, block_weights in self.blocks(shifted=shifted):
            row_slice = slice(filled, filled + len(values))
            X[row_slice], y[row_slice] = values[:, :d], values[:, d]
            if weights is not None:
                weights[row_slice] = block_weights
            filled += len(values)
        return X, y, weights

    def sample_rows(self, max_rows: int) -> tuple[FloatArray, FloatArray | None]:
        """(m, d + 1) features and target of at most ``max_rows`` evenly spaced rows, and their (m,) weights or None.

        This is one more pass over the blocks, and keeps only these rows in memory.
        """
        n_rows = self.rows - self.dropped
        indices = np.unique(np.linspace(0, n_rows - 1, min(n_rows, max_rows)).round().astype(int))
        samples, weights, rows_read = [np.empty((0, len(self.features) + 1))], [np.empty(0)], 0
        for values, block_weights in self.blocks():
            first, last = np.searchsorted(indices, (rows_read, rows_read + len(values)))
            samples.append(values[indices[first:last] - rows_read])
            if block_weights is not None:
                weights.append(block_weights[indices[first:last] - rows_read])
            rows_read += len(values)
        return np.concatenate(samples), np.concatenate(weights) if self.weights else None


def _format_counts(counts: IntArray, columns: Sequence[str]) -> tuple[str, ...]:
    """The count of each column where it is not 0, as text."""
    return tuple(f"`{name}`: {count:,}" for name, count in zip(columns, counts, strict=True) if count)


def _target_name(source: Source, y: object) -> str:
    """The name of a target given apart: that of its series, or ``y``, or ``target`` if X has a column ``y``."""
    taken = (*source.names, *source.excluded_columns)
    series_name = getattr(y, "name", None) if is_from_package(y, "pandas", "polars") else None
    names = [str(series_name)] if series_name not in (None, "") else []
    return next(name for name in (*names, "y", "target", "(target)") if name not in taken)


def _join_column(source: Source, column: Source, argument: str) -> Source:
    if isinstance(source, ArraySource) and isinstance(column, ArraySource):
        rows, entries = len(source.matrix), len(column.matrix)
        if rows == 1 != entries and source.matrix.shape[1] > 1:
            hint = Message("error.hint_one_row", {"what": argument})
            raise DataError("lengths", X=pluralize(rows, "row"), what=argument, y=entries, hint=hint)
    return JoinedSource(source, column, argument)


def _index_differs(X: object, other: object) -> bool:
    """Whether two pandas objects have different indexes; their rows are paired by position nevertheless."""
    if not (is_from_package(X, "pandas") and is_from_package(other, "pandas")):
        return False
    index, other_index = getattr(X, "index", None), getattr(other, "index", None)
    return index is not None and other_index is not None and not index.equals(other_index)
