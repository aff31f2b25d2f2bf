"""The page's modules under V8, without a browser: numbers go in and come out as JSON."""

from __future__ import annotations

import json
from typing import Any

from py_mini_racer import MiniRacer

from descentlab.lab.js_bundle import bundle_static

OUT = "(key, value) => typeof value === 'number' && !Number.isFinite(value) ? { beyond: String(value) } : value"


def module(name: str) -> str:
    """A module of the page, with all that it takes from others, as an expression: an object of what it exports."""
    return f"(() => {{ {bundle_static(name)} return $entry; }})()"


class Page:
    """model.js in a V8 of its own. What is kept there has a name."""

    def __init__(self) -> None:
        self._v8 = MiniRacer()
        self._v8.eval(f"const model = {module('model.js')}, kept = {{}};")

    def close(self) -> None:
        """End V8's threads: an interpreter that still has them may not end."""
        self._v8.close()

    def __call__(self, expression: str, **values: Any) -> Any:
        """The value of a JavaScript expression in which ``model``, ``kept`` and these values have their names."""
        names, texts = ", ".join(values), ", ".join(json.dumps(value, allow_nan=False) for value in values.values())
        found = self._v8.eval(f"JSON.stringify((({names}) => ({expression}))({texts}), {OUT}) ?? 'null'")
        return _decoded(json.loads(str(found)))


def _decoded(value: Any) -> Any:
    """Numbers that JSON has no words for, as Python's own."""
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, dict):
        if set(value) == {"beyond"}:
            return float(value["beyond"].replace("Infinity", "inf"))
        return {name: _decoded(each) for name, each in value.items()}
    return value
