"""The rates to use: nothing nearby is faster, and each takes just the epochs that it says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import descentlab as dl
from descentlab.descent.recursion import MomentumSettings
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import (
    fastest_heavy_ball,
    fastest_rate,
    heavy_ball_settings,
    minimax_heavy_ball,
    minimax_rate,
    recommended_rates,
    shortest_repr,
)
from descentlab.theory.settling_time import ConvergenceCriterion


def case(seed: int, d: int = 3, spread: float = 1.0) -> tuple[ConvergenceCriterion, FullBatchTheory]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(25, d)) * np.logspace(0, spread, d) + rng.normal(size=d)
    problem = dl.Problem(X, X @ rng.normal(size=d) + rng.normal(size=25))
    theory = FullBatchTheory(problem, dl.Descent(lr=1.0))
    return ConvergenceCriterion.from_theory(theory), theory


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_no_rate_of_a_fine_grid_is_faster(seed: int, momentum: float) -> None:
    aim, theory = case(seed)
    recursion = heavy_ball_settings(momentum)
    best = fastest_rate(aim, theory.spectrum.lambda_max, recursion)
    assert best is not None
    assert best.epochs is not None
    bound = 2 * (1 + momentum) / theory.spectrum.lambda_max
    below = np.concatenate([np.linspace(0.001, 0.999, 600), np.geomspace(1e-8, 1e-3, 100)])
    counts = [aim.epochs_to_tolerance(float(lr), recursion) for lr in bound * (1 - below)]
    least = min(count for count in counts if count is not None)
    # With momentum errors swing, and the epochs jump from rate to rate.
    assert best.epochs <= least + max(1, least // (20 if momentum else 1000))
    assert aim.epochs_to_tolerance(best.lr, recursion) == best.epochs


@pytest.mark.parametrize("seed", range(8))
def test_the_pair_beats_polyaks_and_the_best_plain_rate(seed: int) -> None:
    aim, theory = case(seed, spread=2.0)
    largest, smallest = theory.spectrum.lambda_max, theory.spectrum.lambda_min
    pair, polyak, plain = (
        fastest_heavy_ball(aim, largest, minimax_heavy_ball(aim, largest, smallest)),
        minimax_heavy_ball(aim, largest, smallest),
        fastest_rate(aim, largest),
    )
    assert pair is not None
    assert pair.epochs is not None
    assert polyak.epochs is not None
    assert plain is not None
    assert plain.epochs is not None
    assert pair.epochs <= min(polyak.epochs, plain.epochs)
    assert aim.epochs_to_tolerance(pair.lr, heavy_ball_settings(pair.momentum)) == pair.epochs


def test_the_textbooks_are_the_textbooks() -> None:
    aim, theory = case(1)
    high, low = theory.spectrum.lambda_max, theory.spectrum.lambda_min
    kappa = high / low
    assert minimax_rate(aim, high, low).lr == pytest.approx(2 / (high + low))
    polyak = minimax_heavy_ball(aim, high, low)
    assert polyak.momentum == pytest.approx(((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** 2)
    assert polyak.lr == pytest.approx(4 / (math.sqrt(high) + math.sqrt(low)) ** 2)


def test_one_curvature_is_done_in_one_step() -> None:
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    theory = FullBatchTheory(problem, dl.Descent(lr=1, reduction="sum"))
    best = fastest_rate(ConvergenceCriterion.from_theory(theory), theory.spectrum.lambda_max)
    assert best is not None
    assert best.epochs == 1
    assert best.lr == pytest.approx(1 / 28)


def test_a_lucky_step_is_found() -> None:
    """One direction holds nearly all of the excess: the rate that ends it in one step is a needle in the grid."""
    rng = np.random.default_rng(0)
    x = np.arange(1, 1001.0)
    problem = dl.Problem(x, 3 * x + 200 * rng.standard_normal(1000))
    theory = FullBatchTheory(problem, dl.Descent(lr=1.0))
    best = fastest_rate(ConvergenceCriterion.from_theory(theory), theory.spectrum.lambda_max)
    assert best is not None
    assert best.epochs == 1


def test_one_epoch_less_is_found_among_few() -> None:
    """Directions cancel at rates that no bound on each of them leads to."""
    curvature, C = np.array([0.8, 0.32]), np.array([[-5.8, 3.1], [0.2, 5.1]])
    best = fastest_rate(ConvergenceCriterion(curvature, C, squared=False), 0.8)
    assert best is not None

    def violations(lr: float) -> list[int]:
        return [t for t in range(60) if np.abs(C @ (1 - lr * curvature) ** t).max() > 1]

    assert max(violations(best.lr)) + 1 == best.epochs == 2
    assert min(max(violations(lr)) + 1 for lr in np.linspace(0.01, 2.49, 249).tolist()) == 2


@given(value=st.floats(1e-300, 1e300))
def test_what_is_shown_is_the_very_float(value: float) -> None:
    assert float(shortest_repr(value)) == value


@pytest.mark.parametrize("seed", range(6))
def test_what_is_typed_in_is_short_and_takes_as_long_as_it_says(seed: int) -> None:
    aim, theory = case(seed, spread=2.5)
    largest, smallest = theory.spectrum.lambda_max, theory.spectrum.lambda_min
    found = [
        fastest_rate(aim, largest),
        minimax_rate(aim, largest, smallest),
        minimax_heavy_ball(aim, largest, smallest),
    ]
    for rate in [*found, fastest_heavy_ball(aim, largest, minimax_heavy_ball(aim, largest, smallest))]:
        assert rate is not None
        assert rate.lr < 2 * (1 + rate.momentum) / largest
        assert rate.epochs is not None
        typed = aim.epochs_to_tolerance(float(rate.lr_text), heavy_ball_settings(float(rate.momentum_text)))
        assert typed == pytest.approx(rate.epochs, rel=0.01, abs=1)
        assert len(rate.lr_text.split("e")[0].replace(".", "").lstrip("0")) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("power", range(1, 9))
def test_the_textbooks_momentum_is_typed_with_the_digits_that_keep_it_stable(power: int) -> None:
    """Polyak's pair stands at the edge of two double roots: a momentum a hair lower diverges where the condition is
    large."""
    rng = np.random.default_rng(power)
    X = rng.normal(size=(40, 2)) * [1.0, 10.0**power]
    problem = dl.Problem(X, X @ [1.0, 1.0] + rng.normal(size=40))
    theory = FullBatchTheory(problem, dl.Descent(lr=1.0))
    aim, largest, smallest = (
        ConvergenceCriterion.from_theory(theory),
        theory.spectrum.lambda_max,
        theory.spectrum.lambda_min,
    )
    high, low = math.sqrt(largest), math.sqrt(smallest)
    rate = minimax_heavy_ball(aim, largest, smallest)
    assert rate.epochs == aim.epochs_to_tolerance(
        4 / (high + low) ** 2, heavy_ball_settings(((high - low) / (high + low)) ** 2)
    )
    typed = aim.epochs_to_tolerance(float(rate.lr_text), heavy_ball_settings(float(rate.momentum_text)))
    assert typed == pytest.approx(rate.epochs, rel=0.01, abs=1)


@pytest.mark.parametrize(
    ("settings", "own"),
    [({}, False), ({"momentum": 0.5}, True), ({"momentum": 1.0}, False), ({"optimizer": "adam"}, False)],
)
def test_the_rates_by_name(settings: dict[str, Any], own: bool) -> None:
    aim, theory = case(2)
    theory = replace(theory, descent=dl.Descent(lr=0.1, **settings))
    rates = recommended_rates(theory, aim)
    assert {*rates} == {"textbook", "fastest", "heavy_ball", "fastest_pair", *(["own_momentum"] if own else [])}
    assert all(name == rate.name for name, rate in rates.items())
    assert not own or rates["own_momentum"].momentum == 0.5
    flat = FullBatchTheory(dl.Problem([0.0, 0.0], [1.0, 2.0], bias=False), dl.Descent(lr=0.1))
    assert recommended_rates(flat, ConvergenceCriterion.from_theory(flat)) == {}


def test_at_the_minimum_no_epoch_is_needed() -> None:
    problem = dl.Problem([1.0, 2, 3], [1.0, 2, 4])
    theory = FullBatchTheory(problem, dl.Descent(lr=0.1, start=problem.solve().params))
    largest, smallest = theory.spectrum.lambda_max, theory.spectrum.lambda_min
    aim = ConvergenceCriterion.from_theory(theory)
    best = fastest_rate(aim, largest)
    assert best is not None
    assert best.epochs == 0
    assert best.lr == pytest.approx(1 / largest)
    pair = fastest_heavy_ball(aim, largest, minimax_heavy_ball(aim, largest, smallest))
    assert (pair.name, pair.epochs) == ("fastest_pair", 0)
    assert fastest_rate(aim, largest, MomentumSettings(momentum=1.1, dampening=0.0, nesterov=False)) is None
