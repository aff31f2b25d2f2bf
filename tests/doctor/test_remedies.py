"""What each remedy buys: each row against the same question asked of the changed problem itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.doctor.remedies import Remedy

rng = np.random.default_rng(4)
N = 60
BASE = rng.normal(size=(N, 2)) * [1.0, 20.0] + [5.0, 0.0]
y = BASE @ [2.0, -0.1] + rng.normal(size=N)


def remedies(problem: dl.Problem, **settings: Any) -> dict[str, Remedy]:
    found = dl.diagnose(problem, **({"lr": 1e-3, "epochs": 1000} | settings))
    assert isinstance(found, dl.Diagnosis)
    return {remedy.name: remedy for remedy in found.remedies}


@pytest.mark.parametrize("start", [None, [1.0, 2.0, 3.0]])
@pytest.mark.parametrize("name", ["center", "standardize"])
def test_changed_columns(name: str, start: Any) -> None:
    found = remedies(dl.Problem(BASE, y), start=start)[name]
    changed = dl.Problem(BASE, y, center=name == "center", standardize=name == "standardize")
    own = dl.diagnose(changed, lr=1e-3, epochs=1000, start=start)
    assert isinstance(own, dl.Diagnosis)
    assert found.lr_bound == pytest.approx(own.lr_bound, rel=1e-9)
    assert found.condition == pytest.approx(own.condition, rel=1e-9)
    assert found.epochs == own.rates["fastest"].epochs
    assert found.lr == pytest.approx(own.rates["fastest"].lr, rel=1e-6)
    assert found.epochs_at_lr == own.epochs_to_tolerance


def test_every_row_takes_the_epochs_that_it_says() -> None:
    problem = dl.Problem(BASE, y)
    found = remedies(problem)
    for name in ("fastest_rate", "momentum", "tuned_momentum"):
        remedy = found[name]
        assert remedy.lr is not None
        own = dl.diagnose(problem, lr=remedy.lr, momentum=remedy.momentum, epochs=10)
        assert own.epochs_to_tolerance == remedy.epochs
    assert (found["tuned_momentum"].epochs or 0) <= (found["momentum"].epochs or 0)
    assert (found["tuned_momentum"].epochs or 0) <= (found["fastest_rate"].epochs or 0)


@pytest.mark.parametrize(("reduction", "mean"), [("sum", "mean"), ("half_sum", "half_mean")])
def test_the_mean_for_the_sum_multiplies_the_bound_by_the_rows(reduction: str, mean: str) -> None:
    found = remedies(dl.Problem(BASE, y), reduction=reduction, lr=1e-6)
    row, rate = found["mean_for_sum"], found["fastest_rate"]
    assert row.lr_bound == pytest.approx(N * rate.lr_bound, rel=1e-12)
    assert row.epochs == rate.epochs
    assert mean in row.title.text("en")
    assert "mean_for_sum" not in remedies(dl.Problem(BASE, y), reduction=mean)


def test_a_duplicate_is_dropped_by_name() -> None:
    X = np.column_stack([BASE, BASE[:, 0]])
    row = remedies(dl.Problem(X, y))["drop"]
    assert row.title.text("en") == "drop `x3`"
    kept = dl.diagnose(dl.Problem(BASE, y), lr=1e-3)
    assert isinstance(kept, dl.Diagnosis)
    assert row.lr_bound == pytest.approx(kept.lr_bound, rel=1e-9)
    assert row.least_cost == pytest.approx(kept.least_cost, rel=1e-9)


def test_a_nearly_collinear_column_is_dropped_at_a_price() -> None:
    X = np.column_stack([BASE, BASE @ [1.0, 0.1] + 1e-3 * rng.normal(size=N)])
    full = dl.Problem(X, y)
    row = remedies(full)["drop"]
    assert row.condition < 0.01 * full.spectrum().condition
    assert row.least_cost >= full.solve().cost


def test_the_ridge_is_the_largest_that_the_tolerance_affords() -> None:
    X = np.column_stack([BASE, BASE @ [1.0, 0.1] + 1e-2 * rng.normal(size=N)])
    problem = dl.Problem(X, y)
    row = remedies(problem)["ridge"]
    ridge = float(row.title.text("en").split()[-1])
    least = problem.solve().cost
    for part, affordable in ((0.98, True), (1.02, False)):
        params = dl.Problem(X, y, ridge=part * ridge).solve().params
        assert (problem.cost(params) <= 1.01 * least) is affordable
    assert row.condition < problem.spectrum().condition


def test_forgotten_zero_grad_is_cured_by_calling_it() -> None:
    found = remedies(dl.Problem(BASE, y), zero_grad=False, lr=1e-3)
    plain = dl.diagnose(dl.Problem(BASE, y), lr=1e-3)
    assert found["clear_gradients"].epochs_at_lr == plain.epochs_to_tolerance
    assert next(iter(found)) == "clear_gradients"


def test_only_what_would_change_something_is_offered() -> None:
    assert "center" not in remedies(dl.Problem(BASE, y, bias=False))
    assert not {"center", "standardize"} & set(remedies(dl.Problem(BASE, y, standardize=True)))
    assert "momentum" not in remedies(dl.Problem(BASE, y), momentum=0.9)
    assert "ridge" not in remedies(dl.Problem(BASE, y, ridge=0.1))
    assert "drop" not in remedies(dl.Problem(BASE, y))


def test_the_same_factor_gives_the_same_remedies() -> None:
    problem = dl.Problem(BASE, y)
    ours, theirs = remedies(problem), remedies(dl.Problem(problem.factor))
    assert ours.keys() == theirs.keys()
    for name, row in ours.items():
        assert row.epochs == theirs[name].epochs
        assert row.lr_bound == pytest.approx(theirs[name].lr_bound, rel=1e-12)


def test_at_the_minimum_there_is_nothing_to_cure() -> None:
    problem = dl.Problem(BASE, y)
    assert remedies(problem)
    assert not remedies(problem, start=problem.solve().params)


def test_a_feature_called_bias_is_dropped_with_its_own_start() -> None:
    """Its row is the question asked of the other columns, from their part of the start."""
    X, start = np.column_stack([BASE[:, 1], BASE, BASE[:, 0]]), [5.0, 6.0, 7.0, 8.0, 9.0]
    problem = dl.Problem(X, y, features=["slope", "x", "other", "bias"], target="y")
    row = remedies(problem, start=start)["drop"]
    kept = [name not in row.title.text("en") for name in (*(f"`{name}`" for name in problem.features), "no feature")]
    features = [name for name, keep in zip(problem.features, kept, strict=False) if keep]
    own = dl.diagnose(dl.Problem(problem.factor, target="y", features=features), lr=1e-3, start=np.array(start)[kept])
    assert isinstance(own, dl.Diagnosis)
    assert "bias" not in features
    assert row.epochs_at_lr == own.epochs_to_tolerance
