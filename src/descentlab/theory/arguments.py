"""The checks of arguments that are shared by every function that takes a problem and the settings of a descent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any, TypeVar

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError, did_you_mean
from descentlab.messages import message
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import FullBatchTheory

T = TypeVar("T")
DESCENT_FIELDS = tuple(each.name for each in fields(Descent))


def check_keywords(names: Iterable[str], allowed: Iterable[str] = DESCENT_FIELDS) -> None:
    """Raise SettingError for the first unknown keyword, with the nearest and all allowed ones."""
    allowed = tuple(dict.fromkeys(allowed))
    for name in names:
        if name not in allowed:
            raise SettingError("unknown_setting", name=name, allowed=allowed, near=did_you_mean(name, allowed))


def keyword_names(function: Callable[..., object]) -> tuple[str, ...]:
    """The keyword-only parameters of a function."""
    return tuple(name for name, each in signature(function).parameters.items() if each.kind is each.KEYWORD_ONLY)


def check_problem(caller: Callable[..., object], problem: object) -> Problem:
    """``problem`` if it is a Problem, else a SettingError."""
    return _check_type(Problem, "not_a_problem", caller, problem)


def check_descent(caller: Callable[..., object], descent: object) -> Descent:
    """``descent`` if it is a Descent, else a SettingError."""
    return _check_type(Descent, "not_a_descent", caller, descent)


def _check_type(expected_type: type[T], error_key: str, caller: Callable[..., object], value: object) -> T:
    if not isinstance(value, expected_type):
        raise SettingError(error_key, caller=caller.__name__, given=type(value).__name__)
    return value


def resolve_descent(
    caller: Callable[..., object], problem: Problem, descent: object, settings: Mapping[str, Any]
) -> Descent:
    """The descent given to a function, or the one that its keywords describe.

    Args:
        caller: the function; a misspelled keyword may have been meant as one of its own.
        problem: if the rate is missing, the error states its bound on this problem.
        descent: a :class:`Descent` or None.
        settings: keywords of a descent.

    Raises:
        SettingError: ``descent`` is something else, a keyword is unknown or given together with a descent, no rate
            was given, or a setting is outside its range.
    """
    check_keywords(settings, (*DESCENT_FIELDS, *keyword_names(caller)))
    if descent is not None:
        if settings:
            raise SettingError("settings_twice", names=tuple(settings))
        return check_descent(caller, descent)
    if settings.get("lr") is None:
        raise _missing_lr_error(problem, {name: value for name, value in settings.items() if name != "lr"})
    return Descent(**settings)


def _missing_lr_error(problem: Problem, settings: Mapping[str, Any]) -> SettingError:
    """The error for a missing rate, with the bound if there is one."""
    descent = Descent(**settings, lr=1.0)
    theory = FullBatchTheory(problem, descent)
    lr_bound = theory.lr_bound
    has_bound = descent.has_closed_form and descent.schedule is None and descent.effective_momentum < 1
    if not has_bound or math.isinf(lr_bound):
        return SettingError("no_lr_unbounded")
    standardized_lr_bound = theory.standardized_lr_bound
    if standardized_lr_bound is None:
        return SettingError("no_lr", bound=lr_bound, half=lr_bound / 2)
    scales = message("ending.standardize", bound=standardized_lr_bound, half=lr_bound / 2)
    return SettingError("no_lr_scales", bound=lr_bound, scales=scales)
