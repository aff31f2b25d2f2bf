"""The gradients that an optimizer is given: whether they come, are finite, zero, and as backward made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from descentlab.watching.curvature.stability_limits import scaling

LARGE = 4_000_000  # numbers: of smaller models the last gradients are kept, of larger ones only their norms
ALTERED = 1e-3  # of a gradient's norm: less is rounding


class Gradients:
    """What an optimizer holds, and the gradients of its last step.

    Attributes:
        held: its parameters.
        got: ids of those that ever had a gradient.
        zero_steps: the last steps looked at, in a row, at which every gradient was exactly 0.
        compared, altered: steps at which a gradient was held against what arrived, and those at which it was another:
            clipped, unscaled, averaged over machines.
    """

    def __init__(self, optimizer: Any, names: Mapping[int, str]) -> None:
        self.optimizer, self.names = optimizer, names
        self.got: set[int] = set()
        self.zero_steps = self.compared = self.altered = 0
        self._last: list[Any] = []
        self._norms: Any = None
        self._arrived: dict[int, list[Any]] = {}
        self.find_held()

    def find_held(self) -> None:
        """What the optimizer holds: a group may be added at any time."""
        self._groups = len(self.optimizer.param_groups)
        self.held = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self._large = sum(parameter.numel() for parameter in self.held) > LARGE

    def arrives(self, parameter: Any, gradient: Any) -> None:
        """A backward pass has made a gradient for a parameter."""
        arrived = self._arrived.setdefault(id(parameter), [])
        if len(arrived) < 2 and not gradient.is_sparse:  # two say that there were several
            arrived.append(gradient.norm())

    def stepped(self, torch: Any) -> None:
        """Keep what the step used."""
        if len(self.optimizer.param_groups) != self._groups:
            self.find_held()
        self._last = [parameter.grad for parameter in self.held]
        self._norms = torch._foreach_norm([each for _, each in self.dense()]) if self._large else None

    def dense(self) -> list[tuple[Any, Any]]:
        """Parameters with the gradients of the last step, sparse ones left out."""
        pairs = zip(self.held, self._last, strict=False)
        return [(parameter, each) for parameter, each in pairs if each is not None and not each.is_sparse]

    def norms(self) -> tuple[float, float]:
        """The norms of the last gradient and of the parameters, in the coordinates that curvature is measured in.

        That is ``|S (g + decay p)|`` and ``|S^-1 p|`` with the S of
        :class:`descentlab.watching.curvature.stability_limits.Scaling`.
        """
        seen = scaling(self.optimizer)
        known = () if seen is None else zip(seen.parameters, seen.scale, seen.decay, strict=True)
        scales = {id(parameter): (scale, decay) for parameter, scale, decay in known}
        slope = size = 0.0
        for parameter, gradient in self.dense():
            scale, decay = scales.get(id(parameter), (1.0, 0.0))
            p = parameter.detach()
            slope += float(((gradient + decay * p) * scale).square().sum())
            size += float((p / scale).square().sum())
        return slope**0.5, size**0.5

    def look(self, dense: list[tuple[Any, Any]]) -> None:
        """Look closely at the last step."""
        self.got.update(id(p) for p, each in zip(self.held, self._last, strict=True) if each is not None)
        nothing = bool(dense) and not any(bool(each.any()) for _, each in dense)
        self.zero_steps = self.zero_steps + 1 if nothing else 0
        for parameter, each in dense:
            arrived = self._arrived.get(id(parameter), [])
            if len(arrived) == 1:  # of several passes the sum's norm is not known
                made, used = float(arrived[0]), float(each.norm())
                self.compared += 1
                self.altered += abs(made - used) > ALTERED * max(made, used)
        self._arrived.clear()

    def broken(self) -> str | None:
        """The parameter whose gradient was not finite at the last step: the one nearest to the loss."""
        dense = self.dense()
        norms = self._norms if self._norms is not None else [each.norm() for _, each in dense]
        pairs = zip(dense, norms, strict=True)
        found = [self.names.get(id(parameter), "?") for (parameter, _), norm in pairs if not bool(norm.isfinite())]
        return found[-1] if found else None  # backward passes go from the last layer to the first
