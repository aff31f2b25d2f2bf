"""What can go wrong. Every error says what was given, what is allowed and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from descentlab.messages import Sentence


class DescentlabError(ValueError):
    """Any error of this package; ``sentence`` holds its words for either language."""

    def __init__(self, key: str, **values: object) -> None:
        self.sentence = Sentence(f"error.{key}", values)
        super().__init__(key)

    def __str__(self) -> str:
        return self.sentence.text()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.sentence)


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


def _rebuild(kind: type[DescentlabError], sentence: Sentence) -> DescentlabError:
    return kind(sentence.key.removeprefix("error."), **sentence.values)


def require(module: str, package: str, extra: str | None, purpose: str) -> ModuleType:
    """Import an optional module, or say what to install.

    Args:
        module: what to import, such as ``"torch"``.
        package: the name it is installed under.
        extra: the extra of descentlab that brings it; None where the base install does.
        purpose: a key under ``purpose.`` in the catalogue: what it is needed for.
    """
    try:
        return import_module(module)
    except ImportError as cause:
        install = f"pip install {package}" + (f" (or the extra: descentlab[{extra}])" if extra else "")
        needs = Sentence(f"purpose.{purpose}")
        raise MissingDependencyError("missing_dependency", package=package, purpose=needs, install=install) from cause


MOST = 10**18  # the largest count: above it, int64 has no room for one more


def near(name: str, known: Iterable[str]) -> Sentence | str:
    """A 'did you mean' for a misspelt name, or nothing."""
    from difflib import get_close_matches

    lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), lower, n=2, cutoff=0.6)
    return Sentence("error.did_you_mean", {"names": [f"`{lower[match]}`" for match in close]}) if close else ""


def one_of(setting: str, given: object, allowed: Iterable[str]) -> str:
    """``given`` if it is one of ``allowed``; a :class:`SettingError` that lists them if not."""
    allowed = tuple(allowed)
    if given in allowed:
        return str(given)
    raise SettingError(
        "not_one_of", setting=setting, given=repr(given), allowed=allowed, near=near(str(given), allowed)
    )


def whole_number(setting: str, given: object, least: int) -> int:
    """``given`` as an int of at least ``least``; ``1e6`` counts as whole."""
    whole = isinstance(given, int | float) and not isinstance(given, bool) and given == given // 1
    if hasattr(given, "__index__") and not isinstance(given, bool):
        given, whole = int(given), True  # NumPy integers too
    if not whole or given < least or given == float("inf"):  # type: ignore[operator]
        raise SettingError("not_whole", setting=setting, given=repr(given), least=least)
    if given > MOST:  # type: ignore[operator]
        raise SettingError("not_in_range", setting=setting, given=repr(given), least=least, most=MOST)
    return int(given)  # type: ignore[call-overload,no-any-return]


def finite_number(setting: str, given: object, least: float = float("-inf"), most: float = float("inf")) -> float:
    """``given`` as a finite float between ``least`` and ``most``, both included."""
    try:
        value = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(given, str | bool) or not least <= value <= most or abs(value) == float("inf"):
        raise SettingError("not_in_range", setting=setting, given=repr(given), least=least, most=most)
    return value
