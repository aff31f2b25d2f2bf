"""What statistics are computed from: the factor, the fit, what the weights mean, and the rows where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from descentlab.data.design.design import Design
from descentlab.data.selection import ColumnSelection, ScanCounts
from descentlab.data.source import Piece
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import Factor
from descentlab.problem.least_squares import Fit
from descentlab.typing import BoolArray, FloatArray

BlockResultT = TypeVar("BlockResultT")
WEIGHT_MEANINGS = ("frequency", "analytic")


class Regression(NamedTuple):
    """A linear hypothesis fitted by least squares.

    Attributes:
        factor: of features and target.
        fit: its solution.
        bias: whether the hypothesis has a constant term.
        penalty: (d,) the ridge on the square of each weight, in the mean squared error.
        weights_are: ``"frequency"``: a row of weight 2 counts as two rows, n is the total weight. ``"analytic"``: a
            weight is proportional to the row's precision, ``Var(y_i) = sigma^2 / w_i``, n is the number of rows.
        selection: the rows, None if only the factor is there.
        design: what the features are made of; None if they are columns of the data.
        data_name: what to call the data.
    """

    factor: Factor
    fit: Fit
    bias: bool
    penalty: FloatArray
    weights_are: str
    selection: ColumnSelection | None
    design: Design | None = None
    data_name: str = ""

    @property
    def d(self) -> int:
        """The number of features."""
        return len(self.penalty)

    @property
    def is_penalized(self) -> bool:
        """Whether there is a ridge."""
        return bool(self.penalty.any())

    @property
    def rank(self) -> int:
        """The number of parameters, or combinations of them, that the data determines."""
        return len(self.fit.covariance_root[0])

    @property
    def has_weights(self) -> bool:
        """Whether rows count differently, as far as is known: a factor holds the total weight only."""
        return self.factor.weight != self.factor.rows if self.selection is None else self.selection.weights is not None

    @property
    def n_observations(self) -> float:
        """n: the total weight of frequency weights, else the number of rows."""
        return self.factor.weight if self.weights_are == "frequency" else float(self.factor.rows)

    @property
    def columns(self) -> FloatArray:
        """(m, d + 1) rows with the products of features and target: centered if there is a bias."""
        return self.factor.R_centered[1:, 1:] if self.bias else self.factor.R[:, 1:]

    @property
    def is_determined(self) -> BoolArray:
        """(p,) whether the data determines the parameter: it is 0 in every null direction."""
        null_space = self.fit.null_space
        return ~np.any(null_space != 0, axis=1) if null_space.size else np.ones(len(null_space), dtype=bool)

    def map_centered_blocks(
        self, task: Callable[[FloatArray, FloatArray, Any], BlockResultT]
    ) -> Iterator[BlockResultT]:
        """Yield ``task(X, y, w)`` of every block, in order, computed on every core.

        X (m, d), y (m,) and w (m,) or None are the rows of a block, relative to the weighted means if there is a bias:
        to the factor's origin first, so that columns far from zero keep their digits.
        """
        assert self.selection is not None
        plan = self.selection.shifted_plan if self.bias else self.selection.plan
        names, R = (*self.selection.features, self.selection.target), self.factor.R_centered
        origin, means = np.zeros((2, self.d + 1))
        if self.bias:
            origin, means = self.factor.origin - plan.shift_vector(names), R[0, 1:] / R[0, 0]

        def map_piece(piece: Piece) -> tuple[list[BlockResultT], ScanCounts]:
            counts, results = ScanCounts.zeros(len(plan.columns)), []
            for values, weights in plan.clean_blocks(piece, counts):
                centered = values - origin - means
                results.append(task(centered[:, :-1], centered[:, -1], weights))
            return results, counts

        total = ScanCounts.zeros(len(plan.columns))
        for results, counts in Threads().map_ordered(map_piece, self.selection.source.pieces(plan.columns), 0):
            total += counts
            yield from results
        self.selection.check_scan(total)

    def sum_log_weights(self) -> float:
        """``sum_i log w_i``, by one more pass over the rows; nan if they are gone or a weight is 0."""
        if not self.has_weights:
            return 0.0
        if self.selection is None:
            return np.nan
        total = 0.0
        for _, weights in self.selection.blocks():
            total += np.nan if weights is None or not (weights > 0).all() else float(np.log(weights).sum())
        return total
