"""A lesson as a notebook: valid, in a kernel of its own from top to bottom, and it grades."""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
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


def notebook_of(place: int, lang: str) -> Any:
    return nbformat.reads(render_notebook(load_lesson(place, lang)), as_version=4)


def executed(notebook: Any) -> list[tuple[str, str]]:
    """What each cell with code prints, and what its last expression shows: a kernel's work, without one of its own."""
    names: dict[str, Any] = {}
    outputs = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            body = ast.parse(cell.source).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else ast.Expr(ast.Constant(None))
            printing = io.StringIO()
            with redirect_stdout(printing):
                exec(compile(ast.Module(body, []), "cell", "exec"), names)
                shown = eval(compile(ast.fix_missing_locations(ast.Expression(last.value)), "cell", "eval"), names)
            outputs.append((printing.getvalue(), shown._repr_html_() if hasattr(shown, "_repr_html_") else ""))
    return outputs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("place", lesson_slugs())
def test_it_runs_from_top_to_bottom(place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path))
    for each in LANGUAGES:
        nbformat.validate(notebook_of(place, each))
    lang = in_language(place)
    notebook = notebook_of(place, lang)
    outputs = executed(notebook)
    programs = [text for text, _ in outputs[-3:]]
    assert programs[0].strip()
    assert len(set(programs)) == 1
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    figures = [html for cell, (_, html) in zip(codes, outputs, strict=True) if cell.source.startswith("lesson.figure")]
    assert all("<iframe" in html for html in figures)
    assert figures
    for name, figure in load_lesson(place, lang).facts.figures.items():
        assert open_lesson(place, lang).figure(name).spec["views"] == figure.views


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_a_kernel_runs_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path))
    notebook = notebook_of(5, "en")
    cells = NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path)).cells
    codes = [cell for cell in cells if cell.cell_type == "code"]
    assert len({printed(cell) for cell in codes[-3:]}) == 1
    assert any("<iframe" in str(cell.outputs) for cell in codes)


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
