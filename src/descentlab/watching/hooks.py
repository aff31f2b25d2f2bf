"""Where the watch holds on to a loop: hooks on the model, its loss, its parameters, its optimizer, and on ``backward``.

All of them are let go at the end, also when the loop raises. A copy of the model made meanwhile (a moving average, the
best weights so far, a saved file) gets hooks that do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol


class Hears(Protocol):
    """What the hooks report to."""

    deaf: Callable[[], None]

    def enters(self, module: Any, args: tuple[Any, ...]) -> None:
        """The model is called; heard until :attr:`deaf` is called, since each hook costs every step."""

    def leaves(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """The model has an output."""

    def compares(self, module: Any, args: tuple[Any, ...]) -> None:
        """The loss module is called."""

    def arrives(self, parameter: Any, gradient: Any) -> None:
        """A gradient has come as far as a parameter."""

    def before_backward(self, loss: Any) -> None:
        """A backward pass begins."""

    def after_backward(self) -> None:
        """It has ended."""

    def stepped(self) -> None:
        """The optimizer has stepped."""

    def fails(self, error: Exception) -> None:
        """The watch itself has made a mistake: the loop goes on without it."""


def nothing(*_args: Any, **_kwargs: Any) -> None:
    """What a copied or unpickled hook does."""


def unpickled() -> Callable[..., None]:
    """What a pickled hook becomes."""
    return nothing


class Inert:
    """A hook that works where it was put, and nowhere else."""

    __torch_unserializable__ = True  # torch warns of hooks on tensors that are saved, unless they say this

    def __init__(self, call: Callable[..., None], fails: Callable[[Exception], None]) -> None:
        self.call, self.fails = call, fails

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            self.call(*args, **kwargs)
        except Exception as error:  # a mistake of the watch must not end somebody's run
            self.fails(error)

    def __copy__(self) -> Callable[..., None]:
        return nothing

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return unpickled, ()


def inert(parameters: list[Any]) -> frozenset[int]:
    """Ids of the hooks that some parameters have from any watch."""
    hooks = (hook for each in parameters for hook in (each._backward_hooks or {}).values())
    return frozenset(id(hook) for hook in hooks if isinstance(hook, Inert))


class Grip:
    """Every hook of one watch.

    Attributes:
        own: ids of the hooks on parameters.
    """

    def __init__(self) -> None:
        self.handles: list[Any] = []
        self.own: frozenset[int] = frozenset()
        self._backward: Any = None
        self._patched: Any = None
        self._listening = False

    def take(self, hears: Hears, model: Any, optimizer: Any, loss: Any, marked: list[Any]) -> None:
        """Put every hook in its place; ``marked`` are the parameters at which gradients are noticed."""
        import torch

        def safe(call: Callable[..., None]) -> Inert:
            return Inert(call, hears.fails)

        self.handles.append(model.register_forward_pre_hook(safe(hears.enters)))
        hears.deaf = self.handles[0].remove
        self.handles.append(model.register_forward_hook(safe(hears.leaves), with_kwargs=True))
        if isinstance(loss, torch.nn.Module):
            self.handles.append(loss.register_forward_pre_hook(safe(hears.compares)))
        hooks = [safe(partial(hears.arrives, parameter)) for parameter in marked]
        self.own = frozenset(map(id, hooks))
        self.handles += [parameter.register_hook(hook) for parameter, hook in zip(marked, hooks, strict=True)]
        self.handles.append(optimizer.register_step_post_hook(safe(lambda *_: hears.stepped())))
        self._patch(torch, hears)

    def _patch(self, torch: Any, hears: Hears) -> None:
        original = torch.autograd.backward  # Tensor.backward goes through it as well

        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._listening:
                return original(tensors, *args, **kwargs)
            before(tensors)
            result = original(tensors, *args, **kwargs)
            after()
            return result

        before, after = Inert(hears.before_backward, hears.fails), Inert(hears.after_backward, hears.fails)
        self._backward, self._patched, self._listening = original, backward, True
        torch.autograd.backward = backward

    def release(self) -> None:
        """Let everything go. Where somebody has put their own ``backward`` over ours, ours stays and only passes on."""
        import torch

        self._listening = False
        if torch.autograd.backward is self._patched:
            torch.autograd.backward = self._backward
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
