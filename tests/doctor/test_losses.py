"""Printed losses: bounds against the spectrum of problems whose losses they are, never against recorded answers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent import recursion
from descentlab.doctor.finding import Severity
from descentlab.doctor.losses.diagnose import LossDiagnosis, diagnose_losses
from descentlab.doctor.losses.parsing import parse_losses
from descentlab.errors import SettingError
from tests.extras import optional

SETTINGS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.5},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.4},
    {"momentum": 0.9, "nesterov": True},
]


def names(found: LossDiagnosis) -> list[str]:
    return [finding.name for finding in found.findings]


def printed(losses: Any, digits: int) -> list[str]:
    return [f"{loss:.{digits}g}" for loss in losses]


def problems(seed: int, count: int) -> Iterator[tuple[dl.Problem, np.random.Generator]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        n, d = int(rng.integers(5, 30)), int(rng.integers(1, 4))
        X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, size=d) + rng.integers(0, 3)
        yield dl.Problem(X, rng.normal(size=n) * 10 ** rng.uniform(-1, 2) + 5 * rng.normal()), rng


def runs(
    settings: dict[str, Any], seed: int, count: int, over: tuple[float, float]
) -> Iterator[tuple[Any, float, float, float]]:
    """Losses by the engine ``hand``, the rate, the true bound, and the true ratio of successive losses far out."""
    for problem, rng in problems(seed, count):
        spectrum = problem.spectrum()
        bound = spectrum.lr_bound(**settings)
        lr = bound * (1 + 10 ** rng.uniform(*over))
        start = rng.normal(size=len(problem.parameters))
        epochs = int(rng.integers(12, 80))
        run = dl.descend(problem, engine="hand", lr=lr, epochs=epochs, start=start, growth_limit=np.inf, **settings)
        losses = run.history.cost[np.isfinite(run.history.cost)]
        growth = float(np.abs(recursion.convergence_factor(lr * spectrum.eigenvalues, **settings)).max())
        yield losses, lr, bound, growth**2


def dominated(losses: Any, ratio: float) -> bool:
    """Whether one direction has all but a hundredth of the last change."""
    return (
        bool(losses[-3] < losses[-2] < losses[-1]) and abs(np.diff(losses)[-1] / np.diff(losses)[-2] / ratio - 1) < 0.01
    )


class TestTheQuestionAsked:
    """Losses 36.4, 43.9, 53.0 at lr 0.01: (53.0 - 43.9) / (43.9 - 36.4) = g^2, bound = 2 lr / (1 + g)."""

    found = diagnose_losses("36.4,43.9,53.0", 0.01)

    def test_bound_by_hand(self) -> None:
        assert self.found.verdict == "diverges"
        assert self.found.factor == pytest.approx(-math.sqrt(9.1 / 7.5))
        assert self.found.lr_bound == pytest.approx(0.02 / (1 + math.sqrt(9.1 / 7.5)))
        assert self.found.curvature == pytest.approx((1 + math.sqrt(9.1 / 7.5)) / 0.01)
        assert self.found.lr_over_bound == pytest.approx((1 + math.sqrt(9.1 / 7.5)) / 2)

    def test_range_by_hand(self) -> None:
        """If one direction grows, the largest ratio of differences that rounding allows; the least ratio of losses."""
        evidence = self.found.findings[0].numbers
        assert evidence["alone_low"] == pytest.approx(0.02 / (1 + math.sqrt(9.2 / 7.4)))
        assert evidence["alone_high"] == pytest.approx(0.02 / (1 + math.sqrt(52.95 / 43.95)))

    def test_more_directions_may_grow_behind_the_same_digits(self) -> None:
        """Errors that grow by 1.15 and 1.26 print 36.4, 43.9, 53.0 too, and 1.26 > 9.2 / 7.4."""
        losses = 18.2 * 1.15 ** np.arange(3.0) + 18.2 * 1.26 ** np.arange(3.0)
        assert [f"{loss:.1f}" for loss in losses] == ["36.4", "43.9", "53.0"]
        assert self.found.lr_bound_range is not None
        low, high = self.found.lr_bound_range
        evidence: dict[str, Any] = dict(self.found.findings[0].numbers)
        assert 0 < low < 0.02 / (1 + math.sqrt(1.26)) < evidence["alone_low"]
        assert high == evidence["alone_high"]

    def test_words(self) -> None:
        text = " ".join(self.found.text("en").split())
        for words in (
            "about 0.009517 (",
            "1.05 times",
            "0.009456 to 0.009535",
            "by about -1.1.",
            "as low as 0.00607",
            "half the estimated bound, 0.00475",
            "If this is descent, the bound is in any case at most 0.009535",
            "is too large, or the gradient is added instead of subtracted.",
        ):
            assert words in text
        assert "발산합니다" in self.found.text("ko")
        assert self.found.findings[0].severity is Severity.PROBLEM

    def test_however_it_is_written(self) -> None:
        for given in ([36.4, 43.9, 53.0], ("36.4", "43.9", "53.0"), " 36.4 43.9\n53.0 ", np.array([36.4, 43.9, 53.0])):
            assert diagnose_losses(given, 0.01).to_dict() == self.found.to_dict()

    def test_it_is_json(self) -> None:
        for given in ("36.4,43.9,53.0", "1e30 1e34 1e38 inf", "100,60,80", "4,3,2.5,2.25"):
            content = json.loads(json.dumps(diagnose_losses(given, 0.01).to_dict(), allow_nan=False))
            assert content["verdict"] == diagnose_losses(given, 0.01).verdict


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("digits", [3, 5, 17])
def test_the_true_bound_is_in_the_range(settings: dict[str, Any], digits: int) -> None:
    inside, told = [], 0
    for i, (losses, lr, bound, ratio) in enumerate(runs(settings, seed=digits, count=30, over=(-2.0, 0.3))):
        last = losses[-(3 + i % 8) :]
        if not dominated(losses, ratio) or len(set(printed(last, digits))) == 1:
            continue
        found = diagnose_losses(printed(last, digits) if digits < 17 else last, lr, **settings)
        if found.lr_bound_range is not None:
            low, high = found.lr_bound_range
            inside.append(low * (1 - 1e-9) <= bound <= high * (1 + 1e-9))
        told += found.verdict == "diverges"
    assert all(inside)
    assert told > (20 if not settings else 10)  # under momentum, three or four losses may be a swing


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_late_losses_with_all_their_digits_give_the_bound_to_a_thousandth(settings: dict[str, Any]) -> None:
    told = 0
    for losses, lr, bound, ratio in runs(settings, seed=3, count=40, over=(-1.0, 0.3)):
        if len(losses) > 10 and dominated(losses, ratio) and losses[-1] > 1e6 * losses[0]:
            found = diagnose_losses(losses[-8:], lr, **settings)
            assert found.verdict == "diverges"
            assert found.lr_bound == pytest.approx(bound, rel=1e-3)
            told += 1
    assert told > 10


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_stable_run_is_never_called_diverging(settings: dict[str, Any]) -> None:
    for problem, rng in problems(seed=8, count=75):
        bound = problem.spectrum().lr_bound(**settings)
        lr = bound * (1 - 10 ** rng.uniform(-3, 0))
        start = rng.normal(size=len(problem.parameters))
        run = dl.descend(problem, engine="hand", lr=lr, epochs=60, start=start, **settings)
        first = int(rng.integers(0, 50))
        for digits in (3, 17):
            losses = printed(run.history.cost[first : first + int(rng.integers(3, 11))], digits)
            if len(set(losses)) > 1:
                found = diagnose_losses(losses, lr, **settings)
                assert found.verdict != "diverges"
                if found.lr_bound_range is not None:
                    low, high = found.lr_bound_range
                    assert low * (1 - 1e-9) <= bound <= high * (1 + 1e-9)
                if not settings and found.limit is not None:  # slower directions can only take it lower
                    assert problem.solve().cost <= found.limit * 1.05 + 1e-9


@pytest.mark.parametrize(("momentum", "dampening"), [(0.5, 0.0), (0.9, 0.4)])
def test_the_heavy_ball_by_its_root(momentum: float, dampening: float) -> None:
    """The error r^t of one direction, r = -1.3: lr * curvature from its characteristic equation."""
    found = diagnose_losses(1.3 ** (2 * np.arange(8.0)), 0.1, momentum=momentum, dampening=dampening)
    assert found.curvature is not None
    x = 0.1 * found.curvature
    assert np.roots([1, -(1 + momentum - (1 - dampening) * x), momentum]).min() == pytest.approx(-1.3)
    assert found.lr_bound == pytest.approx(0.1 * recursion.stability_limit(momentum, dampening) / x)


def test_every_n_epochs() -> None:
    losses = 3.0 + 2.0 * 1.1 ** (2 * 5 * np.arange(6.0))
    found = diagnose_losses(losses, 0.01, every=5)
    assert found.factor == pytest.approx(-1.1)
    assert found.lr_bound == pytest.approx(0.02 / 2.1)
    assert names(found) == ["losses_diverge", "losses_ascent"]
    assert "losses_every" in names(diagnose_losses(losses, 0.01, every=5, momentum=0.5))


def test_the_floor_does_not_matter() -> None:
    for floor in (0.0, 1.0, 1e3):
        found = diagnose_losses(floor + 1.2 ** (2 * np.arange(8.0)), 0.1)
        assert found.lr_bound == pytest.approx(0.2 / 2.2, rel=1e-6)


def test_a_large_floor_and_a_fading_direction_leave_the_bound_told() -> None:
    """The growing direction is a hundredth of the losses: their ratio tells next to nothing, their differences all."""
    t = np.arange(9.0)
    found = diagnose_losses(1000 + 3 * 0.5 ** (2 * t) + 1.1 ** (2 * t), 0.1)
    assert found.lr_bound == pytest.approx(0.2 / 2.1, rel=1e-3)
    evidence: dict[str, Any] = dict(found.findings[0].numbers)
    low, high = evidence["alone_low"], evidence["alone_high"]
    assert low <= 0.2 / 2.1 <= high < 1.001 * low
    assert found.lr_bound_range == (0.0, high)


def test_growing_directions_that_are_near_one_another_widen_the_range() -> None:
    t = np.arange(9.0)
    found = diagnose_losses(1.2 ** (2 * t) + 2 * 1.15 ** (2 * t), 0.1)
    assert found.lr_bound_range is not None
    assert found.lr_bound_range[0] <= 0.2 / 2.2 <= found.lr_bound_range[1]
    assert "losses_unsettled" in names(found)


def test_a_pace_that_is_only_rounding_is_not_told() -> None:
    """The drops are alike to the last digit printed; their ratio would make the rate nearly the largest stable one."""
    losses = "22.3755,22.3745,22.3734,22.3724,22.3714,22.3704,22.3694,22.3684,22.3673,22.3663,22.3653,22.3643"
    found = diagnose_losses(losses, 1e-5)
    assert names(found) == ["losses_steady"]
    assert found.lr_bound_range is None


@pytest.mark.parametrize("growth", [1.02, 1.1, 1.9])
@pytest.mark.parametrize("digits", [3, 4, 6])
def test_the_printed_estimate_is_in_its_printed_range(growth: float, digits: int) -> None:
    """All three are rounded to the same digits, the range outwards."""
    for offset in np.linspace(0, 3, 7):
        losses = offset + 7.3 * growth ** (2 * np.arange(6.0)) + 2 * 0.4 ** np.arange(6.0)
        text = " ".join(diagnose_losses([f"{loss:.{digits}g}" for loss in losses], 1e-5).text("en").split())
        found = re.search(r"about (\S+) \((\S+) to (\S+)\)", text)
        if found:
            estimate, low, high = map(float, found.groups())
            assert low <= estimate <= high


@pytest.mark.parametrize("second", [1.15, 1.19, 1.1999])
def test_paces_that_are_said_to_differ_are_printed_with_digits_that_differ(second: float) -> None:
    t = np.arange(9.0)
    found = diagnose_losses(1.2 ** (2 * t) + 2 * second ** (2 * t), 0.1)
    for finding in found.findings:
        if finding.name == "losses_unsettled":
            before, last = finding.messages[0].values["before"], finding.messages[0].values["last"]
            assert before != last


class TestFalling:
    def test_a_rate_above_the_bound_is_not_ruled_out(self) -> None:
        """The growing direction is a billionth of the loss at first, and 2 over its curvature is below lr."""
        t = np.arange(8.0)
        found = diagnose_losses(2.0 + 5 * 0.8 ** (2 * t) + 1e-9 * 1.1 ** (2 * t), 0.1)
        assert found.verdict == "converges-monotone"
        assert found.lr_bound_range is not None
        low, high = found.lr_bound_range
        assert low <= 0.2 / 2.1 < 0.1 < high
        assert "Falling losses do not prove that the rate is stable: a steep" in " ".join(found.text("en").split())

    def test_momentum_tells_no_range(self) -> None:
        assert diagnose_losses(2.0 + 5 * 0.95 ** (2 * np.arange(8.0)), 0.1, momentum=0.5).lr_bound_range is None

    def test_limits_are_said_on_their_condition(self) -> None:
        for losses in (2.0 + 5 * 0.95 ** (2 * np.arange(8.0)), 5 * 0.95 ** (2 * np.arange(8.0))):
            assert "If no slower direction appears" in " ".join(diagnose_losses(losses, 0.1).text("en").split())

    def test_a_second_direction_that_has_nearly_faded_is_no_hindrance(self) -> None:
        t = np.arange(8.0)
        found = diagnose_losses(2.0 + 5 * 0.95 ** (2 * t) + 1e-3 * 0.5 ** (2 * t), 0.1)
        assert found.verdict == "converges-monotone"
        assert found.limit == pytest.approx(2.0, rel=1e-3)

    def test_limit_and_pace(self) -> None:
        found = diagnose_losses(2.0 + 5 * 0.95 ** (2 * np.arange(8.0)), 0.1)
        assert found.verdict == "converges-monotone"
        assert found.factor == pytest.approx(0.95)
        assert found.limit == pytest.approx(2.0)
        left = 5 * 0.95**14 / 0.02  # what is above the limit, in hundredths of it
        assert found.epochs_to_tolerance == math.ceil(math.log(left) / -math.log(0.95**2))

    def test_both_readings_are_said(self) -> None:
        found = diagnose_losses(2.0 + 5 * 0.95 ** (2 * np.arange(8.0)), 0.1)
        reading = found.findings[1]
        assert reading.name == "losses_two_readings"
        assert reading.numbers["bound_at_most"] == pytest.approx(0.2 / 0.05)
        assert reading.numbers["bound_if_overshooting"] == pytest.approx(0.2 / 1.95)
        assert found.lr_bound is None
        assert found.curvature is None

    def test_coarse_digits_are_made_up_for_by_many_losses(self) -> None:
        """Neighbours differ by a few units of the last place; losses far apart tell the limit all the same."""
        found = diagnose_losses(printed(2.0 + 5 * 0.98 ** (2 * np.arange(60.0)), 3), 0.1)
        assert found.verdict == "converges-monotone"
        assert found.factor == pytest.approx(0.98, abs=0.002)
        assert found.limit == pytest.approx(2.0, abs=0.1)

    def test_the_lesson_goes_to_zero(self) -> None:
        problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
        run = dl.descend(problem, lr=0.01, reduction="sum", epochs=10)
        found = diagnose_losses([f"{cost:.6f}" for cost in run.history.cost], 0.01)
        assert (found.verdict, found.limit) == ("converges-monotone", 0.0)
        assert found.factor == pytest.approx(0.72, rel=1e-5)
        assert found.epochs_to_tolerance == math.ceil(math.log(100) / -math.log(0.72**2))

    def test_too_slow(self) -> None:
        """Five prints a hundred epochs apart: more epochs to come than ten times those printed."""
        found = diagnose_losses("6.4966, 6.4014, 6.3101, 6.2225, 6.1383", 1e-5, every=100)
        assert found.verdict == "too slow"
        assert found.findings[0].name == "losses_too_slow"
        assert found.epochs_to_tolerance is not None
        assert found.epochs_to_tolerance > 4000
        assert "0.9998" in found.text("en")

    @pytest.mark.parametrize(("pace", "every"), [(0.8, 100), (0.95, 1)])
    def test_slow_is_both_many_epochs_and_many_times_those_printed(self, pace: float, every: int) -> None:
        """2,073 epochs to come after 700 are not ten times as many, and 101 after 7 are not a thousand."""
        found = diagnose_losses(2.0 + 5 * pace ** np.arange(8.0), 0.1, every=every)
        assert found.verdict == "converges-monotone"
        assert found.epochs_to_tolerance is not None
        assert found.epochs_to_tolerance > (1000 if every > 1 else 70)

    def test_momentum_readings(self) -> None:
        """The direction that fades by 0.98 under momentum 0.9: the two x with that root."""
        found = diagnose_losses(2.0 + 5 * 0.98 ** (2 * np.arange(8.0)), 0.1, momentum=0.9)
        for sign, name in ((1, "bound_if_overshooting"), (-1, "bound_at_most")):
            x = 1.9 + sign * (0.98 + 0.9 / 0.98)
            assert found.findings[1].numbers[name] == pytest.approx(0.1 * 3.8 / x, rel=1e-4)
            assert abs(float(recursion.convergence_factor(np.array(x), momentum=0.9))) == pytest.approx(0.98)


class TestCannotTell:
    @pytest.mark.parametrize(
        ("losses", "settings", "name"),
        [
            ("4.67,2.42,1.25", {}, "losses_unsettled"),  # three falling losses
            ("10,20,15,30,12", {}, "losses_not_plain"),  # mini-batches
            ("10,9,9,9", {}, "losses_level"),
            ("10,9,8,7", {}, "losses_steady"),
            ("1.0,2.1,4.4", {"momentum": 0.9}, "losses_upswing"),
            ("5.0,3.0,4.0,3.5", {"momentum": 0.9}, "losses_swing_unclear"),
            ("1,2,4,8,16", {"momentum": 0.9, "dampening": 1.0}, "losses_no_bound"),
        ],
    )
    def test_it_says_so(self, losses: str, settings: dict[str, Any], name: str) -> None:
        found = diagnose_losses(losses, 0.01, **settings)
        assert found.verdict == "cannot tell"
        assert name in names(found)
        assert found.lr_bound is None
        assert found.text("en") != found.text("ko")

    def test_a_floor_in_three_losses_gives_no_number(self) -> None:
        """36.4 -> 36.5 -> 40 may be growth of any size above the ratio of the last two."""
        for losses in ("36.4,36.5,40", "100,60,80"):
            found = diagnose_losses(losses, 0.01)
            assert found.verdict == "diverges"
            assert found.lr_bound is None
            assert found.lr_bound_range is not None
            low, high = found.lr_bound_range
            a, b = (float(each) for each in losses.split(",")[1:])
            half = 0.05 if "." in losses else 0.5
            other = 0.5  # "40" and "80" are whole
            assert low == 0.0
            assert high == pytest.approx(0.02 / (1 + math.sqrt((b - other) / (a + half))))

    def test_falling_then_rising_diverges(self) -> None:
        losses = 5 * 0.6 ** np.arange(12.0) + 0.001 * 1.3 ** (2 * np.arange(12.0))
        found = diagnose_losses(printed(losses, 5), 0.01)
        assert found.verdict == "diverges"
        assert found.lr_bound_range is not None
        assert found.lr_bound_range[0] <= 0.02 / 2.3 <= found.lr_bound_range[1]

    def test_a_range_too_wide_for_one_number(self) -> None:
        for losses, words in (("1e30, 1e34, 1e38", "is below"), ("100.05, 10.88, 3.07, 3.22, 4.51", "is between")):
            found = diagnose_losses(losses, 0.01)
            assert found.lr_bound is None
            assert found.lr_bound_range is not None
            low, high = found.lr_bound_range
            assert 1.25 * low < high
            assert words in found.text("en")

    def test_blown_up_however_unevenly(self) -> None:
        found = diagnose_losses("10,20,15,3000,12000", 0.01)
        assert (found.verdict, found.lr_bound, names(found)) == ("diverges", None, ["losses_not_plain"])


def test_swings_that_shrink() -> None:
    problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    run = dl.descend(problem, lr=0.05, momentum=0.9, epochs=40, engine="hand")
    found = diagnose_losses(run.history.cost, 0.05, momentum=0.9)
    assert found.verdict == "converges-oscillating"
    assert found.factor == pytest.approx(math.sqrt(0.9))
    assert found.lr_bound_range is not None
    assert found.lr_bound_range[0] == 0.0
    assert problem.spectrum().lr_bound(momentum=0.9) <= found.lr_bound_range[1]
    assert "do not prove that the rate is stable" in " ".join(found.text("en").split())


def heavy_ball(lr: float, curvature: float, momentum: float, dampening: float, epochs: int) -> list[float]:
    """Losses of one direction from rest, stepped as ``torch.optim.SGD`` does."""
    error, buffer, losses = 1.0, 0.0, []
    for epoch in range(epochs):
        losses.append(error * error)
        buffer = momentum * buffer + (1 - (dampening if epoch else 0.0)) * curvature * error
        error -= lr * buffer
    return losses


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.99])
def test_what_swings_from_rest_has_the_curvature_of_complex_roots(momentum: float) -> None:
    """Above (1 - sqrt(mu))^2 errors swing, and the range ends where that curvature puts it; below they only fall."""
    limit, least = 2 * (1 + momentum), (1 - math.sqrt(momentum)) ** 2
    below = heavy_ball(1.0, 0.999 * least, momentum, 0.0, 300)
    assert (np.diff(below) <= 0).all()
    losses = heavy_ball(1.0, 1.5 * least, momentum, 0.0, 3000)
    found = diagnose_losses([each for each in losses if each > 1e-200], 1.0, momentum=momentum)
    assert found.lr_bound_range is not None
    assert found.lr_bound_range[1] == pytest.approx(limit / least)


def test_rises_within_rounding_are_no_swing() -> None:
    assert diagnose_losses("40,30,31,29,30,28", 1.0, momentum=0.9).lr_bound_range is None


def test_dampened_swings_tell_no_range() -> None:
    """The first step is not dampened, and may push an error of real roots to the other side."""
    swings = [each + 1e-3 for each in heavy_ball(1.0, 1.5, 0.9, 0.5, 60)]
    assert diagnose_losses(swings, 1.0, momentum=0.9, dampening=0.5).lr_bound_range is None


def test_growth_under_momentum_is_proved_below_the_rate_alone() -> None:
    found = diagnose_losses(1.3 ** (2 * np.arange(8.0)), 0.1, momentum=0.5)
    assert found.lr_bound_range == (0.0, 0.1)
    assert "assumes that a single direction grows" in " ".join(found.text("en").split())


def test_two_growing_directions_give_no_number() -> None:
    """The ratios of differences rise: with one growing direction they could only fall."""
    found = diagnose_losses(["100.0", "109.0", "122.0", "143.0"], 0.01)
    assert (found.verdict, found.lr_bound, found.factor) == ("diverges", None, None)
    assert found.lr_bound_range is not None
    assert found.lr_bound_range[0] == 0.0
    assert 0.008 < found.lr_bound_range[1] < 0.02 / (1 + math.sqrt(142.95 / 122.05))
    assert "alone_low" not in found.findings[0].numbers


def test_directions_of_a_hundredth_leave_the_bound_told() -> None:
    """Two growing directions, told by every digit: the quicker one has all but a millionth of the last loss."""
    t = np.arange(30.0)
    found = diagnose_losses(1.3 ** (2 * t) + 1.03 ** (2 * t), 0.1)
    assert found.lr_bound == pytest.approx(0.2 / 2.3, rel=1e-3)
    assert "less than 1% of the last loss" in " ".join(found.text("en").split())


def test_momentum_above_one_diverges_at_any_rate() -> None:
    found = diagnose_losses("1,2,4,8,16", 0.01, momentum=1.5)
    assert (found.verdict, names(found)) == ("diverges", ["losses_no_bound"])


class TestNumbersLost:
    def test_overflow_is_counted(self) -> None:
        found = diagnose_losses("1.0e30, 1.0e34, 1.0e38, inf, nan, nan", 0.01)
        assert (found.verdict, names(found)[-1]) == ("diverges", "losses_overflow")
        assert found.findings[-1].numbers["count"] == 3

    def test_squares_overflow_before_their_mean(self) -> None:
        assert names(diagnose_losses("1.0e29, 1.0e31, 1.0e33, nan", 0.01))[-1] == "losses_overflow"

    def test_the_next_loss_after_a_turn(self) -> None:
        """80 / 60 at the least that rounding allows is all the growth that is known."""
        found = diagnose_losses("100, 60, 80, nan", 0.01)
        assert found.findings[-1].numbers["next"] == pytest.approx(80 * 79.5 / 60.5)

    def test_nan_before_it_can_be_overflow(self) -> None:
        for losses in ("10,9,8.5,8.25,nan", "36.4,43.9,53.0,nan", "2.5,2.5,nan", "5,4,nan"):
            found = diagnose_losses(losses, 0.01)
            finding = next(each for each in found.findings if each.name == "losses_nan_too_soon")
            assert finding.severity is Severity.PROBLEM
            assert (found.verdict == "diverges") == (finding is not found.findings[0])

    def test_two_losses_bound_the_growth_from_below(self) -> None:
        found = diagnose_losses("1e3, 1e20, inf", 0.1)
        assert (found.verdict, names(found)[-1]) == ("diverges", "losses_overflow")
        assert found.lr_bound_range is not None
        assert found.lr_bound_range[1] == pytest.approx(0.2 / (1 + math.sqrt(5e19 / 1.5e3)))  # 1e20 has one digit
        assert found.findings[-1].severity is Severity.PROBLEM
        assert diagnose_losses("5, 400, inf", 0.1).findings[-1].severity is Severity.CAUTION


class TestExtremes:
    @pytest.mark.slow
    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("settings", [*SETTINGS, {"every": 10**6}], ids=str)
    def test_neither_a_warning_nor_a_nan(self, settings: dict[str, Any]) -> None:
        rng = np.random.default_rng(5)
        ends = [0.0, 5e-324, 1e-320, 2.2e-308, 1e-300, 1.0, 2.5, 1e30, 1e300, 1.7e308]
        for _ in range(300):
            losses = rng.choice(ends, size=int(rng.integers(3, 9))).tolist()
            if rng.random() < 0.5:
                losses = np.sort(10 ** rng.uniform(-320, 308, size=len(losses)))[:: int(rng.choice([-1, 1]))].tolist()
            if len(set(losses)) == 1:
                continue
            found = diagnose_losses(losses, float(rng.choice([1e-100, 0.01, 1e100])), **settings)
            json.dumps(found.to_dict(), allow_nan=False)
            assert not re.search(r"\b(nan|inf)\b", found.text("en"))
            if found.lr_bound_range is not None:
                assert 0 <= found.lr_bound_range[0] <= found.lr_bound_range[1] < math.inf

    def test_growth_from_nothing(self) -> None:
        assert "from 0 to 1e+308" in " ".join(diagnose_losses("0,5,1,1e308", 0.01).text("en").split())

    def test_no_reading_to_and_fro_where_no_rate_gives_it(self) -> None:
        """Nesterov's root -g takes (1 + mu) g > mu."""
        found = diagnose_losses(4.0 * 0.2 ** (2 * np.arange(4.0)), 0.1, momentum=0.9, nesterov=True)
        assert "changes its sign at every epoch, the" not in " ".join(found.text("en").split())
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False))


class TestErrors:
    @pytest.mark.parametrize("losses", ["1,234.5; 1,120.3; 1,010", "1,234.5 1,120.3 1,010.2", ["1,234.5", "2", "3"]])
    def test_commas_in_thousands_are_not_read_as_two_numbers(self, losses: object) -> None:
        with pytest.raises(SettingError) as error:
            diagnose_losses(losses, 0.01)
        assert "Entry 1 of the losses, '1,234.5', is not a number" in error.value.message.text("en")

    def test_commas_between_other_numbers_part_them(self) -> None:
        np.testing.assert_array_equal(parse_losses("1,2345 7\n43.9,53.0,").values, [1, 2345, 7, 43.9, 53])

    @pytest.mark.parametrize(
        "entry", [np.array([1.0, 2.0]), [1.0], {"loss": 1.0}, object(), 1j, np.array([]), "loss: 5"]
    )
    def test_an_entry_that_is_no_number_is_named_by_its_place(self, entry: object) -> None:
        with pytest.raises(SettingError) as error:
            diagnose_losses([3.0, entry, 1.0], 0.01)
        assert "Entry 2 of the losses" in error.value.message.text("en")

    def test_a_tensor_of_two_is_no_loss(self) -> None:
        torch = optional("torch")
        with pytest.raises(SettingError):
            diagnose_losses([3.0, torch.tensor([1.0, 2.0]), 1.0], 0.01)

    @pytest.mark.parametrize("lr", [5e-324, 1e308, 10**400])
    def test_rates_that_no_bound_in_float64_belongs_to(self, lr: float) -> None:
        with pytest.raises(SettingError):
            diagnose_losses("1,2,4", lr)

    def test_a_whole_number_beyond_float64_is_infinite(self) -> None:
        assert diagnose_losses([1.0, 2.0, 4.0, 10**400], 0.01).findings[-1].numbers["count"] == 1

    @pytest.mark.parametrize(
        ("losses", "words"),
        [
            ("1,2,abc", "Entry 3 of the losses, 'abc'"),
            ([1.0, None, 3.0], "Entry 2"),
            ([1.0, True, 3.0], "Entry 2"),
            ("1,nan,2,3", "Entry 2 of the losses is nan"),
            ("3,2", "given: 2."),
            ("1,inf", "given: 1."),
            ("nan,inf", "nan or infinite from the first one on"),
            ("", "given: 0."),
            ("2.5,2.5,2.5", "All 3 losses are 2.5"),
            ("1,-2,3", "Entry 2 of the losses is -2"),
        ],
    )
    def test_they_name_the_entry(self, losses: object, words: str) -> None:
        with pytest.raises(SettingError) as error:
            diagnose_losses(losses, 0.01)
        assert words in error.value.message.text("en")
        assert error.value.message.text("ko") != error.value.message.text("en")

    @pytest.mark.parametrize("settings", [{"lr": 0}, {"lr": 1, "every": 0}, {"lr": 1, "momentum": -1}])
    def test_settings(self, settings: dict[str, Any]) -> None:
        with pytest.raises(SettingError):
            diagnose_losses("1,2,3", **settings)

    def test_without_a_rate_all_is_said_in_multiples_of_it(self) -> None:
        known, unknown = diagnose_losses("36.4,43.9,53.0", 0.01), diagnose_losses("36.4,43.9,53.0")
        assert unknown.lr_over_bound == pytest.approx(known.lr_over_bound)
        content = unknown.to_dict()
        assert all(content[name] is None for name in ("lr", "lr_bound", "lr_bound_range", "curvature"))
        text = " ".join(unknown.text("en").split())
        assert "about 1.051 times (1.048 to 1.058) the largest stable rate" in text
        assert "half the estimated bound, 0.475 times yours" in text
        falling = " ".join(diagnose_losses(2.0 + 5 * 0.95 ** (2 * np.arange(8.0))).text("en").split())
        assert "allow rates up to 40 times yours" in falling  # 2 / (1 - 0.95)


class TestReading:
    def test_text_says_where_its_digits_end(self) -> None:
        np.testing.assert_allclose(parse_losses("36.40, 5e-3, 1e22, 7").half_ulps, [0.005, 5e-4, 5e21, 0.5])

    def test_floats_have_lost_their_last_zeros(self) -> None:
        np.testing.assert_allclose(parse_losses([36.41, 43.9, 53.0]).half_ulps, [0.005] * 3)
        np.testing.assert_allclose(parse_losses([98765.4, 100000.0]).half_ulps, [0.05, 0.05])
        np.testing.assert_allclose(parse_losses([36.4, 43, 0.0]).half_ulps[:2], [0.05, 0.05])

    def test_float32_is_known_by_its_digits(self) -> None:
        values = np.array([36.41, 43.9, 53.0], dtype=np.float32)
        assert parse_losses(values).half_ulps[0] > 1e-6
        assert parse_losses(values.astype(float) + 1e-9).half_ulps[0] < 1e-12

    def test_large_float32_numbers_show_it_in_their_halves(self) -> None:
        """7304167.5 has 8 digits only: two of them in float32 are enough to know it."""
        values = np.array([7304167.5, 7389997.5, 7476834.0], dtype=np.float32)
        assert parse_losses([float(value) for value in values]).half_ulps[0] > 1.0
        assert parse_losses([7304167.4, 7389997.5, 7476834.0]).half_ulps[0] < 0.1
        assert parse_losses([7304167.5, 2.5]).half_ulps[0] < 0.1  # one may be chance

    @pytest.mark.parametrize(("dtype", "spacing"), [("float32", 2.0**-24), ("float16", 2.0**-11)])
    def test_the_type_they_come_in_is_known(self, dtype: str, spacing: float) -> None:
        values = np.array([1.5, 2.5], dtype=dtype)
        for given in (values, list(values)):
            np.testing.assert_allclose(
                parse_losses(given).half_ulps, np.maximum(0.05, 8 * spacing * values.astype(float))
            )
        assert parse_losses(np.array([1000.25, 2.5], dtype=dtype)).half_ulps[0] >= 8 * spacing * 1000

    def test_tensors(self) -> None:
        torch = optional("torch")
        np.testing.assert_array_equal(parse_losses(torch.tensor([1.5, 2.5], requires_grad=True)).values, [1.5, 2.5])
        np.testing.assert_array_equal(parse_losses([torch.tensor(1.5), 2.5]).values, [1.5, 2.5])


class TestSentences:
    """Each stands alone and contradicts no other."""

    def test_losses_at_their_limit_are_not_told_to_wait(self) -> None:
        found = diagnose_losses(2.0 + 5 * 0.5 ** np.arange(12.0))
        text = " ".join(found.text("en").split())
        assert found.epochs_to_tolerance == 0
        assert "0 epochs later" not in text
        assert "already within 1% of it" in text
        assert "a schedule lowers the rate" in text

    def test_a_bound_that_is_not_known_is_not_said_to_be_exceeded(self) -> None:
        assert "larger than the largest stable rate" not in diagnose_losses("0, 1, 2, 3").text("en")

    def test_the_multiple_of_the_bound_is_in_its_range(self) -> None:
        text = " ".join(diagnose_losses("4.0, 5.4, 8.8, 16.9").text("en").split())
        times, low, high = map(float, re.findall(r"about ([\d.]+) times \(([\d.]+) to ([\d.]+)\)", text)[0])
        assert low <= times <= high
