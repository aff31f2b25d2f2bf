"""What conclusions about one descent are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from descentlab.doctor.directions import Direction
from descentlab.doctor.forecast import Forecast
from descentlab.run.coefficients import CoefficientError, furthest_coefficients
from descentlab.run.termination import format_percent
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import RateChoice
from descentlab.theory.settling_time import ConvergenceCriterion


@dataclass(frozen=True, eq=False)
class RunContext:
    """What conclusions about one descent are drawn from.

    Attributes:
        theory: of the descent as asked.
        forecast: the predicted result.
        within: the tolerance.
        slowest, fastest: its flattest and its steepest direction; None if the cost is constant.
        rates: the recommended rates, by name.
        batch_holds_all_rows: whether the batch size asked for holds every row.
    """

    theory: FullBatchTheory
    forecast: Forecast
    within: float
    slowest: Direction | None
    fastest: Direction | None
    rates: dict[str, RateChoice]
    batch_holds_all_rows: bool

    @property
    def misses_coefficients(self) -> bool:
        """Whether the cost converges, but not every coefficient does within the epochs asked for."""
        return self.forecast.verdict.converges and self.forecast.coefficients_converged_at_end is False

    @property
    def furthest(self) -> tuple[CoefficientError, ...]:
        """The coefficients that are furthest off after the last update."""
        if self.forecast.coefficients_converged_at_end is not False or self.forecast.params is None:
            return ()
        params = self.theory.problem.scaling.to_scaled(self.forecast.params)
        return furthest_coefficients(self.theory, params, self.within)

    @property
    def own_best_epochs_to_coefficients(self) -> int | None:
        """The epochs that :attr:`own_best_rate` takes to every coefficient; None for never."""
        if self.own_best_rate is None:
            return None
        criterion = ConvergenceCriterion.for_coefficients(self.theory, self.within)
        return criterion.epochs_to_tolerance(self.own_best_rate.lr, self.theory.descent.momentum_settings)

    @property
    def within_percent(self) -> str:
        return format_percent(self.within)

    @property
    def own_best_rate(self) -> RateChoice | None:
        """The fastest rate with the momentum asked for; None if none converges."""
        momentum = self.theory.descent.effective_momentum
        best = self.rates.get("own_momentum" if momentum else "fastest")
        return None if best is None or best.epochs is None else best
