"""Schedules against the schedulers of torch, which step one epoch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.schedules import SCHEDULES, learning_rates, parse_schedule, schedule_syntax
from tests.extras import AUTOGRAD, optional

torch = optional("torch")

TWINS: list[tuple[str, Any]] = [
    ("step:3:0.5", lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
    ("step:1:0.9", lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.9)),
    ("step:4", lambda o: torch.optim.lr_scheduler.StepLR(o, 4)),
    ("exponential:0.9", lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
    ("cosine:20", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)),
    ("cosine:20:0.25", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20, eta_min=0.25 * 0.3)),
    ("linear:7", lambda o: torch.optim.lr_scheduler.LinearLR(o, total_iters=7)),
    ("linear:7:0.5:0.1", lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.5, 0.1, 7)),
    ("inverse:0.2", lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + 0.2 * k))),
]


@pytest.mark.parametrize(("text", "twin"), TWINS, ids=[text for text, _ in TWINS])
def test_same_rates_as_torch(text: str, twin: Any) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = twin(optimizer)
    expected = []
    for _ in range(45):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(learning_rates(0.3, parse_schedule(text), np.arange(45)), expected, rtol=1e-12)


def test_every_name_has_a_twin_and_a_form() -> None:
    assert {text.split(":")[0] for text, _ in TWINS} == set(SCHEDULES)
    assert [form.split(":")[0] for form in schedule_syntax()] == list(SCHEDULES)


def test_a_plain_function_of_one_number_will_do() -> None:
    given = learning_rates(2.0, lambda k: 1.0 if k < 2 else 0.5, np.arange(4))
    assert given.tolist() == [2.0, 2.0, 1.0, 1.0]


@pytest.mark.parametrize("engine", ["hand", AUTOGRAD, "exact"])
def test_a_schedule_is_asked_only_for_epochs_that_are_run(engine: str) -> None:
    asked: set[int] = set()
    table = np.linspace(1, 0, 30)

    def schedule(k: int) -> float:
        asked.add(int(k))
        return float(table[k])

    dl.descend(dl.Problem([1, 2], [1, 2]), engine=engine, lr=0.01, epochs=30, schedule=schedule)
    assert asked == set(range(30))


@pytest.mark.parametrize("bad", [lambda k: -1.0, lambda k: float("nan"), lambda k: float("inf"), lambda k: "a"])
def test_multipliers_that_are_none(bad: Any) -> None:
    with pytest.raises(dl.SettingError, match="finite multipliers"):
        dl.descend(dl.Problem([1, 2], [1, 2]), lr=0.1, epochs=3, schedule=bad)
