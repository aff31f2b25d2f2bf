"""The compiled engine against its slow twin, the loop by hand: the same steps, whatever the settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS
from descentlab.engines import batches, make_engine, minibatch
from descentlab.theory.full_batch import FullBatchTheory

pytestmark = pytest.mark.slow  # numba compiles first


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
        "batch_size": st.one_of(st.none(), st.just(1), st.integers(2, 60)),
        "reduction": st.sampled_from(sorted(REDUCTIONS)),
        "weight_decay": st.sampled_from([0.0, 0.05]),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 3),
        "schedule": st.sampled_from([None, "step:2:0.5"]),
        "start": st.sampled_from([None, 1.0]),
        "average": st.sampled_from([None, 0, 2, 4]),
        "replacement": st.booleans(),
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
    lr = part * (1 - steps["momentum"]) / problem.spectrum(reduction).lambda_max / (n if reduction == "mean" else 1)
    asked = {**asked, "replacement": asked["replacement"] and asked["shuffle"] and bool(asked["batch_size"])}
    every = {**asked, **steps, "start": start, "lr": lr, "epochs": 5, "dtype": "float32" if single else "float64"}
    assert_twins(*both(problem, **every), 2e-3 if single else 1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [1, 3, 1023, 1026, 5000])
def test_one_reading_of_the_rows_gives_the_gradient(n: int, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that fill chunks, groups of four and cache blocks, or do not."""
    monkeypatch.setattr(minibatch, "MIN_CHUNK_VALUES", 3000)
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
    monkeypatch.setattr(minibatch, "THREAD_FROM_VALUES", 1)
    monkeypatch.setattr(minibatch, "MIN_CHUNK_VALUES", 700)
    runs = []
    for threads in (1, 2, 3, 7, 64):
        monkeypatch.setattr(minibatch, "TASKS_PER_THREAD", 1)
        monkeypatch.setattr(minibatch, "available_cores", lambda threads=threads: threads)
        runs.append(dl.descend(problem, engine="minibatch", lr=0.05, epochs=20, dtype=dtype))
    for run in runs[1:]:
        np.testing.assert_array_equal(run.history.params, runs[0].history.params)
        np.testing.assert_array_equal(run.history.cost, runs[0].history.cost)


@pytest.mark.parametrize("block", [1, 8, 50])
@pytest.mark.parametrize("batch_size", [1, 7, 16])
def test_blocks_hold_whole_batches(block: int, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = dl.Problem(*rows(4), weights=np.arange(50) % 3 + 0.5)
    expected = dl.descend(problem, engine="hand", lr=0.01, epochs=4, batch_size=batch_size)
    monkeypatch.setattr(batches, "CACHED_BLOCK_ROWS", block)
    assert_twins(expected, dl.descend(problem, engine="minibatch", lr=0.01, epochs=4, batch_size=batch_size), 1e-11)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch_size", [None, 1, 7])
@pytest.mark.parametrize("times", [3, 1e9], ids=["between epochs", "within the first"])
def test_overflows_where_the_loop_by_hand_does(times: float, batch_size: int | None, dtype: str) -> None:
    """The last numbers within the range are kept, and so is the epoch."""
    problem = dl.Problem(*rows(5, 300))
    asked: dict[str, Any] = {
        "lr": times * FullBatchTheory(problem, dl.Descent(lr=1)).lr_bound,
        "epochs": 2000,
        "dtype": dtype,
    }
    hand, fast = both(problem, batch_size=batch_size, growth_limit=np.inf, **asked)
    assert hand.ending.reason is fast.ending.reason is dl.Reason.OVERFLOWED
    assert hand.ending.epoch == fast.ending.epoch
    assert (fast.params != 0).all()
    np.testing.assert_allclose(fast.params, hand.params, rtol=1e-9 if dtype == "float64" else 1e-2)


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
        ({"optimizer": "Adam"}, "only supports SGD, not Adam"),
        ({"options": {"maximize": True}}, "options maximize"),
        ({"device": "cuda"}, "not on cuda"),
    ],
)
def test_refuses_with_a_reason(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(dl.EngineError, match=words):
        dl.descend(dl.Problem(*rows()), engine="minibatch", lr=0.1, **asked)


def test_says_that_the_rows_are_gone() -> None:
    problem = dl.Problem(dl.Problem(*rows()).factor, target="y")
    with pytest.raises(dl.EngineError, match="created from a factor"):
        dl.descend(problem, engine="minibatch", lr=0.1)


class TestAuto:
    """What ``auto`` takes where both can."""

    def chosen(self, **asked: Any) -> str:
        problem = dl.Problem(*rows(7, 2000))
        return make_engine("auto", problem, dl.Descent(lr=0.1, **asked)).name

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


class TestAveraging:
    """The mean of the parameters after each step since, at the end of the run and nowhere else."""

    @pytest.mark.parametrize("engine", ["hand", "minibatch"])
    @pytest.mark.parametrize("batch_size", [1, 4, None])
    @pytest.mark.parametrize("average", [0, 1, 3])
    def test_is_the_mean_of_the_steps(self, engine: str, batch_size: int | None, average: int) -> None:
        """By steps written out: W and b after each batch of rows in their order."""
        X, y = rows(8, 10, 1)
        run = dl.descend(
            dl.Problem(X, y), engine=engine, lr=0.05, epochs=4, batch_size=batch_size, shuffle=False, average=average
        )
        W, b, seen = 0.0, 0.0, []
        for epoch in range(4):
            for start in range(0, 10, batch_size or 10):
                x, t = X[start : start + (batch_size or 10), 0], y[start : start + (batch_size or 10)]
                r = W * x + b - t
                W, b = W - 0.1 * np.mean(r * x), b - 0.1 * np.mean(r)
                if epoch >= average:
                    seen.append((W, b))
        np.testing.assert_allclose(run.params, np.mean(seen, axis=0), rtol=1e-12)
        assert run.cost == pytest.approx(dl.Problem(X, y).cost(run.params), rel=1e-10)

    @pytest.mark.parametrize("engine", ["hand", "minibatch"])
    def test_leaves_the_steps_as_they_are(self, engine: str) -> None:
        asked: dict[str, Any] = {"engine": engine, "lr": 0.05, "epochs": 6, "batch_size": 3, "momentum": 0.5}
        plain, averaged = (dl.descend(dl.Problem(*rows()), average=average, **asked) for average in (None, 2))
        np.testing.assert_array_equal(plain.history.params, averaged.history.params)
        assert (plain.params != averaged.params).all()

    def test_is_nearer_to_the_minimum_than_the_last_step(self) -> None:
        """What it is for: batches at a constant rate jitter about the minimum."""
        problem = dl.Problem(*rows(9, 400))
        asked: dict[str, Any] = {"engine": "hand", "lr": 0.02, "epochs": 30, "batch_size": 2}
        plain, averaged = (dl.descend(problem, average=average, **asked) for average in (None, 5))
        least = problem.solve().cost
        assert averaged.cost - least < (plain.cost - least) / 5

    @pytest.mark.parametrize("engine", ["exact", "autograd", "replay"])
    def test_other_engines_refuse(self, engine: str) -> None:
        with pytest.raises(dl.EngineError, match="does not average"):
            dl.descend(dl.Problem(*rows()), engine=engine, lr=0.05, average=2)

    def test_begins_before_the_end(self) -> None:
        with pytest.raises(dl.SettingError, match="average = 5 is too late: the run has 5 epochs"):
            dl.Descent(lr=0.1, epochs=5, average=5)

    def test_a_sweep_says_that_it_is_of_the_steps(self) -> None:
        with pytest.raises(dl.SettingError, match="average"):
            dl.sweep(dl.Problem(*rows()), [0.01], average=2)

    def test_the_doctor_speaks_of_the_steps(self) -> None:
        problem = dl.Problem(*rows())
        asked, plain = (dl.diagnose(problem, lr=0.05, epochs=5, average=average) for average in (2, None))
        assert isinstance(asked, dl.Diagnosis)
        assert isinstance(plain, dl.Diagnosis)
        assert asked.forecast.epochs_to_tolerance == plain.forecast.epochs_to_tolerance is not None


class TestReplacement:
    """Rows drawn anew for each batch."""

    @pytest.mark.parametrize("engine", ["hand", "minibatch", "autograd"])
    def test_takes_the_rows_that_the_seed_draws(self, engine: str) -> None:
        X, y = rows(10, 9, 1)
        run = dl.descend(
            dl.Problem(X, y, bias=False), engine=engine, lr=0.05, epochs=3, batch_size=4, seed=5, replacement=True
        )
        W, order = 0.0, np.random.default_rng(5)
        for _ in range(3):
            rows_drawn = order.integers(9, size=9)
            for start in (0, 4, 8):
                x, t = X[rows_drawn[start : start + 4], 0], y[rows_drawn[start : start + 4]]
                W -= 0.05 * 2 * np.mean((x * W - t) * x)
        assert run.params[0] == pytest.approx(W, rel=1e-12)

    def test_needs_batches_in_a_drawn_order(self) -> None:
        wrong: list[dict[str, Any]] = [{}, {"batch_size": 2, "shuffle": False}]
        for asked in wrong:
            with pytest.raises(dl.SettingError, match="Give a batch_size, and leave shuffle on"):
                dl.Descent(lr=0.1, replacement=True, **asked)

    def test_a_batch_of_as_many_rows_is_not_all_rows(self) -> None:
        problem = dl.Problem(*rows())
        assert (
            dl.diagnose(problem, lr=0.05, batch_size=50, replacement=True).verdict
            is dl.diagnose(problem, lr=0.05, batch_size=7).verdict
        )
        with pytest.raises(dl.EngineError, match="cannot provide a batch of 50"):
            dl.descend(problem, engine="replay", lr=0.05, batch_size=50, replacement=True)
