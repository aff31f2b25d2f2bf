"""A cost near its minimum, and coefficients that are not: what the ending says, and when every coefficient is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.run.coefficients import CoefficientError, furthest_coefficients
from descentlab.run.ending import Reason
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion

RANDOM = np.random.default_rng(8)
AREA_AND_BEDS = np.column_stack([RANDOM.uniform(900, 3000, 40), RANDOM.integers(1, 6, 40)])
# The noise is orthogonal to the columns, so that these are the coefficients of least squares.
COEFFICIENTS = {"area": 170.0, "beds": -2700.0, "bias": 14000.0}
COLUMNS = np.column_stack([AREA_AND_BEDS, np.ones(40)])
NOISE = 60_000 * RANDOM.normal(size=40)
NOISE -= COLUMNS @ np.linalg.lstsq(COLUMNS, NOISE, rcond=None)[0]
PRICE = COLUMNS @ [*COEFFICIENTS.values()] + NOISE
HOUSES = dl.Problem(AREA_AND_BEDS, PRICE, features=["area", "beds"], target="price")
HALF_BOUND = HOUSES.spectrum().lr_bound() / 2


@pytest.mark.parametrize(
    ("tolerance", "reason", "verdict"),
    [
        (None, Reason.OUT_OF_EPOCHS, "The cost is near its minimum after 2,000 epochs, but not every coefficient is"),
        (1e-4, Reason.CONVERGED, "The cost has converged, but not every coefficient: `bias` is "),
    ],
)
def test_a_cost_that_hides_its_coefficients_is_not_called_converged(
    tolerance: float | None, reason: Reason, verdict: str
) -> None:
    run = dl.descend(HOUSES, lr=HALF_BOUND, epochs=2000, tolerance=tolerance)
    assert run.cost < 1.01 * np.mean(NOISE**2)
    assert run.ending.reason is reason
    assert run.ending.coefficients_converged is False
    assert run.ending.furthest[0].name == "bias"
    for each in run.ending.furthest:
        assert each.value == run.params_by_name[each.name]
        assert each.at_minimum == pytest.approx(COEFFICIENTS[each.name])
        assert abs(each.value - each.at_minimum) > 0.01 * abs(each.at_minimum)
    assert str(run.ending).startswith(verdict)
    assert run.ending.to_dict()["furthest"] == [each._asdict() for each in run.ending.furthest]


def test_the_cure_that_the_ending_names_is_right() -> None:
    ending = dl.descend(HOUSES, lr=HALF_BOUND, epochs=2000).ending
    need, standardize = ending.messages[1:]
    lr, epochs = float(str(standardize.values["lr"])), int(standardize.values["epochs"].values["count"])  # type: ignore[attr-defined]
    cured = dl.descend(HOUSES.with_changes(standardize=True), lr=lr, epochs=epochs)
    assert cured.ending.coefficients_converged
    assert not dl.descend(HOUSES.with_changes(standardize=True), lr=lr, epochs=epochs - 1).ending.coefficients_converged
    count = int(str(need.values["needed"]).split()[0].replace(",", ""))
    assert dl.descend(HOUSES, lr=HALF_BOUND, epochs=count + 1, every=count).ending.coefficients_converged


@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.6}, {"weight_decay": 0.1}, {"momentum": 0.8, "nesterov": True}]
)
@pytest.mark.parametrize("seed", range(4))
def test_the_epochs_to_every_coefficient_are_those_of_a_plain_loop(seed: int, settings: dict[str, Any]) -> None:
    random = np.random.default_rng(seed)
    X = random.normal(size=(30, 2)) * [1.0, 3.0] + [1.0, -2.0]
    problem = dl.Problem(X, X @ [1.0, -2.0] + 0.5 + random.normal(size=30), standardize=seed % 2 == 1)
    descent = dl.Descent(lr=0.4 * problem.spectrum().lr_bound(), epochs=4000, **settings)
    theory = FullBatchTheory(problem, descent)
    goal = problem.scaling.to_original(theory.limit_point)
    params = np.vstack([(run := dl.descend(problem, descent, engine="hand")).history.params, run.params])
    far = np.flatnonzero((np.abs(params - goal) > 0.01 * np.abs(goal)).any(axis=1))
    criterion = ConvergenceCriterion.for_coefficients(theory)
    assert criterion.epochs_to_tolerance(descent.lr, descent.momentum_settings) == far[-1] + 1
    assert far[-1] + 1 < 4000


def test_a_coefficient_that_is_rounding_does_not_keep_a_run_from_converging() -> None:
    """The target is a multiple of float32 columns far from 0: the bias is 0, up to the rounding of 1e8."""
    random = np.random.default_rng(47)
    X = (1e8 * (1 + random.random(2)) + 1e5 * random.normal(size=(20, 2))).astype(np.float32)
    problem = dl.Problem(X, X.astype(float) @ [-1.2, -0.4], standardize=True)
    rounding = problem.fit.error_bounds[-1, 0]
    theory = FullBatchTheory(problem, dl.Descent(lr=0.3))
    off = theory.limit_point + problem.scaling.to_scaled(np.array([0.0, 0.0, rounding / 2])) * [0, 0, 1]
    assert theory.fits_exactly
    assert theory.are_coefficients_converged(off)
    assert dl.descend(problem, lr=0.3, epochs=100_000).ending.reason is Reason.CONVERGED


def test_values_are_told_apart_by_enough_digits() -> None:
    assert CoefficientError("x", 14_215.2, 0.284).message.text("en") == "`x` is 14,200 (at the minimum 0.284)"
    assert CoefficientError("x", 1.00001, 1.00002).message.text("en") == "`x` is 1.00001 (at the minimum 1.00002)"


def test_of_coefficients_as_far_off_the_one_that_moves_predictions_most_is_first() -> None:
    start = FullBatchTheory(HOUSES, dl.Descent(lr=1e-9))
    moved = np.abs([*COEFFICIENTS.values()]) * np.sqrt(np.mean(COLUMNS**2, axis=0))
    order = [HOUSES.parameters[j] for j in np.argsort(-moved)]
    assert [each.name for each in furthest_coefficients(start, np.zeros(3))] == order
