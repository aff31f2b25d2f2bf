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

import numpy as np

from descentlab.doctor.losses.parsing import Printed, read
from descentlab.doctor.observed.rounding import SINGLE
from descentlab.errors import SettingError, whole_number
from descentlab.typing import Array, Flags, Integers

TIGHT = (2e-6, 1e-4)  # relative drift allowed to a number that is to be reproduced: at least, at most
LOOSE, LOOSEST = 1e-3, 0.05  # relative drift that agrees at any rate, and the most that rounding may explain
OVERFLOW = float(np.finfo(np.float32).max) * 1e-6  # a loss beyond it has, or will have, left float32
DIGITS = 6.0  # the most that one number counts for
MOST = 300  # numbers held against predictions: of more, the first half of that, and others evenly spaced to the last
EVIDENCE = 3.3  # digits that must be seen, beside those that choose among the explanations


@dataclass(frozen=True, eq=False)
class Seen:
    """Observed losses.

    Attributes:
        losses: (m,) as printed; nan and inf may be among them.
        epochs: (m,) the number of the epoch that each was printed at, ascending.
        shifts: what may have to be added to that for the number of updates made.
        count: how many losses there were, if these are some of them.
    """

    losses: Printed
    epochs: Integers
    shifts: tuple[int, ...]
    count: int

    @classmethod
    def of(cls, observed: object, epochs: int, epochs_seen: object = None) -> Seen:
        """Read what was observed.

        Args:
            observed: the final loss, or the losses by epoch from the first one.
            epochs: how many epochs were run.
            epochs_seen: the epochs' numbers, if they are others: one for each loss, ascending.

        Raises:
            SettingError: an entry is no number or negative, there is none, or the epochs do not fit.
        """
        losses = read(observed)
        count = len(losses.values)
        if count == 0:
            raise SettingError("observed_empty")
        if epochs_seen is None:
            numbers = np.arange(1, count + 1) if count > 1 else np.array([epochs])
            return cls(losses, numbers, (-1, 0), count)._thinned()
        given = list(epochs_seen) if isinstance(epochs_seen, Sequence | np.ndarray) else [epochs_seen]
        numbers = np.array([whole_number("epochs_seen", each, 0) for each in given], dtype=np.int64)
        if len(numbers) != count or (np.diff(numbers) <= 0).any():
            raise SettingError("observed_epochs", count=count, given=numbers.tolist())
        shifts = tuple(shift for shift in (-1, 0, 1) if numbers[0] + shift >= 0)
        return cls(losses, numbers, shifts, count)._thinned()

    @classmethod
    def readings(cls, observed: object, epochs: int, epochs_seen: object, every: int) -> list[Seen]:
        """The ways in which the epochs may be meant, the likeliest first; see :meth:`of` and :meth:`spaced`."""
        seen = cls.of(observed, epochs, epochs_seen)
        return [seen] if every == 1 or epochs_seen is not None or seen.count == 1 else seen.spaced(every)

    def spaced(self, every: int) -> list[Seen]:
        """These losses as printed every so many epochs: at the first and so on, or at that one, its double and so on.

        Epochs counted from 0 come to the same numbers of updates.
        """
        steps = (self.epochs - 1) * every
        return [Seen(self.losses, steps + first, (-1, 0), self.count) for first in (1, every)]

    def strides(self, epochs: int) -> list[int]:
        """How many epochs apart so many losses would be, to fill so many epochs."""
        if self.count == 1 or self.count >= epochs:
            return []
        spans = ((epochs, self.count), (epochs - 1, self.count - 1), (epochs, self.count - 1))
        return list(dict.fromkeys(span // parts for span, parts in spans if span % parts == 0 and span > parts))

    def _thinned(self) -> Seen:
        """At most MOST of them, the first that is no number included."""
        count = len(self.epochs)
        if count <= MOST:
            return self
        step = -(-(count - MOST // 2) // (MOST // 2))
        spaced = np.arange(count - 1, MOST // 2 - 1, -step)  # evenly: engines take that in one stride
        lost = np.flatnonzero(~self.finite)[:1]
        kept = np.unique(np.concatenate([np.arange(MOST // 2), spaced, lost]))
        losses = Printed(self.losses.values[kept], self.losses.halves[kept])
        return Seen(losses, self.epochs[kept], self.shifts, self.count)

    @property
    def updates(self) -> Integers:
        """(k,) every number of updates that may have been made at a print, ascending."""
        return np.unique(np.concatenate([self.epochs + shift for shift in self.shifts]))

    @property
    def finite(self) -> Flags:
        """(m,) which of them are numbers."""
        flags: Flags = np.isfinite(self.losses.values)
        return flags

    def digits(self, allowed: Array | float = 0.0, apart: Array | float = np.inf) -> float:
        """How many digits they hold together, different numbers only.

        Args:
            allowed: (m,) how far each may be from what it is compared with: digits beyond that are none.
            apart: (m,) how far each lies from what other explanations have there: digits in common with those tell
                nothing.
        """
        values, zeros = self.losses.values[self.finite], np.zeros(len(self.epochs))
        rounding = np.maximum(self.losses.halves, allowed + zeros)[self.finite]
        rounding = np.maximum(rounding, TIGHT[0] * values + 1e-300)
        with np.errstate(over="ignore"):
            counted = np.log10(np.maximum(np.minimum(values, (apart + zeros)[self.finite]), 1e-300) / rounding)
        total, last = 0.0, -math.inf
        for i in np.argsort(values, kind="stable").tolist():
            if values[i] - last > rounding[i]:
                total, last = total + float(np.clip(counted[i], 0.0, DIGITS)), float(values[i])
        return total

    def tells(self, among: int, allowed: Array | float = 0.0, apart: Array | float = np.inf) -> bool:
        """Whether a match with one of so many explanations is more than chance."""
        return self.digits(allowed, apart) >= EVIDENCE + math.log10(among)

    def at(self, predicted: Array, shift: int) -> Array:
        """(m, ...) of predictions (k, ...) by :attr:`updates`, those for the numbers seen."""
        found: Array = predicted[np.searchsorted(self.updates, self.epochs + shift)]
        return found

    def reproduced(self, predicted: Array, slack: float = 0.0, floor: Array | float = 0.0) -> int | None:
        """The shift by which predictions (k,) are every number seen, or None; ``slack`` in units of their rounding."""
        updates = self.updates.astype(np.float64)
        return self._shift(predicted, np.clip(4 * SINGLE * updates, *TIGHT) * np.abs(predicted) + floor, slack)

    def agrees(self, predicted: Array, drift: Array, floor: Array | float = 0.0) -> int | None:
        """The shift by which predictions (k,) are the numbers seen but for a loop's own rounding, or None."""
        return self._shift(predicted, self.drifted(predicted, drift) + floor)

    @staticmethod
    def drifted(predicted: Array, drift: Array) -> Array:
        """(k,) what is allowed to predictions (k,) for a drift (k,): at least 0.1 % of them, at most 5 %."""
        allowed: Array = np.clip(drift, LOOSE * np.abs(predicted), LOOSEST * np.abs(predicted))
        return allowed

    def off(self, predicted: Array, shift: int) -> Array:
        """(m,) relative differences, nan beside numbers that are not finite."""
        at = self.at(predicted, shift)
        with np.errstate(invalid="ignore", divide="ignore"):
            off: Array = np.abs(self.losses.values - at) / np.maximum(np.abs(at), 1e-300)
        return np.where(self.finite, off, np.nan)

    def _shift(self, predicted: Array, allowed: Array, slack: float = 0.0) -> int | None:
        fitting = []
        for shift in self.shifts:
            at, most = self.at(predicted, shift), self.at(allowed, shift) + slack * self.losses.halves
            if self.fits(at, most).all():
                with np.errstate(invalid="ignore"):
                    off = np.where(self.finite, np.abs(self.losses.values - at) / (self.losses.halves + most), 0.0)
                fitting.append((float(np.nanmax(off, initial=0.0)), shift))
        return min(fitting)[1] if fitting else None

    def fits(self, at: Array, allowed: Array) -> Flags:
        """(m, ...) where predictions are what was seen: a number within what is allowed, or a number lost."""
        shape = (-1,) + (1,) * (at.ndim - 1)
        values, halves = self.losses.values.reshape(shape), self.losses.halves.reshape(shape)
        with np.errstate(invalid="ignore"):
            near = np.isfinite(at) & (np.abs(values - at) <= halves + allowed)
            lost = ~np.isfinite(values) & ~(at < OVERFLOW)
        fits: Flags = near | lost
        return fits
