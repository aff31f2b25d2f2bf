"""Folds and cross-validation, against plain loops over the rows of each fold."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descentlab import DataError, Descent, Factor, Problem, SettingError
from descentlab.data.arrays import ArraySource
from descentlab.messages import display_width
from descentlab.model_selection.cross_validate import cross_validate, merge_leaving_one_out
from descentlab.model_selection.cross_validation import CrossValidation
from descentlab.model_selection.splitting import assign_folds, split
from tests.model_selection.test_validation import descended, rows


def gram(factor: Factor) -> Any:
    return factor.R.T @ factor.R


def same(found: Factor, expected: Factor) -> None:
    """Two factors of the same rows, up to rounding relative to their columns' norms."""
    assert (found.columns, found.rows) == (expected.columns, expected.rows)
    assert found.weight == pytest.approx(expected.weight)
    norms = np.sqrt(np.diagonal(gram(expected)))
    np.testing.assert_allclose(gram(found), gram(expected), rtol=0, atol=1e-12 * np.outer(norms, norms).max())


@given(st.integers(2, 9), st.integers(0, 60), st.integers(0, 2**40), st.booleans())
def test_merging_all_folds_gives_all_rows(folds: int, more: int, seed: int, shuffle: bool) -> None:
    n = folds + more
    X, y = rows(n)
    weights = np.arange(n) % 3 if seed % 2 else None
    parts = split(X, y, weights=weights, folds=folds, seed=seed, shuffle=shuffle)
    sizes = [part.rows for part in parts]
    assert len(sizes) == folds
    assert max(sizes) - min(sizes) <= 1
    whole = Factor.empty(parts[0].columns)
    for part in parts:
        whole = whole.merge(part)
    same(whole, Factor.from_block(np.column_stack([X, y]), ("x1", "x2", "x3", "y"), weights))


@given(st.integers(2, 9), st.integers(0, 10**12), st.integers(0, 10**18), st.lists(st.integers(0, 40), max_size=6))
def test_a_rows_fold_does_not_depend_on_where_blocks_are_cut(
    folds: int, start: int, seed: int, lengths: list[int]
) -> None:
    whole = assign_folds(start, sum(lengths), folds, seed)
    firsts = start + np.cumsum([0, *lengths])[:-1]
    parts = [assign_folds(int(first), length, folds, seed) for first, length in zip(firsts, lengths, strict=True)]
    np.testing.assert_array_equal(np.concatenate([np.empty(0, dtype=int), *parts]), whole)
    run = assign_folds(start // folds * folds, folds, folds, seed)
    assert sorted(run.tolist()) == list(range(folds))


def scrambled(z: int) -> int:
    """SplitMix64 in whole numbers."""
    z = (z + 1) * 0x9E3779B97F4A7C15 % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@pytest.mark.parametrize("seed", [0, 1, 10**18])
def test_the_order_is_the_same_on_every_machine(seed: int) -> None:
    assert scrambled(0) == 0xE220A8397B1DCDAF  # the first output of the reference implementation, seeded with 0
    expected = []
    for run in range(40):
        keys = [scrambled((scrambled(seed) + 5 * run + i) % 2**64) for i in range(5)]
        expected += sorted(range(5), key=keys.__getitem__)
    assert assign_folds(0, 200, 5, seed).tolist() == expected


def test_the_order_is_drawn_anew_for_each_run_and_each_seed() -> None:
    drawn = np.stack([assign_folds(0, 30_000, 3, seed).reshape(-1, 3) for seed in range(2)])
    for runs in drawn:
        _, counts = np.unique(runs, axis=0, return_counts=True)
        assert len(counts) == 6
        assert np.abs(counts - 10_000 / 6).max() < 5 * np.sqrt(10_000 / 6)
    agree = (drawn[0] == drawn[1]).mean()
    assert abs(agree - 1 / 3) < 0.02
    np.testing.assert_array_equal(assign_folds(7, 9, 4, shuffle=False), np.arange(7, 16) % 4)


@pytest.mark.parametrize("block", [1, 7, 1000, 8192])
def test_any_block_cutting_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("descentlab.factor.incremental.BLOCK_ROWS", 200)
    X, y = rows(3000)
    whole = split(X, y, weights=np.arange(3000) % 4, folds=3, seed=1)
    monkeypatch.setattr("descentlab.data.arrays.BLOCK_ROWS", block)
    for part, expected in zip(split(X, y, weights=np.arange(3000) % 4, folds=3, seed=1), whole, strict=True):
        np.testing.assert_array_equal(part.R_centered, expected.R_centered)
        np.testing.assert_array_equal(part.origin, expected.origin)
        assert part.rows == expected.rows == 1000
    chosen = assign_folds(0, 3000, 3, 1) == 0
    table = np.column_stack([X, y])[chosen]
    same(whole[0], Factor.from_block(table, ("x1", "x2", "x3", "y"), (np.arange(3000) % 4)[chosen]))


def test_files_arrays_and_problems_are_divided_alike(tmp_path: Path) -> None:
    X, y = rows(50)
    table = np.column_stack([X, y])
    for i, piece in enumerate(np.split(table, [20])):
        lines = ["a,b,c,t", *(",".join(repr(float(value)) for value in row) for row in piece)]
        (tmp_path / f"{i}.csv").write_text("\n".join(lines), "utf-8")
    expected = split(X, y, features=["a", "b", "c"], target="t", folds=4)
    pattern = str(tmp_path / "*.csv")
    for found in (split(pattern, target="t", folds=4), split(Problem(pattern, target="t"), folds=4)):
        for part, one in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part.R_centered, one.R_centered)
            assert part.columns == ("a", "b", "c", "t")


def test_the_rows_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Counter[str]()
    blocks, merge = ArraySource.blocks, Factor.merge

    def counted(name: str, function: Any) -> Any:
        def call(*given: Any) -> Any:
            count[name] += 1
            return function(*given)

        return call

    monkeypatch.setattr(ArraySource, "blocks", counted("reads", blocks))
    monkeypatch.setattr(Factor, "merge", counted("merges", merge))
    table = np.column_stack(rows(200))
    cross_validate(table, target="x4", folds=20, ridge=[0, 0.1], lr=[0.01, 0.02], epochs=50)
    assert count["reads"] == 1
    assert count["merges"] <= 5 * 20  # 2 to make each fold's factor, 3 for the others'


@pytest.mark.parametrize("k", [2, 3, 7])
def test_a_training_set_is_all_other_folds(k: int) -> None:
    X, y = rows(40)
    folds = split(X, y, folds=k)
    of = assign_folds(0, 40, k)
    for j, found in enumerate(merge_leaving_one_out(folds)):
        same(found, Factor.from_block(np.column_stack([X, y])[of != j], folds[0].columns))


SETTINGS: list[tuple[Any, Any]] = [
    ({}, {}),
    ({"reduction": "sum"}, {"bias": False}),
    ({"momentum": 0.8}, {"standardize": True}),
    ({"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {"standardize": True}),
    ({"momentum": 0.5, "dampening": 0.5, "reduction": "half_mean"}, {"center": True}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("stepping", "kind"), SETTINGS)
@pytest.mark.parametrize("weighted", [False, True])
def test_costs_are_those_of_loops_over_the_rows_of_each_fold(stepping: Any, kind: Any, weighted: bool) -> None:
    X, y = rows(31)
    weights = np.random.default_rng(1).integers(1, 4, 31).astype(float) if weighted else None
    w = np.ones(31) if weights is None else weights
    ridges = (0.0, 0.1)
    trial = Problem(X, y, weights=weights, ridge=0.1, **kind).spectrum(stepping.get("reduction", "mean"))
    recursion = {name: value for name, value in stepping.items() if name != "reduction"}
    rates = np.array([0.1, 0.5]) * trial.lr_bound(**recursion)
    found = cross_validate(
        X, y, weights=weights, folds=4, seed=2, lr=rates, ridge=ridges, epochs=300, **stepping, **kind
    )
    of = assign_folds(0, 31, 4, 2)
    costs = np.empty((4, 2, 2, 301))
    for j in range(4):
        train, held = of != j, of == j
        for a, lr in enumerate(rates):
            for r, ridge in enumerate(ridges):
                _, costs[j, a, r] = descended(
                    X[train],
                    y[train],
                    (X[held], y[held]),
                    Descent(lr=lr, epochs=300, **stepping),
                    weights=w[train],
                    held_weights=w[held],
                    ridge=ridge,
                    **kind,
                )
    np.testing.assert_allclose(found.fold_cost, costs[..., found.updates], rtol=1e-10)
    parts = np.array([w[of == j].sum() for j in range(4)]) / w.sum()
    mean = np.einsum("j,jart->art", parts, costs)
    error = np.sqrt(4 / 3 * np.einsum("j,jart->art", parts**2, (costs - mean) ** 2))
    np.testing.assert_allclose(found.cost, mean[..., found.updates], rtol=1e-10)
    np.testing.assert_allclose(found.error, error[..., found.updates], rtol=1e-8)
    best, simplest = found.best, found.simplest
    assert best is not None
    assert simplest is not None
    tried = mean[..., found.updates]
    assert best.cost == pytest.approx(tried.min(), rel=1e-10)
    a, r, t = (list(rates).index(best.lr), ridges.index(best.ridge), list(found.updates).index(best.updates))
    assert tried[a, r, t] == pytest.approx(tried.min(), rel=1e-10)
    limit = tried.min() + error[..., found.updates][a, r, t]
    assert simplest.cost <= limit * (1 + 1e-9)
    near = np.argwhere(tried <= limit)
    largest = max(ridges[r] for _, r, _ in near)
    assert simplest.ridge == largest
    assert simplest.updates == min(found.updates[t] for _, r, t in near if ridges[r] == largest)
    assert found.rows.tolist() == [(of == j).sum() for j in range(4)]


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_converging_gives_the_solution_of_least_squares(ridge: float) -> None:
    X, y = rows(30)
    found = cross_validate(X, y, folds=3, ridge=ridge, standardize=True, epochs=20_000)
    of = assign_folds(0, 30, 3)
    for j in range(3):
        train, held = of != j, of == j
        mean, scale = X[train].mean(axis=0), X[train].std(axis=0)
        Z = np.column_stack([(X[train] - mean) / scale, np.ones(train.sum())])
        other = np.column_stack([(X[held] - mean) / scale, np.ones(held.sum())])
        penalty = np.diag([ridge * train.sum()] * 3 + [0.0])
        p = np.linalg.solve(Z.T @ Z + penalty, Z.T @ y[train])
        assert found.limit_fold_cost[j, 0] == pytest.approx(np.mean((other @ p - y[held]) ** 2), rel=1e-10)
    assert found.cost[0, 0, -1] == pytest.approx(found.limit_cost[0], rel=1e-9)
    assert found.limit_error[0] == pytest.approx(found.limit_fold_cost[:, 0].std(ddof=1) / np.sqrt(3))


def test_a_diverging_rate_costs_infinitely_much_and_spoils_nothing() -> None:
    X, y = rows(30)
    sound = cross_validate(X, y, lr=0.02, epochs=5000, standardize=True)
    found = cross_validate(X, y, lr=[1e-3, 0.02, 1.5, 1e9], ridge=[0.0, 2.0], epochs=5000, standardize=True)
    assert found.diverging.tolist() == [[False, False], [False, False], [True, True], [True, True]]
    assert np.isinf(found.cost[2:]).all()
    assert np.isinf(found.error[2:]).all()
    assert np.isfinite(found.cost[:2]).all()
    assert np.isfinite(found.error[:2]).all()
    np.testing.assert_allclose(found.cost[1, 0], sound.cost[0, 0])
    assert found.best is not None
    assert found.best.lr == 0.02
    assert "2 of 4, from 1.5 up" in found.text("en").replace("\n", " ")
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["cost"][3][0][0] is None
    assert content["best"]["lr"] == 0.02

    none = cross_validate(X, y, lr=[5.0], epochs=100)
    assert none.best is none.simplest is None
    assert "1 of 1, from 5 up" in str(none).replace("\n", " ")
    assert json.loads(json.dumps(none.to_dict(), allow_nan=False))["best"] is None
    assert np.isfinite(none.limit_cost).all()


def test_without_a_rate_fractions_of_the_smallest_bound_are_tried() -> None:
    X, y = rows(40)
    found = cross_validate(X, y, ridge=[0.0, 0.5], momentum=0.5, standardize=True)
    bounds = [
        [Problem(train, ridge=ridge, standardize=True).spectrum().lr_bound(0.5) for ridge in (0.0, 0.5)]
        for train in merge_leaving_one_out(split(X, y))
    ]
    np.testing.assert_allclose(found.lr_bound, bounds)
    parts = found.lr / np.min(bounds)
    assert ((parts <= [0.99, 0.9, 0.6, 0.3, 0.1, 0.03]) & (parts > [0.98, 0.89, 0.59, 0.29, 0.099, 0.029])).all()
    assert not found.diverging.any()
    assert all(float(f"{lr:.3g}") == lr for lr in found.lr)
    assert f"{found.lr.max():g}" in str(found)
    with pytest.raises(SettingError, match="learning rate is needed"):
        cross_validate(X, y, momentum=1.0)
    with pytest.raises(SettingError, match="learning rate is needed"):
        cross_validate(np.zeros((9, 1)), y[:9], bias=False)


def test_of_costs_that_rounding_alone_tells_apart_the_fewest_updates() -> None:
    X, y = rows(40, noise=0.0)
    found = cross_validate(X, y, lr=0.5, standardize=True, epochs=20_000)
    assert found.best is not None
    assert found.best.updates < 1000
    assert found.best.cost < 1e-25


@pytest.mark.parametrize("seed", range(8))
def test_converged_costs_are_one_cost(seed: int) -> None:
    X, y = rows(40, seed=seed)
    found = cross_validate(X, y, lr=1e-5, epochs=10**12)
    assert found.best is not None
    assert found.best.updates < 10**7


def test_the_table_has_the_best_of_each_ridge() -> None:
    X, y = rows(30, noise=3.0)
    found = cross_validate(X, y, lr=[0.02, 0.2], ridge=[0.0, 0.1, 1.0, 50.0], epochs=3000, standardize=True)
    *_, header, zero, tenth, one, fifty = [line.split() for line in found.text("en").splitlines()]
    assert header == ["ridge", "lr", "updates", "cost", "RMSE", "error", "converged"]
    for k, line in enumerate((zero, tenth, one)):
        assert float(line[3]) == pytest.approx(found.cost[:, k].min(), rel=5e-4)
        assert float(line[4]) == pytest.approx(np.sqrt(found.cost[:, k].min()), rel=5e-4)
        assert float(line[6]) == pytest.approx(found.limit_cost[k], rel=5e-4)
    assert fifty[:2] == ["50", "-"] or float(fifty[1]) < found.lr_bound[:, 3].min()


def test_factors_are_folds() -> None:
    X, y = rows(30)
    factors = split(X, y, features=["a", "b", "c"], target="t", folds=3)
    turned = [factors[0], factors[1].select(["t", "c", "a", "b"]), factors[2]]
    given: Any = {"lr": [0.01, 0.02], "epochs": 100}
    expected = cross_validate(X, y, folds=3, **given)
    np.testing.assert_allclose(cross_validate(turned, **given).fold_cost, expected.fold_cost, rtol=1e-12)
    chosen = cross_validate(turned, target="t", features=["c", "a"], **given)
    alike = cross_validate(X[:, [2, 0]], y, folds=3, **given)
    np.testing.assert_allclose(chosen.fold_cost, alike.fold_cost, rtol=1e-12)
    assert chosen.rows.tolist() == [10, 10, 10]


def test_a_problem_brings_its_hypothesis() -> None:
    X, y = rows(30)
    given: Any = {"lr": 0.05, "epochs": 100, "folds": 3}
    problem = Problem(X, y, standardize=True, bias=False, ridge=0.2)
    expected = cross_validate(X, y, standardize=True, bias=False, ridge=0.2, **given)
    np.testing.assert_array_equal(cross_validate(problem, **given).fold_cost, expected.fold_cost)
    other = cross_validate(X, y, bias=True, ridge=[0.0, 0.1], **given)
    found = cross_validate(problem, bias=True, standardize=False, ridge=[0.0, 0.1], **given)
    np.testing.assert_array_equal(found.fold_cost, other.fold_cost)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, "folds = 1 must be a whole number of at least 2"),
        ({"folds": 13}, "13 folds need at least that many rows, but the data has 12 rows"),
        ({"weights": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}, "Fold 2 has no row with a positive weight: it has 3"),
        ({"lr": 0.0}, "lr = 0.0 is out of range: it must be a positive finite number"),
        ({"lr": [0.1, -1]}, "lr = -1 is out of range"),
        ({"lr": "0.1"}, "lr = '0.1' is not a number"),
        ({"lr": []}, "lr is empty"),
        ({"ridge": -1}, "ridge = -1 is out of range"),
        ({"ridge": ()}, "ridge is empty"),
        ({"epochs": 0}, "epochs = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"missing": "skip"}, "missing = 'skip'"),
        ({"reduction": "average"}, "reduction = 'average'"),
        ({"features": ["a", "b"]}, "2 names for 3 columns"),
    ],
)
def test_wrong_settings_are_refused(given: Any, message: str) -> None:
    X, y = rows(12)
    with pytest.raises((SettingError, DataError)) as caught:
        cross_validate(X, y, **{"folds": 4, "shuffle": False, **given})
    assert message in caught.value.message.text("en")
    assert caught.value.message.text("ko")


def test_folds_that_do_not_fit_are_refused() -> None:
    X, y = rows(12)
    one, two = split(X, y, folds=2)
    named = split(X, y, folds=2, features=["x1", "b", "x3"])[1]
    with pytest.raises(DataError, match="Fold 2 has no column x2, but the first fold does"):
        cross_validate([one, named])
    with pytest.raises(DataError, match="Fold 2 has no row with a positive weight: it has 0"):
        cross_validate([one, Factor.empty(one.columns)])
    with pytest.raises(SettingError, match="folds = 1"):
        cross_validate([one])
    with pytest.raises(SettingError, match="Leave out y and weights"):
        cross_validate([one, two], y)
    with pytest.raises(DataError, match="no rows to divide into folds"):
        cross_validate(one)
    with pytest.raises(DataError, match="no rows to divide into folds"):
        split(Problem(one))
    with pytest.raises(SettingError, match="Leave out y, target"):
        split(Problem(X, y), y, target="y")


def test_what_was_left_out_is_said() -> None:
    X, y = rows(12)
    X[3, 1] = np.nan
    with pytest.raises(DataError, match="missing"):
        cross_validate(X, y, lr=0.01)
    found = cross_validate(X, y, lr=0.01, missing="drop")
    assert found.rows.sum() == 11
    assert "1 of 12 rows" in found.text("en")


def spoken() -> list[CrossValidation]:
    noisy = rows(24, 8, 2, noise=8.0)
    # A slow direction, whose descent is far from done.
    slow = rows(24)[0] * [1, 1e-3, 1], rows(24)[1]
    wide: Any = {"lr": [1.23456e-5, 1234.56], "ridge": np.logspace(-7, 5.1234, 20), "epochs": 10**12}
    return [
        cross_validate(*noisy, lr=[0.01, 0.001], epochs=100_000, standardize=True),
        cross_validate(*noisy, ridge=[0.0, 0.1, 10.0], reduction="sum"),
        cross_validate(*slow, epochs=100),
        cross_validate(*rows(24), epochs=10**6),
        cross_validate(*rows(24), **wide),
        cross_validate([1.0] * 50, np.arange(50) % 2 + 2.0, lr=0.25, epochs=1, bias=False),
    ]


@pytest.mark.slow
def test_findings_are_told_in_two_languages_and_80_columns() -> None:
    keys = set()
    for found in spoken():
        keys |= {each.key for each in found.messages}
        for lang in ("en", "ko"):
            text = found.text(lang)
            assert max(display_width(line) for line in text.splitlines()) <= 80
            assert not re.search(r"\b(nan|inf)\b", text)
        json.dumps(found.to_dict(), allow_nan=False)
    assert keys == {
        f"folds.{name}"
        for name in (
            "tried",
            "rates",
            "diverging",
            "best",
            "same",
            "simplest",
            "early",
            "later",
            "no_gain",
            "last",
            "summed",
        )
    }
