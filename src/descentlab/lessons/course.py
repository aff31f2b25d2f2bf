"""The course: its lessons, and one lesson in one language as blocks that each renderer uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TypeVar

from descentlab.errors import SettingError
from descentlab.lessons.facts.types import Cell, LessonFacts
from descentlab.messages import format_number, resolve_particles

LESSON_ORDER = (
    "hypothesis-and-cost",
    "one-step",
    "epochs",
    "conventions",
    "torch-optim",
    "learning-rate",
    "bias",
    "several-features",
    "scaling",
    "momentum",
    "mini-batches",
    "your-own-data",
)

_FENCE = re.compile(r"^```(table|figure|question|code) (\S+)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"\{\{(\w+)(?::([^}]+))?\}\}")
_NOTE = re.compile(r"^(\w+): (.*)$")
_OPTION = re.compile(r"^- (\w+): (.*)$")


@dataclass(frozen=True)
class ProseBlock:
    """Markdown, with its numbers in place and formulas as ``$name$``."""

    text: str


@dataclass(frozen=True)
class TableBlock:
    """A table of the facts with its headings, and its keys in this language."""

    name: str
    headings: tuple[str, ...]
    translations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureBlock:
    """A figure of the facts and the caption of its plot; the views of a live figure have captions of their own."""

    name: str
    caption: str


@dataclass(frozen=True)
class QuestionBlock:
    """A question of the facts: its text, its options if any, and the reason for each answer by its key."""

    name: str
    prompt: str
    options: Mapping[str, str]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class CodeBlock:
    """A program of ``code/``."""

    name: str
    text: str


Block = ProseBlock | TableBlock | FigureBlock | QuestionBlock | CodeBlock
BlockT = TypeVar("BlockT", FigureBlock, QuestionBlock)


@dataclass(frozen=True)
class Lesson:
    """One lesson in one language."""

    number: int
    slug: str
    lang: str
    title: str
    blocks: tuple[Block, ...]
    facts: LessonFacts

    def find(self, kind: type[BlockT], name: str) -> BlockT:
        """The block of this kind and name."""
        return next(block for block in self.blocks if isinstance(block, kind) and block.name == name)

    @property
    def question_names(self) -> list[str]:
        return [block.name for block in self.blocks if isinstance(block, QuestionBlock)]


@cache
def lesson_slugs() -> Mapping[int, str]:
    """The lessons by number, in the course's order: those that have been written."""
    file_names = {path.name for path in (files("descentlab.lessons") / "en").iterdir()}
    return {number: slug for number, slug in enumerate(LESSON_ORDER, 1) if f"{number:02}-{slug}.md" in file_names}


def load_lesson(number: int, lang: str) -> Lesson:
    """Lesson ``number``, counted from 1, with every number computed.

    Raises:
        SettingError: there is no such lesson.
    """
    if number not in lesson_slugs():
        raise SettingError("no_such_lesson", given=number, most=max(lesson_slugs()))
    slug = lesson_slugs()[number]
    facts = compute_facts(slug)
    text = fill_placeholders(source(number, lang), lesson_numbers() | dict(facts.numbers), lang)
    heading, _, body = text.partition("\n")
    blocks = tuple(_parse_blocks(body, f"{number:02}-{slug}"))
    return Lesson(number, slug, lang, heading.removeprefix("# "), blocks, _translate_keys(facts, blocks))


def lesson_numbers() -> dict[str, Cell]:
    """The number of each lesson, as the prose names it: ``one_step_lesson`` is 2."""
    return {f"{slug.replace('-', '_')}_lesson": number for number, slug in lesson_slugs().items()}


def outline(number: int, lang: str) -> tuple[str, list[str]]:
    """The lesson's title and its questions' names, without computing anything."""
    heading, _, body = source(number, lang).partition("\n")
    return heading.removeprefix("# "), [match[2] for match in _FENCE.finditer(body) if match[1] == "question"]


def source(number: int, lang: str) -> str:
    """The lesson as it was written."""
    return (files("descentlab.lessons") / lang / f"{number:02}-{lesson_slugs()[number]}.md").read_text("utf-8")


@cache
def compute_facts(slug: str) -> LessonFacts:
    """The lesson's numbers, computed once."""
    module = import_module(f"descentlab.lessons.facts.{slug.replace('-', '_')}")
    return LessonFacts(module.numbers(), module.tables(), module.figures(), module.questions())


def fill_placeholders(text: str, numbers: Mapping[str, Cell], lang: str) -> str:
    """The text with ``{{name}}`` and ``{{name:.3f}}`` replaced by the numbers.

    >>> fill_placeholders("W is {{W:.3f}} of {{goal}}.", {"W": 0.28, "goal": 1.0}, "en")
    'W is 0.280 of 1.'
    """
    filled_text = _PLACE.sub(lambda match: _format_cell(numbers[match[1]], match[2]), text)
    return resolve_particles(filled_text) if lang == "ko" else filled_text


def _translate_keys(facts: LessonFacts, blocks: tuple[Block, ...]) -> LessonFacts:
    """The facts, with the keys in their tables in this language; they are computed once for all languages."""
    tables = dict(facts.tables)
    for block in blocks:
        if isinstance(block, TableBlock) and block.translations:
            rows = [[block.translations.get(str(cell), cell) for cell in row] for row in tables[block.name].rows]
            tables[block.name] = replace(tables[block.name], rows=rows)
    return replace(facts, tables=tables)


def _format_cell(value: Cell, format_spec: str | None) -> str:
    if format_spec:
        return format(value, format_spec)
    return value if isinstance(value, str) else format_number(value)


def _parse_blocks(body: str, folder: str) -> Iterator[Block]:
    end = 0
    for match in _FENCE.finditer(body):
        if before := body[end : match.start()].strip():
            yield ProseBlock(before)
        yield _make_block(match[1], match[2], match[3].strip(), folder)
        end = match.end()
    if rest := body[end:].strip():
        yield ProseBlock(rest)


def _make_block(kind: str, name: str, body: str, folder: str) -> Block:
    if kind == "table":
        headings, _, words = body.partition("\n")
        translations = {match[1]: match[2] for match in map(_OPTION.match, words.splitlines()) if match}
        return TableBlock(name, tuple(heading.strip() for heading in headings.split("|")), translations)
    if kind == "figure":
        return FigureBlock(name, body)
    if kind == "question":
        return _parse_question(name, body)
    return CodeBlock(name, (files("descentlab.lessons") / "code" / folder / f"{name}.py").read_text("utf-8"))


def split_sections(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """The blocks from heading to heading."""
    section: list[Block] = []
    for block in blocks:
        for text in re.split(r"\n(?=## )", block.text) if isinstance(block, ProseBlock) else [""]:
            if text.startswith("## ") and section:
                yield section
                section = []
            section.append(ProseBlock(text) if isinstance(block, ProseBlock) else block)
    yield section


def _parse_question(name: str, body: str) -> QuestionBlock:
    prompt: list[str] = []
    options: dict[str, str] = {}
    notes: dict[str, str] = {}
    for line in body.splitlines():
        if option := _OPTION.match(line):
            options[option[1]] = option[2]
        elif note := _NOTE.match(line):
            notes[note[1]] = note[2]
        elif notes and line.strip():
            last = list(notes)[-1]
            notes[last] += f" {line.strip()}"
        else:
            prompt.append(line)
    return QuestionBlock(name, "\n".join(prompt).strip(), options, notes)
