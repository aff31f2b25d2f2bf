"""The result of a cross-validation: costs over the folds, the best settings, and the simplest nearly as good ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descentlab.messages import (
    Message,
    Table,
    format_number,
    format_rounded,
    message,
    pluralize,
    to_json_types,
)
from descentlab.messages.document import Block, Presentable, make_blocks, message_blocks
from descentlab.typing import BoolArray, FloatArray, IntArray

TIE_RTOL = 1e-12  # costs that differ by this fraction of the least cost differ by rounding alone
TIE_START_RTOL = 1e-28  # the same as a fraction of the initial cost
MIN_RELATIVE_GAIN = 0.001  # a cost lower by a smaller fraction is not reported as lower
MAX_RIDGE_ROWS = 12  # ridges in the table; `to_dict` has all of them


@dataclass(frozen=True)
class GridPoint:
    """Settings of a descent, their mean held-out cost, and its standard error over the folds."""

    lr: float
    ridge: float
    updates: int
    cost: float
    error: float

    @property
    def values(self) -> dict[str, Any]:
        """Of a message's placeholders; ``rmse`` is the root of the cost, in the unit of the target."""
        return asdict(self) | {"rmse": math.sqrt(self.cost)}


@dataclass(frozen=True, eq=False)
class CrossValidation(Presentable):
    """Held-out costs of k folds, by a learning rates, r ridges and u numbers of updates; mean squared errors.

    Attributes:
        rows, weights: (k,) of each fold.
        lr, ridge: (a,), (r,) as given.
        updates: (u,) 0, 1, 2, ..., 128, then evenly spaced on a log scale, up to the epochs.
        fold_cost: (k, a, r, u) on each fold, of the descent on the others; inf if the rate diverges on them.
        limit_fold_cost: (k, r) the same at the limit point of descent: the least squares or ridge solution, moved by
            weight decay.
        lr_bound: (k, r) the largest stable rate on each training set.
        reduction: as in :class:`Descent`.
        has_user_rates: whether the rates were given; else they are fractions of the smallest bound.
        notices: messages about rows that were left out.
        user_choice: the user's own rate and ridge, if they were tried in addition to such fractions.
    """

    rows: IntArray
    weights: FloatArray
    lr: FloatArray
    ridge: FloatArray
    updates: IntArray
    fold_cost: FloatArray
    limit_fold_cost: FloatArray
    lr_bound: FloatArray
    reduction: str = "mean"
    has_user_rates: bool = True
    notices: tuple[Message, ...] = ()
    user_choice: tuple[float, float] | None = None

    @property
    def folds(self) -> int:
        return len(self.rows)

    @cached_property
    def cost(self) -> FloatArray:
        """(a, r, u) mean over the folds, weighted by their rows (or their weight)."""
        return self._fold_mean(self.fold_cost)

    @cached_property
    def error(self) -> FloatArray:
        """(a, r, u) standard error of :attr:`cost` over the folds; inf where that is.

        ``sqrt(k / (k - 1) sum_j p_j^2 (cost_j - cost)^2)`` with p_j a fold's fraction of the weight: the standard
        deviation over sqrt(k) if folds have equal weights.
        """
        return self._fold_standard_error(self.fold_cost)

    @cached_property
    def limit_cost(self) -> FloatArray:
        """(r,) mean held-out cost after convergence."""
        return self._fold_mean(self.limit_fold_cost)

    @cached_property
    def limit_error(self) -> FloatArray:
        """(r,) its standard error over the folds."""
        return self._fold_standard_error(self.limit_fold_cost)

    @property
    def diverging(self) -> BoolArray:
        """(a, r) whether the rate diverges on some training set; its costs are infinite."""
        diverging: BoolArray = np.any(~np.isfinite(self.fold_cost[..., 0]), axis=0)
        return diverging

    @cached_property
    def best(self) -> GridPoint | None:
        """The point of least mean held-out cost; of costs that differ by rounding alone, the fewest updates.

        None if every rate diverges. Beyond 128 updates the numbers tried are at most 1.6% apart.
        """
        return self._find_best(np.full(self.cost.shape[:2], True))

    def _find_best(self, allowed: BoolArray) -> GridPoint | None:
        """The best point among the (a, r) allowed rates and ridges."""
        cost = np.where(allowed[..., None], self.cost, np.inf)
        min_cost, initial_cost = float(cost.min()), float(cost[..., 0].min())
        if not np.isfinite(min_cost):
            return None
        i, k, t = np.nonzero(cost <= min_cost * (1 + TIE_RTOL) + initial_cost * TIE_START_RTOL)
        return self._pick_first(i, k, t, np.lexsort((i, -self.ridge[k], self.updates[t])))

    @property
    def best_at_user_choice(self) -> GridPoint | None:
        """The best number of updates at the user's own rate and ridge; None if that rate diverges."""
        if self.user_choice is None:
            return None
        lr, ridge = self.user_choice
        return self._find_best((self.lr == lr)[:, None] & (self.ridge == ridge))

    @cached_property
    def simplest(self) -> GridPoint | None:
        """Within one standard error of the best cost: the largest ridge, then the fewest updates, then the least cost.

        The one-standard-error rule of L. Breiman et al., *Classification and Regression Trees* (1984), section 3.4.3.
        """
        if self.best is None:
            return None
        i, k, t = np.nonzero(self.cost <= self.best.cost + self.best.error)
        return self._pick_first(i, k, t, np.lexsort((self.cost[i, k, t], self.updates[t], -self.ridge[k])))

    def _pick_first(self, i: IntArray, k: IntArray, t: IntArray, order: IntArray) -> GridPoint:
        index = (int(i[order[0]]), int(k[order[0]]), int(t[order[0]]))
        lr, ridge, updates = float(self.lr[index[0]]), float(self.ridge[index[1]]), int(self.updates[index[2]])
        return GridPoint(lr, ridge, updates, float(self.cost[index]), float(self.error[index]))

    def _fold_mean(self, costs: FloatArray) -> FloatArray:
        mean: FloatArray = np.tensordot(self.weights / self.weights.sum(), costs, axes=1)
        return mean

    def _fold_standard_error(self, costs: FloatArray) -> FloatArray:
        weight_fraction, k = self.weights / self.weights.sum(), self.folds
        with np.errstate(invalid="ignore", over="ignore"):
            spread = np.tensordot(weight_fraction**2, (costs - self._fold_mean(costs)) ** 2, axes=1)
            error: FloatArray = np.sqrt(k / (k - 1) * spread)
        return np.where(np.isnan(error), np.inf, error)

    @property
    def rate_factor(self) -> float:
        """What to multiply a rate by for the same steps on all rows: a sum grows with the number of rows."""
        return (self.folds - 1) / self.folds if self.reduction in ("sum", "half_sum") else 1.0

    @property
    def hit_epoch_limit(self) -> bool:
        """Whether the best point is at the last update tried, and converging would be better."""
        best = self.best
        if best is None or best.updates < self.updates[-1]:
            return False
        return bool(self.limit_cost.min() < best.cost * (1 - MIN_RELATIVE_GAIN))

    @property
    def messages(self) -> Iterator[Message]:
        """What was tried, the best and the simplest point, the cost after convergence, and what to watch for."""
        last = int(self.updates[-1])
        counts = {"folds": self.folds, "rows": int(self.rows.sum()), "rates": len(self.lr), "ridges": len(self.ridge)}
        yield message("folds.tried", **counts, epochs=last)
        yield from self._rate_messages()
        diverging = self.lr[self.diverging.any(axis=1)]
        if diverging.size:
            values = {"count": len(diverging), "rates": len(self.lr), "lowest": float(diverging.min())}
            yield message("folds.diverging", **values, bound=float(self.lr_bound.min()))
        best, simplest = self.best, self.simplest
        if best is not None and simplest is not None:
            yield message("folds.best", **best.values)
            yield message("folds.same") if simplest == best else message("folds.simplest", **simplest.values)
            user_best = self.best_at_user_choice
            if user_best is not None and user_best != best:
                yield message("folds.own", **user_best.values | {"updates": pluralize(user_best.updates, "update")})
            yield self._converged_message(best.cost)
            if self.hit_epoch_limit:
                yield message("folds.last", epochs=last)
        if self.rate_factor != 1 and best is not None:
            part, lr = format_rounded(self.rate_factor), format_rounded(best.lr * self.rate_factor)
            yield message("folds.summed", reduction=self.reduction, lr=lr, part=part)

    def _rate_messages(self) -> Iterator[Message]:
        """Where the rates come from, unless all were given."""
        user_lr = None if self.user_choice is None else self.user_choice[0]
        candidate_rates = self.lr[self.lr != user_lr]
        if self.has_user_rates or not candidate_rates.size:
            return
        values = {"highest": float(candidate_rates.max()), "bound": float(self.lr_bound.min())}
        yield (
            message("folds.rates", **values) if user_lr is None else message("folds.rates_beside", lr=user_lr, **values)
        )

    def _converged_message(self, best_cost: float) -> Message:
        k = int(np.argmin(self.limit_cost))
        limit_cost = float(self.limit_cost[k])
        values = {"cost": limit_cost, "rmse": math.sqrt(limit_cost), "ridge": float(self.ridge[k])}
        if best_cost < limit_cost * (1 - MIN_RELATIVE_GAIN):
            return message("folds.early", **values, percent=format_rounded(100 * (1 - best_cost / limit_cost)))
        return message("folds.later" if limit_cost < best_cost * (1 - MIN_RELATIVE_GAIN) else "folds.no_gain", **values)

    @property
    def tables(self) -> list[Table]:
        """The best rate and updates for each ridge, and the cost after convergence, if there are several ridges."""
        keys = (
            "folds.ridge",
            "folds.lr",
            "folds.updates",
            "folds.cost",
            "folds.rmse",
            "folds.error",
            "folds.converged",
        )
        rows = []
        for k in range(min(len(self.ridge), MAX_RIDGE_ROWS) if len(self.ridge) > 1 else 0):
            best = self._find_best(np.arange(len(self.ridge)) == np.full((len(self.lr), 1), k))
            cells = ["-"] * 5
            if best is not None:
                numbers = (best.lr, best.updates, best.cost, math.sqrt(best.cost), best.error)
                cells = [format_number(value) if isinstance(value, int) else f"{value:.4g}" for value in numbers]
            rows.append((format_number(float(self.ridge[k])), *cells, f"{self.limit_cost[k]:.4g}"))
        headings = tuple(message(key).text() for key in keys)
        return [Table(message("folds.by_ridge").text(), headings, rows)] if rows else []

    def to_dict(self) -> dict[str, object]:
        """The result as JSON-ready values, None for numbers that are not finite; without ``fold_cost``."""
        names = ("rows", "weights", "lr", "ridge", "updates", "cost", "error", "limit_cost", "limit_error", "lr_bound")
        choices = {name: value and asdict(value) for name, value in (("best", self.best), ("simplest", self.simplest))}
        choices["own"] = self.best_at_user_choice and asdict(self.best_at_user_choice)
        other_fields = {"reduction": self.reduction, "diverging": self.diverging.tolist(), "notices": self.notices}
        fields: dict[str, object] = to_json_types(
            {name: getattr(self, name) for name in names} | choices | other_fields
        )
        return fields


@make_blocks.register
def _(result: CrossValidation) -> list[Block]:
    return message_blocks((*result.notices, *result.messages), result.tables)
