"""Where the figures of a watch go: writers are small ones with the calls of the real packages."""

from __future__ import annotations

import json
from typing import Any

import pytest

import descentlab as dl
from tests.watching.loops import F, mlp, rows, torch

NORMS = {"descentlab/gradient_norm/0", "descentlab/gradient_norm/2"}
CURVATURES = {"descentlab/sharpness", "descentlab/limit", "descentlab/ratio"}


class TensorBoard:
    def __init__(self) -> None:
        self.scalars: list[tuple[int, str, float]] = []
        self.texts: list[tuple[int, str]] = []

    def add_scalar(self, tag: str, value: float, global_step: int) -> None:
        self.scalars.append((global_step, tag, value))

    def add_text(self, tag: str, text: str, global_step: int) -> None:
        self.texts.append((global_step, text))


class Run:
    """A run of W&B."""

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], bool | None]] = []
        self.alerts: list[str] = []

    def log(self, data: dict[str, float], step: int | None = None, commit: bool | None = None) -> None:
        assert step is None
        self.logged.append((data, commit))

    def alert(self, title: str, text: str) -> None:
        self.alerts.append(title)


class Mlflow:
    def __init__(self) -> None:
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.tags: dict[str, str] = {}

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.metrics.append((step, metrics))

    def set_tag(self, key: str, value: str) -> None:
        self.tags[key] = value


def train(log: Any, clears: bool = False, steps: int = 100, **settings: Any) -> Any:
    torch.manual_seed(0)
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with dl.watch(model, optimizer, log=log, every=20, **settings) as watch:
        for _ in range(steps):
            if clears:
                optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            optimizer.step()
    return watch


def test_a_function_gets_curvatures_norms_and_one_alert() -> None:
    seen: list[tuple[int, dict[str, Any]]] = []
    watch = train(lambda step, values: seen.append((step, values)))
    numbers = {step: values for step, values in seen if "alert" not in values}
    assert {step for step, values in numbers.items() if set(values) >= CURVATURES} == {1, 21, 41, 61, 81}
    assert {step for step, values in numbers.items() if set(values) >= NORMS} == {1, 2, 4, 8, 16, 32, 50, 64, 100}
    assert [step for step, values in seen if "alert" in values] == [64]
    assert "no_zero_grad" in next(values["alert"] for _, values in seen if "alert" in values)
    assert numbers[81]["descentlab/sharpness"] == watch.table()[80].sharpness


def test_norms_are_those_of_the_layers() -> None:
    seen: dict[int, dict[str, Any]] = {}
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with dl.watch(model, optimizer, log=seen.__setitem__, every=0):
        F.mse_loss(model(X), y).backward()
        optimizer.step()
    expected = torch.cat([p.grad.reshape(-1) for p in model[0].parameters()]).norm()
    assert seen[1]["descentlab/gradient_norm/0"] == pytest.approx(float(expected))


def test_a_healthy_loop_gives_no_alert_and_a_short_one_gives_it_at_the_end() -> None:
    seen: list[Any] = []
    train(lambda step, values: seen.append(values), clears=True)
    assert not any("alert" in values for values in seen)
    seen.clear()
    train(lambda step, values: seen.append(values), steps=30)
    assert "alert" in seen[-1]


def test_writers_get_the_same() -> None:
    board, run, mlflow = TensorBoard(), Run(), Mlflow()
    for writer in (board, run, mlflow):
        watch = train(writer)
        assert watch.recorder.internal_error is None
    assert {(step, tag) for step, tag, _ in board.scalars} >= {(21, name) for name in CURVATURES}
    assert len(board.texts) == len(run.alerts) == len(mlflow.tags) == 1
    assert all(commit is False for _, commit in run.logged)  # the loop's own calls count the steps
    assert [data["descentlab/step"] for data, _ in run.logged] == [step for step, _ in mlflow.metrics]


def test_a_writer_that_fails_ends_the_log_and_not_the_loop() -> None:
    calls: list[int] = []

    def fail(step: int, values: dict[str, Any]) -> None:
        calls.append(step)
        raise OSError("disk full")

    watch = train(fail)
    assert watch.observation.steps == 100
    assert calls[0] == 1
    assert len(calls) <= 2  # and once for the alert at the end
    assert "disk full" in str(watch)


def test_what_is_no_writer_is_an_error() -> None:
    with pytest.raises(dl.SettingError, match="not a str"):
        train("tensorboard")


def test_the_report_is_json() -> None:
    watch = train(None, steps=30)
    content = json.loads(watch.to_json())
    assert content["names"] == ["no_zero_grad"]
    assert content["findings"][0]["name"] == "no_zero_grad"
    assert len(content["rows"]) == content["steps"] == 30
    assert json.loads(watch.to_json("ko"))["findings"][0]["text"] != content["findings"][0]["text"]
