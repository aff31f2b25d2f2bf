"""What every source of rows offers: named numeric columns, read in blocks as often as needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from descentlab.messages import Message, message
from descentlab.typing import FloatArray

BLOCK_ROWS = 8192  # with a dozen columns, a block fits into a core's second-level cache
DOT_CHUNK = 8192  # values per dot product: few enough that a BLAS starts no threads
NO_SHIFTS: Mapping[str, int] = {}
PIECE_ROWS = 16 * BLOCK_ROWS  # rows per piece of data in memory, or of small row groups joined
MAX_MAGNITUDE = 1e150  # the sum of squares of larger values overflows in float64


MixedBlock = tuple[FloatArray, dict[str, Any]]  # (m, k) numbers, and (m,) Arrow arrays by their names


class Piece(Protocol):
    """A part of a source that can be read on its own, more than once, and after pickling in another process.

    Attributes:
        size: the size of the part, in the source's own unit (bytes of a file, rows of an array).
        next_offset: where the next piece begins, as a value of JSON's types.
        inexact_columns: the columns with an integer that float64 cannot hold; complete after the blocks were read.
    """

    @property
    def size(self) -> int: ...
    @property
    def next_offset(self) -> Any: ...
    @property
    def inexact_columns(self) -> set[str]: ...

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        """(m, k) float64 blocks of these columns, in order; a missing value is NaN.

        ``shifts`` are subtracted from the whole numbers of these columns before they are rounded to float64.
        """

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        """The blocks of ``numbers`` with columns of any type beside them, each as an Arrow array of its own type."""


class Source(Protocol):
    """Named numeric columns that can be read more than once.

    Attributes:
        names: the numeric columns, in the data's own order.
        excluded_columns: why each other column is not numeric.
        notices: how the data was read; complete after the blocks were read.
        size: the sum of the sizes of the pieces; None if it is unknown before they are read.
        inexact_columns: the columns with an integer that float64 cannot hold, in the blocks read so far.
        random_access: whether a piece can be read without the pieces before it.
        column_formats: how the numbers of a column are written (``NumberFormat``, ``FlagFormat``), where that is known
            and not plain.
        all_names: every column; in the data's own order where that is known.
    """

    inexact_columns: set[str]

    @property
    def column_formats(self) -> Mapping[str, Any]: ...
    @property
    def all_names(self) -> tuple[str, ...]: ...

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
        """The parts in order, from an ``offset`` where a piece ended; only the source decides where they end."""

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        """(m, k) float64 blocks of these columns, in order, as :meth:`Piece.blocks` yields them."""

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        """Blocks with columns of any type, as :meth:`Piece.mixed_blocks` yields them."""

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        """For each column whose first values are whole numbers that float64 cannot hold: a value near them.

        Less this value, such numbers are small: no digit of the column's spread is lost. Each is a float64 itself.
        """

    def as_array(self, columns: Sequence[str]) -> FloatArray | None:
        """(n, k) float64 array of these columns if there is one without copying, else None."""

    def slice_rows(self, start: int, stop: int) -> Source | None:
        """The rows from ``start`` to ``stop``; None if rows cannot be reached by number."""


class BaseSource:
    """The base of all sources: it reads the blocks of a source piece by piece."""

    names: tuple[str, ...] = ()
    excluded_columns: Mapping[str, Message] = {}
    size: int | None = None
    random_access: bool = False

    @property
    def column_formats(self) -> Mapping[str, Any]:
        return {}

    @property
    def all_names(self) -> tuple[str, ...]:
        return (*self.names, *self.excluded_columns)

    def __init__(self, notices: Sequence[Message] = ()) -> None:
        self.reading_notices = list(notices)
        self.inexact_columns: set[str] = set()

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        raise NotImplementedError

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        for piece in self.pieces(columns):
            yield from piece.blocks(columns, shifts)
            self.inexact_columns |= piece.inexact_columns

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        for piece in self.pieces((*numbers, *others)):
            yield from piece.mixed_blocks(numbers, others, shifts)
            self.inexact_columns |= piece.inexact_columns

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        return {}

    def as_array(self, columns: Sequence[str]) -> FloatArray | None:
        return None

    def slice_rows(self, start: int, stop: int) -> Source | None:
        return None

    @property
    def notices(self) -> tuple[Message, ...]:
        """How the data was read, and the columns with inexact integers in the blocks read so far."""
        inexact = [name for name in self.names if name in self.inexact_columns]
        return (*self.reading_notices, *([message("notice.large_integers", names=inexact)] if inexact else []))


class SinglePiece:
    """A source as one piece."""

    def __init__(self, source: Source, size: int, next_offset: Any) -> None:
        self.source, self.size, self.next_offset = source, size, next_offset

    @property
    def inexact_columns(self) -> set[str]:
        return self.source.inexact_columns

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        return self.source.blocks(columns, shifts)

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        return self.source.mixed_blocks(numbers, others, shifts)


def as_mixed_blocks(blocks: Iterator[FloatArray], others: Sequence[str]) -> Iterator[MixedBlock]:
    """Blocks whose last columns are ``others``, all of them numbers."""
    for block in blocks:
        k = block.shape[1] - len(others)
        yield block[:, :k], {name: _as_arrow(block[:, k + j]) for j, name in enumerate(others)}


def _as_arrow(values: FloatArray) -> Any:
    import pyarrow as pa

    return pa.array(values, from_pandas=True)


def place_of_row(piece: Piece, row: int) -> Message | str:
    """Where a row of a piece, counted from 0, stands in the data, such as ``in line 3``; empty if it is unknown."""
    find_place = getattr(piece, "place_of_row", None)
    return "" if find_place is None else find_place(row)


def has_finite_squares(array: np.ndarray[Any, Any]) -> bool:
    """Whether these are finite float64 values whose squares can be summed, in one fast pass.

    The sum of squares is NaN or infinite if any value is, and above ``MAX_MAGNITUDE**2`` if any value is above
    ``MAX_MAGNITUDE``. False means only that a closer check is needed.
    """
    if array.dtype != np.float64:
        return False
    flat = array.ravel(order="K")
    chunks = (flat[start : start + DOT_CHUNK] for start in range(0, len(flat), DOT_CHUNK))
    with np.errstate(over="ignore", invalid="ignore"):
        return all(chunk @ chunk <= MAX_MAGNITUDE**2 for chunk in chunks)


def is_from_package(data: object, *packages: str) -> bool:
    """Whether an object's class, or one that it derives from, is defined in one of these packages."""
    return any(base.__module__.split(".")[0] in packages for base in type(data).__mro__)


def is_table(data: object) -> bool:
    """Whether this is a data frame, a series, or anything else that exports Arrow data."""
    return is_from_package(data, "pandas") or hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")
