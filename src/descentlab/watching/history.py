"""The history of a watched loop in little memory: losses, rates, and the curvatures measured."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from descentlab.typing import FloatArray

ADAPTIVE_WARMUP_STEPS = 10  # steps after which Adam and its kind have seen enough gradients to scale by
MAX_KEPT_STEPS = 100_000  # kept one by one; beyond, every second of them goes, again and again


class CurvatureMeasurement(NamedTuple):
    """One measurement of curvature.

    Attributes:
        step: the updates made before it.
        sharpness: the largest curvature, of the loss or, for Adam and its kind, of the loss as the optimizer scales it;
            in units of the loss per squared (scaled) parameter.
        error: a bound on how far it is from some curvature that there is (the residual's norm).
        limit: the largest curvature that the rate allows; None where none is known, inf at a rate of 0.
        lr: the largest rate of any parameter group then.
        n_products: products of the Hessian with a vector that it took.
        is_adaptive: whether the optimizer scales gradients by those it has seen.
    """

    step: int
    sharpness: float
    error: float
    limit: float | None
    lr: float
    n_products: int
    is_adaptive: bool = False

    @property
    def ratio(self) -> float | None:
        """The sharpness over its limit, which is also the rate over the largest stable one."""
        return None if self.limit is None else self.sharpness / self.limit


class WatchRow(NamedTuple):
    """One line of the table; the last three are None at steps where nothing was measured."""

    step: int
    loss: float
    lr: float
    sharpness: float | None
    limit: float | None
    ratio: float | None


@dataclass
class WatchHistory:
    """Losses and rates of every ``stride``-th step, and the measured curvatures."""

    stride: int = 1
    steps: int = 0
    losses: array[float] = field(default_factory=lambda: array("d"))
    learning_rates: array[float] = field(default_factory=lambda: array("d"))
    measurements: list[CurvatureMeasurement] = field(default_factory=list)

    def add(self, loss: float, lr: float) -> None:
        """Keep one more step."""
        if self.steps % self.stride == 0:
            self.losses.append(loss)
            self.learning_rates.append(lr)
            if len(self.losses) > MAX_KEPT_STEPS:
                self.losses, self.learning_rates = self.losses[::2], self.learning_rates[::2]
                self.stride *= 2
        self.steps += 1

    @property
    def loss(self) -> FloatArray:
        """(k,) the losses kept, each taken just before its update."""
        return np.frombuffer(self.losses.tobytes(), dtype=np.float64)

    @property
    def lr(self) -> FloatArray:
        """(k,) the rates of those updates."""
        return np.frombuffer(self.learning_rates.tobytes(), dtype=np.float64)

    @property
    def lr_ratios(self) -> list[float]:
        """Sharpness over limit where both are finite, the rate is not 0, and the optimizer's scales have settled."""
        warmed_up = (each for each in self.measurements if not each.is_adaptive or each.step >= ADAPTIVE_WARMUP_STEPS)
        ratios = (each.ratio for each in warmed_up if each.limit is not None and math.isfinite(each.limit))
        return [ratio for ratio in ratios if ratio is not None and math.isfinite(ratio)]

    def rows(self) -> tuple[WatchRow, ...]:
        """Every step kept, counted from 1."""
        measurement_by_step = {each.step: each for each in self.measurements}
        kept_steps = zip(range(0, self.steps, self.stride), self.losses, self.learning_rates, strict=False)
        return tuple(
            WatchRow(step + 1, loss, lr, *_measurement_columns(measurement_by_step.get(step)))
            for step, loss, lr in kept_steps
        )


def _measurement_columns(measurement: CurvatureMeasurement | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if measurement is None else (measurement.sharpness, measurement.limit, measurement.ratio)
