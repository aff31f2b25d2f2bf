"""Packages that only some tests need: those of the extras, and those that the tests themselves use.

A test says in one of three ways that it needs one, and is skipped, with the package named, where that is missing:

* the file imports it at its top, itself or through a helper in ``tests``: the whole file needs it;
* ``torch = optional("torch")``: the tests that call something of it need it;
* ``@needs("torch")``: the test needs it through the package, as the engine ``autograd`` does.

With ``DESCENTLAB_EXTRAS=required`` a missing package ends the session instead, so that no skip can hide a failure.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = (
    *("anywidget", "distributed", "fsspec", "latex2mathml", "markdown_it", "matplotlib", "numba", "pandas"),
    *("sklearn", "torch", "axe_core_python", "duckdb", "formulaic", "ipykernel", "nbclient", "nbformat", "playwright"),
    *("polars", "py_mini_racer"),
)


@cache
def is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ValueError:  # `sys.modules` holds None for it: it was hidden
        return True


def missing_extras() -> list[str]:
    return [module for module in EXTRAS if is_missing(module)]


def needs(module: str) -> pytest.MarkDecorator:
    """The mark of a test, or of one of its parameters, that needs this module through the package."""
    assert module in EXTRAS
    return pytest.mark.skipif(is_missing(module), reason=f"needs {module}")


def cases(names: Iterable[str], **needing: Collection[str]) -> list[Any]:
    """Parameters of which some need a module: ``cases(CASES, torch=["adam"])``."""
    marks = {name: needs(module) for module, those in needing.items() for name in those}
    return [pytest.param(name, marks=marks.get(name, ())) for name in names]


# Engines, as parameters.
AUTOGRAD, REPLAY = (pytest.param(name, marks=needs("torch")) for name in ("autograd", "replay"))
MINIBATCH = pytest.param("minibatch", marks=needs("numba"))


class _Missing:
    """What stands for a missing module and all it contains. Calling any of it skips the test."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> _Missing:
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> None:
        pytest.skip(f"needs {self._module}", allow_module_level=True)


def optional(module: str) -> Any:
    """The module, or what stands for it where it is missing."""
    assert module in EXTRAS
    return _Missing(module) if is_missing(module) else import_module(module)


@cache
def imported_extras(path: Path) -> frozenset[str]:
    """The modules of :data:`EXTRAS` that a test file imports at its top, itself or through others of ``tests``."""
    found = set()
    for name in _imported_at_the_top(path):
        found |= {name.split(".")[0]} & {*EXTRAS}
        helper = ROOT / Path(*name.split(".")).with_suffix(".py")
        if name.startswith("tests.") and helper.exists():
            found |= imported_extras(helper)
    return frozenset(found)


def _imported_at_the_top(path: Path) -> Iterator[str]:
    with suppress(SyntaxError):  # pytest says which, and where
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def missing_for(path: Path) -> list[str]:
    """The missing modules that a whole test file needs."""
    return sorted(module for module in imported_extras(path) if is_missing(module))
