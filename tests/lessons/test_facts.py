"""What lessons claim, against loops written here and figures published elsewhere: not the engines that computed it."""

from __future__ import annotations

import numpy as np
import pytest

from descentlab.data.builtin import EXAM_SCORES
from descentlab.lessons.course import compute_facts
from descentlab.lessons.facts.momentum import diagnose_two_directions
from tests.extras import needs

X = np.array([1.0, 2.0, 3.0])
SCORES, FINALS = np.array(EXAM_SCORES.X), np.array(EXAM_SCORES.y)


def walked(epochs: int, lr: float, factor: float, *, momentum: float = 0.0) -> np.ndarray:
    """W before each update and after the last, on the lesson's rows, by the loop that a learner writes."""
    W, v, seen = 0.0, 0.0, [0.0]
    for _ in range(epochs):
        v = momentum * v + factor * float(np.sum((W * X - X) * X))
        W -= lr * v
        seen.append(W)
    return np.array(seen)


def descended(rows: np.ndarray, lr: float, epochs: int) -> np.ndarray:
    """The mean squared error before each update, with a bias, from zero."""
    Z = np.column_stack([rows, np.ones(len(rows))])
    w, costs = np.zeros(Z.shape[1]), []
    for _ in range(epochs):
        r = Z @ w - FINALS
        costs.append(float(np.mean(r**2)))
        w -= lr * 2 / len(Z) * (Z.T @ r)
    return np.array(costs)


def test_the_first_lessons_loop() -> None:
    facts = compute_facts("epochs")
    W = walked(40, 0.01, 2.0)
    assert facts.numbers["needed"] == int(np.argmax(np.abs(W - 1) < 0.01)) == 15
    assert facts.numbers["faster_needed"] == int(np.argmax(np.abs(walked(40, 0.02, 2.0) - 1) < 0.01))
    np.testing.assert_allclose([float(row[1]) for row in facts.tables["loop"].rows], W[:10], rtol=1e-12)


def test_sum_and_mean() -> None:
    facts = compute_facts("conventions").numbers
    assert facts["end_sum"] == pytest.approx(walked(10, 0.01, 2.0)[-1])
    assert facts["end_mean"] == pytest.approx(walked(10, 0.01, 2 / 3)[-1])
    assert facts["hand_second"] == pytest.approx(walked(1, 0.1, 1.0)[1]) == pytest.approx(walked(1, 0.15, 2 / 3)[1])


def test_gradients_that_are_never_cleared() -> None:
    facts = compute_facts("torch-optim").numbers
    W = walked(1000, 0.15, 2 / 3, momentum=1.0)
    assert facts["lowest"] == pytest.approx(W.min())
    assert facts["highest"] == pytest.approx(W.max())
    assert (round(W.min(), 2), round(W.max(), 2)) == (-0.24, 2.24)


def test_rates() -> None:
    rows = compute_facts("learning-rate").tables["rates"].rows
    for lr, kept, after, needed, _ in rows:
        assert kept == pytest.approx(1 - float(lr) * 28 / 3, abs=1e-8)
        assert after == pytest.approx(walked(10, float(lr), 2 / 3)[-1], abs=1e-8)
        far = np.flatnonzero(np.abs(walked(400, float(lr), 2 / 3) - 1) > 0.01)
        assert str(needed).isdigit() == (far[-1] < 400)
        if str(needed).isdigit():
            assert int(needed) == far[-1] + 1


def test_exam_scores_as_they_are_and_standardized() -> None:
    """The condition numbers and the crossing that were published with the course's rows."""
    scaled = (SCORES - SCORES.mean(0)) / SCORES.std(0)
    facts = compute_facts("scaling").numbers
    conditions = [np.linalg.cond(np.column_stack([rows, np.ones(5)])) ** 2 for rows in (SCORES, scaled)]
    assert conditions == [pytest.approx(6_860_423, rel=1e-6), pytest.approx(1_276, rel=1e-3)]
    assert conditions == [pytest.approx(facts["raw_condition"]), pytest.approx(facts["condition"])]
    worse = np.flatnonzero(descended(scaled, 0.1, 100) > descended(SCORES, 1e-5, 100))
    assert int(worse[-1]) + 1 == facts["behind"] == 23
    assert compute_facts("several-features").numbers["epochs"] == 31_770_862


@needs("torch")
def test_the_float32_loop_that_adds_up_first() -> None:
    x, W, updates = X.astype(np.float32), np.float32(0), 0
    with np.errstate(over="ignore"):
        while np.isfinite(doubled := np.float32(2) * np.sum((W * x - x) * x)):
            W, updates = np.float32(W - np.float32(0.25) * doubled / np.float32(3)), updates + 1
    numbers = compute_facts("learning-rate").numbers
    assert updates == numbers["loop_gradient_inf"] == 297
    sooner = [float(numbers[name]) for name in ("loop_inf", "cost_overflow", "gradient_overflow")]
    assert sooner[0] < sooner[1] < updates < sooner[2]


def last_outside(condition: float, lr: float, momentum: float) -> int:
    """From how many epochs on two weights, both 1 off at first, stay within a hundredth."""
    curvatures, error, v, outside = np.array([condition, 1.0]), np.ones(2), np.zeros(2), 0
    for epoch in range(1, 2000):
        v = momentum * v + curvatures * error
        error = error - lr * v
        outside = epoch if np.abs(error).max() > 0.01 else outside
    return outside + 1


def test_the_pair_of_the_rule_and_a_quicker_one() -> None:
    numbers, root = compute_facts("momentum").numbers, 10.0
    assert last_outside(100, 4 / (root + 1) ** 2, ((root - 1) / (root + 1)) ** 2) == numbers["low_epochs"]
    quickest = diagnose_two_directions(100).rates["fastest_pair"]
    assert last_outside(100, quickest.lr, quickest.momentum or 0.0) == numbers["tuned_epochs"] == 30


def test_an_error_left_in_the_flattest_direction() -> None:
    Z = np.column_stack([SCORES, np.ones(5)])
    flattest = 2 * float(np.linalg.svd(Z, compute_uv=False)[-1]) ** 2 / 5
    numbers = compute_facts("several-features").numbers
    assert numbers["left"] == pytest.approx(100 * (1 - 1e-5 * flattest) ** 1_000_000, rel=1e-6)
