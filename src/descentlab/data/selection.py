"""Which columns of which source are fitted: the features, the target, the weights, and the rows to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.arrays import Array
from descentlab.data import open_column, open_source
from descentlab.data.arrays import ArraySource
from descentlab.data.source import LARGEST, Beside, Source, is_from, tame
from descentlab.errors import DataError, near
from descentlab.text import Sentence, counted, sentence

WEIGHTS = "(weights)"  # the column name of weights that came as an array


class Selection:
    """Features, target and weights of a source, read block by block as often as needed.

    Attributes:
        features, target: the columns' names.
        notices: what was left out, and how the data was read; complete once the blocks were read.
        dropped: rows left out for a missing value in the last pass.
    """

    def __init__(
        self,
        X: object,
        y: object,
        target: str | None,
        features: Sequence[str] | None,
        weights: object,
        missing: str,
        reading: Mapping[str, Any],
    ) -> None:
        """Find the columns meant, in whatever holds them; see :class:`descentlab.Problem`."""
        if isinstance(y, str) and target is None:
            y, target = None, y
        wanted = None if features is None else (features,) if isinstance(features, str) else tuple(map(str, features))
        source = open_source(X, names=wanted if y is not None else None, reading=reading)
        self._by_position = [what for what, other in (("y", y), ("weights", weights)) if _labels_differ(X, other)]
        if y is None and target is None:
            raise DataError("no_target", columns=source.names)
        if y is None:
            self.target = known(str(target), source.names, source.left_out)
        else:
            if isinstance(source, ArraySource):
                wanted = None  # they named the array's columns, and all of them are used
            self.target = str(target) if target is not None else _free_name(source, y)
            if self.target in source.names:
                raise DataError("target_is_feature", name=self.target)
            source = _beside(source, open_column(y, "y", self.target), "y")
        self.weights: str | None = None
        if isinstance(weights, str):
            self.weights = known(weights, source.names, source.left_out)
            if self.weights == self.target:
                raise DataError("weights_are_target", name=weights)
        elif weights is not None:
            self.weights = WEIGHTS
            source = _beside(source, open_column(weights, "weights", WEIGHTS), "weights")
        self.features = choose(wanted, source.names, source.left_out, self.target, self.weights)
        self.missing = missing
        self.dropped = 0
        self._lacking: tuple[str, ...] = ()
        self._source: Source = source
        self._all = wanted is None

    @property
    def notices(self) -> list[Sentence]:
        left_out = self._source.left_out.items() if self._all else ()
        notices = [sentence("notice.left_out", name=name, reason=why) for name, why in left_out]
        notices += self._source.notices
        if self._by_position:
            notices.append(sentence("notice.by_position", names=self._by_position))
        if self.dropped:
            notices.append(sentence("notice.rows_dropped", count=self.dropped, total=self.rows, counts=self._lacking))
        return notices

    def blocks(self) -> Iterator[tuple[Array, Array | None]]:
        """The rows to keep: (m, d + 1) features and target in order, and (m,) weights or None.

        Raises:
            DataError: a value is missing or infinite, or a weight negative. The data is read to its end first, so
                that the error can name every column.
        """
        columns = (*self.features, self.target, *((self.weights,) if self.weights else ()))
        unfit = _Unfit(columns)
        negative = 0
        self.rows = 0
        for block in self._source.blocks(columns):
            self.rows += len(block)
            if not tame(block):
                block = unfit.sift(block, drop=self.missing == "drop")
            negative += int((block[:, -1] < 0).sum()) if self.weights else 0
            if not unfit.refused and not negative:
                yield (block[:, :-1], block[:, -1]) if self.weights else (block, None)
        unfit.report(self.rows)
        if negative:
            raise DataError("weights_negative", count=negative)
        self.dropped, self._lacking = unfit.rows, unfit.counts(unfit.missing)

    def whole(self) -> tuple[Array, Array, Array | None]:
        """(n, d) features, (n,) target and (n,) weights of the rows kept, after a pass over the blocks.

        Arrays that hold just these columns are given as they are, without a copy.
        """
        single = [(self.target,), *([(self.weights,)] if self.weights else [])]
        if not self.dropped:
            at_hand = [self._source.in_memory(names) for names in (self.features, *single)]
            if all(array is not None for array in at_hand):
                X, y, *w = (array for array in at_hand if array is not None)
                return X, y[:, 0], w[0][:, 0] if w else None
        n, d, filled = self.rows - self.dropped, len(self.features), 0
        X, y, weights = np.empty((n, d)), np.empty(n), np.empty(n) if self.weights else None
        for values, part in self.blocks():
            to = slice(filled, filled + len(values))
            X[to], y[to] = values[:, :d], values[:, d]
            if weights is not None:
                weights[to] = part
            filled += len(values)
        return X, y, weights

    def sample(self, most: int) -> tuple[Array, Array | None]:
        """(m, d + 1) features and target of at most ``most`` rows kept, evenly spaced, and their (m,) weights or None.

        One more pass over the blocks, of which only those rows stay in memory.
        """
        kept = self.rows - self.dropped
        wanted = np.unique(np.linspace(0, kept - 1, min(kept, most)).round().astype(int))
        picked, weights, seen = [np.empty((0, len(self.features) + 1))], [np.empty(0)], 0
        for values, part in self.blocks():
            first, last = np.searchsorted(wanted, (seen, seen + len(values)))
            picked.append(values[wanted[first:last] - seen])
            if part is not None:
                weights.append(part[wanted[first:last] - seen])
            seen += len(values)
        return np.concatenate(picked), np.concatenate(weights) if self.weights else None


class _Unfit:
    """Counts values that no descent can use, column by column: missing, infinite, too large to square."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.missing = np.zeros(len(columns), dtype=int)
        self.infinite = np.zeros(len(columns), dtype=int)
        self.large = np.zeros(len(columns), dtype=int)
        self.rows = 0
        self.refused = False

    def sift(self, block: Array, *, drop: bool) -> Array:
        """The rows to keep of a block that holds such values."""
        missing, infinite, beyond = np.isnan(block), np.isinf(block), np.abs(block) > LARGEST
        self.missing += missing.sum(axis=0)
        self.infinite += infinite.sum(axis=0)
        self.large += beyond.sum(axis=0)
        incomplete = missing.any(axis=1)
        self.rows += int(incomplete.sum())
        self.refused |= bool(beyond.any()) or (bool(incomplete.any()) and not drop)
        return block[~incomplete]

    def report(self, total: int) -> None:
        """Raise if anything was found in the ``total`` rows that the settings do not allow."""
        if self.infinite.any():
            raise DataError("infinite_values", counts=self.counts(self.infinite))
        if self.large.any():
            raise DataError("too_large", counts=self.counts(self.large), limit=LARGEST)
        if self.refused:
            raise DataError("missing_values", counts=self.counts(self.missing), rows=counted(self.rows, "row"))
        if self.rows and self.rows == total:
            raise DataError("all_dropped", counts=self.counts(self.missing), rows=total)

    def counts(self, counts: np.ndarray[Any, Any]) -> tuple[str, ...]:
        """How many of each column that has any."""
        return tuple(f"`{name}`: {count:,}" for name, count in zip(self.columns, counts, strict=True) if count)


def known(name: str, names: Sequence[str], left_out: Mapping[str, Sentence]) -> str:
    """``name``, if it is a numeric column.

    Raises:
        DataError: it is none, or not a column at all; then near names are suggested.
    """
    name = str(name)
    if name in names:
        return name
    if name in left_out:
        raise DataError("not_numeric", name=name, reason=left_out[name])
    everything = (*names, *left_out)
    raise DataError("no_such_column", name=name, columns=everything, near=near(name, everything))


def choose(
    wanted: Sequence[str] | None,
    names: Sequence[str],
    left_out: Mapping[str, Sentence],
    target: str,
    weights: str | None,
) -> tuple[str, ...]:
    """The features: those wanted, or every numeric column but the target and the weights.

    Raises:
        DataError: none is left, or one is wanted twice, not numeric, the target or the weights; or, where all are
            taken, a column is nearly numeric, since leaving it out would be no more right than guessing its cells.
    """
    if wanted is None:
        for name, reason in left_out.items():
            if reason.key == "left_out.mixed":
                raise DataError("nearly_numeric", name=name, reason=reason)
        chosen = tuple(name for name in names if name not in (target, weights))
    else:
        chosen = tuple(known(name, names, left_out) for name in ([wanted] if isinstance(wanted, str) else wanted))
    repeated = sorted({name for name in chosen if chosen.count(name) > 1})
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    for key, role in (("target_is_feature", target), ("weights_are_feature", weights)):
        if role in chosen:
            raise DataError(key, name=role)
    if not chosen:
        raise DataError("no_features", target=target, columns=(*names, *left_out))
    return chosen


def _free_name(source: Source, y: object) -> str:
    """A name for a target that came on its own: a series' own, or ``y``, or ``target`` where y is a column of X."""
    taken = (*source.names, *source.left_out)
    own = getattr(y, "name", None) if is_from(y, "pandas", "polars") else None
    names = [str(own)] if own not in (None, "") else []
    return next(name for name in (*names, "y", "target", "(target)") if name not in taken)


def _beside(source: Source, column: Source, what: str) -> Source:
    if isinstance(source, ArraySource) and isinstance(column, ArraySource):
        rows, entries = len(source.matrix), len(column.matrix)
        if rows == 1 != entries and source.matrix.shape[1] > 1:
            hint = Sentence("error.hint_one_row", {"what": what})
            raise DataError("lengths", X=counted(rows, "row"), what=what, y=entries, hint=hint)
    return Beside(source, column, what)


def _labels_differ(X: object, other: object) -> bool:
    """Whether two pandas objects label their rows differently: rows are paired by position, never by label."""
    if not (is_from(X, "pandas") and is_from(other, "pandas")):
        return False
    mine, others = getattr(X, "index", None), getattr(other, "index", None)
    return mine is not None and others is not None and not mine.equals(others)
