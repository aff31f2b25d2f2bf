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

from descentlab.lab.csv_words import CSV_WORDS_PATH, csv_words_module

IMPORT_STATEMENT = re.compile(
    r"^import\s+(?:(?P<default>\w+)|\*\s+as\s+(?P<whole>\w+)|\{(?P<names>[^}]*)\})"
    r'\s+from\s+"(?P<path>\.[\w./-]+)";?[ \t]*$',
    re.MULTILINE,
)
EXPORT_DECLARATION = re.compile(r"^export\s+(?=(?:const|class|(?:async\s+)?function\s*\*?)\s+(\w+))", re.MULTILINE)
EXPORT_DEFAULT = re.compile(r"^export\s+default\s+", re.MULTILINE)
EXPORT_LIST = re.compile(r"^export\s+\{([^}]*)\};?[ \t]*$", re.MULTILINE)
EXPORT_FROM = re.compile(r'^export\s+\{(?P<names>[^}]*)\}\s+from\s+"(?P<path>\.[\w./-]+)";?[ \t]*$', re.MULTILINE)
UNSUPPORTED_STATEMENT = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
SCRIPT_END = re.compile(r"</script|<!--", re.IGNORECASE)


def read_static(name: str) -> str:
    """The text of a file in ``static/``."""
    return (files("descentlab.lab") / "static" / name).read_text("utf-8")


@cache
def bundle_static(entry: str) -> str:
    """The package's own module ``entry`` with all that it imports; see :func:`bundle`."""
    return bundle(entry, lambda path: csv_words_module() if path == CSV_WORDS_PATH else read_static(path))


def bundle(entry: str, read_module: Callable[[str], str]) -> str:
    """One script that runs ``entry`` after all that it imports, and leaves its exports in ``$entry``.

    Args:
        entry: a module's path, such as ``standalone.js``.
        read_module: gives a module's text by its path.

    Raises:
        ValueError: names what cannot be joined.
    """
    modules: dict[str, tuple[str, dict[str, str], str]] = {}  # a path's name in the script, its exports, its scope
    _add_module(entry, read_module, modules, ())
    code = "".join(f"// {path}\nconst {name} = {scope};\n" for path, (name, _, scope) in modules.items())
    if SCRIPT_END.search(code):
        raise ValueError(f"{entry}: a module holds text that would end the page's script")
    return f"{code}const $entry = {modules[entry][0]};\n"


def _add_module(
    path: str,
    read_module: Callable[[str], str],
    modules: dict[str, tuple[str, dict[str, str], str]],
    ancestors: tuple[str, ...],
) -> None:
    if path in modules:
        return
    if path in ancestors:
        raise ValueError(f"modules import one another in a circle: {' -> '.join((*ancestors, path))}")
    code, exports = read_module(path), {}

    def resolve_import(relative: str, names: Collection[str]) -> str:
        """Another module's name in the script, once that has all that is wanted of it."""
        other = _resolve_path(path, relative)
        _add_module(other, read_module, modules, (*ancestors, path))
        name, available, _ = modules[other]
        missing = set(names) - available.keys()
        if missing:
            raise ValueError(f"{path}: {other} does not export {', '.join(sorted(missing))}")
        return name

    def replace_import(match: re.Match[str]) -> str:
        names = {"default": match["default"]} if match["default"] else _parse_names(match["names"] or "")
        name = resolve_import(match["path"], names)
        if match["whole"]:
            return f"const {match['whole']} = {name};"
        return f"const {{ {', '.join(f'{each}: {own}' for each, own in names.items())} }} = {name};"

    def replace_reexport(match: re.Match[str]) -> str:
        pairs = _parse_names(match["names"])
        name = resolve_import(match["path"], pairs)
        exports.update({own: f"{name}.{each}" for each, own in pairs.items()})
        return ""

    def replace_export_list(match: re.Match[str]) -> str:
        exports.update({own: name for name, own in _parse_names(match[1]).items()})
        return ""

    code = EXPORT_FROM.sub(replace_reexport, IMPORT_STATEMENT.sub(replace_import, code))
    exports |= {name: name for name in EXPORT_DECLARATION.findall(code)}
    if EXPORT_DEFAULT.search(code):
        exports["default"] = "$default"
    code = EXPORT_LIST.sub(
        replace_export_list, EXPORT_DEFAULT.sub("const $default = ", EXPORT_DECLARATION.sub("", code))
    )
    unsupported = UNSUPPORTED_STATEMENT.search(code)
    if unsupported:
        raise ValueError(f"{path}: cannot join {unsupported[0]!r}")
    returned = ", ".join(f"{name}: {own}" for name, own in exports.items())
    modules[path] = (
        f"$module{len(modules)}",
        exports,
        f'(() => {{\n"use strict";\n{code}\nreturn {{ {returned} }};\n}})()',
    )


def _resolve_path(path: str, relative: str) -> str:
    """The path that a module at ``path`` means by ``../svg.js``."""
    parts = path.split("/")[:-1]
    for segment in relative.split("/"):
        if segment == "..":
            parts.pop()
        elif segment != ".":
            parts.append(segment)
    return "/".join(parts)


def _parse_names(names: str) -> dict[str, str]:
    """``a, b as c`` as ``{a: a, b: c}``."""
    pairs = [name.split(" as ") for name in map(str.strip, names.split(",")) if name]
    return {pair[0].strip(): pair[-1].strip() for pair in pairs}
