"""What full-batch theory says of one descent on one problem: where it goes, how fast, and up to which rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.problem import gradient_factor

if TYPE_CHECKING:
    from descentlab.descent import Descent
    from descentlab.problem import Problem
    from descentlab.spectrum import Spectrum

Array = np.ndarray[Any, np.dtype[np.float64]]

NEAR = 0.01  # "at the minimum": within 1 % of its cost, or of every coefficient where it fits exactly
EXACT_FIT = 1e-10  # the root mean square residual, relative to the target's, below which a fit is exact


@dataclass(frozen=True, eq=False)
class Theory:
    """Bound, growth, and distance to the point that descent is bound for. Parameters are the descended ones."""

    problem: Problem
    descent: Descent

    @cached_property
    def spectrum(self) -> Spectrum:
        return self.problem.spectrum(self.descent.reduction)

    @cached_property
    def decay(self) -> float:
        """The weight decay that SGD adds to every curvature; other optimizers have their own rules."""
        return self.descent.weight_decay if self.descent.is_sgd else 0.0

    @property
    def lr_bound(self) -> float:
        """The learning rate above which this descent diverges, in its own convention; inf where none does."""
        curvature = self.spectrum.largest + self.decay
        return self.descent.limit() / curvature if curvature > 0 else float("inf")

    @cached_property
    def factors(self) -> Array:
        """(p,) what one epoch multiplies the error by in each direction; 1 where nothing pulls."""
        growth = self.descent.growth(self.spectrum.eigenvalues)
        return np.where(self.spectrum.eigenvalues + self.decay > 0, growth, 1.0)

    @property
    def steepest(self) -> tuple[float, str]:
        """The factor that grows fastest, or shrinks slowest, and the column it acts on most."""
        moving = np.flatnonzero(self.spectrum.eigenvalues + self.decay > 0)
        if not moving.size:
            return 1.0, self.problem.parameters[0]
        i = int(moving[np.argmax(np.abs(self.factors[moving]))])
        return float(self.factors[i]), self.spectrum.column(i)

    @property
    def diverges(self) -> bool:
        """Whether a constant rate makes some error grow without end."""
        return self.descent.foreseeable and abs(self.steepest[0]) > 1.0

    @cached_property
    def destination(self) -> Array:
        """(p,) the point that descent from its start is bound for: the nearest minimum, moved by weight decay."""
        quadratic, modes = self.problem.quadratic, self.problem.quadratic.modes
        start = self.problem.start(self.descent.start)
        c = gradient_factor(self.descent.reduction, self.problem.weight)
        residual = quadratic.stacked @ start - quadratic.stacked_target
        q = np.zeros(len(start))
        at = self.decay * (modes.V.T @ start)
        curvature = c * modes.s**2
        q[: modes.rank] = -(c * modes.s * (modes.U.T @ residual) + at[: modes.rank]) / (curvature + self.decay)
        if self.decay:
            q[modes.rank :] = -at[modes.rank :] / self.decay
        goal: Array = start + modes.V @ q
        return goal

    @cached_property
    def least_cost(self) -> float:
        """The mean squared error at the destination."""
        return float(self.problem.quadratic.cost(self.destination))

    @cached_property
    def fits_exactly(self) -> bool:
        """Whether nothing but rounding is left of the residuals at the destination."""
        at_zero = float(self.problem.quadratic.cost(np.zeros(len(self.problem.parameters))))
        return bool(np.sqrt(self.least_cost) <= EXACT_FIT * np.sqrt(at_zero))

    def excess(self, params: Array) -> float:
        """How far the objective is above its value at the destination, in units of the mean squared error.

        From the distance, not from a difference of costs, so that it keeps its digits near zero.
        """
        c = gradient_factor(self.descent.reduction, self.problem.weight)
        with np.errstate(over="ignore", invalid="ignore"):
            error = self.spectrum.directions.T @ (params - self.destination)
            return float(np.sum((self.spectrum.eigenvalues + self.decay) * error**2) / (c * self.problem.weight))

    def near(self, params: Array) -> bool:
        """Whether the parameters are at the destination as the clinic reads it: within 1 % of its cost.

        Where it fits exactly, within 1 % in every coefficient, 1 % of the largest for one that is about 0.
        """
        if not self.fits_exactly:
            return self.excess(params) <= NEAR * self.least_cost
        goal, here = self.problem.coordinates.to_units(np.stack([self.destination, params]))
        size = np.abs(goal)
        largest = float(size.max())
        allowed = NEAR * np.where(size > 1e-6 * largest, size, largest)
        return bool(np.all(np.abs(here - goal) <= allowed))
