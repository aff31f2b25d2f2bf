"""What full-batch theory says of one descent on one problem: where it goes, how fast, and up to which rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from descentlab.descent import recursion
from descentlab.descent.reductions import gradient_factor
from descentlab.descent.residual_polynomial import Response
from descentlab.factor.householder import UNIT
from descentlab.messages import number
from descentlab.typing import Array, Flags, Integers

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent
    from descentlab.problem.problem import Problem
    from descentlab.problem.spectrum import Spectrum


NEAR = 0.01  # "at the minimum": within 1 % of its cost, or of every coefficient where it fits exactly
FASTER = 100  # times less condition, from which on standardizing is worth a word
NOTHING = 32  # units of rounding that a residual may be along a direction and still be none
EXACT_FIT = 1e-10  # the root mean square residual, relative to the target's spread, below which a fit is exact


class Growing(NamedTuple):
    """The direction whose error grows fastest, or shrinks slowest.

    Attributes:
        factor: what an epoch multiplies its error by.
        gap: 1 - factor where the factor is near 1, with digits of its own.
        column: the parameter that weighs most in it.
        direction: which direction of the spectrum it is.
    """

    factor: float
    gap: float
    column: str
    direction: int = 0

    @property
    def in_words(self) -> str:
        """The factor with the digits that tell it from 1, such as ``1 - 6.4e-08``."""
        beyond = -self.factor - 1
        if 0 < abs(beyond) < 1e-4:
            return f"-(1 {'+' if beyond > 0 else '-'} {abs(beyond):.2g})"
        if abs(self.gap) > 1e-4 or self.gap == 0:
            return number(self.factor)
        return f"1 {'-' if self.gap > 0 else '+'} {abs(self.gap):.2g}"


@dataclass(frozen=True, eq=False)
class Theory:
    """Bound, growth, and distance to the point that descent is bound for. Parameters are the descended ones.

    Attributes:
        problem, descent: what is to be told.
        lr: the rate to tell it for; None is the descent's own.
    """

    problem: Problem
    descent: Descent
    lr: float | None = None

    @cached_property
    def spectrum(self) -> Spectrum:
        return self.problem.spectrum(self.descent.reduction)

    @cached_property
    def decay(self) -> float:
        """The weight decay that SGD adds to every curvature; other optimizers have their own rules."""
        return self.descent.weight_decay if self.descent.is_sgd else 0.0

    @cached_property
    def scale(self) -> float:
        """The cost descended on, as a multiple of the mean squared error: 1, 1/2, n or n/2 by the reduction."""
        return gradient_factor(self.descent.reduction, self.problem.weight) * self.problem.weight / 2

    @property
    def largest(self) -> float:
        """The greatest curvature, weight decay included; 0 where nothing curves."""
        return self.spectrum.largest + self.decay

    @property
    def smallest(self) -> float:
        """The least curvature of directions that the data has, or the start an error in; weight decay included."""
        open_ = self.decay > 0 and bool((self.error[self.spectrum.rank :] != 0).any())
        return self.decay if open_ else self.spectrum.smallest + self.decay

    @property
    def condition(self) -> float:
        """Greatest over least of these curvatures; 1 where nothing curves."""
        if self.largest == 0:
            return 1.0
        return self.largest / self.smallest if self.smallest > 0 else float("inf")

    @cached_property
    def accumulating(self) -> float:
        """The greatest factor of an epoch where gradients add up beside momentum or weight decay; 0 for others."""
        descent = self.descent
        if descent.zero_grad or descent.foreseeable or not descent.is_sgd or descent.schedule or descent.batch_size:
            return 0.0
        moving = self.spectrum.eigenvalues > 0
        own: recursion.Recursion = {**descent.recursion, "momentum": descent.momentum}
        return recursion.accumulating(descent.lr, self.spectrum.eigenvalues[moving], self.decay, own)

    @property
    def applies(self) -> bool:
        """Whether theory can speak of this descent: gradients that add up beside other settings are beyond it."""
        return self.descent.foreseeable or self.descent.zero_grad

    @property
    def lr_bound(self) -> float:
        """The learning rate above which this descent diverges, in its own convention; inf where none does.

        A batch's sum has fewer rows than the whole sum, so its average step curves less by that part.
        """
        part = 1.0
        if self.descent.batch_size is not None and self.descent.reduction in ("sum", "half_sum"):
            part = min(1.0, self.descent.batch_size / self.problem.n)
        curvature = part * self.spectrum.largest + self.decay
        return self.descent.limit() / curvature if curvature > 0 else float("inf")

    @property
    def scaled_bound(self) -> float | None:
        """The bound on standardized columns, where they would descend far faster; None where it is not that."""
        if self.problem.standardize:
            return None
        other = Theory(self.problem.variant(standardize=True), self.descent)
        return other.lr_bound if other.condition * FASTER <= self.condition else None

    @cached_property
    def factors(self) -> Array:
        """(p,) what one epoch multiplies the error by in each direction; 1 where nothing pulls."""
        return np.where(self._x > 0, recursion.growth(self._x, **self.descent.recursion), 1.0)

    @property
    def _x(self) -> Array:
        lr = self.descent.lr if self.lr is None else self.lr
        return lr * self.curvature

    @property
    def growing(self) -> Growing:
        """The worst direction among those with an error that anything pulls at, or, where none has, among all."""
        moving = np.flatnonzero((self._x > 0) & (self.error != 0))
        moving = moving if moving.size else np.flatnonzero(self._x > 0)
        if not moving.size:
            return Growing(1.0, 0.0, self.problem.parameters[0])
        # Of equal factors the last: the flattest direction, where several are 1 to every digit.
        i = int(moving[::-1][np.argmax(np.abs(self.factors[moving[::-1]]))])
        gap = float(recursion.gap(self._x[i : i + 1], **self.descent.recursion)[0])
        return Growing(float(self.factors[i]), gap, self.spectrum.column(i), i)

    @cached_property
    def response(self) -> Response:
        """What any number of updates makes of the error in each of the p directions."""
        return Response.of(self._x, **self.descent.recursion)

    @property
    def unstable(self) -> bool:
        """Whether this rate makes an error in some direction grow without end, if there is one."""
        settled = self.descent.foreseeable and self.descent.schedule is None
        return settled and bool((self.response.grows & (self.curvature > 0)).any())

    @property
    def diverges(self) -> bool:
        """Whether this rate makes an error that this start has grow without end."""
        return self.unstable and bool((self.response.grows & (self.error != 0)).any())

    def params_after(self, updates: Integers) -> Array:
        """(k, p) the descended parameters after these many updates."""
        h = self.response.at(np.asarray(updates)[:, None])
        with np.errstate(over="ignore", invalid="ignore"):
            moved = np.where(self.error == 0, 0.0, h * self.error)
            after: Array = self.destination + moved @ self.spectrum.directions.T
        return after

    def cost_after(self, updates: Integers) -> Array:
        """(k,) the mean squared error after these many updates; inf beyond float64's range."""
        cost = self.problem.quadratic.cost(self.params_after(updates))
        return np.where(np.isnan(cost), np.inf, cost)

    @cached_property
    def curvature(self) -> Array:
        """(p,) what pulls in each direction: the eigenvalue and the weight decay."""
        curvature: Array = self.spectrum.eigenvalues + self.decay
        return curvature

    @cached_property
    def error(self) -> Array:
        """(p,) start minus destination along each direction; 0 where nothing pulls.

        From the gradient at the start, not from a difference of points, so that each direction keeps its own digits.
        What is no more than the rounding of the target is 0.
        """
        return self._error(self.problem.start(self.descent.start))

    def _error(self, start: Array) -> Array:
        quadratic, modes = self.problem.quadratic, self.problem.quadratic.modes
        c = gradient_factor(self.descent.reduction, self.problem.weight)
        with np.errstate(over="ignore", invalid="ignore"):
            pull = self.decay * (modes.V.T @ start)
            predicted, target = quadratic.stacked @ start, quadratic.stacked_target
            residuals = modes.U.T @ (predicted - target)
            nothing = NOTHING * UNIT * (np.linalg.norm(predicted) + np.linalg.norm(target))
            pull[: modes.rank] += c * modes.s * np.where(np.abs(residuals) <= nothing, 0.0, residuals)
            return np.where(self.curvature > 0, pull / np.where(self.curvature > 0, self.curvature, 1.0), 0.0)

    @cached_property
    def destination(self) -> Array:
        """(p,) the point that descent from its start is bound for: the nearest minimum, moved by weight decay.

        Only where nothing pulls does it rest on the start, so it is found from there or from zero: from whichever is
        nearer, since the way from a far start takes the digits with it.
        """
        start, V = self.problem.start(self.descent.start), self.spectrum.directions
        from_zero = self._error(np.zeros_like(start))
        if np.abs(self.error).max() <= np.abs(from_zero).max():
            return np.asarray(start - V @ self.error)
        return np.asarray(V @ np.where(self.curvature > 0, -from_zero, V.T @ start))

    @cached_property
    def least_cost(self) -> float:
        """The mean squared error at the destination."""
        return float(self.problem.quadratic.cost(self.destination)) if self.penalised else self.problem.fit.cost

    @cached_property
    def penalised(self) -> bool:
        """Whether ridge or weight decay keeps the destination away from the least mean squared error."""
        return self.problem.ridge > 0 or self.decay > 0

    @cached_property
    def least_objective(self) -> float:
        """Mean squared error, ridge and weight decay's part at the destination, in units of the mean squared error."""
        if not self.penalised:
            return self.least_cost
        at = self.destination
        return float(self.problem.quadratic.objective(at)) + self.decay * float(at @ at) / (2 * self.scale)

    @cached_property
    def fits_exactly(self) -> bool:
        """Whether nothing but rounding is left of the residuals at the destination."""
        factor, quadratic = self.problem.factor, self.problem.quadratic
        spread = factor.deviations[-1] if self.problem.bias else np.hypot(factor.deviations, factor.means)[-1]
        terms = np.linalg.norm(np.abs(quadratic.A) @ np.abs(self.destination)) + np.linalg.norm(quadratic.t)
        rounding = max(factor.noise[-1], UNIT * float(terms)) / np.sqrt(factor.weight)
        return bool(np.sqrt(self.least_cost) <= max(EXACT_FIT * spread, 4 * rounding))

    def excess(self, params: Array) -> float:
        """How far the objective is above its value at the destination, in units of the mean squared error.

        From the distance, not from a difference of costs, so that it keeps its digits near zero; inf where the
        parameters, or the excess, have left the range of float64.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            error = self.spectrum.directions.T @ (params - self.destination)
            excess = float(np.sum(self.curvature * error**2) / (2 * self.scale))
        return excess if excess == excess else np.inf

    def near(self, params: Array, within: float = NEAR) -> Flags:
        """(...) whether parameters (..., p) are at the destination: within 1 % of its objective, mostly its cost.

        Where it fits exactly, within 1 % in every coefficient, 1 % of the largest for one that is about 0; along
        directions that the data determines, since others change no cost.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            error = (params - self.destination) @ self.spectrum.directions
            if not self.fits_exactly:
                excess = (error * error) @ self.curvature / (2 * self.scale)
                near: Flags = excess <= within * self.least_objective
            else:
                steep = np.where(self.curvature > 0, error, 0.0) @ self.spectrum.directions.T
                off = np.abs(self.problem.coordinates.to_units(steep))
                near = np.all(off <= within * self.sizes, axis=-1)
        return near

    @cached_property
    def sizes(self) -> Array:
        """(p,) what each coefficient's error is measured against: its size at the destination, in the data's units.

        For one that is about 0, the size of the largest; where all of them are 0, that of the largest at the start.
        """
        to_units = self.problem.coordinates.to_units
        size = np.abs(to_units(self.destination))
        largest = float(size.max(initial=0.0))
        if largest == 0:
            return np.full_like(size, np.abs(to_units(self.problem.start(self.descent.start))).max(initial=0.0))
        return np.where(size > 1e-6 * largest, size, largest)
