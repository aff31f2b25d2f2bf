"""The errors of the package. Each says what was given, what is allowed, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from descentlab.messages import Message


class DescentlabError(ValueError):
    """The base class of every error that this package raises on purpose; also a ``ValueError``.

    ``str(error)`` is in the language of the reader. Errors can be pickled, so that they can come from other processes.

    Args:
        key: the message in the catalog, without its prefix ``error.``.
        **values: the values of the message's placeholders.

    Attributes:
        message: the :class:`~descentlab.messages.Message`; ``message.text("ko")`` is its Korean text.

    Example:
        >>> import descentlab as dl
        >>> try:
        ...     dl.Descent(lr=0.1, epochs=0.5)
        ... except dl.DescentlabError as error:
        ...     print(error.message.text("en"))
        epochs = 0.5 must be a whole number of at least 1.
    """

    def __init__(self, key: str, **values: object) -> None:
        self.message = Message(f"error.{key}", values)
        super().__init__(key)

    def __str__(self) -> str:
        return self.message.text()

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickle_error, (type(self), self.message)


class DataError(DescentlabError):
    """The data cannot be used: a file cannot be read, a value is missing, a shape or a name does not fit.

    Example:
        >>> import descentlab as dl
        >>> try:
        ...     dl.Problem([1.0, float("nan")], [1.0, 2.0])
        ... except dl.DataError as error:
        ...     print(error.message.key, *error.message.values["counts"])
        error.missing_values `x`: 1
    """


class SettingError(DescentlabError):
    """An argument has a value that is not allowed, or two arguments exclude each other.

    Example:
        >>> import descentlab as dl
        >>> try:
        ...     dl.Problem([1, 2], [1, 2], missing="dorp")
        ... except dl.SettingError as error:
        ...     print(error.message.text("en"))
        missing = 'dorp' is not a known value. Allowed values: error, drop. Did you mean `drop`?
    """


class DivergenceError(SettingError):
    """An estimator was given settings with which descent diverges, so nothing was fitted.

    Its message names the largest stable rate, the column along which errors grow, and settings that converge.
    """


class AbsentMethodError(SettingError, AttributeError):
    """A method is absent with an object's settings, so that ``hasattr`` is false; the message says which and why."""


class EngineError(DescentlabError):
    """An engine cannot run this descent; the message names one that can.

    Example:
        >>> import descentlab as dl
        >>> try:
        ...     dl.descend(dl.Problem([1, 2], [1, 2]), lr=0.1, engine="exact", dtype="float32")
        ... except dl.EngineError as error:
        ...     print(error.message.values["engine"])
        exact
    """


class MissingDependencyError(DescentlabError, ImportError):
    """An optional package is not installed; the message says how to install it. Also an ``ImportError``."""


def _unpickle_error(error_type: type[DescentlabError], message: Message) -> DescentlabError:
    return error_type(message.key.removeprefix("error."), **message.values)


MAX_COUNT = 10**18  # counts up to it can be added in int64


def did_you_mean(name: str, candidates: Iterable[str]) -> Message | str:
    """The question whether one of the closest ``candidates`` was meant; empty if none is close."""
    from difflib import get_close_matches

    by_lowercase = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(name.lower(), by_lowercase, n=2, cutoff=0.6)
    return (
        Message("error.did_you_mean", {"names": [f"`{by_lowercase[match]}`" for match in matches]}) if matches else ""
    )


def find_duplicates(names: Iterable[str]) -> list[str]:
    """The names that stand more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def check_choice(setting: str, value: object, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; else raise a :class:`SettingError` that lists them."""
    choices = tuple(choices)
    if value in choices:
        return str(value)
    raise SettingError(
        "not_one_of", setting=setting, given=repr(value), allowed=choices, near=did_you_mean(str(value), choices)
    )


def check_int(setting: str, value: object, min_value: int) -> int:
    """Return ``value`` as an int of at least ``min_value``, or raise :class:`SettingError`; ``1e6`` is allowed."""
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
    """Return ``value`` as a finite float in ``[min_value, max_value]``, above 0 if ``positive``, or raise
    :class:`SettingError`.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = None
    except OverflowError:
        number = float("inf")
    if number is None or isinstance(value, str | bool):
        allowed = _allowed_numbers(min_value, max_value, positive)
        raise SettingError("not_a_number", setting=setting, given=repr(value), allowed=allowed)
    if positive and not 0 < number < float("inf"):
        raise SettingError("not_positive", setting=setting, given=repr(value))
    if not min_value <= number <= max_value or abs(number) == float("inf"):
        raise SettingError("not_in_range", setting=setting, given=repr(value), least=min_value, most=max_value)
    return number


def _allowed_numbers(min_value: float, max_value: float, positive: bool) -> Message:
    if positive:
        return Message("error.allowed_positive", {})
    if max_value < float("inf"):
        return Message("error.allowed_between", {"least": min_value, "most": max_value})
    if min_value > float("-inf"):
        return Message("error.allowed_from", {"least": min_value})
    return Message("error.allowed_finite", {})
