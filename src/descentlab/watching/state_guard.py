"""Restores buffers, module attributes and random generators after a measurement."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np


def get_rng_states(torch: Any) -> list[Any]:
    """The states of all generators that a model may use: torch's on each device, NumPy's and Python's."""
    device_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *device_states, np.random.get_state(), random.getstate()]


def restore_rng_states(torch: Any, states: list[Any]) -> None:
    """Restore every generator to its state in :func:`get_rng_states`."""
    cpu_state, *device_states, numpy_state, python_state = states
    torch.set_rng_state(cpu_state)
    if device_states:
        torch.cuda.set_rng_state_all(device_states)
    np.random.set_state(numpy_state)
    random.setstate(python_state)


def same_rng_states(torch: Any, first: list[Any], second: list[Any]) -> bool:
    """Whether two results of :func:`get_rng_states` are equal."""
    if len(first) != len(second):
        return False
    torch_equal = all(torch.equal(a, b) for a, b in zip(first[:-2], second[:-2], strict=True))
    numpy_equal = all(np.array_equal(a, b) for a, b in zip(first[-2], second[-2], strict=True))
    return torch_equal and numpy_equal and first[-1] == second[-1]


@contextmanager
def preserve_state(model: Any) -> Iterator[None]:
    """Restore the buffers of a model and all random generators at the end of the block."""
    import torch

    states = get_rng_states(torch)
    saved_buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in saved_buffers:
            if not buffer.equal(value):  # batch normalization writes without counting a version
                buffer.data.copy_(value)  # nor does this, so that a graph that keeps the buffer stays valid
        restore_rng_states(torch, states)


@contextmanager
def preserve_module_state(model: Any) -> Iterator[None]:
    """Restore every attribute of every module at the end of the block: modes, counters, hidden states.

    The contents of lists, dicts, sets and tensors among them are restored as well, those of other objects are not.
    """
    import torch

    saved = []
    for module in model.modules():
        attributes = module.__dict__
        containers = [(each, copy(each)) for each in attributes.values() if type(each) in CONTAINER_TYPES]
        tensors = [(each, each.detach().clone()) for each in attributes.values() if isinstance(each, torch.Tensor)]
        saved.append((attributes, dict(attributes), containers, tensors))
    try:
        yield
    finally:
        for attributes, saved_attributes, containers, tensors in saved:
            _restore_container(attributes, saved_attributes)
            for value, content in containers:
                _restore_container(value, content)
            for value, content in tensors:
                if not value.equal(content):
                    value.data.copy_(content)


CONTAINER_TYPES = (list, dict, set, deque, OrderedDict)


def _restore_container(container: Any, content: Any) -> None:
    """Restore the contents of a container, if they have changed: in order, by identity."""
    item_lists = (list(each.items()) if isinstance(each, dict) else list(each) for each in (container, content))
    current_ids, saved_ids = (
        list(map(id, sum(each, ()) if isinstance(container, dict) else each)) for each in item_lists
    )
    if current_ids != saved_ids:
        container.clear()
        (container.extend if isinstance(container, list | deque) else container.update)(content)


def has_foreign_hooks(model: Any, parameters: list[Any], own_hook_ids: frozenset[int]) -> bool:
    """Whether there are hooks of other code on the way of the gradients, which measuring would call once more.

    Args:
        model: its modules may have backward hooks.
        parameters: tensors that may have hooks.
        own_hook_ids: ids of the watch's own hooks.
    """
    on_tensors = any(
        id(hook) not in own_hook_ids for parameter in parameters for hook in (parameter._backward_hooks or {}).values()
    )
    return on_tensors or any(module._backward_hooks or module._backward_pre_hooks for module in model.modules())


def stderr_is_terminal() -> bool:
    """Whether the standard error is a terminal."""
    return bool(getattr(sys.stderr, "isatty", lambda: False)())
