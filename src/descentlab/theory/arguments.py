"""What was asked: the problem and the descent that a call was given, or a sentence that says what it should have been.

Every function that takes a problem and the settings of a descent reads them here, so that all of them say the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any, TypeVar

from descentlab.descent.descent import Descent
from descentlab.errors import SettingError, near
from descentlab.messages import sentence
from descentlab.problem.problem import Problem
from descentlab.theory.full_batch import Theory

T = TypeVar("T")
OF_A_DESCENT = tuple(each.name for each in fields(Descent))


def known(given: Iterable[str], allowed: Iterable[str] = OF_A_DESCENT) -> None:
    """Refuse keywords that mean nothing.

    Raises:
        SettingError: the first name that is not allowed, the nearest ones that are, and all of these.
    """
    allowed = tuple(dict.fromkeys(allowed))
    for name in given:
        if name not in allowed:
            raise SettingError("unknown_setting", name=name, allowed=allowed, near=near(name, allowed))


def keywords(function: Callable[..., object]) -> tuple[str, ...]:
    """The keywords that a function names itself."""
    return tuple(name for name, each in signature(function).parameters.items() if each.kind is each.KEYWORD_ONLY)


def problem_asked(caller: Callable[..., object], given: object) -> Problem:
    """The problem that a function was given.

    Raises:
        SettingError: it is something else.
    """
    return _of_kind(Problem, "not_a_problem", caller, given)


def descent_given(caller: Callable[..., object], given: object) -> Descent:
    """The descent that a function was given.

    Raises:
        SettingError: it is something else.
    """
    return _of_kind(Descent, "not_a_descent", caller, given)


def _of_kind(kind: type[T], refusal: str, caller: Callable[..., object], given: object) -> T:
    if not isinstance(given, kind):
        raise SettingError(refusal, caller=caller.__name__, given=type(given).__name__)
    return given


def descent_asked(
    caller: Callable[..., object], problem: Problem, given: object, settings: Mapping[str, Any]
) -> Descent:
    """The descent that a function was given, or the one that its keywords describe.

    Args:
        caller: the function; a misspelt keyword may have been meant as one of its own.
        problem: what is descended: if the rate is missing, it tells which rates would do.
        given: a :class:`Descent` or None.
        settings: keywords; any of a descent's.

    Raises:
        SettingError: ``given`` is something else, a keyword is unknown or came beside a descent, no rate was given,
            or a setting is outside what it may be.
    """
    known(settings, (*OF_A_DESCENT, *keywords(caller)))
    if given is not None:
        if settings:
            raise SettingError("settings_twice", names=tuple(settings))
        return descent_given(caller, given)
    if settings.get("lr") is None:
        raise _rate_needed(problem, {name: value for name, value in settings.items() if name != "lr"})
    return Descent(**settings)


def _rate_needed(problem: Problem, settings: Mapping[str, Any]) -> SettingError:
    """Say which rates would do, instead of only that one is missing."""
    descent = Descent(**settings, lr=1.0)
    theory = Theory(problem, descent)
    bound = theory.lr_bound
    if not descent.foreseeable or descent.schedule is not None or descent.effective_momentum >= 1 or math.isinf(bound):
        return SettingError("no_lr_unbounded")
    scaled = theory.scaled_bound
    if scaled is None:
        return SettingError("no_lr", bound=bound, half=bound / 2)
    return SettingError(
        "no_lr_scales", bound=bound, half=bound / 2, scales=sentence("ending.standardize", bound=scaled)
    )
