"""The map between parameters in the data's units and parameters of centered or standardized columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descentlab.typing import FloatArray


class Scaling(NamedTuple):
    """Feature j is replaced by ``(x_j - means_j) / scales_j``; with V the weights of these scaled columns,

        W_j = V_j / scales_j,        b = b_scaled - sum_j W_j means_j

    Descent takes place in the scaled parameters ``(V, b_scaled)``; results are reported as ``(W, b)``.

    Attributes:
        means: (d,) zeros where features are not centered.
        scales: (d,) positive; ones where features are not standardized.
        bias: whether a parameter vector ends with the bias.

    >>> scaling = Scaling(np.array([10.0]), np.array([2.0]), bias=True)
    >>> scaling.to_original(np.array([4.0, 1.0]))
    array([  2., -19.])
    >>> scaling.to_scaled(scaling.to_original(np.array([4.0, 1.0])))
    array([4., 1.])
    """

    means: FloatArray
    scales: FloatArray
    bias: bool

    def to_original(self, params: FloatArray) -> FloatArray:
        """(..., p) scaled parameters in the data's units."""
        d = len(self.scales)
        W = params[..., :d] / self.scales
        if not self.bias:
            return W
        return np.concatenate([W, params[..., d:] - (W @ self.means)[..., None]], axis=-1)

    def to_scaled(self, params: FloatArray) -> FloatArray:
        """The inverse of :meth:`to_original`."""
        d = len(self.scales)
        W = params[..., :d]
        if not self.bias:
            return W * self.scales
        return np.concatenate([W * self.scales, params[..., d:] + (W @ self.means)[..., None]], axis=-1)
