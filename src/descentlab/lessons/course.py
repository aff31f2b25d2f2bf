"""The course: which lessons there are, and one lesson in one language, in pieces that any page can be made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.resources import files

from descentlab.errors import SettingError
from descentlab.lessons.facts.types import Cell, Facts
from descentlab.lessons.order import ORDER
from descentlab.messages import number, particled

_FENCE = re.compile(r"^```(table|figure|question|code) (\S+)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"\{\{(\w+)(?::([^}]+))?\}\}")
_NOTE = re.compile(r"^(\w+): (.*)$")
_OPTION = re.compile(r"^- (\w+): (.*)$")


@dataclass(frozen=True)
class Prose:
    """Markdown, with its numbers in place and formulas as ``$name$``."""

    text: str


@dataclass(frozen=True)
class TableBlock:
    """A table of the facts, under these headings, and what its keys are called in this language."""

    name: str
    headings: tuple[str, ...]
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureBlock:
    """A figure of the facts, with the caption of its sketch: on a page it is live, and its views have their own."""

    name: str
    caption: str


@dataclass(frozen=True)
class QuestionBlock:
    """A question of the facts: its words, its options where it has some, and a reason for each answer by its key."""

    name: str
    prompt: str
    options: Mapping[str, str]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class CodeBlock:
    """A program of ``code/``: by hand, with torch, or with descentlab."""

    name: str
    text: str


Block = Prose | TableBlock | FigureBlock | QuestionBlock | CodeBlock


@dataclass(frozen=True)
class Lesson:
    """One lesson in one language."""

    number: int
    slug: str
    lang: str
    title: str
    blocks: tuple[Block, ...]
    facts: Facts

    @property
    def questions(self) -> list[str]:
        return [block.name for block in self.blocks if isinstance(block, QuestionBlock)]


@cache
def lessons() -> Mapping[int, str]:
    """The lessons by number, in the course's order: those that have been written."""
    written = {path.name for path in (files("descentlab.lessons") / "en").iterdir()}
    return {place: slug for place, slug in enumerate(ORDER, 1) if f"{place:02}-{slug}.md" in written}


def lesson(place: int, lang: str) -> Lesson:
    """Lesson ``place``, counted from 1, with every number computed.

    Raises:
        SettingError: there is no such lesson.
    """
    if place not in lessons():
        raise SettingError("no_such_lesson", given=place, most=max(lessons()))
    slug = lessons()[place]
    facts = facts_of(slug)
    text = filled(source(place, lang), facts.numbers, lang)
    heading, _, body = text.partition("\n")
    blocks = tuple(_blocks(body, f"{place:02}-{slug}"))
    return Lesson(place, slug, lang, heading.removeprefix("# "), blocks, _worded(facts, blocks))


def outline(place: int, lang: str) -> tuple[str, list[str]]:
    """The lesson's title and its questions' names, without computing anything."""
    heading, _, body = source(place, lang).partition("\n")
    return heading.removeprefix("# "), [found[2] for found in _FENCE.finditer(body) if found[1] == "question"]


def source(place: int, lang: str) -> str:
    """The lesson as it was written."""
    return (files("descentlab.lessons") / lang / f"{place:02}-{lessons()[place]}.md").read_text("utf-8")


@cache
def facts_of(slug: str) -> Facts:
    """The lesson's numbers, computed once."""
    found = import_module(f"descentlab.lessons.facts.{slug.replace('-', '_')}")
    return Facts(found.numbers(), found.tables(), found.figures(), found.questions())


def filled(text: str, numbers: Mapping[str, Cell], lang: str) -> str:
    """The text with ``{{name}}`` and ``{{name:.3f}}`` replaced by what the facts say.

    >>> filled("W is {{W:.3f}} of {{goal}}.", {"W": 0.28, "goal": 1.0}, "en")
    'W is 0.280 of 1.'
    """
    said = _PLACE.sub(lambda found: _shown(numbers[found[1]], found[2]), text)
    return particled(said) if lang == "ko" else said


def _worded(facts: Facts, blocks: tuple[Block, ...]) -> Facts:
    """The facts, with the keys in their tables said in words: a verdict is computed once, for every language."""
    tables = dict(facts.tables)
    for block in blocks:
        if isinstance(block, TableBlock) and block.words:
            rows = [[block.words.get(str(cell), cell) for cell in row] for row in tables[block.name].rows]
            tables[block.name] = replace(tables[block.name], rows=rows)
    return replace(facts, tables=tables)


def _shown(value: Cell, form: str | None) -> str:
    if form:
        return format(value, form)
    return value if isinstance(value, str) else number(value)


def _blocks(body: str, folder: str) -> Iterator[Block]:
    end = 0
    for found in _FENCE.finditer(body):
        if before := body[end : found.start()].strip():
            yield Prose(before)
        yield _block(found[1], found[2], found[3].strip(), folder)
        end = found.end()
    if rest := body[end:].strip():
        yield Prose(rest)


def _block(kind: str, name: str, inside: str, folder: str) -> Block:
    if kind == "table":
        headings, _, words = inside.partition("\n")
        said = {found[1]: found[2] for found in map(_OPTION.match, words.splitlines()) if found}
        return TableBlock(name, tuple(part.strip() for part in headings.split("|")), said)
    if kind == "figure":
        return FigureBlock(name, inside)
    if kind == "question":
        return _question(name, inside)
    return CodeBlock(name, (files("descentlab.lessons") / "code" / folder / f"{name}.py").read_text("utf-8"))


def sections(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """The blocks from heading to heading."""
    section: list[Block] = []
    for block in blocks:
        for part in re.split(r"\n(?=## )", block.text) if isinstance(block, Prose) else [""]:
            if part.startswith("## ") and section:
                yield section
                section = []
            section.append(Prose(part) if isinstance(block, Prose) else block)
    yield section


def _question(name: str, inside: str) -> QuestionBlock:
    prompt: list[str] = []
    options: dict[str, str] = {}
    notes: dict[str, str] = {}
    for line in inside.splitlines():
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
