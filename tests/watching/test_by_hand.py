"""Loops without an optimizer: steps and rates are read from what the parameters did."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

import descentlab as dl
from tests.watching.loops import F, nn, rows, torch


def words(watch: Any) -> str:
    return " ".join(str(watch).split())


def descend(
    watched: bool = True, lr: float = 0.1, steps: int = 60, clear: Any = "none", beta: float = 0.0
) -> tuple[Any, list[Any]]:
    """A loop as in the first lesson; the watch, and all that it may not change."""
    torch.manual_seed(0)
    X, y = rows()
    W, b = torch.zeros(6, 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    losses, velocity = [], [torch.zeros(6, 1), torch.zeros(1)]
    with dl.watch([W, b], None, F.mse_loss, every=5) if watched else nullcontext() as watch:
        for _ in range(steps):
            loss = F.mse_loss(X @ W + b, y)
            loss.backward()
            losses.append(loss.detach())
            with torch.no_grad():
                for p, v in zip((W, b), velocity, strict=True):
                    v.mul_(beta).add_(p.grad)
                    p -= lr * v
                    if clear == "none":
                        p.grad = None
                    elif clear == "zero":
                        p.grad.zero_()
    gradients = [torch.zeros(1) if p.grad is None else p.grad for p in (W, b)]
    return watch, [*losses, W.detach(), b.detach(), *gradients, torch.get_rng_state(), torch.tensor(W._version)]


@pytest.mark.parametrize("settings", [{}, {"clear": "zero"}, {"clear": "never"}, {"lr": 2.0}, {"beta": 0.9}])
def test_nothing_is_changed(settings: dict[str, Any]) -> None:
    _, seen = descend(True, **settings)
    _, alone = descend(False, **settings)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(seen, alone, strict=True))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ()),
        ({"clear": "zero"}, ()),
        ({"clear": "never", "steps": 100}, ("no_zero_grad",)),
        ({"lr": 2.0, "steps": 20}, ("above_limit",)),
        ({"steps": 1500}, ()),  # at whose end steps round to nothing
    ],
)
def test_steps_and_mistakes_are_seen(settings: dict[str, Any], names: tuple[str, ...]) -> None:
    watch, _ = descend(**settings)
    assert watch.names == names
    assert watch.observation.steps == settings.get("steps", 60)
    assert watch.table()[-1].lr == pytest.approx(settings.get("lr", 0.1), rel=1e-4)
    assert watch.recorder.internal_error is None


def test_no_rate_is_read_from_updates_with_momentum() -> None:
    watch, _ = descend(beta=0.9)
    assert watch.table()[-1].lr != watch.table()[-1].lr
    assert "no rate can be read" in words(watch)


def test_the_advice_is_for_a_loop_without_an_optimizer() -> None:
    assert "W.grad = None" in words(descend(clear="never")[0])


def test_a_rate_that_changes_is_followed() -> None:
    X, y = rows()
    model, rates = nn.Linear(6, 1), [0.1, 0.1, 0.05, 0.05, 0.01]
    with dl.watch(model) as watch:
        for rate in rates:
            F.mse_loss(model(X), y).backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= rate * p.grad
                    p.grad = None
    assert [row.lr for row in watch.table()] == pytest.approx(rates, rel=1e-3)
    assert watch.names == ()


def test_tensors_are_called_as_the_loop_calls_them() -> None:
    weights = torch.zeros(2, requires_grad=True)
    with dl.watch(weights) as watch:
        (weights - 1).square().sum().backward()
    assert "weights with updates by hand" in words(watch)
    with dl.watch({"slope": weights}) as watch:
        (weights - 1).square().sum().backward()
    assert "slope with updates by hand" in words(watch)


def test_an_optimizer_may_come_later() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    made: dict[str, torch.optim.Optimizer] = {}
    with dl.watch(model, lambda: made["optimizer"], nn.MSELoss()) as watch:
        with pytest.raises(dl.SettingError, match="Nothing has been watched yet"):
            watch.names  # noqa: B018
        made["optimizer"] = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(10):
            made["optimizer"].zero_grad()
            F.mse_loss(model(X), y).backward()
            made["optimizer"].step()
    assert (watch.observation.steps, watch.recorder.forward_passes) == (10, 10)
    assert not model._forward_pre_hooks
    with dl.watch(model, lambda: made["none"]) as watch:
        model(X)
    assert not model._forward_pre_hooks
    with pytest.raises(dl.SettingError, match="never returned one"):
        watch.names  # noqa: B018


def test_the_optimizer_inside_a_wrapper_is_watched() -> None:
    class Prepared(torch.optim.Optimizer):  # type: ignore[misc]
        """As accelerate has them: an optimizer by class, which was never made one."""

        def __init__(self, optimizer: Any) -> None:
            self.optimizer = optimizer

        def step(self) -> None:
            self.optimizer.step()

    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with dl.watch(model, Prepared(optimizer)) as watch:
        F.mse_loss(model(X), y).backward()
        Prepared(optimizer).step()
    assert watch.observation.steps == 1


@pytest.mark.parametrize(
    ("model", "optimizer", "text"),
    [
        (torch.zeros(2), None, "requires a gradient"),
        ([], None, "not a list"),
        ("W", None, "not a str"),
        (nn.ReLU(), None, "no parameters"),
        (nn.Linear(1, 1), "adam", "not a str"),
        (nn.Linear(1, 1), [torch.optim.SGD([torch.zeros(1)], lr=1.0)] * 2, "takes one optimizer, not 2"),
    ],
)
def test_what_cannot_be_watched_is_an_error(model: Any, optimizer: Any, text: str) -> None:
    with pytest.raises(dl.SettingError, match=text):
        dl.watch(model, optimizer)


def test_two_watches_on_one_model_measure_and_do_not_see_each_other() -> None:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    first, second = (torch.optim.SGD(model[i].parameters(), lr=0.05) for i in (0, 2))
    with dl.watch(model, first, every=5) as a, dl.watch(model, second, every=5) as b:
        for _ in range(20):
            first.zero_grad()
            second.zero_grad()
            F.mse_loss(model(X), y).backward()
            first.step()
            second.step()
    for watch in (a, b):
        assert watch.names == ()
        assert len(watch.recorder.history.measurements) == 4
        assert watch.observation.backward_passes == 20


def leaf_changed(W: Any, loss: Any) -> None:
    loss(W).backward()
    W -= 0.1 * W.grad


def rebound(W: Any, loss: Any) -> None:
    for _ in range(2):
        loss(W).backward()
        W = W - 0.1 * W.grad


def rebound_before_clearing(W: Any, loss: Any) -> None:
    loss(W).backward()
    W = W - 0.1 * W.grad
    W.grad.zero_()


def rebound_without_graph(W: Any, loss: Any) -> None:
    for _ in range(2):
        loss(W).backward()
        with torch.no_grad():
            W = W - 0.1 * W.grad


def rebound_in_a_dict(W: Any, loss: Any) -> None:
    weights = {"W": W}
    for _ in range(2):
        loss(weights["W"]).backward()
        weights["W"] = weights["W"] - 0.1 * weights["W"].grad


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize(
    "loop", [leaf_changed, rebound, rebound_before_clearing, rebound_without_graph, rebound_in_a_dict]
)
def test_an_update_that_cannot_change_the_parameter_has_its_cure(loop: Any) -> None:
    X, y = rows()
    W = torch.zeros(6, 1, requires_grad=True)
    with pytest.raises((RuntimeError, TypeError, AttributeError)), dl.watch(W) as watch:
        loop(W, lambda W: F.mse_loss(X @ W, y))
    assert watch.names == ("update_by_hand",)
    assert "with torch.no_grad(): W -= lr * W.grad" in words(watch)


def test_a_tensor_assigned_to_a_parameter_has_its_cure() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)

    def step() -> None:
        F.mse_loss(model(X), y).backward()
        model.weight = model.weight - 0.1 * model.weight.grad

    with pytest.raises(TypeError, match="cannot assign"), dl.watch(model) as watch:
        step()
    assert watch.names == ("update_by_hand",)
    assert "layer.weight -= lr" in words(watch)


def test_a_missing_value_elsewhere_is_no_update() -> None:
    X, y = rows()
    W = torch.zeros(6, 1, requires_grad=True)

    def step() -> None:
        F.mse_loss(X @ W, y).backward()
        W.mul_(None)

    with pytest.raises(TypeError), dl.watch(W) as watch:
        step()
    assert watch.names == ("raised",)


@pytest.mark.parametrize("lr", [0.01, 100.0])
def test_an_added_gradient_is_named(lr: float) -> None:
    assert descend(lr=-lr)[0].names == ("ascent",)


def test_a_watch_that_has_not_begun_is_one_error() -> None:
    with pytest.raises(dl.SettingError, match="Nothing has been watched yet") as caught:
        str(dl.watch(nn.Linear(1, 1)))
    assert caught.value.__context__ is None
