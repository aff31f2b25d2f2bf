"""A batch that stays the same: the loss on it, on copies of everything that the loop goes on with.

Figures of different steps compare only if they are of the same rows. The copies are in the model's place while it is
measured, and not only while it is called: a part that is computed again in the backward pass finds them there, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from descentlab.errors import EngineError, SettingError
from descentlab.watching.hooks import Inert
from descentlab.watching.inspect.nonfinite import broken, tensors
from descentlab.watching.state_guard import put_back

CLOSE = 1e-5  # of a loss: sums in another order differ by less, dropout by more
Found = TypeVar("Found")


class Fixed:
    """The loss ``loss_fn(model(X), y)`` of one batch.

    Args:
        model, loss_fn: what the loop calls.
        probe: (X, y); tensors are copied, so that nobody can change them meanwhile.

    Attributes:
        rows: of X; None where X is no tensor.
        evaluating: whether random layers made it necessary to evaluate in evaluation mode.

    Raises:
        SettingError: there is no loss function to call, the probe is no pair, or holds NaN or infinity.
    """

    def __init__(self, model: Any, loss_fn: Any, probe: Any) -> None:
        if loss_fn is None:
            raise SettingError("watch_probe_loss")
        if not isinstance(probe, tuple | list) or len(probe) != 2:
            raise SettingError("watch_probe", given=type(probe).__name__)
        if broken(tensors(probe)):
            raise SettingError("watch_probe_finite")
        self.X, self.y = (_copy(each) for each in probe)
        self.rows = len(self.X) if getattr(self.X, "ndim", 0) else None
        self.evaluating = False
        self._both = _both(model, loss_fn)

    def measured(self, parameters: Sequence[Any], search: Callable[[Any, list[Any]], Found]) -> Found | None:
        """What ``search(loss, copies)`` finds; None where the loss is not finite.

        Args:
            parameters: those that the optimizer moves; copies of them, in this order, are handed over.
            search: is given the loss with its graph, and the copies.

        Raises:
            EngineError: the loss is no single number, is random even in evaluation mode, or does not depend on the
                parameters; or forward hooks of the loop's own would be called.
        """
        if any(map(_heard, self._both.modules())):
            raise EngineError("watch_probe_hooks")
        if not self.evaluating and not self._steady():
            self.evaluating = True
            if not self._steady():
                self.evaluating = False
                raise EngineError("watch_probe_random")
        copies = {name: each.detach().clone() for name, each in self._both.named_parameters()}
        names = {id(each): name for name, each in self._both.named_parameters()}
        for each in parameters:
            copies.setdefault(names.setdefault(id(each), f"?{len(names)}"), each.detach().clone())
        inner = [copies[names[id(each)]].requires_grad_() for each in parameters]

        def use(loss: Any) -> Found | None:
            value = _number(loss)
            try:
                if not loss.requires_grad:
                    raise LookupError
                return search(loss, inner) if math.isfinite(value) else None
            except LookupError:
                raise EngineError("watch_probe_apart") from None

        found: Found | None = self._evaluate({name: each for name, each in copies.items() if name[0] != "?"}, use)
        return found

    def _steady(self) -> bool:
        """Whether two evaluations come to the same loss."""
        import torch

        copies = {name: each.detach() for name, each in self._both.named_parameters()}
        with torch.no_grad():
            one, other = (self._evaluate(copies, _number) for _ in range(2))
        both = math.isfinite(one) and math.isfinite(other)
        return not both or abs(one - other) <= CLOSE * max(abs(one), abs(other))

    def _evaluate(self, parameters: dict[str, Any], use: Callable[[Any], Any]) -> Any:
        """``use`` the loss, with copies in the place of parameters and buffers, and no hook of a watch."""
        import torch

        buffers = {name: each.detach().clone() for name, each in self._both.named_buffers()}
        with put_back(self._both):
            for module in self._both.modules():
                module.training = module.training and not self.evaluating
                for hooks in (module._forward_hooks, module._forward_pre_hooks):
                    for key in [key for key, hook in hooks.items() if isinstance(hook, Inert)]:
                        del hooks[key]
            return torch.func.functional_call(self._both, parameters | buffers, (_copy(self.X), _copy(self.y), use))


def _both(model: Any, loss_fn: Any) -> Any:
    """A model and its loss as one module: a penalty on the model's parameters, inside the loss, meets the copies."""
    import torch

    class Both(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss_fn = model, loss_fn

        def forward(self, X: Any, y: Any, use: Callable[[Any], Any]) -> Any:
            return use(self.loss_fn(self.model(X), y))

    return Both()


def _heard(module: Any) -> bool:
    """Whether a module has forward hooks that may keep something; those of torch (weight norm, pruning) do not."""
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    whose = [getattr(each, "__module__", None) or "" for each in hooks if not isinstance(each, Inert)]
    return any(not each.startswith("torch.") for each in whose)


def _number(loss: Any) -> float:
    if getattr(loss, "numel", lambda: 0)() != 1:
        raise EngineError("watch_probe_scalar")
    return float(loss.detach())


def _copy(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else value
