"""A lesson as a notebook: valid, in a kernel of its own from top to bottom, and it grades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import descentlab
from descentlab.lessons import open_lesson, progress
from descentlab.lessons.course import lesson_slugs, load_lesson
from descentlab.lessons.render.notebook import render_notebook
from descentlab.messages import LANGUAGES


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def in_language(place: int) -> str:
    """Korean and English have the same code, so one of them is run."""
    return LANGUAGES[place % 2]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """The cells of every lesson, run in one kernel, since importing torch takes longer than any of them.

    Each lesson begins without a name that another left.
    """
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("kernel")
    whole, ends = nbformat.v4.new_notebook(), []
    for place in lesson_slugs():
        notebook = nbformat.reads(render_notebook(load_lesson(place, in_language(place))), as_version=4)
        whole.cells += [nbformat.v4.new_code_cell("%reset -f"), *notebook.cells]
        ends.append(len(whole.cells))
    for cell in whole.cells:
        cell.pop("id", None)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DESCENTLAB_STATE", str(folder))
        cells = NotebookClient(whole, timeout=120, kernel_name="python3").execute(cwd=str(folder)).cells
    return {place: cells[start:end] for place, start, end in zip(lesson_slugs(), [0, *ends], ends, strict=False)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("place", lesson_slugs())
def test_it_runs_from_top_to_bottom(place: int, executed: dict[int, list[Any]]) -> None:
    for each in LANGUAGES:
        nbformat.validate(nbformat.reads(render_notebook(load_lesson(place, each)), as_version=4))
    lang = in_language(place)
    codes = [cell for cell in executed[place] if cell.cell_type == "code"][1:]
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
