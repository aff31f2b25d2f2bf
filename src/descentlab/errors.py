"""What can go wrong. Every error says what was given, what is allowed and what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from descentlab.messages import Message


class DescentlabError(ValueError):
    """Any error of this package; ``message`` holds its words for either language."""

    def __init__(self, key: str, **values: object) -> None:
        self.message = Message(f"error.{key}", values)
        super().__init__(key)

    def __str__(self) -> str:
        return self.message.text()

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickle_error, (type(self), self.message)


class DataError(DescentlabError):
    """The rows cannot be used as they are."""


class SettingError(DescentlabError):
    """A setting is outside what it may be."""


class DivergenceError(SettingError):
    """A fit was asked for with settings that diverge; nothing was fitted."""


class EngineError(DescentlabError):
    """The chosen engine cannot do what was asked of it."""


class MissingDependencyError(DescentlabError, ImportError):
    """An optional package is needed and not installed."""


def _unpickle_error(error_type: type[DescentlabError], message: Message) -> DescentlabError:
    return error_type(message.key.removeprefix("error."), **message.values)


MAX_COUNT = 10**18  # the largest count: above it, int64 has no room for one more


def did_you_mean(name: str, candidates: Iterable[str]) -> Message | str:
    """A 'did you mean' for a misspelt name, or nothing."""
    from difflib import get_close_matches

    by_lowercase = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(name.lower(), by_lowercase, n=2, cutoff=0.6)
    return (
        Message("error.did_you_mean", {"names": [f"`{by_lowercase[match]}`" for match in matches]}) if matches else ""
    )


def check_choice(setting: str, value: object, choices: Iterable[str]) -> str:
    """``value`` if it is one of ``choices``; a :class:`SettingError` that lists them if not."""
    choices = tuple(choices)
    if value in choices:
        return str(value)
    raise SettingError(
        "not_one_of", setting=setting, given=repr(value), allowed=choices, near=did_you_mean(str(value), choices)
    )


def check_int(setting: str, value: object, min_value: int) -> int:
    """``value`` as an int of at least ``min_value``; ``1e6`` counts as whole."""
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if hasattr(value, "__index__") and not isinstance(value, bool):
        value, is_whole = int(value), True  # NumPy integers too
    if not is_whole or value < min_value or value == float("inf"):  # type: ignore[operator]
        raise SettingError("not_whole", setting=setting, given=repr(value), least=min_value)
    if value > MAX_COUNT:  # type: ignore[operator]
        raise SettingError("not_in_range", setting=setting, given=repr(value), least=min_value, most=MAX_COUNT)
    return int(value)  # type: ignore[call-overload,no-any-return]


def check_float(
    setting: str,
    value: object,
    min_value: float = float("-inf"),
    max_value: float = float("inf"),
    *,
    positive: bool = False,
) -> float:
    """``value`` as a finite float between ``min_value`` and ``max_value``, both included; above 0 if ``positive``."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if isinstance(value, str | bool):
        number = float("nan")
    if positive and not 0 < number < float("inf"):
        raise SettingError("not_positive", setting=setting, given=repr(value))
    if not min_value <= number <= max_value or abs(number) == float("inf"):
        raise SettingError("not_in_range", setting=setting, given=repr(value), least=min_value, most=max_value)
    return number
