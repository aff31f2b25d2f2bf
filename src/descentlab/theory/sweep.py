"""The cost of many learning rates after every number of updates, without a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.residual_polynomial import ResidualPolynomial
from descentlab.errors import SettingError, check_int
from descentlab.messages import (
    Message,
    Table,
    format_epochs,
    format_number,
    message,
    pluralize,
)
from descentlab.messages.document import Block, Presentable, make_blocks, message_blocks
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import check_keywords, check_problem
from descentlab.theory.full_batch import DEFAULT_WITHIN, FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.typing import FloatArray, IntArray

MAX_CELLS = 250_000_000  # two gigabytes of float64
MAX_TABLE_RATES = 12  # rates in the table


@dataclass(frozen=True, eq=False)
class Sweep(Presentable):
    """The cost of m learning rates after each of k numbers of updates; see :func:`descentlab.sweep`.

    Attributes:
        problem, descent: the problem and the settings; ``descent.lr`` is the first of the rates.
        lr: (m,) the rates.
        updates: (k,) 0, every, 2 every, ... up to the epochs asked for.
        cost: (m, k) the mean squared error of each rate after each number of updates; inf beyond the range of float64.
        lr_bound: the largest stable rate.
        least_cost: the mean squared error at the limit point of stable rates.
    """

    problem: Problem
    descent: Descent
    lr: FloatArray
    updates: IntArray
    cost: FloatArray
    lr_bound: float
    least_cost: float

    @property
    def best(self) -> int:
        """The index of the rate with the least cost after the last update."""
        return int(np.argmin(self.cost[:, -1]))

    @cached_property
    def epochs_to_tolerance(self) -> tuple[int | None, ...]:
        """(m,) after how many updates the cost of each rate stays within 1% of the least cost; None for never."""
        return tuple(self._epochs_to_tolerance_of(range(len(self.lr))))

    def _epochs_to_tolerance_of(self, rates: Iterable[int]) -> Iterator[int | None]:
        criterion = ConvergenceCriterion.from_theory(FullBatchTheory(self.problem, self.descent), DEFAULT_WITHIN)
        return (criterion.epochs_to_tolerance(float(self.lr[i]), self.descent.momentum_settings) for i in rates)

    @property
    def messages(self) -> Iterator[Message]:
        """How many rates were tried and are stable, and which is best after the last update."""
        rates, last, cost = len(self.lr), int(self.updates[-1]), float(self.cost[self.best, -1])
        stable = int((self.lr < self.lr_bound).sum())
        bounded = np.isfinite(self.lr_bound)
        swept = {"rates": pluralize(rates, "rate"), "epochs": pluralize(last), "stable": stable, "bound": self.lr_bound}
        yield message("sweep.said" if bounded else "sweep.unbounded", **swept)
        theory = FullBatchTheory(self.problem, self.descent)
        best = {"best": float(self.lr[self.best]), "cost": cost, "least": theory.rounded_least_cost}
        yield message("sweep.best" if np.isfinite(cost) else "sweep.overflowed", **best)

    @property
    def table(self) -> Table:
        """Cost and epochs of every rate, or of evenly spaced ones and the best."""
        chosen = np.unique([*np.linspace(0, len(self.lr) - 1, MAX_TABLE_RATES).round().astype(int), self.best])
        order = chosen[np.argsort(self.lr[chosen], kind="stable")]
        rows = [
            (
                format_number(float(self.lr[i])),
                format_number(float(self.cost[i, -1])).replace("inf", "∞"),
                format_epochs(epochs),
            )
            for i, epochs in zip(order, self._epochs_to_tolerance_of(order), strict=True)
        ]
        headings = tuple(message(f"column.{name}").text() for name in ("lr", "last_cost", "epochs"))
        values = {"updates": pluralize(int(self.updates[-1]), "update"), "within": f"{100 * DEFAULT_WITHIN:.3g}"}
        return Table(message("sweep.table", **values).text(), headings, rows)

    def __repr__(self) -> str:
        return f"Sweep({len(self.lr)} rates, {int(self.updates[-1])} epochs, bound {self.lr_bound:.6g})"


@make_blocks.register
def _(result: Sweep) -> list[Block]:
    return message_blocks(result.messages, [result.table])


def sweep(
    problem: Problem, lr: Sequence[float] | FloatArray, epochs: int = 100, every: int = 1, **settings: Any
) -> Sweep:
    """The mean squared error of every learning rate after every number of updates, from the factor alone.

        cost(lr, t) = least cost + sum_i a_i e_i^2 h(lr a_i, t)^2 / (2 s)

    with a_i the eigenvalues, e_i the initial errors, h the residual polynomial
    (:mod:`descentlab.descent.residual_polynomial`) and s the reduction's scale. A penalty adds cross terms.

    Args:
        problem: the problem; only its factor is used.
        lr: (m,) positive rates.
        epochs, every: the numbers of updates are 0, every, 2 every, ... epochs.
        **settings: those of :class:`descentlab.Descent`, for full-batch SGD at a constant rate.

    Raises:
        SettingError: a rate is not positive, a setting is unknown, the settings have no closed form, or the result
            would not fit in memory.

    >>> import numpy as np, descentlab as dl
    >>> problem = dl.Problem([[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0])
    >>> surface = dl.sweep(problem, [0.01, 0.1], epochs=20)
    >>> run = dl.descend(problem, lr=0.1, epochs=20)
    >>> bool(np.allclose(surface.cost[1, :-1], run.history.cost)), bool(np.isclose(surface.cost[1, -1], run.cost))
    (True, True)
    """
    problem = check_problem(sweep, problem)
    check_keywords(settings)
    rates = np.atleast_1d(np.asarray(lr, dtype=np.float64)).ravel()
    if not rates.size:
        raise SettingError("no_rates")
    invalid = rates[~((rates > 0) & np.isfinite(rates))]
    descent = Descent(lr=float(invalid[0] if invalid.size else rates[0]), epochs=epochs, **settings)
    if not descent.has_closed_form or descent.schedule is not None or descent.average is not None:
        raise SettingError("sweep_closed_form")
    step = check_int("every", every, 1)
    n_updates = descent.epochs // step + 1
    if len(rates) * n_updates > MAX_CELLS:
        counts = {"rates": pluralize(len(rates), "rate"), "updates": pluralize(n_updates, "update")}
        raise SettingError("sweep_too_large", **counts, most=MAX_CELLS)
    updates = step * np.arange(n_updates)
    theory = FullBatchTheory(problem, descent)
    evaluate = _evaluate_directly if theory.is_regularized else _evaluate_by_matrix_products
    return Sweep(problem, descent, rates, updates, evaluate(theory, rates, updates), theory.lr_bound, theory.least_cost)


def _evaluate_directly(theory: FullBatchTheory, rates: FloatArray, updates: IntArray) -> FloatArray:
    """(m, k) costs from every error at every update; the only way with penalties."""
    cost = np.empty((len(rates), len(updates)))
    for i, lr in enumerate(rates.tolist()):
        cost[i] = replace(theory, descent=replace(theory.descent, lr=lr)).cost_at(updates)
    return cost


def _evaluate_by_matrix_products(theory: FullBatchTheory, rates: FloatArray, updates: IntArray) -> FloatArray:
    """(m, k) costs by one product of two small matrices for each rate, without penalties.

    h(t + s) is a combination of h(t) and h(t - 1) for t >= 1 (:meth:`ResidualPolynomial.shift_coefficients`): one
    matrix has the errors at every b-th update, the other the coefficients of the b updates from there.
    """
    energy = theory.regularized_eigenvalues * theory.initial_error**2 / (2 * theory.cost_scale)
    active = energy > 0
    cost = np.empty((len(rates), len(updates)))
    cost[:, 0] = theory.problem.quadratic.cost(theory.problem.scaled_params(theory.descent.start))
    if len(updates) == 1:
        return cost
    every = int(updates[1])
    width = int(np.ceil(np.sqrt(len(updates) - 1)))
    coarse = every * (1 + width * np.arange(-(-(len(updates) - 1) // width)))
    fine = every * np.arange(width)
    x = rates[:, None, None] * theory.regularized_eigenvalues[active]
    polynomial = ResidualPolynomial.from_lr_times_curvature(x, **theory.descent.momentum_settings)
    with np.errstate(over="ignore", invalid="ignore"):
        current, previous = polynomial.evaluate(coarse[:, None]), polynomial.evaluate(coarse[:, None] - 1)
        current_coefficient, previous_coefficient = polynomial.shift_coefficients(fine[:, None])
        left = np.concatenate([current**2, 2 * current * previous, previous**2], axis=-1) * np.tile(energy[active], 3)
        right = np.concatenate(
            [current_coefficient**2, current_coefficient * previous_coefficient, previous_coefficient**2], axis=-1
        )
        if not previous_coefficient.any():  # without momentum only h(t) counts
            q = int(active.sum())
            left, right = left[..., :q], right[..., :q]
        suboptimality = left @ np.swapaxes(right, -1, -2)
    suboptimality = np.maximum(suboptimality.reshape(len(rates), -1)[:, : len(updates) - 1], 0.0)  # up to rounding
    surface = suboptimality + theory.least_cost
    cost[:, 1:] = np.where(np.isnan(surface), np.inf, surface)
    return cost
