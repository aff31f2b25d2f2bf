"""Loops that are right and have come to where only rounding is left: the doctor must not look for a mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.observed.compare import compare_observed
from descentlab.doctor.observed.comparison import ObservedComparison
from descentlab.doctor.observed.losses import ObservedLosses
from descentlab.typing import FLOAT32_UNIT_ROUNDOFF
from tests.extras import optional


def losses(
    problem: dl.Problem, descent: dl.Descent, dtype: Any = np.float64, gradient_of: str | None = None
) -> list[float]:
    """What a loop as people write it prints before each update, all of it in one type."""
    X, y = problem.rows().X.astype(dtype), problem.rows().y.astype(dtype)
    n, d = X.shape
    of_sum = (gradient_of or descent.reduction) == "sum"
    c, lr, mu = dtype(2 if of_sum else 2 / n), dtype(descent.lr), dtype(descent.momentum)
    W, b, vW, vb = np.zeros(d, dtype), dtype(0), np.zeros(d, dtype), dtype(0)
    printed = []
    for _ in range(descent.epochs):
        r = X @ W + b - y
        printed.append(float((r * r).sum() if descent.reduction == "sum" else (r * r).mean()))
        vW = mu * vW + c * (X.T @ r)
        vb = mu * vb + c * r.sum()
        W = W - lr * vW
        if problem.bias:
            b = b - lr * vb
    assert np.isfinite(W).all()
    return printed


def exact_fit(rng: np.random.Generator) -> tuple[dl.Problem, dl.Descent]:
    """Any size of data that a line fits without error, and a descent on it below its bound."""
    n, d = int(rng.choice([4, 10, 100, 1000])), int(rng.integers(1, 4))
    X = rng.normal(size=(n, d)) + rng.choice([0, 1, 5])
    if rng.integers(2):
        X = np.round(4 * X) / 4
    bias = bool(rng.integers(2))
    problem = dl.Problem(X, X @ np.round(rng.normal(size=d) * 3) + 2 * bias, bias=bias)
    reduction = str(rng.choice(["mean", "sum"]))
    momentum = float(rng.choice([0.0, 0.0, 0.9]))
    lr = float(rng.choice([0.01, 0.05, 0.3, 0.8])) * problem.spectrum(reduction).lr_bound()
    epochs = int(rng.choice([100, 1000, 4000]))
    return problem, dl.Descent(lr=lr, reduction=reduction, momentum=momentum, epochs=epochs)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loop_at_its_floor_agrees(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        problem, descent = exact_fit(rng)
        printed = losses(problem, descent, dtype)
        for observed in (printed, printed[-1], [f"{loss:.6g}" for loss in printed], f"{printed[-1]:.4f}"):
            found = compare_observed(problem, descent, observed)
            assert [finding.name for finding in found] == ["observed_agrees"], (problem, descent)


def test_the_lessons_in_torch() -> None:
    torch = optional("torch")
    x, y = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[3.0], [5.0], [7.0]])
    W, b = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=0.1)
    seen = []
    for _ in range(1000):
        cost = torch.mean((x * W + b - y) ** 2)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        seen.append(float(cost.detach()))
    problem = dl.Problem([1, 2, 3], [3, 5, 7])
    for observed in (seen, seen[-1]):
        (found,) = compare_observed(problem, dl.Descent(lr=0.1, epochs=1000), observed)
        assert found.name == "observed_agrees"
        assert "The remaining difference is rounding" in found.text("en")
        assert isinstance(found.numbers["difference"], float)
        assert found.numbers["difference"] <= 0.05  # of what rounding makes of a number, no per cent is said


def test_the_rounding_of_the_lesson_is_no_mistake() -> None:
    lesson = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    descent = dl.Descent(lr=0.15, epochs=100)
    for dtype in (np.float32, np.float64):
        printed = losses(lesson, descent, dtype)
        for observed in (printed, printed[-1]):
            assert [finding.name for finding in compare_observed(lesson, descent, observed)] == ["observed_agrees"]


def test_above_the_floor_nothing_is_forgiven() -> None:
    """A loss a thousand times beyond what rounding makes is not that of the stated descent."""
    lesson = dl.Problem([1, 2, 3], [3, 5, 7])
    descent = dl.Descent(lr=0.1, epochs=1000)
    floor = float(
        ObservedComparison(lesson, descent, ObservedLosses.from_losses(1.0, 1000)).rounding_tolerance(
            FLOAT32_UNIT_ROUNDOFF
        )[-1]
    )
    assert 1e-13 < floor < 1e-9
    names = [finding.name for finding in compare_observed(lesson, descent, 1000 * floor)]
    assert names == ["not_the_rate"]


def test_mistakes_are_named_though_they_end_at_the_floor() -> None:
    """The gradient of a sum under a printed mean, in float32: most of its numbers are rounding, the first are not."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(6, 1)) + 1
        problem = dl.Problem(X, 2 * X[:, 0] + 1)
        descent = dl.Descent(lr=0.3 * problem.spectrum("sum").lr_bound(), epochs=400)
        found = compare_observed(problem, descent, losses(problem, descent, np.float32, gradient_of="sum"))
        assert [finding.name for finding in found] == ["gradient_convention"]
        assert found[0].numbers["gradient"] == "sum"
