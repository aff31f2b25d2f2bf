"""Leaving no trace: whatever is measured, buffers and every random generator are afterwards as they were before."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np


def random_states(torch: Any) -> list[Any]:
    """The states of every generator that a model may draw from: torch's on each device, NumPy's, Python's own."""
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *on_devices, np.random.get_state(), random.getstate()]


def restore(torch: Any, states: list[Any]) -> None:
    """Put every generator back to what :func:`random_states` found."""
    on_cpu, *on_devices, numpys, pythons = states
    torch.set_rng_state(on_cpu)
    if on_devices:
        torch.cuda.set_rng_state_all(on_devices)
    np.random.set_state(numpys)
    random.setstate(pythons)


def same_states(torch: Any, one: list[Any], other: list[Any]) -> bool:
    """Whether nobody has drawn a random number in between."""
    if len(one) != len(other):
        return False
    tensors = all(torch.equal(a, b) for a, b in zip(one[:-2], other[:-2], strict=True))
    numpys = all(np.array_equal(a, b) for a, b in zip(one[-2], other[-2], strict=True))
    return tensors and numpys and one[-1] == other[-1]


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Measure within: buffers that something writes into, and random numbers that are drawn, are put back."""
    import torch

    states = random_states(torch)
    before = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            if not buffer.equal(value):  # batch normalization writes without counting a version
                buffer.data.copy_(value)  # nor does this, so that a graph that keeps the buffer stays valid
        restore(torch, states)


@contextmanager
def put_back(model: Any) -> Iterator[None]:
    """Call the model within: modes, counters, hidden states and whatever else its modules keep are put back.

    That is every attribute of every module, with what lists, dicts, sets and tensors among them held; not what is
    written into objects of other kinds.
    """
    import torch

    before = []
    for module in model.modules():
        own = module.__dict__
        held = [(each, copy(each)) for each in own.values() if type(each) in CONTAINERS]
        numbers = [(each, each.detach().clone()) for each in own.values() if isinstance(each, torch.Tensor)]
        before.append((own, dict(own), held, numbers))
    try:
        yield
    finally:
        for own, kept, held, numbers in before:
            _refill(own, kept)
            for value, content in held:
                _refill(value, content)
            for value, content in numbers:
                if not value.equal(content):
                    value.data.copy_(content)


CONTAINERS = (list, dict, set, deque, OrderedDict)


def _refill(value: Any, content: Any) -> None:
    """Make a container hold what it held, if it does not; in its order, by identity."""
    pair = (list(each.items()) if isinstance(each, dict) else list(each) for each in (value, content))
    now, then = (list(map(id, sum(each, ()) if isinstance(value, dict) else each)) for each in pair)
    if now != then:
        value.clear()
        (value.extend if isinstance(value, list | deque) else value.update)(content)


def hooked(model: Any, parameters: list[Any], own: frozenset[int]) -> bool:
    """Whether gradients pass hooks of somebody else's, which measuring would call once more.

    Args:
        model: its modules may have backward hooks.
        parameters: tensors that may have hooks.
        own: ids of the hooks that are ours.
    """
    on_tensors = any(
        id(hook) not in own for parameter in parameters for hook in (parameter._backward_hooks or {}).values()
    )
    return on_tensors or any(module._backward_hooks or module._backward_pre_hooks for module in model.modules())


def terminal() -> bool:
    """Whether somebody looks at the standard error."""
    return bool(getattr(sys.stderr, "isatty", lambda: False)())
