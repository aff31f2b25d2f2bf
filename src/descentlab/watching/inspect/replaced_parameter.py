"""A parameter whose variable has become another tensor, as after ``W = W - lr * W.grad``."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any


def find_replaced_parameter(error: BaseException | None, model: Any) -> str | None:
    """The name of a parameter that a variable of the raising code no longer holds; None if there is none.

    The variable holds a tensor of its shape that was computed from it, or that requires no gradient, as one made
    under ``torch.no_grad()``.
    """
    named = dict(model.named_parameters())
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        for name, value in _tensors_called(named, trace.tb_frame):
            if _has_replaced(value, named[name]):
                return name
        trace = trace.tb_next
    return None


def _tensors_called(names: Iterable[str], frame: FrameType) -> list[tuple[str, Any]]:
    """The tensors that variables of a frame, or entries of its dicts, hold under these names."""
    import torch

    variables = frame.f_globals | frame.f_locals
    scopes = [variables, *(each for each in variables.values() if type(each) is dict)]
    found = [(name, scope[name]) for scope in scopes for name in names if name in scope]
    return [(name, value) for name, value in found if issubclass(type(value), torch.Tensor)]


def _has_replaced(value: Any, parameter: Any) -> bool:
    if value is parameter or value.shape != parameter.shape:
        return False
    inputs = (node for node, _ in value.grad_fn.next_functions) if value.grad_fn is not None else ()
    return not value.requires_grad or any(getattr(node, "variable", None) is parameter for node in inputs)
