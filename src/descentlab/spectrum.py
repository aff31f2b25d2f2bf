"""The spectrum of a problem: how curved its cost is, in which directions, and what that allows.

The cost descended on has the constant Hessian ``H = c X'X`` (plus the ridge's part); full-batch descent is one
scalar recursion per eigendirection: ``e(t+1) = (1 - lr * lambda) e(t)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab import stability
from descentlab.text import Sentence, number, sentence

if TYPE_CHECKING:
    from descentlab.problem import Problem

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Curvatures and directions of one problem's cost in one convention.

    Attributes:
        reduction: the convention; curvatures scale with it.
        parameters: what the entries of a direction belong to.
        eigenvalues: (p,) curvatures of H, descending; exactly 0 in flat directions.
        directions: (p, p) orthonormal; column i has curvature ``eigenvalues[i]``. In the descended coordinates.
        rank: how many curvatures are positive.
        flat: for each flat direction, a sentence that names its columns.
    """

    reduction: str
    parameters: tuple[str, ...]
    eigenvalues: Array
    directions: Array
    rank: int
    flat: tuple[Sentence, ...]

    @classmethod
    def of(cls, problem: Problem, reduction: str = "mean") -> Spectrum:
        """The spectrum of a problem; same as ``problem.spectrum(reduction)``."""
        from descentlab.problem import gradient_factor

        modes = problem.quadratic.modes
        eigenvalues = np.zeros(len(problem.parameters))
        eigenvalues[: modes.rank] = gradient_factor(reduction, problem.weight) * modes.s**2
        return cls(reduction, problem.parameters, eigenvalues, modes.V, modes.rank, flat_directions(problem))

    @property
    def largest(self) -> float:
        """lambda_max, the curvature that bounds the learning rate."""
        return float(self.eigenvalues[0])

    @property
    def smallest(self) -> float:
        """lambda_min, the smallest positive curvature (0 where there is none): it sets how long descent takes."""
        return float(self.eigenvalues[self.rank - 1]) if self.rank else 0.0

    @property
    def condition(self) -> float:
        """lambda_max / lambda_min: the epochs that plain descent needs grow in proportion to it."""
        return self.largest / self.smallest if self.rank else 1.0

    def lr_bound(
        self, momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> float:
        """The learning rate above which descent diverges; ``2 / lambda_max`` for plain descent.

        inf where nothing curves. See :func:`descentlab.stability.limit` for the other settings.
        """
        curvature = self.largest + weight_decay
        return stability.limit(momentum, dampening, nesterov) / curvature if curvature > 0 else float("inf")

    @property
    def textbook_lr(self) -> float:
        """``2 / (lambda_max + lambda_min)``: plain descent's best rate for the worst start."""
        return 2.0 / (self.largest + self.smallest) if self.rank else float("inf")

    def column(self, i: int) -> str:
        """The parameter that weighs most in direction i."""
        return self.parameters[int(np.argmax(np.abs(self.directions[:, i])))]


def flat_directions(problem: Problem) -> tuple[Sentence, ...]:
    """What makes the cost flat, named by columns: one sentence for each direction it is flat in."""
    flat = problem.quadratic.flat
    d = len(problem.features)
    if not flat.size:
        return ()
    # In data units, each column by its own spread, so that elimination compares like with like.
    spread = np.hypot(problem.factor.deviations[:d], problem.factor.means[:d])
    spread = np.where(spread > 0, spread, 1.0)
    scaled = problem.coordinates.to_units(flat.T)[:, :d] * spread
    found = []
    for relation, dependent in _eliminate(scaled):
        others = {
            problem.features[j]: -relation[j] / spread[j] * spread[dependent]
            for j in range(d)
            if j != dependent and abs(relation[j]) > 1e-9
        }
        found.append(_relation(problem, dependent, others))
    return tuple(found)


def _eliminate(rows: Array) -> list[tuple[Array, int]]:
    """Gauss-Jordan from the last column: each relation then names one column by the ones before it."""
    rows = rows.copy()
    pivots: list[int] = []
    for j in range(rows.shape[1] - 1, -1, -1):
        k = len(pivots)
        if k == len(rows):
            break
        best = k + int(np.argmax(np.abs(rows[k:, j])))
        if abs(rows[best, j]) <= 1e-6 * np.abs(rows[k:]).max():
            continue
        rows[[k, best]] = rows[[best, k]]
        rows[k] /= rows[k, j]
        for i in range(len(rows)):
            if i != k:
                rows[i] -= rows[i, j] * rows[k]
        pivots.append(j)
    return [(rows[k], j) for k, j in enumerate(pivots)][::-1]


def _relation(problem: Problem, dependent: int, others: dict[str, float]) -> Sentence:
    name = problem.features[dependent]
    mean = problem.factor.means[dependent]
    if not others:
        if not problem.bias:
            return sentence("flat.zero", name=name)
        return sentence("flat.constant", name=name, value=float(mean))
    terms = " + ".join(f"{number(round(value, 12))}·`{other}`" for other, value in others.items())
    if problem.bias:
        means = dict(zip(problem.factor.columns, problem.factor.means, strict=True))
        constant = float(mean - sum(value * means[other] for other, value in others.items()))
        largest = max(abs(mean), *(abs(value * means[other]) for other, value in others.items()))
        if abs(constant) > 1e-9 * largest:
            terms += f" + {number(constant)}"
    return sentence("flat.relation", name=name, terms=terms.replace("+ -", "- ").replace("1·", "1·"))
