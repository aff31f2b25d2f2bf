"""How much time a watch may take, on plain numbers."""

from __future__ import annotations

import pytest

from descentlab.watching import pace
from descentlab.watching.pace import DetailPace, LossTrend, TimeBudget


@pytest.fixture(autouse=True)
def _time_to_look() -> None:
    """The figures that a person meets, instead of those of the other tests here."""


def trend_of(*losses: float) -> LossTrend:
    trend = LossTrend()
    for loss in losses:
        trend.add(loss)
    return trend


FALLING = trend_of(*[1.0] * 4, *[0.5] * 30)


@pytest.mark.parametrize(
    ("losses", "rises", "falls"),
    [
        ([], False, True),
        ([3.0, 3.0], False, True),  # too early to tell
        ([3.0] * 8, False, False),
        ([3.0] * 8 + [1.0] * 30, False, True),
        ([3.0, 6.1], True, True),
        ([3.0] * 8 + [7.0] * 30, True, False),
        ([3.0, float("nan")], True, True),
        ([-3.0] * 8 + [-4.0] * 30, False, True),  # a loss below 0
        ([-3.0] * 8 + [1.0] * 30, True, False),
    ],
)
def test_a_trend_is_read_from_few_numbers(losses: list[float], rises: bool, falls: bool) -> None:
    trend = trend_of(*losses)
    assert (trend.is_rising, trend.is_falling) == (rises, falls)


@pytest.mark.parametrize(
    ("trend", "seconds", "allowed"),
    [
        (FALLING, 0.01, 0.0001 + 0.0003),
        (FALLING, 10.0, 0.1 + 0.003),
        (trend_of(*[1.0] * 10), 0.01, 0.0001 + 0.03),
        (trend_of(1.0, 9.0), 0.01, 0.003 + 0.1),
    ],
)
def test_what_may_be_spent_is_a_share_of_the_time(
    trend: LossTrend, seconds: float, allowed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(pace, "perf_counter", lambda: now[0])
    budget = TimeBudget(0.01, trend)
    now[0] = seconds
    assert budget.left == pytest.approx(allowed)
    budget.spent = allowed / 2
    assert budget.allows(0.49 * allowed)
    assert not budget.allows(0.51 * allowed)


def test_some_steps_are_always_looked_at_and_others_if_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pace, "perf_counter", lambda: now[0])
    patient, hurried = DetailPace(FALLING), DetailPace(FALLING)
    hurried.budget.spent = 1.0
    assert [step for step in range(70) if hurried.is_detailed(step)] == [0, 1, 2, 3, 4, 8, 16, 32, 64]
    assert [step for step in range(120) if patient.is_detailed(step)] == [*range(65), 68, 85, 102, 119]
