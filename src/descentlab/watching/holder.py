"""A module that stands in for tensors which an optimizer trains and no module holds: ``SGD([W, b])``."""

from __future__ import annotations

from types import FrameType
from typing import Any

MAX_NAMES = 3  # of tensors, in the name of their module


def optimized_parameters(optimizer: Any) -> list[Any]:
    """Every tensor of an optimizer, in order."""
    return [each for group in optimizer.param_groups for each in group["params"]]


def holds_all(module: Any, parameters: list[Any]) -> bool:
    """Whether a module has all of these parameters."""
    return {id(each) for each in parameters} <= {id(each) for each in module.parameters()}


def make_holder(parameters: list[Any], names: dict[int, str]) -> Any:
    """A module with these tensors as its parameters, called like them; it is never called."""
    import torch

    named = {names.get(id(each), f"parameter {i + 1}"): each for i, each in enumerate(parameters)}
    roots = list(dict.fromkeys(name.split(".")[0] for name in named))
    title = ", ".join(roots[:MAX_NAMES]) + ", ..." * (len(roots) > MAX_NAMES)
    holder = type(title, (torch.nn.Module,), {})()
    holder._parameters.update(named)  # tensors need not be Parameters, and their names may have dots
    return holder


def variable_names(frame: FrameType | None, parameters: list[Any]) -> dict[int, str]:
    """What the code calls these tensors, by their id: a variable, or a path from a module that a variable holds."""
    import torch

    wanted, names = {id(each) for each in parameters}, dict[int, str]()
    while frame is not None:
        for variable, value in (*frame.f_locals.items(), *frame.f_globals.items()):
            if issubclass(type(value), torch.Tensor):
                found = {id(value): variable}
            elif issubclass(type(value), torch.nn.Module):
                found = {id(each): f"{variable}.{name}" for name, each in value.named_parameters()}
            else:
                continue
            names = {key: name for key, name in found.items() if key in wanted} | names
        frame = frame.f_back
    return names
