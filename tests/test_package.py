"""What the distributions contain, and with which packages they are tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.extras import EXTRAS, missing_extras

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "descentlab"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# What runs tests and checks: no test is skipped for want of it.
NOT_IMPORTED = {"hypothesis", "mypy", "pre-commit", "pytest", "pytest-cov", "pytest-xdist", "ruff"}


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    """Modules are found by setuptools; everything else is named by a pattern."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["descentlab"]
    included = {path for pattern in patterns for path in SOURCE.glob(pattern) if path.is_file()}
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    packages = {path.parent for path in SOURCE.rglob("__init__.py")}
    assert {path for path in files if path.suffix != ".py" or path.parent not in packages} == included


def test_the_source_distribution_names_what_there_is() -> None:
    words = (ROOT / "MANIFEST.in").read_text("utf-8").split()
    names = ("CHANGELOG.md", "README.ko.md", "Makefile", "constraints.txt", "constraints-oldest.txt")
    for name in (*names, "docs", "tests", "benchmarks"):
        assert name in words
        assert (ROOT / name).exists()


def requirements(lines: list[str], relation: str) -> dict[str, tuple[int, ...]]:
    """The release of each package in lines such as ``numpy>=1.26``, without zeros at the end."""
    found = {}
    for line in lines:
        name, _, release = line.partition(relation)
        numbers = [int(part) for part in release.split(".")]
        while numbers[-1] == 0:
            numbers.pop()
        found[name] = tuple(numbers)
    return found


def test_the_oldest_packages_tested_are_the_oldest_allowed() -> None:
    lines = (ROOT / "constraints-oldest.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert requirements(pinned, "==") == requirements(PROJECT["project"]["dependencies"], ">=")


@pytest.mark.skipif(bool(missing_extras()), reason="needs every extra")
def test_every_package_of_the_extras_may_be_missing() -> None:
    """The table of tests/extras.py has whatever an extra installs, so that DESCENTLAB_EXTRAS=required requires it."""
    extras = PROJECT["project"]["optional-dependencies"]
    names = {re.split("[>=; ]", line)[0] for name, lines in extras.items() if name != "bench" for line in lines}
    named = {name for name in names if not name.startswith("descentlab")} - NOT_IMPORTED
    distributions = packages_distributions()
    covered = {name.lower() for module in EXTRAS for name in distributions[module]}
    assert {name for name in named if name.lower() not in covered} == set()


def test_tests_say_what_they_need_in_one_way() -> None:
    """Where pytest's own way skips, DESCENTLAB_EXTRAS=required knows nothing of it."""
    own_way = "import" + "orskip"
    assert [str(path) for path in (ROOT / "tests").rglob("*.py") if own_way in path.read_text("utf-8")] == []


def test_where_extras_are_required_a_missing_one_ends_the_session() -> None:
    hidden = "import sys; sys.modules['polars'] = None\nimport pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "-q", "-p", "no:cacheprovider", str(ROOT / "tests" / "test_package.py")],
        cwd=ROOT,
        env=os.environ | {"DESCENTLAB_EXTRAS": "required"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "not installed: " in done.stderr
    assert "polars" in done.stderr
