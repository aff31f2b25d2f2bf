"""Settings are checked when they are made, by name and with what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), float("inf"), "fast", None, True, [0.1, 0.2], 1j])
def test_a_rate_that_is_none(lr: Any) -> None:
    with pytest.raises(dl.SettingError, match="positive finite number") as caught:
        dl.Descent(lr=lr)
    assert repr(lr) in str(caught.value)


@pytest.mark.parametrize("epochs", [0, -1, 2.5, "ten", float("nan"), float("inf"), True, None])
def test_epochs_that_are_none(epochs: Any) -> None:
    with pytest.raises(dl.SettingError, match=r"epochs = .* must be a whole number of at least 1"):
        dl.Descent(lr=0.1, epochs=epochs)


@pytest.mark.parametrize("given", [10, 10.0, np.int32(10), np.float64(10)])
def test_whole_numbers_of_any_kind(given: Any) -> None:
    assert dl.Descent(lr=0.1, epochs=given).epochs == 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"momentum": -0.1}, "momentum = -0.1"),
        ({"momentum": float("nan")}, "momentum = nan"),
        ({"dampening": 1.5}, "dampening = 1.5"),
        ({"weight_decay": -1}, "weight_decay = -1"),
        ({"reduction": "average"}, "mean, half_mean, sum, half_sum"),
        ({"reduction": "avg"}, "reduction = 'avg'"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"every": 0}, "every = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"dtype": "int8"}, "float64, float32"),
        ({"tolerance": -1e-3}, "tolerance"),
        ({"growth_limit": 0.5}, "growth_limit"),
        ({"nesterov": True}, "Nesterov"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov"),
        ({"schedule": "stepp:3"}, "step:size:gamma"),
        ({"schedule": "step:0"}, "at least 1"),
        ({"schedule": "step:x"}, "not a schedule"),
        ({"schedule": "step"}, "not a schedule"),
        ({"schedule": "cosine:10:0.1:7"}, "not a schedule"),
        ({"schedule": 3}, "not a schedule"),
    ],
)
def test_every_other_setting(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(dl.SettingError) as caught:
        dl.Descent(lr=0.1, **settings)
    assert words in str(caught.value)


@pytest.mark.parametrize("start", [[1.0], [1, 2, 3], [float("nan"), 0], ["a", "b"], [[1, 2]], 5])
def test_a_start_that_does_not_fit(start: Any) -> None:
    with pytest.raises(dl.SettingError, match="start"):
        dl.descend(dl.Problem([1, 2, 3], [1, 2, 3]), lr=0.1, start=start)


def test_settings_are_frozen() -> None:
    descent = dl.Descent(lr=0.1)
    with pytest.raises(AttributeError):
        descent.lr = 0.2  # type: ignore[misc]


def test_the_lesson_s_rates_of_one_trajectory() -> None:
    """The same lr * c is the same trajectory: 0.01 on the sum of 3 rows is 0.03 on the mean."""
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    rates = {"sum": 0.01, "half_sum": 0.02, "mean": 0.03, "half_mean": 0.06}
    runs = [dl.descend(problem, lr=lr, reduction=reduction, epochs=10) for reduction, lr in rates.items()]
    for run in runs[1:]:
        np.testing.assert_allclose(run.history.params, runs[0].history.params, rtol=1e-13)
