"""Held-out costs by updates, against plain loops over the rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descentlab import DataError, Descent, Diagnosis, Factor, Problem, SettingError, diagnose
from descentlab.messages import display_width
from descentlab.model_selection import validation_curve
from descentlab.model_selection.validation import Validation, validate
from descentlab.model_selection.validation_curve import (
    ValidationCurve,
    concatenate_ranges,
    log_spaced_ranges,
    make_held_out_cost,
)

NAMES = ("a", "b", "c")


def rows(n: int = 24, d: int = 3, seed: int = 0, noise: float = 1.0) -> tuple[Any, Any]:
    """Columns far from zero and of different scales, and a noisy target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.logspace(0, 0.5, d) + np.arange(d)
    return X, X @ rng.normal(size=d) + 2 + noise * rng.normal(size=n)


def descended(
    X: Any,
    y: Any,
    held: tuple[Any, Any],
    descent: Descent,
    *,
    weights: Any = None,
    held_weights: Any = None,
    bias: bool = True,
    ridge: float = 0.0,
    center: bool = False,
    standardize: bool = False,
) -> tuple[Any, Any]:
    """Training and held-out mean squared errors after 0 .. epochs updates of a loop over the rows, as torch steps."""
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    v = np.ones(len(held[1])) if held_weights is None else np.asarray(held_weights, dtype=float)
    X, other = np.array(X, dtype=float), np.array(held[0], dtype=float)
    if bias and (center or standardize):
        means = w @ X / w.sum()
        X, other = X - means, other - means
    if standardize:
        scales = np.sqrt(w @ X**2 / w.sum())
        X, other = X / scales, other / scales
    if bias:
        X, other = (np.column_stack([each, np.ones(len(each))]) for each in (X, other))
    penalty = np.full(X.shape[1], ridge)
    penalty[X.shape[1] - bias :] = 0.0
    n = w.sum()
    c = {"mean": 2 / n, "half_mean": 1 / n, "sum": 2.0, "half_sum": 1.0}[descent.reduction]
    rates = descent.learning_rates(np.arange(descent.epochs))
    p, m, train, cost = np.zeros(X.shape[1]), None, [], []
    for t in range(descent.epochs + 1):
        train.append(w @ (X @ p - y) ** 2 / n)
        cost.append(v @ (other @ p - held[1]) ** 2 / v.sum())
        if t < descent.epochs:
            g = c * (X.T @ (w * (X @ p - y)) + n * penalty * p) + descent.weight_decay * p
            m = g if m is None else descent.momentum * m + (1 - descent.dampening) * g
            p = p - rates[t] * (g + descent.momentum * m if descent.nesterov else m if descent.momentum else g)
    return np.array(train), np.array(cost)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"lr": 0.03}, {}),
        ({"lr": 0.002, "reduction": "sum"}, {"bias": False}),
        ({"lr": 0.2, "reduction": "half_mean", "momentum": 0.8}, {"standardize": True}),
        ({"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {"standardize": True, "ridge": 0.1}),
        ({"lr": 0.02, "momentum": 0.5, "dampening": 0.5}, {"center": True, "ridge": 0.01}),
        ({"lr": 0.1}, {"standardize": True, "bias": False}),
        ({"lr": 0.04, "schedule": "step:30:0.5"}, {"ridge": 0.05}),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_costs_are_those_of_a_loop_over_the_rows(settings: Any, kind: Any, weighted: bool) -> None:
    X, y = rows()
    weights = np.random.default_rng(1).integers(0, 4, 24) if weighted else None
    train, held = (X[:14], y[:14]), (X[14:], y[14:])
    w, v = (None, None) if weights is None else (weights[:14], weights[14:])
    descent = Descent(epochs=300, **settings)
    expected = descended(*train, held, descent, weights=w, held_weights=v, **kind)
    found = validate(Problem(*train, weights=w, **kind), descent, *held, weights=v)
    np.testing.assert_allclose(found.train_cost, expected[0][found.updates], rtol=1e-10)
    np.testing.assert_allclose(found.cost, expected[1][found.updates], rtol=1e-10)
    assert found.updates[0] == 0
    assert found.updates[-1] == 300
    assert found.best_updates == np.argmin(expected[1])
    assert found.best_cost == pytest.approx(expected[1].min(), rel=1e-10)
    assert found.best_train_cost == pytest.approx(expected[0][found.best_updates], rel=1e-10)
    assert found.final_cost == pytest.approx(expected[1][-1], rel=1e-10)
    repeats = np.ones(10) if v is None else v
    prediction = held[0] @ found.best_params[:3] + (found.best_params[3] if kind.get("bias", True) else 0)
    assert repeats @ (prediction - held[1]) ** 2 / repeats.sum() == pytest.approx(found.best_cost, rel=1e-10)


def test_mini_batches_are_walked() -> None:
    X, y = rows()
    descent = Descent(lr=0.01, epochs=40, batch_size=4, seed=3)
    found = validate(Problem(X[:14], y[:14]), descent, X[14:], y[14:])
    p, costs = np.zeros(4), []
    order = np.random.default_rng(3)
    for _ in range(41):
        costs.append(np.mean((X[14:] @ p[:3] + p[3] - y[14:]) ** 2))
        shuffled = order.permutation(14)
        for start in range(0, 14, 4):
            Z = np.column_stack([X[shuffled[start : start + 4]], np.ones(len(shuffled[start : start + 4]))])
            p = p - 0.01 * 2 / len(Z) * Z.T @ (Z @ p - y[shuffled[start : start + 4]])
    np.testing.assert_allclose(found.cost, costs, rtol=1e-10)
    assert found.best_updates == np.argmin(costs)
    assert np.mean((X[14:] @ found.best_params[:3] + found.best_params[3] - y[14:]) ** 2) == pytest.approx(min(costs))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"part": 0.4},
        {"part": 0.9995},  # the steepest direction changes sides for thousands of updates
        {"part": 0.3, "momentum": 0.99},  # every direction swings for long
        {"part": 0.9, "momentum": 0.9, "nesterov": True},
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_the_best_update_is_the_best_of_all(monkeypatch: pytest.MonkeyPatch, settings: Any, seed: int) -> None:
    monkeypatch.setattr(validation_curve, "EXHAUSTIVE_UPDATES", 64)
    monkeypatch.setattr(validation_curve, "SEARCH_POINTS_PER_OCTAVE", 32)
    X, y = rows(18, 6, seed, noise=4.0)
    problem = Problem(X[:9], y[:9])
    stepping = {name: value for name, value in settings.items() if name != "part"}
    descent = Descent(lr=settings["part"] * problem.spectrum().lr_bound(**stepping), epochs=40_000, **stepping)
    way = ValidationCurve(problem, descent, make_held_out_cost(problem, Problem(X[9:], y[9:]).factor))
    costs = way.held_out_costs([range(40_001)])
    best, exact = way.argmin()
    assert exact
    assert costs[best] <= costs.min() * (1 + 1e-14)
    assert best <= np.argmin(costs)


def test_a_valley_far_out_is_followed_to_its_bottom() -> None:
    # One fast direction and a slow one, whose best update lies between samples of the log scale.
    X = np.array([[1.0, 0.0], [0.0, 1e-4]])
    problem = Problem(X, [1.0, 1.0], bias=False)
    held = Factor.from_block([[0.0, 1.0, 3000.0]], ("x1", "x2", "y"))
    descent = Descent(lr=1.0, reduction="half_sum", epochs=10**9)
    found = validate(problem, descent, held)
    # W2 = 1e4 (1 - (1 - 1e-8)^t) passes 3000 at t = log(0.7) / log(1 - 1e-8)
    t = math.log(0.7) / math.log1p(-1e-8)
    assert abs(found.best_updates - t) <= 1
    assert found.best_cost < 1e-8
    assert found.exact


def test_swings_without_end_are_owned_up_to() -> None:
    problem = Problem([1.0, 2, 3], [1.0, 2, 3], bias=False)
    found = validate(problem, Descent(lr=0.15, epochs=2_000_000, zero_grad=False), [1.0], [1.0])
    assert not found.exact
    assert validate(problem, Descent(lr=0.15, epochs=2_000_000), [1.0], [1.0]).exact


def test_of_costs_that_rounding_alone_tells_apart_the_fewest_updates() -> None:
    X, y = rows(noise=0.0)
    problem = Problem(X[:14], y[:14], standardize=True)
    found = validate(problem, Descent(lr=0.3, epochs=100_000), X[14:], y[14:])
    assert found.best_updates < 2000
    assert found.best_cost < 1e-26
    assert "stays there" in str(found)


@pytest.mark.parametrize("seed", range(5))
def test_what_has_settled_is_settled_from_its_first_update_on(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    X, y = rows(seed=seed)
    problem, descent = Problem(X, y), Descent(lr=1e-3, epochs=10_000_000)
    found = validate(problem, descent, problem)  # on the training rows themselves the cost only falls
    assert [each.key for each in found.messages] == ["validation.settled"]
    assert found.best_updates < 1_000_000
    monkeypatch.setattr(validation_curve, "EXHAUSTIVE_UPDATES", 16)
    monkeypatch.setattr(validation_curve, "SEARCH_POINTS_PER_OCTAVE", 8)
    narrowed = validate(problem, descent, problem).best_updates
    costs = ValidationCurve(problem, descent, make_held_out_cost(problem, problem.factor)).held_out_costs(
        [range(narrowed - 1, narrowed + 1)]
    )
    assert costs[0] > costs[1]
    assert abs(narrowed - found.best_updates) < 0.02 * found.best_updates  # where rounding has its say


def test_a_rise_that_nobody_would_notice_is_none() -> None:
    X, y = rows(40, seed=4)
    problem = Problem(X, y, ridge=1e-3)  # the penalty raises the cost by 1e-13 in the end
    found = validate(problem, Descent(lr=1e-3, epochs=10**7), problem)
    assert found.final_cost > found.best_cost
    assert [each.key for each in found.messages] == ["validation.settled"]


@pytest.mark.parametrize(("last", "dense", "doubling"), [(0, 4, 2), (3, 4, 2), (4, 4, 2), (5, 4, 2), (1000, 128, 64)])
def test_numbers_of_updates_ascend_from_zero_to_the_last(last: int, dense: int, doubling: int) -> None:
    found = concatenate_ranges(log_spaced_ranges(last, dense, doubling))
    assert found[0] == 0
    assert found[-1] == last
    assert (np.diff(found) > 0).all()
    assert found[: dense + 1].tolist() == list(range(min(last, dense) + 1))
    assert (np.diff(found) <= np.maximum(1, found[:-1] / doubling)).all()


def test_columns_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(5)
    X = np.column_stack([1.7e9 + rng.integers(0, 10**6, 40), 2000 + rng.integers(0, 25, 40)]).astype(float)
    y = 1e-5 * (X[:, 0] - 1.7e9) + 0.3 * (X[:, 1] - 2000) + rng.normal(size=40)
    descent = Descent(lr=0.3, epochs=200)
    found = validate(Problem(X[:25], y[:25], standardize=True), descent, X[25:], y[25:])
    _, expected = descended(X[:25], y[:25], (X[25:], y[25:]), descent, standardize=True)
    np.testing.assert_allclose(found.cost, expected[found.updates], rtol=1e-10)


def test_held_out_rows_come_in_any_form(tmp_path: Path) -> None:
    X, y = rows()
    descent = Descent(lr=0.03, epochs=50)
    problem = Problem(X[:14], y[:14], features=NAMES, target="t")
    expected = validate(problem, descent, X[14:], y[14:]).cost
    table = np.column_stack([y, X[:, ::-1], np.arange(24)])[14:]
    columns = ("t", "c", "b", "a", "more")
    factor = Factor.from_block(table, columns)
    path = tmp_path / "held.csv"
    lines = [",".join(columns), *(",".join(repr(float(value)) for value in row) for row in table)]
    path.write_text("\n".join(lines) + "\n,,,1,1\n", "utf-8")
    for held in (factor, Problem(factor, target="t", features=["c", "a", "b"])):
        np.testing.assert_allclose(validate(problem, descent, held).cost, expected, rtol=1e-12)
    read = validate(problem, descent, path, missing="drop")
    np.testing.assert_allclose(read.cost, expected, rtol=1e-12)
    assert (read.rows, read.weight) == (10, 10.0)
    assert "1 of 11 rows" in read.text("en")


def test_what_does_not_fit_is_named() -> None:
    X, y = rows()
    problem, descent = Problem(X[:14], y[:14], features=NAMES, target="t"), Descent(lr=0.03)
    with pytest.raises(DataError, match="no column b, t, but the training rows do"):
        validate(problem, descent, Factor.from_block(X, ("a", "B", "c")))
    with pytest.raises(DataError, match="2 columns, but the features of the training rows are: a, b, c"):
        validate(problem, descent, X[14:, :2], y[14:])
    with pytest.raises(DataError, match="There is no column `t`"):
        validate(problem, descent, X)
    for held in (Factor.empty((*NAMES, "t")), Factor.from_block(np.ones((2, 4)), (*NAMES, "t"), [0, 0])):
        with pytest.raises(DataError, match="No held-out row has a positive weight"):
            validate(problem, descent, held)
    with pytest.raises(DataError, match="No held-out row has a positive weight: there are 0 rows"):
        validate(problem, descent, X[:0], y[:0])
    with pytest.raises(SettingError, match="Leave out y and weights"):
        validate(problem, descent, problem, y)


def test_a_diagnosis_takes_held_out_rows_in_any_form(tmp_path: Path) -> None:
    X, y = rows()
    table = np.column_stack([X, y])
    problem = Problem(table[:14], target="x4")
    descent = Descent(lr=0.03, epochs=50)
    expected = validate(problem, descent, Factor.from_block(table[14:], ("x1", "x2", "x3", "x4"))).cost
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for path, part in zip(paths, np.split(table[14:], 2), strict=True):
        lines = ["x1,x2,x3,x4", *(",".join(repr(float(value)) for value in row) for row in part)]
        path.write_text("\n".join(lines), "utf-8")
    held: list[Any] = [
        (X[14:], y[14:]),
        [X[14:], y[14:]],
        [X[14:].tolist(), y[14:].tolist()],
        (X[14:].tolist(), tuple(y[14:])),
        table[14:],
        table[14:].tolist(),
        Problem(table[14:], target="x4"),
        (Problem(table[14:], target="x4").factor,),
        paths,
        [str(path) for path in paths],
    ]
    for given in held:
        found = diagnose(problem, descent, validation=given)
        assert isinstance(found, Diagnosis)
        assert found.validation is not None
        np.testing.assert_allclose(found.validation.cost, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("given", "words"),
    [((), "a tuple of length 0"), ([], "a list of length 0"), ((1, 2, 3), "a tuple of length 3"), ([1.0], "a list of")],
)
def test_what_is_no_pair_is_refused_in_a_sentence(given: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        diagnose(Problem(*rows()), lr=0.03, validation=given)
    assert "(X, y)" in caught.value.message.text("ko")


def test_where_no_engine_can_follow_the_rest_is_diagnosed() -> None:
    X, y = rows()
    problem = Problem(X[:14], y[:14])
    descent = Descent(lr=0.01, epochs=40, batch_size=4)
    found = diagnose(Problem(problem.factor), descent, validation=(X[14:], y[14:]))
    assert isinstance(found, Diagnosis)
    assert found.validation is None
    assert found.verdict == "cannot tell"
    [told] = [each for each in found.findings if each.topic == "held_out"]
    assert told.name == "held_out_unknown"
    assert "cannot provide a batch of 4 of the 14 rows" in told.text("en")
    assert "14행에서 4행짜리" in told.text("ko")
    walked = diagnose(problem, descent, validation=(X[14:], y[14:]))
    assert isinstance(walked, Diagnosis)
    assert walked.validation is not None


def cases() -> dict[str, Validation]:
    X, y = rows(16, 6, 2, noise=6.0)
    problem, held = Problem(X[:8], y[:8], standardize=True), (X[8:], y[8:])
    quarter = problem.spectrum().lr_bound() / 4
    line = Problem([1.0, 2, 3], [1.0, 2, 3], bias=False)
    return {
        "overfits": validate(problem, Descent(lr=quarter, epochs=3000), *held),
        "falling": validate(problem, Descent(lr=quarter / 100, epochs=20), *held),
        "grows": validate(problem, Descent(lr=5 * quarter, epochs=100), *held),
        "overflowed": validate(problem, Descent(lr=5 * quarter, epochs=10**7), *held),
        "settled": validate(line, Descent(lr=0.1, epochs=500), [2.0], [2.0]),
        "never": validate(line, Descent(lr=0.1, epochs=500), [2.0], [-2.0]),
    }


@pytest.mark.slow
def test_every_outcome_has_its_sentences() -> None:
    for name, found in cases().items():
        assert f"validation.{name}" in [each.key for each in found.messages]
        for lang in ("en", "ko"):
            assert all(display_width(line) <= 80 for line in found.text(lang).splitlines())
            assert not any(word in found.text(lang) for word in ("nan", "inf "))
        content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert content["best_updates"] == found.best_updates
        assert content["cost"][0] == found.cost[0]
    overflowed = cases()["overflowed"]
    assert overflowed.to_dict()["final_cost"] is None
    assert overflowed.final_cost == math.inf
    assert cases()["never"].best_updates == 0
