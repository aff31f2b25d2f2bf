"""Looking elsewhere: loops with a mistake in them, in plain NumPy, and what the doctor makes of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.finding import Finding, Severity
from descentlab.doctor.observed import simulation
from descentlab.doctor.observed.compare import compare_observed
from descentlab.errors import SettingError
from tests.doctor import clinic

EPOCHS = 12

Printed = Callable[[Any], float]


def mean(r: Any) -> float:
    return float(np.mean(r * r))


class Loop:
    """A problem with one feature and a bias, and the loop somebody wrote for it."""

    def __init__(self, seed: int, part: float = 0.3) -> None:
        rng = np.random.default_rng(seed)
        self.n = int(rng.integers(5, 25))
        self.X = rng.normal(size=(self.n, 1)) + 0.7
        self.y = 2 * self.X[:, 0] + 1 + rng.normal(size=self.n) * 0.4
        self.Z = np.column_stack([self.X, np.ones(self.n)])
        self.start = rng.normal(size=2)
        self.problem = dl.Problem(self.X, self.y)
        self.lr = part * self.problem.spectrum().lr_bound()
        self.descent = dl.Descent(lr=self.lr, epochs=EPOCHS, start=self.start)

    def gradient(self, c: float, turn: Any = None, more: float = 0.0) -> Callable[[Any, Any, Any], Any]:
        """``c Z'r``, turned and shifted."""
        turned = np.eye(2) if turn is None else turn
        return lambda r, w, kept: c * turned @ (self.Z.T @ r) + more

    def losses(
        self,
        gradient: Callable[[Any, Any, dict[str, Any]], Any] | None = None,
        printed: Printed = mean,
        *,
        lr: float | None = None,
        start: Any = None,
        after: bool = False,
        epochs: int = EPOCHS,
    ) -> list[float]:
        """What it prints, epoch by epoch, before or after the update."""
        w, seen = np.array(self.start if start is None else start, dtype=float), []
        kept: dict[str, Any] = {}
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(epochs):
                if not after:
                    seen.append(printed(self.Z @ w - self.y))
                step = (gradient or self.gradient(2 / self.n))(self.Z @ w - self.y, w, kept)
                w = w - (self.lr if lr is None else lr) * step
                if after:
                    seen.append(printed(self.Z @ w - self.y))
        self.last = w
        return seen

    def found(self, losses: Any, **settings: Any) -> tuple[Finding, ...]:
        return compare_observed(self.problem, self.descent, losses, **settings)


def rounded(losses: Any, digits: int = 6) -> list[str]:
    return [f"{loss:.{digits}g}" for loss in losses]


def names(found: tuple[Finding, ...]) -> list[str]:
    return [finding.name for finding in found]


LOOPS = [Loop(seed) for seed in range(4)]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("digits", [3, 6, 17])
def test_a_right_loop_agrees(after: bool, digits: int) -> None:
    for loop in LOOPS:
        (found,) = loop.found(rounded(loop.losses(after=after), digits))
        assert (found.name, found.severity, found.topic) == ("observed_agrees", Severity.FACT, "observed")
        if digits > 3:
            assert found.numbers["printed"] == ("after" if after else "before")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_loop_in_float32_agrees(dtype: str) -> None:
    for loop in LOOPS:
        run = dl.descend(loop.problem, lr=loop.lr, epochs=3000, start=loop.start, dtype=dtype, engine="hand")
        descent = dl.Descent(lr=loop.lr, epochs=3000, start=loop.start)
        assert names(compare_observed(loop.problem, descent, run.history.cost)) == ["observed_agrees"]
        assert names(compare_observed(loop.problem, descent, float(run.cost))) == ["observed_agrees"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "printed"),
    [
        ("sum", lambda r: float(np.sum(r * r))),
        ("half_mean", lambda r: mean(r) / 2),
        ("half_sum", lambda r: float(np.sum(r * r)) / 2),
        ("root", lambda r: mean(r) ** 0.5),
        ("mean_twice", lambda r: mean(r) / len(r)),
        ("mean_absolute", lambda r: float(np.mean(np.abs(r)))),
        ("multiple", lambda r: 7.3 * mean(r)),
    ],
)
def test_another_cost_printed(kind: str, printed: Printed) -> None:
    for loop in LOOPS:
        (found,) = loop.found(rounded(loop.losses(printed=printed)))
        assert (found.name, found.numbers["printed"]) == ("printed_convention", kind)
        assert "reproduces all 12 numbers" in found.text("en")


def test_a_cause_reproduces_every_digit() -> None:
    for loop in LOOPS:
        losses = loop.losses(printed=lambda r: mean(r) / 2)
        near = [loss * (1 + 5e-5 * (-1) ** i) for i, loss in enumerate(losses)]
        assert "printed_convention" not in names(loop.found(rounded(near, 9)))


def test_the_gradient_of_another_reduction() -> None:
    for loop in LOOPS:
        for kind, c in (("half_mean", 1 / loop.n), ("sum", 2.0), ("half_sum", 1.0)):
            (found,) = loop.found(rounded(loop.losses(loop.gradient(c))))
            assert (found.name, found.numbers["gradient"]) == ("gradient_convention", kind)
            assert found.numbers["times"] == pytest.approx(c * loop.n / 2)


def test_weights_left_over() -> None:
    for loop in LOOPS:
        for before in (EPOCHS, 5):
            loop.losses(epochs=before)
            (found,) = loop.found(rounded(loop.losses(start=loop.last)))
            assert (found.name, found.numbers["updates_before"]) == ("stale_weights", before)


def test_one_row_printed_as_the_cost() -> None:
    for loop in LOOPS:
        for row in (0, loop.n - 1):
            (found,) = loop.found(rounded(loop.losses(printed=lambda r, row=row: float(r[row] ** 2) / 2)))  # type: ignore[misc]
            assert (found.name, found.numbers["row"], found.numbers["times"]) == ("one_row_cost", row + 1, "1/2")
            assert f"row {row + 1} alone" in found.text("en")


def test_broadcasting_fits_the_mean_of_y() -> None:
    for loop in LOOPS:
        y = loop.y.reshape(-1, 1)

        def gradient(r: Any, w: Any, kept: Any, loop: Loop = loop, y: Any = y) -> Any:
            everything = loop.Z @ w - y  # (n, n)
            return 2 / loop.n**2 * everything.sum(axis=0) @ loop.Z

        losses = loop.losses(gradient, lambda r, loop=loop, y=y: float(np.mean((r + loop.y - y) ** 2)))  # type: ignore[misc]
        (found,) = loop.found(rounded(losses))
        assert found.name == "broadcasting"
        assert found.numbers["mean"] == pytest.approx(loop.y.mean())
        assert "reshape(-1)" in found.text("en")


def test_broadcasting_of_a_sum() -> None:
    loop = Loop(3, part=0.002)
    y = loop.y.reshape(-1, 1)
    lr = loop.lr / loop.n
    losses = loop.losses(
        lambda r, w, kept: 2 * (loop.Z @ w - y).sum(axis=0) @ loop.Z,
        lambda r: float(np.sum((r + loop.y - y) ** 2)),
        lr=lr,
    )
    descent = dl.Descent(lr=lr, reduction="sum", epochs=EPOCHS, start=loop.start)
    assert names(compare_observed(loop.problem, descent, rounded(losses))) == ["broadcasting"]


def test_forgotten_zero_grad() -> None:
    for loop in LOOPS:

        def gradient(r: Any, w: Any, kept: dict[str, Any], loop: Loop = loop) -> Any:
            kept["sum"] = kept.get("sum", 0) + 2 / loop.n * loop.Z.T @ r
            return kept["sum"]

        (found,) = loop.found(rounded(loop.losses(gradient)))
        assert found.name == "forgotten_zero_grad"
        assert "zero_grad" in found.text("en")
        (both,) = loop.found(rounded(loop.losses(gradient, lambda r: float(np.sum(r * r)))))
        assert both.name == "forgotten_zero_grad"
        assert "the sum of squared errors" in both.text("en")


@pytest.mark.parametrize("running", [False, True])
def test_updates_after_every_row(running: bool) -> None:
    for loop in LOOPS:
        w, losses = np.array(loop.start), []
        for _ in range(EPOCHS):
            total = 0.0
            for z, y in zip(loop.Z, loop.y, strict=True):
                r = z @ w - y
                total += r * r / loop.n
                w = w - loop.lr * 2 * r * z
            losses.append(total if running else mean(loop.Z @ w - loop.y))
        (found,) = loop.found(rounded(losses))
        assert (found.name, found.numbers["printed"]) == ("per_sample_updates", "running" if running else "cost")


def test_swapped_gradients_and_a_wrong_sign() -> None:
    for loop in LOOPS:
        (found,) = loop.found(rounded(loop.losses(loop.gradient(2 / loop.n, turn=np.array([[0, 1], [1, 0]])))))
        assert found.name == "swapped_gradients"
        (found,) = loop.found(rounded(loop.losses(loop.gradient(-2 / loop.n))))
        assert found.name == "ascent"


@pytest.mark.parametrize("digits", [6, 9])
@pytest.mark.parametrize("printed", [mean, lambda r: float(r @ r)])
def test_a_wrong_sign_with_the_gradient_of_another_reduction(digits: int, printed: Printed) -> None:
    for loop in LOOPS:
        for reduction, c in (("sum", 2.0), ("half_sum", 1.0), ("half_mean", 1 / loop.n)):
            found = loop.found(rounded(loop.losses(loop.gradient(-c), printed, epochs=6), digits))
            assert names(found) == ["ascent"]
            assert found[0].numbers["gradient"] == reduction
            assert found[0].numbers["times"] == pytest.approx(c * loop.n / 2)


def test_another_rate() -> None:
    for loop in LOOPS:
        for times in (0.1, 100.0, 0.37):
            (found,) = loop.found(rounded(loop.losses(lr=times * loop.lr)))
            assert found.name == "another_rate"
            assert found.numbers["times"] == pytest.approx(times, rel=1e-3)


def test_another_start() -> None:
    for loop in LOOPS:
        (found,) = loop.found(rounded(loop.losses(start=[4.0, -3.0]), 8))
        assert found.name == "other_start"
        assert "not proof" in found.text("en")
    # From W = 3 the lesson's losses are 4 times those from W = 0: two explanations that nothing can tell apart.
    lesson = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
    run = dl.descend(lesson, lr=0.03, epochs=6, start=[3.0])
    multiple, other = compare_observed(lesson, dl.Descent(lr=0.03, epochs=6), rounded(run.history.cost))
    assert (multiple.name, other.name) == ("printed_convention", "other_start")
    assert multiple.numbers["ratio"] == pytest.approx(4, rel=1e-5)
    assert other.numbers["starts"] == pytest.approx([-1.0, 3.0], rel=1e-4)  # equally far from W = 1


class TestNothingExplainsIt:
    def test_other_data(self) -> None:
        for loop in LOOPS:
            other = Loop(50)
            (found,) = loop.found(rounded(other.losses()))
            assert (found.name, found.severity) == ("not_the_rate", Severity.PROBLEM)
            assert found.advice is not None
            assert found.advice.key == "advice.not_the_rate_start"
            assert "whatever the rate" in found.text("en")

    def test_a_wrong_update_from_the_right_start(self) -> None:
        for loop in LOOPS:
            (found,) = loop.found(rounded(loop.losses(loop.gradient(2 / loop.n, more=0.3))))
            assert found.name == "not_the_rate"
            assert found.advice is not None
            assert found.advice.key == "advice.not_the_rate_update"
            assert found.messages[0].key == "observed.differs_not_rate"
            assert str(found.advice).startswith(f"The first loss, {found.numbers['start_loss']:.6g}, is right")

    def test_a_rate_above_the_bound_is_said(self) -> None:
        loop = Loop(1, part=1.4)
        (found,) = loop.found([3.0, 2.0, 1.7, 1.6])
        assert found.name == "observed_differs"
        assert "1.4 times" in found.text("en")

    def test_one_number_of_few_digits_names_no_cause(self) -> None:
        for loop in LOOPS:
            assert names(loop.found(f"{sum(loop.losses()[-1:]) * loop.n:.2g}")) == ["not_the_rate"]

    @pytest.mark.slow
    def test_unrelated_numbers_name_no_cause(self) -> None:
        rng = np.random.default_rng(0)
        for loop in LOOPS * 5:
            other = np.sort(rng.uniform(0.1, 9, size=6))[::-1]
            assert names(loop.found(rounded(other, 4))) == ["not_the_rate"]


class TestNan:
    @pytest.mark.slow
    def test_from_the_start(self) -> None:
        for loop in LOOPS:
            found = loop.found([np.nan] * 3)
            assert names(found)[0] == "not_the_rate"
            assert names(found)[-1] == "stale_weights"
            assert "once a weight is nan it stays nan" in found[-1].text("en")

    @pytest.mark.slow
    @pytest.mark.parametrize("epochs", [12, 50, 300])
    @pytest.mark.parametrize("lost", ["nan", "inf"])
    def test_the_rate_that_would_do_it(self, lost: str, epochs: int) -> None:
        """From it on, and not well below it, a loop in float32 prints that by then."""
        for loop in LOOPS:
            X, y, n = loop.X[:, 0].astype(np.float32), loop.y.astype(np.float32), np.float32(loop.n)

            def last(lr: float, X: Any = X, y: Any = y, n: Any = n, start: Any = loop.start) -> float:
                w, b = start.astype(np.float32)
                with np.errstate(all="ignore"):
                    for _ in range(epochs):
                        r = w * X + b - y
                        loss = float((r * r).mean())
                        w, b = w - np.float32(2 * lr) * ((r * X).sum() / n), b - np.float32(2 * lr) * (r.sum() / n)
                return loss

            descent = dl.Descent(lr=1e-3 * loop.lr, epochs=epochs, start=loop.start)
            needed = compare_observed(loop.problem, descent, lost)[-1].numbers["needed"]
            assert isinstance(needed, float)
            apart = 1 + 5 / epochs  # an update more or less
            assert not np.isfinite(last(apart * needed))
            assert np.isnan(last(apart * needed)) or lost == "inf"
            below = last(needed / apart)
            assert np.isfinite(below) if lost == "inf" else not np.isnan(below)

    def test_the_gradient_of_a_sum_would_overflow(self) -> None:
        X = np.arange(40.0)
        problem = dl.Problem(X, 3 * X)
        descent = dl.Descent(lr=0.5 * problem.spectrum().lr_bound(), epochs=100)
        assert names(compare_observed(problem, descent, "nan")) == [
            "not_the_rate",
            "gradient_convention",
            "stale_weights",
        ]

    def test_suddenly(self) -> None:
        for loop in LOOPS:
            (found,) = loop.found([*loop.losses()[:4], np.nan, np.nan])
            assert (found.name, found.numbers["epoch"]) == ("not_the_rate", 5)
            assert "Up to that point your numbers match" in found.text("en")

    def test_rows_left_out_are_named(self) -> None:
        X = np.array([1.0, 2.0, np.nan, 4.0])
        problem = dl.Problem(X, [1.0, 2.0, 3.0, 4.5], missing="drop")
        assert "nan_in_data" in names(compare_observed(problem, dl.Descent(lr=0.01), "nan"))

    def test_an_overflow_that_theory_has_too(self) -> None:
        loop = Loop(1, part=40.0)
        descent = dl.Descent(lr=loop.lr, epochs=60, start=loop.start)
        losses = [loss if loss < 3e38 else np.nan for loss in loop.losses(epochs=60)]
        (found,) = compare_observed(loop.problem, descent, losses)
        assert found.name == "observed_agrees"
        assert "The rate explains it" in found.text("en")
        assert names(compare_observed(loop.problem, descent, np.nan)) == ["observed_agrees"]


class TestWhatIsAsked:
    def test_epochs_seen(self) -> None:
        loop = LOOPS[0]
        losses = loop.losses(epochs=41)
        for numbers in (range(10, 41, 10), np.arange(10, 41, 10)):  # counted from 0, printed before the update
            assert names(loop.found([losses[k] for k in numbers], epochs_seen=numbers)) == ["observed_agrees"]
        assert names(loop.found(losses[40], epochs_seen=41)) == ["observed_agrees"]
        late = loop.losses(after=True, epochs=31)  # counted from 0, printed after the update
        assert names(loop.found([late[k] for k in range(0, 31, 10)], epochs_seen=range(0, 31, 10))) == [
            "observed_agrees"
        ]
        for wrong in ([1], [3, 2], [1, -2], [1.5, 2]):
            with pytest.raises(SettingError):
                loop.found([1.0, 2.0], epochs_seen=wrong)

    @pytest.mark.slow
    @pytest.mark.parametrize("every", [10, 50, 100])
    @pytest.mark.parametrize("after", [False, True])
    def test_losses_printed_every_so_many_epochs(self, after: bool, every: int) -> None:
        """In the ways that people print them: counted from 0 or 1, at the first epoch or not, with the last or not."""
        ways = {
            "epoch % every == 0, from 0": (range(0, 4 * every, every), 4 * every),
            "epoch % every == 0, from 1": (range(every - 1, 4 * every, every), 4 * every),
            "from 0 to the last one": (range(0, 4 * every + 1, every), 4 * every + 1),
            "with one epoch more stated as a round number": (range(0, 4 * every + 1, every), 4 * every),
        }
        for seed in range(2):
            loop = Loop(seed, part=0.5 / every)
            for way, (indices, epochs) in ways.items():
                losses = loop.losses(after=after, epochs=4 * every + 1)
                seen = rounded([losses[i] for i in indices])
                descent = dl.Descent(lr=loop.lr, epochs=epochs, start=loop.start)
                (found,) = compare_observed(loop.problem, descent, seen)
                assert (found.name, found.numbers["every"]) == ("observed_agrees", every), way
                assert f"printed every {every} epochs" in found.text("en")
                other = dl.Descent(lr=loop.lr, epochs=epochs + 7, start=loop.start)
                (stated,) = compare_observed(loop.problem, other, seen, every=every)
                assert stated.name == "observed_agrees"
                wrong = [f"{0.8 * loss:.6g}" for loss in map(float, seen)]
                assert names(compare_observed(loop.problem, other, wrong, every=every)) != ["observed_agrees"]

    def test_a_mistake_seen_every_few_epochs(self) -> None:
        for loop in LOOPS:
            losses = loop.losses(printed=lambda r: mean(r) / 2, epochs=40)[::3]
            (found,) = loop.found(rounded(losses), every=3)
            assert (found.name, found.numbers["printed"]) == ("printed_convention", "half_mean")

    def test_diagnose_takes_it(self) -> None:
        loop = LOOPS[0]
        losses = rounded(loop.losses(epochs=31)[::10])
        found = dl.diagnose(loop.problem, lr=loop.lr, epochs=77, start=loop.start, observed=losses, every=10)
        assert isinstance(found, dl.Diagnosis)
        assert "observed_agrees" in names(found.findings)
        for wrong in (0, 1.5, "many"):
            with pytest.raises(SettingError):
                dl.diagnose(loop.problem, lr=loop.lr, observed=losses, every=wrong)  # type: ignore[arg-type]
        with pytest.raises(SettingError):
            dl.diagnose(loop.problem, lr=loop.lr, every=10)

    @pytest.mark.slow
    @pytest.mark.parametrize("lr", [1e300, 1e155, 1e17, 1e-300])
    @pytest.mark.parametrize("seen", [[1.0, 0.5], [1e300, 2e300, 3e300, 4e300, 5e300], ["inf"] * 3, "1e308", "nan"])
    def test_rates_of_any_size_give_no_warning(self, lr: float, seen: Any) -> None:
        """Warnings are errors here."""
        small, large = LOOPS[0].X, 1e8 * np.hstack([LOOPS[0].X, LOOPS[0].X ** 2])
        for X, reduction, bias in ((small, "mean", True), (large, "sum", False)):
            problem = dl.Problem(X, LOOPS[0].y, bias=bias)
            found = compare_observed(problem, dl.Descent(lr=lr, epochs=40, reduction=reduction), seen)
            assert all(finding.text("en") and finding.topic == "observed" for finding in found)

    def test_errors(self) -> None:
        for wrong in ("", "1,x", [-1.0], [None]):
            with pytest.raises(SettingError):
                LOOPS[0].found(wrong)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "settings",
        [
            {"momentum": 0.9},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            {"schedule": "step:3:0.5"},
            {"batch_size": 3, "shuffle": False},
            {"zero_grad": False, "momentum": 0.5},
            {"reduction": "half_sum"},
        ],
        ids=str,
    )
    def test_every_setting_agrees_with_its_run(self, settings: dict[str, Any]) -> None:
        for loop in LOOPS:
            descent = dl.Descent(lr=loop.lr / loop.n, epochs=EPOCHS, start=loop.start, **settings)
            run = dl.descend(loop.problem, descent)
            scale = loop.n / 2 if "reduction" in settings else 1
            assert names(compare_observed(loop.problem, descent, scale * run.history.cost)) == ["observed_agrees"]
            wrong = compare_observed(
                loop.problem, descent, scale * run.history.cost + np.linspace(0.1, 0.3, EPOCHS) ** 2
            )
            assert names(wrong)[0] in ("not_the_rate", "observed_differs")

    def test_a_factor_is_enough(self) -> None:
        loop = LOOPS[0]
        problem = dl.Problem(loop.problem.factor)
        assert names(compare_observed(problem, loop.descent, loop.losses())) == ["observed_agrees"]
        assert names(compare_observed(problem, loop.descent, rounded(loop.losses(printed=lambda r: mean(r) / 2)))) == [
            "printed_convention"
        ]

    def test_shuffled_batches_are_beyond_theory(self) -> None:
        descent = dl.Descent(lr=0.1, batch_size=2)
        assert names(compare_observed(LOOPS[0].problem, descent, [1.0, 2.0])) == ["observed_beyond_theory"]

    def test_nothing_is_altered(self) -> None:
        loop = LOOPS[0]
        losses = np.array(loop.losses(epochs=1000))
        before = losses.copy(), loop.problem.factor.R.copy(), loop.start.copy()
        loop.found(losses * 1.2 + 0.1)
        for kept, now in zip(before, (losses, loop.problem.factor.R, loop.start), strict=True):
            np.testing.assert_array_equal(kept, now)

    @pytest.mark.slow
    def test_both_languages(self) -> None:
        for losses in ([1.0, 2.0, 3.0], "nan", LOOPS[0].losses(), rounded(LOOPS[0].losses(lr=1e-3))):
            for finding in LOOPS[0].found(losses):
                assert finding.text("en") != finding.text("ko")


@pytest.mark.parametrize(
    "settings",
    [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "dampening": 0.3}],
    ids=str,
)
def test_the_affine_walk_is_the_descent(settings: dict[str, Any]) -> None:
    """Without a mistake it is the closed form; with gradients kept, the loop by hand."""
    loop = LOOPS[0]
    problem = dl.Problem(loop.X, loop.y, ridge=0.1)
    updates = np.array([0, 1, 2, 3, 7, 8, 50])
    for decay in (0.0, 0.1):
        descent = dl.Descent(lr=loop.lr, start=loop.start, weight_decay=decay, **settings)
        np.testing.assert_allclose(
            simulation.simulate_linear_bug(problem, descent, updates),
            simulation.simulate_descent(problem, descent, updates),
        )
        kept = dl.Descent(lr=loop.lr / 9, start=loop.start, weight_decay=decay, zero_grad=False, **settings)
        np.testing.assert_allclose(
            simulation.simulate_linear_bug(problem, kept, updates, accumulate=True),
            simulation.simulate_descent(problem, kept, updates),
            rtol=1e-6,
        )


def test_row_by_row_is_the_engine_by_hand() -> None:
    loop = LOOPS[0]
    problem = dl.Problem(loop.X, loop.y, ridge=0.1, standardize=True)
    for reduction in ("mean", "half_mean", "sum"):
        descent = dl.Descent(lr=0.01, reduction=reduction, batch_size=1, shuffle=False, weight_decay=0.1)
        walk = simulation.simulate_per_sample(problem, descent)
        expected = simulation.simulate_descent(problem, descent, np.arange(1, 5))
        np.testing.assert_allclose([next(walk)[0] for _ in range(4)], expected, rtol=1e-12)


class TestClinic:
    """Questions that people asked: see :mod:`tests.doctor.clinic`."""

    @staticmethod
    def case(name: str) -> tuple[dl.Problem, dl.Descent]:
        case = next(case for case in clinic.CASES if case["id"] == name)
        return clinic.problem(case), dl.Descent(**clinic.settings(case))

    def test_nan_at_a_small_rate(self) -> None:
        found = compare_observed(*self.case("ko-kingrange-nan-not-lr"), ["nan"] * 10, epochs_seen=range(100, 1001, 100))
        assert names(found) == ["not_the_rate", "stale_weights"]
        assert "2.45%" in found[0].text("en")

    def test_the_error_of_the_last_row(self) -> None:
        """Their loop, as written: the printed number rises from 3.68 to 7.80 in 62 iterations."""
        problem, descent = self.case("ex1-cost-increasing-bug")
        x, y = problem.rows().X[:, 0], problem.rows().y
        m, theta0, theta1, printed = len(x), 0.5, 0.5, []
        for _ in range(62):
            h = theta0 + theta1 * x - y
            theta0, theta1 = theta0 - 0.001 / m * h.sum(), theta1 - 0.001 / m * (h * x).sum()
            printed.append(f"{sum((theta0 + theta1 * x[-1] - y[-1]) ** 2 for _ in range(m)) / (2 * m):.2f}")
        assert (printed[0], printed[-1]) == ("3.68", "7.80")
        (found,) = compare_observed(problem, descent, printed)
        assert (found.name, found.numbers["row"]) == ("one_row_cost", m)
        assert "4.11%" in found.text("en")

    def test_a_random_start(self) -> None:
        """Six losses from a start that was random fit another start; with four directions they fit other rates too."""
        seen = "58871, 6.4966, 6.4014, 6.3101, 6.2225, 6.1383"
        (found,) = compare_observed(*self.case("ko-exam-scores-1e-5"), seen, epochs_seen=range(0, 501, 100))
        assert found.name == "not_the_rate"
        assert "Another start would explain every number" in found.text("en")

    @pytest.mark.parametrize(
        ("name", "observed"),
        [
            ("roelants5-40samples", "46.18, 92.11, 184.75, 371.61, 748.51"),
            ("torch208572-lr1.603e-5", "29.045"),
            ("torch208572-lr1.604e-5", "inf"),
            ("tfjs18493-1to24", "nan"),
            ("ru-years-raw", "nan"),
            ("se432707-alternating", "6.33856e74"),
            ("siraj-demo-100pts", "112.61"),
        ],
    )
    def test_what_agrees(self, name: str, observed: str) -> None:
        assert names(compare_observed(*self.case(name), observed)) == ["observed_agrees"]


def test_the_first_epoch_that_differs_is_named() -> None:
    """The first loss is right, though all together are nearer to theory one update later."""
    problem = dl.Problem([1.0, 2.0, 3.0, 4.0], [2.0, 4.1, 5.8, 8.0])
    findings = dl.diagnose(problem, lr=0.02, epochs=4, observed="29.6125, 6.1, 2.5, 1.3").findings
    assert next(each for each in findings if each.name == "not_the_rate").numbers["epoch"] == 2
