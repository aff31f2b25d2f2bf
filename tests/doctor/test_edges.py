"""Settings and data at the edge of what is allowed: momentum 1 and above, dampening 1, exact zeros, flat directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent import recursion
from descentlab.theory.full_batch import FullBatchTheory

ONE = dl.Problem([[1.0], [1.0]], [1.0, 3.0], bias=False)  # curvature 2, minimum 2, least cost 1
THREE = dl.Problem([[1.0, 1.0], [2.0, 0.0], [3.0, 5.0]], [1.0, 2.0, 4.0])  # it fits exactly


def diagnosed(problem: dl.Problem, **settings: Any) -> dl.Diagnosis:
    found = dl.diagnose(problem, **settings)
    assert isinstance(found, dl.Diagnosis)
    return found


def walked(problem: dl.Problem, epochs: int, lr: float, **settings: Any) -> Any:
    """(epochs + 1,) mean squared errors by torch's own recursion, with gradients that may be kept."""
    mu, tau = settings.get("momentum", 0.0), settings.get("dampening", 0.0)
    decay, clears = settings.get("weight_decay", 0.0), settings.get("zero_grad", True)
    rows = problem.rows()
    X = np.column_stack([rows.X, np.ones(problem.n)]) if problem.bias else rows.X
    p, m = problem.scaled_params(settings.get("start")), None
    kept = np.zeros_like(p)
    costs = [np.mean((X @ p - rows.y) ** 2)]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(epochs):
            gradient = 2 / problem.n * (X.T @ (X @ p - rows.y))
            kept = gradient if clears else kept + gradient
            d = kept + decay * p
            if mu:
                m = d if m is None else mu * m + (1 - tau) * d
                d = d + mu * m if settings.get("nesterov") else m
            p = p - lr * d
            costs.append(np.mean((X @ p - rows.y) ** 2))
    return np.nan_to_num(costs, nan=np.inf, posinf=np.inf)


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [24, 100, 101, 105, 110, 200])
@pytest.mark.parametrize("problem", [ONE, THREE], ids=["one", "three"])
def test_gradients_that_add_up_beside_momentum_diverge_wherever_the_cost_stands(
    problem: dl.Problem, epochs: int
) -> None:
    settings: dict[str, Any] = {"lr": 0.01, "momentum": 0.5, "zero_grad": False}
    assert walked(problem, 3000, **settings)[-1] > 1e20
    found = diagnosed(problem, epochs=epochs, **settings)
    assert found.verdict == "diverges"
    assert found.epochs_to_tolerance is None
    assert "whatever the cost in between" in " ".join(found.text("en").split())


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("dampening", [0.0, 0.4])
@pytest.mark.parametrize("decay", [0.1, 3.0])
def test_the_factor_of_gradients_that_add_up_is_what_a_loop_grows_by(
    momentum: float, dampening: float, decay: float
) -> None:
    settings: dict[str, Any] = {"momentum": momentum, "dampening": dampening, "weight_decay": decay, "zero_grad": False}
    factor = FullBatchTheory(ONE, dl.Descent(lr=0.05, **settings)).accumulated_gradient_factor
    excess = walked(ONE, 4000, 0.05, start=[7.0], **settings) - 1
    late, later = np.abs(excess[1900:2000]).max(), np.abs(excess[3900:4000]).max()
    if abs(factor - 1) > 1e-3 and late > 1e-9 and later > 1e-9 and np.isfinite(later):
        assert later / late == pytest.approx(factor**4000, rel=0.5)
    assert (factor > 1) == bool(later > 10 * np.abs(excess[:100]).max())


def test_a_constant_target_is_an_exact_fit() -> None:
    wide = dl.Problem([[-0.74, 0.25, 1.03], [0.16, -0.59, -1.34]], [-14.02] * 2)
    tall = dl.Problem([[1.1], [2.3], [4.7]], [0.1] * 3)
    for problem in (wide, tall):
        assert FullBatchTheory(problem, dl.Descent(lr=0.01)).fits_exactly
    found = diagnosed(tall, lr=0.05, epochs=1000)
    assert found.verdict.converges
    assert found.least_cost < 1e-30


@pytest.mark.slow
@pytest.mark.parametrize("lr", [0.001, 0.0485, 0.05, 0.2, 1e7])
@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_dampening_of_one_leaves_what_the_first_push_leaves(lr: float, momentum: float) -> None:
    found = diagnosed(ONE, lr=lr, momentum=momentum, dampening=1.0, epochs=400)
    costs = walked(ONE, 400, lr, momentum=momentum, dampening=1.0)
    assert found.cost == pytest.approx(costs[-1], rel=1e-9)
    left = 1 - 2 * lr / (1 - momentum)
    assert costs[-1] == pytest.approx(1 + 4 * left**2, rel=1e-6)
    assert found.verdict.converges == (4 * left**2 <= 0.01)
    assert found.verdict == "too slow" or found.verdict.converges
    assert "The cost is constant" not in " ".join(found.text("en").split())
    if found.verdict.converges:
        outside = np.flatnonzero(costs > 1.01)
        assert found.epochs_to_tolerance == outside[-1] + 1


def test_dampening_and_momentum_of_one_push_for_ever() -> None:
    found = diagnosed(ONE, lr=0.1, momentum=1.0, dampening=1.0, epochs=400)
    assert found.verdict == "diverges"
    assert found.cost == pytest.approx(1 + 4 * (1 - 2 * 0.1 * 400) ** 2)


@pytest.mark.parametrize(("momentum", "least"), [(0.99, 395), (0.999, 3953), (0.9, 37)])
def test_the_fastest_rate_with_ones_own_momentum_may_swing_a_little(momentum: float, least: int) -> None:
    rate = diagnosed(ONE, lr=0.01, momentum=momentum).rates["own_momentum"]
    assert rate.epochs is not None
    assert rate.epochs <= least
    costs = walked(ONE, 3 * least, rate.lr, momentum=momentum)
    assert np.flatnonzero(costs > 1.01)[-1] + 1 == rate.epochs


def test_a_gradient_of_exactly_zero_is_none() -> None:
    """x1 tells nothing of the target: its weight's gradient is 0 to the last bit, and stays so."""
    problem = dl.Problem([[10.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [0.0, 1.0, 2.0], bias=False)
    found = diagnosed(problem, lr=1.0)
    assert found.verdict.converges
    assert found.params == pytest.approx({"x1": 0.0, "x2": 1.5}, abs=1e-12)
    assert found.cost == pytest.approx(walked(problem, 100, 1.0)[-1])
    assert "above its bound nevertheless" in " ".join(found.text("en").split())
    grows = diagnosed(problem, lr=5.0)
    assert grows.verdict == "diverges"
    assert grows.findings[0].numbers["factor"] == pytest.approx(1 - 5 * 4 / 3)
    assert "`x2`" in grows.findings[0].text("en")


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [1.01, 1.2])
@pytest.mark.parametrize("part", [0.5, 1.05, 0.98])
def test_nesterov_above_one_has_a_window(momentum: float, part: float) -> None:
    window = recursion.nesterov_stable_interval(momentum)
    x = part * (window["low"] if part < 0.9 else window["high"])
    found = diagnosed(ONE, lr=x / 2, momentum=momentum, nesterov=True, epochs=2000)
    grows = bool(walked(ONE, 20000, x / 2, momentum=momentum, nesterov=True)[-1] > 1.01)
    assert (found.verdict == "diverges") == grows == (part != 0.98)
    assert found.lr_bound == pytest.approx(window["high"] / 2)
    assert not grows or "between" in found.findings[0].text("en")


def test_weight_decay_pulls_where_the_data_is_flat() -> None:
    problem = dl.Problem([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [1.0, 2.0, 4.0], bias=False)
    found = diagnosed(problem, lr=0.05, weight_decay=0.5, start=[5.0, -5.0])
    assert found.condition == pytest.approx((problem.spectrum().lambda_max + 0.5) / 0.5)
    assert "stays where it started" not in " ".join(found.text("en").split())
    assert "does not change the fit" not in " ".join(found.text("en").split())
    assert diagnosed(problem, lr=0.05, weight_decay=0.5).condition == pytest.approx(1.0)


def test_an_envelope_that_settles_is_followed() -> None:
    """Just below the bound of Nesterov's momentum, where |h| nears 1.2 r^t and never reaches 1.25 r^t again."""
    lr = 0.75 * (1 - 1e-8)
    found = diagnosed(ONE, lr=lr, momentum=0.5, nesterov=True, start=[100.0]).epochs_to_tolerance
    trace, determinant = 1.5 * (1 - 2 * lr), 0.5 * (1 - 2 * lr)
    r1, r2 = sorted(np.roots([1, -trace, determinant]), key=abs, reverse=True)
    settled = abs(1 + ((1 - 1.5 * 2 * lr) / r1 - 1) / (1 - r2 / r1))
    assert found == pytest.approx(np.log(0.1 / (98 * settled)) / np.log(abs(r1)), rel=1e-6)


@pytest.mark.parametrize("decay", [0.5, 2.53])
def test_the_cost_that_overflows_is_without_its_penalty(decay: float) -> None:
    problem = dl.Problem([[1.0, 2.0], [3.0, -1.0]], [1.0, 5.0], bias=False)
    lr = 1.7 * FullBatchTheory(problem, dl.Descent(lr=1, weight_decay=decay)).lr_bound
    found = diagnosed(problem, lr=lr, weight_decay=decay, epochs=500)
    costs = walked(problem, 500, lr, weight_decay=decay)
    assert found.overflow is not None
    assert found.overflow["float32"]["cost"] == np.flatnonzero(costs > np.finfo(np.float32).max)[0]


@pytest.mark.parametrize("epochs", [50, 1000, 100_000])
def test_the_word_does_not_hang_on_what_has_vanished(epochs: int) -> None:
    assert diagnosed(ONE, lr=0.75, momentum=0.1, dampening=0.9, epochs=epochs).verdict == "converges-oscillating"


@pytest.mark.parametrize("settings", [{"zero_grad": False}, {"momentum": 1.0}])
def test_remedies_that_change_two_things_say_so(settings: dict[str, Any]) -> None:
    text = diagnosed(THREE, lr=0.01, **settings).text("en")
    assert ("with zero_grad" if "zero_grad" in settings else "without momentum") in text
