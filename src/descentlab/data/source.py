"""What every source of rows offers, and sources made of sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from descentlab.errors import DataError
from descentlab.messages import Sentence, counted, sentence
from descentlab.typing import Array

BLOCK_ROWS = 8192  # a block of this many rows and a dozen columns stays in a core's second-level cache
DOT = 8192
PIECE_ROWS = 16 * BLOCK_ROWS  # of what is in memory, or of a file's row groups taken together
LARGEST = 1e150  # squares of larger values, summed, leave the range of float64


class Piece(Protocol):
    """A part of a source that can be read on its own, more than once, and, where it is pickled, elsewhere.

    Attributes:
        size: how much of its source it is, in the source's own unit (bytes of a file, rows of an array).
        after: where the next piece begins, in JSON's types.
        rounded: the columns in which a whole number was too large for float64; complete once the blocks were read.
    """

    @property
    def size(self) -> int: ...
    @property
    def after(self) -> Any: ...
    @property
    def rounded(self) -> set[str]: ...

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN."""


class Source(Protocol):
    """Named numeric columns that can be read more than once.

    Attributes:
        names: the numeric columns, in the data's own order.
        left_out: for each other column, why it cannot be a number.
        notices: what a reader should know about how the data was read; complete once the blocks were read.
        size: the sizes of all pieces together; None where only reading tells.
        rounded: the columns in which whole numbers lost digits, as far as they were read.
        reachable: whether each piece can be read without those before it.
    """

    rounded: set[str]

    @property
    def reachable(self) -> bool: ...

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def left_out(self) -> Mapping[str, Sentence]: ...
    @property
    def notices(self) -> tuple[Sentence, ...]: ...
    @property
    def size(self) -> int | None: ...

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        """The source in parts, in order: cut the same way whoever reads them; from where a piece ended, or from 0."""

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN."""

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        """(n, k) float64 array of these columns where one is at hand without copying, else None."""

    def part(self, start: int, stop: int) -> Source | None:
        """The rows from ``start`` to ``stop`` alone, where the number of rows is known and any can be reached."""


class Pieced:
    """What sources share: they are read piece by piece."""

    names: tuple[str, ...] = ()
    left_out: Mapping[str, Sentence] = {}
    size: int | None = None
    reachable: bool = False

    def __init__(self, notices: Sequence[Sentence] = ()) -> None:
        self.said = list(notices)
        self.rounded: set[str] = set()

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        raise NotImplementedError

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        for piece in self.pieces(columns):
            yield from piece.blocks(columns)
            self.rounded |= piece.rounded

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        return None

    def part(self, start: int, stop: int) -> Source | None:
        return None

    @property
    def notices(self) -> tuple[Sentence, ...]:
        """How the data was read, and which whole numbers lost digits in the blocks read so far."""
        rounded = [name for name in self.names if name in self.rounded]
        return (*self.said, *([sentence("notice.large_integers", names=rounded)] if rounded else []))


class Whole:
    """A source as one piece."""

    def __init__(self, source: Source, size: int, after: Any) -> None:
        self.source, self.size, self.after = source, size, after

    @property
    def rounded(self) -> set[str]:
        return self.source.rounded

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        return self.source.blocks(columns)


class Chained(Pieced):
    """Several sources of the same columns, one after the other."""

    def __init__(self, parts: Sequence[tuple[str, Source]], notices: Sequence[Sentence] = ()) -> None:
        """Args:
        parts: each source with the label errors give it, such as its file's name.
        notices: what to tell about the parts as a whole.

        Raises:
            DataError: a part lacks a column of another, or holds text where another holds numbers.
        """
        super().__init__(notices)
        self.parts = [source for _, source in parts]
        sizes = [part.size for part in self.parts]
        self.size = None if None in sizes else sum(size for size in sizes if size is not None)
        self.reachable = all(part.reachable for part in self.parts)
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
        found = list(self.said)
        for part in self.parts:
            found += [notice for notice in part.notices if notice not in found]
        return (*found, *(notice for notice in super().notices if notice not in found))

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        first, within = after or (0, None)
        for i, part in enumerate(self.parts[first:], first):
            for piece in part.pieces(columns, within):
                yield InPart(piece, i)
            within = None


class InPart:
    """A piece of one of several sources: it also says of which."""

    def __init__(self, piece: Piece, part: int) -> None:
        self.piece, self.size, self.after = piece, piece.size, [part, piece.after]

    @property
    def rounded(self) -> set[str]:
        return self.piece.rounded

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        return self.piece.blocks(columns)


class Beside(Pieced):
    """A source with a column set beside it that came on its own: the target or the weights."""

    def __init__(self, source: Source, extra: Source, what: str) -> None:
        """Args:
        source: the rows.
        extra: the column, with as many rows.
        what: the argument that it came in, for errors.
        """
        super().__init__()
        self.source, self.extra, self.what = source, extra, what
        self.left_out = source.left_out
        self.names = (*source.names, *extra.names)
        repeated = [name for name in extra.names if name in source.names]
        if repeated:
            raise DataError("duplicate_columns", names=repeated)
        self.size = source.size if self.part(0, 0) else None

    @property
    def notices(self) -> tuple[Sentence, ...]:
        found = (*self.source.notices, *self.extra.notices)
        return (*found, *(notice for notice in super().notices if notice not in found))

    def pieces(self, columns: Sequence[str], after: Any = None) -> Iterator[Piece]:
        """Rows of both, side by side: where both know their rows, as many at a time as their own pieces have."""
        start = after or 0
        while self.size is not None and start < self.size:
            stop = min(start + PIECE_ROWS, self.size)
            part = self.part(start, stop)
            if part is None:
                break
            yield Whole(Zipped(part), stop - start, stop)
            start = stop
        if not start:
            yield Whole(Zipped(self), 0, 0)

    def part(self, start: int, stop: int) -> Beside | None:
        here, there = self.source.part(start, stop), self.extra.part(start, stop)
        if here is None or there is None or self.source.size != self.extra.size:
            return None
        made = object.__new__(Beside)
        Pieced.__init__(made)
        made.source, made.extra, made.what, made.names, made.left_out = (
            here,
            there,
            self.what,
            self.names,
            self.left_out,
        )
        made.size = stop - start
        return made

    def in_memory(self, columns: Sequence[str]) -> Array | None:
        if all(name in self.extra.names for name in columns):
            return self.extra.in_memory(columns)
        return self.source.in_memory(columns) if all(name in self.source.names for name in columns) else None


class Zipped(Pieced):
    """The rows of two sources, read at the same time."""

    def __init__(self, pair: Beside) -> None:
        super().__init__()
        self.pair, self.names = pair, pair.names

    def blocks(self, columns: Sequence[str]) -> Iterator[Array]:
        """Raises:
        DataError: the two have different numbers of rows, said once both were read to the end.
        """
        source, extra = self.pair.source, self.pair.extra
        own = [name for name in columns if name not in extra.names]
        other = [name for name in columns if name in extra.names]
        if not other:
            yield from source.blocks(own)
            self.rounded |= source.rounded
            return
        beside = extra.in_memory(other)
        if beside is None:
            beside = np.concatenate([np.empty((0, len(other))), *extra.blocks(other)])
        here, there = ([columns.index(name) for name in names] for names in (own, other))
        seen = 0
        for block in source.blocks(own):
            part = beside[seen : seen + len(block)]
            seen += len(block)
            if seen <= len(beside):
                joined = np.empty((len(block), len(columns)), order="F")
                joined[:, here], joined[:, there] = block, part
                yield joined
        self.rounded |= source.rounded | extra.rounded
        if seen != len(beside):
            raise unequal(seen, self.pair.what, len(beside))


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
