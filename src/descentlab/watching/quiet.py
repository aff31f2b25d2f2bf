"""Leaving no trace: whatever is measured, buffers and every random generator are afterwards as they were before."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
