"""The hooks of a watch on the model, its loss, its parameters, its optimizer, and on ``backward``.

All of them are removed at the end, also when the loop raises. A copy of the model that is made meanwhile (a moving
average, the best weights so far, a saved file) gets hooks that do nothing; one that is scripted or traced gets none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Protocol


class LoopCallbacks(Protocol):
    """The object that the hooks report to."""

    stop_watching_forward_start: Callable[[], None]
    show_details: Callable[[bool], None]

    def on_forward_start(self, module: Any, args: tuple[Any, ...]) -> None:
        """The model is called. The recorder removes this hook after the first call, since it slows every step."""

    def on_forward_end(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """The model has an output."""

    def on_loss_call(self, module: Any, args: tuple[Any, ...]) -> None:
        """The loss module is called."""

    def on_gradient(self, parameter: Any, gradient: Any) -> None:
        """A gradient has come as far as a parameter."""

    def on_backward_start(self, loss: Any) -> None:
        """A backward pass begins."""

    def on_backward_end(self) -> None:
        """It has ended."""

    def on_optimizer_step(self) -> None:
        """The optimizer has stepped."""

    def on_internal_error(self, error: Exception) -> None:
        """The watch itself has failed; the loop goes on."""


def noop(*_args: Any, **_kwargs: Any) -> None:
    """Do nothing, as a copied or unpickled hook does."""


def make_noop() -> Callable[..., None]:
    """The hook that a pickled one becomes."""
    return noop


class UncopiedHook:
    """A hook that becomes :func:`noop` when it is copied or pickled."""

    n_pauses = 0  # of all watches, while one of them measures on a graph that others see as well
    __torch_unserializable__ = True  # torch warns of hooks on tensors that are saved, unless they say this

    def __init__(self, call: Callable[..., None], on_error: Callable[[Exception], None]) -> None:
        import torch

        self.call, self.on_error, self.is_tracing = call, on_error, torch.jit.is_tracing

    def __call__(self, *args: Any) -> None:
        try:
            if not (UncopiedHook.n_pauses or self.is_tracing()):  # what a hook did would become part of the trace
                self.call(*args)
        except Exception as error:  # an error of the watch must not end the run
            self.on_error(error)

    def __copy__(self) -> Callable[..., None]:
        return noop

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return noop

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        import torch

        if hasattr(torch.serialization, "add_safe_globals"):  # a loop may load what it saves, weights only
            torch.serialization.add_safe_globals([make_noop])
        return make_noop, ()


@contextmanager
def paused_hooks() -> Iterator[None]:
    """No watch sees what happens in the block."""
    UncopiedHook.n_pauses += 1
    try:
        yield
    finally:
        UncopiedHook.n_pauses -= 1


def find_watch_hook_ids(parameters: list[Any]) -> frozenset[int]:
    """Ids of the hooks that some parameters have from any watch."""
    hooks = (hook for each in parameters for hook in (each._backward_hooks or {}).values())
    return frozenset(id(hook) for hook in hooks if isinstance(hook, UncopiedHook))


@contextmanager
def _hidden_hooks(modules: tuple[Any, ...]) -> Iterator[None]:
    """Take the hooks of every watch from these modules for a while; hooks of others stay."""
    stores = [getattr(each, name, {}) for each in modules for name in ("_forward_pre_hooks", "_forward_hooks")]
    hidden = [(store, {key: hook for key, hook in store.items() if isinstance(hook, UncopiedHook)}) for store in stores]
    for store, hooks in hidden:
        for key in hooks:
            del store[key]
    try:
        yield
    finally:
        for store, hooks in hidden:
            store.update(hooks)


class HookSet:
    """All hooks of one watch."""

    def __init__(self) -> None:
        self.handles: list[Any] = []
        self._detail_handles: list[Any] = []
        self._patches: list[tuple[Any, str, Any, Any]] = []
        self._is_active = False

    def attach(
        self, callbacks: LoopCallbacks, model: Any, optimizer: Any, loss: Any, sampled_params: list[Any]
    ) -> None:
        """Register all hooks; gradients are observed at ``sampled_params``."""
        import torch

        def make_hook(call: Callable[..., None]) -> UncopiedHook:
            return UncopiedHook(call, callbacks.on_internal_error)

        self.handles.append(model.register_forward_pre_hook(make_hook(callbacks.on_forward_start)))
        callbacks.stop_watching_forward_start = self.handles[0].remove
        self.handles.append(model.register_forward_hook(make_hook(callbacks.on_forward_end), with_kwargs=True))
        self._loss = loss if isinstance(loss, torch.nn.Module) else None
        self._loss_hook = make_hook(callbacks.on_loss_call)
        self._gradient_hooks = [(each, make_hook(partial(callbacks.on_gradient, each))) for each in sampled_params]
        self.show_details(True)
        callbacks.show_details = self.show_details
        self.handles.append(optimizer.register_step_post_hook(make_hook(lambda *_: callbacks.on_optimizer_step())))
        self._is_active = True
        self._patch_backward(torch, callbacks)
        self._patch_script(torch, (*model.modules(), loss))

    def show_details(self, wanted: bool) -> None:
        """Register the hooks that a step needs only if it is looked at closely, or remove them."""
        for handle in self._detail_handles:
            handle.remove()
        self._detail_handles = []
        if wanted:
            self._detail_handles = [parameter.register_hook(hook) for parameter, hook in self._gradient_hooks]
            if self._loss is not None:
                self._detail_handles.append(self._loss.register_forward_pre_hook(self._loss_hook))

    def _patch(self, owner: Any, name: str, patched: Any) -> None:
        self._patches.append((owner, name, getattr(owner, name), patched))
        setattr(owner, name, patched)

    def _patch_backward(self, torch: Any, callbacks: LoopCallbacks) -> None:
        original = torch.autograd.backward  # Tensor.backward goes through it as well

        @wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._is_active or UncopiedHook.n_pauses:
                return original(tensors, *args, **kwargs)
            try:
                callbacks.on_backward_start(tensors)
            except Exception as error:  # an error of the watch must not end the run
                callbacks.on_internal_error(error)
            result = original(tensors, *args, **kwargs)
            try:
                callbacks.on_backward_end()
            except Exception as error:
                callbacks.on_internal_error(error)
            return result

        self._patch(torch.autograd, "backward", backward)

    def _patch_script(self, torch: Any, modules: tuple[Any, ...]) -> None:
        """Let ``torch.jit.script`` see the modules without hooks, which it would try to compile."""
        original = torch.jit.script

        @wraps(original)
        def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(obj, torch.nn.Module):
                with _hidden_hooks(modules):
                    return original(obj, *args, **kwargs)
            return original(obj, *args, **kwargs | {"_frames_up": kwargs.get("_frames_up", 0) + 1})

        self._patch(torch.jit, "script", script)

    def detach(self) -> None:
        """Remove all hooks. A function that other code has wrapped meanwhile stays, and only calls the original."""
        self._is_active = False
        for owner, name, original, patched in self._patches:
            if getattr(owner, name) is patched:
                setattr(owner, name, original)
        self.show_details(False)
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
