"""The cost surface: each of its numbers is one that a run has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.messages import display_width
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.sweep import _evaluate_by_matrix_products, _evaluate_directly

rng = np.random.default_rng(5)
X = rng.normal(size=(60, 4)) * [1, 2, 0.5, 3] + [1, 0, 2, 0]
y = X @ [1.0, -1.0, 2.0, 0.5] + rng.normal(size=60)

SETTINGS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.4},
    {"momentum": 0.9, "nesterov": True},
    {"zero_grad": False},
    {"reduction": "sum"},
    {"weight_decay": 0.1},
    {"start": [1.0, 1.0, 1.0, 1.0, 5.0]},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("every", [1, 7])
def test_it_holds_the_costs_of_runs(settings: dict[str, Any], every: int) -> None:
    problem = dl.Problem(X, y)
    bound = FullBatchTheory(problem, dl.Descent(lr=1, **settings)).lr_bound
    rates = bound * np.array([0.01, 0.3, 0.7, 0.99, 1.05])
    found = dl.sweep(problem, rates, epochs=300, every=every, **settings)
    assert found.cost.shape == (5, len(found.updates))
    for lr, cost in zip(rates, found.cost, strict=True):
        run = dl.descend(problem, lr=lr, epochs=301, engine="hand", growth_limit=np.inf, **settings)
        np.testing.assert_allclose(cost, run.history.cost[found.updates], rtol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS[:5], ids=str)
def test_the_fast_way_is_the_plain_way(settings: dict[str, Any]) -> None:
    problem = dl.Problem(X, y, standardize=True)
    theory = FullBatchTheory(problem, dl.Descent(lr=1, **settings))
    rates, updates = theory.lr_bound * np.linspace(0.05, 1.2, 17), np.arange(0, 2001)
    fast, slow = _evaluate_by_matrix_products(theory, rates, updates), _evaluate_directly(theory, rates, updates)
    assert (np.isinf(fast) == np.isinf(slow)).mean() > 0.999
    finite = np.isfinite(fast) & np.isfinite(slow) & (slow < 1e280)
    np.testing.assert_allclose(fast[finite], slow[finite], rtol=1e-9)


def test_a_penalty_is_in_the_path_and_not_in_the_cost() -> None:
    problem = dl.Problem(X, y, ridge=0.3)
    found = dl.sweep(problem, [0.01, 0.05], epochs=50)
    for lr, cost in zip(found.lr, found.cost, strict=True):
        np.testing.assert_allclose(cost, dl.descend(problem, lr=lr, epochs=51, engine="hand").history.cost, rtol=1e-10)


@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.5, True), (0.9, False), (0.9, True), (0.99, True)]
)
def test_no_cost_is_negative_however_small(momentum: float, nesterov: bool) -> None:
    problem = dl.Problem([1.0, 2, 3], [1.0, 2, 3], bias=False)  # fitted exactly, so that costs go down to 0
    bound = problem.spectrum().lr_bound(momentum, nesterov=nesterov)
    rates = bound * np.linspace(0.01, 1, 300, endpoint=False)
    found = dl.sweep(problem, rates, epochs=6000, momentum=momentum, nesterov=nesterov)
    assert found.cost.min() >= 0


def test_it_names_the_best_rate_and_how_long_each_takes() -> None:
    problem = dl.Problem(X, y)
    bound = problem.spectrum().lr_bound()
    found = dl.sweep(problem, bound * np.array([0.1, 0.8, 1.5]), epochs=200)
    assert found.best == 1
    assert found.lr_bound == pytest.approx(bound)
    slow, fast, never = found.epochs_to_tolerance
    assert never is None
    assert slow is not None
    assert fast is not None
    assert fast < slow
    assert found.cost[1, min(fast, 200)] <= 1.01 * found.least_cost
    assert f"3 rates over 200 epochs. Stable, below the bound {bound:.3g}: 2." in str(found)


@pytest.mark.parametrize(
    ("lr", "settings", "message"),
    [
        ([], {}, "lr is empty"),
        ([0.1, -1.0], {}, "lr = -1.0 is out of range: it must be a positive finite number"),
        ([0.1, np.nan], {}, "lr = nan is out of range: it must be a positive finite number"),
        ([0.1], {"batch_size": 5}, "Leave out the schedule, batch_size"),
        ([0.1], {"optimizer": "Adam"}, "Leave out the schedule, batch_size"),
        ([0.1], {"epochs": 10**9}, "Give every="),
    ],
)
def test_what_cannot_be_swept_is_refused(lr: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(dl.SettingError, match=message):
        dl.sweep(dl.Problem(X, y), lr, **settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_its_table_has_the_costs_and_epochs_of_some_of_its_rates(settings: dict[str, Any]) -> None:
    problem = dl.Problem(X, y)
    bound = FullBatchTheory(problem, dl.Descent(lr=1, **settings)).lr_bound
    found = dl.sweep(problem, bound * np.linspace(0.001, 1.4, 40)[::-1], epochs=2000, every=7, **settings)
    _, _, rows = found.table
    shown = [float(lr) for lr, _, _ in rows]
    assert shown == sorted(shown)
    assert 12 <= len(rows) <= 13
    assert f"{found.lr[found.best]:.6g}" in [lr for lr, _, _ in rows]
    for lr, cost, epochs in rows:
        i = int(np.argmin(np.abs(found.lr - float(lr))))
        assert float(cost.replace("∞", "inf")) == pytest.approx(found.cost[i, -1], rel=1e-5)
        needed = found.epochs_to_tolerance[i]
        assert (
            (epochs == "not reached")
            if needed is None
            else (float(epochs.replace(",", "")) == pytest.approx(needed, rel=1e-2))
        )
    for lang in ("en", "ko"):
        assert max(map(display_width, found.text(lang).splitlines())) <= 80


def test_one_rate_one_epoch_and_nothing_that_curves() -> None:
    assert "1 rate over 1 epoch." in str(dl.sweep(dl.Problem(X, y), [0.01], epochs=1))
    flat = dl.sweep(dl.Problem(np.zeros((3, 1)), [1, 2, 4], bias=False), [0.1, 10.0])
    assert "Every rate is stable" in str(flat)
    lost = dl.sweep(dl.Problem(X, y), [1e200, 1e300], epochs=50)
    assert "every cost exceeds the range of float64" in str(lost)
    assert "∞" in str(lost)
    for found in (flat, lost):
        assert "inf" not in found.text("en") + found.text("ko")


def test_a_rate_at_its_bound_is_not_stable() -> None:
    found = dl.sweep(dl.Problem([1.0], [1.0], bias=False), [0.5, 1.0, 2.0], epochs=3)  # the error W - 1 times 1 - 2 lr
    assert found.lr_bound == 1.0
    assert "below the bound 1: 1." in str(next(found.messages))
