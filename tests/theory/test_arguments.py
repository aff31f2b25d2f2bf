"""What was asked: keywords that mean nothing, and things that are no problem and no descent, are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.theory.arguments import keyword_names, resolve_descent

X, y = np.arange(12.0)[:, None], np.arange(12.0) ** 2
PROBLEM, DESCENT = dl.Problem(X, y), dl.Descent(lr=0.001)
CALLS: dict[str, Callable[..., object]] = {
    "diagnose": lambda **given: dl.diagnose(PROBLEM, **({"lr": 0.001} | given)),
    "diagnose without a rate": lambda **given: dl.diagnose(PROBLEM, **given),
    "diagnose beside a descent": lambda **given: dl.diagnose(PROBLEM, DESCENT, **given),
    "descend": lambda **given: dl.descend(PROBLEM, **({"lr": 0.001} | given)),
    "descend without a rate": lambda **given: dl.descend(PROBLEM, **given),
    "sweep": lambda **given: dl.sweep(PROBLEM, [0.001], **given),
    "cross_validate": lambda **given: dl.cross_validate(X, y, **given),
    "cross_validate a problem": lambda **given: dl.cross_validate(PROBLEM, **given),
    "split": lambda **given: dl.split(X, y, **given),
    "validate": lambda **given: dl.validate(PROBLEM, DESCENT, X, y, **given),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_keyword_that_means_nothing_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(dl.SettingError) as caught:
        CALLS[name](foo=1)
    for lang in ("en", "ko"):
        assert "`foo`" in caught.value.message.text(lang)
    assert "There is no setting `foo`. The settings are: " in str(caught.value)


@pytest.mark.parametrize(
    ("call", "misspelt", "meant"),
    [
        ("diagnose", "momentun", "momentum"),
        ("diagnose", "valdation", "validation"),
        ("diagnose without a rate", "learning_lr", "lr"),
        ("descend", "batchsize", "batch_size"),
        ("descend", "progres", "progress"),
        ("sweep", "epoch", "epochs"),
        ("cross_validate", "fold", "folds"),
        ("cross_validate", "delimeter", "delimiter"),
        ("split", "shufle", "shuffle"),
        ("validate", "weight", "weights"),
    ],
)
def test_the_nearest_name_is_suggested(call: str, misspelt: str, meant: str) -> None:
    with pytest.raises(dl.SettingError) as caught:
        CALLS[call](**{misspelt: 1})
    said = str(caught.value)
    assert f"There is no setting `{misspelt}`." in said
    listed = said.rpartition("The settings are: ")[2].rstrip(".").split(", ")
    assert meant in listed
    if meant != "lr":
        assert f"`{meant}`" in said.partition("The settings are: ")[0]


@pytest.mark.parametrize("function", [dl.descend, dl.diagnose])
def test_a_rate_is_no_descent(function: Any) -> None:
    with pytest.raises(dl.SettingError, match=f"{function.__name__} needs a Descent, not float"):
        function(PROBLEM, 0.1)


def test_a_rate_is_no_descent_to_validate() -> None:
    with pytest.raises(dl.SettingError, match=r"validate needs a Descent, not float. Create one: Descent\(lr="):
        dl.validate(PROBLEM, 0.1, X, y)  # type: ignore[arg-type]
    with pytest.raises(dl.SettingError, match="validate needs a Descent, not NoneType"):
        dl.validate(PROBLEM, None, X, y)  # type: ignore[arg-type]


@pytest.mark.parametrize("function", [dl.descend, dl.diagnose, dl.sweep, dl.validate])
def test_rows_are_no_problem(function: Any) -> None:
    more = {dl.sweep: ([0.1],), dl.validate: (DESCENT, X, y)}.get(function, (DESCENT,))
    with pytest.raises(dl.SettingError, match=f"{function.__name__} needs a Problem, not ndarray"):
        function(X, *more)


@pytest.mark.parametrize("name", ["schedule", "batch_size", "start", "optimizer", "zero_grad"])
def test_settings_that_folds_cannot_follow_are_no_misspellings(name: str) -> None:
    for call in ("cross_validate", "cross_validate a problem"):
        with pytest.raises(dl.SettingError, match=f"full-batch SGD at constant rates.*Leave out {name}"):
            CALLS[call](**{name: 1})


def test_keywords_are_those_of_the_signature() -> None:
    assert keyword_names(dl.descend) == ("engine", "stop", "progress", "interruptible")


@pytest.mark.parametrize(
    ("problem", "settings", "key", "bound"),
    [
        (dl.Problem(X - 5, y), {"reduction": "sum"}, "no_lr", True),
        (dl.Problem(X - 5, y), {"momentum": 0.9}, "no_lr", True),
        (PROBLEM, {"momentum": 1.0}, "no_lr_unbounded", False),
        (PROBLEM, {"schedule": "step:1:0.5"}, "no_lr_unbounded", False),
        (PROBLEM, {"zero_grad": False, "weight_decay": 0.1}, "no_lr_unbounded", False),
        (PROBLEM, {"optimizer": "adam"}, "no_lr_unbounded", False),
        (dl.Problem(0 * X, y, bias=False), {}, "no_lr_unbounded", False),
        (PROBLEM, {}, "no_lr_scales", True),
    ],
)
def test_without_a_rate_the_bound_is_named_where_there_is_one(
    problem: dl.Problem, settings: dict[str, Any], key: str, bound: bool
) -> None:
    with pytest.raises(dl.SettingError) as caught:
        resolve_descent(dl.descend, problem, None, settings)
    said = caught.value.message
    assert said.key == f"error.{key}"
    momentum = settings.get("momentum", 0.0)
    expected = problem.spectrum(settings.get("reduction", "mean")).lr_bound(momentum=momentum) if bound else None
    assert said.values.get("bound") == (pytest.approx(expected) if bound else None)
    if key == "no_lr":
        assert said.values["half"] == pytest.approx(expected / 2 if expected else 0)


def test_settings_and_a_descent_exclude_each_other() -> None:
    assert resolve_descent(dl.descend, PROBLEM, DESCENT, {}) is DESCENT
    assert resolve_descent(dl.descend, PROBLEM, None, {"lr": 0.002}).lr == 0.002
    with pytest.raises(dl.SettingError, match="momentum"):
        resolve_descent(dl.descend, PROBLEM, DESCENT, {"momentum": 0.5})
