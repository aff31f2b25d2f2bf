"""A lesson as a notebook: valid, in a kernel of its own from top to bottom, and it grades."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

import descentlab
from descentlab.lessons import open_lesson, progress
from descentlab.lessons.course import lesson_slugs, load_lesson
from descentlab.lessons.render.notebook import render_notebook
from descentlab.messages import LANGUAGES


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    """One kernel for all lessons, since importing torch takes longer than any of them; each begins with no names."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env={**os.environ, "DESCENTLAB_STATE": str(folder)})
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("place", lesson_slugs())
def test_it_runs_from_top_to_bottom(place: int, kernel: KernelManager) -> None:
    """Korean and English have the same code; one of them is run."""
    read = {lang: nbformat.reads(render_notebook(load_lesson(place, lang)), as_version=4) for lang in LANGUAGES}
    for each in read.values():
        nbformat.validate(each)
    lang = LANGUAGES[place % 2]
    read[lang].cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    done = NotebookClient(read[lang], km=kernel, timeout=120).execute(cleanup_kc=True)
    codes = [cell for cell in done.cells[1:] if cell.cell_type == "code"]
    programs = [printed(cell) for cell in codes[-3:]]
    assert programs[0].strip()
    assert len(set(programs)) == 1
    figures = [cell for cell in codes if cell.source.startswith("lesson.figure")]
    assert all("<iframe" in str(cell.outputs) for cell in figures)
    assert figures
    for name, figure in load_lesson(place, lang).facts.figures.items():
        assert open_lesson(place, lang).figure(name).spec["views"] == figure.views


def test_answers_are_checked_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path))
    first = open_lesson(1, "en")
    for answer, said in (
        (None, "Replace None with your answer"),
        ("x", "cannot be read"),
        (14.0, "sum of the squares"),
        (4.67, "Yes"),
    ):
        assert progress.load_answered() == {}
        first.check("cost", answer)
        assert said in capsys.readouterr().out
    assert progress.load_answered() == {"hypothesis-and-cost": ["cost"]}
    with pytest.raises(descentlab.SettingError, match="costs"):
        first.check("costs", 1)
    with pytest.raises(descentlab.SettingError, match="parabel"):
        first.figure("parabel")
    assert repr(first) == "Lesson 1: Hypothesis and cost"


def test_its_file_is_json_without_outputs() -> None:
    content = json.loads(render_notebook(load_lesson(2, "ko")))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert all(cell.get("outputs", []) == [] for cell in content["cells"])
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
