"""Which columns of which source are fitted: the features, the target, the weights, and the rows to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.data import open_column, open_source
from descentlab.data.arrays import ArraySource
from descentlab.data.source import LARGEST, Beside, Piece, Source, is_from, tame
from descentlab.errors import DataError, near
from descentlab.messages import Sentence, counted, sentence
from descentlab.typing import Array

WEIGHTS = "(weights)"  # the column name of weights that came as an array


Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class Seen:
    """What a pass over rows found: it adds up, however the rows were divided.

    Attributes:
        rows, incomplete: how many rows, and how many of them with a missing value.
        missing, infinite, large: (k,) how many such values in each column.
        negative: how many negative weights.
        rounded: the columns in which a whole number lost digits.
    """

    rows: int
    incomplete: int
    missing: Counts
    infinite: Counts
    large: Counts
    negative: int
    rounded: set[str]

    @classmethod
    def none(cls, k: int) -> Seen:
        """Of no rows and k columns."""
        zeros = np.zeros(k, dtype=np.int64)
        return cls(0, 0, zeros, zeros.copy(), zeros.copy(), 0, set())

    def __iadd__(self, other: Seen) -> Seen:
        self.rows += other.rows
        self.incomplete += other.incomplete
        self.missing = self.missing + other.missing
        self.infinite = self.infinite + other.infinite
        self.large = self.large + other.large
        self.negative += other.negative
        self.rounded = self.rounded | other.rounded
        return self


@dataclass(frozen=True)
class Plan:
    """What is taken of every piece: small enough to travel with it.

    Attributes:
        columns: the features, the target, and the weights if there are any.
        weighted: whether the last of them holds weights.
        drop: whether rows with missing values are left out.
    """

    columns: tuple[str, ...]
    weighted: bool
    drop: bool

    def taken(self, piece: Piece, seen: Seen) -> Iterator[tuple[Array, Array | None]]:
        """A piece's rows to keep, as :meth:`Selection.blocks` gives them, for as long as nothing is amiss."""
        amiss = False
        for block in piece.blocks(self.columns):
            seen.rows += len(block)
            if not tame(block):
                block, refused = self._sifted(block, seen)
                amiss |= refused
            if self.weighted:
                negative = int((block[:, -1] < 0).sum())
                seen.negative += negative
                amiss |= negative > 0
            if not amiss:
                yield (block[:, :-1], block[:, -1]) if self.weighted else (block, None)
        seen.rounded |= piece.rounded

    def _sifted(self, block: Array, seen: Seen) -> tuple[Array, bool]:
        """The rows to keep of a block that holds values no descent can use, and whether it has to be refused."""
        missing, infinite, beyond = np.isnan(block), np.isinf(block), np.abs(block) > LARGEST
        seen.missing += missing.sum(axis=0)
        seen.infinite += infinite.sum(axis=0)
        seen.large += beyond.sum(axis=0)
        incomplete = missing.any(axis=1)
        seen.incomplete += int(incomplete.sum())
        return block[~incomplete], bool(beyond.any()) or (bool(incomplete.any()) and not self.drop)


class Selection:
    """Features, target and weights of a source, read block by block as often as needed.

    Attributes:
        features, target: the columns' names.
        notices: what was left out, and how the data was read; complete once the blocks were read.
        plan: what is taken of each piece of ``source``.
        seen: what the last pass found.
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
        self.source: Source = source
        self.plan = Plan(
            (*self.features, self.target, *((self.weights,) if self.weights else ())),
            weighted=self.weights is not None,
            drop=missing == "drop",
        )
        self.seen = Seen.none(len(self.plan.columns))
        self._all = wanted is None

    @property
    def notices(self) -> list[Sentence]:
        left_out = self.source.left_out.items() if self._all else ()
        notices = [sentence("notice.left_out", name=name, reason=why) for name, why in left_out]
        notices += self.source.notices
        if self._by_position:
            notices.append(sentence("notice.by_position", names=self._by_position))
        if self.dropped:
            counts = self._counts(self.seen.missing)
            notices.append(sentence("notice.rows_dropped", count=self.dropped, total=self.rows, counts=counts))
        return notices

    @property
    def rows(self) -> int:
        """How many rows the last pass saw."""
        return self.seen.rows

    @property
    def dropped(self) -> int:
        """How many of them it left out for a missing value."""
        return self.seen.incomplete

    def blocks(self) -> Iterator[tuple[Array, Array | None]]:
        """The rows to keep: (m, d + 1) features and target in order, and (m,) weights or None.

        Raises:
            DataError: a value is missing or infinite, or a weight negative. The data is read to its end first, so
                that the error can name every column.
        """
        seen = Seen.none(len(self.plan.columns))
        for piece in self.source.pieces(self.plan.columns):
            yield from self.plan.taken(piece, seen)
        self.accept(seen)

    def accept(self, seen: Seen) -> None:
        """Take what a whole pass found, or refuse it.

        Raises:
            DataError: a value that the settings do not allow was found.
        """
        if seen.infinite.any():
            raise DataError("infinite_values", counts=self._counts(seen.infinite))
        if seen.large.any():
            raise DataError("too_large", counts=self._counts(seen.large), limit=LARGEST)
        if seen.incomplete and not self.plan.drop:
            raise DataError("missing_values", counts=self._counts(seen.missing), rows=counted(seen.incomplete, "row"))
        if seen.incomplete and seen.incomplete == seen.rows:
            raise DataError("all_dropped", counts=self._counts(seen.missing), rows=seen.rows)
        if seen.negative:
            raise DataError("weights_negative", count=seen.negative)
        self.seen = seen
        self.source.rounded |= seen.rounded

    def _counts(self, counts: Counts) -> tuple[str, ...]:
        """How many of each column that has any."""
        return tuple(f"`{name}`: {count:,}" for name, count in zip(self.plan.columns, counts, strict=True) if count)

    def whole(self) -> tuple[Array, Array, Array | None]:
        """(n, d) features, (n,) target and (n,) weights of the rows kept, after a pass over the blocks.

        Arrays that hold just these columns are given as they are, without a copy.
        """
        single = [(self.target,), *([(self.weights,)] if self.weights else [])]
        if not self.dropped:
            at_hand = [self.source.in_memory(names) for names in (self.features, *single)]
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
