"""What every source of rows offers: named numeric columns, read in blocks as often as needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from descentlab.messages import Message, message
from descentlab.typing import FloatArray

BLOCK_ROWS = 8192  # a block of this many rows and a dozen columns stays in a core's second-level cache
DOT_CHUNK = 8192
PIECE_ROWS = 16 * BLOCK_ROWS  # of what is in memory, or of a file's row groups taken together
MAX_MAGNITUDE = 1e150  # squares of larger values, summed, leave the range of float64


class Piece(Protocol):
    """A part of a source that can be read on its own, more than once, and, where it is pickled, elsewhere.

    Attributes:
        size: how much of its source it is, in the source's own unit (bytes of a file, rows of an array).
        next_offset: where the next piece begins, in JSON's types.
        inexact_columns: the columns in which a whole number was too large for float64; complete once the blocks were
        read.
    """

    @property
    def size(self) -> int: ...
    @property
    def next_offset(self) -> Any: ...
    @property
    def inexact_columns(self) -> set[str]: ...

    def blocks(self, columns: Sequence[str]) -> Iterator[FloatArray]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN."""


class Source(Protocol):
    """Named numeric columns that can be read more than once.

    Attributes:
        names: the numeric columns, in the data's own order.
        excluded_columns: for each other column, why it cannot be a number.
        notices: what a reader should know about how the data was read; complete once the blocks were read.
        size: the sizes of all pieces together; None where only reading tells.
        inexact_columns: the columns in which whole numbers lost digits, as far as they were read.
        random_access: whether each piece can be read without those before it.
    """

    inexact_columns: set[str]

    @property
    def random_access(self) -> bool: ...

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def excluded_columns(self) -> Mapping[str, Message]: ...
    @property
    def notices(self) -> tuple[Message, ...]: ...
    @property
    def size(self) -> int | None: ...

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        """The source in parts, in order: cut the same way whoever reads them; from where a piece ended, or from 0."""

    def blocks(self, columns: Sequence[str]) -> Iterator[FloatArray]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN."""

    def as_array(self, columns: Sequence[str]) -> FloatArray | None:
        """(n, k) float64 array of these columns where one is at hand without copying, else None."""

    def slice_rows(self, start: int, stop: int) -> Source | None:
        """The rows from ``start`` to ``stop`` alone, where the number of rows is known and any can be reached."""


class BaseSource:
    """What sources share: they are read piece by piece."""

    names: tuple[str, ...] = ()
    excluded_columns: Mapping[str, Message] = {}
    size: int | None = None
    random_access: bool = False

    def __init__(self, notices: Sequence[Message] = ()) -> None:
        self.reading_notices = list(notices)
        self.inexact_columns: set[str] = set()

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        raise NotImplementedError

    def blocks(self, columns: Sequence[str]) -> Iterator[FloatArray]:
        for piece in self.pieces(columns):
            yield from piece.blocks(columns)
            self.inexact_columns |= piece.inexact_columns

    def as_array(self, columns: Sequence[str]) -> FloatArray | None:
        return None

    def slice_rows(self, start: int, stop: int) -> Source | None:
        return None

    @property
    def notices(self) -> tuple[Message, ...]:
        """How the data was read, and which whole numbers lost digits in the blocks read so far."""
        inexact = [name for name in self.names if name in self.inexact_columns]
        return (*self.reading_notices, *([message("notice.large_integers", names=inexact)] if inexact else []))


class SinglePiece:
    """A source as one piece."""

    def __init__(self, source: Source, size: int, next_offset: Any) -> None:
        self.source, self.size, self.next_offset = source, size, next_offset

    @property
    def inexact_columns(self) -> set[str]:
        return self.source.inexact_columns

    def blocks(self, columns: Sequence[str]) -> Iterator[FloatArray]:
        return self.source.blocks(columns)


def has_finite_squares(array: np.ndarray[Any, Any]) -> bool:
    """Whether these are float64 values that are all finite, with squares that can be summed: one fast pass.

    The sum of squares is NaN or infinite if any value is, and above LARGEST squared if any is above LARGEST. A false
    answer only means that a closer look is needed.
    """
    if array.dtype != np.float64:
        return False
    flat = array.ravel(order="K")
    # In pieces that a BLAS does not hand to threads, whose waking costs more than the sum.
    pieces = (flat[start : start + DOT_CHUNK] for start in range(0, len(flat), DOT_CHUNK))
    with np.errstate(over="ignore", invalid="ignore"):
        return all(piece @ piece <= MAX_MAGNITUDE**2 for piece in pieces)


def is_from_package(data: object, *packages: str) -> bool:
    """Whether an object's class, or one that it derives from, is defined in one of these packages."""
    return any(base.__module__.split(".")[0] in packages for base in type(data).__mro__)


def is_table(data: object) -> bool:
    """Whether this is a data frame, a series, or anything else that exports Arrow data."""
    return is_from_package(data, "pandas") or hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")
