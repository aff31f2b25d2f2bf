"""Healthy loops: nothing is named, and nothing is changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from descentlab.watching.inspect.nonfinite import iter_tensors
from tests.watching.broken import BROKEN
from tests.watching.healthy import HEALTHY
from tests.watching.loops import F, Loop, rows, seeded, torch, watched

each_one = pytest.mark.parametrize("make", HEALTHY, ids=[make.__name__ for make in HEALTHY])


@pytest.mark.slow
@each_one
def test_nothing_is_named(make: Callable[[], Loop]) -> None:
    watch = watched(make)
    assert watch.names == (), str(watch)
    assert watch.findings[0].name == ("healthy" if watch.observation.forward_passes else "not_enough_seen")


@cache
def unwatched(make: Callable[[], Loop]) -> list[Any]:
    """What a run leaves behind without a watch."""
    return ended(make)


def ended(make: Callable[[], Loop], **settings: Any) -> list[Any]:
    """Everything a run leaves behind: losses, state, gradients, modes, random states, as numbers or bytes."""
    import descentlab as dl

    loop = seeded(make)
    random.seed(0)
    np.random.seed(0)
    if settings:
        with dl.watch(loop.model, loop.optimizer, **({"loss_fn": loop.loss_fn} | settings)) as watch:
            losses = loop.body()
        assert watch.recorder.internal_error is None
        str(watch)
    else:
        losses = loop.body()
    grads = {name: p.grad for name, p in loop.model.named_parameters()}
    return [
        np.array(losses).tobytes(), flat(loop.model.state_dict()), flat(grads), flat(loop.optimizer.state_dict()),
        loop.model.training, random.random(), np.random.random(), torch.rand(3).tolist(),
    ]  # fmt: skip


def flat(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to_dense().numpy().tobytes()
    if isinstance(value, dict):
        return {key: flat(each) for key, each in value.items()}
    return [flat(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.mark.slow
@each_one
def test_a_watched_run_is_the_same_to_the_last_bit(make: Callable[[], Loop]) -> None:
    assert ended(make, level="full", every=7) == unwatched(make)


class FirstCall(Exception):  # noqa: N818
    """What a model is first called with, and what comes out; the loop ends there."""


def catch(module: Any, args: Any, output: Any) -> None:
    raise FirstCall(*(next(iter_tensors(each)).detach().clone() for each in (*args[:1], output)))


def other_rows(make: Callable[[], Loop]) -> Any:
    """A probe for any of the healthy loops: what its model is called with at first, the other way round."""
    loop = seeded(make)
    loop.model.register_forward_hook(catch)
    try:
        loop.body()
    except FirstCall as call:
        return (call.args[0].flip(0), call.args[1]) if len(call.args) == 2 else rows()
    return rows()


@pytest.mark.slow
@each_one
def test_a_run_with_a_probe_is_the_same_to_the_last_bit(make: Callable[[], Loop]) -> None:
    settings = {} if seeded(make).loss_fn else {"loss_fn": F.mse_loss}
    assert ended(make, every=20, probe=other_rows(make), **settings) == unwatched(make)


@pytest.mark.parametrize("make", [make for _, make in BROKEN] + HEALTHY, ids=lambda make: make.__name__)
def test_nothing_stays_hooked(make: Callable[[], Loop]) -> None:
    import descentlab as dl

    loop = seeded(make)
    before = hooks_of(loop)

    def raising() -> None:
        with dl.watch(loop.model, loop.optimizer, loop.loss_fn):
            assert hooks_of(loop) != before
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        raising()
    assert hooks_of(loop) == before


def hooks_of(loop: Loop) -> list[Any]:
    modules = [loop.model, *([loop.loss_fn] if isinstance(loop.loss_fn, torch.nn.Module) else [])]
    return [
        torch.autograd.backward,
        [(dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks)) for m in modules],
        [dict(p._backward_hooks or {}) for p in loop.model.parameters()],
        [dict(loop.optimizer._optimizer_step_post_hooks), dict(loop.optimizer._optimizer_step_pre_hooks)],
    ]
