"""Expected costs against every sequence of batches there is, in fractions, and against runs."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.minibatch.second_moment_map import EpochOperator

X3, Y3 = [[1, 2], [-1, 1], [2, 0]], [3, 1, -1]


def enumerated(
    X: list[list[int]], y: list[int], epochs: int, batch_size: int, lr: Fraction, reduction: str = "mean", *,
    bias: bool = False, ridge: Fraction = Fraction(0), momentum: Fraction = Fraction(0),
    dampening: Fraction = Fraction(0), nesterov: bool = False, weight_decay: Fraction = Fraction(0),
) -> list[Fraction]:  # fmt: skip
    """The mean over all batches of every epoch of the cost before it: steps as torch defines them, in fractions."""
    rows = [([Fraction(v) for v in x] + [Fraction(1)] * bias, Fraction(t)) for x, t in zip(X, y, strict=True)]
    n, p = len(rows), len(rows[0][0])

    def cost(params: tuple[Fraction, ...]) -> Fraction:
        return sum((sum((a * b for a, b in zip(x, params, strict=True)), -t) ** 2 for x, t in rows), Fraction(0)) / n

    def step(state: Any, batch: tuple[int, ...]) -> Any:
        params, buffer = state
        per_weight, plain = (Fraction(part) for part in REDUCTIONS[reduction])
        c = per_weight / len(batch) + plain
        gradient = [c * len(batch) * ridge * w if j < p - bias else Fraction(0) for j, w in enumerate(params)]
        for i in batch:
            x, t = rows[i]
            r = sum((a * b for a, b in zip(x, params, strict=True)), -t)
            gradient = [g + c * r * a for g, a in zip(gradient, x, strict=True)]
        gradient = [g + weight_decay * w for g, w in zip(gradient, params, strict=True)]
        if momentum:
            keep = 1 - dampening
            buffer = (
                gradient if buffer is None else [momentum * m + keep * g for m, g in zip(buffer, gradient, strict=True)]
            )
            gradient = [g + momentum * m for g, m in zip(gradient, buffer, strict=True)] if nesterov else buffer
        return tuple(w - lr * g for w, g in zip(params, gradient, strict=True)), buffer

    states: list[Any] = [((Fraction(0),) * p, None)]
    costs = []
    sizes = [min(batch_size, n - start) for start in range(0, n, batch_size)]
    for epoch in range(epochs):
        costs.append(sum((cost(params) for params, _ in states), Fraction(0)) / len(states))
        for size in sizes if epoch + 1 < epochs else []:
            states = [step(state, batch) for state in states for batch in itertools.product(range(n), repeat=size)]
    return costs


F = Fraction
CASES: list[dict[str, Any]] = [
    {},
    {"momentum": F(1, 2)},
    {"momentum": F(1, 2), "dampening": F(1, 4)},
    {"momentum": F(1, 2), "nesterov": True},
    {"weight_decay": F(1, 5)},
    {"ridge": F(1, 3), "momentum": F(1, 2), "nesterov": True, "weight_decay": F(1, 5)},
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "half_sum"])
@pytest.mark.parametrize(("n", "batch_size", "epochs"), [(2, 1, 5), (3, 1, 3), (3, 2, 3), (3, 3, 3), (2, 5, 4)])
def test_is_the_mean_over_every_sequence_of_batches(
    n: int, batch_size: int, epochs: int, reduction: str, case: dict[str, Any]
) -> None:
    X, y = [row[:1] for row in X3[:n]], Y3[:n]
    expected = enumerated(X, y, epochs, batch_size, F(1, 20), reduction, **case)
    asked: dict[str, Any] = {name: float(value) if isinstance(value, F) else value for name, value in case.items()}
    problem = dl.Problem(X, y, bias=False, ridge=asked.pop("ridge", 0.0))
    found = dl.expected_cost(problem, lr=0.05, epochs=epochs, batch_size=batch_size, reduction=reduction, **asked)
    np.testing.assert_allclose(found.cost, [float(each) for each in expected], rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_so_it_is_with_several_parameters(case: dict[str, Any]) -> None:
    """Two features and a bias: three rows fit exactly, so that a fourth is there."""
    X, y = [*X3, [0, -1]], [*Y3, 2]
    expected = enumerated(X, y, 2, 2, F(1, 20), bias=True, **case)
    asked: dict[str, Any] = {name: float(value) if isinstance(value, F) else value for name, value in case.items()}
    ridge = asked.pop("ridge", 0.0)
    found = dl.expected_cost(dl.Problem(X, y, ridge=ridge), lr=0.05, epochs=2, batch_size=2, **asked)
    np.testing.assert_allclose(found.cost, [float(each) for each in expected], rtol=1e-12)


def rows(n: int = 30, d: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, d)) * [1.0, 2.0, 0.5][:d] + [3.0, 0.0, -1.0][:d]
    return X, X @ [1.0, -1.0, 2.0][:d] + 1 + rng.normal(size=n)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "steps"),
    [({}, {"momentum": 0.6}), ({"center": True}, {}), ({"standardize": True}, {"momentum": 0.6})],
    ids=str,
)
def test_is_what_runs_come_to_on_average(shape: dict[str, Any], steps: dict[str, Any]) -> None:
    problem = dl.Problem(*rows(), **shape)
    asked: dict[str, Any] = {"lr": 0.005, "batch_size": 4, "epochs": 12, "replacement": True, **steps}
    found = dl.expected_cost(problem, **asked)
    runs = np.array([dl.descend(problem, engine="hand", seed=seed, **asked).history.cost for seed in range(400)])
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(runs.mean(axis=0) - found.cost)[1:] < 4 * error[1:]).all()
    assert (error[1:] < 0.1 * found.cost[1:]).all()  # near enough to tell


@pytest.mark.parametrize("asked", [{}, {"momentum": 0.5}, {"batch_size": 7}, {"weight_decay": 0.1}], ids=str)
def test_the_floor_is_where_the_curve_goes(asked: dict[str, Any]) -> None:
    problem = dl.Problem(*rows(), center=True)
    found = dl.expected_cost(problem, **{"lr": 0.01, "batch_size": 3, "epochs": 3000, **asked})
    assert found.floor == pytest.approx(found.cost[-1], rel=1e-9)
    assert found.floor > found.least_cost
    np.testing.assert_allclose(found.excess_cost, found.cost - found.least_cost)


@pytest.mark.parametrize(
    "asked", [{}, {"momentum": 0.5}, {"momentum": 0.5, "dampening": 0.2}, {"weight_decay": 0.1}], ids=str
)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_floor_of_small_rates(asked: dict[str, Any], batch_size: int) -> None:
    """The approximation's own error shrinks with the rate."""
    problem = dl.Problem(*rows(), center=True, ridge=0.1)
    off = []
    for lr in (1e-3, 1e-4, 1e-5):
        found = dl.expected_cost(problem, lr=lr, batch_size=batch_size, epochs=1, **asked)
        off.append((found.floor - found.small_rate_floor) / (found.floor - found.least_cost))
    assert abs(off[2]) < 2e-3
    assert abs(off[2]) < abs(off[1]) / 5 < abs(off[0]) / 20


def test_the_floor_of_small_rates_is_a_trace_without_penalties() -> None:
    X, y = rows()
    problem = dl.Problem(X, y)
    W = problem.solve().params
    Z = np.column_stack([X, np.ones(len(y))])
    r = Z @ W - y
    found = dl.expected_cost(problem, lr=1e-4, batch_size=5, epochs=1)
    excess = 1e-4 * 2 * np.mean(r**2 * np.sum(Z * Z, axis=1)) / (2 * 5)
    assert found.small_rate_floor == pytest.approx(np.mean(r**2) + excess, rel=1e-10)


def test_the_bound_in_one_direction_is_the_formula() -> None:
    """``E (1 - lr 2 x^2)^2 < 1`` below ``mean x^2 / mean x^4`` for batches of one row."""
    x = np.array([1.0, 2.0, 4.0, -3.0])
    problem = dl.Problem(x, [1, 2, 3, 5], bias=False)
    s, q = np.mean(x**2), np.mean(x**4)
    for b in (1, 2, 4):
        found = dl.expected_cost(problem, lr=0.01, batch_size=b, epochs=1)
        assert found.lr_bound == pytest.approx(s / (q / b + s * s * (1 - 1 / b)), rel=1e-8)
        assert found.spectral_radius == pytest.approx(1 - 0.04 * s + 4e-4 * (q / b + s * s * (1 - 1 / b)), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "batch_size"),
    [({}, 1), ({}, 7), ({"momentum": 0.7}, 3), ({"momentum": 0.7, "nesterov": True}, 1)],
    ids=str,
)
def test_squares_are_bounded_below_the_bound_and_not_above(steps: dict[str, Any], batch_size: int) -> None:
    problem = dl.Problem(*rows(), center=True)
    asked: dict[str, Any] = {"batch_size": batch_size, **steps}
    bound = dl.expected_cost(problem, lr=0.01, epochs=1, **asked).lr_bound
    assert 0 < bound < FullBatchTheory(problem, dl.Descent(lr=1, **steps)).lr_bound
    below, above = (dl.expected_cost(problem, lr=part * bound, epochs=20_000, **asked) for part in (0.97, 1.03))
    assert below.spectral_radius < 1 < above.spectral_radius
    assert np.isfinite(below.floor)
    assert below.cost[-1] == pytest.approx(below.floor, rel=1e-3)
    assert above.floor == np.inf
    assert above.cost[-1] > 1e3 * above.cost[0]


def test_ever_larger_batches_come_to_full_batch_descent() -> None:
    """In the map itself, since no batch has more rows than there are: its noise is divided by the batch's size."""
    problem = dl.Problem(*rows(), center=True)
    found = dl.expected_cost(problem, lr=0.01, batch_size=30, epochs=20)
    own = EpochOperator(found._moments, problem, found.descent, 0.01)
    mean, _ = own.mean_step(30)
    Z = own.initial_moments(np.ones(4))
    noisy = own.update_matrix(30) @ Z
    z = mean @ np.append(np.ones(4), 1.0)
    silent = np.outer(z, z)[own.kept_entries]
    assert noisy[0] > silent[0]
    c = own.mean_gradient(30)[2]
    noise = (noisy - silent) * 30 / c**2 / 0.01**2
    one_row = found._moments.gradient_covariance(np.ones((5, 5)))
    np.testing.assert_allclose(noise[:4], one_row[0], rtol=1e-6)
    exact = dl.sweep(problem, [0.01], 19).cost[0]  # full batch: the mean step alone
    assert (found.cost[1:] > exact[1:]).all()


def test_an_exact_fit_has_no_floor_above_it() -> None:
    X, _ = rows()
    found = dl.expected_cost(dl.Problem(X, X @ [1.0, 2.0, 3.0] + 4, center=True), lr=0.01, batch_size=2, epochs=2000)
    assert found.floor == pytest.approx(0, abs=1e-20)
    assert found.cost[-1] < 1e-12 * found.cost[0]


def test_flat_directions_neither_move_nor_count() -> None:
    X, y = rows()
    twice = dl.expected_cost(dl.Problem(np.hstack([X, X[:, :1]]), y, center=True), lr=0.005, batch_size=2, epochs=30)
    # The doubled column is one of length sqrt 2.
    once = dl.expected_cost(dl.Problem(X * [np.sqrt(2), 1, 1], y, center=True), lr=0.005, batch_size=2, epochs=30)
    np.testing.assert_allclose(twice.cost, once.cost, rtol=1e-9)
    assert twice.floor == pytest.approx(once.floor, rel=1e-9)
    assert twice.lr_bound == pytest.approx(once.lr_bound, rel=1e-7)


class TestWords:
    """What is said, and what is refused."""

    def test_says_what_is_expected(self) -> None:
        found = dl.expected_cost(dl.Problem(*rows(), center=True), lr=0.01, batch_size=4, epochs=5, replacement=True)
        assert "Batches of 4 rows at lr 0.01: the expected cost before epoch 5 is" in found.messages[0].text("en")
        assert len(found.messages) == 1

    def test_says_when_it_grows(self) -> None:
        found = dl.expected_cost(dl.Problem(*rows(), center=True), lr=1, batch_size=4, epochs=5, replacement=True)
        assert "grows without limit" in found.messages[0].text("en")
        assert found.floor == np.inf

    def test_says_that_reshuffled_epochs_are_something_else(self) -> None:
        found = dl.expected_cost(dl.Problem(*rows(), center=True), lr=0.01, batch_size=4, epochs=5)
        assert "None of these numbers is exact here" in found.messages[-1].text("en")

    def test_many_parameters_leave_the_approximation(self) -> None:
        X = np.random.default_rng(0).normal(size=(60, 17))
        found = dl.expected_cost(dl.Problem(X, X @ np.arange(17.0) + X[:, 0] ** 2), lr=1e-3, batch_size=4, epochs=5)
        for name in ("cost", "excess_cost", "floor", "spectral_radius", "lr_bound"):
            with pytest.raises(
                dl.SettingError, match=r"Exact second moments .* at most 16 directions, but the cost curves in 18"
            ):
                getattr(found, name)
        assert found.least_cost < found.small_rate_floor < 2 * found.least_cost
        assert "about" in str(found)

    @pytest.mark.parametrize(
        "asked",
        [
            {"batch_size": None}, {"shuffle": False}, {"schedule": "step:3:0.1"}, {"optimizer": "Adam"},
            {"zero_grad": False}, {"options": {"maximize": True}}, {"average": 2},
        ],
        ids=str,
    )  # fmt: skip
    def test_refuses_by_name(self, asked: dict[str, Any]) -> None:
        with pytest.raises(dl.SettingError, match=f"but not with `{next(iter(asked))}` as set"):
            dl.expected_cost(dl.Problem(*rows()), **{"lr": 0.01, "batch_size": 4, **asked})

    def test_refuses_weights_and_rows_that_are_gone(self) -> None:
        X, y = rows()
        with pytest.raises(dl.SettingError, match="but these have weights"):
            dl.expected_cost(dl.Problem(X, y, weights=np.arange(30.0)), lr=0.01, batch_size=4)
        with pytest.raises(dl.DataError, match="factor"):
            dl.expected_cost(dl.Problem(dl.Problem(X, y).factor, target="y"), lr=0.01, batch_size=4)


def test_the_old_name_warns_once() -> None:
    name = "expect"
    vars(dl).pop(name, None)
    with pytest.warns(DeprecationWarning, match="expected_cost"):
        assert getattr(dl, name) is dl.expected_cost
    assert getattr(dl, name) is dl.expected_cost  # a second warning would be an error
