"""Predictions of a source, block by block, in order, on every core; memory does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from descentlab.data import open_source
from descentlab.data.design.levels import LevelNumbers
from descentlab.data.design.source import UNSEEN_CHOICES, DesignPiece
from descentlab.data.source import PIECE_ROWS, Piece, Source
from descentlab.errors import DataError, SettingError, check_choice, did_you_mean
from descentlab.factor.executors.threads import Threads
from descentlab.messages import Message, message, pluralize
from descentlab.model.fitted_model import FittedModel
from descentlab.model.model_columns import InputColumns
from descentlab.problem.statistics import check_level
from descentlab.typing import FloatArray, IntArray

KINDS = ("observation", "mean")
MAX_COLUMN_VALUES = 1 << 20  # of the columns of a design at once, where intervals need all of them
ALL_COLUMNS_KEPT = "all"
ProgressCallback = Callable[[int, int | None, int], object]


@dataclass
class PredictedBlock:
    """Predictions of some rows.

    Attributes:
        values: (m, 1) predictions, or (m, 3) with lower and upper ends; NaN where there is none.
        kept: the columns to copy, as Arrow arrays.
    """

    values: FloatArray
    kept: Mapping[str, Any]


@dataclass
class PieceReport:
    """What is to be said of the rows of a piece.

    Attributes:
        rows, missing, not_finite: the number of rows, and of those without a prediction since a value is missing or
            since a function has no finite value.
        open_intervals: rows with a prediction and no interval, since they are outside of a relation.
        unseen: the number of rows with a new level, by category.
    """

    rows: int = 0
    missing: int = 0
    not_finite: int = 0
    open_intervals: int = 0
    unseen: Counter[str] = field(default_factory=Counter)

    def add(self, other: PieceReport) -> None:
        """Add the counts of the rows that follow."""
        self.rows += other.rows
        self.missing += other.missing
        self.not_finite += other.not_finite
        self.open_intervals += other.open_intervals
        self.unseen += other.unseen


class PredictionStream:
    """The predictions of a model for the rows of a source.

    Attributes:
        width: the number of columns of a block's values.
        kept_columns: the columns that are copied.
        report: the counts so far.
    """

    def __init__(
        self,
        model: FittedModel,
        rows: object,
        *,
        keep: Sequence[str] | str = (),
        interval: float | None = None,
        kind: str = "observation",
        unseen: str = "error",
        csv_options: Mapping[str, Any] | None = None,
        executor: Any = None,
    ) -> None:
        """See :meth:`Model.predict_file`; ``keep`` can be ``"all"``, and ``executor`` maps the pieces."""
        self.model, self.kind = model, check_choice("kind", kind, KINDS)
        self.unseen = check_choice("unseen", unseen, UNSEEN_CHOICES)
        self.level = None if interval is None else check_level(interval)
        if self.level is not None and model.variance is None:
            raise SettingError("no_interval", reason=model.no_interval)
        self.source: Source = open_source(rows, names=model.input_columns, csv_options=csv_options)
        self.inputs = InputColumns(model, self.source)
        self.kept_columns = self._check_kept(keep)
        self.shifts = self.source.integer_shifts([n for n in self.inputs.numbers if n in self._shiftable])
        self.predictor = model.shifted_by(self.shifts)
        self.quantile = None if self.level is None else model.quantile(self.level)
        self.width, self.report, self.executor = (1 if self.level is None else 3), PieceReport(), executor

    @property
    def _shiftable(self) -> frozenset[str]:
        return self.model.rows_design.shiftable_columns

    def _check_kept(self, keep: Sequence[str] | str) -> tuple[str, ...]:
        columns = self.source.all_names
        names = columns if keep == ALL_COLUMNS_KEPT else tuple(map(str, [keep] if isinstance(keep, str) else keep))
        for name in names:
            if name not in columns:
                raise DataError("no_such_column", name=name, columns=columns, near=did_you_mean(name, columns))
        taken = [name for name in self.value_names if name in names]
        if taken:
            raise SettingError("keep_taken", names=taken)
        return tuple(dict.fromkeys(names))

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the columns of a block's values."""
        return ("prediction",) if self.level is None else ("prediction", "lower", "upper")

    def blocks(self, progress: ProgressCallback | None = None) -> Iterator[PredictedBlock]:
        """The predictions in the order of the rows.

        Raises:
            DataError: a level is new and ``unseen`` is ``"error"``; a cell cannot be read.
        """
        pieces = self.source.pieces(tuple(dict.fromkeys((*self.inputs.numbers, *self.inputs.others, *self._to_keep))))
        is_small = self.source.size is not None and self.source.slice_rows(0, 0) and self.source.size <= PIECE_ROWS
        executor = self.executor or Threads()
        mapped = map(self._predict_piece, pieces) if is_small else executor.map_ordered(self._predict_piece, pieces, 0)
        done = 0
        for piece, blocks, report in mapped:
            self.report.add(report)
            self.source.inexact_columns |= piece.inexact_columns
            done += piece.size
            if progress is not None:
                progress(done, self.source.size, self.report.rows)
            yield from blocks

    @property
    def _to_keep(self) -> tuple[str, ...]:
        return tuple(name for name in self.kept_columns if name not in self.inputs.others)

    def _predict_piece(self, piece: Piece) -> tuple[Piece, list[PredictedBlock], PieceReport]:
        design = self.model.rows_design
        numbering = {key: LevelNumbers(design.levels[key]) for key in design.categories}
        reader, blocks, report = DesignPiece(piece, design, (), self.unseen), [], PieceReport()
        others = (*self.inputs.others, *self._to_keep)
        for values, arrays in piece.mixed_blocks(self.inputs.numbers, others, self.shifts):
            blocks.append(self._predict_block(reader, values, arrays, numbering, report))
            report.rows += len(values)
        return piece, blocks, report

    def _predict_block(
        self,
        reader: DesignPiece,
        block: FloatArray,
        arrays: Mapping[str, Any],
        numbering: Mapping[str, LevelNumbers],
        report: PieceReport,
    ) -> PredictedBlock:
        values = dict(zip(self.inputs.numbers, block.T, strict=True)) | self.inputs.words_as_numbers(arrays)
        leaves = reader.evaluate_leaves(values, arrays, report.rows)
        found = {key: reader.number_levels(key, each, leaves, arrays) for key, each in numbering.items()}
        codes = {key: self._treat_unseen(reader, key, numbering[key], each, report) for key, each in found.items()}
        result = np.full((len(block), self.width), np.nan)
        result[:, 0] = self.predictor.predict(leaves, codes, len(block))
        self._count_missing(result, (*leaves.values(), *found.values()), codes, report)
        if self.level is not None:
            self._add_interval(result, leaves, codes)
            report.open_intervals += int(np.count_nonzero(np.isnan(result[:, 1]) & ~np.isnan(result[:, 0])))
        return PredictedBlock(result, {name: arrays[name] for name in self.kept_columns})

    def _treat_unseen(
        self, reader: DesignPiece, key: str, numbering: LevelNumbers, codes: FloatArray, report: PieceReport
    ) -> FloatArray:
        """The codes with new levels missing, or at the reference; those of values that are not finite are missing."""
        codes = np.where(np.isinf(codes), np.nan, codes)
        is_new = codes >= len(numbering.known)
        if not is_new.any():
            return codes
        if self.unseen == "error":
            values = reader.unseen_error(key, numbering, codes, report.rows).message.values
            raise DataError("unseen_level_at", **values)
        numbering.forget(len(numbering.known))
        report.unseen[key] += int(is_new.sum())
        return np.where(is_new, np.nan if self.unseen == "missing" else reader.design.reference_code(key), codes)

    @staticmethod
    def _count_missing(
        result: FloatArray, read: Sequence[FloatArray], codes: Mapping[str, FloatArray], report: PieceReport
    ) -> None:
        """Count the rows without a prediction, and leave NaN there; those with a new level are counted already."""
        bad = np.flatnonzero(~np.isfinite(result[:, 0]))
        if not bad.size:
            return
        missing, known = np.zeros(len(bad), dtype=bool), np.ones(len(bad), dtype=bool)
        for column in read:
            missing |= np.isnan(column[bad])
        for found, treated in zip(read[len(read) - len(codes) :], codes.values(), strict=True):
            known &= ~(np.isnan(treated[bad]) & np.isfinite(found[bad]))
        report.missing += int(np.count_nonzero(missing & known))
        report.not_finite += int(np.count_nonzero(~missing & known))
        result[bad, 0] = np.nan

    def _add_interval(
        self, result: FloatArray, leaves: Mapping[str, FloatArray], codes: Mapping[str, FloatArray]
    ) -> None:
        model, variance = self.model, self.model.variance
        assert variance is not None
        assert self.quantile is not None
        sigma = model.statistics["sigma"] or 0.0
        step = max(1, MAX_COLUMN_VALUES // max(1, len(model.design.columns)))
        known = np.flatnonzero(~np.isnan(result[:, 0]))
        for start in range(0, len(known), step):
            rows = known[start : start + step]
            centered, magnitudes = self._center(rows, leaves, codes)
            error = sigma * variance.relative_errors(centered, magnitudes)
            width = self.quantile * (np.hypot(error, sigma) if self.kind == "observation" else error)
            result[rows, 1], result[rows, 2] = result[rows, 0] - width, result[rows, 0] + width

    def _center(
        self, rows: IntArray, leaves: Mapping[str, FloatArray], codes: Mapping[str, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """(m, d) columns, less their means if there is a bias, and the magnitudes of both."""
        model, (centers, offsets, _) = self.model, self.model.moments
        part = {name: column[rows] for name, column in leaves.items()}
        columns = model.rows_design.evaluate(part, {key: each[rows] for key, each in codes.items()}, len(rows))
        shifts = np.array([float(self.shifts.get(name, 0)) for name in model.features])
        chosen = columns[:, model.column_index] - (centers - shifts)
        if not model.has_bias:
            return chosen, np.abs(chosen)
        return chosen - offsets, np.abs(chosen) + np.abs(centers) + np.abs(offsets)

    @property
    def notices(self) -> tuple[Message, ...]:
        """What is to be said of the rows; complete after the blocks."""
        report = self.report
        notices = [*self.source.notices, *self.inputs.notices]
        if report.missing:
            counts = {"count": pluralize(report.missing, "row"), "total": f"{report.rows:,}"}
            notices.append(message("notice.no_prediction", **counts))
        for key, count in report.unseen.items():
            notices.append(message(f"notice.unseen_{self.unseen}", name=key, count=pluralize(count, "row")))
        if report.not_finite:
            notices.append(message("notice.not_finite", count=pluralize(report.not_finite, "row")))
        if report.open_intervals:
            notices.append(message("notice.open_intervals", count=pluralize(report.open_intervals, "row")))
        return tuple(notices)
