"""From which update on a descent is there for good: against descents that are simply walked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descentlab as dl
from descentlab.descent.recursion import MomentumSettings, stability_limit
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion

EPOCHS = 4000


def walked(theory: FullBatchTheory, lr: float, recursion: MomentumSettings, epochs: int = EPOCHS) -> int | None:
    """The same by torch's own recursion in the data's coordinates, one update after another."""
    quadratic, c = theory.problem.quadratic, 2 * theory.cost_scale / theory.problem.weight
    p = theory.problem.scaled_params(theory.descent.start)
    mu, tau, m, outside = recursion["momentum"], recursion["dampening"], None, -1
    for update in range(epochs + 1):
        if not theory.is_converged(p):
            outside = update
        g = c * quadratic.gradient(p) + theory.weight_decay * p
        m = g if m is None else mu * m + (1 - tau) * g
        p = p - lr * (g + mu * m if recursion["nesterov"] else m)
    return outside + 1 if outside < epochs - 100 else None


def problem(kind: str) -> dl.Problem:
    rng = np.random.default_rng(7)
    X = rng.normal(size=(30, 3)) * [1.0, 2.0, 0.6] + [0.0, 1.0, 2.0]
    exact = X @ [1.0, -2.0, 0.0] + 3
    if kind == "noisy":
        return dl.Problem(X, exact + rng.normal(size=30))
    if kind == "dependent":
        return dl.Problem(np.column_stack([X, X[:, 0] - X[:, 1]]), exact)
    if kind == "standardized":
        return dl.Problem(X, exact + rng.normal(size=30), standardize=True)
    return dl.Problem(X, exact)


RECURSIONS = [
    MomentumSettings(momentum=0.0, dampening=0.0, nesterov=False),
    MomentumSettings(momentum=0.5, dampening=0.0, nesterov=False),
    MomentumSettings(momentum=0.9, dampening=0.0, nesterov=False),
    MomentumSettings(momentum=0.9, dampening=0.5, nesterov=False),
    MomentumSettings(momentum=0.9, dampening=0.0, nesterov=True),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "recursion", "part"),
    [
        (kind, recursion, part)
        for i, kind in enumerate(["noisy", "exact", "dependent", "standardized"])
        for j, recursion in enumerate(RECURSIONS)
        for k, part in enumerate([0.2, 0.9, 0.99])
        if (i + j + k) % 2 == 0
    ],
    ids=str,
)
def test_it_is_what_walking_finds(kind: str, recursion: MomentumSettings, part: float) -> None:
    theory = FullBatchTheory(problem(kind), dl.Descent(lr=1.0, start=None))
    lr = part * stability_limit(**recursion) / theory.spectrum.lambda_max
    found, slow = (
        ConvergenceCriterion.from_theory(theory).epochs_to_tolerance(lr, recursion),
        walked(theory, lr, recursion),
    )
    assert found is not None
    if slow is None:
        assert found > EPOCHS - 100
    else:
        assert abs(found - slow) <= (1 if slow > 1000 else 0)  # rounding may move a crossing that takes long


def test_never_above_the_bound_and_at_once_at_the_minimum() -> None:
    noisy = problem("noisy")
    plain = RECURSIONS[0]
    theory = FullBatchTheory(noisy, dl.Descent(lr=1.0))
    bound = 2 / theory.spectrum.lambda_max
    assert ConvergenceCriterion.from_theory(theory).epochs_to_tolerance(1.001 * bound, plain) is None
    assert ConvergenceCriterion.from_theory(theory).epochs_to_tolerance(0.999 * bound, plain) is not None
    at_minimum = FullBatchTheory(noisy, dl.Descent(lr=1.0, start=noisy.solve().params))
    assert ConvergenceCriterion.from_theory(at_minimum).epochs_to_tolerance(0.5 * bound, plain) == 0


def test_a_tighter_tolerance_takes_longer() -> None:
    theory = FullBatchTheory(problem("noisy"), dl.Descent(lr=1.0))
    lr = 1 / theory.spectrum.lambda_max
    counts = [
        ConvergenceCriterion.from_theory(theory, within).epochs_to_tolerance(lr, RECURSIONS[0])
        for within in (0.5, 0.1, 0.01, 1e-6)
    ]
    assert all(count is not None for count in counts)
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert len(set(counts)) == len(counts)


@pytest.mark.slow
@given(
    curvature=st.lists(st.floats(1e-4, 1.9), min_size=1, max_size=4),
    parts=st.lists(st.floats(-50, 50), min_size=4, max_size=4),
    squared=st.booleans(),
)
@settings(max_examples=60)
def test_signs_that_cancel_are_not_taken_for_distance(
    curvature: list[float], parts: list[float], squared: bool
) -> None:
    """One condition on errors of any sign: the last update outside, looked for one by one."""
    row = np.array([parts[: len(curvature)]])
    aim = ConvergenceCriterion(np.array(curvature), np.abs(row) if squared else row, squared)
    found = aim.epochs_to_tolerance(1.0, RECURSIONS[0])
    h = (1 - np.array(curvature)) ** np.arange(200_000.0)[:, None]
    outside = np.flatnonzero(aim.is_violated(h))
    slow = int(outside[-1]) + 1 if outside.size else 0
    assert found is not None
    assert abs(found - slow) <= slow * 1e-12 + (slow > 0 and _grazes(aim, h, slow))


def _grazes(aim: ConvergenceCriterion, h: Any, update: int) -> bool:
    """Whether a condition is met to the last digits just there, so that rounding decides."""
    near = h[max(update - 2, 0) : update + 2]
    sums = (near * near) @ aim.contributions[0] if aim.squared else np.abs(near @ aim.contributions.T)
    return bool((np.abs(sums - 1) < 1e-9).any())


def test_intervals_that_are_certainly_inside_are_skipped_without_loss() -> None:
    """Two slow directions that all but cancel: nobody could look at billions of updates one by one."""
    curvature = np.array([1e-9, 1.05e-9, 0.5])
    aim = ConvergenceCriterion(curvature, np.array([[60.0, -59.5, 0.5]]), squared=False)
    found = aim.epochs_to_tolerance(1.0, RECURSIONS[0])
    assert found is not None

    def sums(t: int) -> float:
        return float(60 * np.exp(t * np.log1p(-1e-9)) - 59.5 * np.exp(t * np.log1p(-1.05e-9)))

    assert sums(found - 1000) > 1 > sums(found + 1000)
    bound = aim.epochs_upper_bound(aim.residual_polynomial(np.array([1.0]), RECURSIONS[0]))[0]
    assert 1e9 < found < 0.8 * bound


@pytest.mark.parametrize("part", [0.35, 0.75, 0.9])
def test_few_epochs_are_estimated_exactly(part: float) -> None:
    """Errors that alternate are looked at after even and odd numbers of updates."""
    recursion = MomentumSettings(momentum=0.2, dampening=0.0, nesterov=False)
    asked = problem("noisy")
    criterion = ConvergenceCriterion.from_theory(FullBatchTheory(asked, dl.Descent(lr=1.0)))
    lr = part * stability_limit(**recursion) / asked.spectrum().lambda_max
    estimate = criterion.approximate_epochs(criterion.residual_polynomial(np.array([lr]), recursion), 1e-9)
    assert estimate.tolist() == [criterion.epochs_to_tolerance(lr, recursion)]


@pytest.mark.parametrize("x", [0.9, 1.2, 1.5])
def test_an_interval_is_skipped_only_if_every_update_in_it_is_within(x: float) -> None:
    """With dampening an error may change sides once and come back: its extreme is inside the interval."""
    recursion = MomentumSettings(momentum=0.3, dampening=0.9, nesterov=False)
    settled = ConvergenceCriterion(np.array([x]), np.ones((1, 1)), squared=False)
    polynomial = settled.residual_polynomial(np.array([1.0]), recursion)
    h = np.abs(polynomial.evaluate(np.arange(40)[:, None])[:, 0])
    for first in range(1, 20):
        for last in range(first + 1, 40, 7):
            reach = h[first : last + 1].max() * 0.999
            criterion = ConvergenceCriterion(np.array([x]), np.full((1, 1), 1 / reach), squared=False)
            assert not criterion._interval_satisfies(polynomial, first, last)


@pytest.mark.parametrize("recursion", RECURSIONS, ids=str)
@pytest.mark.parametrize("squared", [False, True])
def test_many_rates_at_once_take_what_each_takes_alone(recursion: MomentumSettings, squared: bool) -> None:
    """Conditions that hold at different times, with and without a rate that never settles."""
    parts = np.array([[60.0, -2, 0.5], [1, 30, -4], [0.2, 0.1, 200]])
    criterion = ConvergenceCriterion(np.array([0.02, 0.3, 1.0]), parts[:1] if squared else parts, squared)
    rates = np.array([0.01, 0.2, 1.0, 1.3, 100.0, 1.0])
    together = criterion.epochs_upper_bound(criterion.residual_polynomial(rates, recursion))
    alone = [criterion.epochs_upper_bound(criterion.residual_polynomial(rates[i : i + 1], recursion)) for i in range(6)]
    np.testing.assert_allclose(together, np.ravel(alone), rtol=1e-9)
    assert np.isinf(together[4])
    for lr, bound in zip(rates[:4].tolist(), together[:4].tolist(), strict=True):
        exact = criterion.epochs_to_tolerance(lr, recursion)
        assert exact is not None
        assert exact <= np.ceil(bound) + 1e-9
        if not recursion["momentum"] and squared and lr <= 1:
            assert exact == np.ceil(bound)


@pytest.mark.parametrize("part", [0.9, 1.1])
def test_errors_that_swing_for_ever_settle_if_they_are_small_enough(part: float) -> None:
    """Momentum 1 keeps the size of an error: below curvature 4 / lr it swings between its bounds."""
    recursion = MomentumSettings(momentum=1.0, dampening=0.0, nesterov=False)
    swing = ConvergenceCriterion(np.array([0.37]), np.ones((1, 1)), squared=False)
    reach = float(swing.residual_polynomial(np.array([1.0]), recursion).asymptotic_amplitude[0, 0])
    h = np.abs(swing.residual_polynomial(np.array([1.0]), recursion).evaluate(np.arange(2000)[:, None]))
    assert h[1000:].max() == pytest.approx(reach, rel=1e-3)
    criterion = ConvergenceCriterion(np.array([0.37]), np.full((1, 1), part / reach), squared=False)
    assert (criterion.epochs_to_tolerance(1.0, recursion) is None) == (part > 1)


def test_without_conditions_everything_is_settled() -> None:
    nothing = ConvergenceCriterion(np.zeros(0), np.zeros((1, 0)), squared=True)
    assert nothing.epochs_upper_bound(nothing.residual_polynomial(np.ones(3), RECURSIONS[0])).tolist() == [0, 0, 0]
    inside = ConvergenceCriterion(np.array([0.5]), np.array([[1.0]]), squared=False)
    rates = inside.residual_polynomial(np.array([0.1, 5.0]), RECURSIONS[0])
    assert inside.epochs_upper_bound(rates).tolist() == [0, np.inf]
    assert inside.is_violated(np.array([[1.0], [1.001], [-1.001], [np.nan]])).tolist() == [False, True, True, True]


def test_where_the_cost_is_hidden_the_coefficients_are_the_criterion() -> None:
    theory = FullBatchTheory(problem("exact"), dl.Descent(lr=1.0))
    by_cost, by_coefficients = (ConvergenceCriterion.from_theory(theory), ConvergenceCriterion.for_coefficients(theory))
    assert not by_cost.squared
    np.testing.assert_array_equal(by_cost.contributions, by_coefficients.contributions)
    tenth = ConvergenceCriterion.for_coefficients(theory, 0.1)
    np.testing.assert_allclose(tenth.contributions, by_coefficients.contributions / 10)
    start = theory.spectrum.directions[:, : len(by_cost.curvature)] @ theory.initial_error[: len(by_cost.curvature)]
    errors = theory.coefficient_errors(theory.limit_point + start) / 0.01
    np.testing.assert_allclose(np.abs(by_coefficients.contributions.sum(axis=1)), errors, rtol=1e-9, atol=1e-9)
