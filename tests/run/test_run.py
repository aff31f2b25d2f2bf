"""Endings: every run says why it ended, with the right numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.data.builtin import EXAM_SCORES, LONGLEY
from descentlab.run.run import MAX_NAMED_PARAMETERS
from descentlab.run.termination import format_percent, remaining_message
from descentlab.theory.full_batch import FullBatchTheory
from tests.extras import AUTOGRAD, needs

LESSON = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
NAMES = ("hand", "autograd", "exact")
ENGINES = ("hand", AUTOGRAD, "exact")


def noisy(n: int = 30, seed: int = 0) -> dl.Problem:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return dl.Problem(x, 2 * x + 1 + rng.normal(size=n))


@pytest.mark.parametrize("engine", ENGINES)
class TestEveryEngineEnds:
    def test_converged(self, engine: str) -> None:
        run = dl.descend(noisy(), engine=engine, lr=0.3, epochs=200)
        minimum = noisy().solve()
        assert run.ending.reason is dl.Reason.CONVERGED
        np.testing.assert_allclose(run.params, minimum.params, rtol=1e-9)
        assert run.ending.least_cost == pytest.approx(minimum.cost)
        assert len(run.history) == 200  # without a tolerance, all epochs asked for are run
        first = run.ending.converged_epoch
        assert first is not None
        assert run.ending.epoch == 200
        assert run.history.gradient_norm[first - 1] < run.history.gradient_norm[0] * 1.1e-6
        assert run.history.gradient_norm[first - 2] > run.history.gradient_norm[first - 1]

    def test_stops_at_the_tolerance_if_one_is_given(self, engine: str) -> None:
        run = dl.descend(noisy(), engine=engine, lr=0.3, epochs=200, tolerance=1e-4)
        assert run.ending.reason is dl.Reason.CONVERGED
        assert run.ending.converged_epoch == len(run.history) == run.ending.epoch + 1 < 50
        at_zero = np.linalg.norm(noisy().gradient([0, 0]))
        assert run.history.gradient_norm[-1] <= 1e-4 * at_zero < run.history.gradient_norm[-2]

    def test_diverged_is_stopped_and_says_the_factor_the_rate_and_the_bound(self, engine: str) -> None:
        run = dl.descend(LESSON, engine=engine, lr=0.1, reduction="sum", epochs=1000)
        assert run.ending.reason is dl.Reason.DIVERGED
        assert len(run.history) < 30
        assert np.isfinite(run.history.cost).all()
        assert run.ending.convergence_factor == pytest.approx(-1.8)
        assert run.ending.lr_bound == pytest.approx(1 / 14)
        for words in ("lr = 0.1 is 1.4 times", "0.0714.", "by -1.8", "`x`"):
            assert words in str(run.ending)
        assert "nan" not in str(run.ending)

    def test_diverging_is_named_also_when_the_epochs_end_first(self, engine: str) -> None:
        run = dl.descend(LESSON, engine=engine, lr=0.1, reduction="sum", epochs=5)
        assert len(run.history) == 5
        assert run.ending.reason is dl.Reason.DIVERGED
        assert run.ending.cost_ratio == pytest.approx(1.8**10)

    def test_overflowed_where_growth_is_allowed(self, engine: str) -> None:
        run = dl.descend(LESSON, engine=engine, lr=0.1, reduction="sum", epochs=5000, growth_limit=np.inf)
        assert run.ending.reason is dl.Reason.OVERFLOWED
        # The cost (14/3) 1.8^(2t) leaves float64 at the first t with 1.8^(2t) * 14/3 > 1.8e308.
        first = int(np.ceil(np.log(np.finfo(float).max / (14 / 3)) / (2 * np.log(1.8))))
        assert run.ending.epoch in (first - 1, first)  # the sum of squares overflows before its mean does
        assert "float64" in str(run.ending)

    def test_out_of_epochs_says_how_far_is_left(self, engine: str) -> None:
        run = dl.descend(LESSON, engine=engine, lr=0.01, reduction="sum", epochs=10)
        assert run.ending.reason is dl.Reason.OUT_OF_EPOCHS
        assert run.ending.fraction_remaining == pytest.approx(0.72**20)
        assert run.ending.epoch == 10
        assert run.ending.text("en").startswith("Not converged after 10 epochs: the cost is ")
        near = dl.descend(LESSON, engine=engine, lr=0.01, reduction="sum", epochs=20)
        assert near.ending.reason is dl.Reason.OUT_OF_EPOCHS
        assert near.ending.text("en").startswith("Near the minimum after 20 epochs: the cost is ")

    def test_stalled_where_the_gradient_is_small_and_the_minimum_far(self, engine: str) -> None:
        year = np.arange(2000.0, 2016)
        problem = dl.Problem(year, 0.7 * (year - 2000) ** 1.5 + 68)
        run = dl.descend(problem, engine=engine, lr=0.4 * problem.spectrum().lr_bound(), epochs=300)
        assert run.ending.reason is dl.Reason.STALLED
        assert run.cost > 2 * problem.solve().cost
        assert "bias" in str(run.ending)

    def test_stopped_by_the_caller(self, engine: str) -> None:
        def stop(look: Any) -> bool:
            return bool(look.epochs[-1] >= 5)

        run = dl.descend(noisy(), engine=engine, lr=0.01, epochs=50, stop=stop)
        assert run.ending.reason is dl.Reason.STOPPED


def test_an_update_too_small_to_move_anything_is_no_convergence() -> None:
    run = dl.descend(noisy(), engine="hand", lr=1e-30, epochs=20, start=[1.0, 5.0])
    assert run.ending.reason is dl.Reason.STALLED
    assert (run.history.params == [1.0, 5.0]).all()


def test_a_parameter_at_rest_does_not_end_the_run_of_the_others() -> None:
    """The weight of a column of zeros stays at 0; the other is multiplied by 1 - 28/3 lr at each epoch."""
    run = dl.descend(dl.Problem([[1, 0], [2, 0], [3, 0]], [1, 2, 3], bias=False), lr=0.003, epochs=20)
    assert run.ending.reason is dl.Reason.OUT_OF_EPOCHS
    np.testing.assert_allclose(run.params, [1 - 0.972**20, 0], rtol=1e-12)


@needs("torch")
def test_float32_overflows_at_its_own_limit() -> None:
    run = dl.descend(
        LESSON, engine="autograd", dtype="float32", lr=0.1, reduction="sum", epochs=500, growth_limit=np.inf
    )
    assert run.ending.reason is dl.Reason.OVERFLOWED
    assert 70 <= run.ending.epoch <= 78
    assert "float32" in str(run.ending)


def test_momentum_one_swings_for_ever_and_says_so() -> None:
    run = dl.descend(LESSON, lr=0.15, epochs=400, zero_grad=False)
    assert run.ending.reason is dl.Reason.OUT_OF_EPOCHS
    assert "momentum 1" in str(run.ending)
    W = run.history.params[:, 0]
    assert -0.25 < W.min() < -0.23
    assert 2.23 < W.max() < 2.25


def test_above_the_bound_and_still_falling_is_said() -> None:
    """The cost may fall for long while one direction already grows."""
    problem = dl.Problem([[10.0, 0.0], [0.0, 1.0]], [0.001, 5.0], bias=False)
    run = dl.descend(problem, lr=0.01001, reduction="sum", epochs=100)  # the bound is 2 / (2 * 10^2)
    assert run.cost < run.history.cost[0]
    assert run.ending.reason is dl.Reason.OUT_OF_EPOCHS
    assert run.ending.lr_bound == pytest.approx(0.01)
    assert "largest stable rate" in str(run.ending)


@pytest.mark.parametrize("every", [1, 10, 1000, 99_999])
def test_the_exact_engine_finds_the_epoch_of_divergence_however_seldom_it_records(every: int) -> None:
    run = dl.descend(LESSON, lr=0.0715, reduction="sum", epochs=10**6, every=every)
    twin = dl.descend(LESSON, lr=0.0715, reduction="sum", epochs=10**6)
    assert run.ending.reason is dl.Reason.DIVERGED
    assert run.ending.epoch == twin.ending.epoch
    assert np.isfinite(run.history.cost).all()


def test_stepping_engines_stop_in_time_between_recorded_epochs() -> None:
    run = dl.descend(LESSON, engine="hand", lr=0.1, reduction="sum", epochs=10_000, every=500)
    assert run.ending.reason is dl.Reason.DIVERGED
    assert run.ending.epoch < 30
    assert run.history.epoch.tolist() == [1]


@pytest.mark.parametrize("engine", ["hand", AUTOGRAD])
def test_a_run_of_more_than_a_day_is_refused_with_the_days(engine: str) -> None:
    with pytest.raises(dl.SettingError, match=r"would take .* days.*engine exact"):
        dl.descend(LESSON, engine=engine, lr=0.01, epochs=1e12)


def test_exact_runs_what_others_refuse() -> None:
    run = dl.descend(LESSON, engine="exact", lr=0.01, epochs=1e12)
    assert run.ending.reason is dl.Reason.CONVERGED
    assert run.params[0] == pytest.approx(1.0, abs=1e-12)


def test_ctrl_c_keeps_the_history_if_asked_to() -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    settings: dict[str, Any] = {"engine": "hand", "lr": 1e-6, "epochs": 50_000, "progress": interrupt}
    kept = dl.descend(LESSON, **settings, interruptible=True)
    assert kept.ending.reason is dl.Reason.STOPPED
    assert 1 <= len(kept.history) < 50_000
    assert kept.ending.epoch == kept.history.epoch[-1] - 1
    with pytest.raises(KeyboardInterrupt):
        dl.descend(LESSON, **settings)


def test_watching_a_run_does_not_change_it() -> None:
    plain = dl.descend(noisy(), engine="hand", lr=0.1, epochs=20)
    watched = dl.descend(noisy(), engine="hand", lr=0.1, epochs=20, stop=lambda _: False, progress=lambda *_: None)
    assert (plain.history.params == watched.history.params).all()


def test_real_data_raw_and_standardized() -> None:
    raw = dl.descend(dl.Problem(LONGLEY, target="employed"), lr=0.01, epochs=1000)
    assert raw.ending.reason is dl.Reason.DIVERGED
    problem = dl.Problem(LONGLEY, target="employed", standardize=True)
    run = dl.descend(problem, lr=0.2, momentum=0.95, epochs=5000)
    assert run.ending.reason is dl.Reason.CONVERGED
    certified = [15.0618722713733, -0.0358191792925910, -2.02022980381683, -1.03322686717359]
    certified += [-0.0511041056535807, 1829.15146461355, -3482258.63459582]  # NIST StRD, Longley
    np.testing.assert_allclose(problem.solve().params, certified, rtol=1e-12)
    np.testing.assert_allclose(run.params, certified, rtol=1e-5)


def test_the_exam_scores_stall_after_a_million_epochs() -> None:
    run = dl.descend(dl.Problem(EXAM_SCORES, target="final"), lr=1e-5, epochs=10**6)
    assert run.ending.reason is dl.Reason.STALLED
    assert "1 - 6.4e-08" in str(run.ending)


def test_settings_are_given_once() -> None:
    with pytest.raises(dl.SettingError, match="lr"):
        dl.descend(LESSON, dl.Descent(lr=0.1), lr=0.2)
    run = dl.descend(LESSON, dl.Descent(lr=0.1, epochs=3))
    assert len(run.history) == 3


def test_a_start_at_the_minimum_stays_there() -> None:
    run = dl.descend(LESSON, lr=0.1, epochs=5, start=[1.0])
    assert run.ending.reason is dl.Reason.CONVERGED
    np.testing.assert_allclose(run.history.params, 1.0, rtol=1e-14)


def test_a_target_of_zeros_is_done_at_once() -> None:
    run = dl.descend(dl.Problem([1.0, 2.0], [0.0, 0.0]), lr=0.1, epochs=5)
    assert run.ending.reason is dl.Reason.CONVERGED
    assert run.cost == 0


def test_nesterov_s_momentum_of_one_converges_and_is_not_told_otherwise() -> None:
    run = dl.descend(LESSON, lr=0.05, momentum=1.0, nesterov=True, epochs=60)
    assert "momentum" not in str(run.ending)
    assert run.cost < 1e-3 * run.history.cost[0]


def test_leaving_a_perfect_start_is_no_divergence() -> None:
    """Weight decay moves W from 1, where the cost is 0: no growth is measured against that."""
    run = dl.descend(LESSON, lr=0.01, weight_decay=0.5, epochs=3000, start=[1.0])
    assert run.ending.reason is dl.Reason.CONVERGED
    assert run.params[0] == pytest.approx(28 / 3 / (28 / 3 + 0.5))


def test_a_tolerance_is_measured_against_the_gradient_at_zero() -> None:
    run = dl.descend(LESSON, lr=0.01, epochs=3000, start=[1e6], tolerance=1e-3)
    assert run.history.gradient_norm[-1] <= 28 / 3 * 1e-3 < run.history.gradient_norm[-2]


def test_a_tolerance_of_0_is_met_by_a_gradient_of_0() -> None:
    run = dl.descend(LESSON, engine="hand", lr=0.01, epochs=10, start=[1.0], tolerance=0.0)
    assert (run.ending.reason, run.ending.epoch) == (dl.Reason.CONVERGED, 0)


def test_the_rate_of_a_schedule_s_end_is_that_of_the_last_update() -> None:
    assert dl.descend(LESSON, lr=0.01, schedule="step:1:0.5", epochs=3).ending.lr == 0.01 * 0.5**2


@pytest.mark.parametrize(("epochs", "reason"), [(2, dl.Reason.OUT_OF_EPOCHS), (3, dl.Reason.STALLED)])
def test_three_equal_epochs_in_a_row_are_a_standstill(epochs: int, reason: dl.Reason) -> None:
    assert dl.descend(LESSON, lr=1e-300, epochs=epochs, start=[2.0]).ending.reason is reason


@pytest.mark.parametrize("batch_size", [1, 5, 30, 100])
def test_the_bound_of_a_batch_s_sum_is_that_of_its_mean_over_its_rows(batch_size: int) -> None:
    by_mean, by_sum = (
        dl.descend(noisy(), lr=1e-4, epochs=1, batch_size=batch_size, reduction=reduction).ending.lr_bound
        for reduction in ("mean", "sum")
    )
    assert by_mean is not None
    assert by_sum == pytest.approx(by_mean / min(batch_size, 30))


def test_converged_since_an_epoch_that_is_near_the_minimum() -> None:
    """The gradient is small long before: the epoch named is one at which the cost is near as well."""
    x = np.linspace(1000, 1010, 50)
    problem = dl.Problem(x, 3 * x - 2900 + np.sin(np.arange(50)))
    run = dl.descend(problem, lr=0.9 * problem.spectrum().lr_bound(), epochs=10**13)
    assert run.ending.reason is dl.Reason.CONVERGED
    assert run.ending.converged_epoch is not None
    row = int(np.flatnonzero(run.history.epoch == run.ending.converged_epoch)[0])
    assert run.history.cost[row] <= 1.01 * problem.solve().cost < run.history.cost[row - 1]


@pytest.mark.parametrize("engine", ["hand", AUTOGRAD])
def test_no_history_holds_nan_however_wild_the_batches(engine: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(1990, 2020, 500)
    run = dl.descend(dl.Problem(x, x + rng.normal(size=500)), engine=engine, lr=0.01, batch_size=8, epochs=20)
    assert run.ending.reason in (dl.Reason.DIVERGED, dl.Reason.OVERFLOWED)
    assert not np.isnan(run.history.cost).any()
    assert np.isfinite(run.history.params).all()
    assert "nan" not in run.table()
    assert "largest stable rate of full-batch descent" in str(run.ending)


@needs("torch")
def test_stop_sees_every_epoch_in_the_data_s_units() -> None:
    seen: list[Any] = []

    def stop(look: Any) -> bool:
        seen.append(look)
        return bool(look.cost[0] < 1.5)

    x = np.random.default_rng(0).normal(3, 2, 40)
    problem = dl.Problem(x, 2 * x + 1, standardize=True)
    for engine in NAMES:
        seen.clear()
        run = dl.descend(problem, engine=engine, lr=0.02, epochs=5000, stop=stop)
        twin = dl.descend(problem, engine="exact", lr=0.02, epochs=5000)
        first = int(np.argmax(twin.history.cost < 1.5))
        assert len(run.history) == len(seen) == first + 1
        np.testing.assert_allclose(seen[-1].params[0], twin.history.params[first], rtol=1e-9)


@needs("torch")
def test_a_tolerance_stops_at_the_same_epoch_however_seldom_an_engine_records() -> None:
    settings: dict[str, Any] = {"lr": 0.3, "epochs": 500, "tolerance": 1e-4}
    runs = [dl.descend(noisy(), engine=engine, every=every, **settings) for engine in NAMES for every in (1, 100)]
    assert len({run.ending.epoch for run in runs}) == 1


def test_a_minimum_that_is_not_zero_is_not_called_zero() -> None:
    x = np.arange(10.0)
    y = 1e8 + 1e-5 * x + 1e-4 * np.sin(99 * x)
    run = dl.descend(dl.Problem(x, y, standardize=True), lr=0.1, epochs=120)
    assert "minimum's is 0" not in str(run.ending)


def test_gradients_that_add_up_beside_other_settings_are_not_judged_by_a_theory_that_does_not_hold() -> None:
    run = dl.descend(LESSON, engine="hand", lr=0.01, epochs=20, zero_grad=False, weight_decay=0.5)
    assert run.ending.lr_bound is None
    assert "No stability bound is known" in str(run.ending)


@needs("torch")
def test_norms_beyond_the_range_of_squares() -> None:
    huge = dl.Problem(np.array([1.0, 2, 3]) * 1e80, np.array([1.0, 2, 3]) * 1e80, bias=False)
    for engine in NAMES:
        run = dl.descend(huge, engine=engine, lr=1e-162, epochs=5)
        assert run.ending.reason is dl.Reason.OUT_OF_EPOCHS
        assert np.isfinite(run.gradient_norm)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_without_a_rate_the_ones_that_would_do_are_named_in_the_convention_asked_for(reduction: str) -> None:
    with pytest.raises(dl.SettingError, match="Every rate below") as caught:
        dl.descend(LESSON, reduction=reduction)
    bound = LESSON.spectrum(reduction).lr_bound()
    assert caught.value.message.values["bound"] == pytest.approx(bound, rel=1e-12)
    assert f"Every rate below {bound:.3g} converges" in str(caught.value)


@pytest.mark.parametrize(("size", "said"), [(1.0, False), (1e4, True)])
def test_standardizing_is_named_with_its_bound_where_columns_differ(size: float, said: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 2)) * [1, size]
    y = X @ [1, 1 / size]
    bound = dl.Problem(X, y, standardize=True).spectrum().lr_bound()
    sentence = f"standardize=True): then every rate below {bound:.3g} is stable."
    assert (sentence in dl.descend(dl.Problem(X, y), lr=10.0).ending.text("en")) is said
    assert "tandardize" not in dl.descend(dl.Problem(X, y, standardize=True), lr=10.0).ending.text("en")
    with pytest.raises(dl.SettingError) as caught:
        dl.descend(dl.Problem(X, y), epochs=5)
    assert (sentence in caught.value.message.text("en")) is said


@pytest.mark.parametrize(
    ("problem", "settings", "times", "fraction", "key", "value"),
    [
        (noisy(), {}, 10.0, 0.5, "rest_above", "1e+03"),
        (noisy(), {}, 10.1, 0.5, "rest_times", 11.1),
        (noisy(), {}, 0.0123456, 0.5, "rest_above", "1.23"),
        (noisy(), {}, 0.0, 0.5, "rest_nothing", None),
        (noisy(), {}, 0.5, 1e-21, "rest_nothing", None),
        (noisy(), {}, 0.5, 1e-19, "rest_above", "50"),
        (noisy(), {"weight_decay": 0.1}, 0.5, 0.5, "rest_penalised", "50"),
        (noisy(), {"zero_grad": False, "momentum": 0.5}, 0.5, 0.5, "rest_unknown", None),
        (LESSON, {}, 0.5, 0.123456, "rest_left", "12.3"),
    ],
)
def test_what_remains_is_said_in_times_or_percent(
    problem: dl.Problem, settings: dict[str, Any], times: float, fraction: float, key: str, value: object
) -> None:
    theory = FullBatchTheory(problem, dl.Descent(lr=0.1, **settings))
    said = remaining_message(theory, times * (theory.least.value or 1.0), fraction)
    assert said.key == f"ending.{key}"
    shown = said.values.get("times", said.values.get("percent"))
    assert shown == (pytest.approx(value) if isinstance(value, float) else value)


def test_percent_have_at_most_three_digits() -> None:
    assert [format_percent(0.123456, digits) for digits in (1, 2, 3, 4)] == ["1e+01", "12", "12.3", "12.3"]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weight_decay_converges_where_it_balances_the_gradient(reduction: str) -> None:
    lr = 0.4 * noisy().spectrum(reduction).lr_bound()
    run = dl.descend(noisy(), lr=lr, reduction=reduction, weight_decay=0.1, epochs=3000)
    assert run.ending.reason is dl.Reason.CONVERGED
    assert run.ending.messages[0].key == "ending.balanced"
    assert run.gradient_norm > 0.01
    theory = FullBatchTheory(noisy(), dl.Descent(lr=lr, reduction=reduction, weight_decay=0.1))
    first = run.ending.converged_epoch
    assert first is not None
    near = [bool(theory.is_converged(row)) for row in run.history.params[first - 2 : first]]
    assert near == [False, True]


def test_a_run_in_words() -> None:
    run = dl.descend(dl.Problem(np.eye(3), [1.0, 2, 4], standardize=True, ridge=0.5), lr=0.1, epochs=3)
    assert run.params_by_name == dict(zip(["x1", "x2", "x3", "bias"], run.params.tolist(), strict=True))
    assert run.messages[0].text("en").startswith("After the last update: x1 = ")
    assert run.messages[1:] == list(run.ending.messages)
    assert run.summary[-3:] == ["ridge 0.5", "standardized", "engine exact"]
    assert repr(run).startswith("Run(exact, 3 epochs recorded, out_of_epochs, cost ")
    wide = dl.descend(dl.Problem(np.eye(40), np.arange(40.0), bias=False), lr=0.1, epochs=2)
    shown = str(wide.messages[0].values["params"])
    assert shown.endswith(", ...")
    assert shown.count("=") == MAX_NAMED_PARAMETERS < 40
