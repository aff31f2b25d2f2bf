"""A direction of the cost in words: which columns it plays against each other, and what makes it flat or steep.

Along a direction v the prediction changes by ``sum_j v_j x_j``. Column j's share of that is ``|v_j|`` times the root
mean square of x_j (1 for the bias): the columns whose shares are large and cancel are what the direction is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descentlab.descent.recursion import gap
from descentlab.messages import Sentence, rounded, sentence
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Growing, Theory
from descentlab.typing import Array

SHARE = 0.2  # a column with less of the largest share is not named
MOST_COLUMNS = 3
FAR = 1.0  # a mean beyond so many times the spread is what makes the direction flat


@dataclass(frozen=True)
class Direction:
    """One eigendirection of one descent.

    Attributes:
        factor: what every epoch multiplies the error along it by.
        gap: 1 - factor where that is near 0, with its own digits.
        curvature: its eigenvalue, in the descent's reduction.
        columns: the parameters it is mostly made of, the largest share first.
        name: the direction in words.
    """

    factor: float
    gap: float
    curvature: float
    columns: tuple[str, ...]
    name: Sentence

    @property
    def factor_in_words(self) -> str:
        """The factor with the digits that tell it from 1."""
        return Growing(self.factor, self.gap, self.columns[0]).in_words


@dataclass(frozen=True, eq=False)
class Namer:
    """Puts directions of one problem into words; parameters are the descended ones."""

    problem: Problem

    @cached_property
    def sizes(self) -> Array:
        """(p,) root mean square of what each descended parameter multiplies: its column's, and 1 for the bias."""
        sizes: Array = np.sqrt((self.problem.quadratic.A**2).sum(axis=0) / self.problem.weight)
        return sizes

    def columns(self, v: Array) -> list[int]:
        """The parameters with a large share in direction v, the largest first."""
        shares = np.abs(v) * self.sizes
        if not shares.any():
            return [int(np.argmax(np.abs(v)))]
        order = np.argsort(-np.round(shares / shares.max(), 9), kind="stable")[:MOST_COLUMNS]  # ties by place
        return [int(j) for j in order if shares[j] >= SHARE * shares[order[0]]]

    def name(self, v: Array) -> Sentence:
        """Direction v in words, such as "the intercept against `year`, whose mean is 430 times its spread"."""
        chosen = self.columns(v)
        d = len(self.problem.features)
        features = [j for j in chosen if j < d]
        names = [f"`{self.problem.features[j]}`" for j in features]
        if len(features) < len(chosen):
            return self._against_intercept(features, names)
        if len(features) == 1:
            return sentence("direction.alone", name=names[0], size=rounded(float(self.sizes[features[0]])))
        if len(features) == 2:
            return sentence(
                "direction.pair", first=names[0], second=names[1], correlation=self._alike(features[0], features[1])
            )
        return sentence("direction.mix", names=names)

    def _against_intercept(self, features: list[int], names: list[str]) -> Sentence:
        if not features:
            return sentence("direction.intercept")
        if len(features) > 1:
            return sentence("direction.intercept_mix", names=names)
        ratio = self._offset(features[0])
        key = "direction.intercept_far" if FAR <= ratio < np.inf else "direction.intercept_near"
        return sentence(key, name=names[0], ratio=rounded(ratio))

    def _offset(self, j: int) -> float:
        """A descended column's mean over its spread; 0 where it is centred."""
        if self.problem.center:
            return 0.0
        factor = self.problem.factor
        spread = float(factor.deviations[j])
        return abs(float(factor.means[j])) / spread if spread > 0 else float("inf")

    def _alike(self, i: int, j: int) -> str:
        """The correlation of two descended columns, about their means where there is a bias."""
        A = self.problem.quadratic.A[:, [i, j]]
        if self.problem.bias and not self.problem.center:
            bias = self.problem.quadratic.A[:, -1]
            A = A - np.outer(bias, bias @ A / (bias @ bias))
        lengths = np.linalg.norm(A, axis=0)
        r = float(A[:, 0] @ A[:, 1] / lengths.prod()) if lengths.all() else 0.0
        if abs(r) < 0.9999:
            return f"{r:.4f}"
        near = f"1 - {1 - abs(r):.1g}" if 1 - abs(r) > 1e-12 else "1"
        return near if r > 0 else f"-({near})"


def direction(theory: Theory, namer: Namer, i: int, gap: float) -> Direction:
    """Eigendirection i of a descent."""
    v = theory.spectrum.directions[:, i]
    columns = tuple(theory.problem.parameters[j] for j in namer.columns(v))
    return Direction(float(theory.factors[i]), gap, float(theory.spectrum.eigenvalues[i]), columns, namer.name(v))


def ends(theory: Theory) -> tuple[Direction | None, Direction | None]:
    """The flattest and the steepest direction."""
    rank = theory.spectrum.rank
    if not rank:
        return None, None
    namer = Namer(theory.problem)
    x = theory.descent.lr * theory.curvature[[rank - 1, 0]]
    gaps = np.asarray(gap(x, **theory.descent.recursion))
    return direction(theory, namer, rank - 1, float(gaps[0])), direction(theory, namer, 0, float(gaps[1]))
