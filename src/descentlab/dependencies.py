"""What is imported when it is used: optional packages, methods, functions compiled by numba (the extra ``fast``)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from descentlab.errors import MissingDependencyError
from descentlab.messages import Message

F = TypeVar("F", bound=Callable[..., Any])


def require(module: str, package: str, extra: str | None, purpose: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: the module, such as ``"torch"``.
        package: the name under which it is installed.
        extra: the extra of descentlab that installs it; None if the base install does.
        purpose: what needs it: a key under ``purpose.`` in the catalog.

    Raises:
        MissingDependencyError: it is not installed; the error says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as cause:
        install = f"pip install {package}" + (f" (or the extra: descentlab[{extra}])" if extra else "")
        purpose_message = Message(f"purpose.{purpose}")
        raise MissingDependencyError(
            "missing_dependency", package=package, purpose=purpose_message, install=install
        ) from cause


class LazyMethod:
    """A method that another module defines, which loads when the method is first asked for.

    So a class can have a method and import nothing of what that needs.
    """

    def __init__(self, module: str, function: str) -> None:
        self._module, self._function = module, function

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        function = getattr(import_module(self._module), self._function)
        function.__name__, function.__qualname__ = self._name, f"{self._owner.__qualname__}.{self._name}"
        setattr(self._owner, self._name, function)
        return function.__get__(instance, owner)


class LazyProperty:
    """An attribute that another module computes, which loads when it is first asked for; see :class:`LazyMethod`."""

    def __init__(self, module: str, function: str) -> None:
        self._module, self._function = module, function

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = getattr(import_module(self._module), self._function)(instance)
        return value


def jit(signature: Any = None, fastmath: Collection[str] = ()) -> Callable[[F], F]:
    """Compile a function that releases Python's lock, and cache it on disk if a folder for that can be written.

    Args:
        signature: the arguments' types, to compile for them at once; None compiles at the first call.
        fastmath: LLVM's names of the floating-point transformations that are allowed; none by default.
    """
    numba = require("numba", "numba", "fast", "compiled")
    settings = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}

    def decorate(kernel: F) -> F:
        signatures = () if signature is None else (signature,)
        compile_kernel = partial(numba.njit, *signatures, **settings)
        try:
            compiled_kernel: F = compile_kernel(cache=True)(kernel)
        except RuntimeError:  # the package is in an archive, or no folder can be written
            compiled_kernel = compile_kernel(cache=False)(kernel)
        return compiled_kernel

    return decorate
