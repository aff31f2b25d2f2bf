"""A probe: curvatures are those of one batch, whatever the loop runs on, and nothing is different for it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.watching.state_guard import preserve_module_state
from tests.watching.healthy import checkpoint
from tests.watching.loops import F, batches, mlp, nn, rows, torch
from tests.watching.test_lanczos import OPTIMIZERS, explicit, smooth
from tests.watching.test_watch import words


def squares(pred: Any, y: Any) -> Any:
    return ((pred - y) ** 2).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SGD", "decayed", "Adam", "RMSprop"])
def test_figures_of_mini_batches_are_those_of_the_probe(name: str) -> None:
    """Against P^-1/2 (H + decay) P^-1/2 with the Hessian of the probe, at every step of a loop over other rows."""
    make, diagonal, most = OPTIMIZERS[name]
    X, y = (each.double() for each in rows(60, 4))
    probe = (X[:20] * 2, y[:20])
    model = smooth()
    optimizer = make(model.parameters())
    expected: list[Any] = []
    with dl.watch(model, optimizer, squares, every=1, probe=probe) as watch:
        for at in batches(60, 10):
            optimizer.zero_grad()
            group, states = optimizer.param_groups[0], [optimizer.state[p] for p in model.parameters()]
            if expected or name in ("SGD", "decayed"):
                parts = zip(model.parameters(), states, strict=True)
                root = torch.cat([(torch.ones_like(p) * diagonal(group, s)).reshape(-1) for p, s in parts]).rsqrt()
                H = explicit(model, lambda f: squares(f(probe[0]), probe[1]))
                H = H + (0.7 if name == "decayed" else 0.0) * torch.eye(len(H))
                expected.append(float(torch.linalg.eigvalsh(root[:, None] * H * root)[-1]))
            else:
                expected.append(None)
            squares(model(X[at]), y[at]).backward()
            optimizer.step()
    found = [row.sharpness for row in watch.table()]
    assert [each is None for each in found] == [each is None for each in expected]
    told = [pair for pair in zip(found, expected, strict=True) if pair[1] is not None]
    assert [pair[0] for pair in told] == pytest.approx([pair[1] for pair in told], rel=2e-3)
    assert watch.table()[-1].limit == pytest.approx(most / optimizer.param_groups[0]["lr"])
    assert "Each curvature is measured with loss_fn on the batch given as probe (20 rows)" in words(watch)
    assert "Batches differ" not in words(watch)


def test_the_rows_at_the_start_are_the_probe_whatever_becomes_of_them() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    probe = (X.clone(), y.clone())
    with dl.watch(model, optimizer, squares, every=1, probe=probe) as watch:
        for _ in range(4):
            optimizer.zero_grad()
            squares(model(X), y).backward()
            optimizer.step()
            probe[0].mul_(3)
    found = [row.sharpness for row in watch.table()]
    assert found == pytest.approx([found[0]] * 4, rel=1e-3)


def test_a_penalty_inside_the_loss_is_in_the_curvature() -> None:
    X, y = rows()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def penalized(pred: Any, y: Any) -> Any:
        return squares(pred, y) + 5.0 * sum(p.square().sum() for p in model.parameters())

    found: list[Any] = []
    for loss_fn in (squares, penalized):
        with dl.watch(model, optimizer, loss_fn, every=1, probe=(X, y)) as watch:
            loss_fn(model(X), y).backward()
            optimizer.step()
        found.append(watch.table()[0].sharpness)
    assert found[1] - found[0] == pytest.approx(10.0, rel=1e-3)


class Again(nn.Module):  # type: ignore[misc]
    """A network whose body is computed again in the backward pass."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Any) -> Any:
        return checkpoint(self.body, x, use_reentrant=False)


def test_a_part_computed_again_is_measured_as_any_other() -> None:
    X, y = (each.double() for each in rows(40, 4))
    body = smooth()
    H = explicit(body, lambda f: squares(f(X), y))
    optimizer = torch.optim.SGD(body.parameters(), lr=0.01)
    with dl.watch(Again(body), optimizer, squares, every=1, probe=(X, y)) as watch:
        squares(body(X[:9]), y[:9]).backward()
        optimizer.step()
    assert watch.table()[0].sharpness == pytest.approx(float(torch.linalg.eigvalsh(H)[-1]), rel=1e-3)


class Hoarder(nn.Module):  # type: ignore[misc]
    """Keeps a count, a list, a hidden state and a buffer of its own, and draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3)
        self.head = nn.utils.spectral_norm(nn.Linear(8, 1))
        self.calls, self.seen, self.state = 0, [0.0], torch.zeros(3)
        self.hidden: Any = None

    def forward(self, x: Any) -> Any:
        self.calls += 1
        self.seen.append(float(x[0, 0]))
        self.state += 1
        self.hidden = self.head(self.drop(torch.tanh(self.norm(self.body(x)))))
        return self.hidden * (1 + 0.01 * float(np.random.random()) * self.state[0])


def over(model: Any, optimizer: Any, losses: list[float]) -> None:
    X, y = rows()
    for at in batches(96, 24) * 4:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X[at]), y[at])
        losses.append(float(loss.detach()) + model.hidden.sum().item())
        loss.backward()
        optimizer.step()


def test_what_modules_keep_is_put_back() -> None:
    def left(probe: Any) -> tuple[Any, ...]:
        torch.manual_seed(0)
        np.random.seed(0)
        model = Hoarder()
        model.drop.eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        losses: list[float] = []
        if probe is None:
            over(model, optimizer, losses)
        else:
            with dl.watch(model, optimizer, nn.MSELoss(), every=1, probe=probe) as watch:
                over(model, optimizer, losses)
            assert watch.recorder.internal_error is None
            assert "differ" in str(
                watch.recorder.curvature_probe.unavailable_reason
            )  # NumPy's noise is there in every mode
        state = {name: each.tolist() for name, each in model.state_dict().items()}
        modes = [each.training for each in model.modules()]
        return losses, state, modes, model.calls, model.seen, model.state.tolist(), np.random.random(), torch.rand(1)

    assert left(rows()) == left(None)


def test_containers_and_flags_are_put_back_by_identity() -> None:
    from collections import deque

    model = mlp()
    held: dict[str, Any] = {"l": [1, 2], "d": {"a": 1}, "s": {3}, "q": deque([4], maxlen=2), "t": torch.zeros(2)}
    for name, each in held.items():
        setattr(model, f"my_{name}", each)
    parameters = list(model.named_parameters())
    with preserve_module_state(model):
        held["l"].append(5)
        held["d"]["b"] = 2
        held["s"].add(6)
        held["q"].append(7)
        held["t"].add_(1)
        model.my_l, model.more = [], 3
        model[0].eval()
        del model[2]
    assert all(getattr(model, f"my_{name}") is each for name, each in held.items())
    assert held["l"] == [1, 2]
    assert (held["d"], held["s"], list(held["q"])) == ({"a": 1}, {3}, [4])
    assert held["t"].tolist() == [0, 0]
    assert not hasattr(model, "more")
    assert model[0].training
    assert all(a is b for (_, a), (_, b) in zip(parameters, model.named_parameters(), strict=True))


def test_dropout_is_measured_in_evaluation_mode_and_stays_in_training() -> None:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 1)).double()
    X, y = X.double(), y.double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with dl.watch(model, optimizer, squares, every=1, probe=(X, y)) as watch:
        for _ in range(3):
            optimizer.zero_grad()
            squares(model(X[:40]), y[:40]).backward()
            still = [p.detach().clone() for p in model.parameters()]
            optimizer.step()
    assert all(each.training for each in model.modules())
    assert "evaluated in evaluation mode" in words(watch)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), still, strict=True):
            parameter.copy_(value)
    H = explicit(model.eval(), lambda f: squares(f(X), y))
    assert watch.table()[-1].sharpness == pytest.approx(float(torch.linalg.eigvalsh(H)[-1]), rel=2e-3)


def test_batch_normalization_is_measured_in_training_mode() -> None:
    X, y = (each.double() for each in rows())
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with dl.watch(model, optimizer, squares, every=1, probe=(X, y)) as watch:
        squares(model(X[:40]), y[:40]).backward()
        model[1].track_running_stats = False  # torch.func cannot write into them, and training does not read them
        H = explicit(model, lambda f: squares(f(X), y))
        model[1].track_running_stats = True
        optimizer.step()
    assert watch.table()[0].sharpness == pytest.approx(float(torch.linalg.eigvalsh(H)[-1]), rel=2e-3)
    assert "evaluation mode" not in words(watch)


@pytest.mark.parametrize(
    ("probe", "loss_fn", "message"),
    [
        (rows(), None, "loss_fn is None"),
        (rows()[0], squares, r"pair \(X, y\)"),
        ((rows()[0] / 0, rows()[1]), squares, "NaN or infinity"),
    ],
)
def test_a_probe_that_cannot_be_used_is_refused(probe: Any, loss_fn: Any, message: str) -> None:
    model = mlp()
    with pytest.raises(dl.SettingError, match=message):
        dl.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), loss_fn, probe=probe)


ONES_AND_ZEROS = itertools.cycle([1.0, 0.0])


def keeping(seen: list[Any]) -> Any:
    model = mlp()
    model.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    return model


@pytest.mark.parametrize(
    ("model", "loss_fn", "X", "why"),
    [
        (keeping([]), squares, rows()[0], "forward hooks"),
        (mlp(), lambda pred, y: (pred - y) ** 2, rows()[0], "a single number"),
        (mlp(), lambda pred, y: squares(pred, y) * torch.rand(1), rows()[0], "two evaluations"),
        (mlp(), lambda pred, y: squares(pred, y) / next(ONES_AND_ZEROS), rows()[0], "two evaluations"),
        (mlp(), lambda pred, y: squares(pred.detach(), y), rows()[0], "does not depend"),
        (mlp(), squares, rows()[0][:, :2], "shapes cannot be multiplied"),
    ],
)
def test_a_probe_that_does_not_work_is_told_and_the_loop_goes_on(model: Any, loss_fn: Any, X: Any, why: str) -> None:
    _, y = rows()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with dl.watch(model, optimizer, loss_fn, every=1, probe=(X, y)) as watch:
        for _ in range(5):
            optimizer.zero_grad()
            squares(model(rows()[0]), y).backward()
            optimizer.step()
    assert why in words(watch)
    assert not watch.recorder.history.measurements
    assert watch.names == ()


def test_two_watches_do_not_hear_each_others_probes() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with (
        dl.watch(model, optimizer, squares, every=1, probe=(X, y)) as one,
        dl.watch(model, optimizer, squares, every=1, probe=(X[:9], y[:9])) as other,
    ):
        for _ in range(5):
            optimizer.zero_grad()
            squares(model(X), y).backward()
            optimizer.step()
    assert [each.recorder.forward_passes for each in (one, other)] == [5, 5]
    assert len(one.recorder.history.measurements) == len(other.recorder.history.measurements) == 5


def test_adversaries_are_watched_side_by_side() -> None:
    X, _ = rows()
    maker, critic = mlp(d=2, out=6), mlp()
    one = torch.optim.Adam(maker.parameters(), lr=1e-3)
    other = torch.optim.SGD(critic.parameters(), lr=0.05)
    noise, ones = torch.randn(96, 2), torch.ones(96, 1)

    def fooled(fake: Any, y: Any) -> Any:
        return F.softplus(-critic(fake)).mean()

    with (
        dl.watch(critic, other, F.binary_cross_entropy_with_logits, every=5, probe=(X, ones)) as of_critic,
        dl.watch(
            maker, one, lambda fake, y: F.softplus(-critic(fake)).mean(), every=5, probe=(noise, ones)
        ) as of_maker,
    ):
        for _ in range(30):
            fake = maker(torch.randn(96, 2))
            other.zero_grad()
            (F.softplus(-critic(X)).mean() + F.softplus(critic(fake.detach())).mean()).backward()
            other.step()
            one.zero_grad()
            F.softplus(-critic(fake)).mean().backward()
            one.step()
    for watch in (of_critic, of_maker):
        assert watch.recorder.internal_error is None
        assert watch.recorder.curvature_probe.unavailable_reason is None
        assert watch.recorder.history.measurements
        assert not set(watch.names) - {"not_learning"}  # a loss of adversaries need not fall
