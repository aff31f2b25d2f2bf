"""Which columns of which source are fitted: the features, the target, the weights, and the rows to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.data import open_column, open_source
from descentlab.data.arrays import ArraySource
from descentlab.data.combined import JoinedSource
from descentlab.data.source import MAX_MAGNITUDE, Piece, Source, has_finite_squares, is_from_package
from descentlab.errors import DataError, did_you_mean
from descentlab.messages import Message, message, pluralize
from descentlab.typing import FloatArray

WEIGHTS_COLUMN = "(weights)"  # the column name of weights that came as an array


Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class ScanCounts:
    """What a pass over rows found: it adds up, however the rows were divided.

    Attributes:
        rows, rows_with_missing: how many rows, and how many of them with a missing value.
        missing, infinite, too_large: (k,) how many such values in each column.
        negative: how many negative weights.
        inexact_columns: the columns in which a whole number lost digits.
    """

    rows: int
    rows_with_missing: int
    missing: Counts
    infinite: Counts
    too_large: Counts
    negative: int
    inexact_columns: set[str]

    @classmethod
    def zeros(cls, n_columns: int) -> ScanCounts:
        """Of no rows and k columns."""
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
    """What is taken of every piece: small enough to travel with it.

    Attributes:
        columns: the features, the target, and the weights if there are any.
        weighted: whether the last of them holds weights.
        drop_missing: whether rows with missing values are left out.
    """

    columns: tuple[str, ...]
    weighted: bool
    drop_missing: bool

    def clean_blocks(self, piece: Piece, scan_counts: ScanCounts) -> Iterator[tuple[FloatArray, FloatArray | None]]:
        """A piece's rows to keep, as :meth:`ColumnSelection.blocks` gives them, for as long as nothing is amiss."""
        must_refuse = False
        for block in piece.blocks(self.columns):
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
        """The rows to keep of a block that holds values no descent can use, and whether it has to be refused."""
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
        features, target: the columns' names.
        notices: what was left out, and how the data was read; complete once the blocks were read.
        plan: what is taken of each piece of ``source``.
        scan_counts: what the last pass found.
    """

    def __init__(
        self,
        X: object,
        y: object,
        target: str | None,
        features: Sequence[str] | None,
        weights: object,
        missing: str,
        csv_options: Mapping[str, Any],
    ) -> None:
        """Find the columns meant, in whatever holds them; see :class:`descentlab.Problem`."""
        if isinstance(y, str) and target is None:
            y, target = None, y
        requested = (
            None if features is None else (features,) if isinstance(features, str) else tuple(map(str, features))
        )
        source = open_source(X, names=requested if y is not None else None, csv_options=csv_options)
        self._positional_args = [
            argument for argument, other in (("y", y), ("weights", weights)) if _index_differs(X, other)
        ]
        if y is None and target is None:
            raise DataError("no_target", columns=source.names)
        if y is None:
            self.target = check_column(str(target), source.names, source.excluded_columns)
        else:
            if isinstance(source, ArraySource):
                requested = None  # they named the array's columns, and all of them are used
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
        self.features = choose_features(requested, source.names, source.excluded_columns, self.target, self.weights)
        self.missing = missing
        self.source: Source = source
        self.plan = ReadPlan(
            (*self.features, self.target, *((self.weights,) if self.weights else ())),
            weighted=self.weights is not None,
            drop_missing=missing == "drop",
        )
        self.scan_counts = ScanCounts.zeros(len(self.plan.columns))
        self._uses_all_columns = requested is None

    @property
    def notices(self) -> list[Message]:
        left_out = self.source.excluded_columns.items() if self._uses_all_columns else ()
        notices = [message("notice.left_out", name=name, reason=reason) for name, reason in left_out]
        notices += self.source.notices
        if self._positional_args:
            notices.append(message("notice.by_position", names=self._positional_args))
        if self.dropped:
            counts = self._format_counts(self.scan_counts.missing)
            notices.append(message("notice.rows_dropped", count=self.dropped, total=self.rows, counts=counts))
        return notices

    @property
    def rows(self) -> int:
        """How many rows the last pass saw."""
        return self.scan_counts.rows

    @property
    def dropped(self) -> int:
        """How many of them it left out for a missing value."""
        return self.scan_counts.rows_with_missing

    def blocks(self) -> Iterator[tuple[FloatArray, FloatArray | None]]:
        """The rows to keep: (m, d + 1) features and target in order, and (m,) weights or None.

        Raises:
            DataError: a value is missing or infinite, or a weight negative. The data is read to its end first, so
                that the error can name every column.
        """
        scan_counts = ScanCounts.zeros(len(self.plan.columns))
        for piece in self.source.pieces(self.plan.columns):
            yield from self.plan.clean_blocks(piece, scan_counts)
        self.check_scan(scan_counts)

    def check_scan(self, scan_counts: ScanCounts) -> None:
        """Take what a whole pass found, or refuse it.

        Raises:
            DataError: a value that the settings do not allow was found.
        """
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
        self.scan_counts = scan_counts
        self.source.inexact_columns |= scan_counts.inexact_columns

    def _format_counts(self, counts: Counts) -> tuple[str, ...]:
        """How many of each column that has any."""
        return tuple(f"`{name}`: {count:,}" for name, count in zip(self.plan.columns, counts, strict=True) if count)

    def to_arrays(self) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """(n, d) features, (n,) target and (n,) weights of the rows kept, after a pass over the blocks.

        Arrays that hold just these columns are given as they are, without a copy.
        """
        single_columns = [(self.target,), *([(self.weights,)] if self.weights else [])]
        if not self.dropped:
            arrays = [self.source.as_array(names) for names in (self.features, *single_columns)]
            if all(array is not None for array in arrays):
                X, y, *w = (array for array in arrays if array is not None)
                return X, y[:, 0], w[0][:, 0] if w else None
        n, d, filled = self.rows - self.dropped, len(self.features), 0
        X, y, weights = np.empty((n, d)), np.empty(n), np.empty(n) if self.weights else None
        for values, block_weights in self.blocks():
            row_slice = slice(filled, filled + len(values))
            X[row_slice], y[row_slice] = values[:, :d], values[:, d]
            if weights is not None:
                weights[row_slice] = block_weights
            filled += len(values)
        return X, y, weights

    def sample_rows(self, max_rows: int) -> tuple[FloatArray, FloatArray | None]:
        """(m, d + 1) features and target of at most ``max_rows`` rows kept, evenly spaced, and their (m,) weights or
        None.

        One more pass over the blocks, of which only those rows stay in memory.
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


def check_column(name: str, names: Sequence[str], excluded_columns: Mapping[str, Message]) -> str:
    """``name``, if it is a numeric column.

    Raises:
        DataError: it is none, or not a column at all; then near names are suggested.
    """
    name = str(name)
    if name in names:
        return name
    if name in excluded_columns:
        raise DataError("not_numeric", name=name, reason=excluded_columns[name])
    all_columns = (*names, *excluded_columns)
    raise DataError("no_such_column", name=name, columns=all_columns, near=did_you_mean(name, all_columns))


def choose_features(
    requested: Sequence[str] | None,
    names: Sequence[str],
    excluded_columns: Mapping[str, Message],
    target: str,
    weights: str | None,
) -> tuple[str, ...]:
    """The features: those wanted, or every numeric column but the target and the weights.

    Raises:
        DataError: none is left, or one is wanted twice, not numeric, the target or the weights; or, where all are
            taken, a column is nearly numeric, since leaving it out would be no more right than guessing its cells.
    """
    if requested is None:
        for name, reason in excluded_columns.items():
            if reason.key == "left_out.mixed":
                raise DataError("nearly_numeric", name=name, reason=reason)
        features = tuple(name for name in names if name not in (target, weights))
    else:
        features = tuple(
            check_column(name, names, excluded_columns)
            for name in ([requested] if isinstance(requested, str) else requested)
        )
    repeated = sorted({name for name in features if features.count(name) > 1})
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    for key, role in (("target_is_feature", target), ("weights_are_feature", weights)):
        if role in features:
            raise DataError(key, name=role)
    if not features:
        raise DataError("no_features", target=target, columns=(*names, *excluded_columns))
    return features


def _target_name(source: Source, y: object) -> str:
    """A name for a target that came on its own: a series' own, or ``y``, or ``target`` where y is a column of X."""
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
    """Whether two pandas objects label their rows differently: rows are paired by position, never by label."""
    if not (is_from_package(X, "pandas") and is_from_package(other, "pandas")):
        return False
    index, other_index = getattr(X, "index", None), getattr(other, "index", None)
    return index is not None and other_index is not None and not index.equals(other_index)
