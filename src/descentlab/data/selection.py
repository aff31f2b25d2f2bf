"""Which columns of which source are fitted: the features, the target, the weights, and the rows to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data import open_source
from descentlab.data.arrays import ArraySource, as_target
from descentlab.data.source import Array, Beside, Source
from descentlab.errors import DataError, near
from descentlab.text import Sentence, sentence

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
        features = (features,) if isinstance(features, str) else features
        source = open_source(
            X, names=tuple(features) if features is not None and y is not None else None, reading=reading
        )
        if y is not None:
            self.target = target or ("y" if "y" not in source.names else "target")
            if self.target in source.names:
                raise DataError("target_is_feature", name=self.target)
            column = as_target(y, "y")
            if isinstance(source, ArraySource):
                features = None  # they named the array's columns, and all of them are used
                _same_length(source, column, "y")
            source = Beside(source, ArraySource(column, (self.target,)))
        elif target is None:
            raise DataError("no_target", columns=source.names)
        else:
            self.target = known(target, source.names, source.left_out)
        self.weights: str | None = None
        if isinstance(weights, str):
            self.weights = known(weights, source.names, source.left_out)
        elif weights is not None:
            self.weights = WEIGHTS
            source = Beside(source, ArraySource(as_target(weights, "weights"), (WEIGHTS,)))
        self.features = choose(features, source.names, source.left_out, self.target, self.weights)
        self.missing = missing
        self.dropped = 0
        self._source: Source = source
        self._all = features is None

    @property
    def notices(self) -> list[Sentence]:
        left_out = self._source.left_out.items() if self._all else ()
        notices = [sentence("notice.left_out", name=name, reason=why) for name, why in left_out]
        notices += self._source.notices
        if self.dropped:
            notices.append(sentence("notice.rows_dropped", count=self.dropped, total=self.rows))
        return notices

    def blocks(self) -> Iterator[tuple[Array, Array | None]]:
        """The rows to keep: (m, d + 1) features and target in order, and (m,) weights or None.

        Raises:
            DataError: a value is missing or infinite. The data is read to its end first, so that the error can
                name every column.
        """
        columns = (*self.features, self.target, *((self.weights,) if self.weights else ()))
        unfit = _Unfit(columns)
        self.rows = 0
        for block in self._source.blocks(columns):
            self.rows += len(block)
            if not np.isfinite(block).all():
                block = unfit.sift(block, drop=self.missing == "drop")
            if not unfit.refused:
                yield (block[:, :-1], block[:, -1]) if self.weights else (block, None)
        unfit.report()
        self.dropped = unfit.dropped


class _Unfit:
    """Counts values that are not finite numbers, column by column."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.missing = np.zeros(len(columns), dtype=int)
        self.infinite = np.zeros(len(columns), dtype=int)
        self.dropped = 0
        self.rows = 0
        self.refused = False

    def sift(self, block: Array, *, drop: bool) -> Array:
        """The rows to keep of a block that holds values which are not finite."""
        missing, infinite = np.isnan(block), np.isinf(block)
        self.missing += missing.sum(axis=0)
        self.infinite += infinite.sum(axis=0)
        incomplete = missing.any(axis=1)
        self.rows += int(incomplete.sum())
        self.refused |= bool(infinite.any()) or (bool(incomplete.any()) and not drop)
        self.dropped += int(incomplete.sum())
        return block[~incomplete]

    def report(self) -> None:
        """Raise if anything was found that the settings do not allow."""
        if not self.refused:
            return
        if self.infinite.any():
            raise DataError("infinite_values", counts=self._counts(self.infinite))
        raise DataError("missing_values", counts=self._counts(self.missing), rows=self.rows)

    def _counts(self, counts: np.ndarray[Any, Any]) -> tuple[str, ...]:
        return tuple(f"`{name}`: {count:,}" for name, count in zip(self.columns, counts, strict=True) if count)


def known(name: str, names: Sequence[str], left_out: Any) -> str:
    if name in names:
        return name
    if name in left_out:
        raise DataError("not_numeric", name=name, reason=left_out[name])
    everything = (*names, *left_out)
    raise DataError("no_such_column", name=name, columns=everything, near=near(name, everything))


def choose(
    wanted: Sequence[str] | None, names: Sequence[str], left_out: Any, target: str, weights: str | None
) -> tuple[str, ...]:
    if wanted is None:
        found = tuple(name for name in names if name not in (target, weights))
        if not found:
            raise DataError("no_features", target=target, columns=(*names, *left_out))
        return found
    chosen = tuple(known(name, names, left_out) for name in ([wanted] if isinstance(wanted, str) else wanted))
    repeated = sorted({name for name in chosen if chosen.count(name) > 1})
    if repeated:
        raise DataError("duplicate_columns", names=repeated)
    for role, name in (("target", target), ("weights", weights)):
        if name in chosen:
            raise DataError("target_is_feature" if role == "target" else "weights_are_feature", name=name)
    if not chosen:
        raise DataError("no_features", target=target, columns=(*names, *left_out))
    return chosen


def _same_length(source: ArraySource, column: Array, what: str) -> None:
    if not len(source.matrix):
        raise DataError("no_rows")
    if len(source.matrix) != len(column):
        hint = "hint_one_row" if len(source.matrix) == 1 else "hint_lengths"
        raise DataError(
            "lengths", X=len(source.matrix), what=what, y=len(column), hint=Sentence(f"error.{hint}", {"what": what})
        )
