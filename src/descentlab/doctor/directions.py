"""A direction of the cost in words: which columns it plays against each other, and what makes it flat or steep.

Along a direction v the prediction changes by ``sum_j v_j x_j``. Column j's share of that is ``|v_j|`` times the root
mean square of x_j (1 for the bias): the columns whose shares are large and cancel are what the direction is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descentlab.descent.recursion import one_minus_convergence_factor
from descentlab.messages import Message, format_rounded, message
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import DominantMode, FullBatchTheory
from descentlab.typing import FloatArray

MIN_COLUMN_SHARE = 0.2  # a column with less of the largest share is not named
MAX_NAMED_COLUMNS = 3
MENTION_OFFSET_FROM = 1.0  # mean over standard deviation from which the offset is named as the reason


@dataclass(frozen=True)
class Direction:
    """One eigendirection of one descent.

    Attributes:
        factor: what every epoch multiplies the error along it by.
        one_minus_factor: 1 - factor where that is near 0, with its own digits.
        curvature: its eigenvalue, in the descent's reduction.
        columns: the parameters it is mostly made of, the largest share first.
        name: the direction in words.
    """

    factor: float
    one_minus_factor: float
    curvature: float
    columns: tuple[str, ...]
    name: Message

    @property
    def factor_text(self) -> str:
        """The factor with the digits that tell it from 1."""
        return DominantMode(self.factor, self.one_minus_factor, self.columns[0]).factor_text


@dataclass(frozen=True, eq=False)
class DirectionNamer:
    """Puts directions of one problem into words; parameters are the descended ones."""

    problem: Problem

    @cached_property
    def column_rms(self) -> FloatArray:
        """(p,) root mean square of what each descended parameter multiplies: its column's, and 1 for the bias."""
        rms: FloatArray = np.sqrt((self.problem.quadratic.A**2).sum(axis=0) / self.problem.weight)
        return rms

    def columns(self, v: FloatArray) -> list[int]:
        """The parameters with a large share in direction v, the largest first."""
        shares = np.abs(v) * self.column_rms
        if not shares.any():
            return [int(np.argmax(np.abs(v)))]
        order = np.argsort(-np.round(shares / shares.max(), 9), kind="stable")[:MAX_NAMED_COLUMNS]  # ties by place
        return [int(j) for j in order if shares[j] >= MIN_COLUMN_SHARE * shares[order[0]]]

    def describe(self, v: FloatArray) -> Message:
        """Direction v in words, such as "the bias against `year`, whose mean is 430 times its spread"."""
        columns = self.columns(v)
        d = len(self.problem.features)
        features = [j for j in columns if j < d]
        names = [f"`{self.problem.features[j]}`" for j in features]
        if len(features) < len(columns):
            return self._describe_with_bias(features, names)
        if len(features) == 1:
            return message("direction.alone", name=names[0], size=format_rounded(float(self.column_rms[features[0]])))
        if len(features) == 2:
            return message(
                "direction.pair",
                first=names[0],
                second=names[1],
                correlation=self._correlation_text(features[0], features[1]),
            )
        return message("direction.mix", names=names)

    def _describe_with_bias(self, features: list[int], names: list[str]) -> Message:
        if not features:
            return message("direction.bias")
        if len(features) > 1:
            return message("direction.bias_mix", names=names)
        ratio = self._offset_ratio(features[0])
        key = "direction.bias_far" if MENTION_OFFSET_FROM <= ratio < np.inf else "direction.bias_near"
        return message(key, name=names[0], ratio=format_rounded(ratio))

    def _offset_ratio(self, j: int) -> float:
        """A descended column's mean over its spread; 0 where it is centered."""
        if self.problem.center:
            return 0.0
        factor = self.problem.factor
        std = float(factor.std[j])
        return abs(float(factor.means[j])) / std if std > 0 else float("inf")

    def _correlation_text(self, i: int, j: int) -> str:
        """The correlation of two descended columns, about their means where there is a bias."""
        A = self.problem.quadratic.A[:, [i, j]]
        if self.problem.bias and not self.problem.center:
            bias = self.problem.quadratic.A[:, -1]
            A = A - np.outer(bias, bias @ A / (bias @ bias))
        norms = np.linalg.norm(A, axis=0)
        r = float(A[:, 0] @ A[:, 1] / norms.prod()) if norms.all() else 0.0
        if abs(r) < 0.9999:
            return f"{r:.4f}"
        text = f"1 - {1 - abs(r):.1g}" if 1 - abs(r) > 1e-12 else "1"
        return text if r > 0 else f"-({text})"


def make_direction(theory: FullBatchTheory, namer: DirectionNamer, index: int, one_minus_factor: float) -> Direction:
    """Eigendirection i of a descent."""
    v = theory.spectrum.directions[:, index]
    columns = tuple(theory.problem.parameters[j] for j in namer.columns(v))
    return Direction(
        float(theory.convergence_factors[index]),
        one_minus_factor,
        float(theory.spectrum.eigenvalues[index]),
        columns,
        namer.describe(v),
    )


def extreme_directions(theory: FullBatchTheory) -> tuple[Direction | None, Direction | None]:
    """The flattest and the steepest direction."""
    rank = theory.spectrum.rank
    if not rank:
        return None, None
    namer = DirectionNamer(theory.problem)
    x = theory.descent.lr * theory.regularized_eigenvalues[[rank - 1, 0]]
    one_minus_factors = np.asarray(one_minus_convergence_factor(x, **theory.descent.momentum_settings))
    return make_direction(theory, namer, rank - 1, float(one_minus_factors[0])), make_direction(
        theory, namer, 0, float(one_minus_factors[1])
    )
