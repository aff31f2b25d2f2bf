"""What the lessons say of torch without computing it: errors, and where single precision ends."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from descentlab.lessons.course import compute_facts

X = torch.tensor([1.0, 2.0, 3.0])


def measure(W: Any) -> None:
    """Add the gradient of the mean cost on the lesson's rows to W.grad."""
    torch.mean((W * X - X) ** 2).backward()


def test_a_leaf_is_not_updated_in_place() -> None:
    W = torch.zeros(1, requires_grad=True)
    measure(W)
    with pytest.raises(RuntimeError):
        W -= 0.1 * W.grad
    with torch.no_grad():
        W -= 0.15 * W.grad
    assert W.item() == pytest.approx(compute_facts("torch-optim").numbers["W"])
    assert W.is_leaf
    assert W.requires_grad


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_new_weight_is_no_leaf() -> None:
    W = torch.zeros(1, requires_grad=True)
    measure(W)
    W = W - 0.1 * W.grad
    measure(W)
    gradient: Any = W.grad
    with pytest.raises(TypeError):
        W -= 0.1 * gradient
    assert gradient is None


def test_each_line_of_the_loop_does_one_thing() -> None:
    W = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([W], lr=0.15)
    rows = []
    for _ in range(2):
        cost = torch.mean((W * X - X) ** 2)
        for line in (optimizer.zero_grad, cost.backward, optimizer.step):
            line()
            rows.append(("None" if W.grad is None else f"{W.grad.item():.4f}", f"{W.item():.3f}"))
    said = compute_facts("torch-optim").tables["lines"].rows
    assert rows == [(gradient, f"{at:.3f}") for _, gradient, at in said]


def test_single_precision_ends_where_the_lesson_says() -> None:
    numbers = compute_facts("learning-rate").numbers
    W = torch.zeros(1)
    first: dict[str, int] = {}
    for done in range(int(numbers["gradient_overflow"]) + 3):
        gradient = 2 * torch.mean((W * X - X) * X)
        cost = torch.mean((W * X - X) ** 2)
        for name, value in (("cost", cost), ("gradient", gradient)):
            if not torch.isfinite(value):
                first.setdefault(name, done)
        W -= 0.25 * gradient
    assert first["cost"] == numbers["loop_inf"]
    assert abs(first["gradient"] - float(numbers["gradient_overflow"])) <= 2
    assert torch.isnan(W).all()
