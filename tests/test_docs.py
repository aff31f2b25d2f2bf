"""The README and the docs are true: commands print what stands below them, links lead somewhere.

``python -m tests.test_docs`` writes what the commands print now into the pages.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.cli.helpers import cli

ROOT = Path(__file__).parents[1]
FINDING_PAGES = ROOT / "src" / "descentlab" / "doctor" / "pages"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *FINDING_PAGES.glob("*.md")])
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
SHOWN_FILE = re.compile(r"```\w+ (\w+\.\w+)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
PLAYED = [page for page in PAGES if CONSOLE.search(page.read_text("utf-8"))]
SHELL = re.compile(r"^(?!descentlab )|[|<>&;$]")  # what only a shell can do
FORBIDDEN = re.compile("pypi|pythonhosted|registry\\.npm|deb\\.debian", re.IGNORECASE)


def printed(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command prints: in this process, which has loaded everything, unless it needs a shell."""
    if SHELL.search(command):
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        return done.stdout + done.stderr
    with chdir(folder), patch.dict(os.environ, environment):
        result = cli(*shlex.split(command)[1:])
    return result.out + result.err


def played(page: Path, folder: Path) -> str:
    """The page with every console block's output as it is now; the blocks share one shell's folder and settings.

    A block that begins with the name of a file, as in ```python loop.py, is that file in the folder.
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DESCENTLAB_LANG": "en"}

    def play(block: re.Match[str]) -> str:
        lines = []
        for command in re.findall(r"^\$ (.*)$", block[1], re.MULTILINE):
            exported = re.fullmatch(r"export (\w+)=(\w+)", command)
            if exported:
                environment[exported[1]] = exported[2]
            lines += [f"$ {command}", *printed(command, folder, environment).rstrip("\n").splitlines()]
        return "```console\n" + "\n".join(lines) + "\n```"

    for name, content in SHOWN_FILE.findall(page.read_text("utf-8")):
        (folder / name).write_text(content, "utf-8")
    return CONSOLE.sub(play, page.read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_print_what_stands_below_them(page: Path, tmp_path: Path) -> None:
    assert played(page, tmp_path) == page.read_text("utf-8")


def test_links_lead_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(page.read_text("utf-8"))]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_both_readmes_have_the_same_skeleton() -> None:
    english, korean = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ko.md"))
    for mark in (r"^#+ ", r"^```", r"^>>> .*$"):
        found = [re.findall(mark, text, re.MULTILINE) for text in (english, korean)]
        assert found[0] == found[1]


def test_the_map_names_every_folder() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for path in (ROOT / "src" / "descentlab").glob("*/__init__.py"):
        assert f"`{path.parent.name}/`" in text, path.parent.name


def test_every_module_says_in_one_line_what_it_is() -> None:
    for path in (ROOT / "src" / "descentlab").rglob("*.py"):
        if path.parent.parent.name != "code":  # what learners read, lesson by lesson
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


@pytest.mark.parametrize("name", ["lab.md", "lab.ko.md"])
def test_the_lab_is_explained_with_every_key_of_its_address(name: str) -> None:
    state = (ROOT / "src" / "descentlab" / "lab" / "static" / "state.js").read_text("utf-8")
    keys = re.findall(r'key: "(\w+)"', state)
    controls = re.findall(r'"(\w+)"', re.findall(r"CONTROLS = \[(.*?)\]", state)[0])
    assert "lr" in keys
    assert "rate" in controls
    address = (ROOT / "docs" / name).read_text("utf-8").partition("| `v` |")[2].partition("\n\n")[0]
    for key in [*keys, *controls]:
        assert f"`{key}`" in address, key


def test_no_page_names_a_registry() -> None:
    for page in [*PAGES, ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / "constraints.txt"]:
        assert not FORBIDDEN.search(page.read_text("utf-8")), page.name


if __name__ == "__main__":
    for path in PLAYED:
        with tempfile.TemporaryDirectory() as temporary:
            path.write_text(played(path, Path(temporary)), "utf-8")
