"""The doctor against real questions with known answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.learning_rates import NO_MOMENTUM
from descentlab.theory.settling_time import ConvergenceCriterion
from tests.doctor import clinic

IDS = [case["id"] for case in clinic.CASES]
# 7.6e11 between its curvatures: at rates that near to the bound, the last bit of lr moves the epochs by some 1e-4.
ILL = "ru-years-raw"


def diagnosed(case: dict[str, Any]) -> dl.Diagnosis:
    found = dl.diagnose(clinic.problem(case), **clinic.settings(case))
    assert isinstance(found, dl.Diagnosis)
    return found


def close(found: int | None, expected: int | None, within: int = 1) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= within


@pytest.mark.slow
@pytest.mark.parametrize("case", clinic.CASES, ids=IDS)
def test_every_answer(case: dict[str, Any]) -> None:
    found = diagnosed(case)
    assert found.verdict == case["verdict"]
    assert found.lr_bound == pytest.approx(case["lr_bound"], rel=1e-3)
    assert found.condition == pytest.approx(case["cond"], rel=1e-6)
    assert close(found.epochs_to_tolerance, case["epochs_to_1pct_at_lr"])
    for kind in ("float32", "float64"):
        assert close(found.overflow_epoch[kind], case[f"overflow_epoch_{kind}"])
    np.testing.assert_allclose(found.goal, case["w_opt"], rtol=1e-6)
    if case["final_w_after_epochs"] is not None:
        assert found.params is not None
        np.testing.assert_allclose(list(found.params.values()), case["final_w_after_epochs"], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("case", clinic.CASES, ids=IDS)
def test_the_rates_to_use(case: dict[str, Any]) -> None:
    rates = diagnosed(case).rates
    assert rates["textbook"].lr == pytest.approx(case["best_lr"], rel=1e-9)
    if case["id"] == ILL:
        assert rates["textbook"].epochs == pytest.approx(case["epochs_to_1pct_at_best_lr"], rel=1e-3)
        assert rates["fastest"].epochs == pytest.approx(case["epochs_to_1pct_at_fastest_lr"], rel=1e-3)
        return
    assert close(rates["textbook"].epochs, case["epochs_to_1pct_at_best_lr"])
    assert close(rates["heavy_ball"].epochs, case["epochs_to_1pct_heavy_ball"])
    fastest, pair = rates["fastest"].epochs, rates["fastest_pair"].epochs
    assert fastest is not None
    assert pair is not None
    assert fastest <= case["epochs_to_1pct_at_fastest_lr"] * (1 + 1e-6)
    assert pair <= case["epochs_to_1pct_heavy_ball"]


def test_an_overflow_epoch_is_what_a_loop_counts() -> None:
    case = next(case for case in clinic.CASES if case["id"] == "torch208572-lr1.604e-5")
    X, y = clinic.rows(case)
    w, updates = np.zeros(2), 0
    while np.abs(w).max() <= np.finfo(np.float32).max:
        w = w - case["lr"] * (2 * (X.T @ (X @ w - y)))
        updates += 1
    assert diagnosed(case).overflow_epoch["float32"] == updates


@pytest.mark.skipif(not clinic.SHARED.exists(), reason="the collection that the fixtures were taken from is not here")
def test_the_fixtures_are_the_collection() -> None:
    collected = [json.loads(line) for line in clinic.SHARED.read_text("utf-8").splitlines()]
    assert [case["id"] for case in collected] == IDS
    for theirs, ours in zip(collected, clinic.CASES, strict=True):
        for name in ours.keys() - {"rows", "x", "y"}:
            assert ours[name] == theirs[name], (ours["id"], name)
        if "x" in theirs:
            X, y = clinic.rows(ours)
            np.testing.assert_array_equal(X, theirs["x"])
            np.testing.assert_array_equal(y, theirs["y"])


@pytest.mark.parametrize("case", [case for case in clinic.CASES if case["epochs_to_1pct_at_lr"]], ids=lambda c: c["id"])
def test_an_epoch_count_is_what_a_plain_recursion_counts(case: dict[str, Any]) -> None:
    """Not the search's own crossing, but the condition itself, one epoch to either side of it."""
    problem = clinic.problem(case)
    theory = FullBatchTheory(problem, dl.Descent(**clinic.settings(case)))
    count = ConvergenceCriterion.from_theory(theory).epochs_to_tolerance(case["lr"], NO_MOMENTUM)
    assert count is not None
    far = dl.descend(problem, **(clinic.settings(case) | {"epochs": count + 1, "every": count}))
    assert bool(theory.is_converged(problem.scaling.to_scaled(far.params)))
    before = dl.descend(problem, **(clinic.settings(case) | {"epochs": count - 2}))
    assert not bool(theory.is_converged(problem.scaling.to_scaled(before.params)))
