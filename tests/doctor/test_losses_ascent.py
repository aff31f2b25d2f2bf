"""Whether losses tell a gradient that is added from too large a rate: against loops that do one or the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from descentlab.doctor.losses.diagnose import LossDiagnosis, diagnose_losses
from descentlab.typing import FloatArray


def loop(
    A: FloatArray, y: FloatArray, lr: float, epochs: int, *, sign: float = -1.0, momentum: float = 0.0
) -> list[float]:
    """Mean squared errors, each before its update, of a loop that moves by ``sign`` times the gradient."""
    w, step, losses = np.zeros(A.shape[1]), np.zeros(A.shape[1]), []
    for _ in range(epochs):
        r = A @ w - y
        losses.append(float(np.mean(r * r)))
        step = momentum * step + 2 / len(y) * A.T @ r
        w = w + sign * lr * step
    return [each for each in losses if each < 1e30]


def data(seed: int, count: int) -> Iterator[tuple[FloatArray, FloatArray, float, np.random.Generator]]:
    """Columns, targets, and the largest stable rate of a plain descent on them."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        n, d = int(rng.integers(5, 40)), int(rng.integers(1, 5))
        A = np.column_stack([rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, size=d), np.ones(n)])
        y = A @ rng.normal(size=d + 1) + rng.choice([0.0, 1.0]) * rng.normal(size=n)
        yield A, y, 2 / float(np.linalg.eigvalsh(2 / n * A.T @ A).max()), rng


def printed(losses: list[float], digits: int) -> list[str]:
    return [f"{loss:.{digits}g}" for loss in losses]


def is_blamed_on_the_rate_alone(found: LossDiagnosis) -> bool:
    return found.verdict == "diverges" and not found.may_be_ascent


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_ascent_is_never_blamed_on_the_rate_alone(momentum: float) -> None:
    said = 0
    for i, (A, y, bound, rng) in enumerate(data(seed=1, count=80)):
        lr = bound * 10 ** rng.uniform(-2, 1)
        losses = loop(A, y, lr, int(rng.integers(4, 30)), sign=1.0, momentum=momentum)
        if len(losses) < 3 or len(set(printed(losses, 4))) == 1:
            continue
        found = diagnose_losses(printed(losses, (4, 7, 17)[i % 3]), lr, momentum=momentum)
        assert not is_blamed_on_the_rate_alone(found)
        said += found.may_be_ascent
    assert said > (70 if momentum == 0 else 50)


def test_the_bound_of_the_right_sign() -> None:
    """Given for an ascent with all its digits, it is that of the spectrum."""
    told = 0
    for A, y, bound, rng in data(seed=2, count=40):
        lr = bound * 10 ** rng.uniform(-1, 1)
        found = diagnose_losses(loop(A, y, lr, 25, sign=1.0), lr)
        if found.lr_bound_if_ascent is not None:
            assert found.lr_bound_if_ascent == pytest.approx(bound, rel=0.25)
            told += 1
    assert told > 20


def test_too_large_a_rate_is_told_from_an_ascent_while_a_direction_fades() -> None:
    told = total = 0
    for A, y, bound, rng in data(seed=3, count=60):
        lr = bound * (1 + 10 ** rng.uniform(-2, -0.5))
        losses = loop(A, y, lr, 40)
        if losses[-1] > losses[-2]:
            total += 1
            told += is_blamed_on_the_rate_alone(diagnose_losses(losses, lr))
    assert told > 0.8 * total > 30


@pytest.mark.parametrize("times", [1.3, 6.0])
def test_one_direction_fits_both(times: float) -> None:
    """(lr c - 1)^2 and (1 + lr c')^2 with lr c' = lr c - 2: the same losses to the last digit."""
    x, y = np.array([[1.0], [2.0]]), np.array([1.0, 2.0])
    curvature = 5.0
    lr, other = 2 * times / curvature, (2 * times - 2) / curvature
    found = diagnose_losses(loop(x, y, lr, 10), lr)
    np.testing.assert_allclose(loop(x, y, lr, 10), loop(x, y, other, 10, sign=1.0))
    assert found.may_be_ascent
    assert found.lr_bound == pytest.approx(2 / curvature)
    assert found.lr_bound_if_ascent == pytest.approx(lr / (times - 1))
    assert [each.name for each in found.findings][:2] == ["losses_diverge", "losses_ascent"]
    advice = found.findings[1].advice
    assert advice is not None
    assert ("lower the learning rate" in advice.text("en")) == (times > 2)  # lr is above lr / (times - 1)


def test_a_step_at_the_rate_advised_decides() -> None:
    for A, y, bound, rng in data(seed=4, count=30):
        for sign in (-1.0, 1.0):
            lr = bound * (2 + 5 * rng.random())
            losses = loop(A, y, lr, 8, sign=sign)
            advice = diagnose_losses(losses, lr).findings[0].advice
            assert advice is not None
            if "small" in advice.values:
                before, after = loop(A, y, float(str(advice.values["small"])), 2, sign=sign)
                assert (after < before) == (sign < 0)


@pytest.mark.parametrize("times", [1.05, 1.3, 2.0])
def test_a_fall_is_no_ascent_even_under_momentum(times: float) -> None:
    """Curvatures 9 and 1: the steep direction grows from a small error while the other one falls."""
    A, lr = np.diag([3.0, 1.0]), times * 2 * 1.9 / 9
    losses = loop(A, A @ np.array([1e-3, 1.0]), lr, 80, momentum=0.9)
    assert losses[1] < losses[0]
    found = diagnose_losses(losses, lr, momentum=0.9)
    assert is_blamed_on_the_rate_alone(found)
    assert "they never fall" in " ".join(found.text("en").split())


def test_the_rounding_of_a_float32_loop_is_no_fall() -> None:
    """From weights near the minimum, printed with more digits than float32 keeps."""
    for A, y, bound, rng in data(seed=7, count=60):
        near = np.linalg.lstsq(A, y, rcond=None)[0] * (1 + 1e-3 * rng.normal(size=A.shape[1]))
        A32, y32, w, losses = A.astype(np.float32), y.astype(np.float32), near.astype(np.float32), []
        for _ in range(25):
            r = A32 @ w - y32
            losses.append(float(np.mean(r * r)))
            w = w + np.float32(0.3 * bound * 2 / len(y)) * (A32.T @ r)
        if len(set(printed(losses, 8))) > 1 and losses[0] > 1e-3:  # no exact fit
            found = diagnose_losses(printed(losses, 8), 0.3 * bound)
            assert not is_blamed_on_the_rate_alone(found)
            assert found.findings[0].name != "losses_not_plain"


def test_growth_that_slows_is_no_ascent() -> None:
    """Never a fall, but the steps grow by ever smaller factors: 0.25^t fades, and its end speeds up the first steps."""
    t = np.arange(9.0)
    losses = 100 + 1.21**t + 0.25 * 0.25**t
    assert (np.diff(losses) > 0).all()
    assert is_blamed_on_the_rate_alone(diagnose_losses(losses, 0.1))
    assert "The gradient is subtracted" in " ".join(diagnose_losses(losses, 0.1).text("en").split())
