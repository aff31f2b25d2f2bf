"""Imports run one way, and nothing heavy loads before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from descentlab.engines import ENGINE_NAMES

SOURCE = Path(__file__).parents[1] / "src" / "descentlab"

# The folders in the order in which a value travels: each may import those to its left, the root's files and itself.
FOLDERS = (
    *("messages", "data", "factor", "descent", "problem", "theory", "engines", "run"),
    *("model_selection", "doctor", "watching", "sklearn", "lab", "lessons", "cli"),
)
FILES = ({"typing", "messages"}, {"errors"}, {"dependencies"})
LAYERS = [*FILES, *({name} for name in FOLDERS[1:-1]), {"__init__"}, {FOLDERS[-1]}, {"__main__"}]
# What a person looks at offers a lab of itself, `x.lab()`. The import is inside that method, and nowhere else.
OFFERS = {("problem", "lab"), ("run", "lab"), ("doctor", "lab")}
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
HEAVY = ("torch", "scipy", "pyarrow", "pandas", "polars", "matplotlib", "sklearn", "dask", "click", "numba")


def part(path: Path) -> str:
    """The layer a file belongs to: its own name, or its folder's."""
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path) -> set[str]:
    """The parts of the package that a file imports, inside functions too, but not only for types."""
    found = set()
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "descentlab":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return {name if name in RANK else "__init__" for name in found}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    own = part(path)
    assert own in RANK, f"{own} has no layer: add it to docs/architecture.md and to this list"
    for name in imported(path):
        assert RANK[name] <= RANK[own] or (own, name) in OFFERS, f"{own} imports {name}"


def test_a_lab_is_imported_only_when_it_is_asked_for() -> None:
    code = "import sys, descentlab; print([name for name in sys.modules if name.startswith('descentlab.lab')])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


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


@pytest.mark.parametrize(
    ("engine", "allowed"),
    [
        ("hand", {"scipy"}),
        ("minibatch", {"scipy", "numba"}),
        ("exact", {"scipy"}),
        ("autograd", {"scipy", "torch"}),
        ("replay", {"scipy", "torch"}),
    ],
)
def test_each_engine_loads_only_what_it_needs(engine: str, allowed: set[str]) -> None:
    code = f"import descentlab as dl; dl.descend(dl.Problem([1, 2], [1, 2]), engine={engine!r}, lr=0.1)"
    assert loaded_by(code) <= allowed


@pytest.mark.parametrize(
    ("module", "code", "install"),
    [
        ("torch", "dl.descend(p, engine='autograd', lr=0.1)", "pip install torch (or the extra: descentlab[torch])"),
        ("matplotlib", "dl.descend(p, lr=0.1).plot()", "pip install matplotlib (or the extra: descentlab[plot])"),
        (
            "pandas",
            "dl.descend(p, lr=0.1).history.to_pandas()",
            "pip install pandas (or the extra: descentlab[pandas])",
        ),
        (
            "anywidget",
            "p.lab(lr=0.1).widget()",
            "pip install anywidget (or the extra: descentlab[notebook])",
        ),
        ("pyarrow", "dl.Problem('x.csv', target='y')", "pip install pyarrow"),
    ],
)
def test_what_is_missing_is_named_with_what_to_install(module: str, code: str, install: str) -> None:
    lines = (
        f"import sys; sys.modules[{module!r}] = None\nimport descentlab as dl\np = dl.Problem([1, 2], [1, 2])\n"
        f"try:\n    {code}\nexcept dl.MissingDependencyError as error:\n"
        "    assert isinstance(error, ImportError)\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True)
    assert install in done.stdout
