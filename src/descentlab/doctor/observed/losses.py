"""What was observed, and when a prediction is it: the numbers, their rounding, the epochs they were printed at.

A loop prints a loss before or after an epoch's update, and counts epochs from 0 or from 1, so the number printed at
epoch k may be that after k - 1, k or k + 1 updates. One shift has to fit them all.

A prediction in float64 is the observed number to the last digit printed; a loop in float32 drifts from it. To first
order in its unit u, t updates that round parameters p coherently move the loss by ``u t |p| |g|``, and a rate and
data that were rounded move what is left to lose by ``4 u t`` of it. Where nothing is left to lose, a loop prints
rounding: what :mod:`descentlab.doctor.observed.rounding` allows comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descentlab.doctor.losses.parsing import PrintedLosses, parse_losses
from descentlab.errors import SettingError, check_int
from descentlab.typing import FLOAT32_UNIT_ROUNDOFF, BoolArray, FloatArray, IntArray

STRICT_RTOL_RANGE = (2e-6, 1e-4)  # relative drift allowed to a number that is to be reproduced: at least, at most
# Relative drift that always agrees, and the largest that rounding may explain.
LOOSE_RTOL, MAX_LOOSE_RTOL = 1e-3, 0.05
OVERFLOW_LOSS = float(np.finfo(np.float32).max) * 1e-6  # a loss beyond it has, or will have, left float32
MAX_DIGITS_PER_LOSS = 6.0  # the most that one number counts for
# Losses compared with predictions; of more, the first half of that many, and others evenly spaced to the last.
MAX_COMPARED = 300
MIN_EVIDENCE_DIGITS = 3.3  # digits that must agree, in addition to those that choose among the explanations


@dataclass(frozen=True, eq=False)
class ObservedLosses:
    """Observed losses.

    Attributes:
        losses: (m,) as printed; nan and inf may be among them.
        epochs: (m,) the number of the epoch that each was printed at, ascending.
        update_offsets: what may have to be added to that for the number of updates made.
        count: how many losses there were, if these are some of them.
    """

    losses: PrintedLosses
    epochs: IntArray
    update_offsets: tuple[int, ...]
    count: int

    @classmethod
    def from_losses(cls, observed: object, epochs: int, epochs_seen: object = None) -> ObservedLosses:
        """Read what was observed.

        Args:
            observed: the final loss, or the losses by epoch from the first one.
            epochs: how many epochs were run.
            epochs_seen: the epochs' numbers, if they are others: one for each loss, ascending.

        Raises:
            SettingError: an entry is not a number or is negative, there is none, or the epochs do not fit.
        """
        losses = parse_losses(observed)
        count = len(losses.values)
        if count == 0:
            raise SettingError("observed_empty")
        if epochs_seen is None:
            epoch_numbers = np.arange(1, count + 1) if count > 1 else np.array([epochs])
            return cls(losses, epoch_numbers, (-1, 0), count)._subsample()
        raw_epochs = list(epochs_seen) if isinstance(epochs_seen, Sequence | np.ndarray) else [epochs_seen]
        epoch_numbers = np.array([check_int("epochs_seen", each, 0) for each in raw_epochs], dtype=np.int64)
        if len(epoch_numbers) != count or (np.diff(epoch_numbers) <= 0).any():
            raise SettingError("observed_epochs", count=count, given=epoch_numbers.tolist())
        update_offsets = tuple(offset for offset in (-1, 0, 1) if epoch_numbers[0] + offset >= 0)
        return cls(losses, epoch_numbers, update_offsets, count)._subsample()

    @classmethod
    def interpretations(cls, observed: object, epochs: int, epochs_seen: object, every: int) -> list[ObservedLosses]:
        """The ways in which the epochs may be meant, the likeliest first; see :meth:`from_losses` and
        :meth:`printed_every`.
        """
        losses = cls.from_losses(observed, epochs, epochs_seen)
        return [losses] if every == 1 or epochs_seen is not None or losses.count == 1 else losses.printed_every(every)

    def printed_every(self, every: int) -> list[ObservedLosses]:
        """These losses as printed every N epochs, from epoch 1 on or from epoch N on.

        Epochs counted from 0 come to the same numbers of updates.
        """
        steps = (self.epochs - 1) * every
        return [ObservedLosses(self.losses, steps + first, (-1, 0), self.count) for first in (1, every)]

    def possible_intervals(self, epochs: int) -> list[int]:
        """The intervals at which this many losses fill the epochs."""
        if self.count == 1 or self.count >= epochs:
            return []
        spans = ((epochs, self.count), (epochs - 1, self.count - 1), (epochs, self.count - 1))
        return list(
            dict.fromkeys(
                span // n_intervals for span, n_intervals in spans if span % n_intervals == 0 and span > n_intervals
            )
        )

    def _subsample(self) -> ObservedLosses:
        """At most MOST of them, including the first that is not finite."""
        count = len(self.epochs)
        if count <= MAX_COMPARED:
            return self
        step = -(-(count - MAX_COMPARED // 2) // (MAX_COMPARED // 2))
        spaced = np.arange(count - 1, MAX_COMPARED // 2 - 1, -step)  # evenly: engines take that in one stride
        first_nonfinite = np.flatnonzero(~self.is_finite)[:1]
        selected = np.unique(np.concatenate([np.arange(MAX_COMPARED // 2), spaced, first_nonfinite]))
        losses = PrintedLosses(self.losses.values[selected], self.losses.half_ulps[selected])
        return ObservedLosses(losses, self.epochs[selected], self.update_offsets, self.count)

    @cached_property
    def updates(self) -> IntArray:
        """(k,) every number of updates that may have been made at a print, ascending."""
        return np.unique(np.concatenate([self.epochs + offset for offset in self.update_offsets]))

    @cached_property
    def is_finite(self) -> BoolArray:
        """(m,) which of them are numbers."""
        flags: BoolArray = np.isfinite(self.losses.values)
        return flags

    def count_digits(self, tolerance: FloatArray | float = 0.0, distances: FloatArray | float = np.inf) -> float:
        """How many digits they hold together, different numbers only.

        Args:
            tolerance: (m,) how far each may be from what it is compared with: digits beyond that are none.
            distances: (m,) how far each lies from what other explanations have there: digits in common with those tell
                nothing.
        """
        values, zeros = self.losses.values[self.is_finite], np.zeros(len(self.epochs))
        rounding = np.maximum(self.losses.half_ulps, tolerance + zeros)[self.is_finite]
        rounding = np.maximum(rounding, STRICT_RTOL_RANGE[0] * values + 1e-300)
        with np.errstate(over="ignore"):
            digits_each = np.log10(
                np.maximum(np.minimum(values, (distances + zeros)[self.is_finite]), 1e-300) / rounding
            )
        total, last = 0.0, -math.inf
        for i in np.argsort(values, kind="stable").tolist():
            if values[i] - last > rounding[i]:
                total, last = total + float(np.clip(digits_each[i], 0.0, MAX_DIGITS_PER_LOSS)), float(values[i])
        return total

    def is_significant(
        self, n_alternatives: int, tolerance: FloatArray | float = 0.0, distances: FloatArray | float = np.inf
    ) -> bool:
        """Whether a match with one of ``n_alternatives`` explanations is more than chance."""
        return self.count_digits(tolerance, distances) >= MIN_EVIDENCE_DIGITS + math.log10(n_alternatives)

    def predictions_at(self, predicted: FloatArray, offset: int) -> FloatArray:
        """(m, ...) of predictions (k, ...) by :attr:`updates`, those for the numbers seen."""
        selected: FloatArray = predicted[self._positions[offset]]
        return selected

    @cached_property
    def _positions(self) -> dict[int, IntArray]:
        """By offset, (m,) where :attr:`updates` holds the numbers for the epochs seen."""
        return {offset: np.searchsorted(self.updates, self.epochs + offset) for offset in self.update_offsets}

    def find_exact_offset(
        self, predicted: FloatArray, extra_tolerance: float = 0.0, rounding_tolerance: FloatArray | float = 0.0
    ) -> int | None:
        """The shift by which predictions (k,) are every number seen, or None; ``extra_tolerance`` in units of their
        rounding.
        """
        return self._best_offset(predicted, self._strict_rtol * np.abs(predicted) + rounding_tolerance, extra_tolerance)

    @cached_property
    def _strict_rtol(self) -> FloatArray:
        """(k,) the relative drift allowed to a number that is to be reproduced."""
        return np.clip(4 * FLOAT32_UNIT_ROUNDOFF * self.updates.astype(np.float64), *STRICT_RTOL_RANGE)

    def find_approximate_offset(
        self, predicted: FloatArray, drift: FloatArray, rounding_tolerance: FloatArray | float = 0.0
    ) -> int | None:
        """The shift by which predictions (k,) are the numbers seen but for a loop's own rounding, or None."""
        return self._best_offset(predicted, self.drift_tolerance(predicted, drift) + rounding_tolerance)

    @staticmethod
    def drift_tolerance(predicted: FloatArray, drift: FloatArray) -> FloatArray:
        """(k,) what is allowed to predictions (k,) for a drift (k,): at least 0.1% of them, at most 5%."""
        tolerance: FloatArray = np.clip(drift, LOOSE_RTOL * np.abs(predicted), MAX_LOOSE_RTOL * np.abs(predicted))
        return tolerance

    def relative_error(self, predicted: FloatArray, offset: int) -> FloatArray:
        """(m,) relative differences, nan for losses that are not finite."""
        expected = self.predictions_at(predicted, offset)
        with np.errstate(invalid="ignore", divide="ignore"):
            error: FloatArray = np.abs(self.losses.values - expected) / np.maximum(np.abs(expected), 1e-300)
        return np.where(self.is_finite, error, np.nan)

    def _best_offset(self, predicted: FloatArray, tolerance: FloatArray, extra_tolerance: float = 0.0) -> int | None:
        candidates = []
        for offset in self.update_offsets:
            expected, max_error = (
                self.predictions_at(predicted, offset),
                self.predictions_at(tolerance, offset) + extra_tolerance * self.losses.half_ulps,
            )
            if self.matches(expected, max_error).all():
                with np.errstate(invalid="ignore"):
                    relative_error = np.where(
                        self.is_finite, np.abs(self.losses.values - expected) / (self.losses.half_ulps + max_error), 0.0
                    )
                candidates.append((float(np.nanmax(relative_error, initial=0.0)), offset))
        return min(candidates)[1] if candidates else None

    def matches(self, predicted: FloatArray, tolerance: FloatArray) -> BoolArray:
        """(m, ...) where predictions are what was seen: a number within what is allowed, or a number lost."""
        shape = (-1,) + (1,) * (predicted.ndim - 1)
        values, half_ulps = self.losses.values.reshape(shape), self.losses.half_ulps.reshape(shape)
        with np.errstate(invalid="ignore"):
            is_close = np.isfinite(predicted) & (np.abs(values - predicted) <= half_ulps + tolerance)
            both_overflow = ~np.isfinite(values) & ~(predicted < OVERFLOW_LOSS)
        matches: BoolArray = is_close | both_overflow
        return matches
