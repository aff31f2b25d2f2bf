"""Imports run one way and in no circle, names are defined once, and nothing heavy loads before it is needed."""

from __future__ import annotations

import ast
import inspect
import pydoc
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import descentlab as dl
from descentlab.engines import ENGINE_NAMES

SOURCE = Path(__file__).parents[1] / "src" / "descentlab"

# The folders in the order in which a value travels. Each imports itself, those to its left, and the files of the root.
FOLDERS = (
    *("messages", "data", "factor", "descent", "problem", "model", "theory", "engines", "run"),
    *("model_selection", "doctor", "watching", "sklearn", "lab", "lessons", "cli"),
)
HEAVY = ("torch", "scipy", "pyarrow", "pandas", "polars", "matplotlib", "sklearn", "dask", "click", "numba")


def module_name(path: Path) -> str:
    return ".".join(("descentlab", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


@cache
def syntax_trees() -> dict[str, ast.Module]:
    """Every module of the package by its name; the programs that lessons show are not modules."""
    paths = [path for path in SOURCE.rglob("*.py") if "code" not in path.relative_to(SOURCE).parts]
    return {module_name(path): ast.parse(path.read_text("utf-8")) for path in paths}


def imported_names(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the package"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def import_graph() -> dict[str, set[str]]:
    """For each module, the modules of the package that it imports."""
    trees = syntax_trees()
    graph = {}
    for module, tree in trees.items():
        names = [name for name in imported_names(tree) if name.split(".")[0] == "descentlab"]
        graph[module] = {name if name in trees else name.rpartition(".")[0] for name in names} - {module}
    return graph


def strongly_connected(graph: dict[str, set[str]]) -> list[list[str]]:
    """The circles: groups of modules of which each reaches every other, by Kosaraju's two passes."""
    importers: dict[str, set[str]] = defaultdict(set)
    for module, imported in graph.items():
        for name in imported:
            importers[name].add(module)
    finished: list[str] = []
    seen: set[str] = set()
    for module in graph:
        visit(module, graph, seen, finished)
    seen.clear()
    groups = []
    for module in reversed(finished):
        group: list[str] = []
        visit(module, importers, seen, group)
        groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]


def visit(module: str, graph: dict[str, set[str]], seen: set[str], finished: list[str]) -> None:
    if module not in seen:
        seen.add(module)
        for name in sorted(graph.get(module, ())):
            visit(name, graph, seen, finished)
        finished.append(module)


def folder_of(module: str) -> str:
    """The folder that a module lies in, or its own name for a file of the root."""
    return module.removeprefix("descentlab").lstrip(".").split(".")[0]


def rank(module: str) -> int:
    """The place of a module's folder in that order. The package's face ranks with the last, errors with messages."""
    order = dict.fromkeys(("errors", "typing", "dependencies", "storage"), 0) | dict.fromkeys(
        ("", "__main__"), len(FOLDERS) - 1
    )
    return (order | {folder: place for place, folder in enumerate(FOLDERS)})[folder_of(module)]


@pytest.mark.slow
def test_folders_import_one_way() -> None:
    graph = import_graph()
    assert not [
        f"{module} imports {name}"
        for module in sorted(graph)
        for name in sorted(graph[module])
        if rank(name) > rank(module)
    ]


def test_no_import_runs_in_a_circle() -> None:
    assert not strongly_connected(import_graph())


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": set(), "f": {"a"}}
    assert strongly_connected(graph) == [["b", "c"]]


def public_definitions(tree: ast.Module) -> Iterator[str]:
    """The classes, functions and constants that a module defines at its top."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            yield from (name for name in names if name.isupper())


def test_a_public_name_is_defined_once() -> None:
    """Except in the command line and the lessons' facts, whose files are called by one protocol."""
    modules_by_name: dict[str, set[str]] = defaultdict(set)
    for module, tree in syntax_trees().items():
        if folder_of(module) != "cli" and not module.startswith("descentlab.lessons.facts"):
            for name in public_definitions(tree):
                if not name.startswith("_"):
                    modules_by_name[name].add(module)
    assert not {name: sorted(modules) for name, modules in modules_by_name.items() if len(modules) > 1}


def test_nothing_loads_before_a_name_is_asked_for() -> None:
    code = "import sys, descentlab; print([name for name in sys.modules if name.startswith(('descentlab.', 'numpy'))])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_lab_loads_when_it_is_called() -> None:
    code = "import sys, descentlab as dl\np = dl.Problem([1, 2], [1, 2])\n"
    code += "dl.diagnose(p, lr=0.1), dl.descend(p, lr=0.1)\n"
    code += "print([name for name in sys.modules if name.startswith('descentlab.lab')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_public_names_are_the_objects_of_their_modules() -> None:
    """The table that loads them names what type checkers are told, and every way of asking gives the same object."""
    blocks = [node for node in syntax_trees()["descentlab"].body if isinstance(node, ast.If)]
    told = next(node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in told.body if isinstance(node, ast.ImportFrom)]
    imported = {alias.name: node.module for node in imports for alias in node.names}
    assert sorted(imported) == dl.__all__
    for name, module in imported.items():
        assert getattr(dl, name) is getattr(import_module(str(module)), name)
    everything: dict[str, object] = {}
    exec("from descentlab import *", everything)
    assert {name: everything[name] for name in dl.__all__} == {name: getattr(dl, name) for name in dl.__all__}
    assert {*dl.__all__} <= {*dir(dl)}


def test_methods_that_load_late_are_methods() -> None:
    for owner in (dl.Problem, dl.Run, dl.Diagnosis):
        method = owner.lab
        assert (method.__name__, method.__qualname__) == ("lab", f"{owner.__name__}.lab")
        assert "lab(" in pydoc.plain(pydoc.render_doc(owner))
        assert inspect.isfunction(method)


def test_an_engine_imports_no_other_engine() -> None:
    for name in ENGINE_NAMES:
        path, others = SOURCE / "engines" / f"{name}.py", {*ENGINE_NAMES} - {name}
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").rsplit(".", 1)[-1] not in others


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has after running this code."""
    lines = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_loads_numpy_and_nothing_else() -> None:
    assert loaded_by("import descentlab") == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engines", "allowed"),
    [
        (("hand", "exact"), {"scipy"}),
        (("minibatch",), {"scipy", "numba"}),
        (("autograd", "replay"), {"scipy", "torch"}),
    ],
)
def test_each_engine_loads_only_what_it_needs(engines: tuple[str, ...], allowed: set[str]) -> None:
    code = (
        f"import descentlab as dl\nfor name in {engines}: dl.descend(dl.Problem([1, 2], [1, 2]), engine=name, lr=0.1)"
    )
    assert loaded_by(code) <= allowed


MISSING = {
    "torch": ("dl.descend(p, engine='autograd', lr=0.1)", "pip install torch (or the extra: descentlab[torch])"),
    "matplotlib": ("dl.descend(p, lr=0.1).plot()", "pip install matplotlib (or the extra: descentlab[plot])"),
    "pandas": ("dl.descend(p, lr=0.1).history.to_pandas()", "pip install pandas (or the extra: descentlab[pandas])"),
    "anywidget": ("p.lab(lr=0.1).widget()", "pip install anywidget (or the extra: descentlab[notebook])"),
    "pyarrow": ("dl.Problem('x.csv', target='y')", "pip install pyarrow"),
}


@pytest.mark.slow
def test_what_is_missing_is_named_with_what_to_install() -> None:
    """One interpreter without any of them."""
    lines = f"import sys\nsys.modules.update(dict.fromkeys({[*MISSING]}))\n"
    lines += "import descentlab as dl\np = dl.Problem([1, 2], [1, 2])"
    for code, _ in MISSING.values():
        lines += f"\ntry:\n    {code}\nexcept dl.MissingDependencyError as error:\n"
        lines += "    assert isinstance(error, ImportError)\n    print(error)"
    done = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert len(said) == len(MISSING)
    for text, (_, install) in zip(said, MISSING.values(), strict=True):
        assert install in text
