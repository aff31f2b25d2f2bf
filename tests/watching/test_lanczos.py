"""The largest curvature, against the explicit Hessian; and limits, against what optimizers do at them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.watching.curvature.lanczos import find_top_eigenvalue, make_hessian_vector_product, make_start_vector
from descentlab.watching.curvature.stability_limits import Preconditioning
from tests.watching.loops import F, mlp, nn, rows, torch


def smooth(d: int = 4, out: int = 1) -> Any:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(d, 9), nn.Tanh(), nn.Linear(9, out)).double()


def explicit(model: Any, loss_of: Callable[[Any], Any]) -> Any:
    """(p, p) the whole Hessian, by torch.func, parameters in order."""
    names, values = zip(*model.named_parameters(), strict=True)
    sizes = [value.numel() for value in values]

    def loss(vector: Any) -> Any:
        parts = {n: v.view_as(p) for n, v, p in zip(names, vector.split(sizes), values, strict=True)}
        return loss_of(lambda x: torch.func.functional_call(model, parts, (x,)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.func's own, in some versions
        return torch.func.hessian(loss)(torch.cat([value.detach().reshape(-1) for value in values]))


CASES: dict[str, Callable[[Any, Any], tuple[Any, Callable[[Any], Any]]]] = {
    "squares": lambda X, y: (smooth(), lambda f: F.mse_loss(f(X), y)),
    "classes": lambda X, y: (smooth(out=3), lambda f: F.cross_entropy(f(X), (2 * y[:, 0]).long().clamp(0, 2))),
    "relu": lambda X, y: (mlp(4).double(), lambda f: F.smooth_l1_loss(f(X), y)),
    "a line": lambda X, y: (nn.Linear(4, 1).double(), lambda f: ((f(X) - y) ** 2).sum()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_largest_curvature_is_the_explicit_one(case: str) -> None:
    X, y = (each.double() for each in rows(40, 4))
    model, loss_of = CASES[case](X, y)
    expected = float(torch.linalg.eigvalsh(explicit(model, loss_of))[-1])
    parameters = list(model.parameters())
    product = make_hessian_vector_product(loss_of(model), parameters, [1.0] * len(parameters), [0.0] * len(parameters))
    found = find_top_eigenvalue(product, make_start_vector(parameters, None))
    assert found.value == pytest.approx(expected, rel=1e-3)
    assert found.value <= expected * (1 + 1e-9)  # Ritz values come from below
    assert abs(found.value - expected) <= found.error + 1e-9 * expected
    again = find_top_eigenvalue(product, make_start_vector(parameters, found.vector, seed=1))
    assert again.value == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("thousands", [1, 9])
def test_no_curvature_is_known_better_than_its_type_can_hold(thousands: int) -> None:
    X = torch.stack([torch.linspace(20, 70, 300), 1000 * thousands * torch.linspace(1, 0, 300) ** 2], dim=1)
    y = X.sum(dim=1, keepdim=True)
    line = nn.Linear(2, 1)
    parameters = list(line.parameters())
    found = find_top_eigenvalue(
        make_hessian_vector_product(F.mse_loss(line(X), y), parameters, [1.0] * 2, [0.0] * 2),
        make_start_vector(parameters, None),
    )
    whole = np.column_stack([X.double().numpy(), np.ones(300)])
    expected = np.linalg.eigvalsh(2 / 300 * whole.T @ whole)[-1]
    assert found.value != expected
    assert abs(found.value - expected) <= 8 * found.error


def test_the_greatest_is_not_the_largest_in_size() -> None:
    diagonal = torch.tensor([-50.0, 1.0, 3.0, 2.0], dtype=torch.float64)
    found = find_top_eigenvalue(lambda v: diagonal * v, torch.ones(4, dtype=torch.float64))
    assert found.value == pytest.approx(3.0, rel=1e-9)
    assert found.error < 1e-6


@pytest.mark.parametrize("gap", [1e-2, 0.3])
def test_many_eigenvalues_close_together(gap: float) -> None:
    values = torch.cat([torch.linspace(0, 1, 400), torch.tensor([1 + gap])]).double()
    Q = torch.linalg.qr(torch.randn(401, 401, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    start = torch.randn(401, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = find_top_eigenvalue(lambda v: Q @ (values * (Q.T @ v)), start)
    assert abs(found.value - (1 + gap)) <= found.error
    assert found.value == pytest.approx(1 + gap, rel=2e-2)
    assert found.n_products <= 32


def adam_matrix(group: Any, state: Any) -> Any:
    beta1, beta2 = group["betas"]
    t = float(state["step"])
    return (1 - beta1**t) * (torch.sqrt(state["exp_avg_sq"] / (1 - beta2**t)) + group["eps"])


OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any], float]] = {
    "SGD": (lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9), lambda g, s: 1.0, 2 * 1.9),
    "Nesterov": (lambda p: torch.optim.SGD(p, 0.01, 0.9, nesterov=True), lambda g, s: 1.0, 2 * 1.9 / 2.8),
    "decayed": (lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.7), lambda g, s: 1.0, 2.0),
    "Adam": (lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.8, 0.99)), adam_matrix, 2 * 1.8 / 0.2),
    "AdamW": (lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.5), adam_matrix, 38.0),
    "RMSprop": (lambda p: torch.optim.RMSprop(p, lr=1e-3), lambda g, s: s["square_avg"].sqrt() + g["eps"], 2.0),
    "centered": (
        lambda p: torch.optim.RMSprop(p, lr=1e-3, alpha=0.8, centered=True),
        lambda g, s: (s["square_avg"] - s["grad_avg"].square()).sqrt() + g["eps"],
        2.0,
    ),
    "Adagrad": (lambda p: torch.optim.Adagrad(p, lr=1e-2), lambda g, s: s["sum"].sqrt() + g["eps"], 2.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_scaled_curvature_and_its_limit(name: str) -> None:
    """Against P^-1/2 (H + decay) P^-1/2, written out."""
    make, diagonal, most = OPTIMIZERS[name]
    X, y = (each.double() for each in rows(40, 4))
    model = smooth()
    optimizer = make(model.parameters())
    with dl.watch(model, optimizer, every=1) as watch:
        for step in range(6):
            optimizer.zero_grad()
            loss = F.mse_loss(model(X), y)
            loss.backward()
            group = optimizer.param_groups[0]
            H = explicit(model, lambda f: F.mse_loss(f(X), y))
            states = [optimizer.state[p] for p in model.parameters()]
            if step or name in ("SGD", "Nesterov", "decayed"):
                one = [torch.ones_like(p) * diagonal(group, s) for p, s in zip(model.parameters(), states, strict=True)]
                root = torch.cat([each.reshape(-1) for each in one]).rsqrt()
                decay = 0.7 if name == "decayed" else 0.0
                A = root[:, None] * (H + decay * torch.eye(len(H))) * root
                probe = watch.recorder.history.measurements[-1]
                assert probe.sharpness == pytest.approx(float(torch.linalg.eigvalsh(A)[-1]), rel=2e-3)
                assert probe.limit == pytest.approx(most / group["lr"])
            optimizer.step()
    assert len(watch.recorder.history.measurements) >= 5


def test_groups_with_rates_of_their_own_scale_the_curvature() -> None:
    X, y = (each.double() for each in rows(40, 4))
    model = smooth()
    groups = [{"params": model[0].parameters(), "lr": 0.3}, {"params": model[2].parameters(), "lr": 0.01}]
    seen = Preconditioning.from_optimizer(torch.optim.SGD(groups, lr=0.1))
    assert seen is not None
    rates = torch.cat([torch.full((p.numel(),), 0.3 if i < 2 else 0.01) for i, p in enumerate(model.parameters())])
    H = explicit(model, lambda f: F.mse_loss(f(X), y))
    A = rates.sqrt()[:, None] * H * rates.sqrt()
    product = make_hessian_vector_product(F.mse_loss(model(X), y), seen.parameters, seen.scale, seen.weight_decay)
    found = find_top_eigenvalue(product, make_start_vector(seen.parameters, None))
    assert seen.lr * found.value == pytest.approx(float(torch.linalg.eigvalsh(A.double())[-1]), rel=1e-3)
    assert seen.stability_limit == 2.0


QUADRATIC: dict[str, Callable[[Any, float], Any]] = {
    "plain": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "heavy ball": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.8),
    "dampened": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.8, dampening=0.5),
    "Nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.8, nesterov=True),
    "decay": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.5, weight_decay=0.2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUADRATIC)
@pytest.mark.parametrize("part", [0.98, 1.02])
def test_below_the_limit_a_line_converges_and_above_it_does_not(name: str, part: float) -> None:
    X, y = (each.double() for each in rows(40, 4))

    def run(lr: float, epochs: int) -> tuple[Any, float]:
        torch.manual_seed(0)
        model = nn.Linear(4, 1).double()
        optimizer = QUADRATIC[name](model.parameters(), lr)
        with dl.watch(model, optimizer, every=epochs) as watch:
            for _ in range(epochs):
                optimizer.zero_grad()
                loss = F.mse_loss(model(X), y)
                loss.backward()
                optimizer.step()
        return watch, loss.item()

    ratio = run(1e-3, 2)[0].recorder.history.lr_ratios[0]
    watch, loss = run(part * 1e-3 / ratio, 600)
    assert watch.recorder.history.lr_ratios[0] == pytest.approx(part, rel=1e-3)
    assert (loss < 100) == (part < 1)
    assert ("above_limit" in watch.names) == (part > 1)


def test_what_has_no_limit_says_so() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3)
    with dl.watch(model, optimizer, every=5) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            F.mse_loss(model(X), y).backward()
            optimizer.step()
    assert all(probe.limit is None and np.isfinite(probe.sharpness) for probe in watch.recorder.history.measurements)
    assert "no limit is known for the rate of NAdam" in " ".join(str(watch).split())


class OnceOnly(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * 2


def test_what_has_no_second_derivative_cannot_be_told_and_trains_on() -> None:
    X, y = rows()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with dl.watch(model, optimizer, every=1) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            F.mse_loss(OnceOnly.apply(model(X)), y).backward()
            optimizer.step()
    assert watch.names == ()
    assert not watch.recorder.history.measurements
    assert isinstance(watch.recorder.curvature_probe.unavailable_reason, dl.EngineError)
    assert watch.unchecked["above_limit"].key == "watch.refused"
    assert "can be differentiated only once" in " ".join(str(watch).split())


def test_the_products_are_counted_and_no_more_than_allowed() -> None:
    diagonal = torch.linspace(1, 1.3, 60, dtype=torch.float64)
    found = find_top_eigenvalue(lambda v: diagonal * v, torch.ones(60, dtype=torch.float64), max_products=5)
    assert found.n_products == 5


def test_another_direction_that_has_become_the_sharpest_is_found() -> None:
    """The last eigenvector is still one: from it alone, no product would leave it."""
    last, diagonal = torch.tensor([1.0, 0, 0], dtype=torch.float64), torch.tensor([1.0, 3, 2], dtype=torch.float64)
    start = make_start_vector([torch.zeros(3, dtype=torch.float64)], last)
    assert find_top_eigenvalue(lambda v: diagonal * v, start).value == pytest.approx(3.0)
