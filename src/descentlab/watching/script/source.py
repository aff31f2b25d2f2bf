"""Reads a script without running it: whether it is Python, and whether it, or a file that it imports, uses PyTorch."""

from __future__ import annotations

import ast
import importlib.util
import sysconfig
from pathlib import Path

from descentlab.errors import DataError, SettingError, did_you_mean

# Packages whose own training loops are PyTorch's, beside those whose names begin with "torch".
TORCH_PACKAGES = frozenset(
    {
        "accelerate",
        "diffusers",
        "fastai",
        "ignite",
        "lightning",
        "monai",
        "pytorch_lightning",
        "pytorch_metric_learning",
        "sentence_transformers",
        "skorch",
        "timm",
        "transformers",
        "ultralytics",
    }
)


def check_script(path: Path) -> None:
    """Raise an error that says what to do instead if a file is not a script whose loops can be watched.

    Raises:
        DataError: there is no such file, it cannot be read, or it is not Python.
        SettingError: it is a notebook, or uses no PyTorch.
    """
    if path.suffix == ".ipynb":
        raise SettingError("script_is_notebook", path=str(path), name=path.with_suffix(".py").name)
    if not path.is_file():
        raise DataError("no_file", path=str(path), near=_near_scripts(path))
    if not _imports_torch(path, set()):
        raise SettingError("script_without_torch", path=str(path))


def _near_scripts(path: Path) -> object:
    return did_you_mean(str(path), [str(each) for each in path.parent.glob("*.py") if each.is_file()])


def _imports_torch(path: Path, visited: set[Path]) -> bool:
    """Whether a file imports PyTorch, itself or through files beside it."""
    visited.add(path)
    imported = _imported_modules(_parse(path))
    roots = {name.split(".")[0] for name in imported}
    if any(root.startswith("torch") for root in roots) or roots & TORCH_PACKAGES:
        return True
    folders = {root: [path.parent, *_own_folders(root)] for root in roots}
    files = {file for name in imported for each in folders[name.split(".")[0]] for file in _local_files(each, name)}
    return any(_imports_torch(file, visited) for file in files if file not in visited)


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        text = f" (`{error.text.strip()}`)" if error.text else ""
        raise DataError("script_syntax", path=str(path), line=error.lineno or 1, text=text, cause=error.msg) from error
    except ValueError as error:  # null bytes
        raise DataError("script_syntax", path=str(path), line=1, text="", cause=str(error)) from error
    except OSError as error:
        raise DataError("unreadable", path=str(path), cause=error.strerror or str(error)) from error


def _imported_modules(tree: ast.Module) -> set[str]:
    """The names that imports have, anywhere in the file; of ``from a import b`` both ``a`` and ``a.b``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)}
    return names - {""}


def _own_folders(root: str) -> list[Path]:
    """The folder that a module is in, if it is neither of Python nor installed by pip, but on the path."""
    if root == __name__.split(".")[0]:
        return []  # which imports torch where it needs it
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return []
    if spec is None or spec.origin is None or not spec.has_location:
        return []
    file = Path(spec.origin)
    if any(file.is_relative_to(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")):
        return []
    return [file.parent.parent if file.name == "__init__.py" else file.parent]


def _local_files(folder: Path, name: str) -> list[Path]:
    """The files in a folder that importing a name would run."""
    places = [folder.joinpath(*name.split(".")[: i + 1]) for i in range(name.count(".") + 1)]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file.resolve() for file in files if file.is_file()]
