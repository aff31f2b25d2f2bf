"""The parts of facts: numbers, tables, figures and questions with their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Cell = float | int | str


@dataclass(frozen=True)
class LessonTable:
    """Rows of cells; ``formats`` has one format specification a column. The headings stand in the prose."""

    rows: Sequence[Sequence[Cell]]
    formats: Sequence[str]

    def formatted_rows(self) -> list[list[str]]:
        """Every cell in its column's format; words as they are."""
        return [
            [
                cell if isinstance(cell, str) else format(cell, format_spec)
                for cell, format_spec in zip(row, self.formats, strict=True)
            ]
            for row in self.rows
        ]


@dataclass(frozen=True)
class LessonFigure:
    """One descent to look at: the lab's state as its address has it, the views of it, and a sketch for a terminal.

    ``curves`` are points (x, y) to draw, the first with one sign, the second with another; ``axes`` names x and y.
    """

    state: str
    views: tuple[str, ...]
    curves: Sequence[Sequence[tuple[float, float]]]
    axes: tuple[str, str]
    log: bool = False

    @property
    def has_several_runs(self) -> bool:
        """Whether it shows several runs; a live figure shows one."""
        return self.axes[0] == "epoch" and len(self.curves) > 1


@dataclass(frozen=True)
class NumberQuestion:
    """A question with a number as its answer, right within ``tolerance``; ``mistakes`` has wrong answers by name."""

    answer: float
    tolerance: float
    mistakes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question with options by key; the right one is computed."""

    answer: str
    options: tuple[str, ...]


Question = NumberQuestion | ChoiceQuestion


@dataclass(frozen=True)
class LessonFacts:
    """Everything in one lesson except its prose."""

    numbers: Mapping[str, Cell]
    tables: Mapping[str, LessonTable] = field(default_factory=dict)
    figures: Mapping[str, LessonFigure] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
