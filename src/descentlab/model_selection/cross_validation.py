"""What a cross-validation found: costs over the folds, the best choice, and the simplest one nearly as good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from descentlab.doctor.report import Table
from descentlab.messages import (
    LANGUAGES,
    Sentence,
    counted,
    jsonable,
    language,
    number,
    rounded,
    sentence,
    speaking,
    wrapped,
)
from descentlab.typing import Array, Flags, Integers

TIE, FLOOR = 1e-12, 1e-28  # costs this near, relative to the least and to the start's, differ by rounding alone
GAIN = 0.001  # a cost lower by less than this part is no gain
SHOWN = 12  # ridges in the table; more are left to `to_dict`


@dataclass(frozen=True)
class Choice:
    """Settings to descend with. ``cost`` is the mean held-out cost, ``error`` its standard error over the folds."""

    lr: float
    ridge: float
    updates: int
    cost: float
    error: float


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Held-out costs of k folds, by a learning rates, r ridges and u numbers of updates; mean squared errors.

    Attributes:
        rows, weights: (k,) of each fold.
        lr, ridge: (a,), (r,) as given.
        updates: (u,) 0, 1, 2, ..., then about evenly spaced on a log scale, up to the epochs.
        fold_cost: (k, a, r, u) on each fold, of the descent on the others; inf where the rate diverges on them.
        limit_fold_cost: (k, r) the same at the point that descent converges to: the least squares or ridge solution,
            moved by weight decay.
        lr_bound: (k, r) the largest stable rate on each training set.
        reduction: whose gradient was descended.
        rates_given: whether the rates were asked for, or found as fractions of the smallest bound.
        notices: what was left out when the rows were read.
        own: the asker's own rate and ridge, where they were tried beside such fractions.
    """

    rows: Integers
    weights: Array
    lr: Array
    ridge: Array
    updates: Integers
    fold_cost: Array
    limit_fold_cost: Array
    lr_bound: Array
    reduction: str = "mean"
    rates_given: bool = True
    notices: tuple[Sentence, ...] = ()
    own: tuple[float, float] | None = None

    @property
    def folds(self) -> int:
        return len(self.rows)

    @cached_property
    def cost(self) -> Array:
        """(a, r, u) mean over the folds, weighted by their rows (or their weight)."""
        return self._mean(self.fold_cost)

    @cached_property
    def error(self) -> Array:
        """(a, r, u) standard error of :attr:`cost` over the folds; inf where that is.

        ``sqrt(k / (k - 1) sum_j p_j^2 (cost_j - cost)^2)`` with p_j a fold's part of the weight: the standard deviation
        over sqrt(k) where folds weigh alike.
        """
        return self._error(self.fold_cost)

    @cached_property
    def limit_cost(self) -> Array:
        """(r,) mean held-out cost after convergence."""
        return self._mean(self.limit_fold_cost)

    @cached_property
    def limit_error(self) -> Array:
        """(r,) its standard error over the folds."""
        return self._error(self.limit_fold_cost)

    @property
    def diverging(self) -> Flags:
        """(a, r) whether the rate diverges on some training set, so that its costs count as infinite."""
        diverging: Flags = np.any(~np.isfinite(self.fold_cost[..., 0]), axis=0)
        return diverging

    @cached_property
    def best(self) -> Choice | None:
        """The least mean held-out cost; of those that only rounding tells apart, the fewest updates.

        None if every rate diverges. Among the numbers of updates tried, which beyond 128 are at
        most 1.6 % apart.
        """
        return self._best(np.full(self.cost.shape[:2], True))

    def _best(self, allowed: Flags) -> Choice | None:
        """The best choice of the rates and ridges that are allowed, (a, r)."""
        cost = np.where(allowed[..., None], self.cost, np.inf)
        least, start = float(cost.min()), float(cost[..., 0].min())
        if not np.isfinite(least):
            return None
        i, k, t = np.nonzero(cost <= least * (1 + TIE) + start * FLOOR)
        return self._chosen(i, k, t, np.lexsort((i, -self.ridge[k], self.updates[t])))

    @property
    def own_best(self) -> Choice | None:
        """The best number of updates at the asker's own rate and ridge; None where that rate diverges."""
        if self.own is None:
            return None
        lr, ridge = self.own
        return self._best((self.lr == lr)[:, None] & (self.ridge == ridge))

    @cached_property
    def simplest(self) -> Choice | None:
        """Within one standard error of the best cost: the largest ridge, then the fewest updates, then the least cost.

        The one-standard-error rule of L. Breiman et al., *Classification and Regression Trees* (1984), section 3.4.3.
        """
        if self.best is None:
            return None
        i, k, t = np.nonzero(self.cost <= self.best.cost + self.best.error)
        return self._chosen(i, k, t, np.lexsort((self.cost[i, k, t], self.updates[t], -self.ridge[k])))

    def _chosen(self, i: Integers, k: Integers, t: Integers, order: Integers) -> Choice:
        at = (int(i[order[0]]), int(k[order[0]]), int(t[order[0]]))
        lr, ridge, updates = float(self.lr[at[0]]), float(self.ridge[at[1]]), int(self.updates[at[2]])
        return Choice(lr, ridge, updates, float(self.cost[at]), float(self.error[at]))

    def _mean(self, costs: Array) -> Array:
        mean: Array = np.tensordot(self.weights / self.weights.sum(), costs, axes=1)
        return mean

    def _error(self, costs: Array) -> Array:
        part, k = self.weights / self.weights.sum(), self.folds
        with np.errstate(invalid="ignore", over="ignore"):
            spread = np.tensordot(part**2, (costs - self._mean(costs)) ** 2, axes=1)
            error: Array = np.sqrt(k / (k - 1) * spread)
        return np.where(np.isnan(error), np.inf, error)

    @property
    def unfinished(self) -> bool:
        """Whether the best is at the last update tried, and running to convergence would be better still."""
        best = self.best
        if best is None or best.updates < self.updates[-1]:
            return False
        return bool(self.limit_cost.min() < best.cost * (1 - GAIN))

    @property
    def said(self) -> Iterator[Sentence]:
        """What was tried, what is best, what converging would give, and what to mind."""
        last = int(self.updates[-1])
        counts = {"folds": self.folds, "rows": int(self.rows.sum()), "rates": len(self.lr), "ridges": len(self.ridge)}
        yield sentence("folds.tried", **counts, epochs=last)
        yield from self._rates()
        diverging = self.lr[self.diverging.any(axis=1)]
        if diverging.size:
            values = {"count": len(diverging), "rates": len(self.lr), "lowest": float(diverging.min())}
            yield sentence("folds.diverging", **values, bound=float(self.lr_bound.min()))
        best, simplest = self.best, self.simplest
        if best is not None and simplest is not None:
            yield sentence("folds.best", **asdict(best))
            yield sentence("folds.same") if simplest == best else sentence("folds.simplest", **asdict(simplest))
            own = self.own_best
            if own is not None and own != best:
                yield sentence("folds.own", **asdict(own) | {"updates": counted(own.updates, "update")})
            yield self._converged(best.cost)
            if self.unfinished:
                yield sentence("folds.last", epochs=last)
        if self.reduction in ("sum", "half_sum") and best is not None:
            part = (self.folds - 1) / self.folds
            yield sentence("folds.summed", reduction=self.reduction, lr=rounded(best.lr * part), part=rounded(part))

    def _rates(self) -> Iterator[Sentence]:
        """Where the rates come from, unless all of them were asked for."""
        own = None if self.own is None else self.own[0]
        found = self.lr[self.lr != own]
        if self.rates_given or not found.size:
            return
        values = {"highest": float(found.max()), "bound": float(self.lr_bound.min())}
        yield sentence("folds.rates", **values) if own is None else sentence("folds.rates_beside", lr=own, **values)

    def _converged(self, best: float) -> Sentence:
        k = int(np.argmin(self.limit_cost))
        limit = float(self.limit_cost[k])
        values = {"cost": limit, "ridge": float(self.ridge[k])}
        if best < limit * (1 - GAIN):
            return sentence("folds.early", **values, percent=rounded(100 * (1 - best / limit)))
        return sentence("folds.later" if limit < best * (1 - GAIN) else "folds.no_gain", **values)

    def text(self, lang: str | None = None) -> str:
        """The findings in words, and the best of each ridge as a table, at most 80 columns wide."""
        with speaking(lang if lang in LANGUAGES else language()):
            lines = [wrapped(each.text()) for each in (*self.notices, *self.said)]
            return "\n".join([*lines, *(line for table in self.tables for line in ("", *table.text()))])

    @property
    def tables(self) -> list[Table]:
        """The best rate and updates of each ridge, beside what converging gives, where there are several ridges."""
        keys = ("folds.ridge", "folds.lr", "folds.updates", "folds.cost", "folds.error", "folds.converged")
        rows = []
        for k in range(min(len(self.ridge), SHOWN) if len(self.ridge) > 1 else 0):
            best = self._best(np.arange(len(self.ridge)) == np.full((len(self.lr), 1), k))
            numbers = ["-"] * 4
            if best is not None:
                numbers = [number(value) for value in (best.lr, best.updates, best.cost, best.error)]
            rows.append((number(float(self.ridge[k])), *numbers, number(float(self.limit_cost[k]))))
        headings = tuple(sentence(key).text() for key in keys)
        return [Table(sentence("folds.by_ridge").text(), headings, rows)] if rows else []

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from descentlab.doctor.html import of_sentences

        return of_sentences((*self.notices, *self.said), self.tables)

    def to_dict(self) -> dict[str, object]:
        """The findings for a machine: JSON-safe, with None for what is not finite.

        The costs of single folds are left out: see ``fold_cost``.
        """
        names = ("rows", "weights", "lr", "ridge", "updates", "cost", "error", "limit_cost", "limit_error", "lr_bound")
        choices = {name: value and asdict(value) for name, value in (("best", self.best), ("simplest", self.simplest))}
        choices["own"] = self.own_best and asdict(self.own_best)
        rest = {"reduction": self.reduction, "diverging": self.diverging.tolist(), "notices": self.notices}
        found: dict[str, object] = jsonable({name: getattr(self, name) for name in names} | choices | rest)
        return found
