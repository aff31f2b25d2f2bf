"""What is proved of growth: sums of powers whose largest is known, printed, however many directions grow."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from descentlab.descent.descent import Descent
from descentlab.doctor.losses import moment_bounds
from descentlab.doctor.losses.diagnose import diagnose_losses
from descentlab.doctor.losses.moment_bounds import growth_lower_bound, growth_upper_bound
from descentlab.doctor.losses.parsing import PrintedLosses, parse_losses
from descentlab.doctor.losses.series import LossSeries
from descentlab.typing import FloatArray


def sums(seed: int, count: int) -> Iterator[tuple[PrintedLosses, FloatArray, FloatArray, list[str]]]:
    """Printed losses that rise at their end, the directions' paces and shares of the last loss, and the texts."""
    rng = np.random.default_rng(seed)
    while count:
        d, n = int(rng.integers(1, 7)), int(rng.integers(3, 31))
        x = 3 * rng.uniform(0.2, 1.2) * (10 ** rng.uniform(-6, 0, d) if rng.random() < 0.5 else rng.uniform(0.5, 1, d))
        paces = np.append((1 - x) ** 2, 1.0)
        weights = 10 ** rng.uniform(-6, 0, d + 1)
        losses = np.power(paces, np.arange(n)[:, np.newaxis]) @ weights
        texts = [f"{loss:.{rng.integers(3, 17)}g}" for loss in losses]
        printed = parse_losses(texts)
        if printed.values[-1] - printed.values[-2] > printed.half_ulps[-1] + printed.half_ulps[-2]:
            count -= 1
            yield printed, paces, weights * paces ** (n - 1.0) / losses[-1], texts


@pytest.mark.slow
def test_the_largest_pace_is_never_below_what_is_proved() -> None:
    for losses, paces, _, _ in sums(seed=1, count=500):
        assert paces.max() >= growth_lower_bound(losses) * (1 - 1e-9)


@pytest.mark.slow
def test_no_direction_with_a_visible_share_is_above_what_is_proved() -> None:
    told = 0
    for losses, paces, shares, _ in sums(seed=2, count=500):
        visible = min(10 * losses.half_ulps[-1] / losses.values[-1], 0.01)
        assert paces[shares >= visible].max() <= growth_upper_bound(losses) * (1 + 1e-6)
        told += math.isfinite(growth_upper_bound(losses))
    assert told > 100


@pytest.mark.slow
def test_the_range_of_the_bound_holds_it_whatever_grows() -> None:
    """At lr 1 a curvature x has P = (1 - x)^2, and the bound is 2 over the largest x."""
    told = 0
    for losses, paces, shares, texts in sums(seed=3, count=400):
        visible = min(10 * losses.half_ulps[-1] / losses.values[-1], 0.01)
        found = diagnose_losses(texts, 1.0)
        if found.lr_bound_range is None or shares[paces.argmax()] < visible:
            continue
        low, high = found.lr_bound_range
        assert low * (1 - 1e-6) <= 2 / (1 + math.sqrt(paces.max())) <= high * (1 + 1e-9)
        told += low > 0
    assert told > 90


def test_two_directions_are_told_apart_from_their_floor() -> None:
    t = np.arange(9.0)
    v = 3.1 + 2 * 0.25**t + 4 * 1.5**t
    assert growth_lower_bound(PrintedLosses(v, 1e-13 * v)) == pytest.approx(1.5, rel=1e-6)


def test_single_losses_by_hand() -> None:
    """m0, m1, m2 = 4, 6, 10: the pencil [[4, 6], [6, 10]] has one order, so the ratio 10 / 6 is all that is certain."""
    losses = PrintedLosses(np.array([4.0, 6.0, 10.0]), np.full(3, 1e-9))
    assert growth_lower_bound(losses) == pytest.approx(10 / 6)
    assert growth_upper_bound(losses) == math.inf  # of three moments with a variance the last may hold an infinite pace


def test_a_share_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments 2, 3, 5 are 1 and 2 evenly. A pace P with share s of the 5 has weight 5 s / P^2, at most Christoffel's

    1 / (1 + (P - 1.5)^2 / 0.25) * 2, so that P is largest where 5 s (1 + 4 (P - 1.5)^2) = 2 P^2.
    """
    monkeypatch.setattr(moment_bounds, "VISIBLE_SHARE", 0.5)
    monkeypatch.setattr(moment_bounds, "VISIBLE_ULPS", 1e13)
    losses = PrintedLosses(np.array([2.0, 3.0, 5.0]), np.full(3, 1e-12))
    assert growth_upper_bound(losses) == pytest.approx(np.roots([8, -30, 25]).max(), rel=1e-6)


def test_losses_far_apart_make_up_for_coarse_digits() -> None:
    coarse = parse_losses([f"{loss:.3f}" for loss in 10 + 1.05 ** np.arange(41.0)])
    near = PrintedLosses(coarse.values[-5:], coarse.half_ulps[-5:])
    assert growth_lower_bound(near) < 1.04 < growth_lower_bound(coarse) <= 1.05


def test_losses_far_apart_bound_the_pace_too(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = parse_losses([f"{loss:.2f}" for loss in 10 * 1.05 ** np.arange(41.0)])
    far = growth_upper_bound(coarse)
    monkeypatch.setattr(moment_bounds, "MAX_HANKEL_STRIDE", 1)
    assert 1.05 <= far < 1.2 < growth_upper_bound(coarse)


def test_a_range_that_begins_far_below_its_end_begins_at_nothing() -> None:
    given = LossSeries(parse_losses("1,2,4"), 0, Descent(lr=1.0), 1, lr_is_known=True)
    assert given.bound_interval(1e12, 1.0) == (0.0, 1.0)
    assert given.bound_interval(1e4, 1.0) == (2 / 101, 1.0)


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
def test_whatever_their_size(size: float) -> None:
    v = 1 + 1.5 ** np.arange(9.0)
    losses, scaled = PrintedLosses(v, 1e-9 * v), PrintedLosses(size * v, 1e-9 * size * v)
    assert (
        growth_lower_bound(scaled)
        == pytest.approx(growth_lower_bound(losses), rel=1e-6)
        == pytest.approx(1.5, rel=1e-4)
    )
    assert growth_upper_bound(scaled) == pytest.approx(growth_upper_bound(losses), rel=1e-3)
    assert growth_upper_bound(losses) < math.inf


def test_losses_that_fell_from_afar() -> None:
    losses = parse_losses("1e300, 1e290, 1.0, 2.0, 4.0")
    assert growth_lower_bound(losses) == pytest.approx(2.0, rel=0.1)
    assert growth_upper_bound(losses) >= 2.0
