"""A lesson as a page: safe and silent, its figures alive, its questions graded as in Python."""

from __future__ import annotations

import json
import math
import re
import threading
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from descentlab.lab.server.handler import LabServer
from descentlab.lessons import open_lesson as lesson_in_notebook
from descentlab.lessons import progress
from descentlab.lessons.course import QuestionBlock, lesson_slugs, load_lesson, outline
from descentlab.lessons.facts.types import ChoiceQuestion, NumberQuestion
from descentlab.lessons.grading import grade
from descentlab.lessons.render.page import render_lesson_page
from descentlab.lessons.render.site import LessonSite
from descentlab.messages import LANGUAGES
from tests.browsing import Watched
from tests.lab.v8 import module

QUESTIONS: list[NumberQuestion | ChoiceQuestion] = [
    NumberQuestion(1.4, 0.005, {"sign": -1.4, "half": 0.7}),
    NumberQuestion(31_770_862, 0.5, {"low": 6_991_770}),
    NumberQuestion(0.0, 1e-9),
    ChoiceQuestion("double", ("same", "double", "four")),
]


@pytest.fixture(scope="module")
def js() -> Iterator[MiniRacer]:
    with MiniRacer() as v8:
        v8.eval(f"const grading = {module('grading.js')};")
        yield v8


ANSWERS = st.one_of(
    st.sampled_from(
        ["1.4", "W = 1.4", "7/5", "−1.4", "1,4", "0.7", "31,770,862", "3.1770862e7", "b", "(B)", "c.", "four", "", "x"]
    ),
    st.sampled_from(
        ["≈ 1.4", "14·10^-1", "0.7*10**0", "2.8/2,0", "１.４", "1 - 0.4", "1 or 2", "1/0", "1e999", "9" * 5000 + "/1"]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(alphabet="0123456789.,-+/eE= abcd−≈·^()", max_size=9),
)


@given(answer=ANSWERS)
def test_the_page_grades_as_python_does(js: MiniRacer, answer: str) -> None:
    for question in QUESTIONS:
        given_by_page = js.eval(f"grading.grade({json.dumps(vars(question))}, {json.dumps(answer)})")
        assert given_by_page == grade(question, answer), (question, answer)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("1,4", "right"),  # a decimal comma
        ("- 1.4", "sign"),
        ("≈1.4", "right"),
        ("14·10^-1", "right"),
        ("14 x 10^-1", "right"),
        ("2.8/2", "right"),
        ("14,000/10,000", "right"),
        ("１.４", "right"),
        ("1.4 - 0", None),  # left to be computed, or more than one number
        ("1.4 or 0.7", None),
        ("1/0", None),
        ("1e999", None),
        ("9" * 5000 + "/1", None),  # more digits than Python turns into an int
        ("1" + "0" * 400 + "/1", None),
    ],
)
def test_numbers_are_read_as_people_write_them(answer: str, verdict: str | None) -> None:
    assert grade(QUESTIONS[0], answer) == verdict


def opened(watched: Watched, folder: Path, place: int, lang: str) -> Any:
    path = folder / "lesson.html"
    path.write_text(render_lesson_page(load_lesson(place, lang)), "utf-8")
    watched.context.set_offline(True)
    watched.page.goto(path.as_uri())
    watched.page.wait_for_selector(".figure .panel")
    watched.page.wait_for_timeout(150)  # milliseconds, in which what waits for rest is drawn
    return watched.page


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("place", lesson_slugs())
def test_every_lesson_opens(watched: Watched, tmp_path: Path, place: int, lang: str) -> None:
    """Offline, without a complaint, without a rule of accessibility broken, at a phone's width too."""
    browsed = opened(watched, tmp_path, place, lang)
    read = load_lesson(place, lang)
    assert browsed.locator("h1").inner_text() == read.title
    assert browsed.locator("form").count() == len(read.question_names)
    assert browsed.locator(".figure .descentlab").count() == len(read.facts.figures)
    for figure in read.facts.figures.values():
        for view in figure.views:
            assert browsed.locator(f".panel.{view}").first.is_visible(), view
    assert "$" not in browsed.locator(".told").all_inner_texts()[0]
    if lang == LANGUAGES[place % 2]:  # the rules are about the page's structure, which both languages share
        browsed.evaluate((files("axe_core_python") / "axe.min.js").read_text("utf-8"))
        contrast = {"color-contrast": {"enabled": place % 3 == 0}}  # slow, and colors are those of one stylesheet
        found = browsed.evaluate("rules => axe.run(document, { rules })", contrast)
        assert [(each["id"], [node["html"][:90] for node in each["nodes"]]) for each in found["violations"]] == []
    browsed.set_viewport_size({"width": 390, "height": 844})
    browsed.wait_for_timeout(100)
    assert browsed.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert [each for each in watched.requests if not each.startswith(("file:", "data:", "about:"))] == []
    assert watched.complaints == []


def test_answers_are_graded_with_their_reason(watched: Watched, tmp_path: Path) -> None:
    browsed = opened(watched, tmp_path, 1, "en")
    read = load_lesson(1, "en")
    for block in read.blocks:
        if not isinstance(block, QuestionBlock):
            continue
        form = browsed.locator(f"#question-{block.name}")
        question = read.facts.questions[block.name]
        if isinstance(question, ChoiceQuestion):
            for key in question.options:
                form.locator(f"input[value={key}]").check()
                form.get_by_role("button").click()
                assert (
                    form.get_by_role("status").inner_text() == block.notes["right" if key == question.answer else key]
                )
            continue
        for name, answer in [("right", question.answer), *question.mistakes.items()]:
            form.get_by_role("textbox").fill(repr(answer))
            form.get_by_role("textbox").press("Enter")
            assert form.get_by_role("status").inner_text() == block.notes[name].replace("`", "")
        form.get_by_role("textbox").fill("what?")
        form.get_by_role("button").click()
        assert "cannot be read" in form.get_by_role("status").inner_text()
        assert "answered" in (form.get_attribute("class") or "")  # as it was, rightly, before
    assert watched.complaints == []


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabServer]:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path / "state"))
    server = LabServer({}, lang="en", site=LessonSite(1, "en"))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_served_lesson_leads_to_the_others_and_back(watched: Watched, course: LabServer) -> None:
    browsed = watched.page
    browsed.goto(course.url)
    browsed.get_by_text("All lessons").click()
    assert browsed.locator("nav ol a").all_inner_texts() == [outline(place, "en")[0] for place in lesson_slugs()]
    browsed.get_by_role("link", name="Mini-batches").click()
    assert browsed.locator("h1").inner_text() == load_lesson(11, "en").title
    browsed.get_by_role("link", name="한국어").click()
    assert browsed.locator("h1").inner_text() == load_lesson(11, "ko").title
    browsed.locator("a[rel=next]").click()
    assert browsed.locator("h1").inner_text() == load_lesson(12, "ko").title
    assert browsed.locator("a[rel=next]").count() == 0
    browsed.locator("a[rel=prev]").click()
    assert browsed.locator("h1").inner_text() == load_lesson(11, "ko").title
    assert watched.complaints == []


def test_a_served_answer_is_kept_where_the_terminal_keeps_it(watched: Watched, course: LabServer) -> None:
    browsed = watched.page
    browsed.goto(course.url)
    form = browsed.locator("#question-cost")
    form.get_by_role("textbox").fill("14")
    form.get_by_role("button").click()
    form.get_by_role("textbox").fill("14/3")
    with browsed.expect_response("**/answered?**") as answer:
        form.get_by_role("button").click()
    assert answer.value.status == 200
    assert progress.load_answered() == {"hypothesis-and-cost": ["cost"]}
    progress.mark_answered("hypothesis-and-cost", next(name for name in outline(1, "en")[1] if name != "cost"))
    browsed.reload()
    assert browsed.locator("form.answered").count() == 2
    for right in outline(1, "en")[1]:
        progress.mark_answered("hypothesis-and-cost", right)
    browsed.goto(f"{course.url}2-en")
    assert [each[-1] for each in browsed.locator("nav ol li").all_text_contents() if each.endswith("✓")] == ["✓"]
    assert watched.complaints == []


def test_a_served_answer_that_cannot_be_kept_says_so(watched: Watched, course: LabServer, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    browsed = watched.page
    browsed.goto(course.url)
    form = browsed.locator("#question-cost")
    form.get_by_role("textbox").fill("14/3")
    form.get_by_role("button").click()
    browsed.wait_for_function(
        "() => document.querySelector('#question-cost [role=status]').textContent.includes('written')"
    )
    said = form.get_by_role("status").inner_text()
    assert said.startswith("Yes")
    assert "progress.json" in said


@pytest.mark.parametrize("told", ["answered", "answered?lesson=epochs", "answered?lesson=x&question=cost", "other"])
def test_only_answers_to_its_questions_are_taken(course: LabServer, told: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(urllib.request.Request(f"{course.url}{told}", method="POST"), timeout=30)
    assert progress.load_answered() == {}


def test_compared_runs_are_drawn_point_by_point(watched: Watched, tmp_path: Path) -> None:
    """Every point where its numbers put it, on a page and in a notebook, dots, discs and rings as the caption says."""
    figure = load_lesson(6, "en").facts.figures["rates"]
    browsed = opened(watched, tmp_path, 6, "en")
    assert browsed.locator(".drawing circle").count() == sum(map(len, figure.curves))
    svg = lesson_in_notebook(6, "en").drawing("rates")._repr_svg_()
    circles = [each for each in ElementTree.fromstring(svg) if each.tag.endswith("circle")]
    x, y = ([float(each.attrib[key]) for each in circles] for key in ("cx", "cy"))
    epochs = [x for curve in figure.curves for x, _ in curve]
    powers = [math.log10(y) for curve in figure.curves for _, y in curve]
    for drawn, meant in ((x, epochs), (y, powers)):
        slope, start = np.polyfit(meant, drawn, 1)
        assert (slope > 0) == (drawn is x)  # a picture's y grows downwards
        np.testing.assert_allclose(drawn, np.multiply(meant, slope) + start, atol=0.06)
    kinds = [(each.attrib["r"], each.attrib["fill"] == "none") for each in circles[:: len(figure.curves[0])]]
    assert kinds == [("2", False), ("4", False), ("4", True)]
    assert not load_lesson(1, "en").facts.figures["parabola"].has_several_runs
    assert opened(watched, tmp_path, 1, "en").locator(".drawing").count() == 0


def readout(browsed: Any) -> str:
    return str(browsed.locator(".panel.cost .strong").first.text_content())


def test_the_first_lessons_picture_stays_where_it_is_and_says_the_cost(watched: Watched, tmp_path: Path) -> None:
    """As its text has it: W can be moved by keys to each value of its table, and the cost is read off."""
    browsed = opened(watched, tmp_path, 1, "en")
    low, high = (browsed.locator(".panel.cost .tick").nth(at).text_content() for at in (0, 6))
    assert (low, high) == ("−0.5", "2.5")
    assert readout(browsed) == "W = 0.5, cost 1.17"
    handle = browsed.locator(".panel.cost .handle")
    handle.focus()
    for _ in range(10):
        browsed.keyboard.press("ArrowRight")
        browsed.wait_for_timeout(40)
    assert readout(browsed) == "W = 1, cost 0"
    assert browsed.locator(".panel.cost .tick").first.text_content() == "−0.5"
    for _ in range(20):
        browsed.keyboard.press("ArrowRight")
        browsed.wait_for_timeout(40)
    assert readout(browsed) == "W = 2, cost 4.67"


def test_the_eighth_lessons_table_has_what_is_left(watched: Watched, tmp_path: Path) -> None:
    """As its text has it: after a million epochs so many per cent of the error are left in the flattest direction."""
    browsed = opened(watched, tmp_path, 8, "en")
    epochs = browsed.locator(".transport input").last
    epochs.fill("1000000")
    epochs.press("Enter")
    browsed.locator(".panel.cost summary").click()
    browsed.wait_for_timeout(200)
    shown = browsed.locator(".panel.cost table tr").last.locator("td").last.inner_text()
    per_cent = float(re.findall(r"\(([\d.]+) %\)", shown)[0])
    assert per_cent == pytest.approx(load_lesson(8, "en").facts.numbers["left"], abs=0.05)
