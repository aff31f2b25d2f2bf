"""Theory against descents that are simply carried out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.descent import Descent
from descentlab.descent.reductions import REDUCTIONS, gradient_scale
from descentlab.theory.full_batch import DEFAULT_WITHIN, DominantMode, FullBatchTheory

rng = np.random.default_rng(21)
X, y = rng.normal(size=(30, 2)) * [1, 2] + [0.5, 0], rng.normal(size=30) + 1
FLAT = np.column_stack([X, X[:, 0]])


def limit_of(problem: dl.Problem, descent: Descent, epochs: int = 20_000) -> Any:
    """Where plain updates end, in the descended coordinates."""
    c, p = gradient_scale(descent.reduction, problem.weight), problem.scaled_params(descent.start)
    rows = problem.scaled_rows()
    Z = np.column_stack([rows.X, np.ones(len(rows.y))])
    ridge = c * problem.weight * problem.ridge * np.append(np.ones(rows.X.shape[1]), 0)
    for _ in range(epochs):
        p = p - descent.lr * (c * Z.T @ (Z @ p - rows.y) + (ridge + descent.weight_decay) * p)
    return p


def slow_objective(problem: dl.Problem, descent: Descent, p: Any) -> float:
    """The function descended on, in units of the mean squared error."""
    scale = gradient_scale(descent.reduction, problem.weight) * problem.weight / 2
    return float(problem.quadratic.objective(p)) + descent.weight_decay / 2 / scale * float(p @ p)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [X, FLAT], ids=["whole", "flat"])
@pytest.mark.parametrize("settings", [{}, {"standardize": True}, {"ridge": 0.2}], ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("begin", [None, 2.0])
def test_destination_and_excess(
    columns: Any, settings: dict[str, Any], decay: float, reduction: str, begin: float | None
) -> None:
    problem = dl.Problem(columns, y, **settings)
    start = None if begin is None else [begin] * len(problem.parameters)
    bound = problem.spectrum(reduction).lr_bound(weight_decay=decay)
    descent = Descent(lr=bound / 2, reduction=reduction, weight_decay=decay, start=start)
    theory = FullBatchTheory(problem, descent)
    goal = limit_of(problem, descent, 3000)
    np.testing.assert_allclose(theory.limit_point, goal, atol=1e-9)
    assert theory.lr_bound == bound
    assert theory.least_cost == pytest.approx(float(problem.quadratic.cost(goal)), rel=1e-9)
    for _ in range(5):
        p = goal + rng.normal(size=len(goal))
        excess = slow_objective(problem, descent, p) - slow_objective(problem, descent, goal)
        assert theory.suboptimality(p) == pytest.approx(excess, rel=1e-7)
    assert 0 <= theory.suboptimality(goal) < 1e-15


def test_factors_are_what_an_epoch_multiplies_errors_by() -> None:
    problem = dl.Problem(X, y)
    for lr in (0.01, 0.3, 5.0):
        theory = FullBatchTheory(problem, Descent(lr=lr))
        V = theory.spectrum.directions
        p = rng.normal(size=3)
        after = p - lr * problem.gradient(p)
        before, now = V.T @ (p - theory.limit_point), V.T @ (after - theory.limit_point)
        np.testing.assert_allclose(now, theory.convergence_factors * before, rtol=1e-8)
        assert abs(theory.dominant_mode.factor) == np.abs(theory.convergence_factors).max()
        assert theory.dominant_mode.one_minus_factor == pytest.approx(1 - theory.dominant_mode.factor, rel=1e-6)
        assert theory.dominant_mode.column in problem.parameters
        assert theory.diverges == (lr > theory.lr_bound)


def test_flat_directions_do_not_move() -> None:
    theory = FullBatchTheory(dl.Problem(FLAT, y), Descent(lr=0.1))
    assert theory.convergence_factors[-1] == 1.0
    assert abs(theory.dominant_mode.factor) < 1.0
    nothing = FullBatchTheory(dl.Problem([0.0, 0.0], [1.0, 2.0], bias=False), Descent(lr=1.0))
    assert nothing.dominant_mode == (1.0, 0.0, "x", 0)
    assert not nothing.diverges
    np.testing.assert_array_equal(nothing.limit_point, [0.0])


def test_near_is_one_percent_of_the_cost() -> None:
    theory = FullBatchTheory(dl.Problem(X, y), Descent(lr=0.1))
    assert not theory.fits_exactly
    direction = theory.spectrum.directions[:, 0]
    reach = np.sqrt(DEFAULT_WITHIN * theory.least_cost / theory.suboptimality(theory.limit_point + direction))
    assert theory.is_converged(theory.limit_point + 0.999 * reach * direction)
    assert not theory.is_converged(theory.limit_point + 1.001 * reach * direction)


def test_near_an_exact_fit_is_one_percent_of_every_coefficient() -> None:
    theory = FullBatchTheory(dl.Problem(X, X @ [3.0, 0.02] + 0.0), Descent(lr=0.1))
    assert theory.fits_exactly
    goal = theory.limit_point
    assert theory.is_converged(goal * [1.009, 0.991, 1])
    assert not theory.is_converged(goal * [1, 1.02, 1])
    assert theory.is_converged(goal + np.array([0, 0, 0.029]))  # the bias is about 0: 1 % of the largest
    assert not theory.is_converged(goal + np.array([0, 0, 0.031]))


@pytest.mark.parametrize(("reduction", "curvature"), [("sum", 10), ("half_sum", 5), ("mean", 2), ("half_mean", 1)])
def test_the_bound_of_batches_is_that_of_their_rows(reduction: str, curvature: float) -> None:
    """Every row is a one, so every batch of five has the same curvature."""
    problem = dl.Problem(np.ones((50, 1)), np.arange(50.0), bias=False)
    theory = FullBatchTheory(problem, Descent(lr=0.1, reduction=reduction, batch_size=5))
    assert theory.lr_bound == pytest.approx(2 / curvature)


def test_beyond_all_numbers_is_infinitely_far() -> None:
    theory = FullBatchTheory(dl.Problem(FLAT, y), Descent(lr=0.1))
    for far in (1e200, np.inf, np.nan):
        assert theory.suboptimality(np.full(4, far)) == np.inf
        assert not theory.is_converged(np.full(4, far))


@pytest.mark.parametrize("lr", [0.1, 30.0])
def test_accumulated_gradients_are_multiplied_by_the_greatest_eigenvalue_of_their_update(lr: float) -> None:
    """The update of (error, sum of gradients, buffer) as a matrix, for curvatures that are all below 1."""
    theory = FullBatchTheory(
        dl.Problem(X / 10, y, bias=False), Descent(lr=lr, momentum=0.5, zero_grad=False, reduction="half_mean")
    )
    matrices = [[[1 - lr * a, -lr, -0.5 * lr], [a, 1, 0], [a, 1, 0.5]] for a in theory.spectrum.eigenvalues if a > 0]
    assert theory.spectrum.lambda_max < 1
    expected = np.abs(np.linalg.eigvals(np.array(matrices))).max()
    assert theory.accumulated_gradient_factor == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("start", "decides"), [(None, "curvature"), ([1.0, 0, 0, 0], "decay")])
def test_weight_decay_alone_shrinks_errors_in_flat_directions(start: list[float] | None, decides: str) -> None:
    """Of the first and third column, which are equal, the decay moves only the difference of the weights."""
    theory = FullBatchTheory(dl.Problem(FLAT, y), Descent(lr=0.1, weight_decay=0.3, start=start))
    expected = theory.spectrum.lambda_min + 0.3 if decides == "curvature" else 0.3
    assert theory.regularized_lambda_min == expected


def test_a_target_that_varies_in_its_last_place_only_is_fitted_exactly() -> None:
    target = 1e9 + np.spacing(1e9) * (np.arange(30) % 2)
    assert FullBatchTheory(dl.Problem(X, target), Descent(lr=0.1)).fits_exactly
    assert not FullBatchTheory(dl.Problem(X, 1e9 + 1e-4 * y), Descent(lr=0.1)).fits_exactly


def test_a_suboptimality_is_known_where_the_square_of_the_coefficients_overflows() -> None:
    rows, target = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0])
    plain, far = (
        FullBatchTheory(dl.Problem(rows * scale, target / scale, bias=False), Descent(lr=1.0)) for scale in (1.0, 1e-90)
    )
    for step in (0.999, 0.9999):
        at_plain, at_far = (theory.limit_point * step for theory in (plain, far))
        assert far.suboptimality(at_far) == pytest.approx(plain.suboptimality(at_plain) * 1e180, rel=1e-9)
        assert bool(far.is_converged(at_far)) == bool(plain.is_converged(at_plain)) is True


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("begin", [0.0, 1e4])
def test_the_limit_has_no_gradient_and_keeps_what_lies_in_flat_directions(
    decay: float, reduction: str, begin: float
) -> None:
    problem = dl.Problem(FLAT, y)
    theory = FullBatchTheory(
        problem, Descent(lr=0.001, reduction=reduction, weight_decay=decay, start=[begin, 0, 0, begin])
    )
    goal = theory.limit_point
    gradient = gradient_scale(reduction, problem.weight) * problem.quadratic.gradient(goal) + decay * goal
    np.testing.assert_allclose(gradient, 0, atol=1e-8)
    assert goal[0] - goal[2] == pytest.approx(0 if decay else begin, abs=1e-9)
    assert theory.least_objective == pytest.approx(slow_objective(problem, theory.descent, goal), rel=1e-12)


@pytest.mark.parametrize("lr", [0.05, 0.9])
def test_params_and_costs_are_those_of_plain_updates(lr: float) -> None:
    problem = dl.Problem(X, y)
    theory, p, updates = FullBatchTheory(problem, Descent(lr=lr, start=[1.0, 2.0, 3.0])), np.array([1.0, 2, 3]), []
    for _ in range(8):
        updates.append(p)
        p = p - lr * problem.gradient(p)
    np.testing.assert_allclose(theory.params_at(np.arange(8)), updates, rtol=1e-9)
    np.testing.assert_allclose(theory.cost_at(np.arange(8)), [problem.cost(each) for each in updates], rtol=1e-9)
    assert np.isinf(theory.cost_at(np.array([10**9]))[0]) == theory.diverges


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (0.5, "0.5"),
        (-1.8, "-1.8"),
        (1.0, "1"),
        (-1.0, "-1"),
        (1 - 2.0**-20, "1 - 9.5e-07"),
        (1 + 2.0**-20, "1 + 9.5e-07"),
        (-1 - 2.0**-20, "-(1 + 9.5e-07)"),
        (-1 + 2.0**-20, "-(1 - 9.5e-07)"),
        (1 - 2.0**-12, "0.999756"),
    ],
)
def test_a_factor_is_told_apart_from_one(factor: float, text: str) -> None:
    assert DominantMode(factor, 1 - factor, "x").factor_text == text


def crossed(size: float, **settings: Any) -> dl.Problem:
    """Columns orthogonal to each other and to the bias; the curvatures are 1, size^2 and 2."""
    columns = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) * [1, size]
    return dl.Problem(columns, columns @ [1.0, 1 / size] + 0.5, **settings)


@pytest.mark.parametrize(("size", "bound"), [(9.99, None), (10.01, 1.0)])
def test_standardizing_is_advised_from_a_hundredth_of_the_condition_on(size: float, bound: float | None) -> None:
    theory = FullBatchTheory(crossed(size), Descent(lr=0.001))
    assert theory.condition == pytest.approx(size**2)
    assert theory.standardized_lr_bound == (bound if bound is None else pytest.approx(bound))
    decayed = FullBatchTheory(crossed(size), Descent(lr=0.001, weight_decay=2.0))
    assert decayed.condition == pytest.approx((size**2 + 2) / 3)
    assert FullBatchTheory(crossed(size, standardize=True), Descent(lr=0.1)).standardized_lr_bound is None
    assert FullBatchTheory(dl.Problem([0.0, 0.0], [1.0, 2.0], bias=False), Descent(lr=0.1)).condition == 1


def test_only_directions_with_an_error_decide() -> None:
    """The minimum is (1, 1 / 3, 0.5); of the curvatures 1, 9 and 2, a rate of 0.3 is too large for 9 only."""

    def theory(*start: float, **settings: Any) -> FullBatchTheory:
        return FullBatchTheory(crossed(3.0), Descent(lr=0.3, start=[*start], **settings))

    steep, gentle = theory(1, 0, 0.5), theory(0, 1 / 3, 0)
    for each, curvature, column in ((steep, 9, "x2"), (gentle, 1, "x1")):
        assert each.dominant_mode.factor == pytest.approx(1 - 0.3 * curvature)
        assert each.dominant_mode.column == column
    assert theory(1, 1 / 3, 0.5).dominant_mode.column == "x2"
    assert (steep.unstable, steep.diverges, gentle.unstable, gentle.diverges) == (True, True, True, False)
    assert not theory(1, 0, 0.5, schedule="step:1:0.5").unstable


def test_of_factors_that_are_equal_the_flattest_direction_is_named() -> None:
    theory = FullBatchTheory(crossed(3.0), Descent(lr=1e-18))
    assert (theory.convergence_factors == 1).all()
    assert theory.dominant_mode.column == "x1"
    assert theory.dominant_mode.one_minus_factor == pytest.approx(1e-18)


@pytest.mark.parametrize(
    ("settings", "is_exact", "knows_limit"),
    [
        ({"weight_decay": 0.1}, True, True),
        ({"optimizer": "adam"}, True, True),
        ({"optimizer": "adam", "weight_decay": 0.1}, True, False),
        ({"zero_grad": False}, True, True),
        ({"zero_grad": False, "weight_decay": 0.1}, False, False),
        ({"zero_grad": False, "momentum": 0.5}, False, False),
    ],
    ids=str,
)
def test_what_theory_covers(settings: dict[str, Any], is_exact: bool, knows_limit: bool) -> None:
    theory = FullBatchTheory(dl.Problem(X, y), Descent(lr=0.1, **settings))
    assert (theory.is_exact, theory.knows_limit) == (is_exact, knows_limit)
    assert (theory.accumulated_gradient_factor == 0) == is_exact
    assert theory.is_regularized == (settings.get("weight_decay", 0) > 0 and theory.descent.is_sgd)


def test_a_batch_has_at_most_all_rows() -> None:
    theory = FullBatchTheory(crossed(1.0), Descent(lr=0.1, reduction="sum", batch_size=5))
    assert theory.lr_bound == pytest.approx(2 / 8)


def test_without_a_coefficient_that_is_not_zero_the_start_is_the_scale() -> None:
    theory = FullBatchTheory(dl.Problem(X, 0 * y), Descent(lr=0.1, start=[-4.0, 1.0, 2.0]))
    np.testing.assert_array_equal(theory.parameter_scales, 4.0)
    assert theory.are_coefficients_converged(np.array([0.039, 0, 0]))
    assert not theory.are_coefficients_converged(np.array([0, -0.041, 0]))


@pytest.mark.parametrize(("offset", "name"), [((0.0, 1e9, 0.0), "x2"), ((1e9, 0.0, 0.0), "x1"), ((0.0, 0.0, 1e9), "y")])
def test_the_column_furthest_from_zero_is_rounded_most(offset: tuple[float, ...], name: str) -> None:
    columns = np.column_stack([X, y]) + offset
    theory = FullBatchTheory(dl.Problem(columns[:, :2], columns[:, 2], center=True), Descent(lr=0.1))
    assert theory.most_rounded_column == name


@pytest.mark.parametrize("settings", [{}, {"ridge": 0.3}])
def test_bounds_of_the_least_cost_are_in_its_unit(settings: dict[str, Any]) -> None:
    """A target 16 times as large has 256 times the cost, and 256 times what rounding may have moved of it."""
    plain, large = (FullBatchTheory(dl.Problem(X, y * s, **settings), Descent(lr=0.1)).least for s in (1, 16))
    assert large.value == pytest.approx(256 * plain.value, rel=1e-12)
    assert large.error == pytest.approx(256 * plain.error, rel=1e-6)
    assert large.shift == pytest.approx(16 * plain.shift, rel=1e-6)
    assert large.relative_shift == pytest.approx(plain.relative_shift, rel=1e-6)
