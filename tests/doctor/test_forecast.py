"""The forecast against real runs: the verdict, the curve, the last parameters, in both precisions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.descent.reductions import REDUCTIONS
from descentlab.doctor.forecast import Forecast, Verdict, forecast
from descentlab.theory.full_batch import DEFAULT_WITHIN, FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion
from tests.extras import needs, optional

rng = np.random.default_rng(11)
X = rng.normal(size=(40, 3)) * [1.0, 2.0, 0.5] + [0.5, 0.0, 1.0]
y = X @ [1.0, -2.0, 3.0] + 0.5 + rng.normal(size=40)

PROBLEMS: dict[str, dl.Problem] = {
    "lesson": dl.Problem([1, 2, 3], [1, 2, 3], bias=False),
    "plain": dl.Problem(X, y),
    "no bias": dl.Problem(X, y, bias=False),
    "standardized": dl.Problem(X, y, standardize=True),
    "ridge": dl.Problem(X, y, ridge=0.2),
    "weighted": dl.Problem(X, y, weights=np.arange(40.0)),
}
LESSON = PROBLEMS["lesson"]  # one direction, of curvature 28/3 in the mean
STEPS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.8, "dampening": 0.3},
    {"weight_decay": 0.05},
    {"zero_grad": False},
    {"schedule": "cosine:200"},
]


def diagnosed(problem: dl.Problem, **settings: Any) -> dl.Diagnosis:
    found = dl.diagnose(problem, **settings)
    assert isinstance(found, dl.Diagnosis)
    return found


def foretold(problem: dl.Problem, **settings: Any) -> Forecast:
    """The forecast of a diagnosis, without remedies and findings, which take most of its time."""
    theory = FullBatchTheory(problem, dl.Descent(**settings))
    return forecast(theory, ConvergenceCriterion.from_theory(theory), DEFAULT_WITHIN)


def rate(problem: dl.Problem, part: float, **settings: Any) -> float:
    return part * FullBatchTheory(problem, dl.Descent(lr=1, **settings)).lr_bound


# A reduction only multiplies the rate, so it does not interact with the problem: every one on a single problem.
OTHER_REDUCTIONS = [reduction for reduction in REDUCTIONS if reduction != "mean"]
SHAPES = [*((name, "mean") for name in PROBLEMS), *(("plain", each) for each in OTHER_REDUCTIONS)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reduction", "steps", "part"),
    [
        (*shape, steps, part)
        for i, shape in enumerate(SHAPES)
        for j, steps in enumerate(STEPS)
        for k, part in enumerate([0.3, 0.95, 1.1])
        if shape == ("plain", "mean") or (i + j + k) % 3 == 0
    ],
    ids=str,
)
def test_the_curve_is_that_of_a_loop_over_the_rows(
    name: str, steps: dict[str, Any], reduction: str, part: float
) -> None:
    problem = PROBLEMS[name]
    settings = steps | {"reduction": reduction, "lr": rate(problem, part, reduction=reduction, **steps)}
    found = foretold(problem, epochs=200, **settings)
    run = dl.descend(problem, epochs=201, engine="hand", growth_limit=np.inf, **settings)
    assert found.curve is not None
    least = problem.solve().cost
    walked = run.history.cost[found.curve.updates]
    # Relative to the cost itself, down to where a cost of 0 is only rounding.
    np.testing.assert_allclose(found.curve.cost, walked, rtol=1e-10, atol=1e-12 * (walked[0] + least))
    if found.params is not None:
        np.testing.assert_allclose(found.params, run.history.params[200], rtol=1e-8, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reduction", "steps", "part"),
    [
        (*shape, steps, part)
        for i, shape in enumerate([("plain", "mean"), ("standardized", "mean"), *SHAPES[len(PROBLEMS) :]])
        for j, steps in enumerate(STEPS[:3])
        for k, part in enumerate([0.3, 0.95, 1.3])
        if i == 0 or (i + j + k) % 3 == 0
    ],
    ids=str,
)
def test_the_curve_is_that_of_a_loop_in_float32_until_it_overflows(
    name: str, steps: dict[str, Any], reduction: str, part: float
) -> None:
    problem = PROBLEMS[name]
    settings = steps | {"reduction": reduction, "lr": rate(problem, part, reduction=reduction, **steps)}
    found = foretold(problem, epochs=400, **settings)
    run = dl.descend(problem, epochs=401, engine="autograd", dtype="float32", growth_limit=np.inf, **settings)
    assert found.curve is not None
    assert found.overflow is not None
    seen = found.curve.updates[found.curve.updates < len(run.history)]
    over = [n for n in found.overflow["float32"].values() if n is not None]
    # torch sums the squares of all rows before it divides, so its cost is inf a little earlier.
    seen = seen[(seen < min(over, default=400)) & (found.curve.cost[: len(seen)] < np.finfo(np.float32).max / 50)]
    assert len(seen) > 40
    np.testing.assert_allclose(found.curve.cost[: len(seen)], run.history.cost[seen], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"),
    [(name, STEPS[(i + j) % 5]) for i, name in enumerate(PROBLEMS) for j in ((0, 2) if i else range(5))],
    ids=str,
)
def test_the_bound_is_where_runs_turn(name: str, steps: dict[str, Any]) -> None:
    problem = PROBLEMS[name]
    for part, grows in ((0.999, False), (1.001, True)):
        lr = rate(problem, part, **steps)
        assert (foretold(problem, lr=lr, **steps).verdict is Verdict.DIVERGES) is grows
        run = dl.descend(problem, lr=lr, engine="hand", epochs=2_000, growth_limit=np.inf, **steps)
        theory = FullBatchTheory(problem, run.descent)
        middle = theory.suboptimality(problem.scaling.to_scaled(run.history.params[len(run.history) // 2]))
        end = theory.suboptimality(problem.scaling.to_scaled(run.params))
        assert (end > max(2 * middle, 1e-20) or not np.isfinite(end)) is grows


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"lr": 0.01}, Verdict.TOO_SLOW),
        ({"lr": 0.1, "epochs": 20}, Verdict.MONOTONE),
        ({"lr": 0.15}, Verdict.OSCILLATING),
        ({"lr": 0.2143}, Verdict.DIVERGES),
        ({"lr": 0.01, "momentum": 0.9, "epochs": 500}, Verdict.OSCILLATING),
        ({"lr": 0.15, "zero_grad": False}, Verdict.TOO_SLOW),
        ({"lr": 0.15, "batch_size": 2}, Verdict.UNKNOWN),
        ({"lr": 0.15, "batch_size": 3}, Verdict.OSCILLATING),
        ({"lr": 0.15, "batch_size": 100}, Verdict.OSCILLATING),
        ({"lr": 0.15, "schedule": "exponential:0.5"}, Verdict.TOO_SLOW),
        ({"lr": 0.3, "schedule": "step:1000"}, Verdict.DIVERGES),
        ({"lr": 0.3, "schedule": "step:3:0.5", "epochs": 50}, Verdict.OSCILLATING),
        ({"lr": 0.05, "momentum": 1.1}, Verdict.DIVERGES),
        (
            {"lr": 0.3, "start": [1.0001], "epochs": 1},
            Verdict.DIVERGES,
        ),  # still near after one update, and not for long
    ],
    ids=str,
)
def test_the_lesson_in_a_word(settings: dict[str, Any], expected: Verdict) -> None:
    settings = {"epochs": 10} | settings
    found = diagnosed(PROBLEMS["lesson"], **settings)
    assert found.verdict is expected


@pytest.mark.parametrize("lr", [0.01, 0.15, 0.2142, 0.2144, 1.0])
def test_at_the_minimum_there_is_nothing_to_do_at_any_rate(lr: float) -> None:
    found = diagnosed(LESSON, lr=lr, start=[1.0])
    assert found.verdict is Verdict.MONOTONE
    assert found.epochs_to_tolerance == 0
    assert found.overflow_epoch == {"float32": None, "float64": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"schedule": "linear:300"}, {"optimizer": "Adam"}, {"optimizer": "LBFGS"}], ids=str
)
def test_a_walked_descent_is_there_from_the_epoch_that_it_says(settings: dict[str, Any]) -> None:
    problem = PROBLEMS["plain"]
    lr = 0.2 if settings.get("optimizer") == "Adam" else 1.0 if "optimizer" in settings else rate(problem, 0.5)
    found = diagnosed(problem, lr=lr, epochs=2000, **settings)
    assert found.verdict.converges
    needed = found.epochs_to_tolerance
    assert needed is not None
    engine = "exact" if "schedule" in settings else "replay"
    run = dl.descend(problem, lr=lr, epochs=2001, engine=engine, **settings)
    near = [
        bool(x)
        for x in FullBatchTheory(problem, run.descent).is_converged(problem.scaling.to_scaled(run.history.params))
    ]
    assert all(near[needed:])
    assert not near[needed - 1]


@needs("torch")
def test_a_factor_is_enough() -> None:
    problem = dl.Problem(X, y)
    alone = dl.Problem(problem.factor)
    for settings in ({"lr": 0.1}, {"lr": 0.01, "optimizer": "Adam"}):
        ours, theirs = diagnosed(alone, epochs=50, **settings), diagnosed(problem, epochs=50, **settings)
        assert ours.verdict is theirs.verdict
        assert ours.epochs_to_tolerance == theirs.epochs_to_tolerance
        assert ours.cost == pytest.approx(theirs.cost, rel=1e-12)


def test_diagnosing_alters_nothing() -> None:
    torch = optional("torch")
    rows_X, rows_y = X.copy(), y.copy()
    problem = dl.Problem(rows_X, rows_y)
    settings: dict[str, Any] = {"lr": 0.05, "epochs": 50, "momentum": 0.5, "batch_size": 7}
    torch.manual_seed(4)
    before = [dl.descend(problem, engine=name, **settings).history for name in ("hand", "autograd")]
    state = torch.get_rng_state()
    first = dl.diagnose(problem, lr=0.05, observed=[1.0, 2.0, 3.0], validation=(rows_X, rows_y))
    dl.diagnose(problem, lr=0.05, optimizer="Adam")
    assert torch.equal(torch.get_rng_state(), state)
    after = [dl.descend(problem, engine=name, **settings).history for name in ("hand", "autograd")]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.params, other.params)
        np.testing.assert_array_equal(one.cost, other.cost)
    np.testing.assert_array_equal(rows_X, X)
    np.testing.assert_array_equal(rows_y, y)
    assert str(dl.diagnose(problem, lr=0.05, observed=[1.0, 2.0, 3.0], validation=(rows_X, rows_y))) == str(first)


def test_near_by_chance_is_not_converging() -> None:
    """Momentum 1 never shrinks an error; at this epoch the swing passes the minimum."""
    found = diagnosed(LESSON, lr=0.08, zero_grad=False, epochs=54)
    assert found.forecast.converged_at_end
    assert found.verdict == "too slow"
    assert found.epochs_to_tolerance is None
    later = diagnosed(LESSON, lr=0.08, zero_grad=False, epochs=55)
    assert not later.forecast.converged_at_end


@pytest.mark.slow
def test_near_at_the_end_and_gone_again_is_said() -> None:
    """Heavy momentum passes through the aim before it stays there."""
    settled = diagnosed(LESSON, lr=0.01, momentum=0.9, epochs=1000).epochs_to_tolerance
    assert settled is not None
    passing = [
        epochs
        for epochs in range(1, settled)
        if foretold(LESSON, lr=0.01, momentum=0.9, epochs=epochs).converged_at_end
    ]
    assert passing
    found = diagnosed(LESSON, lr=0.01, momentum=0.9, epochs=passing[0])
    assert found.verdict == "converges-oscillating"
    assert found.epochs_to_tolerance == settled > passing[0]
    assert "leaves it again" in " ".join(found.text("en").splitlines()[1:4])


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 1.0])
def test_at_the_bound_errors_stand_still_but_with_momentum_one_they_grow(momentum: float) -> None:
    lr = 2 * (1 + momentum) / (28 / 3)
    found = diagnosed(LESSON, lr=lr, momentum=momentum, epochs=1000)
    w = v = 0.0
    sizes = []
    for _ in range(1000):
        v = momentum * v + 28 / 3 * (w - 1)
        w -= lr * v
        sizes.append(abs(w - 1))
    grows = max(sizes[500:]) > 1.5 * max(sizes[:500])
    assert grows == (momentum == 1)
    assert found.verdict == ("diverges" if grows else "too slow")


def test_a_rate_above_the_bound_without_an_error_to_grow_is_told_apart() -> None:
    at_minimum = diagnosed(LESSON, lr=1.0, start=[1.0])
    assert at_minimum.verdict == "converges-monotone"
    assert at_minimum.epochs_to_tolerance == 0
    assert "above its bound nevertheless" in " ".join(at_minimum.text("en").split())
    beside = diagnosed(LESSON, lr=1.0, start=[1.0 + 1e-13])
    assert beside.verdict == "diverges"
    assert beside.epochs_to_tolerance is None


def test_a_start_within_the_aim_leaves_it_above_the_bound() -> None:
    found = diagnosed(LESSON, lr=0.3, start=[1.001])
    assert found.verdict == "diverges"
    assert [remedy.epochs_at_lr for remedy in found.remedies if remedy.name == "fastest_rate"] == [None]


@pytest.mark.parametrize("start", [100.0, 1e6, 1e100, 1e150])
def test_a_far_start_is_bound_for_the_same_minimum(start: float) -> None:
    near, far = diagnosed(LESSON, lr=0.1), diagnosed(LESSON, lr=0.1, start=[start])
    assert far.least_cost == pytest.approx(near.least_cost, abs=1e-28)
    assert far.goal == pytest.approx(near.goal)
    factor = 1 - 0.1 * 28 / 3
    assert far.epochs_to_tolerance == math.ceil(math.log(0.01 / (start - 1)) / math.log(factor))


def test_a_start_whose_cost_is_no_number_is_refused() -> None:
    with pytest.raises(dl.SettingError, match="too far away"):
        diagnosed(LESSON, lr=0.1, start=[1e200])


def test_a_target_of_zeros_is_reached_relative_to_the_start() -> None:
    zero = dl.Problem([1, 2, 3], [0, 0, 0], bias=False)
    found = diagnosed(zero, lr=0.05, start=[4.0])
    assert found.epochs_to_tolerance == math.ceil(math.log(0.01) / math.log(1 - 0.05 * 28 / 3))


def test_an_undampened_first_update_overshoots() -> None:
    """torch does not dampen the first step: at lr 0.15 it is past the minimum, though later ones never are."""
    found = diagnosed(LESSON, lr=0.15, momentum=0.5, dampening=0.9, epochs=100)
    w, v, errors = 0.0, None, []
    for _ in range(100):
        g = 28 / 3 * (w - 1)
        v = g if v is None else 0.5 * v + 0.1 * g
        w -= 0.15 * v
        errors.append(w - 1)
    assert min(errors) < 0 < max(errors)
    assert found.verdict == "converges-oscillating"


@needs("torch")
@pytest.mark.parametrize("epochs", [1, 3, 8])
def test_a_few_steps_up_of_an_optimizer_are_no_divergence(epochs: int) -> None:
    assert diagnosed(LESSON, lr=10.0, optimizer="Adam", epochs=epochs).verdict != "diverges"


@needs("torch")
def test_more_epochs_than_can_be_walked_are_not_diagnosed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.doctor.forecast.MAX_SIMULATED_UPDATES", 50)
    found = diagnosed(LESSON, lr=1e-4, optimizer="Adam", epochs=51)
    assert found.verdict == "cannot tell"
    assert found.findings[0].name == "too_long_to_walk"
    assert found.cost == pytest.approx(diagnosed(LESSON, lr=1e-4, optimizer="Adam", epochs=50).cost)
