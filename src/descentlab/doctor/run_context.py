"""What conclusions about one descent are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from descentlab.doctor.directions import Direction
from descentlab.doctor.forecast import Forecast
from descentlab.run.termination import format_percent
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import RateChoice


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
    def within_percent(self) -> str:
        return format_percent(self.within)

    @property
    def own_best_rate(self) -> RateChoice | None:
        """The fastest rate with the momentum asked for; None if none converges."""
        momentum = self.theory.descent.effective_momentum
        best = self.rates.get("own_momentum" if momentum else "fastest")
        return None if best is None or best.epochs is None else best
