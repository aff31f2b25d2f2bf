"""A lesson's prose as Markdown that any reader of Markdown shows: formulas as LaTeX, tables as pipes."""

from __future__ import annotations

import re

from descentlab.lessons.facts.types import LessonTable
from descentlab.lessons.formulas import FORMULAS, replace_formulas


def prose_to_markdown(text: str) -> str:
    """The prose with each ``$name$`` as the formula it names; on a line of its own, as one that stands apart."""
    with_displayed = re.sub(
        r"^\$(\w+)\$$", lambda match: f"$$\n{FORMULAS[match[1]].latex}\n$$", text, flags=re.MULTILINE
    )
    return replace_formulas(with_displayed, lambda name: f"${FORMULAS[name].latex}$")


def table_to_markdown(table: LessonTable, headings: tuple[str, ...]) -> str:
    """A table of the facts, numbers to the right."""
    lines = [list(headings), ["---:"] * len(headings), *table.formatted_rows()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
