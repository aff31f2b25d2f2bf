"""The spectrum of a problem: how curved its cost is, in which directions, and what that allows.

The cost descended on has the constant Hessian ``H = c X'X`` (plus the ridge's part); full-batch descent is one
scalar recursion per eigendirection: ``e(t+1) = (1 - lr * lambda) e(t)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descentlab.descent import recursion
from descentlab.descent.reductions import gradient_scale
from descentlab.messages import Message, format_number, message
from descentlab.typing import FloatArray

if TYPE_CHECKING:
    from descentlab.problem.problem import Problem


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Curvatures and directions of one problem's cost in one convention.

    Attributes:
        reduction: the convention; curvatures scale with it.
        parameters: what the entries of a direction belong to.
        eigenvalues: (p,) curvatures of H, descending; exactly 0 in flat directions.
        directions: (p, p) orthonormal; column i has curvature ``eigenvalues[i]``. In the descended coordinates.
        rank: how many curvatures are positive.
        null_directions: for each flat direction, a sentence that names its columns.
    """

    reduction: str
    parameters: tuple[str, ...]
    eigenvalues: FloatArray
    directions: FloatArray
    rank: int
    null_directions: tuple[Message, ...]

    @classmethod
    def from_problem(cls, problem: Problem, reduction: str = "mean") -> Spectrum:
        """The spectrum of a problem; same as ``problem.spectrum(reduction)``."""
        svd = problem.quadratic.svd
        eigenvalues = np.zeros(len(problem.parameters))
        eigenvalues[: svd.rank] = gradient_scale(reduction, problem.weight) * svd.s**2
        return cls(reduction, problem.parameters, eigenvalues, svd.V, svd.rank, describe_null_directions(problem))

    @property
    def lambda_max(self) -> float:
        """lambda_max, the curvature that bounds the learning rate."""
        return float(self.eigenvalues[0])

    @property
    def lambda_min(self) -> float:
        """lambda_min, the smallest positive curvature (0 where there is none): it sets how long descent takes."""
        return float(self.eigenvalues[self.rank - 1]) if self.rank else 0.0

    @property
    def condition(self) -> float:
        """lambda_max / lambda_min: the epochs that plain descent needs grow in proportion to it."""
        if not self.rank:
            return 1.0
        return self.lambda_max / self.lambda_min if self.lambda_min > 0 else float("inf")

    def lr_bound(
        self, momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> float:
        """The learning rate above which descent diverges; ``2 / lambda_max`` for plain descent.

        inf where nothing curves. See :func:`descentlab.descent.recursion.limit` for the other settings.
        """
        curvature = self.lambda_max + weight_decay
        return recursion.stability_limit(momentum, dampening, nesterov) / curvature if curvature > 0 else float("inf")

    @property
    def minimax_lr(self) -> float:
        """``2 / (lambda_max + lambda_min)``: plain descent's best rate for the worst start."""
        return 2.0 / (self.lambda_max + self.lambda_min) if self.rank else float("inf")

    def dominant_parameter(self, i: int) -> str:
        """The parameter that weighs most in direction i."""
        return self.parameters[int(np.argmax(np.abs(self.directions[:, i])))]


def describe_null_directions(problem: Problem) -> tuple[Message, ...]:
    """What makes the cost flat, named by columns: one sentence for each direction it is flat in."""
    fit, d = problem.fit, len(problem.features)
    return tuple(
        _linear_relation(problem, problem.features[j], coefficients[:d], float(coefficients[d:].sum()))
        for j, coefficients in zip(fit.dependent, fit.params.T[1:], strict=True)
    )


def _linear_relation(problem: Problem, name: str, weights: FloatArray, constant: float) -> Message:
    """``name`` = a combination of the columns before it, as a sentence."""
    if not weights.any():
        return message("flat.constant", name=name, value=constant) if problem.bias else message("flat.zero", name=name)
    terms = [_format_term(float(weights[j]), problem.features[j]) for j in np.flatnonzero(weights)]
    if constant:
        terms.append(format_number(round(constant, 12)))
    return message("flat.relation", name=name, terms=" + ".join(terms).replace("+ -", "- "))


def _format_term(weight: float, column: str) -> str:
    coefficient_text = format_number(round(weight, 12))
    return {"1": "", "-1": "-"}.get(coefficient_text, f"{coefficient_text}·") + f"`{column}`"
