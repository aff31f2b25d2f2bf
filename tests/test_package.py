"""What the distributions contain: the wheel every file of the package, the source distribution the docs as well."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "descentlab"


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    """Modules are found by setuptools; everything else is named by a pattern."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["descentlab"]
    included = {path for pattern in patterns for path in SOURCE.glob(pattern) if path.is_file()}
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    packages = {path.parent for path in SOURCE.rglob("__init__.py")}
    assert {path for path in files if path.suffix != ".py" or path.parent not in packages} == included


def test_the_source_distribution_names_what_there_is() -> None:
    words = (ROOT / "MANIFEST.in").read_text("utf-8").split()
    for name in ("CHANGELOG.md", "README.ko.md", "Makefile", "constraints.txt", "docs", "tests", "benchmarks"):
        assert name in words
        assert (ROOT / name).exists()
