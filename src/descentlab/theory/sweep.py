"""The cost surface over rates and epochs, from one factor: what hundreds of runs would print, without a run.

Unpenalised, the cost is ``least + sum_i k_i h_i(t)^2`` (:mod:`descentlab.descent.residual_polynomial`), and since h
at t + s is a
combination of its values at t and t - 1, ten thousand epochs of a rate are one product of two small matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.descent.descent import Descent
from descentlab.descent.residual_polynomial import Response
from descentlab.doctor.report import Table, count
from descentlab.errors import SettingError, whole_number
from descentlab.messages import LANGUAGES, Sentence, counted, language, number, sentence, speaking, wrapped
from descentlab.problem.problem import Problem
from descentlab.theory.arguments import known, problem_asked
from descentlab.theory.full_batch import NEAR, Theory
from descentlab.theory.settling_time import Aim
from descentlab.typing import Array, Integers

MOST_CELLS = 250_000_000  # two gigabytes of float64
SHOWN = 12  # rates in the table


@dataclass(frozen=True, eq=False)
class Sweep:
    """The cost of many rates by the number of updates.

    Attributes:
        problem, descent: what was swept; ``descent.lr`` is the first of the rates.
        lr: (m,) the rates.
        updates: (k,) 0, every, 2 every, ... up to the epochs asked for.
        cost: (m, k) the mean squared error after so many updates at each rate; inf beyond the range of float64.
        lr_bound: the largest stable rate.
        least_cost: the mean squared error that stable rates are bound for.
    """

    problem: Problem
    descent: Descent
    lr: Array
    updates: Integers
    cost: Array
    lr_bound: float
    least_cost: float

    @property
    def best(self) -> int:
        """The index of the rate whose cost is least after the last update."""
        return int(np.argmin(self.cost[:, -1]))

    @cached_property
    def epochs_to_tolerance(self) -> tuple[int | None, ...]:
        """For each rate, from how many updates on it stays within 1 %; None for never."""
        return tuple(self._settled(range(len(self.lr))))

    def _settled(self, rates: Iterable[int]) -> Iterator[int | None]:
        aim = Aim.of(Theory(self.problem, self.descent), NEAR)
        return (aim.settled(float(self.lr[i]), self.descent.recursion) for i in rates)

    @property
    def said(self) -> Iterator[Sentence]:
        """What was swept, how many rates are stable, and which is best after the last update."""
        rates, last, cost = len(self.lr), int(self.updates[-1]), float(self.cost[self.best, -1])
        stable = int((self.lr < self.lr_bound).sum())
        bounded = np.isfinite(self.lr_bound)
        swept = {"rates": counted(rates, "rate"), "epochs": counted(last), "stable": stable, "bound": self.lr_bound}
        yield sentence("sweep.said" if bounded else "sweep.unbounded", **swept)
        best = {"best": float(self.lr[self.best]), "cost": cost, "least": self.least_cost}
        yield sentence("sweep.best" if np.isfinite(cost) else "sweep.overflowed", **best)

    @property
    def table(self) -> Table:
        """What rates come to: all of them, or evenly chosen ones and the best."""
        chosen = np.unique([*np.linspace(0, len(self.lr) - 1, SHOWN).round().astype(int), self.best])
        order = chosen[np.argsort(self.lr[chosen], kind="stable")]
        rows = [
            (number(float(self.lr[i])), number(float(self.cost[i, -1])).replace("inf", "∞"), count(needed))
            for i, needed in zip(order, self._settled(order), strict=True)
        ]
        headings = tuple(sentence(f"column.{name}").text() for name in ("lr", "last_cost", "epochs"))
        values = {"updates": counted(int(self.updates[-1]), "update"), "within": f"{100 * NEAR:.3g}"}
        return Table(sentence("sweep.table", **values).text(), headings, rows)

    def text(self, lang: str | None = None) -> str:
        """The surface in words and a few of its rates as a table, 80 columns wide."""
        with speaking(lang if lang in LANGUAGES else language()):
            return "\n".join([*(wrapped(each.text()) for each in self.said), "", *self.table.text()])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"Sweep({len(self.lr)} rates, {int(self.updates[-1])} epochs, bound {self.lr_bound:.6g})"

    def _repr_html_(self) -> str:
        from descentlab.doctor.html import of_sentences

        return of_sentences(self.said, [self.table])


def sweep(problem: Problem, lr: Sequence[float] | Array, epochs: int = 100, every: int = 1, **settings: Any) -> Sweep:
    """The mean squared error of every rate after every number of updates.

    Args:
        problem: what is fitted; only its factor is used.
        lr: (m,) positive rates.
        epochs, every: updates 0, every, 2 every, ... epochs.
        **settings: of :class:`descentlab.Descent`; a full-batch SGD descent at a constant rate.

    Raises:
        SettingError: a rate is not positive, a setting is unknown, the settings have no closed form, or the surface
            would not fit in memory.
    """
    problem = problem_asked(sweep, problem)
    known(settings)
    rates = np.atleast_1d(np.asarray(lr, dtype=np.float64)).ravel()
    if not rates.size:
        raise SettingError("no_rates")
    wrong = rates[~((rates > 0) & np.isfinite(rates))]
    descent = Descent(lr=float(wrong[0] if wrong.size else rates[0]), epochs=epochs, **settings)
    if not descent.foreseeable or descent.schedule is not None or descent.average is not None:
        raise SettingError("sweep_closed_form")
    step = whole_number("every", every, 1)
    count = descent.epochs // step + 1
    if len(rates) * count > MOST_CELLS:
        raise SettingError(
            "sweep_too_large", rates=counted(len(rates), "rate"), updates=counted(count, "update"), most=MOST_CELLS
        )
    updates = step * np.arange(count)
    theory = Theory(problem, descent)
    fill = _walked if theory.penalised else _by_products
    return Sweep(problem, descent, rates, updates, fill(theory, rates, updates), theory.lr_bound, theory.least_cost)


def _walked(theory: Theory, rates: Array, updates: Integers) -> Array:
    """(m, k) costs by evaluating every error at every update: the plain way, and with penalties the only one."""
    cost = np.empty((len(rates), len(updates)))
    for i, lr in enumerate(rates.tolist()):
        cost[i] = replace(theory, lr=lr).cost_after(updates)
    return cost


def _by_products(theory: Theory, rates: Array, updates: Integers) -> Array:
    """The same by two small matrices a rate: errors at every b-th update, and what the updates between make of them.

    With ``S(s + 1) = T S(s) - D S(s - 1)``, ``h(t + s) = S(s + 1) h(t) - D S(s) h(t - 1)`` from t = 1 on.
    """
    energy = theory.curvature * theory.error**2 / (2 * theory.scale)
    pulled = energy > 0
    cost = np.empty((len(rates), len(updates)))
    cost[:, 0] = theory.problem.quadratic.cost(theory.problem.start(theory.descent.start))
    if len(updates) == 1:
        return cost
    every = int(updates[1])
    width = int(np.ceil(np.sqrt(len(updates) - 1)))
    coarse = every * (1 + width * np.arange(-(-(len(updates) - 1) // width)))
    fine = every * np.arange(width)
    x = rates[:, None, None] * theory.curvature[pulled]
    response = Response.of(x, **theory.descent.recursion)
    with np.errstate(over="ignore", invalid="ignore"):
        here, before = response.at(coarse[:, None]), response.at(coarse[:, None] - 1)
        ahead, beside = response.forward(fine[:, None])
        left = np.concatenate([here**2, 2 * here * before, before**2], axis=-1) * np.tile(energy[pulled], 3)
        right = np.concatenate([ahead**2, ahead * beside, beside**2], axis=-1)
        if not beside.any():  # without momentum nothing but the present counts
            q = int(pulled.sum())
            left, right = left[..., :q], right[..., :q]
        excess = left @ np.swapaxes(right, -1, -2)
    excess = np.maximum(excess.reshape(len(rates), -1)[:, : len(updates) - 1], 0.0)  # rounding may leave it below
    surface = excess + theory.least_cost
    cost[:, 1:] = np.where(np.isnan(surface), np.inf, surface)
    return cost
