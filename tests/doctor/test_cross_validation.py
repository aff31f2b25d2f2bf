"""Folds beside a diagnosis: what was asked is among what is tried, and what folds cannot speak of is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from descentlab import CrossValidation, Descent, Factor, Finding, Problem, SettingError, cross_validate
from descentlab.doctor.cross_validation import cross_validate_for_diagnosis
from descentlab.messages import display_width
from descentlab.model_selection.splitting import assign_folds
from tests.model_selection.test_validation import descended, rows


def chosen(problem: Problem, **settings: Any) -> CrossValidation:
    found = cross_validate_for_diagnosis(problem, Descent(**{"lr": 0.03, "epochs": 200} | settings), 4)
    assert isinstance(found, CrossValidation)
    return found


def refused(problem: Problem, **settings: Any) -> Finding:
    found = cross_validate_for_diagnosis(problem, Descent(**{"lr": 0.03, "epochs": 200} | settings), 4)
    assert isinstance(found, Finding)
    assert (found.name, found.topic) == ("no_folds", "held_out")
    assert all(found.text(lang) for lang in ("en", "ko"))
    return found


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.8, "nesterov": True}, {"seed": 3, "reduction": "half_mean"}])
@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_the_own_rate_and_ridge_are_tried_with_the_own_weight_decay(settings: Any, decay: float) -> None:
    X, y = rows(31)
    problem = Problem(X, y, ridge=0.123, standardize=True)
    found = chosen(problem, weight_decay=decay, **settings)
    i, k = list(found.lr).index(0.03), list(found.ridge).index(0.123)
    of = assign_folds(0, 31, 4, settings.get("seed", 0))
    descent = Descent(lr=0.03, epochs=200, weight_decay=decay, **settings)
    for j in range(4):
        train, held = of != j, of == j
        pair = (X[held], y[held])
        _, cost = descended(X[train], y[train], pair, descent, ridge=0.123, standardize=True)
        np.testing.assert_allclose(found.fold_cost[j, i, k], cost[found.updates], rtol=1e-10)
    own = found.best_at_user_choice
    assert own is not None
    assert (own.lr, own.ridge) == (0.03, 0.123)
    assert own.cost == pytest.approx(found.cost[i, k].min(), rel=1e-9)
    assert found.to_dict()["own"] == vars(own)
    assert found.lr.size == 7
    assert found.lr[found.lr != 0.03].max() < found.lr_bound.min()


def test_a_rate_that_was_given_is_not_said_to_be_missing() -> None:
    text = chosen(Problem(*rows(31))).text("en").replace("\n", " ")
    assert "No learning rate was given" not in text
    assert "In addition to your lr = 0.03, fractions of the smallest bound" in text
    assert "With your lr = 0.03 and ridge = 0 the mean held-out cost is lowest after" in text
    assert "No learning rate was given" in cross_validate(*rows(31)).text("en")


def test_an_own_rate_that_diverges_costs_infinitely_much() -> None:
    found = chosen(Problem(*rows(31)), lr=7.5)
    assert found.best_at_user_choice is None
    assert found.best is not None
    assert found.best.lr < found.lr_bound.min()
    text = found.text("en").replace("\n", " ")
    assert "1 of 7, from 7.5 up" in text
    assert "up to 7.5" not in text


def test_no_ridge_is_tried_twice() -> None:
    X, y = rows(31)
    ridges = chosen(Problem(X, y)).ridge
    again = chosen(Problem(X, y, ridge=float(ridges[1]))).ridge
    for tried in (ridges, again, chosen(Problem(np.zeros((31, 1)), y)).ridge):
        assert (np.diff(tried) > 0).all()
    assert ridges[1] in again


def test_where_nothing_bounds_the_rate_the_own_one_is_tried_alone() -> None:
    found = chosen(Problem(np.zeros((31, 1)), rows(31)[1], bias=False))
    assert found.lr.tolist() == [0.03]
    assert "fractions" not in found.text("en")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"optimizer": "Adam"}, "optimizer"),
        ({"options": {"maximize": True}}, "option"),
        ({"batch_size": 5}, "batch_size"),
        ({"schedule": "step:30:0.1"}, "schedule"),
        ({"zero_grad": False}, "zero_grad"),
        ({"start": [1, 0, 0, 0]}, "start"),
    ],
)
def test_what_folds_cannot_speak_of_is_named(settings: Any, name: str) -> None:
    text = refused(Problem(*rows(31)), **settings).text("en")
    assert "plain full-batch SGD at a constant rate" in text
    assert f"not to a descent with `{name}`" in text
    assert f"Leave out `{name}`" in text


def test_settings_that_change_nothing_are_no_reason_to_refuse() -> None:
    problem = Problem(*rows(31))
    plain = chosen(problem)
    for settings in ({"batch_size": 31}, {"start": [0, 0, 0, 0]}, {"optimizer": "sgd"}, {"dtype": "float32"}):
        np.testing.assert_array_equal(chosen(problem, **settings).fold_cost, plain.fold_cost)


@pytest.mark.parametrize("momentum", [1.0, 1.5])
def test_momentum_one_has_no_rates_to_choose_from(momentum: float) -> None:
    text = refused(Problem(*rows(31)), momentum=momentum).text("en")
    assert f"at momentum {momentum:g} errors need not shrink" in text


def test_rows_that_cannot_be_divided_are_a_finding_too() -> None:
    X, y = rows(31)
    assert "has no rows to divide" in refused(Problem(Factor.from_block(X, ("a", "b", "y")))).text("en")
    weights = np.zeros(31)
    weights[0] = 1.0
    assert "has no row with a positive weight" in refused(Problem(X, y, weights=weights)).text("en")


def test_a_wrong_number_of_folds_is_a_mistake_and_no_finding() -> None:
    problem, descent = Problem(*rows(31)), Descent(lr=0.03)
    for folds in (1, 32, 2.5):
        with pytest.raises(SettingError, match=r"folds"):
            cross_validate_for_diagnosis(problem, descent, folds)  # type: ignore[arg-type]


def test_both_languages_in_80_columns() -> None:
    for found in (chosen(Problem(*rows(31))), chosen(Problem(*rows(31)), lr=7.5)):
        for lang in ("en", "ko"):
            assert max(map(display_width, found.text(lang).splitlines())) <= 80
