"""The spectrum of a problem: the eigenvalues and eigenvectors of its Hessian, and the learning rates they allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from descentlab.descent.recursion import stability_limit
from descentlab.descent.reductions import gradient_scale
from descentlab.messages import Message
from descentlab.problem.quadratic import Quadratic
from descentlab.typing import FloatArray


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The eigendecomposition ``H = V diag(lambda) V'`` of the constant Hessian ``H = c X'X`` (plus the ridge's part).

    Along each eigenvector full-batch descent is a scalar recursion, ``e(t+1) = (1 - lr * lambda) e(t)``. The scale c
    follows from the reduction (:func:`descentlab.descent.reductions.gradient_scale`). X has the columns that descent
    acts on: centered or standardized ones if the problem asks for it.

    Attributes:
        reduction: ``mean``, ``half_mean``, ``sum`` or ``half_sum``; the eigenvalues scale with it.
        parameters: the names of a direction's entries.
        eigenvalues: (p,) lambda, descending; exactly 0 in flat directions.
        directions: (p, p) V, orthonormal; column i belongs to ``eigenvalues[i]``.
        rank: the number of positive eigenvalues.
        null_directions: for each flat direction, a message that names its columns.

    >>> import descentlab as dl
    >>> X = [[1, 0], [0, 1], [2, 2]]
    >>> spectrum = dl.Problem(X, [1, 2, 3], bias=False).spectrum("half_sum")  # H = X'X = [[5, 4], [4, 5]]
    >>> spectrum.eigenvalues.round(12), round(spectrum.condition, 12), round(spectrum.lr_bound(), 12)
    (array([9., 1.]), 9.0, 0.222222222222)
    """

    reduction: str
    parameters: tuple[str, ...]
    eigenvalues: FloatArray
    directions: FloatArray
    rank: int
    null_directions: tuple[Message, ...]

    @classmethod
    def from_quadratic(
        cls, quadratic: Quadratic, reduction: str, parameters: tuple[str, ...], null_directions: tuple[Message, ...]
    ) -> Spectrum:
        """The spectrum of a cost in one reduction."""
        svd = quadratic.svd
        eigenvalues = np.zeros(len(parameters))
        eigenvalues[: svd.rank] = gradient_scale(reduction, quadratic.weight) * svd.s**2
        return cls(reduction, parameters, eigenvalues, svd.V, svd.rank, null_directions)

    @property
    def lambda_max(self) -> float:
        """The largest eigenvalue, which bounds the learning rate."""
        return float(self.eigenvalues[0])

    @property
    def lambda_min(self) -> float:
        """The smallest positive eigenvalue, 0 if there is none; it decides how long descent takes."""
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

        inf where every eigenvalue is 0. For the other settings see
        :func:`descentlab.descent.recursion.stability_limit`.
        """
        curvature = self.lambda_max + weight_decay
        return stability_limit(momentum, dampening, nesterov) / curvature if curvature > 0 else float("inf")

    @property
    def minimax_lr(self) -> float:
        """``2 / (lambda_max + lambda_min)``: plain descent's best rate for the worst start."""
        return 2.0 / (self.lambda_max + self.lambda_min) if self.rank else float("inf")

    def dominant_parameter(self, i: int) -> str:
        """The parameter with the largest entry in direction i."""
        return self.parameters[int(np.argmax(np.abs(self.directions[:, i])))]
