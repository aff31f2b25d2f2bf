"""Modules joined into one script: each becomes a function's scope, in the order in which they need one another.

Of JavaScript's import and export it knows what ``static/`` uses, at the beginning of a line: imports of names, of a
default or of a whole module; exports of constants, functions, classes, a default, a list, or another module's names.
Anything else is refused, and so are names that are not exported, modules in a circle, and text that would end the
page's script.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache
from importlib.resources import files

IMPORT = re.compile(
    r"^import\s+(?:(?P<default>\w+)|\*\s+as\s+(?P<whole>\w+)|\{(?P<names>[^}]*)\})"
    r'\s+from\s+"(?P<path>\.[\w./-]+)";?[ \t]*$',
    re.MULTILINE,
)
DECLARED = re.compile(r"^export\s+(?=(?:const|class|(?:async\s+)?function\s*\*?)\s+(\w+))", re.MULTILINE)
DEFAULT = re.compile(r"^export\s+default\s+", re.MULTILINE)
LISTED = re.compile(r"^export\s+\{([^}]*)\};?[ \t]*$", re.MULTILINE)
PASSED_ON = re.compile(r'^export\s+\{(?P<names>[^}]*)\}\s+from\s+"(?P<path>\.[\w./-]+)";?[ \t]*$', re.MULTILINE)
LEFT = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
ENDING = re.compile(r"</script|<!--", re.IGNORECASE)


def static(name: str) -> str:
    """The text of a file in ``static/``."""
    return (files("descentlab.lab") / "static" / name).read_text("utf-8")


@cache
def script(entry: str) -> str:
    """The package's own module ``entry`` with all that it imports; see :func:`joined`."""
    return joined(entry, static)


def joined(entry: str, read: Callable[[str], str]) -> str:
    """One script that runs ``entry`` after all that it imports, and leaves its exports in ``$entry``.

    Args:
        entry: a module's path, such as ``boot.js``.
        read: gives a module's text by its path.

    Raises:
        ValueError: names what cannot be joined.
    """
    done: dict[str, tuple[str, dict[str, str], str]] = {}  # a path's name in the script, its exports, its scope
    _add(entry, read, done, ())
    code = "".join(f"// {path}\nconst {name} = {scope};\n" for path, (name, _, scope) in done.items())
    if ENDING.search(code):
        raise ValueError(f"{entry}: a module holds text that would end the page's script")
    return f"{code}const $entry = {done[entry][0]};\n"


def _add(
    path: str, read: Callable[[str], str], done: dict[str, tuple[str, dict[str, str], str]], within: tuple[str, ...]
) -> None:
    if path in done:
        return
    if path in within:
        raise ValueError(f"modules import one another in a circle: {' -> '.join((*within, path))}")
    code, exported = read(path), {}

    def named(relative: str, wanted: Collection[str]) -> str:
        """Another module's name in the script, once that has all that is wanted of it."""
        other = _resolved(path, relative)
        _add(other, read, done, (*within, path))
        name, offered, _ = done[other]
        lacking = set(wanted) - offered.keys()
        if lacking:
            raise ValueError(f"{path}: {other} does not export {', '.join(sorted(lacking))}")
        return name

    def taken(found: re.Match[str]) -> str:
        wanted = {"default": found["default"]} if found["default"] else _pairs(found["names"] or "")
        name = named(found["path"], wanted)
        if found["whole"]:
            return f"const {found['whole']} = {name};"
        return f"const {{ {', '.join(f'{each}: {own}' for each, own in wanted.items())} }} = {name};"

    def passed_on(found: re.Match[str]) -> str:
        pairs = _pairs(found["names"])
        name = named(found["path"], pairs)
        exported.update({own: f"{name}.{each}" for each, own in pairs.items()})
        return ""

    def listed(found: re.Match[str]) -> str:
        exported.update({own: name for name, own in _pairs(found[1]).items()})
        return ""

    code = PASSED_ON.sub(passed_on, IMPORT.sub(taken, code))
    exported |= {name: name for name in DECLARED.findall(code)}
    if DEFAULT.search(code):
        exported["default"] = "$default"
    code = LISTED.sub(listed, DEFAULT.sub("const $default = ", DECLARED.sub("", code)))
    left = LEFT.search(code)
    if left:
        raise ValueError(f"{path}: cannot join {left[0]!r}")
    returned = ", ".join(f"{name}: {own}" for name, own in exported.items())
    done[path] = f"$module{len(done)}", exported, f'(() => {{\n"use strict";\n{code}\nreturn {{ {returned} }};\n}})()'


def _resolved(path: str, relative: str) -> str:
    """The path that a module at ``path`` means by ``../kit.js``."""
    parts = path.split("/")[:-1]
    for part in relative.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _pairs(names: str) -> dict[str, str]:
    """``a, b as c`` as ``{a: a, b: c}``."""
    pairs = [name.split(" as ") for name in map(str.strip, names.split(",")) if name]
    return {pair[0].strip(): pair[-1].strip() for pair in pairs}
