"""What a loop is watched by: its model or its tensors, and its optimizer, one inside a wrapper, or none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from descentlab.errors import SettingError
from descentlab.watching.holder import make_holder, variable_names

WRAPPED_ATTRIBUTES = ("optimizer", "base_optimizer", "_optimizer")  # under which wrappers keep an optimizer


def resolve_model(model: Any, depth: int) -> Any:
    """The module that is watched; tensors get one that holds them, by the names that the caller gives them.

    Args:
        model: a module, a tensor, or several in a list, tuple or dict.
        depth: of the caller's frame, counted from here.

    Raises:
        SettingError: it is none of these, or holds no tensor that requires a gradient.
    """
    import torch

    if isinstance(model, torch.nn.Module):
        return model
    tensors = list(model.values()) if isinstance(model, Mapping) else model
    tensors = [tensors] if isinstance(tensors, torch.Tensor) else tensors
    is_list = isinstance(tensors, list | tuple) and len(tensors) > 0
    if not is_list or not all(isinstance(each, torch.Tensor) for each in tensors):
        raise SettingError("watch_model", given=type(model).__name__)
    if not any(each.requires_grad for each in tensors):
        raise SettingError("watch_tensors")
    names = {id(value): str(key) for key, value in model.items()} if isinstance(model, Mapping) else {}
    return make_holder(list(tensors), names or variable_names(sys._getframe(depth + 1), list(tensors)))


def resolve_optimizer(optimizer: Any, model: Any) -> Any | None:
    """The optimizer that makes the steps; None while a function that is to give it has none to give.

    Args:
        optimizer: an optimizer; a wrapper around one; a function without arguments that returns one; or None, for a
            loop that moves the parameters itself.
        model: whose parameters such a loop moves.

    Raises:
        SettingError: it is none of these, or there is nothing to move.
    """
    import torch

    from descentlab.watching.by_hand import UpdatesByHand

    if optimizer is None:
        parameters = [each for each in model.parameters() if each.requires_grad] or list(model.parameters())
        if not parameters:
            raise SettingError("watch_no_parameters")
        return UpdatesByHand(parameters)
    inner = _unwrap(optimizer)
    if inner is not None:
        return inner
    if isinstance(optimizer, list | tuple) and any(_unwrap(each) is not None for each in optimizer):
        raise SettingError("watch_optimizers", n=len(optimizer))
    if not callable(optimizer) or isinstance(optimizer, type | torch.nn.Module):
        raise SettingError("watch_optimizer", given=type(optimizer).__name__)
    try:
        return _unwrap(optimizer())
    except (AttributeError, NameError, LookupError, TypeError):  # it does not exist yet
        return None


def _unwrap(optimizer: Any) -> Any | None:
    """The first optimizer, from outside, that hooks can be registered on; some wrappers never became one."""
    import torch

    for _ in range(4):
        if isinstance(optimizer, torch.optim.Optimizer) and hasattr(optimizer, "_optimizer_step_post_hooks"):
            return optimizer
        inner = (getattr(optimizer, name, None) for name in WRAPPED_ATTRIBUTES)
        optimizer = next((each for each in inner if each is not None and not isinstance(each, str)), None)
    return None
