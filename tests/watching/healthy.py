"""Healthy loops of many kinds, in which the watch must name nothing."""

from __future__ import annotations

import copy
import importlib
import io
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.watching.loops import F, Loop, batches, fit, mlp, nn, plain, rows, sgd, torch

checkpoint = importlib.import_module("torch.utils.checkpoint").checkpoint
HEALTHY: list[Callable[[], Loop]] = []


def healthy(make: Callable[[], Loop]) -> Callable[[], Loop]:
    HEALTHY.append(make)
    return make


def over_batches(
    model: Any,
    optimizer: Any,
    X: Any,
    y: Any,
    loss_fn: Any,
    epochs: int = 8,
    after: Callable[[], object] = lambda: None,
) -> Loop:
    def body() -> Iterator[float]:
        for _ in range(epochs):
            for at in batches(len(X), 16):
                optimizer.zero_grad()
                loss = loss_fn(model(X[at]), y[at])
                loss.backward()
                optimizer.step()
                yield loss.item()
                after()

    return Loop(model, optimizer, loss_fn, body)


@healthy
def a_line() -> Loop:
    return fit(nn.Linear(6, 1), lr=0.1, loss_fn=nn.MSELoss())


@healthy
def a_network() -> Loop:
    return fit(mlp(), lr=0.1)


@healthy
def momentum_and_decay() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.02, momentum=0.9, nesterov=True, weight_decay=1e-3)
    return plain(model, optimizer, X, y[:, 0], lambda pred, y: ((pred.squeeze() - y) ** 2).mean())


@healthy
def adam_on_batches() -> Loop:
    X, y = rows()
    model = mlp()
    return over_batches(model, torch.optim.Adam(model.parameters(), lr=1e-2), X, y, F.mse_loss)


@healthy
def adamw_with_dropout() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1, amsgrad=True)
    return over_batches(model, optimizer, X, y, nn.SmoothL1Loss())


@healthy
def batch_normalization_and_evaluation() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 1))

    def evaluate(epoch: int) -> None:
        model.eval()
        with torch.no_grad():
            F.mse_loss(model(X), y)
        model.train()

    return plain(model, sgd(model, 0.05), X, y, after=evaluate)


@healthy
def images() -> Loop:
    generator = torch.Generator().manual_seed(2)
    y = torch.randint(3, (48,), generator=generator)
    X = torch.randn(48, 1, 8, 8, generator=generator) + y[:, None, None, None]
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )
    return over_batches(model, torch.optim.Adam(model.parameters(), lr=1e-2), X, y, nn.CrossEntropyLoss())


@healthy
def lbfgs() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), y)
        loss.backward()
        return loss

    def body() -> list[float]:
        return [optimizer.step(closure).item() for _ in range(25)]

    return Loop(model, optimizer, None, body)


@healthy
def warmup_and_cosine() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.1)

    def shape(step: int) -> float:
        return step / 10 if step < 10 else (1 + math.cos(math.pi * (step - 10) / 110)) / 2

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, shape)
    return plain(model, optimizer, X, y, after=lambda epoch: scheduler.step())


@healthy
def gradients_accumulated_on_purpose() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.1)

    def body() -> Iterator[float]:
        for i in range(200):
            loss = F.mse_loss(model(X[i % 4 :: 4]), y[i % 4 :: 4]) / 4
            loss.backward()
            yield loss.item()
            if i % 4 == 3:
                optimizer.step()
                optimizer.zero_grad(set_to_none=i % 8 == 3)

    return Loop(model, optimizer, F.mse_loss, body)


@healthy
def groups_with_rates_of_their_own() -> Loop:
    X, y = rows()
    model = mlp()
    groups = [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters()}]
    return plain(model, torch.optim.SGD(groups, lr=0.1, momentum=0.5), X, y)


@healthy
def two_optimizers_for_one_model() -> Loop:
    X, y = rows()
    model = mlp()
    body_optimizer = torch.optim.Adam(model[0].parameters(), lr=1e-2, fused=True)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.05)

    def body() -> Iterator[float]:
        for _ in range(80):
            model.zero_grad()
            loss = F.mse_loss(model(X), y)
            loss.backward()
            body_optimizer.step()
            optimizer.step()
            yield loss.item()

    return Loop(model, optimizer, None, body)


@healthy
def adversaries() -> Loop:
    X, _ = rows()
    maker, critic = mlp(d=2, out=6), mlp()
    optimizer = torch.optim.Adam(maker.parameters(), lr=1e-3)
    other = torch.optim.Adam(critic.parameters(), lr=1e-3)
    loss_fn = nn.BCEWithLogitsLoss()

    def body() -> Iterator[float]:
        for _ in range(60):
            fake = maker(torch.randn(96, 2))
            other.zero_grad()
            (loss_fn(critic(X), torch.ones(96, 1)) + loss_fn(critic(fake.detach()), torch.zeros(96, 1))).backward()
            other.step()
            optimizer.zero_grad()
            loss = loss_fn(critic(fake), torch.ones(96, 1))
            loss.backward()
            optimizer.step()
            yield loss.item()

    return Loop(maker, optimizer, loss_fn, body)


@healthy
def the_critic_of_adversaries() -> Loop:
    X, _ = rows()
    maker, critic = mlp(d=2, out=6), mlp()
    optimizer = sgd(critic, 0.05)
    other = torch.optim.Adam(maker.parameters(), lr=1e-4)

    def body() -> Iterator[float]:
        for _ in range(60):
            fake = maker(torch.randn(96, 2))
            optimizer.zero_grad()
            loss = F.softplus(-critic(X)).mean() + F.softplus(critic(fake.detach())).mean()
            loss.backward()
            optimizer.step()
            other.zero_grad()
            F.softplus(-critic(fake)).mean().backward()
            other.step()
            yield loss.item()

    return Loop(critic, optimizer, None, body)


@healthy
def words() -> Loop:
    generator = torch.Generator().manual_seed(2)
    X = torch.randint(20, (96, 5), generator=generator)
    y = (X.sum(1) % 2).long()
    model = nn.Sequential(nn.EmbeddingBag(20, 8), nn.Linear(8, 2))
    return over_batches(model, torch.optim.Adam(model.parameters(), lr=0.05), X, y, nn.CrossEntropyLoss(), epochs=20)


@healthy
def sparse_words() -> Loop:
    generator = torch.Generator().manual_seed(2)
    X = torch.randint(20, (96,), generator=generator)
    y = X[:, None] / 10.0
    model = nn.Sequential(nn.Embedding(20, 4, sparse=True), nn.Linear(4, 1))
    return over_batches(model, sgd(model, 0.05), X, y, nn.MSELoss())


@healthy
def a_recurrent_network() -> Loop:
    class Last(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, *, sequence: Any) -> Any:
            return self.head(self.rnn(sequence)[0][:, -1])

    X = torch.randn(32, 7, 3, generator=torch.Generator().manual_seed(1))
    y = X.sum((1, 2))[:, None] / 4
    model = Last()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3, momentum=0.5, centered=True)

    def body() -> Iterator[float]:
        for _ in range(60):
            optimizer.zero_grad()
            loss = F.huber_loss(model(sequence=X), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            yield loss.item()

    return Loop(model, optimizer, None, body)


@healthy
def scaled_losses() -> Loop:
    """As mixed precision does it: the loss is scaled, and gradients are unscaled before the step."""
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def body() -> Iterator[float]:
        for _ in range(40):
            optimizer.zero_grad()
            loss = F.mse_loss(model(X), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            yield loss.item()

    return Loop(model, optimizer, None, body)


@healthy
def a_penalty_in_the_loss() -> Loop:
    X, y = rows()
    model = nn.Linear(6, 1)

    def loss_fn(pred: Any, y: Any) -> Any:
        return F.mse_loss(pred, y) + 0.1 * sum(p.square().sum() for p in model.parameters())

    return plain(model, sgd(model, 0.05), X, y, loss_fn)


@healthy
def a_head_for_each_of_two_tasks() -> Loop:
    X, y = rows()
    trunk, one, other = nn.Linear(6, 12), nn.Linear(12, 1), nn.Linear(12, 1)
    model = nn.ModuleDict({"one": one, "trunk": trunk, "other": other})
    optimizer = sgd(model, 0.05)

    def body() -> Iterator[float]:
        for i in range(80):
            optimizer.zero_grad()
            loss = F.mse_loss((one if i % 2 else other)(torch.tanh(trunk(X))), y)
            loss.backward()
            optimizer.step()
            yield loss.item()

    return Loop(model, optimizer, None, body)


@healthy
def a_group_added_on_the_way() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.05)

    def unfreeze(epoch: int) -> None:
        if epoch == 10:
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})

    return plain(model, optimizer, X, y, after=unfreeze)


class Recomputed(nn.Module):  # type: ignore[misc]
    """A part that is computed again in the backward pass: buffers and random numbers are touched there, too."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(24, 1)

    def forward(self, x: Any) -> Any:
        return self.head(checkpoint(self.body, x, use_reentrant=False))


@healthy
def a_part_computed_again() -> Loop:
    return fit(Recomputed(), lr=0.05, epochs=40)


class Noisy(torch.autograd.Function):  # type: ignore[misc]
    """Draws random numbers of every kind in its backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * (1 + 0.01 * (torch.rand(1) + np.random.random() + random.random()))


@healthy
def noise_in_the_backward_pass() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.05)
    return plain(model, optimizer, X, y, lambda pred, y: F.mse_loss(Noisy.apply(pred), y), epochs=30)


@healthy
def a_transformer() -> Loop:
    X = torch.randn(16, 5, 8, generator=torch.Generator().manual_seed(1))
    y = X.sum((1, 2))[:, None] / 6
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), nn.Flatten(), nn.Linear(40, 1))
    return plain(model, torch.optim.AdamW(model.parameters(), lr=3e-3), X, y, nn.MSELoss())


@healthy
def adagrad_from_a_loader_that_shuffles() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size=16, shuffle=True)

    def body() -> Iterator[float]:
        for _ in range(10):
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = F.mse_loss(model(inputs), targets)
                loss.backward()
                optimizer.step()
                yield loss.item()

    return Loop(model, optimizer, F.mse_loss, body)


@healthy
def fine_tuning_with_copies_and_files() -> Loop:
    X, y = rows()
    model = mlp()
    model[0].requires_grad_(False)
    best: dict[str, Any] = {}

    def keep(epoch: int) -> None:
        best["model"] = copy.deepcopy(model)
        torch.save(model, io.BytesIO())
        best["model"](X)

    return plain(model, sgd(model, 0.1), X, y, epochs=30, after=keep)


@healthy
def hooks_and_half_a_squared_sum() -> Loop:
    X, y = rows()
    model = nn.Linear(6, 1)
    model.weight.register_hook(lambda gradient: gradient.clamp(-50, 50))
    optimizer = sgd(model, 1e-3)
    return plain(model, optimizer, X, y, lambda pred, y: 0.5 * ((pred - y) * (pred - y)).sum(), epochs=200)


@healthy
def ranks_from_every_pair() -> Loop:
    X, y = rows(32)
    model = mlp()

    def loss_fn(pred: Any, y: Any) -> Any:
        apart = pred - pred.T
        return F.softplus(-apart[(y - y.T) > 0]).mean()

    return plain(model, sgd(model, 0.1), X, y, loss_fn)


@healthy
def double_precision_with_no_momentum_by_hand() -> Loop:
    X, y = (each.double() for each in rows())
    model = mlp().double()
    optimizer = sgd(model, 0.05, dampening=0.0)
    return plain(model, optimizer, X, y, lambda pred, y: (y - pred).square().mean())


@healthy
def at_the_minimum_from_the_start() -> Loop:
    X, y = rows()
    model = nn.Linear(6, 1)
    with torch.no_grad():
        found = torch.linalg.lstsq(torch.cat([X, torch.ones(96, 1)], 1).double(), y.double()).solution
        model.weight.copy_(found[:-1].T)
        model.bias.copy_(found[-1])
    return plain(model, sgd(model, 0.05), X, y)


@healthy
def at_a_noisy_minimum_from_the_start() -> Loop:
    """With a loss near that of the targets' mean, and an optimizer that scales: only the gradient tells."""
    X, y = rows()
    y = y + 6 * torch.randn(96, 1, generator=torch.Generator().manual_seed(4))
    model = nn.Linear(6, 1)
    with torch.no_grad():
        found = torch.linalg.lstsq(torch.cat([X, torch.ones(96, 1)], 1).double(), y.double()).solution
        model.weight.copy_(found[:-1].T)
        model.bias.copy_(found[-1])
    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-3), X, y)


@healthy
def an_exact_fit_from_the_start() -> Loop:
    X, _ = rows()
    model = mlp()
    y = copy.deepcopy(model)(X).detach()
    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-9), X, y, F.l1_loss)


@healthy
def tuned_on_with_batches() -> Loop:
    """A model that has been fitted before: from here its loss only goes up and down."""
    X, y = rows()
    model = mlp()
    y = copy.deepcopy(model)(X).detach() + 0.02 * torch.randn(96, 1, generator=torch.Generator().manual_seed(4))
    return over_batches(model, sgd(model, 0.02), X, y, F.mse_loss)


@healthy
def whole_numbers_that_torch_takes() -> Loop:
    X, y = rows()
    model = mlp()
    return plain(model, sgd(model, 0.02), X, (5 * y).round().long(), nn.MSELoss())


@healthy
def a_state_carried_from_step_to_step() -> Loop:
    """As it should be: without its graph."""
    X = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(1))
    model = nn.LSTM(3, 1, batch_first=True)
    optimizer = sgd(model, 0.1)
    loss_fn = nn.MSELoss()

    def body() -> Iterator[float]:
        state: Any = None
        for _ in range(60):
            optimizer.zero_grad()
            output, state = model(X, state)
            state = tuple(each.detach() for each in state)
            loss = loss_fn(output, X[..., :1].tanh())
            loss.backward()
            optimizer.step()
            yield loss.item()

    return Loop(model, optimizer, loss_fn, body)


class Pooled(nn.Module):  # type: ignore[misc]
    """Attention over rows, inside the model: there a softmax over dim=0 is meant."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh, self.head = nn.Linear(6, 1), nn.Linear(6, 1)

    def forward(self, x: Any) -> Any:
        return self.head((torch.softmax(self.weigh(x), 0) * x).sum(0, keepdim=True))


@healthy
def attention_over_rows() -> Loop:
    X, _ = rows()
    model = Pooled()
    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-2), X, torch.ones(1, 1), nn.MSELoss())


@healthy
def a_teacher_and_its_student() -> Loop:
    X, y = rows()
    teacher, model = mlp(out=3), mlp(out=3)

    def loss_fn(pred: Any, y: Any) -> Any:
        return F.kl_div(F.log_softmax(pred, 1), F.softmax(teacher(X).detach(), 1), reduction="batchmean")

    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-2), X, y, loss_fn)


@healthy
def likelihoods_of_densities() -> Loop:
    """Below 0 by right: a density may be larger than 1."""
    X, y = rows()
    model = mlp(out=2)

    def loss_fn(pred: Any, y: Any) -> Any:
        return F.gaussian_nll_loss(pred[:, :1], y, pred[:, 1:].exp())

    return plain(model, torch.optim.Adam(model.parameters(), lr=1e-2), X, 0.01 * y, loss_fn)


@healthy
def minus_a_similarity() -> Loop:
    X, _ = rows()
    model = mlp(out=4)
    y = torch.randn(96, 4, generator=torch.Generator().manual_seed(3))
    optimizer = sgd(model, 0.1)
    return plain(model, optimizer, X, y, lambda pred, y: -F.cosine_similarity(pred, y).mean())


@healthy
def an_average_of_the_weights() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 1))
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return plain(model, optimizer, X, y, nn.MSELoss(), after=lambda epoch: average.update_parameters(model))


@healthy
def a_strong_ridge() -> Loop:
    return fit(nn.Linear(6, 1), lr=0.1, weight_decay=1.0, loss_fn=nn.MSELoss())


class Guided(nn.Module):  # type: ignore[misc]
    """Keeps a teacher in a list on purpose, so that nobody trains it."""

    def __init__(self) -> None:
        super().__init__()
        self.teacher, self.net = [mlp()], mlp()

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            hint = self.teacher[0](x)
        return self.net(x) + hint


@healthy
def a_teacher_in_a_list() -> Loop:
    return fit(Guided(), lr=0.05)


@healthy
def a_policy_and_its_rewards() -> Loop:
    X, y = rows()
    model = mlp(out=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    best = (y[:, 0] > 0).long()

    def body() -> Iterator[float]:
        for _ in range(60):
            chances = torch.distributions.Categorical(logits=model(X))
            choice = chances.sample()
            reward = (choice == best).float()
            loss = -(chances.log_prob(choice) * (reward - reward.mean())).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()

    return Loop(model, optimizer, None, body)


@healthy
def frozen_statistics_while_tuning() -> Loop:
    X, y = rows()
    model = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 1))
    model[1].eval()
    return plain(model, sgd(model, 0.05), X, y)


@healthy
def stopped_early() -> Loop:
    X, y = rows()
    model = mlp()
    optimizer = sgd(model, 0.1)

    def body() -> list[float]:
        losses = [float("inf")]
        while len(losses) < 2 or losses[-2] - losses[-1] > 1e-3:
            optimizer.zero_grad()
            loss = F.mse_loss(model(X), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        return losses

    return Loop(model, optimizer, None, body)
