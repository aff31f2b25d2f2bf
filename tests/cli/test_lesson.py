"""``descentlab lesson``: the list, a lesson with its questions asked, a notebook, and what it refuses."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from descentlab.lessons.course import QuestionBlock, lesson_slugs, load_lesson
from descentlab.lessons.facts.types import NumberQuestion
from descentlab.lessons.grading import grade
from descentlab.lessons.render.terminal import grade_answer
from descentlab.messages import LANGUAGES
from tests.cli.helpers import cli


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESCENTLAB_STATE", str(tmp_path / "state"))
    return tmp_path


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_list_has_every_lesson(lang: str) -> None:
    result = cli("lesson", "--lang", lang)
    assert (result.code, result.err) == (0, "")
    for place in lesson_slugs():
        assert load_lesson(place, lang).title in result.out


def test_questions_are_asked_until_they_are_right_or_left(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "2", "x", "1", "", "a", "c")
    result = cli("lesson", "1", "--ask", "--lang", "en")
    assert result.code == 0
    for said in (
        "That is the largest W of the table",
        "cannot be read as a number",
        "every error is 0",
        "Only the same distance on the other side",
        "The cost grows with the square of the distance",
        "2 of 3 questions of this lesson are answered.",
    ):
        assert said in " ".join(result.out.split()), said
    assert "(2 of 3 questions)" in cli("lesson", "--lang", "en").out
    assert cli("lesson", "--forget").code == 0
    assert "(2 of 3 questions)" not in cli("lesson", "--lang", "en").out


def test_all_of_them_make_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "1", "4.67", "c")
    cli("lesson", "1", "--ask")
    assert cli("lesson", "--lang", "en").out.startswith("✓ 1")


def test_no_answers_are_waited_for_where_nobody_can_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)
    told = cli("lesson", "2", "--lang", "en")
    assert told.code == 0
    assert "Answer" not in told.out
    asked = cli("lesson", "2", "--ask", "--lang", "en")  # the answers end before the questions do
    assert (asked.code, "Traceback" in asked.err) == (130, False)


def test_what_was_right_stays_when_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "1")  # and then the end of the input, as Ctrl-D gives it
    interrupted = cli("lesson", "1", "--ask", "--lang", "en")
    assert (interrupted.code, interrupted.err) == (130, "Interrupted. Questions that you answered remain answered.\n")
    answering(monkeypatch, "-28")
    cli("lesson", "2", "--ask")
    assert cli("lesson", "--lang", "en").out.count("(1 of 3 questions)") == 2
    assert cli("lesson", "1", "--forget").code == 0
    assert "(0 of 3 questions)\n  2  One step  (1 of 3 questions)" in cli("lesson", "--lang", "en").out
    assert cli("lesson", "13", "--forget", "--lang", "en").code == 2


def test_a_place_that_cannot_be_written_does_not_end_the_lesson(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "state").write_text("a file where a folder would be")
    answering(monkeypatch, "1", "4.67", "c")
    result = cli("lesson", "1", "--ask", "--lang", "en")
    assert result.code == 0
    assert "cannot be written" in result.err
    assert "0 of 3 questions of this lesson are answered." in result.out


def test_a_notebook_is_written_for_a_name_that_says_so(state: Path) -> None:
    path = state / "one.ipynb"
    result = cli("lesson", "1", "--notebook", str(path), "--lang", "ko")
    assert result.code == 0
    assert f"저장했습니다: {path}\n열려면: jupyter lab {path}\n" in result.out
    assert json.loads(path.read_text("utf-8"))["nbformat"] == 4
    path.write_text("answers", "utf-8")
    for name, said in (
        ("one.txt", ".ipynb"),
        ("none/one.ipynb", "one.ipynb"),
        ("one.ipynb", "already exists"),
    ):
        refused = cli("lesson", "1", "--notebook", str(state / name), "--lang", "en")
        assert refused.code == 2
        assert said in refused.err
    assert path.read_text("utf-8") == "answers"
    nothing = cli("lesson", "--notebook", str(state / "two.ipynb"), "--lang", "en")
    assert (nothing.code, "number is missing" in nothing.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("99",), "There is no lesson 99"),
        (("0",), "0"),
        (("one",), "one"),
        (("1.5",), "1.5"),
    ],
)
def test_what_is_no_lesson_is_refused(arguments: tuple[str, ...], said: str) -> None:
    for command in (("lesson", *arguments), ("lab", "--no-open", "--lesson", *arguments)):
        result = cli(*command, "--lang", "en")
        assert result.code == 2
        assert said in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_answers_are_graded_as_they_say(lang: str) -> None:
    """Every answer that is printed, given to its question, is told what stands beside it."""
    for number in lesson_slugs():
        opened = load_lesson(number, lang)
        blocks = [block for block in opened.blocks if isinstance(block, QuestionBlock)]
        told = cli("lesson", str(number), "--answers", "--lang", lang).out.split("\n? ")
        for block, text in zip(blocks, told, strict=True):
            question = opened.facts.questions[block.name]
            reasons = re.findall(r"^  ([^\s:]+): (.*(?:\n    .*)*)", text.partition("\n\n")[2], re.MULTILINE)
            assert len(reasons) == 1 + (
                len(question.mistakes) if isinstance(question, NumberQuestion) else len(block.options) - 1
            )
            assert grade(question, reasons[0][0]) == "right"
            for answer, reason in reasons:
                said = " ".join(grade_answer(opened, block, answer)[1].split())
                assert " ".join(reason.split()) == said
