"""What the early losses of a loop say: what is compared with what, how large it is, whether theory is exact for it."""

from __future__ import annotations

import math
from typing import Any

from descentlab.watching.inspect.baseline import Targets, size
from descentlab.watching.inspect.linear_model import Linear, recognise
from descentlab.watching.inspect.loss_graph import Found, read

EXACT = 1e-3  # of a loss: how near float32 comes to it


class Study:
    """Kept from the graphs of early losses.

    Attributes:
        found: what the first loss's graph says.
        form: what is wrong with the form of the outputs, from any early loss.
        targets: sums over the targets.
        scale: the loss over the mean of squares, where it is a mean or sum of squares.
        linear: the linear hypothesis that the model is, if it is one.
        input_size, output_size: the root mean squares of the first batch of numbers, and of what came out.
    """

    def __init__(self) -> None:
        self.found, self.targets = Found(), Targets()
        self.form: str | None = None
        self.linear: Linear | None = None
        self.scale: float | None = None
        self.input_size = self.output_size = math.nan

    def look(self, model: Any, X: Any, output: Any, node: Any, loss: Any, value: float, exact: bool) -> None:
        """Read the graph of one loss.

        Args:
            model: it is compared with a linear hypothesis.
            X: the batch it was called with, or None.
            output, node: what came out, without its graph, and the ``grad_fn`` it had.
            loss, value: what ``backward`` is called on, and its number.
            exact: whether gradients reach the parameters as the loss has them; asked of the first loss only.
        """
        found = read(loss, output, node)
        if not found.reached:
            return
        self.form = self.form or found.form
        first = not self.found.reached
        if first:
            self.input_size, self.output_size = size(X), size(output)
        if first or found.wide is not None:
            self.found = found._replace(target=None)
        target = found.target
        if target is None or found.wide is not None or (found.squared and not self._scaled(output, target, value)):
            return
        if first and found.squared and X is not None and exact:
            self.linear = recognise(model, X, output, target, value)
        self.targets.add(target, found.classes)

    def _scaled(self, output: Any, target: Any, value: float) -> bool:
        """Whether the loss is a mean or sum of squares, or half of one, and nothing else; keeps which of them."""
        mean = float(((output - target) ** 2).mean())
        n = target.numel()
        scale = value / mean if mean else math.nan
        known = any(abs(scale / each - 1) < EXACT for each in (1.0, 0.5, n, n / 2))
        self.scale = scale if known else self.scale
        return known
