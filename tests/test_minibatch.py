"""The compiled engine against its slow twin, the loop by hand: the same steps, whatever the settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descentlab as dl
from descentlab.conventions import CONVENTIONS
from descentlab.engines import engine_for, minibatch
from descentlab.theory import Theory


def rows(seed: int = 1, n: int = 50, d: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d) + rng.normal(size=d)
    return X, X @ rng.normal(size=d) + 0.5 + rng.normal(size=n)


def both(problem: dl.Problem, **asked: Any) -> tuple[dl.Run, dl.Run]:
    hand, fast = (dl.descend(problem, engine=name, **asked) for name in ("hand", "minibatch"))
    return hand, fast


def assert_twins(hand: dl.Run, fast: dl.Run, tolerance: float) -> None:
    """Every epoch agrees, relative to the size of that epoch's own numbers."""
    np.testing.assert_array_equal(fast.history.epoch, hand.history.epoch)
    for mine, its in ((fast.history.params, hand.history.params), (fast.params[None], hand.params[None])):
        size = np.abs(its).max(axis=1, keepdims=True) + 1e-300
        assert np.max(np.abs(mine - its) / size) < tolerance
    np.testing.assert_allclose(fast.history.cost, hand.history.cost, rtol=tolerance)
    scale = hand.history.gradient_norm.max()
    np.testing.assert_allclose(
        fast.history.gradient_norm, hand.history.gradient_norm, rtol=tolerance, atol=tolerance * scale
    )
    assert fast.ending.reason == hand.ending.reason
    assert fast.ending.epoch == hand.ending.epoch


steps = st.one_of(
    st.fixed_dictionaries({"momentum": st.sampled_from([0.0, 0.3, 0.9]), "dampening": st.sampled_from([0.0, 0.4])}),
    st.just({"momentum": 0.8, "nesterov": True}),
)
asked = st.fixed_dictionaries(
    {
        "batch_size": st.one_of(st.none(), st.integers(1, 60)),
        "reduction": st.sampled_from(sorted(CONVENTIONS)),
        "weight_decay": st.sampled_from([0.0, 0.05]),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 3),
        "schedule": st.sampled_from([None, "step:2:0.5"]),
        "start": st.sampled_from([None, 1.0]),
    }
)
shape = st.fixed_dictionaries(
    {
        "bias": st.booleans(),
        "ridge": st.sampled_from([0.0, 0.2]),
        "standardize": st.booleans(),
        "weights": st.sampled_from(["none", "some", "zeros"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    d=st.integers(1, 9), n=st.integers(2, 50), order=st.sampled_from("CF"), single=st.booleans(), asked=asked,
    steps=steps, shape=shape,
)  # fmt: skip
def test_steps_as_the_loop_by_hand(
    d: int, n: int, order: Any, single: bool, asked: dict[str, Any], steps: dict[str, Any], shape: dict[str, Any]
) -> None:
    X, y = rows(d, n, d)
    weights = {"none": None, "some": np.arange(n) % 3 + 0.5, "zeros": np.maximum(np.arange(n) % 4 - 1.0, 0)}
    problem = dl.Problem(
        np.asarray(X, order=order), y, **{**shape, "weights": weights[shape["weights"]] if n > 3 else None}
    )
    start = None if asked["start"] is None else np.full(len(problem.parameters), asked["start"])
    part = 0.02 if asked["batch_size"] else 0.5
    reduction = "sum" if "sum" in asked["reduction"] and not asked["batch_size"] else "mean"
    lr = part * (1 - steps["momentum"]) / problem.spectrum(reduction).largest / (n if reduction == "mean" else 1)
    every = {**asked, **steps, "start": start, "lr": lr, "epochs": 5, "dtype": "float32" if single else "float64"}
    assert_twins(*both(problem, **every), 2e-3 if single else 1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [1, 3, 1023, 1026, 5000])
def test_one_reading_of_the_rows_gives_the_gradient(n: int, order: Any) -> None:
    """Rows that fill chunks, groups of four and cache blocks, or do not."""
    for d in (1, 4, 6):
        X, y = rows(2, n, d)
        for weights in (None, np.linspace(0, 2, n) + 0.1):
            problem = dl.Problem(np.asarray(X, order=order), y, weights=weights)
            assert_twins(*both(problem, lr=0.01, epochs=3), 1e-11)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_number_of_threads_gives_the_same_bits(order: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(3, 9001, 7)
    problem = dl.Problem(np.asarray(X, order=order), y)
    monkeypatch.setattr(minibatch, "THREADED", 1)
    runs = []
    for threads in (1, 2, 3, 7, 64):
        monkeypatch.setattr(minibatch, "cores", lambda threads=threads: threads)
        runs.append(dl.descend(problem, engine="minibatch", lr=0.05, epochs=20, dtype=dtype))
    for run in runs[1:]:
        np.testing.assert_array_equal(run.history.params, runs[0].history.params)
        np.testing.assert_array_equal(run.history.cost, runs[0].history.cost)


@pytest.mark.parametrize("block", [1, 8, 50])
@pytest.mark.parametrize("batch_size", [1, 7, 16])
def test_blocks_hold_whole_batches(block: int, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = dl.Problem(*rows(4), weights=np.arange(50) % 3 + 0.5)
    expected = dl.descend(problem, engine="hand", lr=0.01, epochs=4, batch_size=batch_size)
    monkeypatch.setattr(minibatch, "BLOCK", block)
    assert_twins(expected, dl.descend(problem, engine="minibatch", lr=0.01, epochs=4, batch_size=batch_size), 1e-11)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_overflows_where_the_loop_by_hand_does(batch_size: int | None, dtype: str) -> None:
    """The last numbers within the range are kept, and so is the epoch."""
    problem = dl.Problem(*rows(5))
    lr = 3 * Theory(problem, dl.Descent(lr=1)).lr_bound
    hand, fast = both(problem, lr=lr, epochs=2000, batch_size=batch_size, dtype=dtype, growth_limit=np.inf)
    assert hand.ending.reason is fast.ending.reason is dl.Reason.OVERFLOWED
    assert hand.ending.epoch == fast.ending.epoch
    assert np.isfinite(fast.params).all()
    np.testing.assert_allclose(np.log(np.abs(fast.params)), np.log(np.abs(hand.params)), atol=3, rtol=1e-2)


def test_the_rows_of_the_caller_are_left_as_they_are() -> None:
    X, y = rows(6)
    X.setflags(write=False)
    before = X.copy()
    dl.descend(dl.Problem(X, y), engine="minibatch", lr=0.01, epochs=2, batch_size=4)
    dl.descend(dl.Problem(X, y), engine="minibatch", lr=0.01, epochs=2)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"zero_grad": False}, "clears the gradient"),
        ({"optimizer": "Adam"}, "not those of Adam"),
        ({"options": {"maximize": True}}, "options maximize"),
        ({"device": "cuda"}, "not on cuda"),
    ],
)
def test_refuses_with_a_reason(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(dl.EngineError, match=words):
        dl.descend(dl.Problem(*rows()), engine="minibatch", lr=0.1, **asked)


def test_says_that_the_rows_are_gone() -> None:
    problem = dl.Problem(dl.Problem(*rows()).factor, target="y")
    with pytest.raises(dl.EngineError, match="made from a factor"):
        dl.descend(problem, engine="minibatch", lr=0.1)


class TestAuto:
    """What ``auto`` takes where both can."""

    def chosen(self, **asked: Any) -> str:
        problem = dl.Problem(*rows(7, 2000))
        return engine_for("auto", problem, dl.Descent(lr=0.1, **asked)).name

    def test_a_short_descent_does_not_wait_for_a_compiler(self) -> None:
        assert self.chosen(batch_size=1, epochs=2) == "hand"
        assert self.chosen(dtype="float32", epochs=100) == "hand"

    def test_a_long_one_does(self) -> None:
        assert self.chosen(batch_size=1, epochs=1000) == "minibatch"
        assert self.chosen(dtype="float32", epochs=10**6) == "minibatch"

    def test_what_it_cannot_do_goes_on_to_hand(self) -> None:
        assert self.chosen(batch_size=1, epochs=1000, zero_grad=False) == "hand"
        assert self.chosen(epochs=10**9) == "exact"

    def test_without_numba_it_is_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("descentlab.engines.find_spec", lambda name: None)
        assert self.chosen(batch_size=1, epochs=1000) == "hand"


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "descentlab.engines.kernels", raising=False)
    monkeypatch.delattr("descentlab.engines.kernels", raising=False)
    with pytest.raises(dl.MissingDependencyError, match=r"pip install numba .*descentlab\[fast\]"):
        dl.descend(dl.Problem(*rows()), engine="minibatch", lr=0.1)
