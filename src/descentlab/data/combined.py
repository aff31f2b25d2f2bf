"""Sources made of other sources: files one after the other, and columns joined to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from descentlab.data.source import (
    NO_SHIFTS,
    PIECE_ROWS,
    BaseSource,
    MixedBlock,
    Piece,
    SinglePiece,
    Source,
    place_of_row,
)
from descentlab.errors import DataError
from descentlab.messages import Message, pluralize
from descentlab.typing import FloatArray


class ConcatSource(BaseSource):
    """Several sources of the same columns, one after the other."""

    def __init__(self, labeled_sources: Sequence[tuple[str, Source]], notices: Sequence[Message] = ()) -> None:
        """Args:
        labeled_sources: each source with its label in errors, such as the name of its file.
        notices: notices about all of them.

        Raises:
            DataError: a source lacks a column of another one, or has text where another one has numbers.
        """
        super().__init__(notices)
        self.sources = [source for _, source in labeled_sources]
        sizes = [part.size for part in self.sources]
        self.size = None if None in sizes else sum(size for size in sizes if size is not None)
        self.random_access = all(part.random_access for part in self.sources)
        first_label, first = labeled_sources[0]
        columns = {*first.names, *first.excluded_columns}
        for label, part in labeled_sources[1:]:
            source_columns = {*part.names, *part.excluded_columns}
            for lacking, having, names in (
                (label, first_label, columns - source_columns),
                (first_label, label, source_columns - columns),
            ):
                if names:
                    raise DataError("parts_lack", label=lacking, name=min(names), first=having)
        numeric = {name: label for label, part in reversed(labeled_sources) for name in part.names}
        unusable: dict[str, Message] = {}
        for label, part in labeled_sources:
            for name, reason in part.excluded_columns.items():
                # A column that is empty in one file and numeric in another has missing values.
                if name in numeric and reason.key != "left_out.empty":
                    raise DataError("parts_differ", label=label, name=name, reason=reason, first=numeric[name])
                if name not in numeric and (name not in unusable or unusable[name].key == "left_out.empty"):
                    unusable[name] = reason
        self.excluded_columns: Mapping[str, Message] = unusable
        in_order = dict.fromkeys(name for part in self.sources for name in part.names)
        self.names = tuple(in_order)

    @property
    def notices(self) -> tuple[Message, ...]:
        notices = list(self.reading_notices)
        for part in self.sources:
            notices += [notice for notice in part.notices if notice not in notices]
        return (*notices, *(notice for notice in super().notices if notice not in notices))

    @property
    def all_names(self) -> tuple[str, ...]:
        return self.sources[0].all_names

    @property
    def column_formats(self) -> Mapping[str, Any]:
        return {name: kind for part in reversed(self.sources) for name, kind in part.column_formats.items()}

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        first, source_offset = offset or (0, None)
        for i, source in enumerate(self.sources[first:], first):
            for piece in source.pieces(columns, source_offset):
                yield ConcatPiece(piece, i)
            source_offset = None

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        shifts: dict[str, int] = {}
        for part in self.sources:
            shifts |= part.integer_shifts([name for name in columns if name in part.names and name not in shifts])
        return shifts


class ConcatPiece:
    """A piece of one of several sources, with the index of its source."""

    def __init__(self, piece: Piece, source_index: int) -> None:
        self.piece, self.size, self.next_offset = piece, piece.size, [source_index, piece.next_offset]

    @property
    def inexact_columns(self) -> set[str]:
        return self.piece.inexact_columns

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        return self.piece.blocks(columns, shifts)

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        return self.piece.mixed_blocks(numbers, others, shifts)

    def place_of_row(self, row: int) -> Message | str:
        return place_of_row(self.piece, row)


class JoinedSource(BaseSource):
    """A source and one more column that was given apart from it: the target or the weights."""

    def __init__(self, source: Source, extra: Source, argument: str) -> None:
        """Args:
        source: the rows.
        extra: the column, with as many rows.
        argument: the name of its argument, for errors.
        """
        super().__init__()
        self.source, self.extra, self.argument = source, extra, argument
        self.excluded_columns = source.excluded_columns
        self.names = (*source.names, *extra.names)
        repeated = [name for name in extra.names if name in source.names]
        if repeated:
            raise DataError("duplicate_columns", names=repeated)
        self.size = source.size if self.slice_rows(0, 0) else None

    @property
    def notices(self) -> tuple[Message, ...]:
        notices = (*self.source.notices, *self.extra.notices)
        return (*notices, *(notice for notice in super().notices if notice not in notices))

    @property
    def column_formats(self) -> Mapping[str, Any]:
        return {**self.source.column_formats, **self.extra.column_formats}

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        """Pieces of both with the same rows; one single piece if rows cannot be reached by number."""
        start = offset or 0
        while self.size is not None and start < self.size:
            stop = min(start + PIECE_ROWS, self.size)
            rows = self.slice_rows(start, stop)
            if rows is None:
                break
            yield SinglePiece(PairedRows(rows), stop - start, stop)
            start = stop
        if not start:
            yield SinglePiece(PairedRows(self), 0, 0)

    def slice_rows(self, start: int, stop: int) -> JoinedSource | None:
        source_rows, extra_rows = self.source.slice_rows(start, stop), self.extra.slice_rows(start, stop)
        if source_rows is None or extra_rows is None or self.source.size != self.extra.size:
            return None
        joined = object.__new__(JoinedSource)
        BaseSource.__init__(joined)
        joined.source, joined.extra, joined.argument, joined.names, joined.excluded_columns = (
            source_rows,
            extra_rows,
            self.argument,
            self.names,
            self.excluded_columns,
        )
        joined.size = stop - start
        return joined

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        extra_columns = [name for name in columns if name in self.extra.names]
        source_columns = [name for name in columns if name not in self.extra.names]
        return self.source.integer_shifts(source_columns) | self.extra.integer_shifts(extra_columns)

    def as_array(self, columns: Sequence[str]) -> FloatArray | None:
        if all(name in self.extra.names for name in columns):
            return self.extra.as_array(columns)
        return self.source.as_array(columns) if all(name in self.source.names for name in columns) else None


class PairedRows(BaseSource):
    """The rows of a joined source, read from both of its sources at the same time."""

    def __init__(self, joined_source: JoinedSource) -> None:
        super().__init__()
        self.joined_source, self.names = joined_source, joined_source.names

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        """Raises:
        DataError: the two have different numbers of rows; it is raised after both were read to the end.
        """
        source_columns = [name for name in columns if name not in self.joined_source.extra.names]
        blocks: Iterator[MixedBlock] = (
            (block, {}) for block in self.joined_source.source.blocks(source_columns, shifts)
        )
        return (values for values, _ in self._pair(columns, shifts, blocks))

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        source_columns = [name for name in numbers if name not in self.joined_source.extra.names]
        return self._pair(numbers, shifts, self.joined_source.source.mixed_blocks(source_columns, others, shifts))

    def _pair(
        self, columns: Sequence[str], shifts: Mapping[str, int], source_blocks: Iterator[MixedBlock]
    ) -> Iterator[MixedBlock]:
        """Blocks of the source, with the numbers of the other column in their places."""
        source, extra = self.joined_source.source, self.joined_source.extra
        source_columns = [name for name in columns if name not in extra.names]
        extra_columns = [name for name in columns if name in extra.names]
        if not extra_columns:
            yield from source_blocks
            self.inexact_columns |= source.inexact_columns
            return
        extra_values = extra.as_array(extra_columns)
        if extra_values is None:
            extra_values = np.concatenate([np.empty((0, len(extra_columns))), *extra.blocks(extra_columns, shifts)])
        source_index, extra_index = (
            [columns.index(name) for name in names] for names in (source_columns, extra_columns)
        )
        rows_read = 0
        for block, others in source_blocks:
            extra_block = extra_values[rows_read : rows_read + len(block)]
            rows_read += len(block)
            if rows_read <= len(extra_values):
                joined = np.empty((len(block), len(columns)), order="F")
                joined[:, source_index], joined[:, extra_index] = block, extra_block
                yield joined, others
        self.inexact_columns |= source.inexact_columns | extra.inexact_columns
        if rows_read != len(extra_values):
            raise length_mismatch_error(rows_read, self.joined_source.argument, len(extra_values))


def length_mismatch_error(rows: int, argument: str, entries: int) -> DataError:
    """The error for an ``argument`` whose number of ``entries`` is not the number of rows of X."""
    return DataError(
        "lengths",
        X=pluralize(rows, "row"),
        what=argument,
        y=entries,
        hint=Message("error.hint_lengths", {"what": argument}),
    )
