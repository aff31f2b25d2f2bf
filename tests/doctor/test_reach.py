"""Runs that cannot come far enough: what is said of schedules and step sizes, against runs that are carried out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    InverseDecay,
    LinearLR,
    ScheduleBase,
    StepLR,
    parse_schedule,
)
from descentlab.doctor.finding import Finding
from descentlab.doctor.findings.reach import longest_way, never_arrives
from descentlab.theory.settling_time import ConvergenceCriterion
from tests.extras import needs


def problem(rng: np.random.Generator) -> dl.Problem:
    n, d = int(rng.integers(8, 40)), int(rng.integers(1, 4))
    X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-0.7, 0.7, size=d) + rng.normal()
    return dl.Problem(X, X @ rng.normal(size=d) + rng.normal() + rng.choice([0.0, 0.3]) * rng.normal(size=n))


def named(diagnosis: Any, name: str) -> Finding | None:
    return next((each for each in diagnosis.findings if each.name == name), None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "exponential"])
def test_what_never_arrives_never_does_and_the_slower_decay_arrives(kind: str) -> None:
    rng, said = np.random.default_rng(5), 0
    for _ in range(15):
        data = problem(rng)
        settings: dict[str, Any] = {"lr": data.spectrum().lr_bound() * rng.uniform(0.1, 0.95)}
        decay = float(rng.uniform(0.1, 0.9)), float(1 - 10 ** rng.uniform(-3, -0.5))
        schedule = StepLR(int(rng.integers(1, 60)), decay[0]) if kind == "step" else ExponentialLR(decay[1])
        epochs = int(rng.choice([20, 100, 1000]))
        found = dl.diagnose(data, schedule=schedule, epochs=epochs, **settings)
        finding = named(found, "short_schedule")
        if finding is None:
            continue
        said += 1
        if "total" in finding.numbers:
            assert dl.diagnose(data, schedule=schedule, epochs=10_000, **settings).verdict == "too slow"
        assert finding.advice is not None
        if "schedule" in finding.advice.values:
            slower = parse_schedule(str(finding.advice.values["schedule"]))
            assert dl.diagnose(data, schedule=slower, epochs=epochs, **settings).verdict.converges
    assert said > 3


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize(("error", "never"), [(1.9, False), (3.2, False), (3.4, True)])
def test_what_the_rates_to_come_may_still_take_off(error: float, never: bool, squared: bool) -> None:
    """Half of the error is left, and rates of 0.4 to come leave 0.6 of that: 0.3 of 3.4 is more than 1."""
    criterion = ConvergenceCriterion(np.array([1.0]), np.array([[error]]), squared)
    assert never_arrives(criterion, np.array([0.5]), 0.9) == never


@pytest.mark.parametrize(
    ("schedule", "is_said"),
    [
        (None, False),
        (InverseDecay(0.0), False),
        (StepLR(10**6, 0.5), False),
        (StepLR(3, 0.5), True),
        (InverseDecay(5.0), True),
    ],
)
def test_only_a_schedule_that_decays_too_soon_is_the_cause(schedule: ScheduleBase | None, is_said: bool) -> None:
    """At the constant rate, 320 epochs are needed."""
    data = dl.Problem([1, 2, 3, 4], [2, 4, 5, 8], bias=False)
    for epochs in (100, 400):  # with 100 the rate is too small by itself
        found = dl.diagnose(data, lr=0.001, epochs=epochs, schedule=schedule)
        finding = named(found, "short_schedule")
        never = finding is not None and "total" in finding.numbers
        assert (finding is not None) == (is_said and (epochs == 400 or never))
        assert never == (schedule == StepLR(3, 0.5))


@pytest.mark.parametrize(
    "schedule",
    [StepLR(7, 0.3), ExponentialLR(0.9), LinearLR(30, 0.5, 0.0), LinearLR(5), CosineAnnealingLR(9), InverseDecay(2)],
)
def test_the_sum_of_all_multipliers(schedule: ScheduleBase) -> None:
    total = float(np.sum(schedule(np.arange(10**5))))
    assert schedule.total == pytest.approx(total) if schedule.total < np.inf else total > 5


@needs("torch")
@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "Adamax", "NAdam", "RMSprop", "Adagrad"])
@pytest.mark.parametrize("epochs", [5, 200])
def test_how_far_steps_lead(optimizer: str, epochs: int) -> None:
    """One parameter with a million to go: its gradient hardly changes."""
    data = dl.Problem(np.ones(3), np.full(3, 1e6), bias=False)
    settings: dict[str, Any] = {"lr": 0.01, "epochs": epochs, "optimizer": optimizer}
    moved, way = float(dl.descend(data, **settings).params[0]), longest_way(dl.Descent(**settings))
    assert way is not None
    assert moved <= way * 1.01
    assert moved > (0.7 if optimizer in ("Adagrad", "NAdam") else 0.99) * way
    finding = named(dl.diagnose(data, **settings), "short_steps")
    assert finding is not None
    assert finding.numbers["way"] == pytest.approx(1e6)
    assert finding.numbers["needed"] == pytest.approx(epochs * (1e6 / way) ** (2 if optimizer == "Adagrad" else 1))


@needs("torch")
def test_steps_that_reach_are_not_blamed() -> None:
    data = dl.Problem([1.0, 2.0, 3.0, 5.0], [2.2, 3.8, 6.1, 9.7])
    assert named(dl.diagnose(data, lr=0.1, epochs=100, optimizer="Adam"), "short_steps") is None
    assert named(dl.diagnose(data, lr=0.1, epochs=3, optimizer="Adam"), "short_steps") is not None
