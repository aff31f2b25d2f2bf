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
