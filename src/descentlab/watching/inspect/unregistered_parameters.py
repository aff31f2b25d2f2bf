"""Parameters that a model uses without their being its own: layers in a plain list, tuple or dict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def unregistered_parameters(model: Any) -> dict[str, Any]:
    """Those parameters by a name such as ``layers[0].weight``; ``model.parameters()`` knows nothing of them."""
    registered_ids = {id(each) for each in model.parameters()}
    unregistered: dict[str, Any] = {}
    for prefix, module in model.named_modules():
        for attribute, value in module.__dict__.items():
            if not attribute.startswith("_"):
                path = f"{prefix}.{attribute}" if prefix else attribute
                unregistered |= {
                    name: each
                    for name, each in _iter_container_parameters(path, value)
                    if id(each) not in registered_ids
                }
    return unregistered


def _iter_container_parameters(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.nn.Parameter):
        yield name, value
    elif isinstance(value, torch.nn.Module):
        for inner, each in value.named_parameters():
            yield f"{name}.{inner}", each
    elif isinstance(value, list | tuple | Mapping):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, each in pairs:
            if isinstance(each, torch.nn.Module | torch.nn.Parameter):
                yield from _iter_container_parameters(f"{name}[{key}]", each)
