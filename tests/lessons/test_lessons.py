"""The lessons: the same in both languages, no number typed, every answer graded with its reason, every program run."""

from __future__ import annotations

import math
import re
import runpy
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pytest

import descentlab
from descentlab.lessons import course
from descentlab.lessons.course import (
    CodeBlock,
    FigureBlock,
    Lesson,
    ProseBlock,
    QuestionBlock,
    TableBlock,
    lesson_slugs,
    load_lesson,
)
from descentlab.lessons.facts.types import ChoiceQuestion, NumberQuestion
from descentlab.lessons.formulas import FORMULAS
from descentlab.lessons.grading import OTHER_KEY, RIGHT_KEY, grade
from descentlab.lessons.render import terminal
from descentlab.messages import LANGUAGES, display_width

FOLDER = Path(descentlab.__file__).parent / "lessons"
PLACES = list(lesson_slugs())
HEADINGS = {
    "en": ["Predict", "What happens", "Play", "The rule", "Check yourself", "In code"],
    "ko": ["먼저 예측해 보기", "실제로는", "해 보기", "규칙", "확인하기", "코드로"],
}


@pytest.fixture(
    params=[(place, lang) for place in PLACES for lang in LANGUAGES], ids=lambda param: f"{param[0]}-{param[1]}"
)
def opened(request: pytest.FixtureRequest) -> Lesson:
    return load_lesson(*request.param)


def prose(read: Lesson) -> str:
    return "\n".join(block.text for block in read.blocks if isinstance(block, ProseBlock))


def shape(read: Lesson) -> list[tuple[str, str]]:
    """What the lesson is made of, without its words."""
    found = []
    for block in read.blocks:
        if isinstance(block, ProseBlock):
            paragraphs = [
                re.sub(r"\w[\w\s:]*$", "", part.split("\n")[0][:3]) for part in re.split(r"\n\s*\n", block.text)
            ]
            formulas = re.findall(r"\$(\w+)\$", block.text)
            found.append(("prose", f"{len(paragraphs)} {formulas} {block.text.count('## ')}"))
        else:
            found.append((type(block).__name__, block.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_both_languages_have_the_same_shape(place: int) -> None:
    assert shape(load_lesson(place, "en")) == shape(load_lesson(place, "ko"))
    places = [sorted(re.findall(r"\{\{(\w+)", course.source(place, lang))) for lang in LANGUAGES]
    assert set(places[0]) == set(places[1])
    english, korean = (
        [block for block in load_lesson(place, lang).blocks if isinstance(block, QuestionBlock)] for lang in LANGUAGES
    )
    for one, other in zip(english, korean, strict=True):
        assert (list(one.options), list(one.notes)) == (list(other.options), list(other.notes))


def test_every_lesson_has_the_skeleton(opened: Lesson) -> None:
    assert re.findall(r"^## (.*)$", prose(opened), re.MULTILINE) == HEADINGS[opened.lang]
    kinds = {type(block) for block in opened.blocks}
    assert {ProseBlock, FigureBlock, QuestionBlock, CodeBlock} <= kinds
    assert [block.name for block in opened.blocks if isinstance(block, CodeBlock)] == [
        "by_hand",
        "by_torch",
        "by_descentlab",
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("place", PLACES)
def test_no_number_is_typed(place: int, lang: str) -> None:
    """Digits stand in places for the facts, in code and in formulas, and nowhere else."""
    text = re.sub(r"\{\{[^}]*\}\}|`[^`\n]+`|\$\w+\$", "", course.source(place, lang))
    assert re.findall(r".*\d.*", text) == []


def test_facts_and_words_belong_together(opened: Lesson) -> None:
    facts = opened.facts
    assert {block.name for block in opened.blocks if isinstance(block, TableBlock)} == set(facts.tables)
    assert {block.name for block in opened.blocks if isinstance(block, FigureBlock)} == set(facts.figures)
    assert set(opened.question_names) == set(facts.questions)
    named = set(re.findall(r"\{\{(\w+)", course.source(opened.number, opened.lang)))
    assert named <= set(facts.numbers) | set(course.lesson_numbers())
    for block in opened.blocks:
        if isinstance(block, TableBlock):
            table = facts.tables[block.name]
            assert len(block.headings) == len(table.formats) == len(table.rows[0])


def test_keys_in_tables_are_said_in_words(opened: Lesson) -> None:
    for block in opened.blocks:
        if isinstance(block, TableBlock) and block.translations:
            keys = {cell for row in course.compute_facts(opened.slug).tables[block.name].rows for cell in row}
            assert set(block.translations) <= keys
            assert set(block.translations.values()) <= {
                cell for row in opened.facts.tables[block.name].rows for cell in row
            }


def questions(read: Lesson) -> Iterator[tuple[QuestionBlock, NumberQuestion | ChoiceQuestion]]:
    for block in read.blocks:
        if isinstance(block, QuestionBlock):
            yield block, read.facts.questions[block.name]


def test_every_answer_has_its_reason(opened: Lesson) -> None:
    for block, question in questions(opened):
        assert {RIGHT_KEY, OTHER_KEY} <= set(block.notes)
        if isinstance(question, ChoiceQuestion):
            assert tuple(block.options) == question.options
            assert set(block.notes) == {RIGHT_KEY, OTHER_KEY, *question.options} - {question.answer}
            assert [grade(question, key) for key in question.options].count(RIGHT_KEY) == 1
            continue
        assert set(block.notes) == {RIGHT_KEY, OTHER_KEY, *question.mistakes}
        assert grade(question, repr(question.answer)) == RIGHT_KEY
        for name, slip in question.mistakes.items():
            assert grade(question, repr(slip)) == name, "two answers that cannot be told apart"
        assert grade(question, repr(question.answer + 1e3)) == OTHER_KEY


DECIMALS = [
    (1, "cost", 2),
    (2, "second", 3),
    (3, "end", 3),
    (5, "uncleared", 2),
    (6, "factor", 2),
    (6, "stretched", 3),
    (9, "z", 2),
    (10, "second", 3),
]


@pytest.mark.parametrize(("place", "name", "decimals"), DECIMALS)
def test_rounded_and_cut_off_are_both_right(place: int, name: str, decimals: int) -> None:
    """Where the question says how many decimals are enough, either way of leaving the others out is."""
    question = load_lesson(place, "en").facts.questions[name]
    assert isinstance(question, NumberQuestion)
    units = question.answer * 10**decimals
    for whole in (math.floor(round(units, 6)), math.ceil(round(units, 6))):
        assert grade(question, f"{whole / 10**decimals:.{decimals}f}") == RIGHT_KEY
    asked = [block.prompt for block, _ in questions(load_lesson(place, "en")) if block.name == name]
    assert "decimals are" in " ".join(asked[0].split())


def test_answers_are_graded_aloud(opened: Lesson) -> None:
    for block, question in questions(opened):
        right = question.answer if isinstance(question, ChoiceQuestion) else repr(question.answer)
        assert terminal.grade_answer(opened, block, right)[0]
        assert not terminal.grade_answer(opened, block, "what?")[0]


def test_a_terminal_shows_all_of_it(opened: Lesson) -> None:
    parts = [
        part if isinstance(part, str) else terminal.format_question(part, terminal.PLAIN_STYLES)
        for part in terminal.render_lesson(opened)
    ]
    text = "\n".join(parts)
    command = f"descentlab lab --lesson {opened.number}{' --lang ko' if opened.lang == 'ko' else ''}\n"
    assert text.count(command) == len(opened.facts.figures)
    assert max(map(display_width, text.splitlines())) <= 80
    programs = {line for block in opened.blocks if isinstance(block, CodeBlock) for line in block.text.splitlines()}
    assert programs <= set(text.splitlines())  # as they can be copied
    words = "\n".join(line for line in text.splitlines() if line not in programs and not line.startswith("    "))
    assert not re.search(r"\{\{|\}\}|\$\w+\$|\*\*|`|은\(는\)|\(으\)로|이\(가\)", words)


def test_formulas_are_all_used() -> None:
    used = set(re.findall(r"\$(\w+)\$", "".join(course.source(place, "en") for place in PLACES)))
    assert used == set(FORMULAS)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_the_programs_print_the_same(place: int, tmp_path: Path) -> None:
    """By hand, with torch and with descentlab: one output, in double and single precision to its last digit shown."""
    codes = [block for block in load_lesson(place, "en").blocks if isinstance(block, CodeBlock)]
    outputs = {}
    for block in codes:
        if block.name == "by_torch" and find_spec("torch") is None:
            continue
        program = tmp_path / f"{block.name}.py"
        program.write_text(block.text, "utf-8")
        with redirect_stdout(StringIO()) as out, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of overflow, where a program diverges on purpose
            runpy.run_path(str(program), run_name="__main__")
        outputs[block.name] = out.getvalue()
    assert len(set(outputs.values())) == 1, outputs
    assert outputs["by_hand"].strip()


def test_the_glossary_is_kept() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", (FOLDER / "ko" / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE
    )
    avoided = [word.strip() for _, _, words in rows[1:] for word in words.split(",") if word.strip()]
    assert len(avoided) > 20
    for place in PLACES:
        text = course.source(place, "ko")
        for kept in (
            term for _, term, _ in rows[1:] if any(term.startswith(word) and term != word for word in avoided)
        ):
            text = text.replace(kept, "")
        assert [word for word in avoided if re.search(rf"(?<![가-힣]){word}", text)] == []


def test_there_is_no_other_lesson() -> None:
    assert list(range(1, len(PLACES) + 1)) == PLACES
    for place in (0, len(PLACES) + 1, -1):
        with pytest.raises(descentlab.SettingError, match=f"no lesson {place}"):
            load_lesson(place, "en")
    for lang in LANGUAGES:
        files = sorted(path.name for path in (FOLDER / lang).glob("[0-9]*.md"))
        assert files == [f"{place:02}-{slug}.md" for place, slug in lesson_slugs().items()]


@pytest.mark.parametrize("place", PLACES)
def test_emphasis_ends_where_markdown_says_so(place: int) -> None:
    """``**비용(cost)**이`` is not bold in CommonMark: a mark after a bracket and before a letter does not close."""
    assert re.findall(r"[^\w\s]\*\*(?=\w)", course.source(place, "ko")) == []


@pytest.mark.parametrize("place", PLACES)
def test_no_korean_is_italic(place: int) -> None:
    """Hangul has no italics: what is emphasized is bold."""
    emphasized = re.findall(r"(?<!\*)\*([^*\s][^*]*)\*(?!\*)", course.source(place, "ko"))
    assert [text for text in emphasized if re.search("[가-힣]", text)] == []


@pytest.mark.parametrize("name", ["teaching.md", "teaching.ko.md"])
def test_the_teachers_page_lists_every_figures_address(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / name).read_text("utf-8")
    for place in lesson_slugs():
        for figure in load_lesson(place, "en").facts.figures.values():
            assert f"{place}. `#v=1&{figure.state}`\n" in text
