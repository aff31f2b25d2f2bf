"""Reads the early losses of a loop: what is compared with what, how large it is, whether theory is exact."""

from __future__ import annotations

import math
from typing import Any

from descentlab.watching.inspect.baseline import TargetStatistics, root_mean_square
from descentlab.watching.inspect.linear_model import LinearModelInfo, recognize_linear_model
from descentlab.watching.inspect.loss_graph import LossGraphInfo, inspect_loss_graph

LOSS_RTOL = 1e-3  # of a loss: how near float32 comes to it


class EarlyLossInfo:
    """Kept from the graphs of early losses.

    Attributes:
        graph: the content of the first loss's graph.
        output_defect: the defect in the form of the outputs, from any early loss.
        targets: sums over the targets.
        loss_over_mse: the loss over the mean of squares, where it is a mean or sum of squares.
        linear_model: the linear hypothesis that the model is, if it is one.
        input_rms, output_rms: the root mean squares of the first batch of numbers, and of what came out.
    """

    def __init__(self) -> None:
        self.graph, self.targets = LossGraphInfo(), TargetStatistics()
        self.output_defect: str | None = None
        self.linear_model: LinearModelInfo | None = None
        self.loss_over_mse: float | None = None
        self.input_rms = self.output_rms = math.nan

    def inspect(
        self, model: Any, X: Any, output: Any, node: Any, loss: Any, value: float, gradients_unmodified: bool
    ) -> None:
        """Read the graph of one loss.

        Args:
            model: it is compared with a linear hypothesis.
            X: the batch it was called with, or None.
            output, node: what came out, without its graph, and the ``grad_fn`` it had.
            loss, value: what ``backward`` is called on, and its number.
            gradients_unmodified: whether gradients reach the parameters as the loss has them; asked of the first loss
            only.
        """
        graph = inspect_loss_graph(loss, output, node)
        if not graph.includes_output:
            return
        self.output_defect = self.output_defect or graph.output_defect
        is_first = not self.graph.includes_output
        if is_first:
            self.input_rms, self.output_rms = root_mean_square(X), root_mean_square(output)
        if is_first or graph.broadcast_shape is not None or graph.expanded_shapes is not None:
            self.graph = graph._replace(target=None)
        target = graph.target
        if target is None or graph.broadcast_shape is not None:
            return
        if graph.is_squared_error and not self._is_squared_error(output, target, value):
            return
        if is_first and graph.is_squared_error and X is not None and gradients_unmodified:
            self.linear_model = recognize_linear_model(model, X, output, target, value)
        kind = "binary" if graph.is_binary else "classes" if graph.is_cross_entropy else "squared"
        self.targets.add(target, kind)

    def _is_squared_error(self, output: Any, target: Any, value: float) -> bool:
        """Whether the loss is a mean or sum of squares, or half of one, and nothing else; keeps which of them."""
        mse = float(((output - target) ** 2).mean())
        n = target.numel()
        loss_over_mse = value / mse if mse else math.nan
        is_known = any(abs(loss_over_mse / each - 1) < LOSS_RTOL for each in (1.0, 0.5, n, n / 2))
        self.loss_over_mse = loss_over_mse if is_known else self.loss_over_mse
        return is_known
