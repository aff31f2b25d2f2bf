"""The rows of a source as the columns of a design; every later step reads them like any other source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from descentlab.data.design.dates import DateTextError, evaluate_date_part
from descentlab.data.design.design import Design
from descentlab.data.design.functions import evaluate
from descentlab.data.design.levels import Level, LevelNumbers, format_level
from descentlab.data.design.parser import parse_formula
from descentlab.data.design.scan import ScanLayout
from descentlab.data.design.syntax import Call, Name, Number
from descentlab.data.source import NO_SHIFTS, BaseSource, MixedBlock, Piece, Source, as_mixed_blocks, place_of_row
from descentlab.errors import DataError, check_choice, did_you_mean
from descentlab.messages import Message, message
from descentlab.typing import FloatArray

UNSEEN_CHOICES = ("error", "missing", "reference")


class DesignSource(BaseSource):
    """The columns of a design and its target, computed from another source.

    While the levels of a category are unknown, the columns are those of :class:`ScanLayout`: numbered levels and the
    numeric factors. A piece then tells the levels that it has met.
    """

    def __init__(
        self,
        source: Source,
        design: Design,
        extra: Sequence[str] = (),
        *,
        has_target: bool = True,
        unseen: str = "error",
    ) -> None:
        """Args:
        source: the data.
        design: what is computed from it.
        extra: columns of the data that stay as they are, such as weights.
        has_target: whether the data has the target; else the columns are those of the features alone.
        unseen: what a level is that the design does not have: an ``"error"``, ``"missing"``, or the ``"reference"``.
        """
        super().__init__()
        self.source, self.extra = source, tuple(extra)
        self.design = design if has_target else replace(design, target=Number(0.0))
        self.unseen = check_choice("unseen", unseen, UNSEEN_CHOICES)
        self.excluded_columns: Mapping[str, Message] = source.excluded_columns
        self.size, self.random_access = source.size, source.random_access
        columns = design.columns if design.has_levels else ScanLayout(design).columns
        self.features = tuple(columns)
        self.names = (*columns, *([design.target_name] if has_target else []), *extra)

    @property
    def notices(self) -> tuple[Message, ...]:
        return self.source.notices

    @property
    def inexact_columns(self) -> set[str]:
        return self.source.inexact_columns

    @inexact_columns.setter
    def inexact_columns(self, columns: set[str]) -> None:
        if hasattr(self, "source"):
            self.source.inexact_columns |= columns

    def pieces(self, columns: Sequence[str], offset: Any = None) -> Iterator[Piece]:
        data_columns = dict.fromkeys((*self.design.number_columns, *self.extra, *self.design.label_columns))
        for piece in self.source.pieces(tuple(data_columns), offset):
            yield DesignPiece(piece, self.design, self.extra, self.unseen)

    def integer_shifts(self, columns: Sequence[str]) -> dict[str, int]:
        return self.source.integer_shifts([name for name in columns if name in self.design.shiftable_columns])


class DesignPiece:
    """A piece with the columns of a design.

    Attributes:
        levels: the levels of each category in the order of their numbers; if the design does not know them, those met
            so far.
    """

    def __init__(self, piece: Piece, design: Design, extra: tuple[str, ...], unseen: str) -> None:
        self.piece, self.design, self.extra, self.unseen = piece, design, extra, unseen
        self.size, self.next_offset = piece.size, piece.next_offset
        self.levels: dict[str, tuple[Level, ...]] = {}

    @property
    def inexact_columns(self) -> set[str]:
        return self.piece.inexact_columns

    def blocks(self, columns: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS) -> Iterator[FloatArray]:
        design, scan = self.design, ScanLayout(self.design)
        numbers = tuple(dict.fromkeys((*design.number_columns, *self.extra)))
        numbering = {key: LevelNumbers(design.levels.get(key, ())) for key in design.categories}
        names = (*(design.columns if design.has_levels else scan.columns), design.target_name, *self.extra)
        index, first_row = [names.index(name) for name in columns], 0
        for block, others in self.piece.mixed_blocks(numbers, design.label_columns, shifts):
            rows = len(block)
            values = dict(zip(numbers, block.T, strict=True))
            extra = [values[name] for name in self.extra]
            leaves = self.evaluate_leaves(values, others, first_row)
            codes = {key: self._encode(key, numbering[key], leaves, others, first_row) for key in design.categories}
            target = evaluate(design.target, leaves, design.constants, rows)
            evaluate_columns = design.evaluate if design.has_levels else scan.evaluate
            yield np.column_stack([evaluate_columns(leaves, codes, rows), target, *extra])[:, index]
            first_row += rows
        self.levels = {key: tuple(each.numbers) for key, each in numbering.items()}

    def mixed_blocks(
        self, numbers: Sequence[str], others: Sequence[str], shifts: Mapping[str, int] = NO_SHIFTS
    ) -> Iterator[MixedBlock]:
        return as_mixed_blocks(self.blocks((*numbers, *others), shifts), others)

    def evaluate_leaves(
        self, values: Mapping[str, FloatArray], others: Mapping[str, Any], first_row: int
    ) -> dict[str, FloatArray]:
        """The (m,) values of the design's ``leaves`` in a block that begins at ``first_row`` of the piece.

        Args:
            values: the columns that are read as numbers.
            others: the columns that are read as they are, as Arrow arrays.
            first_row: what the place in an error is counted from.
        """
        leaves = {str(Name(name)): column for name, column in values.items()}
        return leaves | {str(call): self._evaluate_date(call, others, first_row) for call in self.design.date_calls}

    def _evaluate_date(self, call: Call, others: Mapping[str, Any], first_row: int) -> FloatArray:
        """(m,) the part of the dates in a block that begins at ``first_row`` of the piece.

        Raises:
            DataError: a text is not a date; the message says in which line or row.
        """
        column = call.arguments[0]
        assert isinstance(column, Name)
        try:
            return evaluate_date_part(call, others[column.name])
        except DateTextError as error:
            place = self._format_place(first_row + error.row)
            raise DataError("date_text", name=column.name, text=repr(error.text)[:40], place=place) from error
        except TypeError as error:
            raise DataError("not_dates", name=column.name, type=str(error)) from error

    def _encode(
        self,
        key: str,
        numbering: LevelNumbers,
        leaves: Mapping[str, FloatArray],
        others: Mapping[str, Any],
        first_row: int,
    ) -> FloatArray:
        """(m,) the numbers of a category's levels in a block that begins at ``first_row`` of the piece.

        Raises:
            DataError: there is a level that the design does not have.
        """
        known, codes = len(numbering.numbers), self.number_levels(key, numbering, leaves, others)
        if not self.design.has_levels or len(numbering.numbers) == known:
            return codes
        is_unseen = codes >= known
        if self.unseen == "error":
            raise self.unseen_error(key, numbering, codes, first_row)
        numbering.forget(known)
        code = np.nan if self.unseen == "missing" else self.design.reference_code(key)
        return np.where(is_unseen, code, codes)

    def number_levels(
        self, key: str, numbering: LevelNumbers, leaves: Mapping[str, FloatArray], others: Mapping[str, Any]
    ) -> FloatArray:
        """(m,) the numbers of a category's levels in a block; those of new levels are added to the numbering."""
        root = parse_formula(key)
        if isinstance(root, Name):
            return numbering.encode(others[root.name])
        rows = len(next(iter(leaves.values())))
        return numbering.encode_numbers(evaluate(root, leaves, self.design.constants, rows))

    def unseen_error(self, key: str, numbering: LevelNumbers, codes: FloatArray, first_row: int) -> DataError:
        """The error for the first of the codes that is not that of a known level."""
        row = int(np.argmax((codes >= len(numbering.known)) & np.isfinite(codes)))
        level = next(format_level(level) for level, number in numbering.numbers.items() if number == codes[row])
        levels = [format_level(each) for each in numbering.known]
        values = {"name": key, "level": level, "levels": levels, "place": self._format_place(first_row + row)}
        return DataError("unseen_level", near=did_you_mean(level, levels), **values)

    def _format_place(self, row: int) -> Message | str:
        place = place_of_row(self.piece, row)
        return message("formula.place", place=place) if place else ""
