"""One body, every engine: the same problems, against a plain PyTorch loop written as a user would."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS
from descentlab.engines import ENGINE_NAMES
from descentlab.engines.base import LIMITS, safe_norm
from descentlab.messages import load_catalog
from descentlab.theory.full_batch import FullBatchTheory
from tests.extras import AUTOGRAD, MINIBATCH, REPLAY, needs, optional

torch = optional("torch")

ENGINES = ("hand", MINIBATCH, AUTOGRAD, "exact", REPLAY)


def stable(settings: Any) -> str:
    """A name for a case that is the same in every process: no address of a function in it."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(settings))


def rows(seed: int = 1, n: int = 40, d: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * [1, 3, 0.2][:d] + [0, 2, 1][:d]
    return X, X @ np.array([1.0, -2.0, 3.0])[:d] + 0.5 + rng.normal(size=n)


def torch_loop(
    X: Any,
    y: Any,
    lr: float,
    epochs: int,
    reduction: str = "mean",
    *,
    bias: bool = True,
    weights: Any = None,
    ridge: float = 0.0,
    schedule: Any = None,
    zero_grad: bool = True,
    optimizer: str = "SGD",
    **settings: Any,
) -> tuple[Any, Any]:
    """Params (features, bias) and mean squared error before each update: autograd and torch.optim, by the book."""
    X, y = torch.tensor(X, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    w = torch.ones(len(y), dtype=torch.float64) if weights is None else torch.tensor(weights, dtype=torch.float64)
    W = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=bias)
    steps = getattr(torch.optim, optimizer)([W, b] if bias else [W], lr=lr, **settings)
    params, costs = [], []
    for epoch in range(epochs):
        if schedule is not None:
            steps.param_groups[0]["lr"] = lr * schedule(epoch)
        squares = w * (X @ W + b - y) ** 2
        mean = squares.sum() / w.sum()
        penalised = mean + ridge * (W**2).sum()
        scale = {"mean": 1.0, "half_mean": 0.5, "sum": w.sum(), "half_sum": w.sum() / 2}[reduction]
        params.append(np.concatenate([W.detach().numpy(), b.detach().numpy() if bias else []]))
        costs.append(mean.item())
        if zero_grad:
            steps.zero_grad()
        (penalised * scale).backward()
        steps.step()
    return np.array(params), np.array(costs)


def assert_same(run: dl.Run, expected: tuple[Any, Any], tolerance: float = 1e-10) -> None:
    """Every epoch agrees, relative to the size of that epoch's own numbers."""
    params, costs = (part[: len(run.history)] for part in expected)
    size = np.abs(params).max(axis=1, keepdims=True) + 1e-300
    assert np.max(np.abs(run.history.params - params) / size) < tolerance
    floor = 1e-24 * np.max(costs[:1])  # where the fit is exact, both costs are only rounding
    assert np.max(np.abs(run.history.cost - costs) / (costs + floor)) < tolerance


STEPS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "dampening": 0.3},
    {"weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
]


@cache
def reference(step: int, part: float, reduction: str, epochs: int) -> tuple[float, tuple[Any, Any]]:
    """A rate as a part of the bound, and the loop at that rate: the same for every engine."""
    X, y = rows()
    lr = part * FullBatchTheory(dl.Problem(X, y), dl.Descent(lr=1, reduction=reduction, **STEPS[step])).lr_bound
    return lr, torch_loop(X, y, lr, epochs, reduction, **STEPS[step])


# An equal lr * c is the same trajectory, so the reductions do not interact with the rest: one case of each is enough.
CASES = [
    *((step, 0.97, "mean", 1000 if step in (2, 5) else 300) for step in range(len(STEPS))),
    *((step, 0.3 if step % 2 else 1.002, "mean", 300) for step in range(len(STEPS))),
    *((5, 0.97, reduction, 300) for reduction in REDUCTIONS if reduction != "mean"),
]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("step", "part", "reduction", "epochs"), CASES)
def test_agrees_with_torch_over_many_epochs(engine: str, step: int, part: float, reduction: str, epochs: int) -> None:
    """Converging, overshooting and diverging."""
    lr, loop = reference(step, part, reduction, epochs)
    steps = {"lr": lr, "epochs": epochs, "reduction": reduction, "growth_limit": np.inf, **STEPS[step]}
    run = dl.descend(dl.Problem(*rows()), engine=engine, **steps)
    assert len(run.history) == epochs
    assert_same(run, loop)


KINDS: list[dict[str, Any]] = [
    {"bias": False},
    {"weights": True},
    {"ridge": 0.3},
    {"weights": True, "ridge": 0.3, "bias": False},
    {"schedule": lambda k: 0.99**k},
    {"schedule": lambda k: 1 / (1 + 0.1 * k), "momentum": 0.8},
    {"schedule": lambda k: 0.5 + 0.5 * (k % 2), "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"schedule": lambda k: 1 / (1 + 0.1 * k), "momentum": 0.6, "dampening": 0.4},
    {"zero_grad": False},
    {"zero_grad": False, "dampening": 0.5},
]


@cache
def kind_of_problem(kind: int, reduction: str) -> tuple[dl.Problem, dict[str, Any], tuple[Any, Any]]:
    """The problem, the settings of a run, and the loop with them: the same for every engine."""
    X, y = rows(2)
    case = dict(KINDS[kind])
    weights = np.arange(len(y)) % 3 + 0.5 if case.pop("weights", False) else None
    shape = {name: case.pop(name) for name in ("bias", "ridge") if name in case}
    problem = dl.Problem(X, y, weights=weights, **shape)
    lr = 0.4 / problem.spectrum(reduction).lambda_max
    loop = torch_loop(X, y, lr, 300, reduction, weights=weights, **shape, **case)
    return problem, {"lr": lr, "epochs": 300, "reduction": reduction, **case}, loop


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", range(len(KINDS)), ids=lambda kind: stable(KINDS[kind]))
def test_agrees_on_every_kind_of_problem(engine: str, kind: int) -> None:
    if engine == "minibatch" and "zero_grad" in KINDS[kind]:
        pytest.skip("it clears the gradient, and refuses to forget it")
    for reduction in ("mean", list(REDUCTIONS)[1 + kind % 3]):
        problem, steps, loop = kind_of_problem(kind, reduction)
        assert_same(dl.descend(problem, engine=engine, **steps), loop)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scaling", ["center", "standardize"])
def test_scaled_columns_descend_as_if_scaled_beforehand(engine: str, scaling: str) -> None:
    X, y = rows(3)
    scaled = X - X.mean(axis=0)
    if scaling == "standardize":
        scaled /= X.std(axis=0)
    before = dl.descend(dl.Problem(scaled, y), engine=engine, lr=0.1, epochs=50)
    inside = dl.descend(
        dl.Problem(X, y, center=True, standardize=scaling == "standardize"), engine=engine, lr=0.1, epochs=50
    )
    np.testing.assert_allclose(inside.history.cost, before.history.cost, rtol=1e-10)
    scale = X.std(axis=0) if scaling == "standardize" else np.ones(3)
    np.testing.assert_allclose(inside.params[:3] * scale, before.params[:3], rtol=1e-9)
    assert inside.params @ np.append(X.mean(axis=0), 1) == pytest.approx(before.params[3], rel=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_starts_where_it_is_told(engine: str) -> None:
    X, y = rows(4)
    start = [1.0, -1.0, 2.0, 5.0]
    for scaling in ("", "center", "standardize"):
        problem = dl.Problem(X, y, center=scaling == "center", standardize=scaling == "standardize")
        run = dl.descend(problem, engine=engine, lr=0.01, epochs=5, start=start)
        np.testing.assert_allclose(run.history.params[0], start, rtol=1e-12)
        assert run.history.cost[0] == pytest.approx(np.mean((X @ start[:3] + 5 - y) ** 2))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_underdetermined_problem_goes_to_the_nearest_minimum(engine: str) -> None:
    X, y = rows(5, n=3)
    X = np.hstack([X, X[:, :1]])
    problem = dl.Problem(X, y)
    lr = 1 / problem.spectrum().lambda_max
    run = dl.descend(problem, engine=engine, lr=lr, epochs=200, momentum=0.5)
    twin = torch_loop(X, y, lr, 200, momentum=0.5)
    assert_same(run, twin)


@needs("torch")
@pytest.mark.parametrize("batch_size", [1, 7, 16, 40, 100])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_mini_batches_agree_between_hand_and_autograd(batch_size: int, shuffle: bool, reduction: str) -> None:
    X, y = rows(6)
    problem = dl.Problem(X, y, weights=np.arange(40) % 4 + 1.0, ridge=0.01)
    settings: dict[str, Any] = {
        "lr": 0.02 / (1 if reduction == "mean" else batch_size),
        "epochs": 20,
        "batch_size": batch_size,
        "shuffle": shuffle,
        "seed": 3,
        "momentum": 0.5,
        "reduction": reduction,
    }
    hand = dl.descend(problem, engine="hand", **settings)
    autograd = dl.descend(problem, engine="autograd", **settings)
    np.testing.assert_allclose(hand.history.params, autograd.history.params, rtol=1e-10)
    np.testing.assert_allclose(hand.history.cost, autograd.history.cost, rtol=1e-10)


def test_the_last_short_batch_is_a_mean_over_the_rows_it_has() -> None:
    X, y = rows(7, n=10, d=1)
    run = dl.descend(dl.Problem(X, y, bias=False), engine="hand", lr=0.1, epochs=1, batch_size=4, shuffle=False)
    W = 0.0
    for start in (0, 4, 8):
        x, t = X[start : start + 4, 0], y[start : start + 4]
        W -= 0.1 * 2 * np.mean((x * W - t) * x)
    assert run.params[0] == pytest.approx(W, rel=1e-12)


def test_a_seed_repeats_the_order_and_another_changes_it() -> None:
    problem = dl.Problem(*rows(8))
    runs = [dl.descend(problem, lr=0.01, epochs=3, batch_size=4, seed=seed).params for seed in (5, 5, 6)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()


@pytest.mark.parametrize("engine", [AUTOGRAD, REPLAY])
@pytest.mark.parametrize("name", ["Adam", "adamw", "RMSprop", "Adagrad", "NAdam", "Rprop"])
def test_other_optimizers_by_name(name: str, engine: str) -> None:
    X, y = rows(9)
    run = dl.descend(dl.Problem(X, y), engine=engine, optimizer=name, lr=0.01, epochs=100)
    spelling = {"adam": "Adam", "adamw": "AdamW"}.get(name.lower(), name)
    assert_same(run, torch_loop(X, y, 0.01, 100, optimizer=spelling))


@pytest.mark.parametrize("engine", [AUTOGRAD, REPLAY])
def test_an_optimizer_takes_its_own_options(engine: str) -> None:
    X, y = rows(9)
    options: dict[str, Any] = {"betas": (0.5, 0.9), "amsgrad": True}
    run = dl.descend(dl.Problem(X, y), engine=engine, optimizer="Adam", options=options, lr=0.05, epochs=50)
    assert_same(run, torch_loop(X, y, 0.05, 50, optimizer="Adam", **options))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["hand", MINIBATCH, AUTOGRAD])
def test_float32_follows_float64_to_its_own_precision(engine: str) -> None:
    X, y = rows(10)
    problem = dl.Problem(X, y)
    single = dl.descend(problem, engine=engine, lr=0.02, epochs=200, dtype="float32")
    double = dl.descend(problem, engine=engine, lr=0.02, epochs=200)
    difference = np.abs(single.history.params - double.history.params).max()
    assert 1e-12 < difference < 1e-4  # near, and visibly not float64


@pytest.mark.parametrize(
    ("engine", "settings", "words"),
    [
        ("exact", {"batch_size": 2}, "mini-batches have no closed form"),
        ("exact", {"optimizer": "Adam"}, "only supports SGD, not Adam"),
        ("exact", {"options": {"maximize": True}}, "options maximize"),
        ("hand", {"options": {"maximize": True}}, "options maximize"),
        ("exact", {"dtype": "float32"}, "not in float32"),
        ("exact", {"device": "cuda"}, "not on cuda"),
        ("exact", {"zero_grad": False, "momentum": 0.5}, "zero_grad"),
        ("hand", {"optimizer": "Adam"}, "only supports SGD, not Adam"),
        ("hand", {"device": "cuda"}, "not on cuda"),
        pytest.param("autograd", {"device": "nowhere"}, "device nowhere is not available", marks=needs("torch")),
        ("autograd", {"optimizer": "LBFGS"}, "LBFGS needs the cost several times per step"),
        ("autograd", {"optimizer": "Muon"}, "Muon works on matrices"),
        ("autograd", {"optimizer": "sparseadam"}, "sparseadam needs sparse gradients"),
        ("replay", {"optimizer": "Muon"}, "Muon works on matrices"),
        ("replay", {"optimizer": "sparseadam"}, "sparseadam needs sparse gradients"),
        ("replay", {"batch_size": 39}, "cannot provide a batch of 39 of the 40 rows"),
        ("replay", {"dtype": "float32"}, "not in float32"),
        ("replay", {"device": "cuda"}, "not on cuda"),
    ],
)
def test_an_engine_refuses_by_name(engine: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(dl.EngineError, match=words) as caught:
        dl.descend(dl.Problem(*rows()), engine=engine, lr=0.1, **settings)
    assert f"`{engine}`" in str(caught.value)


@needs("numba")
def test_every_limit_has_a_rule_and_a_message() -> None:
    for name in ENGINE_NAMES:
        engine = getattr(import_module(f"descentlab.engines.{name}"), name.capitalize())
        assert set(engine.limits) <= set(LIMITS)
    assert {f"refuses.{name}" for name in LIMITS} <= set(load_catalog("en"))


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        ({}, "exact"),
        ({"batch_size": 2}, "hand"),
        pytest.param({"optimizer": "Adam"}, "autograd", marks=needs("torch")),
        ({"dtype": "float32"}, "hand"),
        pytest.param({"optimizer": "LBFGS"}, "replay", marks=needs("torch")),
    ],
)
def test_auto_takes_the_first_engine_that_can(settings: dict[str, Any], engine: str) -> None:
    assert dl.descend(dl.Problem(*rows()), lr=0.01, epochs=2, **settings).engine == engine


@needs("torch")
def test_rows_that_are_gone_leave_the_engines_that_need_none() -> None:
    problem = dl.Problem(*rows())
    compressed = dl.Problem(problem.factor, target="y")
    steps: list[tuple[str, dict[str, Any]]] = [
        ("exact", {}),
        ("replay", {"optimizer": "Adam"}),
        ("replay", {"momentum": 0.5, "zero_grad": False}),
    ]
    for engine, settings in steps:
        run = dl.descend(compressed, lr=0.01, epochs=5, **settings)
        assert run.engine == engine
        walked = dl.descend(problem, engine="autograd", lr=0.01, epochs=5, **settings)
        np.testing.assert_allclose(run.params, walked.params, rtol=1e-12)
    for engine in ("hand", "autograd"):
        with pytest.raises(dl.EngineError, match="created from a factor"):
            dl.descend(compressed, engine=engine, lr=0.01)


@needs("torch")
def test_unknown_names_suggest_the_right_ones() -> None:
    problem = dl.Problem(*rows())
    with pytest.raises(dl.SettingError, match="Did you mean `exact`"):
        dl.descend(problem, engine="exat", lr=0.1)
    with pytest.raises(dl.SettingError, match="Did you mean `Adam`"):
        dl.descend(problem, engine="autograd", optimizer="Adamm", lr=0.1)
    with pytest.raises(dl.SettingError, match=r"torch\.optim\.Adam does not accept these settings"):
        dl.descend(problem, engine="autograd", optimizer="Adam", lr=0.1, options={"beta": 1})


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["hand", AUTOGRAD, REPLAY])
def test_a_schedule_goes_on_beyond_the_rates_worked_out_at_once(engine: str) -> None:
    X, y = rows(11, n=8)
    problem = dl.Problem(X, y)
    settings: dict[str, Any] = {"lr": 0.02, "epochs": 2500, "schedule": lambda k: 1 / (1 + 0.01 * k)}
    stepped, exact = (dl.descend(problem, engine=name, **settings) for name in (engine, "exact"))
    np.testing.assert_allclose(stepped.history.params, exact.history.params, rtol=1e-9, atol=1e-12)


class TestExact:
    """What only the closed form can do."""

    def test_any_epoch_at_once(self) -> None:
        problem = dl.Problem(*rows())
        for steps in STEPS:
            far = dl.descend(problem, lr=0.001, epochs=777, every=111, **steps)
            all_of_them = dl.descend(problem, lr=0.001, epochs=777, **steps)
            assert far.history.epoch.tolist() == list(range(1, 778, 111))
            np.testing.assert_allclose(far.history.params, all_of_them.history.params[::111], rtol=1e-11)
            np.testing.assert_allclose(far.params, all_of_them.params, rtol=1e-11)

    def test_a_million_million_epochs(self) -> None:
        """The years of an uncentred column: the intercept moves by the closed form, epoch after epoch."""
        year = np.arange(2000.0, 2016)
        problem = dl.Problem(year, 0.7 * (year - 2000) + 68)
        lr = 0.9 / problem.spectrum().lambda_max
        epochs = 10**12
        run = dl.descend(problem, lr=lr, epochs=epochs)
        assert len(run.history) <= 100_000
        slow = problem.spectrum().lambda_min
        goal = problem.solve().params
        left = np.exp(epochs * np.log1p(-lr * slow))  # the slow direction alone is left, in closed form
        direction = problem.spectrum().directions[:, -1]
        expected = goal - direction * (direction @ goal) * left
        np.testing.assert_allclose(run.params, expected, rtol=1e-6)

    @pytest.mark.parametrize("steps", [{}, {"momentum": 0.9}, {"schedule": "cosine:300"}], ids=stable)
    def test_recording_less_changes_nothing(self, steps: dict[str, Any]) -> None:
        problem = dl.Problem(*rows())
        every = {k: dl.descend(problem, lr=0.02, epochs=300, every=k, **steps) for k in (1, 7, 50)}
        for k, run in every.items():
            np.testing.assert_allclose(run.params, every[1].params, rtol=1e-11)
            np.testing.assert_allclose(run.history.cost, every[1].history.cost[::k], rtol=1e-10)


@pytest.mark.parametrize(
    ("vector", "norm"), [([], 0.0), ([0.0, 0.0], 0.0), ([3e200, -4e200], 5e200), ([1.0, -np.inf], np.inf)]
)
def test_a_norm_does_not_leave_the_range_of_its_entries(vector: list[float], norm: float) -> None:
    assert safe_norm(np.array(vector)) == pytest.approx(norm)
