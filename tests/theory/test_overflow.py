"""When numbers leave their range: against loops in extended range that are simply walked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.overflow import overflow_updates

rng = np.random.default_rng(3)
X = rng.normal(size=(20, 2)) * [1, 5] + [0, 3]
y = X @ [1.0, 2.0] + rng.normal(size=20)


def walked(lr: float, reduction: str, momentum: float, nesterov: bool, top: float) -> dict[str, int]:
    """The first update after which each quantity is beyond ``top``, in long doubles, whose range is far wider."""
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("this platform's long double has no wider range")
    wide: Any = np.longdouble
    Z, t = np.column_stack([X, np.ones(20)]).astype(wide), y.astype(wide)
    c = {"mean": 2 / wide(20), "half_mean": 1 / wide(20), "sum": wide(2), "half_sum": wide(1)}[reduction]
    p, m = np.zeros(3, dtype=wide), None
    found: dict[str, int] = {}
    for update in range(20_000):
        r = Z @ p - t
        g = c * (Z.T @ r)
        sizes = {"weights": np.abs(p).max(), "gradient": np.abs(g).max(), "cost": c / 2 * (r @ r)}
        for name, size in sizes.items():
            if size > top:
                found.setdefault(name, update)
        if len(found) == 3:
            return found
        m = g if m is None else wide(momentum) * m + g
        p = p - wide(lr) * (g + wide(momentum) * m if nesterov else m)
    raise AssertionError("it does not overflow")


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "half_mean", "sum", "half_sum"])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("ratio", [1.05, 1.5, 40.0])
def test_it_is_what_walking_finds(reduction: str, momentum: float, nesterov: bool, ratio: float) -> None:
    problem = dl.Problem(X, y)
    settings: dict[str, Any] = {"reduction": reduction, "momentum": momentum, "nesterov": nesterov}
    lr = ratio * FullBatchTheory(problem, dl.Descent(lr=1, **settings)).lr_bound
    found = overflow_updates(FullBatchTheory(problem, dl.Descent(lr=lr, **settings)))
    assert found["float32"] == walked(lr, reduction, momentum, nesterov, float(np.finfo(np.float32).max))
    double = walked(lr, reduction, momentum, nesterov, float(np.finfo(np.float64).max))
    # A loop in float64 loses its weights with the gradient, one update later.
    assert found["float64"] == double | {"weights": min(double["weights"], double["gradient"] + 1)}


def test_a_loop_in_float64_ends_just_then() -> None:
    problem = dl.Problem(X, y)
    lr = 3 * problem.spectrum().lr_bound()
    predicted = overflow_updates(FullBatchTheory(problem, dl.Descent(lr=lr)))["float64"]["weights"]
    Z, p, update = np.column_stack([X, np.ones(20)]), np.zeros(3), 0
    with np.errstate(over="ignore", invalid="ignore"):
        while np.isfinite(p).all() and update < 10_000:
            p = p - lr * (2 / 20 * (Z.T @ (Z @ p - y)))
            update += 1
    assert predicted is not None
    assert abs(update - predicted) <= 1


def test_what_is_stable_or_has_no_error_never_overflows() -> None:
    problem = dl.Problem(X, y)
    never = {kind: dict.fromkeys(("weights", "gradient", "cost")) for kind in ("float32", "float64")}
    bound = problem.spectrum().lr_bound()
    assert overflow_updates(FullBatchTheory(problem, dl.Descent(lr=0.99 * bound))) == never
    flat = dl.Problem([1, 2, 3], [0, 0, 0])
    assert overflow_updates(FullBatchTheory(flat, dl.Descent(lr=100))) == never


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.5, False), (0.9, False), (0.99, False), (0.9, True)])
@pytest.mark.parametrize("beyond", [1e-3, 1e-6, 1e-9])
def test_just_above_the_bound_it_takes_the_logarithm_of_the_range(
    momentum: float, nesterov: bool, beyond: float
) -> None:
    """Too many updates to walk: near there the error is ``c r^t`` with c from the closed form at one late update."""
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    settings: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov}
    lr = (1 + beyond) * FullBatchTheory(problem, dl.Descent(lr=1, **settings)).lr_bound
    theory = FullBatchTheory(problem, dl.Descent(lr=lr, **settings))
    found = overflow_updates(theory)["float32"]["weights"]
    log, late = float(theory.residual_polynomial.log_modulus[0]), 10_000
    c = abs(float(theory.residual_polynomial.evaluate(np.array([[late]]))[0, 0])) * np.exp(-late * log)
    expected = (np.log(float(np.finfo(np.float32).max)) - np.log(c)) / log
    assert found == pytest.approx(expected, rel=1e-6, abs=2)


@pytest.mark.parametrize("momentum", [1.0, 1.000001, 1.1])
@pytest.mark.parametrize("ratio", [0.1, 0.9, 1.1])
def test_momentum_of_one_stands_and_above_it_grows(momentum: float, ratio: float) -> None:
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    lr = ratio * 4 / (28 / 3)
    found = overflow_updates(FullBatchTheory(problem, dl.Descent(lr=lr, momentum=momentum)))["float32"]["weights"]
    if ratio < 1 and momentum == 1:
        assert found is None
        return
    assert found is not None
    growth = max(abs(root) for root in np.roots([1, -(1 + momentum - lr * 28 / 3), momentum]))
    assert found == pytest.approx(np.log(float(np.finfo(np.float32).max)) / np.log(growth), rel=0.1)


def test_a_direction_without_error_overflows_nothing() -> None:
    """The steep direction would overflow at once; the start has its error in the slow one only, which grows less."""
    problem = dl.Problem([[1, 0], [0, 10]], [1, 0], bias=False)
    slow = problem.spectrum().lambda_min
    for ratio in (1.5, 2.5):
        theory = FullBatchTheory(problem, dl.Descent(lr=ratio / slow))
        theory.__dict__["error"] = np.array([0.0, 1.0])  # exactly: rounding leaves some
        expected = np.ceil(np.log(float(np.finfo(np.float32).max)) / np.log(ratio - 1)) if ratio > 2 else None
        assert overflow_updates(theory)["float32"]["weights"] == expected


def test_a_start_beyond_the_range_overflows_at_once() -> None:
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    found = overflow_updates(FullBatchTheory(problem, dl.Descent(lr=1.0, start=[1e39])))
    assert found["float32"] == {"weights": 0, "gradient": 0, "cost": 0}
    assert found["float64"]["weights"] is not None
    assert found["float64"]["weights"] > 10
