"""Trainers begin and end a watch. Here they are small ones, with the events of the real packages in their order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import pytest

from descentlab.watching import integrations
from tests.watching.loops import F, nn, rows, torch


class Callback:
    """The base class that a package has."""


class Trainer:
    """The loop of every trainer here; ``fails_at`` raises at that step."""

    def __init__(self, model: Any, fails_at: int = -1) -> None:
        self.model, self.fails_at, self.count = model, fails_at, 0
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        self.optimizers = [self.optimizer]

    def loop(self) -> None:
        for _ in range(10):
            self.training_step()

    def training_step(self) -> None:
        X, y = rows()
        self.count += 1
        if self.count == self.fails_at:
            raise RuntimeError("boom")
        self.optimizer.zero_grad()
        F.mse_loss(self.model(X), y).backward()
        self.optimizer.step()


class LightningTrainer(Trainer):
    def run(self, callback: Any) -> None:
        callback.on_train_start(self, nn.Sequential(self.model))
        try:
            self.loop()
        except BaseException as error:
            callback.on_exception(self, self.model, error)
            raise
        callback.on_train_end(self, self.model)


class HuggingFaceTrainer(Trainer):
    def __init__(self, model: Any, callback: Any, fails_at: int = -1, late: bool = False) -> None:
        super().__init__(model, fails_at)
        self.callback = callback
        if not late:
            callback.on_init_end(None, None, None)

    def train(self) -> None:
        self.callback.on_train_begin(None, None, None, model=self.model, optimizer=self.optimizer)
        self.loop()
        self.callback.on_train_end(None, None, None)


class SkorchNet(Trainer):
    @property
    def module_(self) -> Any:
        return self.model

    @property
    def optimizer_(self) -> Any:
        return self.optimizer

    criterion_ = nn.MSELoss()

    def fit_loop(self) -> None:
        self.loop()

    def fit(self, callback: Any) -> None:
        callback.on_train_begin(self, None, None)
        self.fit_loop()


class IgniteEngine(Trainer):
    def run(self) -> None:
        self.loop()


@pytest.fixture(autouse=True)
def _packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules with the names that the integrations import."""
    classes: dict[str, dict[str, Any]] = {
        "lightning": {},
        "lightning.pytorch": {"Callback": Callback},
        "transformers": {"TrainerCallback": Callback, "Trainer": HuggingFaceTrainer},
        "skorch": {},
        "skorch.callbacks": {"Callback": Callback},
    }
    for name, content in classes.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def run(kind: str, fails_at: int) -> tuple[Any, Trainer]:
    """Train beside a watch; it, and the trainer."""
    torch.manual_seed(0)
    model, settings = nn.Linear(6, 1), cast(Any, {"prints": False, "every": 5})
    trainer: Any
    start: Callable[[], None]
    if kind == "lightning":
        callback, trainer = integrations.lightning_callback(**settings), LightningTrainer(model, fails_at)
        start = lambda: trainer.run(callback)  # noqa: E731
    elif kind.startswith("huggingface"):
        callback = integrations.huggingface_callback(**settings)
        trainer = HuggingFaceTrainer(model, callback, fails_at, late=kind.endswith("late"))
        start = trainer.train
    elif kind == "skorch":
        callback, trainer = integrations.skorch_callback(**settings), SkorchNet(model, fails_at)
        start = lambda: trainer.fit(callback)  # noqa: E731
    else:
        trainer = IgniteEngine(model, fails_at)
        callback = integrations.watch_ignite(trainer, model, trainer.optimizer, **settings)
        start = trainer.run
    if fails_at < 0:
        start()
    else:
        with pytest.raises(RuntimeError, match="boom"):
            start()
    return callback.watch, trainer


@pytest.mark.parametrize("fails_at", [-1, 4])
@pytest.mark.parametrize("kind", ["lightning", "huggingface", "huggingface_late", "skorch", "ignite"])
def test_a_training_is_watched_and_let_go(kind: str, fails_at: int) -> None:
    backward = torch.autograd.backward
    watch, trainer = run(kind, fails_at)
    assert watch.observation.steps == watch.recorder.forward_passes == (10 if fails_at < 0 else 3)
    assert watch.observation.ended
    assert repr(watch.error) == ("None" if fails_at < 0 else "RuntimeError('boom')")
    assert torch.autograd.backward is backward
    assert not trainer.model._forward_hooks
    assert not any(p._backward_hooks for p in trainer.model.parameters())
    assert not {"train", "training_step", "fit_loop", "run"} & set(vars(trainer))


def test_a_second_training_has_a_watch_of_its_own() -> None:
    callback = integrations.huggingface_callback(prints=False)
    trainer = HuggingFaceTrainer(nn.Linear(6, 1), callback)
    trainer.train()
    first = callback.watch
    trainer.fails_at = trainer.count + 3
    with pytest.raises(RuntimeError, match="boom"):
        trainer.train()
    assert callback.watch is not first
    assert (first.observation.steps, callback.watch.observation.steps) == (10, 2)
    assert not trainer.model._forward_hooks


def test_the_report_is_printed_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = LightningTrainer(nn.Linear(6, 1))
    trainer.run(integrations.lightning_callback())
    assert "10 updates" in capsys.readouterr().out


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skorch.callbacks", None)
    with pytest.raises(ImportError, match="pip install skorch"):
        integrations.skorch_callback()
