"""A script is read before it is run: whether it is Python, and whether it uses PyTorch, itself or through its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from descentlab.errors import DataError, DescentlabError, SettingError
from descentlab.watching.script.source import check_script


def script(folder: Path, content: str, name: str = "loop.py") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, "utf-8")
    return path


@pytest.mark.parametrize(
    "content",
    [
        "import torch",
        "import numpy as np, torch.nn as nn",
        "from torch.optim import SGD",
        "def main():\n    import torch",
        "import torchvision",
        "import pytorch_lightning as pl",
    ],
)
def test_an_import_of_torch_is_found_wherever_it_stands(content: str, tmp_path: Path) -> None:
    check_script(script(tmp_path, content))


@pytest.mark.parametrize(
    "statement",
    ["import training", "from training import fit", "from package import steps", "from package.steps import fit"],
)
def test_files_beside_the_script_are_read_too(statement: str, tmp_path: Path) -> None:
    script(tmp_path, "import torch", "training.py")
    script(tmp_path, "", "package/__init__.py")
    script(tmp_path, "import torch", "package/steps.py")
    check_script(script(tmp_path, statement))


def test_files_on_the_path_are_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path / "src")
    (tmp_path / "src").mkdir()
    script(tmp_path / "src", "", "project_of_mine/__init__.py")
    script(tmp_path / "src", "import torch", "project_of_mine/steps.py")
    check_script(script(tmp_path, "from project_of_mine.steps import fit"))
    with pytest.raises(SettingError):
        check_script(script(tmp_path, "import project_of_mine"))


@pytest.mark.parametrize(
    "content",
    ["import numpy", "# import torch", "text = 'import torch'", "import torn", "import loop", "import descentlab", ""],
)
def test_a_script_without_torch_is_refused_with_what_to_paste(content: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"was not run.*descentlab diagnose --losses -"):
        check_script(script(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("import torch\nfor i in range(3)\n    pass", r"Line 2: expected ':' \(`for i in range\(3\)`\)"),
        ("import torch\n\x00", "null bytes"),
        ("print 'x'", "Line 1: Missing parentheses"),
    ],
)
def test_what_is_not_python_is_refused_with_its_line(content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        check_script(script(tmp_path, content))


def test_a_missing_script_is_suggested_by_a_similar_name(tmp_path: Path) -> None:
    script(tmp_path, "import torch", "train.py")
    (tmp_path / "trian.py").mkdir()  # a folder is not suggested
    with pytest.raises(DataError, match=r"There is no file .*trian\.py.* Did you mean `[^`]*train\.py`\?$"):
        check_script(tmp_path / "trian.py")


def test_a_notebook_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(DescentlabError, match="nbconvert"):
        check_script(script(tmp_path, "{}", "loop.ipynb"))
