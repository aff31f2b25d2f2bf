"""What a watched loop went through, step by step, in little memory: losses, rates, and the curvatures measured."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from descentlab.typing import Array

SETTLED = 10  # steps after which Adam and its kind have seen enough gradients to scale by
MOST_STEPS = 100_000  # kept one by one; beyond, every second of them goes, again and again


class Probe(NamedTuple):
    """One measurement of curvature.

    Attributes:
        step: the updates made before it.
        sharpness: the largest curvature, of the loss or, for Adam and its kind, of the loss as the optimizer scales it;
            in units of the loss per squared (scaled) parameter.
        error: a bound on how far it is from some curvature that there is (the residual's norm).
        limit: the largest curvature that the rate allows; None where none is known, inf at a rate of 0.
        lr: the largest rate of any parameter group then.
        tries: products of the Hessian with a vector that it took.
        adapts: whether the optimizer scales gradients by those it has seen.
    """

    step: int
    sharpness: float
    error: float
    limit: float | None
    lr: float
    tries: int
    adapts: bool = False

    @property
    def ratio(self) -> float | None:
        """The sharpness over its limit, which is also the rate over the largest stable one."""
        return None if self.limit is None else self.sharpness / self.limit


class Row(NamedTuple):
    """One line of the table; the last three are None at steps where nothing was measured."""

    step: int
    loss: float
    lr: float
    sharpness: float | None
    limit: float | None
    ratio: float | None


@dataclass
class Record:
    """Losses and rates by step, every ``stride``-th of them, and probes."""

    stride: int = 1
    steps: int = 0
    losses: array[float] = field(default_factory=lambda: array("d"))
    rates: array[float] = field(default_factory=lambda: array("d"))
    probes: list[Probe] = field(default_factory=list)

    def add(self, loss: float, lr: float) -> None:
        """Keep one more step."""
        if self.steps % self.stride == 0:
            self.losses.append(loss)
            self.rates.append(lr)
            if len(self.losses) > MOST_STEPS:
                self.losses, self.rates, self.stride = self.losses[::2], self.rates[::2], 2 * self.stride
        self.steps += 1

    @property
    def loss(self) -> Array:
        """(k,) the losses kept, each taken just before its update."""
        return np.frombuffer(self.losses.tobytes(), dtype=np.float64)

    @property
    def lr(self) -> Array:
        """(k,) the rates of those updates."""
        return np.frombuffer(self.rates.tobytes(), dtype=np.float64)

    @property
    def ratios(self) -> list[float]:
        """Sharpness over limit where both were numbers, the rate not 0, and the optimizer's scales settled."""
        settled = [probe for probe in self.probes if not probe.adapts or probe.step >= SETTLED]
        found = [probe.ratio for probe in settled if probe.limit is not None and math.isfinite(probe.limit)]
        return [each for each in found if each is not None and math.isfinite(each)]

    def rows(self) -> tuple[Row, ...]:
        """Every step kept, counted from 1."""
        measured = {probe.step: probe for probe in self.probes}
        kept = zip(range(0, self.steps, self.stride), self.losses, self.rates, strict=False)
        return tuple(Row(step + 1, loss, lr, *_measured(measured.get(step))) for step, loss, lr in kept)


def _measured(probe: Probe | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if probe is None else (probe.sharpness, probe.limit, probe.ratio)
