"""What every source of rows offers, and sources made of sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from descentlab.arrays import Array
from descentlab.errors import DataError
from descentlab.text import Sentence, counted

BLOCK_ROWS = 8192  # a block of this many rows and a dozen columns stays in a core's second-level cache
DOT = 8192
LARGEST = 1e150  # squares of larger values, summed, leave the range of float64


class Source(Protocol):
    """Named numeric columns that can be read more than once.

    Attributes:
        names: the numeric columns, in the data's own order.
        left_out: for each other column, why it cannot be a number.
        notices: what a reader should know about how the data was read; complete once the blocks were read.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def left_out(self) -> Mapping[str, Sentence]: ...
    @property
    def notices(self) -> tuple[Sentence, ...]: ...

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN."""

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        """(n, k) float64 array of these columns where one is at hand without copying, else None."""


class Chained:
    """Several sources of the same columns, one after the other."""

    def __init__(self, parts: Sequence[tuple[str, Source]], notices: Sequence[Sentence] = ()) -> None:
        """Args:
        parts: each source with the label errors give it, such as its file's name.
        notices: what to tell about the parts as a whole.

        Raises:
            DataError: a part lacks a column of another, or holds text where another holds numbers.
        """
        self.parts = [source for _, source in parts]
        self._notices = tuple(notices)
        first_label, first = parts[0]
        columns = {*first.names, *first.left_out}
        for label, part in parts[1:]:
            own = {*part.names, *part.left_out}
            for lacking, having, names in ((label, first_label, columns - own), (first_label, label, own - columns)):
                if names:
                    raise DataError("parts_lack", label=lacking, name=min(names), first=having)
        numeric = {name: label for label, part in reversed(parts) for name in part.names}
        unusable: dict[str, Sentence] = {}
        for label, part in parts:
            for name, reason in part.left_out.items():
                # A column without a value in one file and with numbers in another is a column with missing values.
                if name in numeric and reason.key != "left_out.empty":
                    raise DataError("parts_differ", label=label, name=name, reason=reason, first=numeric[name])
                if name not in numeric and (name not in unusable or unusable[name].key == "left_out.empty"):
                    unusable[name] = reason
        self.left_out: Mapping[str, Sentence] = unusable
        in_order = dict.fromkeys(name for part in self.parts for name in part.names)
        self.names = tuple(in_order)

    @property
    def notices(self) -> tuple[Sentence, ...]:
        found = list(self._notices)
        for part in self.parts:
            found += [notice for notice in part.notices if notice not in found]
        return tuple(found)

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        for part in self.parts:
            yield from part.blocks(columns)

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        return None


class Beside:
    """A source with a column set beside it that came on its own: the target or the weights."""

    def __init__(self, source: Source, extra: Source, what: str) -> None:
        """Args:
        source: the rows.
        extra: the column, with as many rows.
        what: the argument that it came in, for errors.
        """
        self.source, self.extra, self.what = source, extra, what
        self.names = (*source.names, *extra.names)
        repeated = [name for name in extra.names if name in source.names]
        if repeated:
            raise DataError("duplicate_columns", names=repeated)

    @property
    def left_out(self) -> Mapping[str, Sentence]:
        return self.source.left_out

    @property
    def notices(self) -> tuple[Sentence, ...]:
        return (*self.source.notices, *self.extra.notices)

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        """Raises:
        DataError: the two have different numbers of rows, said once both were read to the end.
        """
        own = [name for name in columns if name not in self.extra.names]
        other = [name for name in columns if name in self.extra.names]
        if not other:
            yield from self.source.blocks(own)
            return
        beside = self.extra.in_memory(other)
        if beside is None:
            beside = np.concatenate([np.empty((0, len(other))), *self.extra.blocks(other)])
        here, there = ([columns.index(name) for name in names] for names in (own, other))
        seen = 0
        for block in self.source.blocks(own):
            part = beside[seen : seen + len(block)]
            seen += len(block)
            if seen <= len(beside):
                joined = np.empty((len(block), len(columns)), order="F")
                joined[:, here], joined[:, there] = block, part
                yield joined
        if seen != len(beside):
            raise unequal(seen, self.what, len(beside))

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        if all(name in self.extra.names for name in columns):
            return self.extra.in_memory(columns)
        return self.source.in_memory(columns) if all(name in self.source.names for name in columns) else None


def tame(array: np.ndarray[Any, Any]) -> bool:
    """Whether these are float64 values that are all finite, with squares that can be summed: one fast pass.

    The sum of squares is NaN or infinite if any value is, and above LARGEST squared if any is above LARGEST. A false
    answer only means that a closer look is needed.
    """
    if array.dtype != np.float64:
        return False
    flat = array.ravel(order="K")
    # In pieces that a BLAS does not hand to threads, whose waking costs more than the sum.
    pieces = (flat[start : start + DOT] for start in range(0, len(flat), DOT))
    with np.errstate(over="ignore", invalid="ignore"):
        return all(piece @ piece <= LARGEST**2 for piece in pieces)


def unequal(rows: int, what: str, entries: int) -> DataError:
    """The error that X has ``rows`` rows and ``what`` another number of ``entries``."""
    return DataError(
        "lengths", X=counted(rows, "row"), what=what, y=entries, hint=Sentence("error.hint_lengths", {"what": what})
    )


def is_from(data: object, *packages: str) -> bool:
    """Whether an object's class, or one that it derives from, is defined in one of these packages."""
    return any(base.__module__.split(".")[0] in packages for base in type(data).__mro__)


def is_table(data: object) -> bool:
    """Whether this is a data frame, a series, or anything else that exports Arrow data."""
    return is_from(data, "pandas") or hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")
