"""What is proved of growth: sums of powers whose largest is known, printed, however many directions grow."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from descentlab.descent.descent import Descent
from descentlab.doctor.losses import moment_bounds
from descentlab.doctor.losses.diagnose import Given, of_losses
from descentlab.doctor.losses.moment_bounds import least_pace, most_pace
from descentlab.doctor.losses.parsing import Printed, read
from descentlab.typing import Array


def sums(seed: int, count: int) -> Iterator[tuple[Printed, Array, Array, list[str]]]:
    """Printed losses that rise at their end, the directions' paces and shares of the last loss, and the texts."""
    rng = np.random.default_rng(seed)
    while count:
        d, n = int(rng.integers(1, 7)), int(rng.integers(3, 31))
        x = 3 * rng.uniform(0.2, 1.2) * (10 ** rng.uniform(-6, 0, d) if rng.random() < 0.5 else rng.uniform(0.5, 1, d))
        paces = np.append((1 - x) ** 2, 1.0)
        weights = 10 ** rng.uniform(-6, 0, d + 1)
        losses = np.power(paces, np.arange(n)[:, np.newaxis]) @ weights
        texts = [f"{loss:.{rng.integers(3, 17)}g}" for loss in losses]
        printed = read(texts)
        if printed.values[-1] - printed.values[-2] > printed.halves[-1] + printed.halves[-2]:
            count -= 1
            yield printed, paces, weights * paces ** (n - 1.0) / losses[-1], texts


def test_the_largest_pace_is_never_below_what_is_proved() -> None:
    for losses, paces, _, _ in sums(seed=1, count=1500):
        assert paces.max() >= least_pace(losses) * (1 - 1e-9)


def test_no_direction_with_a_visible_share_is_above_what_is_proved() -> None:
    told = 0
    for losses, paces, shares, _ in sums(seed=2, count=1500):
        visible = min(10 * losses.halves[-1] / losses.values[-1], 0.01)
        assert paces[shares >= visible].max() <= most_pace(losses) * (1 + 1e-6)
        told += math.isfinite(most_pace(losses))
    assert told > 300


def test_the_range_of_the_bound_holds_it_whatever_grows() -> None:
    """At lr 1 a curvature x has P = (1 - x)^2, and the bound is 2 over the largest x."""
    told = 0
    for losses, paces, shares, texts in sums(seed=3, count=800):
        visible = min(10 * losses.halves[-1] / losses.values[-1], 0.01)
        found = of_losses(texts, 1.0)
        if found.lr_bound_range is None or shares[paces.argmax()] < visible:
            continue
        low, high = found.lr_bound_range
        assert low * (1 - 1e-6) <= 2 / (1 + math.sqrt(paces.max())) <= high * (1 + 1e-9)
        told += low > 0
    assert told > 200


def test_two_directions_are_told_apart_from_their_floor() -> None:
    t = np.arange(9.0)
    v = 3.1 + 2 * 0.25**t + 4 * 1.5**t
    assert least_pace(Printed(v, 1e-13 * v)) == pytest.approx(1.5, rel=1e-6)


def test_single_losses_by_hand() -> None:
    """m0, m1, m2 = 4, 6, 10: the pencil [[4, 6], [6, 10]] has one order, so the ratio 10 / 6 is all that is certain."""
    losses = Printed(np.array([4.0, 6.0, 10.0]), np.full(3, 1e-9))
    assert least_pace(losses) == pytest.approx(10 / 6)
    assert most_pace(losses) == math.inf  # of three moments with a variance the last may hold an infinite pace


def test_a_share_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments 2, 3, 5 are 1 and 2 evenly. A pace P with share s of the 5 has weight 5 s / P^2, at most Christoffel's

    1 / (1 + (P - 1.5)^2 / 0.25) * 2, so that P is largest where 5 s (1 + 4 (P - 1.5)^2) = 2 P^2.
    """
    monkeypatch.setattr(moment_bounds, "SHARE", 0.5)
    monkeypatch.setattr(moment_bounds, "VISIBLE", 1e13)
    losses = Printed(np.array([2.0, 3.0, 5.0]), np.full(3, 1e-12))
    assert most_pace(losses) == pytest.approx(np.roots([8, -30, 25]).max(), rel=1e-6)


def test_losses_far_apart_make_up_for_coarse_digits() -> None:
    coarse = read([f"{loss:.3f}" for loss in 10 + 1.05 ** np.arange(41.0)])
    near = Printed(coarse.values[-5:], coarse.halves[-5:])
    assert least_pace(near) < 1.04 < least_pace(coarse) <= 1.05


def test_losses_far_apart_bound_the_pace_too(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = read([f"{loss:.2f}" for loss in 10 * 1.05 ** np.arange(41.0)])
    far = most_pace(coarse)
    monkeypatch.setattr(moment_bounds, "STRIDES", 1)
    assert 1.05 <= far < 1.2 < most_pace(coarse)


def test_a_range_that_begins_far_below_its_end_begins_at_nothing() -> None:
    given = Given(read("1,2,4"), 0, Descent(lr=1.0), 1)
    assert given.range(1e12, 1.0) == (0.0, 1.0)
    assert given.range(1e4, 1.0) == (2 / 101, 1.0)


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
def test_whatever_their_size(size: float) -> None:
    v = 1 + 1.5 ** np.arange(9.0)
    losses, scaled = Printed(v, 1e-9 * v), Printed(size * v, 1e-9 * size * v)
    assert least_pace(scaled) == pytest.approx(least_pace(losses), rel=1e-6) == pytest.approx(1.5, rel=1e-4)
    assert most_pace(scaled) == pytest.approx(most_pace(losses), rel=1e-3)
    assert most_pace(losses) < math.inf


def test_losses_that_fell_from_afar() -> None:
    losses = read("1e300, 1e290, 1.0, 2.0, 4.0")
    assert least_pace(losses) == pytest.approx(2.0, rel=0.1)
    assert most_pace(losses) >= 2.0
