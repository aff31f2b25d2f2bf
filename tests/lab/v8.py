"""The page's modules under V8, without a browser: numbers go in and come out as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from py_mini_racer import MiniRacer

STATIC = Path(__file__).parents[2] / "src" / "descentlab" / "lab" / "static"
TAKEN = re.compile(r'^(import|export) \{(.*)\} from "(.*)";$', re.MULTILINE)
DECLARED = re.compile(r"^export (?=(?:function|const) ([\w]+))", re.MULTILINE)
OUT = "(key, value) => typeof value === 'number' && !Number.isFinite(value) ? { beyond: String(value) } : value"


def joined(path: Path, done: list[Path] | None = None) -> str:
    """This module and those it takes names from, as one script: each a function that returns what it exports."""
    done = [] if done is None else done
    text, before = path.read_text("utf-8"), ""
    exported = DECLARED.findall(text)
    for word, names, source in TAKEN.findall(text):
        other = (path.parent / source).resolve()
        if other not in done:
            before += joined(other, done)
        exported += [name.strip() for name in names.split(",")] if word == "export" else []
    done.append(path.resolve())
    body = TAKEN.sub(lambda found: f"const {{{found[2]}}} = {name_of(path.parent / found[3])};", text)
    body = DECLARED.sub("", body)
    return f"{before}const {name_of(path)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();\n"


def name_of(path: Path) -> str:
    """A module's name in the script."""
    return "_" + re.sub(r"\W", "_", path.resolve().relative_to(STATIC).with_suffix("").as_posix())


class Page:
    """model.js in a V8 of its own. What is kept there has a name."""

    def __init__(self) -> None:
        self._v8 = MiniRacer()
        self._v8.eval(joined(STATIC / "model.js") + "const model = _model, kept = {};")

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
