"""Optimizers replayed on the factor, against the same optimizers in a full-batch loop on the rows."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from descentlab.engines import make_engine
from descentlab.engines.replay import Replay
from tests.engines.test_engines import assert_same, rows, stable

OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("Adam", {}),
    ("Adam", {"options": {"amsgrad": True, "betas": (0.8, 0.9)}, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("Adagrad", {}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "options": {"centered": True}}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("Adamax", {}),
    ("Adadelta", {}),
    ("Adafactor", {}),  # its step depends on a norm of each tensor: W and b have to stay two
    ("Rprop", {}),
    ("ASGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
]


def rate(problem: dl.Problem, optimizer: str, reduction: str) -> float:
    """A rate at which the run moves on; curvature binds it where steps, as RAdam's first, are the gradient's size."""
    return 0.3 / problem.spectrum(reduction).lambda_max if optimizer in ("SGD", "ASGD", "RAdam") else 0.02


def apart(run: dl.Run, other: dl.Run) -> Any:
    """(k,) how far apart two runs are at each epoch, in parameters and cost, relative to their own numbers."""
    size = np.abs(run.history.params).max(axis=1) + 1e-300
    params = np.abs(run.history.params - other.history.params).max(axis=1) / size
    return np.maximum(params, np.abs(run.history.cost - other.history.cost) / run.history.cost)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "settings", "reduction"),
    [*((*each, "mean") for each in OPTIMIZERS), *((*OPTIMIZERS[0], each) for each in REDUCTIONS if each != "mean")],
    ids=str,
)
def test_the_curve_is_that_of_a_loop_on_the_rows(optimizer: str, settings: dict[str, Any], reduction: str) -> None:
    """While it travels, every optimizer is foretold; what becomes of some at rest is told further down."""
    X, y = rows(1)
    for bias, standardize, ridge in ((True, False, 0.0), (True, True, 0.3), (False, False, 0.3), (False, True, 0.0)):
        problem = dl.Problem(X, y, bias=bias, standardize=standardize, ridge=ridge)
        steps = {"lr": rate(problem, optimizer, reduction), "epochs": 80, "reduction": reduction, **settings}
        walked = dl.descend(problem, engine="autograd", optimizer=optimizer, **steps)
        replayed = dl.descend(problem, engine="replay", optimizer=optimizer, **steps)
        assert len(replayed.history) == 80
        assert walked.history.cost[-1] < walked.history.cost[0]
        assert_same(replayed, (walked.history.params, walked.history.cost))
        np.testing.assert_allclose(replayed.history.gradient_norm, walked.history.gradient_norm, rtol=1e-9)
        np.testing.assert_allclose(replayed.params, walked.params, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "Adagrad", "RAdam", "Adamax", "Rprop"])
def test_steady_optimizers_are_foretold_as_long_as_one_likes(optimizer: str) -> None:
    """Rprop takes nothing but signs from the gradient: either every sign is the same, or nothing is."""
    problem = dl.Problem(*rows(2))
    walked, replayed = (
        dl.descend(problem, engine=engine, optimizer=optimizer, lr=0.1, epochs=600) for engine in ("autograd", "replay")
    )
    assert apart(walked, replayed).max() < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "reduction"), [("RMSprop", "sum"), ("NAdam", "mean"), ("Adafactor", "sum")])
def test_where_the_loop_itself_cannot_be_repeated_replay_follows_as_far_as_it_can(
    optimizer: str, reduction: str
) -> None:
    """These keep moving near the minimum, and multiply the last digit's rounding from epoch to epoch.

    The measure is a twin that is mathematically the same: the loop on the same rows in another order. Where the
    twin has left the loop, the loop's curve is rounding, and nobody's to foretell; before, replay is to foretell it.
    """
    X, y = rows(1)
    order = np.random.default_rng(0).permutation(len(y))
    steps: dict[str, Any] = {"optimizer": optimizer, "lr": 0.1, "epochs": 600, "reduction": reduction}
    problem = dl.Problem(X, y, standardize=True)
    walked = dl.descend(problem, engine="autograd", **steps)
    twin = dl.descend(dl.Problem(X[order], y[order], standardize=True), engine="autograd", **steps)
    replayed = dl.descend(problem, engine="replay", **steps)
    left = np.maximum.accumulate(apart(walked, twin))
    assert left[-1] > 1e-6  # the loop does not repeat itself
    together = left < 1e-13
    assert together.sum() > 50
    assert apart(walked, replayed)[together].max() < 1e-10


def lbfgs_loop(X: Any, y: Any, epochs: int, scale: float, bias: bool, ridge: float, **settings: Any) -> tuple[Any, Any]:
    """Params and mean squared error before each step of LBFGS, with the closure of torch's own manual."""
    X, y = torch.tensor(X), torch.tensor(y)
    W = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=bias)
    optimizer = torch.optim.LBFGS([W, b] if bias else [W], **settings)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = scale * (((X @ W + b - y) ** 2).mean() + ridge * (W**2).sum())
        loss.backward()
        return loss

    params, costs = [], []
    for _ in range(epochs):
        params.append(np.concatenate([W.detach().numpy(), b.detach().numpy() if bias else []]))
        costs.append(((X @ W + b - y) ** 2).mean().item())
        optimizer.step(closure)
    return np.array(params), np.array(costs)


@pytest.mark.slow
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("lr", "options"),
    [
        (1.0, {}),
        (0.1, {"max_iter": 3}),
        (0.5, {"history_size": 2, "max_iter": 1}),
        (1.0, {"line_search_fn": "strong_wolfe", "max_iter": 2}),
    ],
    ids=str,
)
def test_lbfgs_asks_as_often_as_it_likes(lr: float, options: dict[str, Any], reduction: str) -> None:
    X, y = rows(3)
    for bias, ridge, standardize in product((True, False), (0.0, 0.3), (True, False)):
        problem = dl.Problem(X, y, bias=bias, ridge=ridge, standardize=standardize)
        scale = gradient_scale(reduction, len(y)) * len(y) / 2
        run = dl.descend(problem, optimizer="LBFGS", lr=lr, options=options, reduction=reduction, epochs=12)
        assert run.engine == "replay"
        scaled = problem.scaled_rows().X
        params, costs = lbfgs_loop(scaled, y, 12, scale, bias, ridge, lr=lr, **options)
        # Differences of gradients steer it, and near the minimum these are differences of almost equal numbers.
        assert_same(run, (problem.scaling.to_original(params), costs), 1e-9)
        assert run.history.cost[-1] < 0.5 * run.history.cost[0]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop", "Adafactor"])
@pytest.mark.parametrize(
    "case",
    [
        {"zero_grad": False},
        {"zero_grad": False, "weight_decay": 0.1},
        {"schedule": lambda k: 1 / (1 + 0.1 * k)},
        {"schedule": "step:7:0.5", "zero_grad": False},
        {"start": [1.0, -1.0, 2.0, 5.0]},
        {"every": 7},
        {"batch_size": 40, "shuffle": False},
        {"batch_size": 1000, "shuffle": False, "every": 3},
    ],
    ids=stable,
)
def test_other_settings_act_as_on_the_rows(optimizer: str, case: dict[str, Any]) -> None:
    X, y = rows(4)
    problem = dl.Problem(X, y, weights=np.arange(40) % 3 + 0.5, center=True)
    steps = {"lr": rate(problem, optimizer, "mean") / 4, "epochs": 60, "optimizer": optimizer, **case}
    walked, replayed = (dl.descend(problem, engine=engine, **steps) for engine in ("autograd", "replay"))
    assert apart(walked, replayed).max() < 1e-10
    np.testing.assert_allclose(replayed.params, walked.params, rtol=1e-10)


def test_forgetting_zero_grad_in_lbfgs_adds_up_within_a_step_too() -> None:
    X, y = rows(5)
    W = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([W, b], lr=0.01, max_iter=4)

    def closure() -> Any:
        loss = ((torch.tensor(X) @ W + b - torch.tensor(y)) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(6):
        optimizer.step(closure)
    run = dl.descend(dl.Problem(X, y), optimizer="LBFGS", lr=0.01, options={"max_iter": 4}, zero_grad=False, epochs=6)
    np.testing.assert_allclose(run.params, torch.cat([W, b]).detach().numpy(), rtol=1e-10)


def test_cost_and_gradient_have_a_slow_twin() -> None:
    X, y = rows(6)
    problem = dl.Problem(X, y, weights=np.arange(40) % 3 + 0.5, ridge=0.3, standardize=True)
    for reduction in REDUCTIONS:
        engine, start = Replay(), np.array([1.0, -2.0, 0.5, 3.0])
        engine.initialize(problem, dl.Descent(lr=0.1, reduction=reduction, start=start))
        params, cost, norm = engine.snapshot()
        c = gradient_scale(reduction, problem.weight)
        np.testing.assert_allclose(params, problem.scaled_params(start), rtol=1e-15)
        np.testing.assert_allclose(engine.gradient, c * problem.quadratic.gradient(params), rtol=1e-13)
        np.testing.assert_allclose(engine.closure(), c * problem.weight / 2 * problem.quadratic.objective(params))
        assert cost == pytest.approx(problem.cost(start), rel=1e-13)
        assert norm == pytest.approx(np.linalg.norm(engine.gradient), rel=1e-14)


def test_a_merged_factor_stands_for_rows_that_nobody_holds() -> None:
    X, y = rows(7, n=90)
    parts = [dl.Problem(X[k : k + 30], y[k : k + 30]).factor for k in (0, 30, 60)]
    merged = dl.Problem(parts[0].merge(parts[1]).merge(parts[2]), target="y", standardize=True)
    assert not merged.has_rows
    whole = dl.Problem(X, y, standardize=True)
    for optimizer in ("Adam", "NAdam", "Rprop"):
        run = dl.descend(merged, optimizer=optimizer, lr=0.05, epochs=80)
        assert run.engine == "replay"
        assert apart(dl.descend(whole, engine="autograd", optimizer=optimizer, lr=0.05, epochs=80), run).max() < 1e-10


def test_looks_keep_what_they_saw() -> None:
    """The optimizer writes into the engine's own memory; what a look handed out is to stay."""
    problem = dl.Problem(*rows(8))
    engine = make_engine("replay", problem, dl.Descent(lr=0.1, optimizer="Adam"))
    engine.initialize(problem, dl.Descent(lr=0.1, optimizer="Adam"))
    (first,) = engine.snapshots_at([1])
    (second,) = engine.snapshots_at([2])
    assert (first.params == 0).all()
    assert (second.params != 0).all()


def test_the_callers_start_stays_the_callers() -> None:
    start = np.array([1.0, -1.0, 2.0])
    dl.descend(dl.Problem(*rows(8), bias=False), engine="replay", optimizer="Adam", lr=0.1, epochs=5, start=start)
    assert start.tolist() == [1.0, -1.0, 2.0]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "LBFGS"])
def test_what_leaves_the_range_is_an_ending(optimizer: str) -> None:
    problem = dl.Problem(*rows(9))
    run = dl.descend(problem, engine="replay", optimizer=optimizer, lr=1e306, epochs=50, growth_limit=np.inf)
    assert run.ending.reason == "overflowed"
    assert np.isfinite(run.params).all()


def test_what_the_factor_cannot_do_is_said_with_what_can() -> None:
    compressed = dl.Problem(dl.Problem(*rows()).factor, target="y")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"batch_size": 8}, "Leave out batch_size, or use engine autograd if the rows are still available"),
        ({"dtype": "float32"}, "Leave out dtype, or use engine autograd if"),
        ({"device": "cuda"}, "Leave out device, or use engine autograd if"),
    ]
    for settings, advice in cases:
        for engine in ("replay", "auto"):  # auto has nothing better, and says the last engine's reason
            with pytest.raises(dl.EngineError, match=advice):
                dl.descend(compressed, engine=engine, optimizer="Adam", lr=0.1, **settings)


def test_settings_that_torch_refuses_late_are_settings_still() -> None:
    problem = dl.Problem(*rows())
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("replay", "LBFGS", {"line_search_fn": "armijo"}),
        ("replay", "Adam", {"capturable": True}),
        ("autograd", "Adam", {"capturable": True}),
    ]
    for engine, optimizer, options in wrong:
        with pytest.raises(dl.SettingError, match=rf"torch\.optim\.{optimizer} does not accept these settings"):
            dl.descend(problem, engine=engine, optimizer=optimizer, options=options, lr=0.1)
    with pytest.raises(dl.SettingError, match=r"torch\.optim\.LBFGS does not accept these settings"):
        dl.descend(problem, optimizer="LBFGS", lr=0.1, momentum=0.9)
    with pytest.raises(dl.SettingError, match="Did you mean `LBFGS`"):
        dl.descend(problem, engine="replay", optimizer="LBFSG", lr=0.1)
